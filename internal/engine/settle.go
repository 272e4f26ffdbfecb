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
func (l *Loop) move(r *runState, i int, event run.Event, reason string) {
	c := &r.cells[i]
	to, err := run.Next(c.State, event)
	if err != nil {
		panic(fmt.Sprintf("engine: %s of %s: %v", c.Task, r.ID, err))
	}
	from := c.State
	c.State, c.Reason = to, reason
	c.stamp(l.now)
	l.batch.Changes = append(l.batch.Changes, run.Change{RunID: r.ID, Task: c.Task, From: from, To: to, Event: event, At: l.now,
		Attempt: c.Attempt, Failures: c.Failures, Token: c.Token, NotBefore: c.NotBefore, Reason: reason, Result: c.Result})
	if !r.nodes[i].selected {
		return
	}
	r.lane.count(from, to)
	if r.group != nil {
		r.group.moved(c, i, from, to)
	}
	if r.opened && from == run.Scheduled && to != run.Queued { // what is queued comes to release by enqueue
		l.release(r.group, i)
	}
	l.tell(r, i, event, to)
	if to.Ended() {
		l.ended(r, i)
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
func (l *Lane) count(from, to run.State) {
	if to == run.Running {
		l.progress.Running++
	}
	if from == run.Running {
		l.progress.Running--
	}
	if !to.Ended() {
		return
	}
	l.progress.TasksEnded++
	switch to {
	case run.Success:
		l.report.Tasks.Success++
	case run.Failed:
		l.progress.TasksFailed++
		l.report.Tasks.Failed++
	case run.UpstreamFailed:
		l.report.Tasks.UpstreamFailed++
	case run.Skipped:
		l.report.Tasks.Skipped++
	case run.Removed:
		l.report.Tasks.Removed++
	}
}

// ended tells the neighbours of a task run that it has ended.
func (l *Loop) ended(r *runState, i int) {
	n := r.nodes[i]
	if n.parent >= 0 {
		l.itemEnded(r, n.parent)
	}
	for _, j := range n.down {
		r.cells[j].tally.Add(r.cells[i].State)
		l.unsettle = append(l.unsettle, place{r, j})
	}
	l.wakeFuture(r)
	if r.group != nil { // opened or not: an earlier loop's execution may end before
		l.nextInTurn(r.group, i)
	}
	if r.open--; r.open == 0 && r.opened && !r.held {
		l.endRun(r)
	}
}

// wakeFuture has the run after r look at its past again.
func (l *Loop) wakeFuture(r *runState) {
	if r.future == nil || !r.future.flow.past {
		return
	}
	for j, n := range r.future.flow.nodes {
		if dependsOnPast(n.task) && r.future.cells[j].State == run.Scheduled {
			l.unsettle = append(l.unsettle, place{r.future, j})
		}
	}
}

// settle decides every task run whose neighbours have changed, until nothing changes any more.
func (l *Loop) settle() {
	for len(l.unsettle) > 0 {
		last := len(l.unsettle) - 1
		p := l.unsettle[last]
		l.unsettle = l.unsettle[:last]
		l.decide(p.r, p.i)
	}
}

// decide queues, skips or fails a task run that waits, when its rule and its past allow a verdict.
func (l *Loop) decide(r *runState, i int) {
	c := &r.cells[i]
	if !r.opened || r.timedOut || !c.present || c.State != run.Scheduled || l.stopped != nil {
		return
	}
	d := l.judge(r, i)
	switch d.Verdict {
	case run.VerdictWait:
		if d.Reason != "" && len(r.group.runs) > 1 && r.past.failed(r.nodes[i].task.Name) {
			l.secede(r)
		}
	case run.VerdictRun:
		l.move(r, i, run.EventQueued, "")
		l.enqueue(r, i)
	case run.VerdictSkip:
		l.move(r, i, run.EventSkipped, d.Reason)
	case run.VerdictUpstreamFailed:
		l.move(r, i, run.EventUpstreamFailed, d.Reason)
	}
}

// judge says what is to be done with a task run that waits: by what stands before it, by what a branch chose, by its past.
func (l *Loop) judge(r *runState, i int) run.Decision {
	n, c := r.nodes[i], &r.cells[i]
	switch {
	case n.parent >= 0:
		return run.Decision{Verdict: run.VerdictRun}
	case c.kids > 0: // of before it was cleared: they end first
		return run.Decision{Verdict: run.VerdictWait}
	}
	switch verdict := c.tally.Verdict(rule(n)); verdict {
	case run.VerdictSkip, run.VerdictUpstreamFailed:
		return run.Decision{Verdict: verdict, Reason: c.tally.Decide(rule(n)).Reason + l.culprits(r, i, verdict)}
	case run.VerdictWait:
		return run.Decision{Verdict: verdict}
	}
	if why := r.passedOver(i); why != "" {
		return run.Decision{Verdict: run.VerdictSkip, Reason: why}
	}
	return l.pastOf(r, i)
}

// culprits names the tasks before task i that made the verdict.
func (l *Loop) culprits(r *runState, i int, verdict run.Verdict) string {
	var names []string
	for _, j := range r.nodes[i].up {
		s := r.cells[j].State
		failed := s == run.Failed || s == run.UpstreamFailed
		if s.Ended() && (verdict == run.VerdictSkip || failed) {
			names = append(names, fmt.Sprintf("%s is %s", r.cells[j].Task, s))
		}
	}
	return " (" + list(names, 3) + ")"
}

// list joins names, the first ones when there are many.
func list(names []string, most int) string {
	slices.Sort(names)
	if len(names) > most {
		names = append(names[:most:most], "…")
	}
	return strings.Join(names, ", ")
}

// pastOf judges a task by the run before. A loop that drives one plan ends: what it does not drive will not move while it
// waits, so that a task which would have to wait for it is upstream_failed instead. A loop that serves waits until somebody
// has mended the past.
func (l *Loop) pastOf(r *runState, i int) run.Decision {
	t := r.nodes[i].task
	if !dependsOnPast(t) || r.past == nil {
		return run.Decision{Verdict: run.VerdictRun}
	}
	decision := run.CanRun(true, r.past.state(t.Name))
	if decision.Verdict == run.VerdictRun && t.WaitForDownstream {
		decision = r.past.downstreamOf(t.Name)
	}
	if decision.Verdict == run.VerdictRun {
		return decision
	}
	decision.Reason += " (" + r.past.ID + ")"
	switch {
	case l.o.Serves:
		decision.Verdict = run.VerdictWait
	case decision.Verdict == run.VerdictWait && r.past.left:
		return run.Decision{Verdict: run.VerdictUpstreamFailed, Reason: decision.Reason + ", which is not part of what runs now"}
	}
	return decision
}

// failed reports whether a task, or one that comes directly after it, has failed in this run.
func (r *runState) failed(task string) bool {
	bad := func(s run.State) bool { return s == run.Failed || s == run.UpstreamFailed }
	i, ok := r.flow.place[task]
	return ok && (bad(r.cells[i].State) || slices.ContainsFunc(r.flow.nodes[i].children, func(j int) bool { return bad(r.cells[j].State) }))
}

// downstreamOf judges a task of the next run by those that come directly after it in this one.
func (r *runState) downstreamOf(task string) run.Decision {
	i, ok := r.flow.place[task]
	if !ok {
		return run.Decision{Verdict: run.VerdictRun}
	}
	for _, j := range r.flow.nodes[i].children {
		if d := run.CanRun(true, r.cells[j].State); d.Verdict != run.VerdictRun {
			d.Reason = fmt.Sprintf("wait_for_downstream: %s is %s in the run before", r.flow.nodes[j].name, r.cells[j].State)
			return d
		}
	}
	return run.Decision{Verdict: run.VerdictRun}
}

// endRun ends a run whose selected tasks have all ended, unless others of its tasks are open, and closes its group with
// the last.
func (l *Loop) endRun(r *runState) {
	leaves, failed, open := r.leaves()
	switch {
	case r.timedOut:
		l.moveRun(r, run.EventRunTimedOut, r.Reason)
	case open:
	case run.Outcome(leaves) == run.Success:
		l.moveRun(r, run.EventSucceeded, "")
	case len(failed) == 0:
		l.moveRun(r, run.EventFailed, "tasks could not run because of runs before")
	default:
		l.moveRun(r, run.EventFailed, "failed: "+strings.Join(failed, ", "))
	}
	l.leave(r)
}

// leave lets go of a run: its group is done with it, and it is in the way of nothing any more.
func (l *Loop) leave(r *runState) {
	r.past = nil
	l.alarms.drop(r.limit)
	if l.book[r.ID] == r {
		delete(l.book, r.ID)
	}
	if !r.lane.keeps {
		if at := slices.Index(r.lane.runs, r); at >= 0 {
			r.lane.runs = slices.Delete(r.lane.runs, at, at+1)
		}
	}
	if r.group.open--; r.group.open == 0 {
		r.lane.active--
	}
}

// leaves gives the states of the tasks that none comes after, and the names of those that failed; open reports whether some
// task run has not ended.
func (r *runState) leaves() (leaves []run.State, failed []string, open bool) {
	for i, n := range r.nodes {
		c := &r.cells[i]
		if !c.present {
			continue
		}
		open = open || !c.State.Ended()
		if c.State == run.Failed && n.parent < 0 {
			failed = append(failed, c.Task)
		}
		leaf := n.parent < 0
		for _, j := range n.children {
			leaf = leaf && !r.cells[j].present
		}
		if leaf {
			leaves = append(leaves, c.State)
		}
	}
	return leaves, failed, open
}

// moveRun takes a run through an event.
func (l *Loop) moveRun(r *runState, event run.Event, reason string) {
	to, err := run.NextRun(r.State, event)
	if err != nil {
		panic(fmt.Sprintf("engine: %s: %v", r.ID, err))
	}
	change := run.Change{RunID: r.ID, From: r.State, To: to, Event: event, At: l.now, Reason: reason}
	if event == run.EventCleared {
		change.Version = r.flow.pipeline.Version
		r.Version = change.Version
	}
	r.State, r.Reason = to, reason
	l.batch.Changes = append(l.batch.Changes, change)
	if to.Ended() {
		r.Ended = l.now
		r.lane.progress.RunsEnded++
		if to == run.Failed {
			r.lane.progress.RunsFailed++
		}
		l.tellRun(RunEnded, r)
		if l.o.Ended != nil {
			l.o.Ended(r.Run)
		}
	} else if to == run.Running {
		r.Started = l.now
		l.tellRun(RunStarted, r)
	}
}

// timeOutRun ends what is open of a run that takes too long: what runs is cancelled and ends with its execution, the rest
// ends now.
func (l *Loop) timeOutRun(r *runState, limit time.Duration) {
	if r.open == 0 || l.stopped != nil || r.State != run.Running {
		return
	}
	r.timedOut = true
	r.Reason = "the run timed out after " + inWords(limit)
	for i := range r.cells {
		if x := r.cells[i].x; x != nil {
			l.cancel(x, errors.New(r.Reason))
		}
	}
	for i := range r.nodes {
		if s := r.cells[i].State; r.nodes[i].selected && r.cells[i].present && !s.Ended() && s != run.Running && r.cells[i].x == nil {
			l.move(r, i, run.EventRunTimedOut, r.Reason)
		}
	}
}
