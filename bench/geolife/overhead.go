package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

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

// overhead prints what the engine adds to the tasks' SQL: the wall time of a backfill with durable state, less that of the
// same statements through a bare connection, for each task run that was executed. Which of the two comes first changes from
// round to round, so that neither gains from a machine that gets faster or slower. The last column looks from inside at the
// same backfill: its wall time less what the statements took within it, which the rest of the machine disturbs less.
func overhead(ctx context.Context, rounds int) error {
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
	rec := &recorder{keep: true}
	if err := copyFile(base, base+".recorded"); err != nil {
		return err
	}
	if _, _, err := drive(ctx, root, base+".recorded", "geolife", rec); err != nil {
		return err
	}
	fmt.Printf("%d processors; %d days, %d transactions, %d statements\n\n", runtime.NumCPU(), overheadDays, len(rec.statements), rec.count())
	fmt.Printf("%5s %10s %10s %10s %10s %9s %13s %13s %6s %13s\n", "round", "backfill s", "its CPU s", "SQL s", "its CPU s", "task runs", "wall ms/task", "CPU ms/task", "ratio", "inner ms/task")
	var walls, cpus, ratios, inner []float64
	for n := range rounds {
		p := pair{dir: dir, base: base, root: root, rec: rec, n: n}
		if err := p.measure(ctx); err != nil {
			return err
		}
		each := 1000 / float64(p.tasks)
		walls, cpus = append(walls, (p.mine.wall-p.bare.wall)*each), append(cpus, (p.mine.cpu-p.bare.cpu)*each)
		ratios, inner = append(ratios, p.mine.wall/p.bare.wall), append(inner, (p.mine.wall-p.inside.Seconds())*each)
		fmt.Printf("%5d %10.3f %10.3f %10.3f %10.3f %9d %13.2f %13.2f %6.2f %13.2f\n", n+1, p.mine.wall, p.mine.cpu, p.bare.wall, p.bare.cpu,
			p.tasks, walls[n], cpus[n], ratios[n], inner[n])
	}
	fmt.Printf("%5s %10s %10s %10s %10s %9s %13.2f %13.2f %6.2f %13.2f\n", "median", "", "", "", "", "", median(walls), median(cpus), median(ratios), median(inner))
	return nil
}

// overheadDays is how many days the backfill has.
const overheadDays = 26

// pair is a backfill and the replay of its statements, each on a copy of the loaded database.
type pair struct {
	dir, base, root string
	rec             *recorder
	n               int
	mine, bare      spent
	inside          time.Duration // the backfill's statements, as it ran them
	tasks           int           // task runs that were executed
}

