package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

const startTasks = 12

// starts of the pipelines: one data interval is due at once, or none for a long time.
const (
	dueNow   = "2024-01-01"
	dueLater = "2999-01-01"
)

// startFiles is a project of n pipelines; with own, each task has a SQL file of its own.
func startFiles(n int, own bool, start string) map[string]string {
	files := map[string]string{"damson.yaml": "name: bench\n"}
	for i := range n {
		files[startFile(i)] = startPipeline(i, own, start)
		for k := range startTasks {
			if own {
				files[fmt.Sprintf("sql/p%d/t%d.sql", i, k)] = fmt.Sprintf("-- task %d of pipeline %d\nSELECT 1\n", k, i)
			} else {
				files[fmt.Sprintf("sql/t%d.sql", k)] = "SELECT 1\n"
			}
		}
	}
	return files
}

func startFile(i int) string { return fmt.Sprintf("pipelines/p%04d.star", i) }

func startPipeline(i int, own bool, start string) string {
	file := `"sql/t%d.sql" % i`
	if own {
		file = fmt.Sprintf(`"sql/p%d/t%%d.sql" %% i`, i)
	}
	return fmt.Sprintf("p = pipeline(name = \"p%d\", schedule = \"@daily\", start = %q, catchup = False)\nchain(*[p.sql(\"t%%d\" %% i, file = %s) for i in range(%d)])\n",
		i, start, file, startTasks)
}

// starts prints how soon a server works, how soon it takes in a change, and what it needs at rest.
func (b *bench) starts(ctx context.Context) error {
	fmt.Printf("%-10s %-10s %-7s %22s %22s %26s %26s %10s %10s %12s\n", "store", "pipelines", "SQL", "first: to task ms", "again: to task ms",
		"change: to log ms", "change: to task ms", "RSS MiB", "peak MiB", "idle CPU %")
	for _, kind := range b.stores {
		for _, c := range []struct {
			n   int
			own bool
		}{{b.sizes[0], true}, {b.sizes[1], false}, {b.sizes[1], true}} {
			if err := b.start(ctx, kind, c.n, c.own); err != nil {
				return err
			}
		}
	}
	return nil
}

// start measures one size of project.
func (b *bench) start(ctx context.Context, kind string, n int, own bool) error {
	var first, again []time.Duration
	for range b.rounds {
		s, err := b.site(kind, startFiles(n, own, dueNow))
		if err != nil {
			return err
		}
		took, err := s.first(ctx)
		if err != nil {
			return err
		}
		first = append(first, took)
		if err := s.close(); err != nil {
			return err
		}
	}
	s, err := b.site(kind, startFiles(n+b.rounds, own, dueLater))
	if err != nil {
		return err
	}
	for i := range b.rounds + 1 {
		took, err := s.again(ctx, "p0")
		if err != nil {
			return err
		}
		if i > 0 { // the first time it made the store
			again = append(again, took)
		}
	}
	rest, err := s.atRest(ctx, n, own)
	if err != nil {
		return err
	}
	sql := "shared"
	if own {
		sql = "own"
	}
	fmt.Printf("%-10s %-10d %-7s %22s %22s %26s %26s %10.0f %10.0f %12.1f\n", kind, n, sql, spread(first), spread(again), spread(rest.toLog), spread(rest.toTask),
		rest.now, rest.peak, 100*rest.cpu)
	return s.close()
}

// first is the time from the start of a server over a new project to its first task's.
func (s *site) first(ctx context.Context) (time.Duration, error) {
	syscall.Sync() // the writing of the project is no part of it
	v, err := s.serve()
	if err != nil {
		return 0, err
	}
	defer v.stop()
	if err := v.ready(ctx); err != nil {
		return 0, err
	}
	at, err := s.firstTask(ctx, store.RunFilter{})
	return at.Sub(v.started), err
}

// firstTask waits for a task of the runs to be started and gives when the first one was.
func (s *site) firstTask(ctx context.Context, f store.RunFilter) (at time.Time, err error) {
	f.States = []run.State{run.Running, run.Success}
	err = until("a task that runs", 20*time.Millisecond, func() (bool, error) {
		runs, err := s.store.Runs(ctx, f)
		if err != nil || len(runs) == 0 {
			return false, err
		}
		slices.SortFunc(runs, func(a, b run.Run) int { return a.Started.Compare(b.Started) })
		tasks, err := s.store.TaskRuns(ctx, runs[0].ID)
		for _, t := range tasks {
			if !t.Started.IsZero() && (at.IsZero() || t.Started.Before(at)) {
				at = t.Started
			}
		}
		return !at.IsZero(), err
	})
	return at, err
}

// again is the time from the start of a server over a project that it knows to the first task of a run that was asked for
// while no server ran.
func (s *site) again(ctx context.Context, name string) (time.Duration, error) {
	if err := s.open(ctx); err != nil {
		return 0, err
	}
	day := backfillFirst.AddDate(0, 0, s.asked)
	s.asked++
	r := scheduler.Request{Kind: scheduler.ReqRun, Pipeline: name, Start: day, End: day.AddDate(0, 0, 1), By: "bench"}
	if err := s.store.Send(ctx, scheduler.NewRequest("", r, time.Now())); err != nil {
		return 0, err
	}
	v, err := s.serve()
	if err != nil {
		return 0, err
	}
	defer v.stop()
	at, err := s.firstTask(ctx, store.RunFilter{IDs: []string{run.NewID(name, day)}})
	return at.Sub(v.started), err
}

// rest is what was seen of a server with nothing to do.
type rest struct {
	toLog, toTask []time.Duration // from a change of a file to the line that tells of it, and to the run's first task
	now, peak     float64
	cpu           float64 // of one processor
}

// atRest lets a server rest, and then changes one pipeline after the other.
func (s *site) atRest(ctx context.Context, n int, own bool) (r rest, err error) {
	v, err := s.serve()
	if err != nil {
		return r, err
	}
	defer v.stop()
	if err := v.ready(ctx); err != nil {
		return r, err
	}
	time.Sleep(5 * time.Second)
	const quiet = 10 * time.Second
	before := v.cpu()
	time.Sleep(quiet)
	r.cpu = float64(v.cpu()-before) / float64(quiet)
	if r.now, r.peak, err = v.memory(); err != nil {
		return r, err
	}
	for i := range s.rounds {
		changed := n + i
		written := time.Now()
		if err := s.write(startFile(changed), startPipeline(changed, own, dueNow)); err != nil {
			return r, err
		}
		at, err := s.firstTask(ctx, store.RunFilter{Pipeline: fmt.Sprintf("p%d", changed)})
		if err != nil {
			return r, err
		}
		r.toLog, r.toTask = append(r.toLog, (<-v.changed).Sub(written)), append(r.toTask, at.Sub(written))
	}
	return r, nil
}
