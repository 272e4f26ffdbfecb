package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/process"
)

// TestMain lets this binary be the programs that a shell cannot be.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST") {
	case "parent": // runs a program and is killed meanwhile
		_, err := process.Run(context.Background(), process.Spec{Path: "/bin/sh", Args: []string{"-c", os.Args[1]}})
		fmt.Println(err)
		os.Exit(1)
	case "session": // leaves the group and keeps the output open until the fifo has a reader
		self := exec.Command("/bin/sh", "-c", `echo out > "$FIFO"`)
		self.Stdout, self.Stderr, self.SysProcAttr = os.Stdout, os.Stderr, &syscall.SysProcAttr{Setsid: true}
		if err := self.Start(); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fifo makes a named pipe whose end is the end of all who write to it.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// allGone reads a fifo to its end in the background; the channel has what was written.
func allGone(t *testing.T, path string) <-chan string {
	said := make(chan string, 1)
	go func() {
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		text, _ := io.ReadAll(f)
		said <- string(text)
	}()
	return said
}

func within(t *testing.T, limit time.Duration, what string, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(limit):
		t.Fatalf("%s: not within %s", what, limit)
		return ""
	}
}

func sh(script string) process.Spec {
	return process.Spec{Path: "/bin/sh", Args: []string{"-c", script}}
}

// TestLines passes on what a program writes, line by line, as text that every store takes.
func TestLines(t *testing.T) {
	t.Parallel()
	var lines []string
	spec := sh(`printf 'a\r\n\nb\377\000c\n'; echo "$X in $PWD" >&2; head -c 70000 /dev/zero | tr '\0' y; echo; printf 'no end'; exit 3`)
	spec.Dir, spec.Env = "/", []string{"X=1", "PATH=" + os.Getenv("PATH")}
	spec.Stdout = func(s string) { lines = append(lines, s) }
	var errs []string
	spec.Stderr = func(s string) { errs = append(errs, s) }
	r, err := process.Run(t.Context(), spec)
	if err != nil || r.Success() || r.String() != "exit code 3" {
		t.Errorf("it ended with %s, %v", r, err)
	}
	want := []string{"a", "", "b\uFFFD\uFFFDc", strings.Repeat("y", 64<<10) + " … (the line is longer)", "no end"}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{"1 in /"}, errs); d != "" || cmp.Diff(errs, r.Tail) != "" {
		t.Errorf("(-want +got)\n%s\ntail %q", d, r.Tail)
	}
}

// TestALoudProgram keeps a bounded number of lines, and the last ones of standard error whatever came before.
func TestALoudProgram(t *testing.T) {
	t.Parallel()
	n := 0
	spec := sh(`i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done`)
	spec.MaxLines = 100
	spec.Stdout = func(string) { n++ }
	spec.Stderr = spec.Stdout
	r, err := process.Run(t.Context(), spec)
	if err != nil || n != 100 || r.Omitted != 500 || len(r.Tail) != 20 || r.Tail[0] != "err 280" || r.Tail[19] != "err 299" {
		t.Errorf("%d lines, %+v, %v", n, r, err)
	}
}

