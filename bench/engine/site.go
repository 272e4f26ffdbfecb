package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"damson/internal/clock"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
	"damson/internal/store/driver"
	"damson/internal/store/postgres"
	"damson/internal/store/sqlite"
)

// site is a project and its store, both new.
type site struct {
	*bench
	dir   string
	kind  string
	url   string // of the store; "" = in the project
	store *store.Store
	asked int // runs, so that each is another
}

// site makes one with these files.
func (b *bench) site(kind string, files map[string]string) (*site, error) {
	b.sites++
	s := &site{bench: b, kind: kind, dir: filepath.Join(b.dir, fmt.Sprintf("site%d", b.sites))}
	for name, text := range files {
		if err := s.write(name, text); err != nil {
			return nil, err
		}
	}
	if kind != "postgres" {
		return s, nil
	}
	var err error
	s.url, err = b.server.Create()
	return s, err
}

func (s *site) write(name, text string) error {
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// database opens the store's database.
func (s *site) database(ctx context.Context) (driver.DB, error) {
	if s.url != "" {
		return postgres.Open(ctx, s.url)
	}
	dir := filepath.Join(s.dir, ".damson")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, filepath.Join(dir, "store.sqlite"))
}

// open opens the store, once.
func (s *site) open(ctx context.Context) error {
	if s.store != nil {
		return nil
	}
	d, err := s.database(ctx)
	if err == nil {
		s.store, err = store.New(ctx, d)
	}
	return err
}

// close closes the store and removes the project.
func (s *site) close() error {
	var err error
	if s.store != nil {
		err = s.store.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func (s *site) args(args ...string) []string {
	args = append(args, "--project", s.dir)
	if s.url != "" {
		args = append(args, "--store", s.url)
	}
	return args
}

// command runs damson to its end.
func (s *site) command(args ...string) error {
	cmd := exec.Command(s.damson, s.args(args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("damson %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// served is a running `damson serve`.
type served struct {
	*site
	cmd     *exec.Cmd
	started time.Time
	leads   chan struct{} // closed once it leads
	changed chan time.Time
	ended   chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// serve starts a server and returns at once.
func (s *site) serve(args ...string) (*served, error) {
	v := &served{site: s, leads: make(chan struct{}), changed: make(chan time.Time, 100), ended: make(chan struct{})}
	v.cmd = exec.Command(s.damson, s.args(append([]string{"serve", "--listen", ""}, args...)...)...)
	out, err := v.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	v.started = time.Now()
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(v.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			v.take(lines.Text())
		}
		_ = v.cmd.Wait() // the log says how it ended
	}()
	return v, nil
}

func (v *served) take(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintln(&v.log, line)
	switch {
	case strings.Contains(line, "this process leads"):
		close(v.leads)
	case strings.Contains(line, "the project has changed"):
		v.changed <- time.Now()
	}
}

// ready waits until the server leads, and opens the store here too.
func (v *served) ready(ctx context.Context) error {
	select {
	case <-v.leads:
		return v.open(ctx)
	case <-v.ended:
		v.mu.Lock()
		defer v.mu.Unlock()
		return fmt.Errorf("damson serve has ended:\n%s", v.log.String())
	case <-time.After(time.Minute):
		return errors.New("damson serve does not lead")
	}
}

// stop asks the server to end and waits for it.
func (v *served) stop() {
	_ = v.cmd.Process.Signal(syscall.SIGINT)
	<-v.ended
}

// memory is the resident set of the server, now and at its largest, in MiB.
func (v *served) memory() (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		return 0, 0, fmt.Errorf("damson serve has ended: %w\n%s", err, v.log.String())
	}
	field := func(name string) float64 {
		_, rest, _ := strings.Cut(string(text), name+":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0
		}
		n, _ := strconv.ParseFloat(fields[0], 64)
		return n / 1024
	}
	return field("VmRSS"), field("VmHWM"), nil
}

// cpu is the processor time that the server has used, and the programs that it ran.
func (v *served) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.cmd.Process.Pid))
	_, rest, found := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if err != nil || !found || len(fields) < 15 {
		return 0
	}
	ticks := 0
	for _, field := range fields[11:15] {
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// processorTime is what this process has used, and the programs that it ran.
func processorTime() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

// ask sends a request to the server and waits for its answer.
func (s *site) ask(ctx context.Context, r scheduler.Request) (scheduler.Answer, error) {
	return scheduler.Ask(ctx, s.store, clock.System{}, r, time.Minute)
}

// patience is how long anything may take.
const patience = 5 * time.Minute

// until looks again and again whether something has come about.
func until(what string, every time.Duration, holds func() (bool, error)) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(every) {
		if done, err := holds(); done || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not come about", what)
}

// ended waits for the end of a run and gives it.
func (s *site) ended(ctx context.Context, id string) (r run.Run, err error) {
	err = until("the end of "+id, 100*time.Millisecond, func() (bool, error) {
		runs, err := s.store.Runs(ctx, store.RunFilter{IDs: []string{id}})
		if err != nil || len(runs) == 0 || !runs[0].State.Ended() {
			return false, err
		}
		r = runs[0]
		return true, nil
	})
	if err == nil && r.State != run.Success {
		err = fmt.Errorf("%s is %s: %s", id, r.State, r.Reason)
	}
	return r, err
}
