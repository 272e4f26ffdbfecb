package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"damson/internal/run"
	"damson/internal/store"
)

// Drives reports whether the loop drives the run.
func (l *Loop) Drives(runID string) bool { return l.book[runID] != nil }

// DrivesWithin reports whether the loop drives a run of the pipeline with a logical date from the first to the last one.
func (l *Loop) DrivesWithin(pipeline string, first, last time.Time) bool {
	for _, r := range l.book {
		if r.Pipeline == pipeline && !r.Start.Before(first) && !r.Start.After(last) {
			return true
		}
	}
	return false
}

// TaskNames lists the tasks of a driven run.
func (l *Loop) TaskNames(runID string) []string { return l.book[runID].flow.pipeline.TaskNames() }

// CheckTasks refuses names that the driven run's pipeline, in the version that it runs, does not have.
func (l *Loop) CheckTasks(runID string, tasks []string) error {
	f := l.book[runID].flow
	for _, name := range tasks {
		if _, ok := f.place[name]; !ok {
			return unknownTask(f.pipeline, name)
		}
	}
	return nil
}

// Empty ends the runs of a lane that wait to begin: they are failed, so that a later plan can take them up again, and why
// stands with them. What has begun goes on.
func (l *Loop) Empty(lane *Lane, why string) (n int) {
	var begun []*group
	for _, g := range lane.groups {
		if slices.ContainsFunc(g.runs, func(r *runState) bool { return r.State == run.Running }) {
			begun = append(begun, g)
			continue
		}
		for _, r := range g.runs {
			l.giveUp(r, why)
			n++
		}
	}
	lane.groups = begun
	return n
}

// giveUp ends a run that has not been opened, with its task runs.
func (l *Loop) giveUp(r *runState, why string) {
	for i := range r.cells {
		if c := &r.cells[i]; c.present && !c.State.Ended() {
			l.move(r, i, run.EventMarkedFailed, why)
		}
	}
	r.State, r.Reason, r.Ended = run.Failed, why, l.now
	l.batch.Changes = append(l.batch.Changes, run.Change{RunID: r.ID, From: run.Queued, To: run.Failed, Event: run.EventMarkedFailed,
		At: l.now, Reason: why})
	r.past = nil
	delete(l.book, r.ID)
	r.lane.runs = slices.DeleteFunc(r.lane.runs, func(other *runState) bool { return other == r })
}

// clearCell takes a task run of a driven run back to scheduled; its neighbours are told by the caller's recount.
func (l *Loop) clearCell(r *runState, i int, reason string) {
	c := &r.cells[i]
	wasEnded := c.State.Ended()
	c.Failures, c.NotBefore, c.alone = 0, time.Time{}, r.nodes[i].parent >= 0
	if r.nodes[i].task.Map == nil || r.nodes[i].parent >= 0 {
		c.Result = nil
	}
	if wasEnded {
		r.open++
		r.lane.progress.TasksEnded--
		if c.State == run.Failed {
			r.lane.progress.TasksFailed--
		}
	}
	l.move(r, i, run.EventCleared, reason)
	if g := r.group; g != nil && i < len(g.turn) {
		g.turn[i] = min(g.turn[i], r.position)
	}
}

// Clear makes task runs of a driven run run again: those of the named tasks that are more than scheduled. What is being
// executed is cancelled first, and cleared when it has ended. It tells how many task runs it is about.
func (l *Loop) Clear(runID string, tasks []string) (n int) {
	r := l.book[runID]
	r.held = true
	for i, node := range r.flow.nodes {
		c := &r.cells[i]
		if !slices.Contains(tasks, node.name) || !c.present || c.State == run.Scheduled {
			continue
		}
		n++
		l.amend(r, i, func() { l.clearCell(r, i, "cleared by hand") })
	}
	if n > 0 && r.timedOut { // somebody wants it to go on
		r.timedOut = false
		l.alarms.drop(r.limit)
		l.limit(r)
	}
	l.reconsider(r)
	return n
}

