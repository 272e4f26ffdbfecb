package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/store"
)

// workshop is where a process executes: for the leader in the same process, and for one in another, to which it reports by
// messages. It outlives leaders: what an execution came to is kept until a leader has recorded it or a message tells it.
type workshop struct {
	*Service
	looks  chan struct{} // slots for deferred tasks that look again
	strays *lines        // of executions that outlive the leader that began them, and what the store did not take at an execution's end

	telling context.Context // ends when what cannot be told shall not be waited for any longer
	hurry   func()

	mu      sync.Mutex
	jobs    map[string]*job // by the key of the first claim
	counted int64           // token of the latest leader that was told what is executed here
	ledger  engine.Ledger   // nil while the warehouse is not open here
	order   int             // of the last one
	closing bool
	idle    sync.WaitGroup
}

// job is one execution.
type job struct {
	claims  []run.Claim
	order   int
	cancel  context.CancelCauseFunc
	ended   *engine.Ended // what it came to, while that is kept
	telling bool          // a message about it is on its way
}

func key(c run.Claim) string { return fmt.Sprintf("%s\x00%s\x00%d", c.RunID, c.Task, c.Attempt) }

func newWorkshop(s *Service) *workshop {
	return &workshop{Service: s, jobs: map[string]*job{}, looks: make(chan struct{}, 16), strays: s.lines(run.Claim{})}
}

// opened says that the warehouse is open in this process now.
func (w *workshop) opened(l engine.Ledger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ledger = l
}

func (w *workshop) books() engine.Ledger {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger
}

// start executes work that the leader with this token has given, and hands what it came to to end, or, when its loop is closed,
// tells whoever leads then. It is false when it comes too late: what was not under way when a later leader counted is given to
// others.
func (w *workshop) start(ctx context.Context, token int64, work engine.Work, end func(engine.Ended) bool) bool {
	ctx, cancel := context.WithCancelCause(ctx)
	j := &job{claims: work.Claims, cancel: cancel}
	name := key(work.Claims[0])
	w.mu.Lock()
	if token < w.counted || w.closing {
		w.mu.Unlock()
		cancel(nil)
		return false
	}
	w.jobs[name] = j
	w.order++
	j.order = w.order
	w.idle.Add(1)
	w.mu.Unlock()
	go func() {
		defer w.idle.Done()
		defer cancel(nil)
		e := w.execute(ctx, work)
		w.mu.Lock()
		j.ended = &e
		w.mu.Unlock()
		if !end(e) {
			w.tell(name, j)
		}
	}()
	return true
}

// tell sends what a job came to, unless that is recorded or being sent.
func (w *workshop) tell(name string, j *job) {
	w.mu.Lock()
	mine := w.jobs[name] == j && !j.telling
	j.telling = true
	w.mu.Unlock()
	if !mine {
		return
	}
	w.report(j.claims, *j.ended)
	w.mu.Lock()
	delete(w.jobs, name)
	w.mu.Unlock()
}

// recorded forgets a job: what it came to is in the store.
func (w *workshop) recorded(c run.Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.jobs[key(c)]; j != nil && j.ended != nil && !j.telling {
		delete(w.jobs, key(c))
	}
}

// handOver tells the next leader, by messages, what the last one was told and has not recorded.
func (w *workshop) handOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, j := range w.jobs {
		if j.ended != nil && !j.telling {
			w.idle.Go(func() { w.tell(name, j) })
		}
	}
}

// execute finds the version of the project that the work belongs to and executes it.
func (w *workshop) execute(ctx context.Context, work engine.Work) engine.Ended {
	_, c, err := w.projects.Find(ctx, work.Pipeline.Name, work.Pipeline.Version)
	if err != nil {
		return engine.Ended{Err: err}
	}
	x := c.Executor(work.Task.Kind)
	if x == nil {
		return engine.Ended{Err: engine.GiveUp(fmt.Errorf("this process executes no tasks of kind %q", work.Task.Kind))}
	}
	return engine.Execute(ctx, x, w.books(), w.clock, true, work)
}

// look executes a deferred task beside the workers, as long as the leader leads that wants to know.
func (w *workshop) look(ctx, leads context.Context, work engine.Work, end func(engine.Ended) bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	w.running.Go(func() {
		defer cancel(nil)
		defer context.AfterFunc(leads, func() { cancel(engine.ErrInterrupted) })()
		select {
		case w.looks <- struct{}{}:
			defer func() { <-w.looks }()
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			end(engine.Ended{Err: context.Cause(ctx)})
			return
		}
		end(w.execute(ctx, work))
	})
}

