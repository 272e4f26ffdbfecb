package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/sqlite"
)

// noop succeeds at once.
type noop struct{}

func (noop) Execute(context.Context, engine.Work) (engine.Outcome, error) {
	return engine.Outcome{}, nil
}

// chatty is noop with a log line and a result, as real tasks have.
type chatty struct{}

func (chatty) Execute(_ context.Context, w engine.Work) (engine.Outcome, error) {
	w.Log.Infof("%d rows in 12 ms", 1234)
	return engine.Outcome{Result: map[string]int{"rows": 1234}}, nil
}

// never is a ledger in which nothing has committed.
type never struct{}

func (never) Committed(context.Context, []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return nil, nil
}

func (never) Settle(context.Context, []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return nil, nil
}

func (never) Taken(context.Context, []run.Claim) (map[run.Claim]bool, error) { return nil, nil }

// backfill drives days × tasks of a chain (width 1) or of a diamond and reports task runs a second.
func backfill(b *testing.B, st engine.Store, x engine.Executor, p *pipeline.Pipeline, n, batch int) {
	day := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	var intervals []run.Interval
	for i := range n {
		intervals = append(intervals, run.Interval{Start: day.AddDate(0, 0, i), End: day.AddDate(0, 0, i+1)})
	}
	e := engine.New(st, never{}, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: x}, clock.System{}, engine.Options{Parallel: 4})
	begun := time.Now()
	r, err := e.Run(b.Context(), engine.Plan{Pipeline: p, Intervals: intervals, Batch: batch})
	if err != nil || r.Succeeded != n {
		b.Fatalf("%+v, %v", r, err)
	}
	took := time.Since(begun)
	b.ReportMetric(float64(n*len(p.Tasks))/took.Seconds(), "taskruns/s")
	b.ReportMetric(float64(took.Microseconds())/float64(n*len(p.Tasks)), "µs/taskrun")
}

// thirteen is a chain of thirteen tasks.
func thirteen(active int) *pipeline.Pipeline {
	var names []string
	for i := range 13 {
		names = append(names, fmt.Sprintf("task_%02d", i))
	}
	p := chain(names...)
	p.MaxActiveRuns = active
	return p
}

func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		m := newMemory(b.Errorf)
		m.quiet = true
		backfill(b, m, noop{}, thirteen(0), 1826, 0)
	}
}

func BenchmarkSQLite(b *testing.B) {
	for _, c := range []struct {
		name   string
		active int
		x      engine.Executor
	}{{"one run at a time", 1, noop{}}, {"eight runs at a time", 8, noop{}}, {"one run at a time with logs", 1, chatty{}},
		{"eight runs at a time with logs", 8, chatty{}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				d, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "store.db"))
				if err != nil {
					b.Fatal(err)
				}
				s, err := store.New(b.Context(), d)
				if err != nil {
					b.Fatal(err)
				}
				backfill(b, s, c.x, thirteen(c.active), 365, 0)
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
