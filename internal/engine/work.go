package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/store"
)

// execution is a unit that a worker has.
type execution struct {
	unit
	worker string
	work   Work
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  *alarm // its time-out
	order  int
	ended  bool
	aside  bool   // it takes no worker: a look of a deferred task, or a question to the ledger
	remote bool   // what it comes to is told by Finish
	asked  bool   // its worker is gone, and the ledger is being asked
	quiet  func() // ends that question
	split  bool   // it was one for several intervals, of which the ledger is asked one by one
	// amends is what somebody wants of its task runs, whatever it comes to.
	amends map[*runState]func()
}

// claim records a unit's task runs as running, each with a new attempt and token.
func (l *Loop) claim(u unit, worker string) {
	x := &execution{unit: u, worker: worker}
	reason := ""
	if len(u.runs) > 1 {
		reason = fmt.Sprintf("one execution for %d intervals, %s to %s", len(u.runs), u.runs[0].ID, u.runs[len(u.runs)-1].ID)
	}
	for _, r := range u.runs {
		c := &r.cells[u.node.index]
		c.Attempt = max(c.Attempt, c.taken) + 1
		c.Token++
		c.alone = len(u.runs) == 1
		if u.node.task.Map != nil && u.node.item == nil {
			c.Result = nil
		}
		l.move(r, u.node.index, run.EventStarted, reason)
	}
	x.work = l.workOf(u)
	for _, claim := range x.work.Claims[1:] {
		l.lines.add(run.LogLine{Claim: claim, At: l.now, Level: "info",
			Text: fmt.Sprintf("%s: its lines are with %s.", reason, u.runs[0].ID)})
	}
	message, err := l.crew.Take(worker, x.work)
	if err != nil {
		panic(fmt.Sprintf("engine: %s of %s cannot be told to a worker: %v", u.node.name, u.runs[0].ID, err))
	}
	if message != nil {
		x.remote = true
		l.batch.Send = append(l.batch.Send, *message)
	}
	l.take(x)
	l.starts = append(l.starts, x)
}

// workOf describes a unit whose attempts have their numbers.
func (l *Loop) workOf(u unit) Work {
	w := Work{Pipeline: u.runs[0].flow.pipeline, Task: u.node.task, Start: u.runs[0].Start, End: u.runs[len(u.runs)-1].End,
		Item: u.node.item, Mapped: u.node.task.Map != nil && u.node.item == nil}
	for _, r := range u.runs {
		w.Runs = append(w.Runs, r.Run)
		c := &r.cells[u.node.index]
		w.Claims = append(w.Claims, run.Claim{RunID: r.ID, Task: c.Task, Attempt: c.Attempt})
	}
	w.Since = u.runs[0].cells[u.node.index].Started
	w.Log = &logger{l.lines, w.Claims[0], l.clock}
	return w
}

// take notes that an execution is under way.
func (l *Loop) take(x *execution) {
	l.order++
	x.order = l.order
	l.under[x] = true
	if !x.remote {
		l.local++
	}
	for _, r := range x.runs {
		r.cells[x.node.index].x = x
	}
	if !x.aside {
		l.occupy(x.unit, 1)
	}
}

// executions lists what is under way, first taken first.
func (l *Loop) executions() []*execution {
	return slices.SortedFunc(maps.Keys(l.under), func(a, b *execution) int { return cmp.Compare(a.order, b.order) })
}

// start hands an execution, whose attempts are recorded, to its worker.
func (l *Loop) start(ctx context.Context, x *execution) {
	l.watch(ctx, x)
	if x.aside {
		l.crew.Look(x.ctx, x.work, l.deliver(x))
		return
	}
	l.crew.Start(x.ctx, x.worker, x.work, l.deliver(x))
}

// watch gives an execution its context and its time-out.
func (l *Loop) watch(ctx context.Context, x *execution) {
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	if limit := x.node.task.Timeout; limit > 0 {
		limit *= time.Duration(len(x.runs))
		x.limit = l.alarms.set(l.now.Add(limit), func() {
			if !x.ended {
				l.cancel(x, &timeoutError{limit})
			}
		})
	}
}

