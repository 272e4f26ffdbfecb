package history_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/migrate/history"
	"damson/internal/pgtest"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// onEach runs a test in a warehouse of each kind.
func onEach(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Parallel()
	for _, kind := range warehousetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, newBench(t, kind, warehousetest.Open(t, kind)))
		})
	}
}

func newBench(t *testing.T, kind string, w *warehouse.Warehouse) *bench {
	return &bench{T: t, w: w, kind: kind}
}

// bench is one warehouse with a history.
type bench struct {
	*testing.T
	w    *warehouse.Warehouse
	kind string
}

// history gives the history as one process sees it.
func (b *bench) history() *history.History { return b.told(nil) }

// told gives a history that tells of its statements.
func (b *bench) told(progress func(migrate.Entry, int, int, int64, time.Duration)) *history.History {
	return history.New(b.w, b.options(progress))
}

func (b *bench) options(progress func(migrate.Entry, int, int, int64, time.Duration)) history.Options {
	return history.Options{Kind: b.kind, By: "ada@mill", Clock: clock.System{}, Progress: progress,
		Render: func(v migrate.Variant) (sqltext.Text, error) { return sqltext.Plain(v.File, v.Text), nil }}
}

// hasty is a clock on which all waits are over at once.
type hasty struct{ clock.System }

func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// migrations makes migrations V1__m1.sql and so on of these texts; "" is a number that is not there.
func (b *bench) migrations(texts ...string) []migrate.Migration {
	b.Helper()
	var files []migrate.File
	for i, text := range texts {
		if text != "" {
			files = append(files, migrate.File{Path: fmt.Sprintf("migrations/V%d__m%d.sql", i+1, i+1), Text: text})
		}
	}
	migrations, findings := migrate.Read(files)
	if len(findings) > 0 {
		b.Fatal(findings)
	}
	return migrations
}

var all = history.Goal{To: -1}

// up applies everything and gives the numbers of what it applied.
func (b *bench) up(migrations []migrate.Migration, goal history.Goal) (string, error) {
	b.Helper()
	applied, err := b.history().Up(b.Context(), migrations, goal)
	var numbers []int64
	for _, r := range applied {
		numbers = append(numbers, r.Version)
	}
	return fmt.Sprint(numbers), err
}

// mustUp wants exactly these applied.
func (b *bench) mustUp(migrations []migrate.Migration, want string) {
	b.Helper()
	if got, err := b.up(migrations, all); got != want || err != nil {
		b.Fatalf("applied %s, %v; want %s", got, err, want)
	}
}

// states are those of all migrations.
func (b *bench) states(migrations []migrate.Migration) string {
	b.Helper()
	entries, err := b.history().Plan(b.Context(), migrations)
	if err != nil {
		b.Fatal(err)
	}
	var states []string
	for _, e := range entries {
		states = append(states, string(e.State))
	}
	return strings.Join(states, " ")
}

// ask gives the rows of a query as text.
func (b *bench) ask(sql string) string {
	b.Helper()
	r, err := b.w.Query(b.Context(), sqltext.Plain("test", sql))
	if err != nil {
		b.Fatal(err)
	}
	all, err := rows.ReadAll(r)
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprint(all)
}

// exec changes the warehouse as a person does.
func (b *bench) exec(sql string) {
	b.Helper()
	if _, err := b.w.Loose(b.Context(), nil, sqltext.Plain("test", sql), nil); err != nil {
		b.Fatal(err)
	}
}

// says wants each of the parts in an error.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in:\n%v", part, err)
		}
	}
}

