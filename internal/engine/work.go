package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/run"
)

// execution is a unit that a worker has. Its goroutine writes the lower fields before it sends it to done.
type execution struct {
	unit
	work   Work
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  bool

	outcome   Outcome
	err       error                         // what the executor said
	committed map[run.Claim]json.RawMessage // what the ledger says of it, when err is set
	taken     []int                         // for each run, the last attempt that is not free, when some have not committed
	doubt     error                         // the ledger does not answer: nobody knows whether it committed
	results   []json.RawMessage
}

// claim records a unit's task runs as running, each with a new attempt and token.
func (d *drive) claim(u unit) {
	x := &execution{unit: u, work: Work{Pipeline: d.plan.Pipeline, Task: u.node.task, Start: u.runs[0].Start,
		End: u.runs[len(u.runs)-1].End}}
	reason := ""
	if len(u.runs) > 1 {
		reason = fmt.Sprintf("one execution for %d intervals, %s to %s", len(u.runs), u.runs[0].ID, u.runs[len(u.runs)-1].ID)
	}
	for _, r := range u.runs {
		c := &r.cells[u.node.index]
		c.Attempt = max(c.Attempt, c.taken) + 1
		c.Token++
		c.alone = len(u.runs) == 1
		d.move(r, u.node.index, run.EventStarted, reason)
		x.work.Runs = append(x.work.Runs, r.Run)
		x.work.Claims = append(x.work.Claims, run.Claim{RunID: r.ID, Task: c.Task, Attempt: c.Attempt})
	}
	x.work.Log = &logger{d.lines, x.work.Claims[0], d.clock}
	for _, claim := range x.work.Claims[1:] {
		d.lines.add(run.LogLine{Claim: claim, At: d.now, Level: "info",
			Text: fmt.Sprintf("%s: its lines are with %s.", reason, u.runs[0].ID)})
	}
	d.starts = append(d.starts, x)
}

// start hands an execution, whose attempts are recorded, to a worker.
func (d *drive) start(ctx context.Context, x *execution) {
	d.working++
	d.under[x] = true
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	if limit := x.node.task.Timeout; limit > 0 {
		limit *= time.Duration(len(x.runs))
		d.alarms.set(d.now.Add(limit), func() {
			if !x.ended {
				x.cancel(&timeoutError{limit})
			}
		})
	}
	d.workers.Go(func() {
		d.execute(x)
		d.done <- x
	})
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

// execute runs on a worker: the executor, and where that fails the question whether it had committed before.
func (d *drive) execute(x *execution) {
	x.outcome, x.err = d.call(x)
	if x.err == nil {
		x.results = encode(x)
		return
	}
	if cause := context.Cause(x.ctx); cause != nil && !errors.Is(x.err, cause) {
		x.err = fmt.Errorf("%w: %w", cause, x.err)
	}
	ctx := context.WithoutCancel(x.ctx)
	if x.committed, x.doubt = d.ask(ctx, x.work.Claims); x.doubt == nil && len(x.committed) < len(x.work.Claims) {
		x.taken, x.doubt = d.lastTaken(ctx, x.work.Claims)
	}
}

// call runs the executor and turns a panic into an error that names the task's place.
func (d *drive) call(x *execution) (outcome Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.work.Log.Errorf("panic: %v\n%s", p, debug.Stack())
			err = diag.Finding{At: x.node.task.At, Summary: fmt.Sprintf("Task %s panicked", x.node.task.Name),
				Detail: fmt.Sprint(p), Fix: "This is a mistake in the program, not in the project: please report it with the task's log."}
		}
	}()
	return d.executors[x.node.task.Kind].Execute(x.ctx, x.work)
}

// encode gives the outcome's results as JSON, one for each run. The work is committed: a result that has no JSON is
// noted and does not undo it.
func encode(x *execution) []json.RawMessage {
	results := make([]json.RawMessage, len(x.runs))
	for k := range results {
		value := x.outcome.Result
		if len(x.outcome.Each) == len(x.runs) {
			value = x.outcome.Each[k]
		}
		if value == nil {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			x.work.Log.Warnf("the task's result cannot be kept: %v", err)
			continue
		}
		results[k] = text
	}
	return results
}

