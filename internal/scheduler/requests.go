package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/schedule"
	"damson/internal/store"
)

// handler does what a request asks for, without recording it. after, when not nil, goes on once it is recorded.
type handler func(ctx context.Context, r Request) (a Answer, after func() error, err error)

// answer does what a request asks for. What becomes of it, its answer and the end of the message are recorded together. A
// request that is refused changes nothing; an error that is not the request's own ends the leadership, and the request is
// looked at again by the next one.
func (l *leader) answer(ctx context.Context, m store.Message, r Request) error {
	handlers := map[string]handler{
		ReqRun: l.runNow, ReqTrigger: l.trigger, ReqBackfill: l.newBackfill, ReqCancel: l.cancelBackfill, ReqClear: l.clearRuns,
		ReqMark: l.markRuns, ReqPause: l.pause, ReqUnpause: l.pause,
	}
	if err := l.upToDate(ctx); err != nil {
		return err
	}
	before := *l.loop.Batch()
	var a Answer
	var after func() error
	err := error(diag.Finding{Summary: "Unknown request", Detail: fmt.Sprintf("The leader does not understand %q.", r.Kind),
		Fix: "Use the same version of Damson for the command and the server."})
	if handle := handlers[r.Kind]; handle != nil {
		a, after, err = handle(ctx, r)
	}
	if err != nil {
		if finding := (diag.Finding{}); !errors.As(err, &finding) {
			return fmt.Errorf("answering a request to %s %s: %w", r.Kind, r.Pipeline, err)
		}
		*l.loop.Batch() = before
		a, after = refused(err), nil
	}
	l.log.Info("request", "kind", r.Kind, "by", r.By, "pipeline", r.Pipeline, "runs", len(r.Runs), "error", err)
	if m.Sender != "" {
		l.loop.Batch().Send = append(l.loop.Batch().Send, message(m.Sender, l.o.ID, MsgAnswer, a, l.clock.Now()))
	}
	l.dealtWith(m)
	if after != nil {
		return after()
	}
	return nil
}

// tracked gives the pipeline of a request.
func (l *leader) tracked(name string) (*track, error) {
	t := l.pipelines[name]
	if t == nil || t.pipeline == nil {
		var names []string
		for _, p := range l.catalogue.Pipelines {
			names = append(names, p.Name)
		}
		return nil, diag.Finding{Summary: "Unknown pipeline", Detail: fmt.Sprintf("The version of the project that runs now has no pipeline %q.", name),
			Fix: diag.DidYouMean(name, names)}
	}
	return t, nil
}

// runNow runs a pipeline for one data interval, whether it ran before or not.
func (l *leader) runNow(ctx context.Context, r Request) (a Answer, after func() error, err error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return a, nil, err
	}
	id := run.NewID(r.Pipeline, r.Start.In(location(t.pipeline)))
	if l.loop.Drives(id) {
		return a, nil, diag.Finding{Summary: "The run is under way", Detail: fmt.Sprintf("%s has not ended yet.", id),
			Fix: fmt.Sprintf("Wait for it, or see what it waits for: damson why %s. `damson clear %s` runs tasks of it again.", id, id)}
	}
	return Answer{Runs: []string{id}}, nil, l.admitByHand(ctx, t, r, "manual")
}

func (l *leader) admitByHand(ctx context.Context, t *track, r Request, trigger string) error {
	zone := location(t.pipeline)
	return l.loop.Admit(ctx, l.laneByHand(t), engine.Plan{Pipeline: t.pipeline, Tasks: r.Tasks, Rerun: engine.RerunAll, Params: r.Params,
		Trigger: trigger, Intervals: []run.Interval{{Start: r.Start.In(zone), End: r.End.In(zone)}}})
}

// trigger runs another pipeline because a task asks for it: for the data interval that holds Start.
func (l *leader) trigger(ctx context.Context, r Request) (a Answer, after func() error, err error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return a, nil, err
	}
	s, err := schedule.Parse(t.pipeline.Schedule, t.pipeline.Timezone)
	if err != nil {
		return a, nil, err
	}
	r.Start, r.End = s.IntervalOf(r.Start)
	id := run.NewID(r.Pipeline, r.Start.In(location(t.pipeline)))
	if a.Runs = []string{id}; l.loop.Drives(id) {
		return a, nil, nil
	}
	return a, nil, l.admitByHand(ctx, t, r, "trigger")
}

// pause lets a pipeline start nothing by itself, or again.
func (l *leader) pause(_ context.Context, r Request) (a Answer, after func() error, err error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return a, nil, err
	}
	t.Paused = r.Kind == ReqPause
	t.PausedBy, t.PausedAt = "", time.Time{}
	if t.Paused {
		t.PausedBy, t.PausedAt = r.By, l.clock.Now()
	}
	t.next = l.clock.Now()
	l.loop.Batch().Pipelines = append(l.loop.Batch().Pipelines, t.PipelineState)
	l.due = time.Time{}
	l.updated = true // datasets written while it was paused
	return a, nil, nil
}

