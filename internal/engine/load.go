package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/store"
)

// chunk bounds the runs that one call to the store is about while the plan is read.
const chunk = 500

// load brings the store and this drive to the same starting point: every interval has its run, nothing is running, what
// shall run again is cleared.
func (d *drive) load(ctx context.Context) error {
	if len(d.plan.Intervals) == 0 {
		return nil
	}
	for _, step := range []func(context.Context) error{d.readRuns, d.readTasks, d.recover, d.rerun, d.passOver, d.readPast} {
		if err := step(ctx); err != nil {
			var f diag.Finding
			if errors.As(err, &f) {
				return err
			}
			return fmt.Errorf("reading the runs of %s: %w", d.plan.Pipeline.Name, err)
		}
	}
	d.tallyUp()
	d.makeGroups()
	return nil
}

// readRuns makes the runs that are missing and reads all.
func (d *drive) readRuns(ctx context.Context) error {
	p, intervals := d.plan.Pipeline, d.plan.Intervals
	filter := store.RunFilter{Pipeline: p.Name, From: intervals[0].Start, To: intervals[len(intervals)-1].Start}
	existing, err := d.store.Runs(ctx, filter)
	if err != nil {
		return err
	}
	at := make(map[int64]run.Run, len(existing))
	for _, r := range existing {
		at[r.Start.UnixMicro()] = r
	}
	var missing []run.Run
	for k, interval := range intervals {
		r, ok := at[interval.Start.UnixMicro()]
		if !ok {
			r = run.Run{ID: run.NewID(p.Name, interval.Start), Pipeline: p.Name, Trigger: d.plan.Trigger, Start: interval.Start,
				End: interval.End, State: run.Queued, Params: d.plan.Params, Version: p.Version, Created: d.now}
			missing = append(missing, r)
		}
		r.Start, r.End = interval.Start, r.End.In(interval.End.Location()) // the store keeps instants, not time zones
		d.runs = append(d.runs, &runState{Run: r, index: k, fresh: !ok, cells: make([]cell, len(d.nodes))})
	}
	names := d.selectedNames()
	for part := range slices.Chunk(missing, chunk) {
		create := func() error { _, err := d.store.CreateRuns(ctx, part, names); return err }
		if err := d.persist(ctx, "runs", create, nil); err != nil {
			return err
		}
	}
	d.report.Created = len(missing)
	for _, r := range d.runs {
		for i, n := range d.nodes {
			if r.cells[i].TaskRun = (run.TaskRun{RunID: r.ID, Task: n.task.Name}); r.fresh && n.selected {
				r.cells[i].State, r.cells[i].present = run.Scheduled, true
			}
		}
	}
	return nil
}

// readTasks reads the task runs of runs that were there before, and adds and removes what the pipeline has gained and
// lost since.
func (d *drive) readTasks(ctx context.Context) error {
	byID := map[string]*runState{}
	var ids []string
	for _, r := range d.runs {
		if !r.fresh {
			ids = append(ids, r.ID)
			byID[r.ID] = r
		}
	}
	place := d.places()
	for part := range slices.Chunk(ids, chunk) {
		tasks, err := d.store.TaskRuns(ctx, part...)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			r := byID[t.RunID]
			if i, ok := place[t.Task]; ok {
				r.cells[i].TaskRun, r.cells[i].present = t, true
			} else if !t.State.Ended() && t.State != run.Running {
				d.changes = append(d.changes, run.Change{RunID: t.RunID, Task: t.Task, From: t.State, To: run.Removed,
					Event: run.EventRemoved, At: d.now, Attempt: t.Attempt, Failures: t.Failures, Token: t.Token,
					Reason: "the pipeline has no such task any more"})
			}
		}
	}
	for _, id := range ids {
		if err := d.addTasks(ctx, byID[id]); err != nil {
			return err
		}
	}
	return d.flush(ctx)
}

// places maps task names to nodes.
func (d *drive) places() map[string]int {
	place := make(map[string]int, len(d.nodes))
	for i, n := range d.nodes {
		place[n.task.Name] = i
	}
	return place
}