// TestWhatCannotStart says so, and what a signal ended is told from what ended by itself.
func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	if _, err := process.Run(t.Context(), process.Spec{Path: "no-such-program"}); !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
	if _, err := process.Run(t.Context(), process.Spec{Path: "/no/such/program"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	r, err := process.Run(t.Context(), sh(`kill -SEGV $$`))
	if err != nil || r.Signal != syscall.SIGSEGV || r.Success() || !strings.HasPrefix(r.String(), "ended by signal 11") {
		t.Errorf("%s, %v", r, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	if _, err := process.Run(ctx, sh(`exit 0`)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// TestTheContextEndsIt: the group has its grace, and is gone soon after it, whatever it does.
func TestTheContextEndsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, said string
		grace        time.Duration
		longest      time.Duration
	}{
		"ends when asked":       {`exec 3> "$FIFO"; echo ready; sleep 100`, "", time.Hour, 3 * time.Second},
		"tidies up":             {`exec 3> "$FIFO"; trap 'echo tidy >&3; exit 0' TERM; echo ready; while :; do sleep 0.01; done`, "tidy\n", time.Hour, 3 * time.Second},
		"a child that tidies":   {`sh -c 'exec 3> "$FIFO"; trap "echo tidy >&3; exit" TERM; echo ready; while :; do sleep 0.01; done'; :`, "tidy\n", time.Hour, 3 * time.Second},
		"ignores it":            {`trap "" TERM; exec 3> "$FIFO"; echo ready; while :; do sleep 1; done`, "", 50 * time.Millisecond, 3 * time.Second},
		"a grandchild ignores":  {`(trap "" TERM; exec 3> "$FIFO"; sh -c 'echo ready; while :; do sleep 1; done')`, "", 50 * time.Millisecond, 3 * time.Second},
		"silent and in the way": {`(trap "" TERM; exec 3> "$FIFO"; echo ready; exec sleep 1000 > /dev/null 2>&1)`, "", 50 * time.Millisecond, 3 * time.Second},
		"stopped":               {`exec 3> "$FIFO"; echo ready; kill -STOP 0`, "", 50 * time.Millisecond, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("enough")
			path := fifo(t)
			gone := allGone(t, path)
			spec := sh(c.script)
			spec.Env, spec.Grace = []string{"FIFO=" + path, "PATH=" + os.Getenv("PATH")}, c.grace
			var began time.Time
			spec.Stdout = func(string) { began = time.Now(); cancel(why) }
			if _, err := process.Run(ctx, spec); !errors.Is(err, why) {
				t.Errorf("it ended with %v", err)
			}
			if took := time.Since(began); took > c.longest {
				t.Errorf("it took %s", took)
			}
			if got := within(t, time.Second, "the group's end", gone); got != c.said {
				t.Errorf("it said %q on its way, want %q", got, c.said)
			}
		})
	}
}

// TestNothingStays: what a program leaves behind ends with it, and whoever has left the group does not hold it up.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	gone := allGone(t, path)
	spec := sh(`(exec 3> "$FIFO"; echo here; exec sleep 1000) & read x < "$BACK"`)
	back := fifo(t)
	spec.Env = []string{"FIFO=" + path, "BACK=" + back, "PATH=" + os.Getenv("PATH")}
	spec.Stdout = func(string) { // the child is there: now its parent may end
		if err := os.WriteFile(back, []byte("go\n"), 0o600); err != nil {
			t.Error(err)
		}
	}
	began := time.Now()
	if r, err := process.Run(t.Context(), spec); err != nil || !r.Success() {
		t.Errorf("%s, %v", r, err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	within(t, time.Second, "the child's end", gone)

	path = fifo(t)
	began = time.Now()
	r, err := process.Run(t.Context(), process.Spec{Path: os.Args[0], Env: []string{"PROCESS_TEST=session", "FIFO=" + path}})
	if err != nil || !r.Success() || time.Since(began) > 5*time.Second {
		t.Errorf("%s, %v after %s", r, err, time.Since(began))
	}
	if got := within(t, 5*time.Second, "the session's end", allGone(t, path)); got != "out\n" {
		t.Errorf("a process that left the group was not left alone: %q", got)
	}
}

// TestTheGroupDiesWithUs: SIGKILL to the process that runs a program leaves nothing of its group.
func TestTheGroupDiesWithUs(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	parent := exec.Command(os.Args[0], `trap "" TERM; (exec 3> "`+path+`"; echo ready >&3; exec sleep 1000) & exec 3> "`+path+`"; wait`)
	parent.Env = []string{"PROCESS_TEST=parent", "PATH=" + os.Getenv("PATH")}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.Read(make([]byte, 6)); n != 6 {
		t.Fatal(n, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	rest := make(chan string, 1)
	go func() { b, _ := io.ReadAll(f); rest <- string(b) }()
	within(t, 5*time.Second, "the group's end", rest)
}