// clearRuns makes tasks of runs run again. A run under way keeps its version; one that has ended takes the present one,
// unless the request says otherwise.
func (l *leader) clearRuns(ctx context.Context, r Request) (a Answer, after func() error, err error) {
	driven, others, err := l.chosen(ctx, r)
	if err != nil {
		return a, nil, err
	}
	type part struct {
		runs    []run.Run
		version string
	}
	var parts []part
	var changes []run.Change
	groups := byVersion(others, r.SameCode)
	for _, version := range sortedKeys(groups) {
		runs := groups[version]
		p, err := l.definition(ctx, r.Pipeline, version)
		if err != nil {
			return a, nil, diag.Finding{Summary: "That version is not to be had", Cause: err,
				Detail: fmt.Sprintf("%s ran version %s of the pipeline: %v", runs[0].ID, version, err), Fix: "Clear it for the present version instead."}
		}
		cleared, err := engine.Clear(ctx, l.store, p, engine.Selection{RunIDs: ids(runs), Tasks: r.Tasks}, l.clock.Now())
		if err != nil {
			return a, nil, err
		}
		changes = append(changes, cleared...)
		parts = append(parts, part{runs, p.Version})
	}
	for _, id := range sortedKeys(driven) {
		a.Changed += l.loop.Clear(id, driven[id])
	}
	a.Changed += count(changes)
	l.loop.Batch().Changes = append(l.loop.Batch().Changes, changes...)
	return a, func() error {
		for _, p := range parts {
			if err := l.reopen(ctx, p.runs, p.version); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// markRuns puts tasks of runs into a state by hand.
func (l *leader) markRuns(ctx context.Context, r Request) (a Answer, after func() error, err error) {
	driven, others, err := l.chosen(ctx, r)
	if err != nil {
		return a, nil, err
	}
	var changes []run.Change
	if len(others) > 0 {
		t, err := l.tracked(r.Pipeline)
		if err != nil {
			return a, nil, err
		}
		changes, err = engine.Mark(ctx, l.store, t.pipeline, engine.Selection{RunIDs: ids(others), Tasks: r.Tasks}, r.State, l.clock.Now())
		if err != nil {
			return a, nil, err
		}
	}
	for _, id := range sortedKeys(driven) {
		a.Changed += l.loop.Mark(id, driven[id], r.State)
	}
	a.Changed += count(changes)
	l.loop.Batch().Changes = append(l.loop.Batch().Changes, changes...)
	return a, func() error { return l.reopen(ctx, others, "") }, nil
}

// chosen gives the runs of a request that the loop drives, with the tasks that are meant, and the others.
func (l *leader) chosen(ctx context.Context, r Request) (driven map[string][]string, others []run.Run, err error) {
	if r.Kind == ReqMark {
		if err := engine.CheckMark(r.State); err != nil {
			return nil, nil, err
		}
	}
	driven = map[string][]string{}
	var rest []string
	for _, id := range r.Runs {
		if !l.loop.Drives(id) {
			rest = append(rest, id)
			continue
		}
		if driven[id] = r.Tasks; len(r.Tasks) == 0 {
			driven[id] = l.loop.TaskNames(id)
		}
		if err := l.loop.CheckTasks(id, r.Tasks); err != nil {
			return nil, nil, err
		}
	}
	if len(rest) == 0 {
		return driven, nil, nil
	}
	others, err = l.store.Runs(ctx, store.RunFilter{Pipeline: r.Pipeline, IDs: rest})
	if err == nil && len(others) < len(rest) {
		missing := slices.DeleteFunc(rest, func(id string) bool { return slices.Contains(ids(others), id) })
		if len(missing) > 0 {
			err = diag.Finding{Summary: "Unknown run", Detail: fmt.Sprintf("Pipeline %s has no run %q.", r.Pipeline, missing[0]),
				Fix: fmt.Sprintf("See `damson runs %s`.", r.Pipeline)}
		}
	}
	return driven, others, err
}

// reopen records what was changed by hand, gives the runs that it has opened back to the loop, and has those look again that
// depend on them.
func (l *leader) reopen(ctx context.Context, runs []run.Run, version string) error {
	if len(runs) == 0 {
		return nil
	}
	if err := l.upToDate(ctx); err != nil {
		return err
	}
	open, err := l.store.Runs(ctx, store.RunFilter{IDs: ids(runs), States: []run.State{run.Queued, run.Running}})
	if err != nil {
		return err
	}
	if err := l.readmit(ctx, open, version, false); err != nil {
		return err
	}
	return l.loop.Mended(ctx, ids(runs)...)
}

// byVersion groups runs by the version they ran, or all under "", the present one.
func byVersion(runs []run.Run, same bool) map[string][]run.Run {
	groups := map[string][]run.Run{}
	for _, r := range runs {
		version := ""
		if same {
			version = r.Version
		}
		groups[version] = append(groups[version], r)
	}
	return groups
}

func ids(runs []run.Run) []string {
	all := make([]string, len(runs))
	for i, r := range runs {
		all[i] = r.ID
	}
	return all
}

// count is the number of task runs that changes are about.
func count(changes []run.Change) (n int) {
	for _, c := range changes {
		if c.Task != "" {
			n++
		}
	}
	return n
}
