package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/examples"
	"damson/internal/citydata"
	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/sqlite"
	"damson/internal/tasks"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
)

// overhead prints what the engine adds to the tasks' SQL.
func overhead(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "damson-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "project")
	if err := project.Init(root, examples.GeoLife()); err != nil {
		return err
	}
	if _, err := citydata.Generate(ctx, filepath.Join(root, "data"), citydata.Options{Seed: 1}); err != nil {
		return err
	}
	base := filepath.Join(dir, "loaded.duckdb")
	if _, _, err := drive(ctx, root, base, "geolife_load", nil); err != nil {
		return err
	}
	fmt.Println("run  backfill s  same SQL s  task runs  overhead ms a task  ratio")
	for n := range 3 {
		mine, bare := filepath.Join(dir, fmt.Sprintf("mine%d.duckdb", n)), filepath.Join(dir, fmt.Sprintf("bare%d.duckdb", n))
		if err := copyFile(base, mine); err != nil {
			return err
		}
		if err := copyFile(base, bare); err != nil {
			return err
		}
		rec := &recorder{}
		report, took, err := drive(ctx, root, mine, "geolife", rec)
		if err != nil {
			return err
		}
		floor, err := replay(ctx, bare, rec.statements)
		if err != nil {
			return err
		}
		n0 := report.Tasks.Success + report.Tasks.Skipped
		fmt.Printf("%3d  %10.3f  %10.3f  %9d  %18.2f  %5.2f\n", n+1, took, floor, n0, (took-floor)/float64(n0)*1000, took/floor)
	}
	return nil
}

// drive runs a pipeline on the database file, day by day, and times the engine alone: opening and closing do not count.
func drive(ctx context.Context, root, file, name string, rec *recorder) (engine.Report, float64, error) {
	p, findings := project.Load(root, project.Options{})
	if err := findings.Err(); err != nil {
		return engine.Report{}, 0, err
	}
	db, err := duckdb.Open(ctx, duckdb.Options{Path: file})
	if err != nil {
		return engine.Report{}, 0, err
	}
	var d driver.Warehouse = db
	if rec != nil {
		rec.Warehouse = d
		d = rec
	}
	w, err := warehouse.New(ctx, d)
	if err != nil {
		return engine.Report{}, 0, err
	}
	defer w.Close()
	state, err := sqlite.Open(ctx, file+".sqlite")
	if err != nil {
		return engine.Report{}, 0, err
	}
	s, err := store.New(ctx, state)
	if err != nil {
		return engine.Report{}, 0, err
	}
	defer s.Close()
	pl, err := p.Pipeline(name)
	if err != nil {
		return engine.Report{}, 0, err
	}
	shop := &tasks.Shop{Project: p, Warehouse: w, Registry: registry.New(s, clock.System{}), Past: s, Clock: clock.System{}, Parquet: duckdb.ReadParquet}
	e := engine.New(s, w, shop.Executors(), clock.System{}, engine.Options{Parallel: 1, Logs: s})
	intervals := []run.Interval{{Start: pl.Start, End: pl.Start}}
	if name == "geolife" {
		intervals = days(pl.Start, 26)
	}
	if rec != nil {
		rec.on()
	}
	start := time.Now()
	report, err := e.Run(ctx, engine.Plan{Pipeline: pl, Intervals: intervals})
	took := since(start)
	if err == nil && report.Failed > 0 {
		err = fmt.Errorf("%s failed: %s", name, report.Failures[0].Reason)
	}
	return report, took, err
}

func days(start time.Time, n int) []run.Interval {
	intervals := make([]run.Interval, n)
	for i := range intervals {
		intervals[i] = run.Interval{Start: start.AddDate(0, 0, i), End: start.AddDate(0, 0, i+1)}
	}
	return intervals
}

// recorder is a driver that notes the statements of the tasks: what changes their tables, in its transactions. Damson's own
// statements (the ledger, the catalogue) are what is measured, so they are not noted.
type recorder struct {
	driver.Warehouse
	mu         sync.Mutex
	recording  bool
	statements [][]string // by transaction
}

func (r *recorder) on() { r.mu.Lock(); r.recording = true; r.mu.Unlock() }

// Begin starts a transaction whose statements are noted when it commits.
func (r *recorder) Begin(ctx context.Context) (driver.Tx, error) {
	tx, err := r.Warehouse.Begin(ctx)
	return &recordedTx{Tx: tx, to: r}, err
}

// Table and Describe unwrap the transaction for the real driver.
func (r *recorder) Table(ctx context.Context, q driver.Querier, name driver.Name) ([]driver.Column, error) {
	return r.Warehouse.Table(ctx, plain(q, r), name)
}

// Describe is the real driver's.
func (r *recorder) Describe(ctx context.Context, q driver.Querier, sql string) ([]driver.Column, error) {
	return r.Warehouse.Describe(ctx, plain(q, r), sql)
}

func plain(q driver.Querier, r *recorder) driver.Querier {
	switch v := q.(type) {
	case *recordedTx:
		return v.Tx
	case *recorder:
		return r.Warehouse
	}
	return q
}

type recordedTx struct {
	driver.Tx
	to         *recorder
	statements []string
}

// Exec notes a statement that changes a table of the tasks.
func (t *recordedTx) Exec(ctx context.Context, sql string) (int64, error) {
	n, err := t.Tx.Exec(ctx, sql)
	t.note(sql)
	return n, err
}

// Query notes it too: an INSERT with RETURNING comes this way.
func (t *recordedTx) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	rows, err := t.Tx.Query(ctx, sql)
	t.note(sql)
	return rows, err
}

func (t *recordedTx) note(sql string) {
	head := strings.ToLower(strings.TrimSpace(sql))
	if strings.Contains(head, "damson.") || strings.Contains(head, `"damson"`) {
		return
	}
	for _, verb := range []string{"insert", "delete", "create", "with"} {
		if strings.HasPrefix(head, verb) {
			t.statements = append(t.statements, sql)
		}
	}
}

// Commit keeps what was noted.
func (t *recordedTx) Commit(ctx context.Context) error {
	err := t.Tx.Commit(ctx)
	t.to.mu.Lock()
	defer t.to.mu.Unlock()
	if err == nil && t.to.recording && len(t.statements) > 0 {
		t.to.statements = append(t.to.statements, t.statements)
	}
	return err
}

// replay sends the statements through a bare connection, in the same transactions, and times them.
func replay(ctx context.Context, file string, transactions [][]string) (float64, error) {
	db, err := duckdb.Open(ctx, duckdb.Options{Path: file})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	start := time.Now()
	for _, statements := range transactions {
		tx, err := db.Begin(ctx)
		if err != nil {
			return 0, err
		}
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return 0, fmt.Errorf("replay of %.80s: %w", sql, err)
			}
		}
		if err := tx.Commit(ctx); err != nil {
			return 0, err
		}
	}
	return since(start), nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
