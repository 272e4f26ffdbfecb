package engine_test

import (
	"context"
	"errors"
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

// TestOnSQLite drives a plan over the real store: a failure, a clear, a second process on the same file.
func TestOnSQLite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.db")
	p := chain("fetch", "clean", "score")
	p.Tasks[1].Batch = true
	p.Tasks[0].Retries, p.Tasks[2].DependsOnPast = 1, true
	books := newBooks()
	executor := executorFunc(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
		w.Log.Infof("attempt %d", w.Claims[0].Attempt)
		if w.Task.Name == "fetch" && w.Claims[0].Attempt == 1 {
			return engine.Outcome{}, errors.New("host not found")
		}
		books.commit(w.Claims)
		return engine.Outcome{Result: len(w.Runs)}, nil
	})
	process := func(do func(s *store.Store, e *engine.Engine)) {
		d, err := sqlite.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		do(s, engine.New(s, books, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: executor}, clock.System{}, engine.Options{}))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	plan := engine.Plan{Pipeline: p, Intervals: days(12, 16), Batch: 5}
	process(func(s *store.Store, e *engine.Engine) {
		r, err := e.Run(t.Context(), plan)
		if err != nil || r.Created != 5 || r.Succeeded != 5 || r.Tasks.Success != 15 {
			t.Fatalf("%+v, %v", r, err)
		}
		lines, err := s.Logs(t.Context(), id(14), "fetch", 0)
		if err != nil || len(lines) != 3 || lines[2].Text != "attempt 2" {
			t.Errorf("%+v, %v", lines, err)
		}
	})
	process(func(s *store.Store, e *engine.Engine) {
		sel := engine.Selection{RunIDs: []string{id(13), id(14)}, Tasks: []string{"clean"}, Downstream: true}
		changes, err := engine.Clear(t.Context(), s, p, sel, time.Now())
		if err != nil || len(changes) != 6 {
			t.Fatalf("%+v, %v", changes, err)
		}
		if err := s.Apply(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		r, err := e.Run(t.Context(), plan)
		if err != nil || r.Untouched != 3 || r.Tasks.Success != 4 {
			t.Fatalf("%+v, %v", r, err)
		}
		tasks, err := s.TaskRuns(t.Context(), id(13))
		if err != nil || len(tasks) != 3 {
			t.Fatalf("%+v, %v", tasks, err)
		}
		if c := tasks[0]; c.Task != "clean" || c.Attempt != 2 || string(c.Result) != "2" || c.State != run.Success {
			t.Errorf("%+v", c)
		}
	})
}
