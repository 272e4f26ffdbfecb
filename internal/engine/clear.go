package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// Selection chooses task runs of some runs of a pipeline.
type Selection struct {
	RunIDs     []string
	Tasks      []string // none = all
	Upstream   bool     // and the tasks before them
	Downstream bool     // and the tasks after them
}

// Clear gives the changes that make the chosen task runs run again: those that are more than scheduled go back to it, and
// their runs wait to be driven. Nothing is changed: the caller shows them and hands them to Store.Apply.
func Clear(ctx context.Context, s Store, p *pipeline.Pipeline, sel Selection, now time.Time) ([]run.Change, error) {
	chosen, err := choose(ctx, s, p, sel)
	if err != nil {
		return nil, err
	}
	var changes []run.Change
	for _, c := range chosen {
		cleared := c.clear(c.scope, func(s run.State) bool { return s != run.Scheduled }, "cleared by hand", now)
		if changes = append(changes, cleared...); len(cleared) > 0 && c.run.State.Ended() {
			changes = append(changes, run.Change{RunID: c.run.ID, From: c.run.State, To: run.Queued, Event: run.EventCleared,
				At: now, Reason: "cleared by hand", Version: p.Version})
		}
	}
	return changes, nil
}

// Mark gives the changes that put the chosen task runs into state: run.Success, run.Failed or run.Skipped. What failed only
// because of them, further down, is cleared, unless they are marked failed. Nothing is changed: the caller shows them and
// hands them to Store.Apply.
func Mark(ctx context.Context, s Store, p *pipeline.Pipeline, sel Selection, state run.State, now time.Time) ([]run.Change, error) {
	if err := CheckMark(state); err != nil {
		return nil, err
	}
	chosen, err := choose(ctx, s, p, sel)
	if err != nil {
		return nil, err
	}
	var changes []run.Change
	for _, c := range chosen {
		changes = append(changes, c.mark(p, markEvents[state], now)...)
	}
	return changes, nil
}

// markEvents are the states that a person may put a task run into.
var markEvents = map[run.State]run.Event{run.Success: run.EventMarkedSuccess, run.Failed: run.EventMarkedFailed, run.Skipped: run.EventMarkedSkipped}

// chosenRun is a run with its task runs, and the tasks that a selection means.
type chosenRun struct {
	run   run.Run
	graph run.Graph
	tasks map[string]run.TaskRun
	scope []string
}

// choose reads what a selection means.
func choose(ctx context.Context, s Store, p *pipeline.Pipeline, sel Selection) ([]chosenRun, error) {
	names := p.TaskNames()
	for _, name := range sel.Tasks {
		if !slices.Contains(names, name) {
			return nil, unknownTask(p, name)
		}
	}
	if len(sel.RunIDs) == 0 {
		return nil, nil
	}
	runs, err := s.Runs(ctx, store.RunFilter{Pipeline: p.Name, IDs: sel.RunIDs})
	if err != nil {
		return nil, fmt.Errorf("reading runs of %s: %w", p.Name, err)
	}
	for _, id := range sel.RunIDs {
		if !slices.ContainsFunc(runs, func(r run.Run) bool { return r.ID == id }) {
			return nil, diag.Finding{Summary: "Unknown run", Detail: fmt.Sprintf("Pipeline %s has no run %q.", p.Name, id),
				Fix: fmt.Sprintf("See \"damson runs %s\".", p.Name)}
		}
	}
	tasks, err := s.TaskRuns(ctx, sel.RunIDs...)
	if err != nil {
		return nil, fmt.Errorf("reading task runs of %s: %w", p.Name, err)
	}
	byRun := map[string]map[string]run.TaskRun{}
	for _, t := range tasks {
		if byRun[t.RunID] == nil {
			byRun[t.RunID] = map[string]run.TaskRun{}
		}
		byRun[t.RunID][t.Task] = t
	}
	graph := run.Graph{Tasks: names, Upstream: map[string][]string{}}
	for _, t := range p.Tasks {
		graph.Upstream[t.Name] = t.Upstream
	}
	scope := graph.Scope(sel.Tasks, sel.Upstream, sel.Downstream)
	chosen := make([]chosenRun, len(runs))
	for k, r := range runs {
		chosen[k] = chosenRun{run: r, graph: graph, tasks: byRun[r.ID], scope: scope}
	}
	return chosen, nil
}

