// Package history keeps, in the warehouse itself, which migrations it has, and applies those that it has not. Its central type
// is History.
//
// Invariants:
//  1. A migration and its row in damson.migrations commit together or not at all, unless its file asks for no transaction.
//  2. One that runs without a transaction has a row of the state "started" before its first statement: that it was begun is
//     never forgotten, and nothing goes on over it until a person has said what holds.
//  3. Whoever writes the history holds the row of damson.migrations_lock and has read the history after that: of two that
//     apply at once, each migration is applied by one.
//  4. Reading makes nothing, not even the table.
//
// It refuses to run anything while a migration of the history has changed, has no file or stands half-way.
package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// Table is where the history is.
const Table = "damson.migrations"

// setUp makes the table and the lock, in one transaction: of two processes that do it at once, one fails as a whole.
var setUp = []string{
	`CREATE TABLE damson.migrations (version bigint PRIMARY KEY, name text NOT NULL, file text NOT NULL, checksum text NOT NULL,
		state text NOT NULL, statements bigint NOT NULL, done bigint NOT NULL, applied_at timestamp NOT NULL, applied_by text NOT NULL,
		seconds double precision NOT NULL)`,
	`CREATE TABLE damson.migrations_lock (holder text, since timestamp)`,
	`INSERT INTO damson.migrations_lock (holder, since) VALUES ('', TIMESTAMP '1970-01-01 00:00:00')`,
}

// Query runs one statement and streams its rows.
type Query func(ctx context.Context, sql string) (array.RecordReader, error)

// Read gives the history, ordered by number; none when the warehouse has no table of it.
func Read(ctx context.Context, query Query) ([]migrate.Row, error) {
	have, err := ask(ctx, query, `SELECT count(*) FROM information_schema.tables
WHERE table_catalog = current_database() AND table_schema = 'damson' AND table_name = 'migrations'`)
	if err != nil {
		return nil, err
	}
	if have[0][0].(int64) == 0 {
		return nil, hidden(ctx, query)
	}
	all, err := ask(ctx, query, `SELECT version, name, file, checksum, state, statements, done, applied_at, applied_by, seconds
FROM damson.migrations ORDER BY version`)
	if err != nil {
		return nil, err
	}
	history := make([]migrate.Row, len(all))
	for i, v := range all {
		history[i] = migrate.Row{Version: v[0].(int64), Name: v[1].(string), File: v[2].(string), Checksum: v[3].(string),
			State: migrate.RowState(v[4].(string)), Statements: int(v[5].(int64)), Done: int(v[6].(int64)), At: v[7].(time.Time), By: v[8].(string),
			Took: time.Duration(v[9].(float64) * float64(time.Second))}
	}
	return history, nil
}

// hidden tells that the table is there for others: information_schema shows only what a user has a right to. DuckDB has no rights, and
// answers that there is every one.
func hidden(ctx context.Context, query Query) error {
	found, err := ask(ctx, query, `SELECT current_user FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'damson' AND c.relname = 'migrations' AND NOT has_table_privilege(c.oid, 'SELECT')`)
	if err != nil || len(found) == 0 {
		return err
	}
	return diag.Finding{Summary: "The history of migrations cannot be seen",
		Detail: fmt.Sprintf("%s is there, and user %v may not read it: which migrations the warehouse has is not known.", Table, found[0][0]),
		Fix:    fmt.Sprintf("As its owner: GRANT USAGE ON SCHEMA damson TO %[1]v; GRANT SELECT ON %[2]s TO %[1]v.", found[0][0], Table)}
}

func ask(ctx context.Context, query Query, sql string) ([][]any, error) {
	r, err := query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return rows.ReadAll(r)
}

// Options say who applies migrations, and how they become SQL.
type Options struct {
	Kind   string // of the warehouse; chooses the variants
	By     string // whom the history names
	Clock  clock.Clock
	Render func(v migrate.Variant) (sqltext.Text, error)
	// Progress is told of each statement that has ended, as warehouse.Progress is; nil drops it. A transaction that met another
	// begins again from its first statement.
	Progress func(e migrate.Entry, i, n int, rows int64, d time.Duration)
	// Applied is told of each migration that has been applied; nil drops it.
	Applied func(r migrate.Row)
	// Waiting is told, once, that another process holds the lock and has for Patience; nil drops it.
	Waiting func()
}

