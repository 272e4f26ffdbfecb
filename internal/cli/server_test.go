package cli_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come, on a busy machine.
const patience = time.Minute

// server is a process of `damson serve` or `damson worker`.
type server struct {
	name  string
	cmd   *exec.Cmd
	log   *serverLog
	ended chan struct{}
	err   error // how the process ended; read it after ended is closed
}

// serverLog is what a server writes. It can be waited for.
type serverLog struct {
	mu      sync.Mutex
	text    strings.Builder
	written chan struct{} // closed and replaced by each write
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.written)
	l.written = make(chan struct{})
	return l.text.Write(p)
}

// read gives what was written so far, and a channel that is closed when there is more.
func (l *serverLog) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.written
}

func (l *serverLog) String() string {
	text, _ := l.read()
	return text
}

// startServer starts a command that serves; it is killed at the end of the test if it still runs.
func startServer(t *testing.T, dir string, env []string, args ...string) *server {
	t.Helper()
	s := &server{name: strings.Join(args, " "), log: &serverLog{written: make(chan struct{})}, ended: make(chan struct{})}
	s.cmd = exec.Command("damson", append([]string{"--project", dir}, args...)...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(s.kill)
	return s
}

// serve starts `damson serve` without listener and waits until it leads.
func serve(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := startServer(t, dir, nil, append([]string{"serve", "--listen", "", "--lease", "1s"}, args...)...)
	s.await(t, "this process leads")
	return s
}

// await waits until the server has written a text.
func (s *server) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		log, more := s.log.read()
		if strings.Contains(log, text) {
			return
		}
		select {
		case <-more:
		case <-s.ended:
			if !strings.Contains(s.log.String(), text) {
				t.Fatalf("%s has ended (%v) without %q:\n%s", s.name, s.err, text, s.log)
			}
		case <-late:
			t.Fatalf("%s does not write %q:\n%s", s.name, text, s.log)
		}
	}
}

// signal sends a signal; to a process that has ended it does nothing.
func (s *server) signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

// kill ends the process at once, also one that is stopped.
func (s *server) kill() {
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// end waits until the process has ended by itself, and says whether it did so in good order.
func (s *server) end(t *testing.T) error {
	t.Helper()
	select {
	case <-s.ended:
		return s.err
	case <-time.After(patience):
		t.Fatalf("%s does not end:\n%s", s.name, s.log)
		return nil
	}
}

// stop asks the server to end; it must do so in good order.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.signal(syscall.SIGTERM)
	if err := s.end(t); err != nil {
		t.Errorf("%s ended with %v:\n%s", s.name, err, s.log)
	}
}

// eventually asks again until a condition holds; the condition says what it still misses.
func eventually(t *testing.T, condition func() (missing string)) {
	t.Helper()
	late := time.Now().Add(patience)
	for {
		missing := condition()
		if missing == "" {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("it does not come to that: %s", missing)
		}
		time.Sleep(50 * time.Millisecond) // between two questions to a store
	}
}