// change is an event of one of the run's tasks, kept in c.tasks as well.
func (c chosenRun) change(t run.TaskRun, event run.Event, reason string, now time.Time) run.Change {
	to, err := run.Next(t.State, event)
	if err != nil {
		panic(fmt.Sprintf("engine: %s of %s: %v", t.Task, t.RunID, err))
	}
	from := t.State
	t.State = to
	if event == run.EventCleared {
		t.Failures, t.NotBefore, t.Result = 0, time.Time{}, nil
	}
	c.tasks[t.Task] = t
	return run.Change{RunID: t.RunID, Task: t.Task, From: from, To: to, Event: event, At: now, Attempt: t.Attempt,
		Failures: t.Failures, Token: t.Token, NotBefore: t.NotBefore, Reason: reason, Result: t.Result}
}

// clear clears those of the tasks whose state the caller means.
func (c chosenRun) clear(tasks []string, means func(run.State) bool, reason string, now time.Time) []run.Change {
	var changes []run.Change
	for _, name := range tasks {
		if t, ok := c.tasks[name]; ok && means(t.State) {
			changes = append(changes, c.change(t, run.EventCleared, reason, now))
		}
	}
	return changes
}

// mark marks the tasks in scope, clears what failed because of them, and ends or reopens the run accordingly.
func (c chosenRun) mark(p *pipeline.Pipeline, event run.Event, now time.Time) []run.Change {
	var changes []run.Change
	for _, name := range c.scope {
		t, ok := c.tasks[name]
		if _, err := run.Next(t.State, event); ok && err == nil {
			changes = append(changes, c.change(t, event, "marked by hand", now))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if event != run.EventMarkedFailed {
		below := c.graph.Scope(c.scope, false, true)
		below = slices.DeleteFunc(below, func(name string) bool { return slices.Contains(c.scope, name) })
		changes = append(changes, c.clear(below, func(s run.State) bool { return s == run.Failed || s == run.UpstreamFailed },
			"a task before it was marked by hand", now)...)
	}
	from := c.run.State
	change := run.Change{RunID: c.run.ID, From: from, At: now, Reason: "tasks were marked by hand"}
	switch to, ended := c.outcome(p); {
	case to == from || !ended && !from.Ended():
		return changes
	case !ended:
		change.To, change.Event, change.Version = run.Queued, run.EventCleared, p.Version
	case to == run.Success:
		change.To, change.Event = to, run.EventMarkedSuccess
	default:
		change.To, change.Event = to, run.EventMarkedFailed
	}
	return append(changes, change)
}

// outcome judges the run as its task runs stand now; ended is false while one of them is open.
func (c chosenRun) outcome(p *pipeline.Pipeline) (outcome run.State, ended bool) {
	inner := map[string]bool{}
	for _, t := range p.Tasks {
		if _, ok := c.tasks[t.Name]; ok {
			for _, u := range t.Upstream {
				inner[u] = true
			}
		}
	}
	var leaves []run.State
	for name, t := range c.tasks {
		if !t.State.Ended() {
			return "", false
		}
		if !inner[name] {
			leaves = append(leaves, t.State)
		}
	}
	return run.Outcome(leaves), true
}

// CheckMark refuses states that nobody can put a task run into.
func CheckMark(state run.State) error {
	if _, ok := markEvents[state]; !ok {
		return diag.Finding{Summary: "A task cannot be marked like this", Detail: fmt.Sprintf("%q is not a state to mark with.", state),
			Fix: "Mark it success, failed or skipped."}
	}
	return nil
}