// addTasks adds the selected tasks that a run does not have yet.
func (d *drive) addTasks(ctx context.Context, r *runState) error {
	var missing []string
	for i, n := range d.nodes {
		if c := &r.cells[i]; n.selected && !c.present {
			missing = append(missing, n.task.Name)
			c.State, c.present = run.Scheduled, true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return d.persist(ctx, "tasks", func() error { return d.store.AddTasks(ctx, r.ID, missing) }, nil)
}

// recover settles what a dead process left running: what the ledger has is success, the rest is run again.
func (d *drive) recover(ctx context.Context) error {
	var lost []place
	var claims []run.Claim
	for _, r := range d.runs {
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
		found, err := d.ask(ctx, part)
		if err != nil {
			return diag.Finding{Summary: "The warehouse does not say which tasks have committed", Cause: err,
				Detail: fmt.Sprintf("%d tasks were running when their process ended; the ledger answered: %v", len(lost), err),
				Fix:    "Make sure that the warehouse works and run the same command again."}
		}
		for claim, result := range found {
			committed[claim] = result
		}
	}
	const ended = "the process that ran it ended"
	for k, p := range lost {
		result, ok := committed[claims[k]]
		switch {
		case ok:
			p.r.cells[p.i].Result = result
			d.shift(p, run.EventSucceeded, ended+" after the work had committed")
		case d.nodes[p.i].selected:
			d.shift(p, run.EventRecovered, ended)
		default:
			d.shift(p, run.EventInterrupted, ended)
		}
	}
	d.report.Recovered = len(lost)
	return d.flush(ctx)
}

// shift moves a task run before the runs are driven: neighbours are told later, all at once.
func (d *drive) shift(p place, event run.Event, reason string) {
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
	d.changes = append(d.changes, run.Change{RunID: p.r.ID, Task: c.Task, From: from, To: to, Event: event, At: d.now,
		Attempt: c.Attempt, Failures: c.Failures, Token: c.Token, NotBefore: c.NotBefore, Reason: reason, Result: c.Result})
}

// rerun clears what the plan wants to run again and sees which runs are left as they are.
func (d *drive) rerun(ctx context.Context) error {
	for _, r := range d.runs {
		again := d.again(r)
		for i := range d.nodes {
			if again[i] {
				d.shift(place{r, i}, run.EventCleared, "the plan runs "+string(d.plan.Rerun)+" again")
			}
		}
		open := slices.ContainsFunc(d.nodes, func(n *node) bool { return n.selected && !r.cells[n.index].State.Ended() })
		r.left = r.State.Ended() && !open
		if r.State.Ended() && open {
			reason := "it has tasks to run"
			if slices.Contains(again, true) {
				reason = "the plan runs " + string(d.plan.Rerun) + " again"
			}
			d.moveRun(r, run.EventCleared, reason)
		}
		if len(d.changes) > chunk {
			if err := d.flush(ctx); err != nil {
				return err
			}
		}
	}
	return d.flush(ctx)
}

// again marks the task runs of r that the plan wants to run again.
func (d *drive) again(r *runState) []bool {
	again := make([]bool, len(d.nodes))
	for i, n := range d.nodes {
		s := r.cells[i].State
		if !n.selected || s == run.Scheduled {
			continue
		}
		switch {
		case s == run.Removed, d.plan.Rerun == RerunAll:
			again[i] = true
		case d.plan.Rerun == RerunFailed:
			again[i] = s == run.Failed || s == run.UpstreamFailed ||
				s.Ended() && slices.ContainsFunc(n.up, func(j int) bool { return again[j] })
		}
	}
	return again
}

// flush records the changes of load so far.
func (d *drive) flush(ctx context.Context) error {
	err := d.apply(ctx, d.changes)
	d.changes = nil
	return err
}

// readPast links each run to the one before it, inside the plan or not, where a task depends on its past.
func (d *drive) readPast(ctx context.Context) error {
	if !slices.ContainsFunc(d.nodes, func(n *node) bool { return n.selected && n.task.DependsOnPast }) {
		return nil
	}
	first, last := d.runs[0], d.runs[len(d.runs)-1]
	name := d.plan.Pipeline.Name
	others, err := d.store.Runs(ctx, store.RunFilter{Pipeline: name, To: first.Start.Add(-time.Microsecond), Newest: true, Limit: 1})
	if err != nil {
		return err
	}
	within, err := d.store.Runs(ctx, store.RunFilter{Pipeline: name, From: first.Start, To: last.Start})
	if err != nil {
		return err
	}
	planned := make(map[string]*runState, len(d.runs))
	for _, r := range d.runs {
		planned[r.ID] = r
	}
	var past *runState
	for _, other := range append(others, within...) {
		r, ok := planned[other.ID]
		if !ok {
			if r, err = d.outside(ctx, other); err != nil {
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
	return nil
}

// outside reads a run that the plan does not drive.
func (d *drive) outside(ctx context.Context, other run.Run) (*runState, error) {
	tasks, err := d.store.TaskRuns(ctx, other.ID)
	if err != nil {
		return nil, err
	}
	r := &runState{Run: other, left: true, cells: make([]cell, len(d.nodes))}
	place := d.places()
	for _, t := range tasks {
		if i, ok := place[t.Task]; ok {
			r.cells[i].TaskRun, r.cells[i].present = t, true
		}
	}
	return r, nil
}

// tallyUp counts what has ended before.
func (d *drive) tallyUp() {
	d.progress.Runs = len(d.runs)
	for _, r := range d.runs {
		for i, n := range d.nodes {
			if !n.selected {
				continue
			}
			c := &r.cells[i]
			c.tally.Total = len(n.up)
			for _, j := range n.up {
				c.tally.Add(r.cells[j].State)
			}
			d.progress.Tasks++
			if c.State.Ended() {
				d.progress.TasksEnded++
			} else {
				r.open++
			}
			if c.State == run.Failed {
				d.progress.TasksFailed++
			}
		}
		if r.left {
			d.report.Untouched++
			if r.Version != d.plan.Pipeline.Version {
				d.report.Outdated++
			}
			d.progress.RunsEnded++
			if r.State == run.Failed {
				d.progress.RunsFailed++
			}
		}
	}
}

// makeGroups binds runs that follow each other together where a batch is wanted and a task allows it.
func (d *drive) makeGroups() {
	size := 1
	if slices.ContainsFunc(d.nodes, func(n *node) bool { return n.selected && n.batch }) {
		size = d.plan.Batch
	}
	var part []*runState
	closePart := func() {
		if len(part) > 0 {
			d.groups = append(d.groups, newGroup(part, len(d.nodes), d.limit < len(d.runs)))
		}
		part = nil
	}
	for _, r := range d.runs {
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