// Patience is how long a lock is waited for in silence.
const Patience = 2 * time.Second

// History is the history of one warehouse.
type History struct {
	w *warehouse.Warehouse
	o Options
}

// New gives the history of a warehouse.
func New(w *warehouse.Warehouse, o Options) *History {
	if o.Progress == nil {
		o.Progress = func(migrate.Entry, int, int, int64, time.Duration) {}
	}
	if o.Applied == nil {
		o.Applied = func(migrate.Row) {}
	}
	if o.Waiting == nil {
		o.Waiting = func() {}
	}
	return &History{w: w, o: o}
}

// Plan compares the migrations with the history as it is now.
func (h *History) Plan(ctx context.Context, migrations []migrate.Migration) ([]migrate.Entry, error) {
	history, err := Read(ctx, func(ctx context.Context, sql string) (array.RecordReader, error) {
		return h.w.Query(ctx, sqltext.Plain("", sql))
	})
	return migrate.Plan(migrations, history, h.o.Kind), err
}

// Baseline records the migrations up to a number without running them. It refuses a warehouse that has a history.
func (h *History) Baseline(ctx context.Context, migrations []migrate.Migration, to int64) (recorded []migrate.Row, err error) {
	err = h.locked(ctx, migrations, func(tx *warehouse.Tx, entries []migrate.Entry) error {
		recorded = nil
		if level := migrate.Level(entries); level != "" {
			return diag.Finding{Summary: "The warehouse has a history", Detail: fmt.Sprintf("It is at %s. A baseline is where a history begins.", level),
				Fix: "See it with `damson migrate status`, and go on with `damson migrate up`."}
		}
		for _, e := range entries {
			if e.Version > to || e.Variant == nil {
				continue
			}
			row := h.row(e, migrate.RowBaseline, h.o.Clock.Now())
			if err := insert(ctx, tx, row); err != nil {
				return err
			}
			recorded = append(recorded, row)
		}
		return nil
	})
	return recorded, err
}

// Mark says of a migration that stands half-way what a person has found or made of it: that all of it is in the warehouse, in the
// words of its present file, or that it is to run again from its first statement.
func (h *History) Mark(ctx context.Context, migrations []migrate.Migration, version int64, applied bool) error {
	return h.locked(ctx, migrations, func(tx *warehouse.Tx, entries []migrate.Entry) error {
		for _, e := range entries {
			if e.Version != version || e.State != migrate.HalfWay {
				continue
			}
			if !applied {
				return exec(ctx, tx, fmt.Sprintf("DELETE FROM damson.migrations WHERE version = %d", version))
			}
			row := *e.Row
			if e.Variant != nil {
				row.Name, row.File, row.Checksum = e.Name, e.Variant.File, e.Variant.Checksum()
			}
			row.State, row.At, row.By = migrate.RowApplied, h.o.Clock.Now(), h.o.By
			_, err := update(ctx, tx, row)
			return err
		}
		return diag.Finding{Summary: "Not half-way", Detail: fmt.Sprintf("Migration %d does not stand half-way; only such a one is marked by hand.", version),
			Fix: "See the states with `damson migrate status`."}
	})
}

// locked runs f in a transaction that holds the lock, with the plan as it is then. Whoever holds the lock is waited for, however
// many there are: one that has waited sees an older state than the lock's, which is a conflict, and begins again.
func (h *History) locked(ctx context.Context, migrations []migrate.Migration, f func(tx *warehouse.Tx, entries []migrate.Entry) error) error {
	if err := h.ensure(ctx); err != nil {
		return err
	}
	got, have := false, h.tellWaiting(ctx)
	defer have()
	for {
		err := h.underLock(ctx, migrations, func(tx *warehouse.Tx, entries []migrate.Entry) error {
			got = true
			have()
			return f(tx, entries)
		})
		if e := (*driver.Error)(nil); got || !errors.As(err, &e) || e.Class != driver.Conflict || ctx.Err() != nil {
			return err
		}
	}
}

