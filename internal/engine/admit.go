package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/store"
)

// chunk bounds the runs that one call to the store is about while a plan is read.
const chunk = 500

// admission brings the store and a loop to the same starting point for the runs of one plan.
type admission struct {
	*Loop
	lane *Lane
	flow *flow
	plan Plan
	runs []*runState // of the plan's intervals, in time order
}

// Admit gives a lane the runs of a plan: every interval has its run then, what shall run again is cleared, and what is open
// will be driven. An interval whose run the loop drives already is left to where it is.
func (l *Loop) Admit(ctx context.Context, lane *Lane, plan Plan) error {
	if err := plan.check(); err != nil {
		return err
	}
	f, err := l.layOut(plan)
	if err != nil || len(plan.Intervals) == 0 {
		return err
	}
	a := &admission{Loop: l, lane: lane, flow: f, plan: plan}
	for _, step := range []func(context.Context) error{a.readRuns, a.readTasks, a.recover, a.rerun, a.passOver, a.readPast} {
		if err := step(ctx); err != nil {
			if lane.keeps {
				lane.runs = append(lane.runs, a.runs...)
			}
			var f diag.Finding
			if errors.As(err, &f) || errors.Is(err, store.ErrDeposed) {
				return err
			}
			return fmt.Errorf("reading the runs of %s: %w", plan.Pipeline.Name, err)
		}
	}
	a.tallyUp()
	a.makeGroups()
	a.settleIn(ctx)
	return nil
}

// settleIn makes the runs the loop's. What stands as running in one that serves counts against all bounds from now on, until
// a worker tells of it or the ledger is asked.
func (a *admission) settleIn(ctx context.Context) {
	for _, r := range a.runs {
		if !r.left {
			a.book[r.ID] = r
		}
		for i, n := range r.nodes {
			if c := &r.cells[i]; a.o.Serves && c.present && c.State == run.Running && !r.left {
				a.adopt(ctx, unit{[]*runState{r}, n}, nobody)
			}
		}
		if !r.left || a.lane.keeps {
			a.lane.runs = append(a.lane.runs, r)
		}
	}
}

// readRuns makes the runs that are missing and reads all.
func (a *admission) readRuns(ctx context.Context) error {
	p, intervals := a.plan.Pipeline, a.plan.Intervals
	filter := store.RunFilter{Pipeline: p.Name, From: intervals[0].Start, To: intervals[len(intervals)-1].Start}
	existing, err := a.store.Runs(ctx, filter)
	if err != nil {
		return err
	}
	at := make(map[int64]run.Run, len(existing))
	for _, r := range existing {
		at[r.Start.UnixMicro()] = r
	}
	names := a.flow.selectedNames()
	for _, interval := range intervals {
		if a.book[run.NewID(p.Name, interval.Start)] != nil {
			continue
		}
		r, ok := at[interval.Start.UnixMicro()]
		if !ok {
			r = run.Run{ID: run.NewID(p.Name, interval.Start), Pipeline: p.Name, Trigger: a.plan.Trigger, Start: interval.Start,
				End: interval.End, State: run.Queued, Params: a.plan.Params, Version: p.Version, Created: a.now}
			a.batch.Runs = append(a.batch.Runs, store.NewRun{Run: r, Tasks: names})
			a.lane.report.Created++
		}
		if a.book[r.ID] != nil { // under a name of another time zone
			continue
		}
		r.Start, r.End = interval.Start, r.End.In(interval.End.Location()) // the store keeps instants, not time zones
		state := &runState{Run: r, lane: a.lane, flow: a.flow, nodes: a.flow.nodes, fresh: !ok, cells: make([]cell, len(a.flow.nodes))}
		for i, n := range a.flow.nodes {
			c := &state.cells[i]
			if c.TaskRun = (run.TaskRun{RunID: r.ID, Task: n.name}); !ok && n.selected {
				c.State, c.present = run.Scheduled, true
			}
		}
		a.runs = append(a.runs, state)
		if err := a.flush(ctx, len(a.batch.Runs) >= chunk); err != nil {
			return err
		}
	}
	return a.flush(ctx, true)
}

// flush writes what has been decided so far, when it is time to. A loop that serves does not before the whole plan is taken
// in: what the plan came from, a cursor or a message, is recorded with it.
func (a *admission) flush(ctx context.Context, due bool) error {
	if !due || a.o.Serves {
		return nil
	}
	return a.record(ctx)
}