// TestUp applies in order, once, and remembers what it did.
func TestUp(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		migrations := b.migrations("CREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1), (2);", "ALTER TABLE t ADD COLUMN b text", "UPDATE t SET b = 'it''s; here' -- the end")
		if got := b.states(migrations); got != "pending pending pending" {
			t.Errorf("states %s", got)
		}
		if got := b.ask(`SELECT count(*) FROM information_schema.tables WHERE table_name = 'migrations'`); got != "[[0]]" {
			t.Error("looking at the states has made the table")
		}
		if got, err := b.up(migrations, history.Goal{To: 2}); got != "[1 2]" || err != nil {
			t.Fatalf("up to 2 applies %s, %v", got, err)
		}
		b.mustUp(migrations, "[3]")
		b.mustUp(migrations, "[]")
		if got := b.ask("SELECT a, b FROM t ORDER BY a"); got != "[[1 it's; here] [2 it's; here]]" {
			t.Errorf("the table has %s", got)
		}
		got := b.ask("SELECT version, name, file, state, statements, done, applied_by, seconds >= 0 FROM damson.migrations ORDER BY version")
		want := "[[1 m1 migrations/V1__m1.sql applied 2 2 ada@mill true] [2 m2 migrations/V2__m2.sql applied 1 1 ada@mill true] [3 m3 migrations/V3__m3.sql applied 1 1 ada@mill true]]"
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the history (-want +got)\n%s", d)
		}
	})
}

// TestFailure leaves nothing of the migration that fails and all of those before it, and names its line.
func TestFailure(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		migrations := b.migrations("CREATE TABLE t (a bigint)", "CREATE TABLE u (a bigint);\nINSERT INTO t VALUES (1);\nINSERT INTO u (nothing) VALUES (2);", "CREATE TABLE v (a bigint)")
		got, err := b.up(migrations, all)
		if got != "[1]" {
			t.Errorf("applied %s", got)
		}
		says(t, err, "migrations/V2__m2.sql:3:", "nothing", "Nothing of V2__m2 is in the warehouse.")
		if e := (*driver.Error)(nil); !errors.As(err, &e) || e.Class != driver.UnknownName {
			t.Errorf("the cause is lost: %#v", err)
		}
		if got := b.ask("SELECT count(*) FROM t"); got != "[[0]]" {
			t.Errorf("half of a migration stays: %s", got)
		}
		if got := b.states(migrations); got != "applied pending pending" {
			t.Errorf("states %s", got)
		}
		migrations[1].Variants[0].Text = "CREATE TABLE u (a bigint)" // a pending file may change
		b.mustUp(migrations, "[2 3]")
	})
}

// TestRefused stops before anything is written.
func TestRefused(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		one, two, three := "CREATE TABLE t (a bigint)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)"
		b.mustUp(b.migrations(one, "", three), "[1 3]")
		four := "INSERT INTO t VALUES (4)"
		for _, test := range []struct {
			texts []string
			want  string
		}{
			{[]string{one + " ", "", three, four}, "migrations/V1__m1.sql: An applied migration has changed"},
			{[]string{one, "", "", four}, "migrations/V3__m3.sql: An applied migration has no file"},
			{[]string{one, two, three, four}, "migrations/V2__m2.sql: Migration out of order"},
		} {
			got, err := b.up(b.migrations(test.texts...), all)
			if got != "[]" {
				t.Errorf("applied %s all the same", got)
			}
			says(t, err, test.want)
		}
		if got, err := b.up(b.migrations(one, two, three, four), history.Goal{To: -1, OutOfOrder: true}); got != "[2 4]" || err != nil {
			t.Errorf("out of order: %s, %v", got, err)
		}
		b.mustUp(b.migrations(strings.ReplaceAll(one, "\n", "\r\n"), two, three, four), "[]")
	})
}