// ask asks the ledger, several times when it does not answer, since a wrong guess would run a committed task again.
func (d *drive) ask(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	for delay := 250 * time.Millisecond; ; delay *= 2 {
		committed, err := d.ledger.Committed(ctx, claims)
		if err == nil {
			return committed, nil
		}
		if delay > 4*time.Second || d.clock.Sleep(ctx, delay) != nil {
			return nil, err
		}
	}
}

// complete takes in what an execution came to.
func (d *drive) complete(x *execution) {
	d.working--
	x.ended = true
	delete(d.under, x)
	interrupted := errors.Is(context.Cause(x.ctx), errInterrupted)
	x.cancel(nil)
	if x.doubt != nil {
		d.stop(diag.Finding{Summary: "The warehouse does not say whether a task has committed", Cause: x.doubt,
			Detail: fmt.Sprintf("%s of %s ended with: %v. Its ledger then answered: %v", x.node.task.Name, x.runs[0].ID, x.err, x.doubt),
			Fix:    "Make sure that the warehouse works and run the same command again: the task continues only if it had not committed."})
		return
	}
	fellApart := false
	for k, r := range x.runs {
		c := &r.cells[x.node.index]
		result, committed := x.committed[x.work.Claims[k]]
		if x.taken != nil {
			c.taken = x.taken[k]
		}
		switch {
		case x.err == nil && x.outcome.Skip != "":
			c.Result = x.results[k]
			d.move(r, x.node.index, run.EventSkipped, x.outcome.Skip)
		case x.err == nil:
			c.Result = x.results[k]
			d.move(r, x.node.index, run.EventSucceeded, "")
		case committed:
			c.Result = result
			d.move(r, x.node.index, run.EventSucceeded, "it had committed before it ended with: "+x.err.Error())
		case interrupted:
			d.move(r, x.node.index, run.EventInterrupted, "interrupted")
		case r.timedOut:
			d.move(r, x.node.index, run.EventRunTimedOut, r.Reason)
		case len(x.runs) > 1:
			fellApart = true
			d.move(r, x.node.index, run.EventSplit, "failed together with other intervals, now alone: "+x.err.Error())
		default:
			d.failAttempt(r, x)
		}
	}
	if fellApart {
		d.split(x)
	}
}

// split runs the intervals of a batch that failed one by one, so that the one at fault is found. It counts as no attempt
// against the task's retries.
func (d *drive) split(x *execution) {
	d.lines.add(run.LogLine{Claim: x.work.Claims[0], At: d.now, Level: "warn", Text: fmt.Sprintf(
		"The execution for %d intervals failed; each is now run alone to find the one at fault. The error was: %v", len(x.runs), x.err)})
	for _, r := range x.runs {
		if r.cells[x.node.index].State == run.Queued {
			d.enqueue(r, x.node.index)
		}
	}
}

// failAttempt counts a failed attempt and plans the next one, if there is one.
func (d *drive) failAttempt(r *runState, x *execution) {
	i := x.node.index
	c, task := &r.cells[i], x.node.task
	c.Failures++
	claim := x.work.Claims[slices.Index(x.runs, r)]
	say := func(format string, args ...any) {
		d.lines.add(run.LogLine{Claim: claim, At: d.now, Level: "error", Text: fmt.Sprintf(format, args...)})
	}
	if hopeless := (Hopeless{}); c.Failures > task.Retries || errors.As(x.err, &hopeless) {
		say("%v", x.err)
		d.move(r, i, run.EventFailed, x.err.Error())
		return
	}
	policy := run.RetryPolicy{Delay: task.RetryDelay, Backoff: task.RetryBackoff, Max: task.MaxRetryDelay}
	h := fnv.New64a()
	h.Write([]byte(r.ID + "\x00" + task.Name))
	delay := run.RetryDelay(policy, c.Failures, d.opts.Seed^h.Sum64())
	c.NotBefore = d.now.Add(delay)
	say("%v\nFailure %d of at most %d; the next attempt is due at %s.", x.err, c.Failures, task.Retries+1,
		c.NotBefore.UTC().Format(time.DateTime))
	d.move(r, i, run.EventRetried, x.err.Error())
	d.retryAt(r, i, c.NotBefore)
}