// readTasks reads the task runs of runs that were there before, and adds and removes what the pipeline has gained and
// lost since.
func (a *admission) readTasks(ctx context.Context) error {
	stored := map[string]map[string]run.TaskRun{}
	var ids []string
	for _, r := range a.runs {
		if !r.fresh {
			ids = append(ids, r.ID)
			stored[r.ID] = map[string]run.TaskRun{}
		}
	}
	for part := range slices.Chunk(ids, chunk) {
		tasks, err := a.store.TaskRuns(ctx, part...)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			stored[t.RunID][t.Task] = t
		}
	}
	for _, r := range a.runs {
		if !r.fresh {
			a.takeTasks(r, stored[r.ID])
		}
	}
	return a.flush(ctx, true)
}

// takeTasks gives a run the task runs that are stored of it.
func (a *admission) takeTasks(r *runState, stored map[string]run.TaskRun) {
	for i, n := range r.nodes {
		if t, ok := stored[n.name]; ok {
			r.cells[i].TaskRun, r.cells[i].present = t, true
		}
	}
	a.readItems(r, stored)
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		t := stored[name]
		_, known := a.flow.place[MappedTask(name)]
		if !known && !t.State.Ended() && t.State != run.Running {
			a.batch.Changes = append(a.batch.Changes, run.Change{RunID: t.RunID, Task: t.Task, From: t.State, To: run.Removed,
				Event: run.EventRemoved, At: a.now, Attempt: t.Attempt, Failures: t.Failures, Token: t.Token,
				Reason: "the pipeline has no such task any more"})
		}
	}
	for i, n := range a.flow.nodes {
		if n.task.Map != nil && r.cells[i].State != run.Deferred {
			a.endItems(r, i)
		}
	}
	var missing []string
	for i, n := range r.nodes {
		if c := &r.cells[i]; n.selected && !c.present && n.parent < 0 {
			missing = append(missing, n.name)
			c.State, c.present = run.Scheduled, true
		}
	}
	if len(missing) > 0 {
		a.batch.Tasks = append(a.batch.Tasks, store.NewTasks{RunID: r.ID, Tasks: missing})
	}
}