// TestAlone runs statements without a transaction: what has ended stays, and a failure half-way is remembered until somebody says
// what holds.
func TestAlone(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		texts := []string{"CREATE TABLE t (a bigint)", "-- damson: transaction = none\nINSERT INTO t VALUES (1);\nVACUUM;\nINSERT INTO t VALUES (1 / nothing);", "INSERT INTO t VALUES (3)"}
		migrations := b.migrations(texts...)
		got, err := b.up(migrations, all)
		if got != "[1]" {
			t.Errorf("applied %s", got)
		}
		says(t, err, "migrations/V2__m2.sql:4:", "The 2 statements before it ran outside of a transaction and stay", "damson migrate mark V2 pending")
		if got := b.ask("SELECT count(*) FROM t"); got != "[[1]]" {
			t.Errorf("the first statement is gone: %s", got)
		}
		if got := b.states(migrations); got != "applied half_way pending" {
			t.Errorf("states %s", got)
		}
		_, err = b.up(migrations, all)
		says(t, err, "A migration stands half-way", "with 2 of 3 statements done")
		says(t, b.history().Mark(t.Context(), migrations, 1, true), "Not half-way")
		says(t, b.history().Mark(t.Context(), migrations, 7, false), "Not half-way")

		if err := b.history().Mark(t.Context(), migrations, 2, false); err != nil {
			t.Fatal(err)
		}
		if got := b.states(migrations); got != "applied pending pending" {
			t.Errorf("marked as pending: %s", got)
		}
		texts[1] = strings.ReplaceAll(texts[1], "1 / nothing", "2")
		b.mustUp(b.migrations(texts...), "[2 3]")
		if got := b.ask("SELECT a FROM t ORDER BY a"); got != "[[1] [1] [2] [3]]" {
			t.Errorf("the table has %s", got)
		}
	})
}

// TestMarkApplied takes the file as it is when somebody says that all of it is there.
func TestMarkApplied(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		_, err := b.up(b.migrations("-- damson: transaction = none\nCREATE TABLE t (a bigint);\nINSERT INTO tt VALUES (1);"), all)
		says(t, err, "The statement before it ran outside of a transaction and stays")
		mended := b.migrations("-- damson: transaction = none\nCREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1);")
		b.exec("INSERT INTO t VALUES (1)")
		if err := b.history().Mark(t.Context(), mended, 1, true); err != nil {
			t.Fatal(err)
		}
		b.mustUp(mended, "[]")
		if got := b.states(mended); got != "applied" {
			t.Errorf("states %s", got)
		}
	})
}

// TestTransactionWords are refused inside a transaction, and make one where there is none.
func TestTransactionWords(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		script := "CREATE TABLE t (a bigint);\nBEGIN;\nINSERT INTO t VALUES (1);\nCOMMIT;"
		within := b.migrations(script)
		_, err := b.up(within, all)
		says(t, err, "migrations/V1__m1.sql:2:1: A transaction inside a transaction", "Nothing of V1__m1 is in the warehouse")
		if got := b.states(within); got != "pending" {
			t.Errorf("states %s", got)
		}
		b.mustUp(b.migrations("-- damson: transaction = none\n"+script), "[1]")
		if got := b.ask("SELECT a FROM t"); got != "[[1]]" {
			t.Errorf("the table has %s", got)
		}
	})
}

// TestBaseline begins a history without running anything, once.
func TestBaseline(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.exec("CREATE TABLE t (a bigint)")
		migrations := b.migrations("CREATE TABLE t (a bigint)", "", "ALTER TABLE t ADD COLUMN b bigint", "INSERT INTO t VALUES (4, 4)")
		b.exec("ALTER TABLE t ADD COLUMN b bigint")
		recorded, err := b.history().Baseline(t.Context(), migrations, 3)
		if err != nil || len(recorded) != 2 {
			t.Fatalf("%d recorded, %v", len(recorded), err)
		}
		if got := b.states(migrations); got != "baseline baseline pending" {
			t.Errorf("states %s", got)
		}
		b.mustUp(migrations, "[4]")
		_, err = b.history().Baseline(t.Context(), migrations, 4)
		says(t, err, "The warehouse has a history", "It is at V4")
	})
}

// TestAtOnce lets several apply the same migrations: each is applied once, and nobody fails.
func TestAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) { atOnce(t, b, b, b, b) })
}

// TestProcessesAtOnce does the same with a pool of connections each, as processes have, and more of them than there are tries.
func TestProcessesAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	benches := make([]*bench, 12)
	for i := range benches {
		benches[i] = newBench(t, "postgres", warehousetest.Postgres(t, url))
	}
	atOnce(t, benches...)
}

