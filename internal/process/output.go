package process

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

const (
	longestLine = 64 << 10 // bytes of a line that are passed on
	tailLines   = 20       // of standard error that a Result has
	mostBytes   = 16 << 20 // of all lines that are passed on
)

// output passes on what a program writes.
type output struct {
	files [2]*os.File
	takes [2]func(string)

	mu      sync.Mutex
	left    int // lines that may still be passed on
	bytes   int // that may still be
	omitted int
	tail    []string
}

func newOutput(spec Spec, stdout, stderr *os.File) *output {
	return &output{files: [2]*os.File{stdout, stderr}, takes: [2]func(string){spec.Stdout, spec.Stderr}, left: spec.MaxLines, bytes: mostBytes}
}

// read begins to read both streams; the channel is closed when both have ended.
func (o *output) read() <-chan struct{} {
	done := make(chan struct{})
	var both sync.WaitGroup
	for i := range o.files {
		both.Go(func() { lines(o.files[i], func(line string) { o.take(i, line) }) })
	}
	go func() {
		both.Wait()
		close(done)
	}()
	return done
}

// close ends the reading, also where somebody still has the other end open.
func (o *output) close() {
	for _, f := range o.files {
		_ = f.Close()
	}
}

func (o *output) take(stream int, line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if stream == 1 {
		if len(o.tail) == tailLines {
			o.tail = append(o.tail[:0], o.tail[1:]...)
		}
		o.tail = append(o.tail, line)
	}
	if o.left == 0 || o.bytes < len(line) {
		o.left = 0
		o.omitted++
		return
	}
	o.left--
	o.bytes -= len(line)
	if o.takes[stream] != nil {
		o.takes[stream](line)
	}
}

// lines reads lines to the end of r. What a line has beyond longestLine is left out, which the line says.
func lines(r io.Reader, take func(line string)) {
	in := bufio.NewReaderSize(r, longestLine)
	for {
		part, err := in.ReadSlice('\n')
		if len(part) > 0 {
			line, more := text(part), ""
			for errors.Is(err, bufio.ErrBufferFull) {
				if part, err = in.ReadSlice('\n'); len(bytes.TrimRight(part, "\r\n")) > 0 {
					more = Cut
				}
			}
			take(line + more)
		}
		if err != nil {
			return
		}
	}
}

// Cut ends a line that was longer.
const Cut = " … (the line is longer)"

// text makes bytes a text that every store takes: valid UTF-8 without NUL.
func text(line []byte) string {
	s := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