// recover settles what a dead process left running: what the ledger has is success, the rest is run again. A loop that
// serves does so once it knows which processes are alive: see Recover.
func (a *admission) recover(ctx context.Context) error {
	if a.o.Serves {
		return nil
	}
	var lost []place
	var claims []run.Claim
	for _, r := range a.runs {
		for i := range r.cells {
			if c := &r.cells[i]; c.present && c.State == run.Running {
				lost = append(lost, place{r, i})
				claims = append(claims, run.Claim{RunID: r.ID, Task: c.Task, Attempt: c.Attempt})
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	committed := map[run.Claim]json.RawMessage{}
	for part := range slices.Chunk(claims, chunk) {
		found, err := a.question(false).settle(ctx, part)
		if err != nil {
			return diag.Finding{Summary: "The warehouse does not say which tasks have committed", Cause: err,
				Detail: fmt.Sprintf("%d tasks were running when their process ended; the ledger answered: %v", len(lost), err),
				Fix:    "Make sure that the warehouse works and run the same command again."}
		}
		for claim, result := range found {
			committed[claim] = result
		}
	}
	for k, p := range lost {
		result, ok := committed[claims[k]]
		switch {
		case ok:
			p.r.cells[p.i].Result = result
			a.shift(p, run.EventSucceeded, gone+" after the work had committed")
		case p.r.nodes[p.i].selected:
			a.shift(p, run.EventRecovered, gone)
		default:
			a.shift(p, run.EventInterrupted, gone)
		}
	}
	a.lane.report.Recovered = len(lost)
	return a.record(ctx)
}

const gone = "the process that ran it ended"

// shift moves a task run before the runs are driven: neighbours are told later, all at once.
func (a *admission) shift(p place, event run.Event, reason string) {
	c := &p.r.cells[p.i]
	from := c.State
	to, err := run.Next(from, event)
	if err != nil {
		panic(fmt.Sprintf("engine: %s of %s: %v", c.Task, p.r.ID, err))
	}
	c.State, c.Reason = to, reason
	if event == run.EventCleared {
		c.Failures, c.NotBefore, c.Result = 0, time.Time{}, nil
	}
	a.batch.Changes = append(a.batch.Changes, run.Change{RunID: p.r.ID, Task: c.Task, From: from, To: to, Event: event, At: a.now,
		Attempt: c.Attempt, Failures: c.Failures, Token: c.Token, NotBefore: c.NotBefore, Reason: reason, Result: c.Result})
}

// rerun clears what the plan wants to run again and sees which runs are left as they are.
func (a *admission) rerun(ctx context.Context) error {
	for _, r := range a.runs {
		again := a.again(r)
		for i := range a.flow.nodes {
			if again[i] {
				a.endItems(r, i)
				a.shift(place{r, i}, run.EventCleared, "the plan runs "+string(a.plan.Rerun)+" again")
			}
		}
		open := slices.ContainsFunc(a.flow.nodes, func(n *node) bool { return n.selected && !r.cells[n.index].State.Ended() })
		r.left = r.State.Ended() && !open
		if r.State.Ended() && open {
			reason := "it has tasks to run"
			if slices.Contains(again, true) {
				reason = "the plan runs " + string(a.plan.Rerun) + " again"
			}
			a.moveRun(r, run.EventCleared, reason)
			if a.plan.Params != nil {
				r.Params = a.plan.Params
				a.batch.Changes[len(a.batch.Changes)-1].Params = a.plan.Params
			}
		}
		if err := a.flush(ctx, len(a.batch.Changes) > chunk); err != nil {
			return err
		}
	}
	return a.flush(ctx, true)
}

// again marks the task runs of r that the plan wants to run again.
func (a *admission) again(r *runState) []bool {
	again := make([]bool, len(a.flow.nodes))
	for i, n := range a.flow.nodes {
		s := r.cells[i].State
		if !n.selected || s == run.Scheduled {
			continue
		}
		switch {
		case s == run.Removed, a.plan.Rerun == RerunAll:
			again[i] = true
		case a.plan.Rerun == RerunFailed:
			again[i] = s == run.Failed || s == run.UpstreamFailed ||
				s.Ended() && slices.ContainsFunc(n.up, func(j int) bool { return again[j] })
		}
	}
	return again
}

// readPast links each run to the one before it, inside the plan or not, where a task depends on its past.
func (a *admission) readPast(ctx context.Context) error {
	if !a.flow.past || len(a.runs) == 0 {
		return nil
	}
	first, last := a.runs[0], a.runs[len(a.runs)-1]
	name := a.plan.Pipeline.Name
	others, err := a.store.Runs(ctx, store.RunFilter{Pipeline: name, To: first.Start.Add(-time.Microsecond), Newest: true, Limit: 1})
	if err != nil {
		return err
	}
	within, err := a.store.Runs(ctx, store.RunFilter{Pipeline: name, From: first.Start, To: last.Start})
	if err != nil {
		return err
	}
	planned := make(map[string]*runState, len(a.runs))
	for _, r := range a.runs {
		planned[r.ID] = r
	}
	within = a.complement(within)
	if before := a.nearest(name, first.Start, -1); before != nil && (len(others) == 0 || others[0].Start.Before(before.Start)) {
		others = []run.Run{before.Run}
	}
	var past *runState
	for _, other := range append(others, within...) {
		r, ok := planned[other.ID]
		if !ok {
			r = a.book[other.ID]
		}
		if r == nil {
			if r, err = a.outside(ctx, other, a.flow); err != nil {
				return err
			}
		}
		if past != nil {
			r.past = past
			if !r.left {
				past.future = r
			}
		}
		past = r
	}
	return a.linkNext(ctx, past)
}

// complement adds the runs that are not in the store yet: those of the plan, and driven ones between them.
func (a *admission) complement(stored []run.Run) []run.Run {
	there := map[string]bool{}
	for _, r := range stored {
		there[r.ID] = true
	}
	first, last := a.runs[0], a.runs[len(a.runs)-1]
	between := slices.Clone(a.runs)
	for _, r := range a.driven() {
		if r.Pipeline == first.Pipeline && r.Start.After(first.Start) && r.Start.Before(last.Start) {
			between = append(between, r)
		}
	}
	for _, r := range between {
		if !there[r.ID] {
			there[r.ID] = true
			stored = append(stored, r.Run)
		}
	}
	slices.SortStableFunc(stored, func(x, y run.Run) int { return x.Start.Compare(y.Start) })
	return stored
}

// nearest gives the driven run of a pipeline that comes next after a time (way 1) or last before it (way -1), nil when there
// is none.
func (l *Loop) nearest(name string, at time.Time, way int) (found *runState) {
	for _, r := range l.book {
		if r.Pipeline == name && r.Start.Compare(at) == way && (found == nil || r.Start.Compare(found.Start) == -way) {
			found = r
		}
	}
	return found
}

// linkNext tells the first run after the plan's that its past is in motion again.
func (a *admission) linkNext(ctx context.Context, past *runState) error {
	next := a.nearest(past.Pipeline, past.Start, 1)
	if next == nil || past.left {
		return nil
	}
	between, err := a.store.Runs(ctx, store.RunFilter{Pipeline: past.Pipeline, From: past.Start.Add(time.Microsecond), Limit: 1})
	if err != nil {
		return err
	}
	if len(between) == 0 || !between[0].Start.Before(next.Start) {
		next.past, past.future = past, next
	}
	return nil
}

// outside reads a run that the loop does not drive.
func (l *Loop) outside(ctx context.Context, other run.Run, f *flow) (*runState, error) {
	tasks, err := l.store.TaskRuns(ctx, other.ID)
	if err != nil {
		return nil, err
	}
	r := &runState{Run: other, left: true, flow: f, nodes: f.nodes, cells: make([]cell, len(f.nodes))}
	for _, t := range tasks {
		if i, ok := f.place[t.Task]; ok {
			r.cells[i].TaskRun, r.cells[i].present = t, true
		}
	}
	return r, nil
}

// tallyUp counts what has ended before.
func (a *admission) tallyUp() {
	progress, report := &a.lane.progress, &a.lane.report
	progress.Runs += len(a.runs)
	for _, r := range a.runs {
		r.recount()
		for i, n := range r.nodes {
			if !n.selected {
				continue
			}
			progress.Tasks++
			if r.cells[i].State.Ended() {
				progress.TasksEnded++
			}
			if r.cells[i].State == run.Failed {
				progress.TasksFailed++
			}
		}
		if r.left {
			report.Untouched++
			if r.Version != a.plan.Pipeline.Version {
				report.Outdated++
			}
			progress.RunsEnded++
			if r.State == run.Failed {
				progress.RunsFailed++
			}
		}
	}
}

// recount counts anew how the tasks before each task ended, and what is open.
func (r *runState) recount() {
	r.open = 0
	for i := range r.cells {
		r.cells[i].kids = 0
	}
	for i, n := range r.nodes {
		if n.parent >= 0 && r.cells[i].present && !r.cells[i].State.Ended() {
			r.cells[n.parent].kids++
		}
	}
	for i, n := range r.nodes {
		if !n.selected || !r.cells[i].present {
			continue
		}
		c := &r.cells[i]
		c.tally = run.Tally{Total: len(n.up)}
		for _, j := range n.up {
			c.tally.Add(r.cells[j].State)
		}
		if !c.State.Ended() {
			r.open++
		}
	}
}

// makeGroups binds runs that follow each other together where a batch is wanted and a task allows it.
func (a *admission) makeGroups() {
	size := 1
	if slices.ContainsFunc(a.flow.nodes, func(n *node) bool { return n.selected && n.batch }) {
		size = a.plan.Batch
	}
	ordered := a.lane.limit() < len(a.runs)
	var part []*runState
	closePart := func() {
		if len(part) > 0 {
			a.lane.groups = append(a.lane.groups, newGroup(part, len(a.flow.nodes), ordered))
		}
		part = nil
	}
	for _, r := range a.runs {
		if r.left {
			closePart()
			continue
		}
		if n := len(part); n == size || n > 0 && !follows(part[n-1].Run, r.Run) {
			closePart()
		}
		part = append(part, r)
	}
	closePart()
}

// follows reports whether a run can be executed together with the one before it: without a gap between their intervals, and
// with the same parameters, since one execution has one set of them.
func follows(before, r run.Run) bool {
	return before.End.Equal(r.Start) && r.Start.Before(r.End) &&
		(len(before.Params)+len(r.Params) == 0 || reflect.DeepEqual(before.Params, r.Params))
}
