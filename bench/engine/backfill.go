package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
	"damson/internal/warehouse/duckdb"
)

const (
	backfillDays  = 365
	backfillTasks = 12
)

var backfillFirst = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)

// daily is the pipeline of the backfills.
const daily = `p = pipeline(name = "daily", schedule = "@daily", start = "2023-01-01", end = "2023-12-31", catchup = False)
chain(*[p.sql("t%d" % i, file = "sql/one.sql") for i in range(12)])
`

func backfillFiles() map[string]string {
	return map[string]string{"damson.yaml": "name: bench\n", "sql/one.sql": "SELECT 1\n", "pipelines/daily.star": daily}
}

// backfills prints task runs a second.
func (b *bench) backfills(ctx context.Context) error {
	if b.profile != "" {
		f, err := os.Create(b.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Printf("%-10s %-22s %-12s %9s %13s\n", "store", "what", "parallel", "s", "task runs/s")
	for _, kind := range b.stores {
		for _, c := range []struct {
			what     string
			parallel int
			do       func(context.Context, string, int) (time.Duration, error)
		}{{"floor: SELECT 1", 1, b.bare}, {"floor: + a row", 1, b.bareRow}, {"no-op", 1, b.noop}, {"no-op", 2, b.noop}, {"SELECT 1, serve", 1, b.serveBackfill}, {"SELECT 1, serve", 0, b.serveBackfill}, {"SELECT 1, command", 0, b.commandBackfill}} {
			if !strings.Contains(c.what, b.steps) {
				continue
			}
			var took []time.Duration
			for range b.rounds {
				t, err := c.do(ctx, kind, c.parallel)
				if err != nil {
					return err
				}
				took = append(took, t)
			}
			parallel := fmt.Sprint(c.parallel)
			if c.parallel == 0 {
				parallel = "default"
			}
			fmt.Printf("%-10s %-22s %-12s %9.2f %13.0f\n", kind, c.what, parallel, median(took).Seconds(), backfillDays*backfillTasks/median(took).Seconds())
		}
	}
	return nil
}

// bare is the statements of all tasks on DuckDB alone.
func (b *bench) bare(ctx context.Context, _ string, _ int) (time.Duration, error) {
	return b.statements(ctx, func(db *duckdb.Warehouse, _ int) error {
		_, err := db.Exec(ctx, "SELECT 1")
		return err
	})
}

// bareRow is the same, each in a transaction with a row that says that it was: what no two task runs can share.
func (b *bench) bareRow(ctx context.Context, _ string, _ int) (time.Duration, error) {
	return b.statements(ctx, func(db *duckdb.Warehouse, i int) error {
		tx, err := db.Begin(ctx)
		if err != nil {
			return err
		}
		row := fmt.Sprintf("INSERT INTO done VALUES ('daily@%d', 't%d', 1, '{}')", i/backfillTasks, i%backfillTasks)
		for _, sql := range []string{"SELECT 1", row} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return errors.Join(err, tx.Rollback(ctx))
			}
		}
		return tx.Commit(ctx)
	})
}