// report tells the leader what an execution came to, until it is told or the process has no more time.
func (w *workshop) report(claims []run.Claim, e engine.Ended) {
	m := message(Leader, w.o.ID, msgOutcome, toOutcome(claims, e), w.clock.Now())
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 2*time.Second) {
		if err := w.store.Send(w.telling, m); err == nil || w.clock.Sleep(w.telling, delay) != nil {
			return
		}
	}
}

// assigned takes work that the leader in another process sends.
func (w *workshop) assigned(a assignment) {
	lines := w.lines(a.Claims[0])
	p, _, err := w.projects.Find(w.ended, a.Pipeline, a.Version)
	var work engine.Work
	if err == nil {
		var ok bool
		if work, ok = a.work(p, lines); !ok {
			err = fmt.Errorf("version %s of pipeline %s has no task %q", a.Version, a.Pipeline, a.Task)
		}
	}
	if err != nil {
		w.running.Go(func() { w.report(a.Claims, engine.Ended{Err: err}) })
		return
	}
	ctx, stop := context.WithCancel(w.ended)
	if !w.start(ctx, a.Token, work, func(engine.Ended) bool {
		stop()
		lines.flush()
		w.strays.inherit(lines)
		return false
	}) {
		stop()
		return
	}
	w.running.Go(func() { lines.flushEvery(ctx, tick) })
}

// cancelled ends work because the leader in another process says so.
func (w *workshop) cancelled(c cancellation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.jobs[key(c.Claim)]; j != nil {
		j.cancel(errors.New(c.Why))
	}
}

// executing lists what is under way, or has come to something that no leader has recorded, first begun first. It is the leader
// with this token that counts.
func (w *workshop) executing(token int64) [][]run.Claim {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted = max(w.counted, token)
	all := [][]run.Claim{}
	for _, j := range slices.SortedFunc(maps.Values(w.jobs), func(a, b *job) int { return cmp.Compare(a.order, b.order) }) {
		all = append(all, j.claims)
	}
	return all
}

// close waits until what is under way has ended and is told, cancels it when that takes too long, and takes nothing more.
func (w *workshop) close(drain time.Duration) {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		w.idle.Wait()
		close(done)
	}()
	if drain > 0 {
		ctx, stop := context.WithCancel(w.ended)
		go func() {
			<-done
			stop()
		}()
		_ = w.clock.Sleep(ctx, drain)
		stop()
	}
	w.mu.Lock()
	for _, j := range w.jobs {
		j.cancel(engine.ErrInterrupted)
	}
	w.mu.Unlock()
	ctx, stop := context.WithCancel(w.ended)
	go func() {
		defer w.hurry() // the store is away: whoever leads next asks the ledger
		_ = w.clock.Sleep(ctx, grace)
	}()
	<-done
	stop()
	w.strays.flush()
}

// lines is the log of work for a leader in another process: it goes to the store by itself.
type lines struct {
	*Service
	claim run.Claim
	turn  chan struct{} // of who writes: lines keep their order

	mu  sync.Mutex // not held while the store is written: the work does not wait for that
	all []run.LogLine
}

func (s *Service) lines(claim run.Claim) *lines {
	return &lines{Service: s, claim: claim, turn: make(chan struct{}, 1)}
}

func (l *lines) Infof(format string, args ...any)  { l.add("info", format, args) }
func (l *lines) Warnf(format string, args ...any)  { l.add("warn", format, args) }
func (l *lines) Errorf(format string, args ...any) { l.add("error", format, args) }

func (l *lines) add(level, format string, args []any) {
	l.take(run.LogLine{Claim: l.claim, At: l.clock.Now(), Level: level, Text: fmt.Sprintf(format, args...)})
}

func (l *lines) take(line run.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) flushEvery(ctx context.Context, d time.Duration) {
	for l.clock.Sleep(ctx, d) == nil {
		l.flush()
	}
}

// flush writes what has come; lines that the store does not take wait for the next time.
func (l *lines) flush() {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	all := l.all
	l.all = nil
	l.mu.Unlock()
	if len(all) == 0 {
		return
	}
	if err := l.store.Commit(l.ended, store.Batch{Lines: all}); err != nil {
		l.mu.Lock()
		l.all = append(all, l.all...)
		l.mu.Unlock()
	}
}

// inherit takes what another log has not written, which is written no more by itself.
func (l *lines) inherit(from *lines) {
	from.turn <- struct{}{}
	defer func() { <-from.turn }()
	from.mu.Lock()
	left := from.all
	from.all = nil
	from.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, left...)
}
