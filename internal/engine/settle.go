package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"damson/internal/run"
)

// rule is a task's trigger rule; package run takes the empty one for all_success.
func rule(n *node) run.TriggerRule { return run.TriggerRule(n.task.TriggerRule) }

// move takes a task run through an event, here and in the changes to record. The caller has set what else changes.
func (d *drive) move(r *runState, i int, event run.Event, reason string) {
	c := &r.cells[i]
	to, err := run.Next(c.State, event)
	if err != nil {
		panic(fmt.Sprintf("engine: %s of %s: %v", c.Task, r.ID, err))
	}
	from := c.State
	c.State, c.Reason = to, reason
	c.stamp(d.now)
	d.changes = append(d.changes, run.Change{RunID: r.ID, Task: c.Task, From: from, To: to, Event: event, At: d.now,
		Attempt: c.Attempt, Failures: c.Failures, Token: c.Token, NotBefore: c.NotBefore, Reason: reason, Result: c.Result})
	if !d.nodes[i].selected {
		return
	}
	d.count(from, to)
	if r.opened {
		r.group.moved(i, from, to)
		if from == run.Scheduled && to != run.Queued { // what is queued comes to release by enqueue
			d.release(r.group, i)
		}
	}
	d.tell(r, i, event, to)
	if to.Ended() {
		d.ended(r, i)
	}
}

// stamp keeps the times as the store does: they follow from the state.
func (c *cell) stamp(now time.Time) {
	switch {
	case c.State == run.Queued:
		c.Queued = now
	case c.State == run.Running:
		c.Started, c.Ended = now, time.Time{}
	case c.State == run.UpForRetry || c.State.Ended():
		c.Ended = now
	}
}

// count keeps the progress and the report's numbers.
func (d *drive) count(from, to run.State) {
	if to == run.Running {
		d.progress.Running++
	}
	if from == run.Running {
		d.progress.Running--
	}
	if !to.Ended() {
		return
	}
	d.progress.TasksEnded++
	switch to {
	case run.Success:
		d.report.Tasks.Success++
	case run.Failed:
		d.progress.TasksFailed++
		d.report.Tasks.Failed++
	case run.UpstreamFailed:
		d.report.Tasks.UpstreamFailed++
	case run.Skipped:
		d.report.Tasks.Skipped++
	case run.Removed:
		d.report.Tasks.Removed++
	}
}

// ended tells the neighbours of a task run that it has ended.
func (d *drive) ended(r *runState, i int) {
	n := d.nodes[i]
	for _, j := range n.down {
		r.cells[j].tally.Add(r.cells[i].State)
		d.unsettle = append(d.unsettle, place{r, j})
	}
	if n.task.DependsOnPast && r.future != nil {
		d.unsettle = append(d.unsettle, place{r.future, i})
	}
	if r.group != nil && r.opened {
		d.nextInTurn(r.group, i)
	}
	if r.open--; r.open == 0 && r.opened {
		d.endRun(r)
	}
}

// settle decides every task run whose neighbours have changed, until nothing changes any more.
func (d *drive) settle() {
	for len(d.unsettle) > 0 {
		last := len(d.unsettle) - 1
		p := d.unsettle[last]
		d.unsettle = d.unsettle[:last]
		d.decide(p.r, p.i)
	}
}

// decide queues, skips or fails a task run that waits, when its rule and its past allow a verdict.
func (d *drive) decide(r *runState, i int) {
	c := &r.cells[i]
	if !r.opened || r.timedOut || c.State != run.Scheduled || d.stopped != nil {
		return
	}
	verdict, reason := c.tally.Verdict(rule(d.nodes[i])), ""
	switch verdict {
	case run.VerdictRun:
		past := d.pastOf(r, i)
		verdict, reason = past.Verdict, past.Reason
	case run.VerdictSkip, run.VerdictUpstreamFailed:
		reason = c.tally.Decide(rule(d.nodes[i])).Reason + d.culprits(r, i, verdict)
	}
	switch verdict {
	case run.VerdictRun:
		d.move(r, i, run.EventQueued, "")
		d.enqueue(r, i)
	case run.VerdictSkip:
		d.move(r, i, run.EventSkipped, reason)
	case run.VerdictUpstreamFailed:
		d.move(r, i, run.EventUpstreamFailed, reason)
	}
}