// Mark puts task runs of a driven run into a state by hand: run.Success, run.Failed or run.Skipped. What failed only because
// of them, further down, is cleared, unless they are marked failed.
func (l *Loop) Mark(runID string, tasks []string, state run.State) (n int) {
	r, event := l.book[runID], markEvents[state]
	r.held = true
	for i, node := range r.flow.nodes {
		c := &r.cells[i]
		if _, err := run.Next(c.State, event); !slices.Contains(tasks, node.name) || !c.present || err != nil {
			continue
		}
		n++
		l.amend(r, i, func() {
			was := r.cells[i].State
			if _, err := run.Next(was, event); err != nil { // it came to that with the last of its items
				return
			}
			if was.Ended() {
				r.open++ // move counts it as ended again
			}
			l.move(r, i, event, "marked by hand")
		})
	}
	if event != run.EventMarkedFailed {
		for _, name := range r.graph().Scope(tasks, false, true) {
			i := r.flow.place[name]
			if s := r.cells[i].State; !slices.Contains(tasks, name) && (s == run.Failed || s == run.UpstreamFailed) {
				l.clearCell(r, i, "a task before it was marked by hand")
			}
		}
	}
	l.reconsider(r)
	return n
}

// amend changes a task run by hand: at once, or, when it is being executed, once that has been cancelled and has ended.
func (l *Loop) amend(r *runState, i int, change func()) {
	for j, n := range r.nodes { // the items of a mapped task end with it
		if n.parent == i && r.cells[j].present && !r.cells[j].State.Ended() {
			l.amend(r, j, func() { l.move(r, j, run.EventMarkedSkipped, "its task was changed by hand") })
		}
	}
	x := r.cells[i].x
	if x == nil {
		change()
		return
	}
	if x.amends == nil {
		x.amends = map[*runState]func(){}
	}
	x.amends[r] = change
	l.cancel(x, errAmended)
}

// reconsider judges a run anew after some of its task runs were changed by hand.
func (l *Loop) reconsider(r *runState) {
	r.held = false
	if l.book[r.ID] != r { // it has ended with the change
		return
	}
	r.recount()
	for i := range r.nodes {
		c := &r.cells[i]
		if r.opened && r.nodes[i].selected && (c.State == run.Queued || c.State == run.UpForRetry) && !l.holds(r, i) {
			l.move(r, i, run.EventInterrupted, "a task before it was cleared")
		}
		l.unsettle = append(l.unsettle, place{r, i})
	}
	l.settle()
	if r.opened && r.open == 0 && l.book[r.ID] == r {
		l.endRun(r)
	}
}

// graph is the order of the run's tasks.
func (r *runState) graph() run.Graph {
	g := run.Graph{Tasks: r.flow.pipeline.TaskNames(), Upstream: map[string][]string{}}
	for _, t := range r.flow.pipeline.Tasks {
		g.Upstream[t.Name] = t.Upstream
	}
	return g
}

var errAmended = errors.New("somebody changed the task by hand")

// find gives the task run of a claim that stands as running here.
func (l *Loop) find(c run.Claim) (r *runState, i int) {
	if r = l.book[c.RunID]; r == nil {
		return nil, 0
	}
	i = slices.IndexFunc(r.nodes, func(n *node) bool { return n.name == c.Task })
	if i < 0 || r.cells[i].State != run.Running || r.cells[i].Attempt != c.Attempt {
		return nil, 0
	}
	return r, i
}

// Executes reports whether the loop knows by whom the claim is executed.
func (l *Loop) Executes(c run.Claim) bool {
	r, i := l.find(c)
	return r != nil && r.cells[i].x != nil && !r.cells[i].x.unknown()
}

// unknown reports whether no worker has told of the execution yet.
func (x *execution) unknown() bool { return x.remote && x.worker == nobody }

