package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"damson/internal/run"
)

// Drives reports whether the loop drives the run.
func (l *Loop) Drives(runID string) bool { return l.book[runID] != nil }

// TaskNames lists the tasks of a driven run.
func (l *Loop) TaskNames(runID string) []string { return l.book[runID].flow.pipeline.TaskNames() }

// Empty takes out of a lane the runs that it has not opened. They stay in the store as they are.
func (l *Loop) Empty(lane *Lane) {
	for _, g := range lane.groups {
		for _, r := range g.runs {
			delete(l.book, r.ID)
		}
		lane.runs = slices.DeleteFunc(lane.runs, func(r *runState) bool { return r.group == g })
	}
	lane.groups = nil
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
	for i, node := range r.flow.nodes {
		c := &r.cells[i]
		if !slices.Contains(tasks, node.name) || !c.present || c.State == run.Scheduled {
			continue
		}
		n++
		l.amend(r, i, errAmended, func(r *runState) { l.clearCell(r, i, "cleared by hand") })
	}
	l.reconsider(r)
	return n
}

// Mark puts task runs of a driven run into a state by hand: run.Success, run.Failed or run.Skipped. What failed only because
// of them, further down, is cleared, unless they are marked failed.
func (l *Loop) Mark(runID string, tasks []string, state run.State) (n int) {
	r, event := l.book[runID], markEvents[state]
	for i, node := range r.flow.nodes {
		c := &r.cells[i]
		if _, err := run.Next(c.State, event); !slices.Contains(tasks, node.name) || !c.present || err != nil {
			continue
		}
		n++
		l.amend(r, i, errAmended, func(r *runState) {
			if was := r.cells[i].State; was.Ended() {
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
func (l *Loop) amend(r *runState, i int, why error, change func(*runState)) {
	for j, n := range r.nodes { // the items of a mapped task end with it
		if n.parent == i && !r.cells[j].State.Ended() {
			l.amend(r, j, why, func(r *runState) { l.move(r, j, run.EventMarkedSkipped, "its task was changed by hand") })
		}
	}
	x := l.executing(r, i)
	if x == nil {
		change(r)
		return
	}
	x.amend = func(other *runState) {
		if other == r {
			change(r)
			return
		}
		l.move(other, i, run.EventInterrupted, why.Error())
		l.unsettle = append(l.unsettle, place{other, i})
	}
	l.cancel(x, why)
}

// reconsider judges a run anew after some of its task runs were changed by hand.
func (l *Loop) reconsider(r *runState) {
	if l.book[r.ID] != r { // it has ended with the change
		return
	}
	r.recount()
	for i := range r.nodes {
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

// executing gives the execution of a task run, nil when there is none.
func (l *Loop) executing(r *runState, i int) *execution {
	for x := range l.under {
		if x.node.index == i && slices.Contains(x.runs, r) {
			return x
		}
	}
	return nil
}

// Abandon stops a driven run: what is executed is cancelled, and when that has ended, then is called with the run no more
// the loop's. What waited goes back to scheduled.
func (l *Loop) Abandon(runID string, why error, then func()) {
	r := l.book[runID]
	for x := range l.under {
		if slices.Contains(x.runs, r) {
			l.cancel(x, why)
		}
	}
	leave := func() {
		if l.book[r.ID] != r { // it ended meanwhile
			then()
			return
		}
		for i := range r.nodes {
			if s := r.cells[i].State; r.nodes[i].selected && (s == run.Queued || s == run.UpForRetry || s == run.Deferred) {
				l.move(r, i, run.EventInterrupted, why.Error())
			}
		}
		if r.opened {
			l.leave(r)
		} else {
			l.unqueue(r)
		}
		r.timedOut = true // nothing of it is decided any more
		then()
	}
	if r.after = append(r.after, leave); r.busy == 0 {
		l.calm(r)
	}
}

// unqueue takes a run that has not been opened out of its lane. Runs of its group stay together.
func (l *Loop) unqueue(r *runState) {
	delete(l.book, r.ID)
	if at := slices.Index(r.lane.runs, r); at >= 0 {
		r.lane.runs = slices.Delete(r.lane.runs, at, at+1)
	}
	g := r.group
	at := slices.Index(r.lane.groups, g)
	var parts []*group
	for _, part := range [][]*runState{g.runs[:r.position], g.runs[r.position+1:]} {
		if len(part) > 0 {
			parts = append(parts, newGroup(slices.Clone(part), len(r.flow.nodes), g.ordered))
		}
	}
	r.lane.groups = slices.Replace(r.lane.groups, at, at+1, parts...)
}

// Lost says that a worker is gone: what it executed is asked of the ledger and, where it has not committed, run again.
func (l *Loop) Lost(ctx context.Context, worker string) {
	for x := range l.under {
		if x.worker == worker && !x.aside {
			l.inquire(ctx, x)
		}
	}
}

// Adopt takes over an execution that another process goes on with. It is false when none of the claims is running here.
func (l *Loop) Adopt(ctx context.Context, worker string, claims []run.Claim) bool {
	var u unit
	for _, c := range claims {
		r := l.book[c.RunID]
		if r == nil {
			continue
		}
		for i, n := range r.nodes {
			if cell := &r.cells[i]; n.name == c.Task && cell.State == run.Running && cell.Attempt == c.Attempt && l.executing(r, i) == nil {
				u.runs, u.node = append(u.runs, r), n
			}
		}
	}
	if len(u.runs) != len(claims) {
		return false
	}
	l.adopt(ctx, u, worker)
	return true
}

// Recover has the ledger asked about all that stands as running and that nobody executes.
func (l *Loop) Recover(ctx context.Context) (n int) {
	executed := map[place]bool{}
	for x := range l.under {
		for _, r := range x.runs {
			executed[place{r, x.node.index}] = true
		}
	}
	for _, r := range l.book {
		for i, node := range r.nodes {
			if c := &r.cells[i]; c.present && c.State == run.Running && !executed[place{r, i}] {
				x := &execution{unit: unit{[]*runState{r}, node}, aside: true}
				x.work = l.workOf(x.unit)
				l.take(x)
				l.watch(ctx, x)
				l.inquire(ctx, x)
				n++
			}
		}
	}
	return n
}

// inquire asks the ledger about an execution whose worker is gone.
func (l *Loop) inquire(ctx context.Context, x *execution) {
	asking, claims := l.question(true), x.work.Claims
	go func() {
		e := Ended{Err: errLost}
		e.Committed, e.Doubt = asking.ask(ctx, claims)
		l.deliver(x)(e)
	}()
}

var errLost = errors.New(gone)