func atOnce(t *testing.T, benches ...*bench) {
	texts := []string{"CREATE TABLE t (a bigint)"}
	want := map[int64]int{1: 1}
	for i := range 20 {
		texts = append(texts, fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		want[int64(i+2)] = 1
	}
	b := benches[0]
	migrations := b.migrations(texts...)
	var mu sync.Mutex
	times := map[int64]int{}
	var g errgroup.Group
	for _, b := range benches {
		g.Go(func() error {
			applied, err := b.history().Up(t.Context(), migrations, all)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range applied {
				times[r.Version]++
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, times); d != "" {
		t.Errorf("how often each was applied (-want +got)\n%s", d)
	}
	if got := b.ask("SELECT count(*), count(DISTINCT a) FROM t"); got != "[[20 20]]" {
		t.Errorf("the table has %s rows and values", got)
	}
}

// TestLockIsWaitedFor: who loses the lock to others again and again, more often than a transaction is tried, still gets it.
func TestLockIsWaitedFor(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	b, others := newBench(t, "postgres", warehousetest.Postgres(t, url)), newBench(t, "postgres", warehousetest.Postgres(t, url))
	b.mustUp(b.migrations("CREATE TABLE t (a bigint)"), "[1]")
	migrations := b.migrations("CREATE TABLE t (a bigint)", "INSERT INTO t VALUES (2)")
	o, told := b.options(nil), 0
	o.Clock, o.Waiting = hasty{}, func() { told++ }
	ended := make(chan error, 1)
	waits := func() bool {
		for others.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == "[[0]]" {
			select {
			case err := <-ended:
				ended <- err
				return false
			default:
				others.ask("SELECT count(*) FROM pg_sleep(0.002)")
			}
		}
		return true
	}
	lost := 0
	for round, goes := 0, true; round < 12 && goes; round++ {
		err := others.w.Do(t.Context(), nil, func(tx *warehouse.Tx) (any, error) {
			_, err := tx.Exec(t.Context(), sqltext.Plain("test", "UPDATE damson.migrations_lock SET holder = 'another'"))
			if round == 0 {
				go func() {
					_, err := history.New(b.w, o).Up(t.Context(), migrations, all)
					ended <- err
				}()
			}
			if goes = err == nil && waits(); goes {
				lost++
			}
			return nil, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("after losing %d times: %v", lost, err)
	}
	if told != 1 {
		t.Errorf("that it waits was told %d times", told)
	}
	if got := b.ask("SELECT count(*) FROM t"); got != "[[1]]" {
		t.Errorf("the table has %s rows", got)
	}
}

// TestAloneAtOnce: who comes while a migration runs without a transaction is told that it may still run.
func TestAloneAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		migrations := b.migrations("-- damson: transaction = none\nCREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1);")
		second := errors.New("not asked")
		h := b.told(func(_ migrate.Entry, i, _ int, _ int64, _ time.Duration) {
			if i == 1 {
				_, second = b.history().Up(t.Context(), migrations, all)
			}
		})
		if applied, err := h.Up(t.Context(), migrations, all); len(applied) != 1 || err != nil {
			t.Errorf("the first one: %v, %v", applied, err)
		}
		says(t, second, "A migration stands half-way", "or still runs in another process")
		if got := b.ask("SELECT count(*) FROM t"); got != "[[1]]" {
			t.Errorf("the table has %s rows", got)
		}
	})
}

// TestStopped ends a context between two statements: a transaction is rolled back, and a migration without one stands half-way with
// what has ended recorded.
func TestStopped(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		stop := func(migrations []migrate.Migration) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := b.told(func(_ migrate.Entry, i, n int, _ int64, _ time.Duration) {
				if i == 1 && n == 2 {
					cancel()
				}
			})
			if applied, err := h.Up(ctx, migrations, all); err == nil || len(applied) > 0 {
				t.Errorf("stopped, and applied %v, %v", applied, err)
			}
		}
		within := b.migrations("CREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1);")
		stop(within)
		if got := b.states(within); got != "pending" {
			t.Errorf("in a transaction: %s", got)
		}
		b.mustUp(within, "[1]")
		alone := b.migrations(within[0].Variants[0].Text, "-- damson: transaction = none\nINSERT INTO t VALUES (2);\nINSERT INTO t VALUES (3);")
		stop(alone)
		if got := b.states(alone); got != "applied half_way" {
			t.Errorf("alone: %s", got)
		}
		if got := b.ask("SELECT done FROM damson.migrations WHERE version = 2"); got != "[[1]]" {
			t.Errorf("%s statements are recorded", got)
		}
	})
}