// cancel ends an execution's context, wherever it is executed.
func (l *Loop) cancel(x *execution, cause error) {
	if x.cancel == nil || x.ctx.Err() != nil { // not started yet, or cancelled before
		return
	}
	x.cancel(cause)
	if !x.aside && (x.worker != nobody || !x.remote) {
		l.crew.Cancel(x.worker, x.work, cause)
	}
}

// timeoutError is why an attempt was cancelled that took too long.
type timeoutError struct{ limit time.Duration }

func (e *timeoutError) Error() string { return "timed out after " + inWords(e.limit) }

// inWords writes a duration without zero parts: 5m, not 5m0s.
func inWords(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// lookAt has a deferred task look again, at a time, whether what it waits for has come.
func (l *Loop) lookAt(r *runState, i int, at time.Time) {
	look := func() {
		if r.cells[i].State != run.Deferred || l.stopped != nil || r.cells[i].x != nil {
			return
		}
		x := &execution{unit: unit{[]*runState{r}, r.nodes[i]}, aside: true}
		x.work = l.workOf(x.unit)
		x.work.Look = true
		l.take(x)
		l.starts = append(l.starts, x)
	}
	if !at.After(l.now) {
		look()
		return
	}
	l.alarms.set(at, look)
}

// complete takes in what an execution came to.
func (l *Loop) complete(done ended) {
	x, e := done.x, done.e
	if x.ended {
		return
	}
	interrupted := errors.Is(context.Cause(x.ctx), ErrInterrupted) || errors.Is(e.Err, ErrInterrupted) || len(x.amends) > 0
	l.let(x)
	if e.Doubt != nil {
		l.Stop(diag.Finding{Summary: "The warehouse does not say whether a task has committed", Cause: e.Doubt,
			Detail: fmt.Sprintf("%s of %s ended with: %v. Its ledger then answered: %v", x.node.name, x.runs[0].ID, e.Err, e.Doubt),
			Fix:    "Make sure that the warehouse works and run the same command again: the task continues only if it had not committed."})
		return
	}
	if e.Err != nil && len(x.runs) > 1 && len(e.Committed) < len(x.runs) && !interrupted && !errors.Is(e.Err, errLost) {
		x.split = true
	}
	for k, r := range x.runs {
		if change := x.amends[r]; change != nil {
			change()
			continue
		}
		l.settleRun(x, k, e, interrupted)
	}
	if x.split {
		l.split(x, e.Err)
	}
	for _, r := range x.runs {
		if x.amends[r] != nil {
			l.reconsider(r)
		}
	}
}

// let lets go of an execution that has ended.
func (l *Loop) let(x *execution) {
	x.ended = true
	delete(l.under, x)
	if !x.remote {
		l.local--
	}
	if !x.aside {
		l.occupy(x.unit, -1)
		l.crew.Release(x.worker, x.work)
	}
	for _, r := range x.runs {
		r.cells[x.node.index].x = nil
	}
	l.alarms.drop(x.limit)
	x.cancel(nil)
	if x.quiet != nil {
		x.quiet()
	}
}

// settleRun takes in what an execution came to for its kth run.
func (l *Loop) settleRun(x *execution, k int, e Ended, interrupted bool) {
	r, i := x.runs[k], x.node.index
	c := &r.cells[i]
	result, committed := e.Committed[x.work.Claims[k]]
	if e.Taken != nil {
		c.taken = e.Taken[k]
	}
	switch {
	case e.Err == nil:
		l.settleOne(x, k, e)
	case committed:
		c.Result = result
		l.move(r, i, run.EventSucceeded, "it had committed before it ended with: "+e.Err.Error())
		l.wrote(r, x.node)
	case r.timedOut:
		l.move(r, i, run.EventRunTimedOut, r.Reason)
	case errors.Is(e.Err, errLost):
		l.move(r, i, run.EventRecovered, gone)
		l.requeue(r, i)
	case interrupted && c.State == run.Deferred: // it stays so: the next process looks again
	case interrupted:
		l.move(r, i, run.EventInterrupted, "interrupted")
		l.unsettle = append(l.unsettle, place{r, i}) // its process ended, or another of its intervals was changed: it starts anew
	case x.split:
		l.move(r, i, run.EventSplit, "failed together with other intervals, now alone: "+e.Err.Error())
		c.alone = true
	default:
		l.failAttempt(r, x, e.Err)
	}
}

// requeue has a task run that was executed before start again, unless what let it start does not hold any more.
func (l *Loop) requeue(r *runState, i int) {
	switch {
	case !r.opened: // later: see resume
	case l.holds(r, i):
		l.enqueue(r, i)
	default:
		l.move(r, i, run.EventInterrupted, "a task before it was changed by hand")
		l.unsettle = append(l.unsettle, place{r, i})
	}
}

// settleOne takes in an execution that did not fail, for its kth run.
func (l *Loop) settleOne(x *execution, k int, e Ended) {
	r, i := x.runs[k], x.node.index
	c := &r.cells[i]
	if len(e.Results) > k {
		c.Result = e.Results[k]
	}
	switch o := e.Outcome; {
	case o.Skip != "":
		l.move(r, i, run.EventSkipped, o.Skip)
	case (o.Again > 0 || o.Items != nil) && r.timedOut:
		l.move(r, i, run.EventRunTimedOut, r.Reason)
	case o.Again > 0 && x.aside:
		c.Reason = o.Waits
		l.lookAt(r, i, l.now.Add(o.Again))
	case o.Again > 0:
		l.move(r, i, run.EventDeferred, o.Waits)
		l.lookAt(r, i, l.now.Add(o.Again))
	case o.Items != nil:
		l.expand(r, i, o.Items)
	default:
		l.move(r, i, run.EventSucceeded, "")
		l.wrote(r, x.node)
	}
}

// wrote records that a task run has written its table, where somebody waits for that; a mapped task has with the last of its
// items.
func (l *Loop) wrote(r *runState, n *node) {
	table := n.task.Into()
	waited := slices.Contains(l.opts.Datasets, table)
	if l.o.Wrote != nil {
		waited = l.o.Wrote(table)
	}
	if table != "" && waited && n.parent < 0 {
		l.batch.Updates = append(l.batch.Updates, store.DatasetUpdate{Dataset: table, RunID: r.ID, Task: n.name, Start: r.Start, End: r.End, At: l.now})
	}
}

// split runs the intervals of a batch that failed one by one, so that the one at fault is found. It counts as no attempt
// against the task's retries.
func (l *Loop) split(x *execution, err error) {
	l.lines.add(run.LogLine{Claim: x.work.Claims[0], At: l.now, Level: "warn", Text: fmt.Sprintf(
		"The execution for %d intervals failed; each is now run alone to find the one at fault. The error was: %v", len(x.runs), err)})
	for _, r := range x.runs {
		if r.cells[x.node.index].State == run.Queued {
			l.requeue(r, x.node.index)
		}
	}
}

// failAttempt counts a failed attempt and plans the next one, if there is one.
func (l *Loop) failAttempt(r *runState, x *execution, err error) {
	i := x.node.index
	c, task := &r.cells[i], x.node.task
	c.Failures++
	claim := x.work.Claims[slices.Index(x.runs, r)]
	say := func(format string, args ...any) {
		l.lines.add(run.LogLine{Claim: claim, At: l.now, Level: "error", Text: fmt.Sprintf(format, args...)})
	}
	if hopeless := (Hopeless{}); c.Failures > task.Retries || errors.As(err, &hopeless) {
		say("%v", err)
		l.move(r, i, run.EventFailed, err.Error())
		return
	}
	policy := run.RetryPolicy{Delay: task.RetryDelay, Backoff: task.RetryBackoff, Max: task.MaxRetryDelay}
	h := fnv.New64a()
	h.Write([]byte(r.ID + "\x00" + x.node.name))
	delay := run.RetryDelay(policy, c.Failures, l.opts.Seed^h.Sum64())
	c.NotBefore = l.now.Add(delay)
	say("%v\nFailure %d of at most %d; the next attempt is due at %s.", err, c.Failures, task.Retries+1,
		c.NotBefore.UTC().Format(time.DateTime))
	l.move(r, i, run.EventRetried, err.Error())
	l.retryAt(r, i, c.NotBefore)
}

// nobody is the worker of an execution that an earlier loop has started and that no worker has told of yet.
const nobody = ""

// adopt takes over an execution that an earlier loop has started.
func (l *Loop) adopt(ctx context.Context, u unit, worker string) *execution {
	x := &execution{unit: u, worker: worker, work: l.workOf(u), remote: true}
	l.take(x)
	l.watch(ctx, x)
	return x
}
