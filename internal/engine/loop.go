package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"damson/internal/run"
)

// Run drives the plan's runs to their end and reports on them. It returns when all have ended, when ctx has ended (running
// work is then cancelled and waits to be resumed), or when the store or the ledger does not answer: the error says so, and
// the same plan continues later. That tasks failed is not an error: see Report.
func (e *Engine) Run(ctx context.Context, plan Plan) (Report, error) {
	l := e.newLoop(LoopOptions{})
	p := plan.Pipeline
	lane := l.AddLane(LaneOptions{Name: "pipeline " + p.Name, MaxActiveRuns: p.MaxActiveRuns, keeps: true})
	if plan.MaxActiveRuns != 0 {
		lane.MaxActiveRuns = plan.MaxActiveRuns
	}
	lane.report.Started = l.now
	if err := l.Admit(ctx, lane, plan); err != nil {
		if ctx.Err() == nil {
			return lane.finish(plan), err
		}
		l.stopped = ErrInterrupted
		return lane.finish(plan), nil
	}
	defer l.Close()
	defer l.crew.Wait()
	for {
		idle, err := l.Step(ctx)
		if idle || err != nil {
			return lane.finish(plan), err
		}
		l.Wait(ctx, nil, time.Time{})
	}
}

// Step decides, records and starts whatever can be. It is idle when nothing is left to do or to wait for. The error is why
// the loop has stopped; it comes once no execution is under way any more.
func (l *Loop) Step(ctx context.Context) (idle bool, err error) {
	background := context.WithoutCancel(ctx)
	if l.stopped == nil {
		l.dispatch()
	}
	if err := l.record(l.patience(ctx)); err != nil {
		l.fall(err)
		for _, x := range l.starts { // their attempts are not recorded: nobody executes them
			delete(l.under, x)
			l.local--
		}
		l.starts = nil
		if l.o.Serves { // what runs is the next leader's
			return true, err
		}
	}
	for _, x := range l.starts {
		l.start(background, x)
	}
	l.starts = nil
	switch {
	case l.stopped != nil && l.local > 0, l.stopped == nil && len(l.under) > 0:
		return false, nil
	case l.stopped != nil:
		return true, l.wind(l.patience(ctx))
	}
	for _, lane := range l.lanes {
		if !lane.Idle() {
			if l.alarms.none() && !l.o.Serves {
				panic(fmt.Sprintf("engine: %d groups of runs are open and nothing can happen", lane.active))
			}
			return false, nil
		}
	}
	return true, nil
}

