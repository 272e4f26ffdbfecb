package tasks_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/store"
	"damson/internal/store/sqlite"
	"damson/internal/tasks"
	"damson/internal/warehouse"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

// shop is a project with a warehouse, a store and an engine of its own.
type shop struct {
	*testing.T
	of     *tasks.Shop
	store  *store.Store
	engine *engine.Engine
}

// open makes a project of these files and opens what it needs to run.
func open(t *testing.T, files map[string]string) *shop {
	t.Helper()
	dir := t.TempDir()
	files["damson.yaml"] = "name: test\nenvironments:\n  dev:\n    warehouse: \"duckdb:x.duckdb\"\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, findings := project.Load(dir, project.Options{})
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	of := &tasks.Shop{Project: p, Warehouse: warehousetest.Open(t, "duckdb"), Clock: clock.System{}}
	return (&shop{T: t, of: of}).newStore()
}

// newStore gives the shop an empty store; its warehouse stays.
func (s *shop) newStore() *shop {
	s.Helper()
	db, err := sqlite.Open(s.Context(), filepath.Join(s.TempDir(), "store.db"))
	if err != nil {
		s.Fatal(err)
	}
	if s.store, err = store.New(s.Context(), db); err != nil {
		s.Fatal(err)
	}
	remembers := s.store
	s.Cleanup(func() {
		if err := remembers.Close(); err != nil {
			s.Error(err)
		}
	})
	s.of.Registry, s.of.Past = registry.New(s.store, clock.System{}), s.store
	s.engine = engine.New(s.store, s.of.Warehouse, s.of.Executors(), clock.System{}, engine.Options{})
	return s
}

// exec runs one statement.
func (s *shop) exec(sql string) {
	s.Helper()
	err := s.of.Warehouse.Do(s.Context(), nil, func(tx *warehouse.Tx) (any, error) {
		_, err := tx.Script(s.Context(), sqltext.Plain("test.sql", sql), nil)
		return nil, err
	})
	if err != nil {
		s.Fatalf("%s\n%v", sql, err)
	}
}

// table gives a query's rows, a line each.
func (s *shop) table(sql string) string {
	s.Helper()
	r, err := s.of.Warehouse.Query(s.Context(), sqltext.Plain("test.sql", sql))
	if err != nil {
		s.Fatal(err)
	}
	all, err := rows.ReadAll(r)
	if err != nil {
		s.Fatal(err)
	}
	var lines []string
	for _, row := range all {
		var values []string
		for _, v := range row {
			if at, ok := v.(time.Time); ok {
				v = strings.TrimSuffix(at.Format("2006-01-02 15:04"), " 00:00")
			}
			values = append(values, fmt.Sprint(v))
		}
		lines = append(lines, strings.Join(values, " "))
	}
	return strings.Join(lines, "\n")
}

// run drives a pipeline and gives the tasks' results by run.
func (s *shop) run(name string, plan engine.Plan) map[string]string {
	s.Helper()
	p, err := s.of.Project.Pipeline(name)
	if err != nil {
		s.Fatal(err)
	}
	plan.Pipeline = p
	report, err := s.engine.Run(s.Context(), plan)
	if err != nil {
		s.Fatal(err)
	}
	runs, err := s.store.Runs(context.Background(), store.RunFilter{Pipeline: name})
	if err != nil {
		s.Fatal(err)
	}
	results := map[string]string{}
	for _, r := range runs {
		ts, err := s.store.TaskRuns(context.Background(), r.ID)
		if err != nil {
			s.Fatal(err)
		}
		for _, t := range ts {
			if t.State != run.Success {
				s.Fatalf("%s of %s is %s: %s\n%+v", t.Task, r.ID, t.State, t.Reason, report)
			}
			results[r.ID+" "+t.Task] = string(t.Result)
		}
	}
	return results
}

// TestALostStoreIsNoExcuse: what the ledger has of a store that is gone does not pass for the work of the runs in a new one.
func TestALostStoreIsNoExcuse(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]string{
		"pipelines/p.star": `
p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12")
p.sql("count", into = "geo.counted", partition_by = "tdate", batch = True)`,
		"sql/count.sql": `SELECT tdate, count(*) AS n FROM points
			WHERE tdate >= date '{{ data_interval_start | ds }}' AND tdate < date '{{ data_interval_end | ds }}' GROUP BY tdate`,
	})
	s.exec(`CREATE TABLE points AS SELECT DATE '2007-04-12' + CAST(i % 3 AS integer) AS tdate FROM range(6) AS r(i)`)
	days := localDays(t, "UTC", "2007-04-12", 3)
	for k, batch := range []int{1, 3, 1} {
		s.run("p", engine.Plan{Intervals: days, Batch: batch})
		n := 2 + k
		want := fmt.Sprintf("2007-04-12 %d\n2007-04-13 %d\n2007-04-14 %d", n, n, n)
		if got := s.table(`SELECT * FROM geo.counted ORDER BY tdate`); got != want {
			t.Errorf("store %d:\n%s\nwant\n%s", k+1, got, want)
		}
		s.exec(`INSERT INTO points SELECT DISTINCT tdate FROM points`)
		s.newStore()
	}
}