// tellWaiting tells after a while that the lock is waited for, unless have is called before.
func (h *History) tellWaiting(ctx context.Context) (have func()) {
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() {
		defer close(told)
		if h.o.Clock.Sleep(ctx, Patience) == nil {
			h.o.Waiting()
		}
	}()
	return func() { cancel(); <-told }
}

// underLock does what locked does as long as warehouse.Do tries.
func (h *History) underLock(ctx context.Context, migrations []migrate.Migration, f func(tx *warehouse.Tx, entries []migrate.Entry) error) error {
	return h.w.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) {
		lock := fmt.Sprintf("UPDATE damson.migrations_lock SET holder = %s, since = %s", sqltext.QuoteLiteral(h.o.By), timestamp(h.o.Clock.Now()))
		if err := exec(ctx, tx, lock); err != nil {
			return nil, err
		}
		history, err := Read(ctx, func(ctx context.Context, sql string) (array.RecordReader, error) {
			return tx.Query(ctx, sqltext.Plain("", sql))
		})
		if err != nil {
			return nil, err
		}
		return nil, f(tx, migrate.Plan(migrations, history, h.o.Kind))
	})
}

// ensure makes the table when it is absent.
func (h *History) ensure(ctx context.Context) error {
	there := func() (bool, error) {
		columns, err := h.w.Table(ctx, Table)
		return columns != nil, err
	}
	if have, err := there(); have || err != nil {
		return err
	}
	err := h.w.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) {
		for _, sql := range setUp {
			if err := exec(ctx, tx, sql); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err == nil {
		return nil
	}
	if have, asked := there(); have || asked != nil { // another process was faster
		return asked
	}
	return err
}

// row is what the history will say of an entry.
func (h *History) row(e migrate.Entry, state migrate.RowState, at time.Time) migrate.Row {
	return migrate.Row{Version: e.Version, Name: e.Name, File: e.Variant.File, Checksum: e.Variant.Checksum(), State: state, At: at, By: h.o.By}
}

func insert(ctx context.Context, tx *warehouse.Tx, r migrate.Row) error {
	return exec(ctx, tx, fmt.Sprintf(`INSERT INTO damson.migrations (version, name, file, checksum, state, statements, done, applied_at, applied_by, seconds)
VALUES (%d, %s, %s, %s, %s, %d, %d, %s, %s, %g)`, r.Version, sqltext.QuoteLiteral(r.Name), sqltext.QuoteLiteral(r.File), sqltext.QuoteLiteral(r.Checksum),
		sqltext.QuoteLiteral(string(r.State)), r.Statements, r.Done, timestamp(r.At), sqltext.QuoteLiteral(r.By), r.Took.Seconds()))
}

// update gives the number of rows it found.
func update(ctx context.Context, tx *warehouse.Tx, r migrate.Row) (int64, error) {
	return tx.Exec(ctx, sqltext.Plain("", fmt.Sprintf(`UPDATE damson.migrations SET name = %s, file = %s, checksum = %s, state = %s, statements = %d, done = %d,
applied_at = %s, applied_by = %s, seconds = %g WHERE version = %d`, sqltext.QuoteLiteral(r.Name), sqltext.QuoteLiteral(r.File), sqltext.QuoteLiteral(r.Checksum),
		sqltext.QuoteLiteral(string(r.State)), r.Statements, r.Done, timestamp(r.At), sqltext.QuoteLiteral(r.By), r.Took.Seconds(), r.Version)))
}

func exec(ctx context.Context, tx *warehouse.Tx, sql string) error {
	_, err := tx.Exec(ctx, sqltext.Plain("", sql))
	return err
}

func timestamp(t time.Time) string {
	return "TIMESTAMP '" + t.UTC().Format("2006-01-02 15:04:05.999999") + "'"
}

// asFinding lets add complete what a database or template says of a migration; other errors stay as they are.
func asFinding(err error, add func(f *diag.Finding)) error {
	f := diag.Finding{}
	if !errors.As(err, &f) {
		return err
	}
	add(&f)
	return f
}
