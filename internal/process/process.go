// Package process runs programs. Its one operation is Run: it starts a program in a process group of its own, passes on the
// lines that it writes, and returns when the group is gone. It knows nothing of tasks.
//
// Invariants:
//  1. When Run returns, no process of the group is left, whatever the program started and however it ended.
//  2. When the context ends, the group is asked to end (SIGTERM) and after the grace made to (SIGKILL): Run returns at most
//     two seconds after the grace.
//  3. When this process dies, also by SIGKILL, the group dies with it.
//  4. Whoever leaves the group on purpose (setsid) is not waited for, not even when it keeps the program's output open.
//
// A group holds two processes that Run started:
//
//	leash    a shell that leads the group and reads a pipe whose other end is here: at its end of file, that is when this
//	         process is gone, it kills the group. As it is reaped last, no other group can have taken the group's number
//	         when Run kills it.
//	program
//
// The road not taken is Linux's parent-death signal alone: it reaches the program and not what the program started.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Spec says what to run.
type Spec struct {
	Path  string   // of the program; without a slash it is looked for in PATH of this process
	Args  []string // without the program's name
	Dir   string
	Env   []string // the whole environment, "NAME=value"
	Grace time.Duration
	// Stdout and Stderr take the lines, without their ends, one call at a time over both. nil drops them.
	Stdout, Stderr func(line string)
	MaxLines       int // of both together that are passed on; 0 = 10,000
}

const (
	defaultGrace = 3 * time.Second
	defaultLines = 10_000
	// drain is how long what the program started may go on writing when the program has ended by itself: the last commands
	// of a pipeline, for example.
	drain = time.Second
	// settle is how long a killed group has to be gone, and its output to be read.
	settle = time.Second
)

// Result is how a program ended.
type Result struct {
	Code    int            // exit code; -1 when a signal ended it
	Signal  syscall.Signal // that ended it; 0 = none
	Omitted int            // lines that were not passed on
	Tail    []string       // the last lines of standard error, also of those not passed on
}

// Success reports whether the program ended with exit code 0.
func (r Result) Success() bool { return r.Code == 0 }

// String tells in words how the program ended.
func (r Result) String() string {
	if r.Signal != 0 {
		return fmt.Sprintf("ended by signal %d (%s)", int(r.Signal), r.Signal)
	}
	return fmt.Sprintf("exit code %d", r.Code)
}

// Run runs the program to its end. The error is about starting it, or the context's cause when that ended first; an exit
// code other than 0 is no error.
func Run(ctx context.Context, spec Spec) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	if spec.Grace <= 0 {
		spec.Grace = defaultGrace
	}
	if spec.MaxLines <= 0 {
		spec.MaxLines = defaultLines
	}
	type ending struct {
		Result
		error
	}
	ended := make(chan ending, 1)
	go func() {
		// The parent-death signal comes when the thread ends that started the program, so that thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r, err := run(ctx, spec)
		ended <- ending{r, err}
	}()
	e := <-ended
	return e.Result, e.error
}

// group is a running program with all that it started.
type group struct {
	leash   *exec.Cmd
	hold    *os.File // the leash ends when this closes
	program *exec.Cmd
	out     *output
}

func run(ctx context.Context, spec Spec) (Result, error) {
	g, err := start(spec)
	if err != nil {
		return Result{}, err
	}
	exited := make(chan struct{})
	read := g.out.read()
	watched := make(chan bool, 1)
	go func() { watched <- g.watch(ctx, spec.Grace, exited, read) }()
	err = g.program.Wait() // on this thread, see Run
	close(exited)
	stopped := <-watched
	g.end(read)
	result := Result{Omitted: g.out.omitted, Tail: g.out.tail}
	if stopped {
		return result, context.Cause(ctx)
	}
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		return result, fmt.Errorf("waiting for %s: %w", spec.Path, err)
	}
	result.Code = g.program.ProcessState.ExitCode()
	if status, ok := g.program.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		result.Signal = status.Signal()
	}
	return result, nil
}

// start starts the leash and, in its group, the program.
func start(spec Spec) (g *group, err error) {
	var opened []io.Closer
	defer func() {
		if err != nil {
			for _, f := range opened {
				_ = f.Close()
			}
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			if r, w, err = os.Pipe(); err == nil {
				opened = append(opened, r, w)
			}
		}
		return r, w
	}
	held, hold := pipe()
	stdout, toStdout := pipe()
	stderr, toStderr := pipe()
	if err != nil {
		return nil, fmt.Errorf("pipes for %s: %w", spec.Path, err)
	}
	g = &group{hold: hold, out: newOutput(spec, stdout, stderr)}
	// TERM, INT and HUP are for the program: the leash has to last.
	g.leash = exec.Command("/bin/sh", "-c", `trap "" TERM INT HUP; read -r line; kill -KILL 0`)
	g.leash.Stdin, g.leash.Env, g.leash.SysProcAttr = held, []string{}, &syscall.SysProcAttr{Setpgid: true}
	if err := g.leash.Start(); err != nil {
		return nil, fmt.Errorf("starting the shell that watches over %s: %w", spec.Path, err)
	}
	g.program = exec.Command(spec.Path, spec.Args...)
	g.program.Dir, g.program.Env = spec.Dir, spec.Env
	g.program.Stdout, g.program.Stderr = toStdout, toStderr
	g.program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.leash.Process.Pid}
	dieWithParent(g.program.SysProcAttr)
	if err := g.program.Start(); err != nil {
		g.signal(syscall.SIGKILL)
		_ = g.leash.Wait()
		return nil, fmt.Errorf("starting %s: %w", spec.Path, err)
	}
	for _, f := range []*os.File{held, toStdout, toStderr} {
		_ = f.Close()
	}
	return g, nil
}

// signal sends a signal to all of the group. It may be gone, which is no error.
func (g *group) signal(s syscall.Signal) { _ = syscall.Kill(-g.leash.Process.Pid, s) }

// watch returns when nobody is left to wait for: the program has ended and its output too, or has had the time for it. It
// reports whether the context ended the program.
func (g *group) watch(ctx context.Context, grace time.Duration, exited, read <-chan struct{}) (stopped bool) {
	select {
	case <-exited:
		wait(drain, ctx.Done(), read)
		return false
	case <-ctx.Done():
	}
	g.signal(syscall.SIGTERM)
	patience := time.NewTimer(grace)
	defer patience.Stop()
	for exited != nil || read != nil {
		select {
		case <-exited:
			exited = nil
		case <-read:
			read = nil
		case <-patience.C:
			g.signal(syscall.SIGKILL)
			return true
		}
	}
	return true
}

// wait waits until one of the channels is closed, at most for d.
func wait(d time.Duration, a, b <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a:
	case <-b:
	case <-timer.C:
	}
}

// end kills what is left of the group and waits until it is gone. The program has been waited for.
func (g *group) end(read <-chan struct{}) {
	g.signal(syscall.SIGKILL)
	_ = g.leash.Wait() // killed, which is its end
	_ = g.hold.Close()
	// Orphans are reaped by the system's first process, in its own time.
	for until := time.Now().Add(settle); syscall.Kill(-g.leash.Process.Pid, 0) == nil && time.Now().Before(until); {
		wait(time.Millisecond, nil, nil)
	}
	wait(settle, nil, read)
	g.out.close()
	<-read
}
