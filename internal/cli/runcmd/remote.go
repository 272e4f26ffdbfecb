package runcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// patience is how long a command waits for the server's answer.
const patience = 15 * time.Second

// ask has the leader do something and waits for what became of it.
func (a *app) ask(ctx context.Context, s *store.Store, r scheduler.Request) (scheduler.Answer, error) {
	r.By = console.Whoami()
	return scheduler.Ask(ctx, s, a.Clock, r, patience)
}

// driveRemote has the server drive a plan and follows it to its end.
func (a *app) driveRemote(ctx context.Context, p *project.Project, s *store.Store, o driveOptions, plan engine.Plan) error {
	if plan.Trigger == "manual" {
		return a.runRemote(ctx, p, s, o, plan)
	}
	return a.backfillRemote(ctx, p, s, o, plan)
}

// runRemote runs one data interval in the server.
func (a *app) runRemote(ctx context.Context, p *project.Project, s *store.Store, o driveOptions, plan engine.Plan) error {
	i := plan.Intervals[0]
	answer, err := a.ask(ctx, s, scheduler.Request{Kind: scheduler.ReqRun, Pipeline: plan.Pipeline.Name, Start: i.Start, End: i.End,
		Tasks: plan.Tasks, Params: plan.Params})
	if err != nil {
		return err
	}
	id := answer.Runs[0]
	r, err := a.followRun(ctx, p, s, id)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Err, "The run goes on in the server: damson tasks %s\n", id)
		return err
	}
	if err != nil {
		return err
	}
	tasks, err := s.TaskRuns(ctx, id)
	if err != nil {
		return err
	}
	tasks = inPipelineOrder(p, r.Pipeline, tasks)
	if o.json {
		err = a.PrintJSON(runTasks{*r, console.EmptyNotNull(tasks)})
	} else {
		a.printDone(plan, tasks)
		a.Printf("%s: %s %s\n", a.Style(console.StyleHead, r.ID), a.State(string(r.State)), console.FirstLine(r.Reason))
	}
	if err == nil && (r.State == run.Failed || len(plan.Tasks) > 0 && anyFailed(tasks, plan.Tasks)) {
		return console.ErrSilent
	}
	return err
}

func anyFailed(tasks []run.TaskRun, names []string) bool {
	for _, t := range tasks {
		for _, name := range names {
			if t.Task == name && (t.State == run.Failed || t.State == run.UpstreamFailed) {
				return true
			}
		}
	}
	return false
}

// lookEvery is how often a command looks at what the server has come to.
const lookEvery = 200 * time.Millisecond

// absence notices that nobody leads any more while a command waits, and says so once each time.
type absence struct {
	*app
	project *project.Project
	store   *store.Store
	next    time.Time
	told    bool
}

// look looks every now and then.
func (n *absence) look(ctx context.Context) error {
	now := n.Clock.Now()
	if now.Before(n.next) {
		return nil
	}
	n.next = now.Add(2 * time.Second)
	leader, err := n.LeaderOf(ctx, n.project, n.store)
	if err == nil && leader == nil && !n.told {
		fmt.Fprintln(n.Err, "The server has ended. What was asked for goes on when one runs again: damson serve")
	}
	n.told = leader == nil
	return err
}

// followRun waits for the end of a run.
func (a *app) followRun(ctx context.Context, p *project.Project, s *store.Store, id string) (*run.Run, error) {
	absent := &absence{app: a, project: p, store: s}
	for {
		if err := absent.look(ctx); err != nil {
			return nil, err
		}
		runs, err := s.Runs(ctx, store.RunFilter{IDs: []string{id}})
		if err != nil {
			return nil, err
		}
		if len(runs) == 1 && runs[0].State.Ended() {
			return &runs[0], nil
		}
		if err := a.Clock.Sleep(ctx, lookEvery); err != nil {
			return nil, err
		}
	}
}

// backfillRemote makes a backfill in the server and follows it.
func (a *app) backfillRemote(ctx context.Context, p *project.Project, s *store.Store, o driveOptions, plan engine.Plan) error {
	n := len(plan.Intervals)
	wish := scheduler.Wish{From: plan.Intervals[0].Start, To: plan.Intervals[n-1].Start, Tasks: plan.Tasks, Rerun: plan.Rerun,
		Batch: plan.Batch, Parallel: o.parallel}
	answer, err := a.ask(ctx, s, scheduler.Request{Kind: scheduler.ReqBackfill, Pipeline: plan.Pipeline.Name, Backfill: &wish})
	if err != nil {
		return err
	}
	if o.detach {
		if o.json {
			return a.PrintJSON(answer)
		}
		a.Printf("Backfill %s has begun: damson backfills\n", answer.Backfill)
		return nil
	}
	b, err := a.followBackfill(ctx, p, s, answer.Backfill)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.Err, "The backfill goes on in the server: damson backfills; damson backfills cancel %s ends it.\n", answer.Backfill)
		return err
	}
	if err != nil {
		return err
	}
	if o.json {
		err = a.PrintJSON(b)
	} else {
		a.Printf("%s: backfill %s, %d of %s failed\n", a.Style(console.StyleHead, b.Pipeline), a.State(b.State), b.Failed, console.Plural(b.Total, "run"))
	}
	if err == nil && b.State != scheduler.BackfillDone {
		return console.ErrSilent
	}
	return err
}

// followBackfill shows how a backfill advances until it has ended.
func (a *app) followBackfill(ctx context.Context, p *project.Project, s *store.Store, id string) (backfillView, error) {
	absent := &absence{app: a, project: p, store: s}
	var bar *progress
	defer func() {
		if bar != nil {
			bar.stop()
		}
	}()
	for {
		if err := absent.look(ctx); err != nil {
			return backfillView{}, err
		}
		b, err := a.backfillView(ctx, s, id)
		if err != nil {
			return b, err
		}
		if bar == nil {
			bar = a.newProgress(b.Pipeline, b.Total)
		}
		bar.set("runs", b.Done, b.Total, a.Clock.Now())
		if b.State != scheduler.BackfillOpen {
			return b, nil
		}
		if err := a.Clock.Sleep(ctx, lookEvery); err != nil {
			return b, err
		}
	}
}

// changeRemote has the server clear or mark what was chosen.
func (a *app) changeRemote(ctx context.Context, s *store.Store, pl *pipeline.Pipeline, r scheduler.Request, changes []run.Change) error {
	seen := map[string]bool{}
	tasks := map[string]bool{}
	for _, c := range changes {
		if c.Task == "" {
			continue
		}
		if !seen[c.RunID] {
			r.Runs = append(r.Runs, c.RunID)
			seen[c.RunID] = true
		}
		tasks[c.Task] = true
	}
	for _, name := range pl.TaskNames() {
		if tasks[name] {
			r.Tasks = append(r.Tasks, name)
		}
	}
	r.Pipeline = pl.Name
	answer, err := a.ask(ctx, s, r)
	if err != nil {
		return err
	}
	a.Printf("Done by the server: %s.\n", console.Plural(answer.Changed, "task run"))
	return nil
}

// noServer is the error of a command that only a server can do.
func noServer(what string) error {
	return diag.Finding{Summary: "No server runs", Detail: what + " is kept by a running server.", Fix: "Start it: damson serve"}
}