func (b *bench) statements(ctx context.Context, do func(db *duckdb.Warehouse, i int) error) (time.Duration, error) {
	b.sites++
	db, err := duckdb.Open(ctx, duckdb.Options{Path: filepath.Join(b.dir, fmt.Sprintf("floor%d.duckdb", b.sites))})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	const table = "CREATE TABLE done (run_id text, task text, attempt bigint, result text, PRIMARY KEY (run_id, task, attempt))"
	if _, err := db.Exec(ctx, table); err != nil {
		return 0, err
	}
	begun := time.Now()
	for i := range backfillDays * backfillTasks {
		if err := do(db, i); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

// serveBackfill has a server do it.
func (b *bench) serveBackfill(ctx context.Context, kind string, parallel int) (time.Duration, error) {
	s, err := b.site(kind, backfillFiles())
	if err != nil {
		return 0, err
	}
	took, err := s.serveBackfill(ctx, parallel)
	if err != nil {
		return 0, err
	}
	return took, s.close()
}

func (s *site) serveBackfill(ctx context.Context, parallel int) (time.Duration, error) {
	if err := s.pause(ctx, "daily"); err != nil {
		return 0, err
	}
	var args []string
	if parallel > 0 {
		args = []string{"--parallel", fmt.Sprint(parallel)}
	}
	v, err := s.serve(args...)
	if err != nil {
		return 0, err
	}
	defer v.stop()
	if err := v.ready(ctx); err != nil {
		return 0, err
	}
	return s.backfill(ctx, parallel)
}

// pause keeps a pipeline from making runs by itself.
func (s *site) pause(ctx context.Context, name string) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.store.Commit(ctx, store.Batch{Pipelines: []store.PipelineState{{Name: name, Paused: true, PausedBy: "bench", PausedAt: time.Now()}}})
}

// backfill asks whoever leads for the backfill and waits for its end.
func (s *site) backfill(ctx context.Context, parallel int) (took time.Duration, err error) {
	wish := scheduler.Wish{From: backfillFirst, To: backfillFirst.AddDate(0, 0, backfillDays-1), Batch: 1, Parallel: parallel}
	answer, err := s.ask(ctx, scheduler.Request{Kind: scheduler.ReqBackfill, Pipeline: "daily", Backfill: &wish, By: "bench"})
	if err != nil {
		return 0, err
	}
	err = until("the end of the backfill", 100*time.Millisecond, func() (bool, error) {
		all, err := s.store.Backfills(ctx, false)
		for _, f := range all {
			if f.ID == answer.Backfill && !f.Ended.IsZero() {
				took = f.Ended.Sub(f.Created)
				if f.State != scheduler.BackfillDone {
					return true, fmt.Errorf("the backfill is %s", f.State)
				}
				return true, nil
			}
		}
		return false, err
	})
	return took, err
}

// commandBackfill runs the command without a server: from the first run's start to the last one's end.
func (b *bench) commandBackfill(ctx context.Context, kind string, _ int) (time.Duration, error) {
	s, err := b.site(kind, backfillFiles())
	if err != nil {
		return 0, err
	}
	if err := s.command("backfill", "daily", "--batch", "1"); err != nil {
		return 0, err
	}
	if err := s.open(ctx); err != nil {
		return 0, err
	}
	runs, err := s.store.Runs(ctx, store.RunFilter{Pipeline: "daily", States: []run.State{run.Success}})
	if err != nil || len(runs) != backfillDays {
		return 0, fmt.Errorf("%d runs succeeded: %w", len(runs), err)
	}
	first, last := runs[0].Started, runs[0].Ended
	for _, r := range runs {
		if r.Started.Before(first) {
			first = r.Started
		}
		if r.Ended.After(last) {
			last = r.Ended
		}
	}
	return last.Sub(first), s.close()
}

// idler is a project whose tasks do nothing; it is its own executor and ledger.
type idler struct{ catalogue *scheduler.Catalogue }

func newIdler() *idler {
	i := &idler{}
	p := &pipeline.Pipeline{Name: "daily", Version: "v1", Schedule: "@daily", Timezone: "UTC", Start: backfillFirst,
		End: backfillFirst.AddDate(0, 0, backfillDays-1), MaxActiveRuns: 16}
	for n := range backfillTasks {
		t := &pipeline.Task{Name: fmt.Sprintf("t%02d", n), Kind: pipeline.SQLTask, TriggerRule: "all_success"}
		if n > 0 {
			t.Upstream = []string{p.Tasks[n-1].Name}
		}
		p.Tasks = append(p.Tasks, t)
	}
	i.catalogue = &scheduler.Catalogue{Pipelines: []*pipeline.Pipeline{p}, Executor: func(pipeline.Kind) engine.Executor { return i }}
	return i
}

func (i *idler) Execute(context.Context, engine.Work) (engine.Outcome, error) {
	return engine.Outcome{}, nil
}

func (i *idler) Committed(context.Context, []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return nil, nil
}

func (i *idler) Settle(context.Context, []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return nil, nil
}

func (i *idler) Taken(context.Context, []run.Claim) (map[run.Claim]bool, error) { return nil, nil }

func (i *idler) Current() *scheduler.Catalogue { return i.catalogue }
func (i *idler) Changed() <-chan struct{}      { return nil }
func (i *idler) Find(_ context.Context, name, _ string) (*pipeline.Pipeline, *scheduler.Catalogue, error) {
	return i.catalogue.Pipelines[0], i.catalogue, nil
}

// noop drives the backfill in this process, with an executor that returns at once.
func (b *bench) noop(ctx context.Context, kind string, parallel int) (time.Duration, error) {
	s, err := b.site(kind, nil)
	if err != nil {
		return 0, err
	}
	took, err := s.noop(ctx, parallel)
	if err != nil {
		return 0, err
	}
	return took, s.close()
}

func (s *site) noop(ctx context.Context, parallel int) (time.Duration, error) {
	if err := s.pause(ctx, "daily"); err != nil {
		return 0, err
	}
	i := newIdler()
	led := make(chan struct{})
	serving, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	o := scheduler.Options{ID: "bench", Parallel: parallel, Leads: true, Alone: true, Led: func() { close(led) },
		Open: func(context.Context) (engine.Ledger, error) { return i, nil }}
	go func() { done <- scheduler.New(s.store, i, clock.System{}, o).Run(serving) }()
	<-led
	took, err := s.backfill(ctx, parallel)
	if err != nil {
		return 0, err
	}
	stop()
	return took, <-done
}
