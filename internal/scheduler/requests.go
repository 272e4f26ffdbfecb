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

// answer does what a request asks for and sends what became of it with the record of its effect.
func (l *leader) answer(ctx context.Context, reply string, r Request) {
	handlers := map[string]func(context.Context, Request) (Answer, error){
		ReqRun: l.runNow, ReqTrigger: l.trigger, ReqBackfill: l.newBackfill, ReqCancel: l.cancelBackfill, ReqClear: l.clearRuns,
		ReqMark: l.markRuns, ReqPause: l.pause, ReqUnpause: l.pause,
	}
	a, err := Answer{}, error(diag.Finding{Summary: "Unknown request", Detail: fmt.Sprintf("The leader does not understand %q.", r.Kind),
		Fix: "Use the same version of Damson for the command and the server."})
	if handle := handlers[r.Kind]; handle != nil {
		a, err = handle(ctx, r)
	}
	if err != nil {
		a = refused(err)
	}
	l.log.Info("request", "kind", r.Kind, "by", r.By, "pipeline", r.Pipeline, "runs", len(r.Runs), "error", err)
	if reply != "" {
		l.loop.Batch().Send = append(l.loop.Batch().Send, message(reply, l.o.ID, MsgAnswer, a, l.clock.Now()))
	}
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
func (l *leader) runNow(ctx context.Context, r Request) (Answer, error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return Answer{}, err
	}
	id := run.NewID(r.Pipeline, r.Start.In(location(t.pipeline)))
	if l.loop.Drives(id) {
		return Answer{}, diag.Finding{Summary: "The run is under way", Detail: fmt.Sprintf("%s has not ended yet.", id),
			Fix: fmt.Sprintf("Wait for it, or see what it waits for: damson why %s. `damson clear %s` runs tasks of it again.", id, id)}
	}
	return Answer{Runs: []string{id}}, l.admitByHand(ctx, t, r, "manual")
}

func (l *leader) admitByHand(ctx context.Context, t *track, r Request, trigger string) error {
	zone := location(t.pipeline)
	return l.loop.Admit(ctx, l.laneByHand(t), engine.Plan{Pipeline: t.pipeline, Tasks: r.Tasks, Rerun: engine.RerunAll, Params: r.Params,
		Trigger: trigger, Intervals: []run.Interval{{Start: r.Start.In(zone), End: r.End.In(zone)}}})
}

// trigger runs another pipeline because a task asks for it: for the data interval that holds Start.
func (l *leader) trigger(ctx context.Context, r Request) (Answer, error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return Answer{}, err
	}
	s, err := schedule.Parse(t.pipeline.Schedule, t.pipeline.Timezone)
	if err != nil {
		return Answer{}, err
	}
	r.Start, r.End = s.IntervalOf(r.Start)
	id := run.NewID(r.Pipeline, r.Start.In(location(t.pipeline)))
	if l.loop.Drives(id) {
		return Answer{Runs: []string{id}}, nil
	}
	return Answer{Runs: []string{id}}, l.admitByHand(ctx, t, r, "trigger")
}

// pause lets a pipeline start nothing by itself, or again.
func (l *leader) pause(_ context.Context, r Request) (Answer, error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return Answer{}, err
	}
	t.Paused = r.Kind == ReqPause
	t.PausedBy, t.PausedAt = "", time.Time{}
	if t.Paused {
		t.PausedBy, t.PausedAt = r.By, l.clock.Now()
	}
	t.next = l.clock.Now()
	l.loop.Batch().Pipelines = append(l.loop.Batch().Pipelines, t.PipelineState)
	l.due = time.Time{}
	return Answer{}, nil
}

// clearRuns makes tasks of runs run again. A run under way keeps its version; one that has ended takes the present one,
// unless the request says otherwise.
func (l *leader) clearRuns(ctx context.Context, r Request) (a Answer, err error) {
	ended, err := l.eachDriven(ctx, r, func(id string, tasks []string) { a.Changed += l.loop.Clear(id, tasks) })
	if err != nil || len(ended) == 0 {
		return a, err
	}
	t := l.pipelines[r.Pipeline]
	for version, runs := range byVersion(ended, r.SameCode) {
		p, err := l.definition(ctx, r.Pipeline, version)
		if err != nil {
			return a, diag.Finding{Summary: "That version is not to be had", Cause: err,
				Detail: fmt.Sprintf("%s ran version %s of the pipeline: %v", runs[0].ID, version, err), Fix: "Clear it for the present version instead."}
		}
		changes, err := engine.Clear(ctx, l.store, p, engine.Selection{RunIDs: ids(runs), Tasks: r.Tasks}, l.clock.Now())
		if err != nil {
			return a, err
		}
		a.Changed += count(changes)
		l.loop.Batch().Changes = append(l.loop.Batch().Changes, changes...)
		if err := l.loop.Record(ctx); err != nil {
			return a, err
		}
		if err := l.reopen(ctx, t, runs, p.Version); err != nil {
			return a, err
		}
	}
	return a, nil
}

// markRuns puts tasks of runs into a state by hand.
func (l *leader) markRuns(ctx context.Context, r Request) (a Answer, err error) {
	ended, err := l.eachDriven(ctx, r, func(id string, tasks []string) { a.Changed += l.loop.Mark(id, tasks, r.State) })
	if err != nil || len(ended) == 0 {
		return a, err
	}
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return a, err
	}
	changes, err := engine.Mark(ctx, l.store, t.pipeline, engine.Selection{RunIDs: ids(ended), Tasks: r.Tasks}, r.State, l.clock.Now())
	if err != nil {
		return a, err
	}
	a.Changed += count(changes)
	l.loop.Batch().Changes = append(l.loop.Batch().Changes, changes...)
	if err := l.loop.Record(ctx); err != nil {
		return a, err
	}
	return a, l.reopen(ctx, t, ended, "")
}

// eachDriven does something with the runs of a request that the loop drives, and gives the others.
func (l *leader) eachDriven(ctx context.Context, r Request, do func(id string, tasks []string)) ([]run.Run, error) {
	var others []string
	for _, id := range r.Runs {
		if !l.loop.Drives(id) {
			others = append(others, id)
			continue
		}
		tasks := r.Tasks
		if len(tasks) == 0 {
			tasks = l.loop.TaskNames(id)
		}
		do(id, tasks)
	}
	if len(others) == 0 {
		return nil, nil
	}
	runs, err := l.store.Runs(ctx, store.RunFilter{Pipeline: r.Pipeline, IDs: others})
	if err == nil && len(runs) < len(others) {
		missing := slices.DeleteFunc(others, func(id string) bool { return slices.Contains(ids(runs), id) })
		err = diag.Finding{Summary: "Unknown run", Detail: fmt.Sprintf("Pipeline %s has no run %q.", r.Pipeline, missing[0]),
			Fix: fmt.Sprintf("See `damson runs %s`.", r.Pipeline)}
	}
	return runs, err
}

// reopen gives runs that a change by hand has opened back to the loop.
func (l *leader) reopen(ctx context.Context, t *track, runs []run.Run, version string) error {
	now, err := l.store.Runs(ctx, store.RunFilter{IDs: ids(runs), States: []run.State{run.Queued, run.Running}})
	if err != nil || len(now) == 0 {
		return err
	}
	if t == nil {
		return errors.New("the pipeline of these runs is not followed")
	}
	return l.readmit(ctx, now, version, false)
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
