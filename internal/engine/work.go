package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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
	ended  bool
	aside  bool              // a look of a deferred task, which takes no worker
	amend  func(r *runState) // what somebody wants of its task runs, whatever it comes to
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
	l.under[x] = true
	for _, r := range x.runs {
		r.busy++
	}
	if !x.aside {
		l.occupy(x.unit, 1)
	}
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
		l.alarms.set(l.now.Add(limit), func() {
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
	if !x.aside {
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
		if r.cells[i].State != run.Deferred || l.stopped != nil || l.looked(r, i) {
			return
		}
		x := &execution{unit: unit{[]*runState{r}, r.nodes[i]}, aside: true}
		x.work = l.workOf(x.unit)
		l.take(x)
		l.starts = append(l.starts, x)
	}
	if !at.After(l.now) {
		look()
		return
	}
	l.alarms.set(at, look)
}

// looked reports whether a deferred task is looking just now.
func (l *Loop) looked(r *runState, i int) bool {
	for x := range l.under {
		if x.aside && x.runs[0] == r && x.node.index == i {
			return true
		}
	}
	return false
}

// complete takes in what an execution came to.
func (l *Loop) complete(done ended) {
	x, e := done.x, done.e
	if x.ended {
		return
	}
	x.ended = true
	delete(l.under, x)
	if !x.aside {
		l.occupy(x.unit, -1)
		l.crew.Release(x.worker, x.work)
	}
	interrupted := errors.Is(context.Cause(x.ctx), ErrInterrupted) || errors.Is(e.Err, ErrInterrupted)
	x.cancel(nil)
	if e.Doubt != nil {
		l.Stop(diag.Finding{Summary: "The warehouse does not say whether a task has committed", Cause: e.Doubt,
			Detail: fmt.Sprintf("%s of %s ended with: %v. Its ledger then answered: %v", x.node.name, x.runs[0].ID, e.Err, e.Doubt),
			Fix:    "Make sure that the warehouse works and run the same command again: the task continues only if it had not committed."})
		return
	}
	fellApart := false
	for k, r := range x.runs {
		r.busy--
		c := &r.cells[x.node.index]
		result, committed := e.Committed[x.work.Claims[k]]
		if e.Taken != nil {
			c.taken = e.Taken[k]
		}
		switch {
		case x.amend != nil:
			x.amend(r)
		case e.Err == nil:
			l.settleOne(x, k, e)
		case committed:
			c.Result = result
			l.move(r, x.node.index, run.EventSucceeded, "it had committed before it ended with: "+e.Err.Error())
			l.wrote(r, x.node)
		case errors.Is(e.Err, errLost):
			l.move(r, x.node.index, run.EventRecovered, gone)
			if r.opened {
				l.enqueue(r, x.node.index)
			}
		case interrupted && x.aside: // it stays deferred: the next process looks again
		case interrupted:
			l.move(r, x.node.index, run.EventInterrupted, "interrupted")
		case r.timedOut:
			l.move(r, x.node.index, run.EventRunTimedOut, r.Reason)
		case len(x.runs) > 1:
			fellApart = true
			l.move(r, x.node.index, run.EventSplit, "failed together with other intervals, now alone: "+e.Err.Error())
		default:
			l.failAttempt(r, x, e.Err)
		}
	}
	if fellApart {
		l.split(x, e.Err)
	}
	for _, r := range x.runs {
		if x.amend != nil {
			l.reconsider(r)
		}
		l.calm(r)
	}
}

// calm does what waited until no execution of a run is under way.
func (l *Loop) calm(r *runState) {
	if r.busy > 0 {
		return
	}
	after := r.after
	r.after = nil
	for _, do := range after {
		do()
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
	case o.Again > 0 && r.timedOut:
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

// wrote records that a task run has written its table, where somebody waits for that.
func (l *Loop) wrote(r *runState, n *node) {
	table := n.task.Into()
	waited := slices.Contains(l.opts.Datasets, table)
	if l.o.Wrote != nil {
		waited = l.o.Wrote(table)
	}
	if table != "" && waited {
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
			l.enqueue(r, x.node.index)
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

// adopt takes over an execution that an earlier loop has started on a worker that goes on.
func (l *Loop) adopt(ctx context.Context, u unit, worker string) {
	x := &execution{unit: u, worker: worker, work: l.workOf(u)}
	l.take(x)
	l.watch(ctx, x)
	l.crew.Start(x.ctx, worker, x.work, l.deliver(x))
}