// culprits names the tasks before task i that made the verdict.
func (d *drive) culprits(r *runState, i int, verdict run.Verdict) string {
	var names []string
	for _, j := range d.nodes[i].up {
		s := r.cells[j].State
		failed := s == run.Failed || s == run.UpstreamFailed
		if s.Ended() && (verdict == run.VerdictSkip || failed) {
			names = append(names, fmt.Sprintf("%s is %s", r.cells[j].Task, s))
		}
	}
	if len(names) > 3 {
		names = append(names[:3], "…")
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// pastOf judges a task by the run before. What this plan does not drive will not move while it waits, so that a task which
// would have to wait for it is upstream_failed instead: every run ends.
func (d *drive) pastOf(r *runState, i int) run.Decision {
	if !d.nodes[i].task.DependsOnPast || r.past == nil {
		return run.Decision{Verdict: run.VerdictRun}
	}
	decision := run.CanRun(true, r.past.cells[i].State)
	if decision.Verdict == run.VerdictRun {
		return decision
	}
	decision.Reason += " (" + r.past.ID + ")"
	if decision.Verdict == run.VerdictWait && r.past.left {
		return run.Decision{Verdict: run.VerdictUpstreamFailed, Reason: decision.Reason + ", which is not part of what runs now"}
	}
	return decision
}

// endRun ends a run whose selected tasks have all ended, unless others of its tasks are open, and closes its group with
// the last.
func (d *drive) endRun(r *runState) {
	var leaves []run.State
	var failed []string
	open := false
	for i, n := range d.nodes {
		c := &r.cells[i]
		if !c.present {
			continue
		}
		open = open || !c.State.Ended()
		if c.State == run.Failed {
			failed = append(failed, c.Task)
		}
		leaf := true
		for _, j := range n.children {
			leaf = leaf && !r.cells[j].present
		}
		if leaf {
			leaves = append(leaves, c.State)
		}
	}
	switch {
	case r.timedOut:
		d.moveRun(r, run.EventRunTimedOut, r.Reason)
	case open:
	case run.Outcome(leaves) == run.Success:
		d.moveRun(r, run.EventSucceeded, "")
	case len(failed) == 0:
		d.moveRun(r, run.EventFailed, "tasks could not run because of runs before")
	default:
		d.moveRun(r, run.EventFailed, "failed: "+strings.Join(failed, ", "))
	}
	if r.group.open--; r.group.open == 0 {
		d.active--
	}
}

// moveRun takes a run through an event.
func (d *drive) moveRun(r *runState, event run.Event, reason string) {
	to, err := run.NextRun(r.State, event)
	if err != nil {
		panic(fmt.Sprintf("engine: %s: %v", r.ID, err))
	}
	change := run.Change{RunID: r.ID, From: r.State, To: to, Event: event, At: d.now, Reason: reason}
	if event == run.EventCleared {
		change.Version = d.plan.Pipeline.Version
		r.Version = change.Version
	}
	r.State, r.Reason = to, reason
	d.changes = append(d.changes, change)
	if to.Ended() {
		r.Ended = d.now
		d.progress.RunsEnded++
		if to == run.Failed {
			d.progress.RunsFailed++
		}
		d.tellRun(RunEnded, r)
	} else if to == run.Running {
		r.Started = d.now
		d.tellRun(RunStarted, r)
	}
}

// timeOutRun ends what is open of a run that takes too long: what runs is cancelled and ends with its execution, the rest
// ends now.
func (d *drive) timeOutRun(r *runState, limit time.Duration) {
	if r.open == 0 || d.stopped != nil {
		return
	}
	r.timedOut = true
	r.Reason = "the run timed out after " + inWords(limit)
	for x := range d.under {
		if slices.Contains(x.runs, r) {
			x.cancel(errors.New(r.Reason))
		}
	}
	for i := range r.cells {
		if s := r.cells[i].State; d.nodes[i].selected && !s.Ended() && s != run.Running {
			d.move(r, i, run.EventRunTimedOut, r.Reason)
		}
	}
}