// patience is how long a record is tried: a loop that serves tries until its context ends, one that drives a plan ends what
// it has begun although it was asked to end.
func (l *Loop) patience(ctx context.Context) context.Context {
	if l.o.Serves {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// fall notes that the store does not take what was decided: nothing more is recorded.
func (l *Loop) fall(err error) {
	l.broken = true
	if l.o.Serves {
		l.stopped = err
		return
	}
	l.Stop(err)
}

// Wait blocks until something happened, wake was signalled or the time has come, and takes in all that happened, in the same
// order each time. It returns at once when ctx has ended, and stops the loop.
func (l *Loop) Wait(ctx context.Context, wake <-chan struct{}, until time.Time) {
	interrupt := ctx.Done()
	if l.stopped != nil {
		interrupt = nil
	}
	l.alarms.until = until
	l.alarms.arm()
	rang, written, interrupted := false, false, false
	select {
	case x := <-l.done:
		l.now = l.clock.Now()
		l.complete(x)
	case <-l.alarms.wake:
		rang = true
	case <-l.lines.written:
		written = true
	case <-wake:
	case <-interrupt:
		interrupted = true
	}
	l.now = l.clock.Now()
	for more := true; more; {
		select {
		case x := <-l.done:
			l.complete(x)
		default:
			more = false
		}
	}
	if rang || signalled(l.alarms.wake) {
		l.alarms.stop()
	}
	if written || signalled(l.lines.written) {
		l.alarms.set(l.now.Add(time.Second), func() { l.lines.due = true })
	}
	if interrupted || signalled(interrupt) {
		l.Stop(ErrInterrupted)
	}
	signalled(wake) // what follows looks at all that it may stand for
	l.alarms.ring(l.now)
	l.settle()
}

// signalled takes a signal, if there is one.
func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Stop lets nothing more start and cancels what runs in this process.
func (l *Loop) Stop(why error) {
	if l.stopped == nil || errors.Is(l.stopped, ErrInterrupted) {
		l.stopped = why
	}
	for _, x := range l.executions() {
		if !x.remote {
			l.cancel(x, ErrInterrupted)
		}
	}
}

// Drain lets nothing more start; what runs goes on until Stop.
func (l *Loop) Drain() {
	if l.stopped == nil {
		l.stopped = ErrInterrupted
	}
}

// Close is called when the loop is used no more. Executions that end later find nobody; the ledger is asked no more.
func (l *Loop) Close() {
	l.alarms.stop()
	close(l.quit)
	for x := range l.under {
		if x.quiet != nil {
			x.quiet()
		}
	}
	l.asking.Wait()
	l.lines.leave(l.o.Stray)
}

// deliver hands in what an execution came to; false when the loop is closed. What was handed in to a loop that closes
// before it has recorded it is lost: whoever handed it in keeps it until then.
func (l *Loop) deliver(x *execution) func(Ended) bool {
	return func(e Ended) bool {
		select {
		case <-l.quit:
			return false
		default:
		}
		select {
		case l.done <- ended{x, e}:
			return true
		case <-l.quit:
			return false
		}
	}
}

// Now is the time of the present step.
func (l *Loop) Now() time.Time { return l.now }

// wind leaves what waited for a worker in a state that tells so, and gives the error that the loop ends with.
func (l *Loop) wind(ctx context.Context) error {
	if l.broken {
		return l.stopped
	}
	for _, lane := range l.lanes {
		for _, r := range lane.runs {
			for i := range r.cells {
				if r.opened && r.cells[i].State == run.Queued && r.nodes[i].selected {
					l.move(r, i, run.EventInterrupted, "interrupted before it started")
				}
			}
		}
	}
	if err := l.record(ctx); err != nil || errors.Is(l.stopped, ErrInterrupted) {
		return err
	}
	return l.stopped
}

// dispatch gives free workers what is ready, and opens further runs while there is nothing ready for them.
func (l *Loop) dispatch() {
	for l.crew.Idle() {
		if u, worker, ok := l.next(); ok {
			l.claim(u, worker)
		} else if !l.openNext() {
			return
		}
	}
}

// openNext opens the next group of runs of the first lane that may, and has nothing ready.
func (l *Loop) openNext() bool {
	for _, lane := range l.lanes {
		at := lane.turn()
		if at < 0 || lane.waiting > 0 || lane.paused(lane.groups[at].runs[0].Pipeline) {
			continue
		}
		g := lane.groups[at]
		lane.groups = slices.Delete(lane.groups, at, at+1)
		lane.active++
		g.open = len(g.runs)
		g.count()
		for _, r := range g.runs {
			l.open(r)
		}
		for i := range g.waiting {
			l.release(g, i)
		}
		l.settle()
		return true
	}
	return false
}

// turn gives the place of the group that is opened next, -1 when none is. Where the bound is reached, it is one that an open run
// may wait for because it depends on its past: that run would hold the place for ever.
func (l *Lane) turn() int {
	if len(l.groups) > 0 && l.active < l.limit() {
		return 0
	}
	return slices.IndexFunc(l.groups, func(g *group) bool {
		last := g.runs[len(g.runs)-1]
		return last.future != nil && last.future.opened && last.flow.past
	})
}

// open puts a run in motion: what waits is decided, what was ready or waited for a retry goes on.
func (l *Loop) open(r *runState) {
	r.opened = true
	if r.State == run.Queued {
		l.moveRun(r, run.EventStarted, "")
	}
	l.limit(r)
	for i := range r.nodes {
		l.resume(r, i)
	}
	if r.open == 0 {
		l.endRun(r)
	}
}

// limit has a run end that takes too long from now on.
func (l *Loop) limit(r *runState) {
	if limit := r.flow.pipeline.RunTimeout; limit > 0 {
		limit *= time.Duration(len(r.group.runs))
		r.limit = l.alarms.set(l.now.Add(limit), func() { l.timeOutRun(r, limit) })
	}
}

// holds reports whether what let task i start still holds.
func (l *Loop) holds(r *runState, i int) bool {
	return r.nodes[i].parent >= 0 || r.cells[i].tally.Verdict(rule(r.nodes[i])) == run.VerdictRun && l.pastOf(r, i).Verdict == run.VerdictRun
}

// resume puts one task run of an opened run in motion.
func (l *Loop) resume(r *runState, i int) {
	n, c := r.nodes[i], &r.cells[i]
	if !n.selected || !c.present || c.State.Ended() || c.State == run.Running {
		return
	}
	switch {
	case c.State == run.Deferred && n.task.Map != nil && n.parent < 0:
		if c.kids == 0 {
			l.finishItems(r, i)
		}
	case c.State != run.Scheduled && !l.holds(r, i):
		l.move(r, i, run.EventInterrupted, "a task before it was cleared")
		l.unsettle = append(l.unsettle, place{r, i})
	case c.State == run.Queued:
		l.enqueue(r, i)
	case c.State == run.UpForRetry:
		c.alone = true
		l.retryAt(r, i, c.NotBefore)
	case c.State == run.Deferred:
		l.lookAt(r, i, l.now)
	default:
		l.unsettle = append(l.unsettle, place{r, i})
	}
}
