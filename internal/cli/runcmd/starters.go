package runcmd

import (
	"context"
	"fmt"
	"time"

	"damson/internal/cli/console"
	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/schedule"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// remember gives the run that a claim has started before, or starts it: a claim starts one run, however often it asks and
// whatever process asks.
func remember(ctx context.Context, s *store.Store, by run.Claim, start func() (string, error)) (string, error) {
	name := fmt.Sprintf("trigger/%s/%s/%d", by.RunID, by.Task, by.Attempt)
	known, err := s.Snapshot(ctx, name)
	if err != nil || known != nil {
		return string(known), err
	}
	id, err := start()
	if err != nil {
		return "", err
	}
	return id, s.SaveSnapshot(ctx, name, []byte(id))
}

// RemoteStarter has the leader run another pipeline for a trigger task.
type RemoteStarter struct {
	Clock clock.Clock
	Store *store.Store
}

// Start asks the leader and gives the run's ID.
func (r *RemoteStarter) Start(ctx context.Context, name string, date time.Time, params map[string]any, by run.Claim) (string, error) {
	return remember(ctx, r.Store, by, func() (string, error) {
		answer, err := scheduler.Ask(ctx, r.Store, r.Clock, scheduler.Request{Kind: scheduler.ReqTrigger, By: by.RunID + " " + by.Task,
			Pipeline: name, Start: date, Params: params}, time.Minute)
		if err != nil {
			return "", err
		}
		return answer.Runs[0], nil
	})
}

// localStarter runs another pipeline for a trigger task, in this process and at once.
type localStarter struct {
	app      *app
	w        *console.Workspace
	parallel int
}

// Start drives the other pipeline's run to its end before it returns.
func (l *localStarter) Start(ctx context.Context, name string, date time.Time, params map[string]any, by run.Claim) (string, error) {
	p, err := l.w.Project.Pipeline(name)
	if err != nil {
		return "", err
	}
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err != nil {
		return "", err
	}
	return remember(ctx, l.w.Store, by, func() (string, error) {
		start, end := s.IntervalOf(date)
		i := run.Interval{Start: start.In(s.Location()), End: end.In(s.Location())}
		shop := l.app.Shop(l.w.Project, l.w.Store, l.w.Warehouse)
		shop.Starter = l
		e := engine.New(l.w.Store, l.w.Warehouse, shop.Executors(), l.app.Clock, engine.Options{Parallel: max(l.parallel, 1), Datasets: datasets(l.w.Project)})
		_, err := e.Run(ctx, engine.Plan{Pipeline: p, Intervals: []run.Interval{i}, Rerun: engine.RerunAll, Params: params, Trigger: "trigger"})
		return run.NewID(name, i.Start), err
	})
}