// Adopt takes over an execution that another process goes on with. It is false when one of the claims is not running here,
// or is known to be executed by another.
func (l *Loop) Adopt(ctx context.Context, worker string, claims []run.Claim) bool {
	var u unit
	for _, c := range claims {
		r, i := l.find(c)
		if r == nil || r.cells[i].x == nil || !r.cells[i].x.unknown() || r.cells[i].x.asked {
			return false
		}
		u.runs, u.node = append(u.runs, r), r.nodes[i]
	}
	if len(u.runs) == 0 {
		return false
	}
	amends := map[*runState]func(){}
	for _, r := range u.runs {
		x := r.cells[u.node.index].x
		maps.Copy(amends, x.amends)
		l.let(x)
	}
	if x := l.adopt(ctx, u, worker); len(amends) > 0 {
		x.amends = amends
		l.cancel(x, errAmended)
	}
	return true
}

// Finish takes in what an execution in another process, or one begun for an earlier loop, came to. It is false when nobody
// waits for it.
func (l *Loop) Finish(claims []run.Claim, e Ended) bool {
	l.now = l.clock.Now()
	known := false
	for k, c := range claims {
		r, i := l.find(c)
		if r == nil || r.cells[i].x == nil {
			continue
		}
		known = true
		x := r.cells[i].x
		if len(x.runs) == len(claims) {
			l.complete(ended{x, e})
			break
		}
		one := e // the ledger was being asked about each interval by itself
		if len(e.Results) > k {
			one.Results = e.Results[k : k+1]
		}
		if len(e.Taken) > k {
			one.Taken = e.Taken[k : k+1]
		}
		_, committed := e.Committed[c]
		x.split = e.Err != nil && !committed && !errors.Is(e.Err, ErrInterrupted)
		l.complete(ended{x, one})
	}
	l.settle()
	return known
}

// Lost says that a worker is gone: what it executed is asked of the ledger and, where it has not committed, run again.
func (l *Loop) Lost(ctx context.Context, worker string) {
	for _, x := range l.executions() {
		if x.worker == worker && !x.aside && !x.asked {
			l.inquire(ctx, x)
		}
	}
}

// Recover has the ledger asked about all that stands as running and that no worker has told of.
func (l *Loop) Recover(ctx context.Context) (n int) {
	for _, x := range l.executions() {
		if x.unknown() && !x.asked {
			l.inquire(ctx, x)
			n++
		}
	}
	return n
}

// driven lists the runs that the loop drives, by pipeline and date.
func (l *Loop) driven() []*runState {
	all := make([]*runState, 0, len(l.book))
	for _, r := range l.book {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *runState) int {
		if c := cmp.Compare(a.Pipeline, b.Pipeline); c != 0 {
			return c
		}
		return a.Start.Compare(b.Start)
	})
	return all
}

// inquire asks the ledger about an execution whose worker is gone, until it has answered or the loop is closed.
func (l *Loop) inquire(ctx context.Context, x *execution) {
	x.asked = true
	ctx, quiet := context.WithCancel(ctx)
	x.quiet = quiet
	asking, claims, told := l.question(true), x.work.Claims, l.deliver(x)
	l.asking.Go(func() {
		defer quiet()
		e := Ended{Err: errLost}
		e.Committed, e.Doubt = asking.settle(ctx, claims)
		if e.Doubt == nil {
			told(e)
		}
	})
}

var errLost = errors.New(gone)

// Mended says that task runs of runs that the loop does not drive were changed: what depends on them looks again.
func (l *Loop) Mended(ctx context.Context, runIDs ...string) error {
	for _, r := range l.driven() {
		if r.past == nil || !r.past.left && l.book[r.past.ID] == r.past || !slices.Contains(runIDs, r.past.ID) {
			continue
		}
		found, err := l.store.Runs(ctx, store.RunFilter{IDs: []string{r.past.ID}})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		past, err := l.outside(ctx, found[0], r.flow)
		if err != nil {
			return err
		}
		r.past, past.future = past, r
		l.wakeFuture(past)
	}
	l.settle()
	return nil
}