func (p *pair) measure(ctx context.Context) error {
	steps := []func(context.Context, string) error{p.backfill, p.replay}
	for i := range steps {
		file := filepath.Join(p.dir, fmt.Sprintf("round%d.%d.duckdb", p.n, i))
		if err := copyFile(p.base, file); err != nil {
			return err
		}
		runtime.GC()
		if err := steps[(i+p.n)%2](ctx, file); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) backfill(ctx context.Context, file string) error {
	rec := &recorder{}
	report, took, err := drive(ctx, p.root, file, "geolife", rec)
	p.mine, p.inside, p.tasks = took, rec.inside, report.Tasks.Success // what is skipped costs the engine time, and counts for nothing here
	return err
}

func (p *pair) replay(ctx context.Context, file string) (err error) {
	p.bare, err = replay(ctx, file, p.rec.statements)
	return err
}

// drive runs a pipeline on the database file, day by day, and times the engine alone: opening and closing do not count.
func drive(ctx context.Context, root, file, name string, rec *recorder) (engine.Report, spent, error) {
	p, findings := project.Load(root, project.Options{})
	if err := findings.Err(); err != nil {
		return engine.Report{}, spent{}, err
	}
	db, err := duckdb.Open(ctx, duckdb.Options{Path: file})
	if err != nil {
		return engine.Report{}, spent{}, err
	}
	var d driver.Warehouse = db
	if rec != nil {
		rec.Warehouse = d
		d = rec
	}
	w, err := warehouse.New(ctx, d)
	if err != nil {
		return engine.Report{}, spent{}, err
	}
	defer w.Close()
	state, err := sqlite.Open(ctx, file+".sqlite")
	if err != nil {
		return engine.Report{}, spent{}, err
	}
	s, err := store.New(ctx, state)
	if err != nil {
		return engine.Report{}, spent{}, err
	}
	defer s.Close()
	pl, err := p.Pipeline(name)
	if err != nil {
		return engine.Report{}, spent{}, err
	}
	shop := &tasks.Shop{Project: p, Renderer: p, Warehouse: w, Registry: registry.New(s, clock.System{}), Past: s, Clock: clock.System{}, Parquet: duckdb.ReadParquet}
	e := engine.New(s, w, shop.Executors(), clock.System{}, engine.Options{Parallel: 1})
	intervals := []run.Interval{{Start: pl.Start, End: pl.Start}}
	if name == "geolife" {
		intervals = days(pl.Start, overheadDays)
	}
	watch := stopwatch()
	report, err := e.Run(ctx, engine.Plan{Pipeline: pl, Intervals: intervals})
	took := watch()
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

// recorder is a driver that times, and keeps when asked to, the statements of the tasks: what changes their tables, in its
// transactions. Damson's own statements (the ledger, the catalogue) are part of what is measured and so are left out.
type recorder struct {
	driver.Warehouse
	keep       bool
	mu         sync.Mutex
	inside     time.Duration // in statements, and in begin and commit
	statements [][]string    // by transaction
}

// count gives the number of statements kept.
func (r *recorder) count() (n int) {
	for _, t := range r.statements {
		n += len(t)
	}
	return n
}

// clock adds the time from start to what is inside.
func (r *recorder) clock(start time.Time) {
	took := time.Since(start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside += took
}

// Begin starts a transaction whose statements are kept when it commits.
func (r *recorder) Begin(ctx context.Context) (driver.Tx, error) {
	defer r.clock(time.Now())
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

// Exec times a statement that changes a table of the tasks.
func (t *recordedTx) Exec(ctx context.Context, sql string) (int64, error) {
	if !ofTask(sql) {
		return t.Tx.Exec(ctx, sql)
	}
	defer t.to.clock(time.Now())
	t.statements = append(t.statements, sql)
	return t.Tx.Exec(ctx, sql)
}

// ofTask tells a statement that changes a table of the tasks from Damson's own.
func ofTask(sql string) bool {
	text := strings.ToLower(strings.TrimSpace(sql))
	if strings.Contains(text, "damson.") {
		return false
	}
	verb, _, _ := strings.Cut(text, " ")
	return verb == "insert" || verb == "delete" || verb == "create"
}

// Commit keeps what was noted.
func (t *recordedTx) Commit(ctx context.Context) error {
	defer t.to.clock(time.Now())
	err := t.Tx.Commit(ctx)
	t.to.mu.Lock()
	defer t.to.mu.Unlock()
	if err == nil && t.to.keep && len(t.statements) > 0 {
		t.to.statements = append(t.to.statements, t.statements)
	}
	return err
}

// replay sends the statements through a bare connection, in the same transactions, and times them.
func replay(ctx context.Context, file string, transactions [][]string) (spent, error) {
	db, err := duckdb.Open(ctx, duckdb.Options{Path: file})
	if err != nil {
		return spent{}, err
	}
	defer db.Close()
	watch := stopwatch()
	for _, statements := range transactions {
		tx, err := db.Begin(ctx)
		if err != nil {
			return spent{}, err
		}
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return spent{}, fmt.Errorf("replay of %.80s: %w", sql, err)
			}
		}
		if err := tx.Commit(ctx); err != nil {
			return spent{}, err
		}
	}
	return watch(), nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
