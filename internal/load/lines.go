package load

import (
	"bytes"
	"fmt"

	"damson/internal/diag"
)

// maxRecord bounds a line, or a record of several lines, in bytes: what is longer is rejected.
const maxRecord = 64 << 20

// parser turns the content of one file into rows. It is handed the content in pieces.
type parser interface {
	// parse takes whole records from data and gives the number of bytes it is done with. When last is set nothing follows
	// and it takes everything. Its error ends the load.
	parse(data []byte, last bool, o *out) (int, error)
	// overflow is called instead when data has grown to maxRecord without holding a whole record: it rejects the first
	// line and gives the number of bytes it is done with.
	overflow(data []byte, o *out) (int, error)
}

// lines keeps the place in a file that is read by lines.
type lines struct {
	line    int64 // number of the line that comes next, from 1
	skip    int   // lines at the head that are still to be left out
	discard bool  // the rest of a line that was too long is to be left out
}

// head leaves out what is not data: lines at the head, and the rest of a line that was too long. It gives the number of
// bytes; done says that data follows there.
func (l *lines) head(data []byte, last bool) (at int, done bool) {
	for l.discard || l.skip > 0 {
		nl := bytes.IndexByte(data[at:], '\n')
		if nl < 0 {
			if last || l.discard {
				return len(data), false
			}
			return at, false
		}
		at += nl + 1
		l.line++
		if l.discard {
			l.discard = false
		} else {
			l.skip--
		}
	}
	return at, true
}

// overflow rejects a first line that ends, or else the whole of data and the rest of its line.
func (l *lines) overflow(data []byte, o *out) (int, error) {
	reason := fmt.Sprintf("the record is longer than %d MB, or a quote or bracket that opens here is never closed", maxRecord>>20)
	if nl := bytes.IndexByte(data, '\n'); nl >= 0 {
		l.line++
		return nl + 1, o.reject(l.line-1, data[:nl], reason)
	}
	l.discard = true
	return len(data), o.reject(l.line, data, reason)
}

// firstLine gives the line at the head of data without its end, and the number of bytes with it.
func firstLine(data []byte) (line []byte, bytesTaken int) {
	nl := bytes.IndexByte(data, '\n')
	if nl < 0 {
		return cutCR(data), len(data)
	}
	return cutCR(data[:nl]), nl + 1
}

func cutCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// place is where a finding about a file points to.
func place(f *file, line int64) diag.Pos { return diag.Pos{File: f.name, Line: int(line)} }