// TestMarkedMeanwhile: who marks a migration that still runs is not overwritten by its end.
func TestMarkedMeanwhile(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		migrations := b.migrations("-- damson: transaction = none\nCREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1);")
		h := b.told(func(_ migrate.Entry, i, _ int, _ int64, _ time.Duration) {
			if i == 1 {
				if err := b.history().Mark(t.Context(), migrations, 1, false); err != nil {
					t.Error(err)
				}
			}
		})
		_, err := h.Up(t.Context(), migrations, all)
		says(t, err, "Marked meanwhile", "damson migrate mark V1 applied")
		if got := b.states(migrations); got != "pending" {
			t.Errorf("states %s", got)
		}
	})
}

// TestProgress tells of each statement, and a failed rendering is the migration's.
func TestProgress(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		var told []string
		h := b.told(func(e migrate.Entry, i, n int, rows int64, _ time.Duration) {
			told = append(told, fmt.Sprintf("%s %d/%d %d", e, i, n, max(rows, 0)))
		})
		if _, err := h.Up(t.Context(), b.migrations("CREATE TABLE t (a bigint); INSERT INTO t VALUES (1), (2)", "-- damson: transaction = none\nDELETE FROM t"), all); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"V1__m1 1/2 0", "V1__m1 2/2 2", "V2__m2 1/1 2"}, told); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		h = history.New(b.w, history.Options{Kind: b.kind, Clock: clock.System{}, Render: func(v migrate.Variant) (sqltext.Text, error) {
			return sqltext.Text{}, diag.Finding{At: diag.Pos{File: v.File, Line: 1}, Summary: "No such variable"}
		}})
		_, err := h.Up(t.Context(), b.migrations("CREATE TABLE t (a bigint); INSERT INTO t VALUES (1), (2)", "-- damson: transaction = none\nDELETE FROM t", "SELECT 1"), all)
		says(t, err, "migrations/V3__m3.sql:1: No such variable")
	})
}

// TestReadFails passes on what the database says.
func TestReadFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("gone")
	_, err := history.Read(t.Context(), func(context.Context, string) (array.RecordReader, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("Read gives %v", err)
	}
}

// TestServerKilled kills the database in the middle of a migration, and starts it again: in a transaction the migration begins anew;
// without one it stands half-way.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	b := newBench(t, "postgres", warehousetest.Postgres(t, server.Database(t)))
	migrations := b.migrations("CREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1);", "-- damson: transaction = none\nINSERT INTO t VALUES (2);\nCREATE INDEX CONCURRENTLY i ON t (a);")
	killed := map[int64]bool{}
	h := b.told(func(e migrate.Entry, i, _ int, _ int64, _ time.Duration) {
		if i == 1 && !killed[e.Version] {
			killed[e.Version] = true
			server.Kill()
			if err := server.Start(); err != nil {
				t.Error(err)
			}
		}
	})
	applied, err := h.Up(t.Context(), migrations, all)
	if len(applied) != 1 || len(killed) != 2 {
		t.Errorf("applied %d, killed in %v", len(applied), killed)
	}
	says(t, err, "migrations/V2__m2.sql:3", "damson migrate mark V2 pending")
	if got := b.ask("SELECT version, state, done FROM damson.migrations ORDER BY version"); got != "[[1 applied 2] [2 started 1]]" {
		t.Errorf("the history has %s", got)
	}
	if err := b.history().Mark(t.Context(), migrations, 2, false); err != nil {
		t.Fatal(err)
	}
	b.mustUp(migrations, "[2]")
	if got := b.ask("SELECT a, count(*) FROM t GROUP BY a ORDER BY a"); got != "[[1 1] [2 2]]" {
		t.Errorf("the table has %s", got)
	}
}
