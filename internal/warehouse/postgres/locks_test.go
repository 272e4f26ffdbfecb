package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"damson/internal/pgtest"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

func begin(t testing.TB, w driver.Warehouse) driver.Tx {
	t.Helper()
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// until asks, at most for five seconds, until a query's value is as wanted.
func until(t testing.TB, q driver.Querier, sql string, want any) {
	t.Helper()
	ended := time.Now().Add(5 * time.Second)
	for {
		got := ask(t, q, sql)[0][0]
		if got == want {
			return
		}
		if time.Now().After(ended) {
			t.Fatalf("%s\ngives %v, want %v", sql, got, want)
		}
		exec(t, q, `SELECT pg_sleep(0.01)`) // the server waits, not the test
	}
}

// TestLockTimeoutNamesTheHolder lets a statement wait for a row, and for a table, that another session holds.
func TestLockTimeoutNamesTheHolder(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	holder := open(t, parameter(t, url, "application_name", "the holder"), postgres.Options{})
	w := open(t, url, postgres.Options{LockTimeout: time.Second})
	exec(t, holder, `CREATE TABLE points (id bigint)`, `INSERT INTO points VALUES (1)`)
	for _, c := range []struct{ holds, waits string }{
		{`UPDATE points SET id = 2`, `UPDATE points SET id = 3`},
		{`LOCK TABLE points`, `SELECT id FROM points`},
	} {
		tx := begin(t, holder)
		exec(t, tx, c.holds)
		pid := ask(t, tx, `SELECT pg_backend_pid() AS pid`)[0][0]
		mine := begin(t, w)
		_, err := mine.Exec(t.Context(), c.waits)
		e := asError(t, err)
		if e.Class != driver.Locked || e.Code != "55P03" {
			t.Errorf("%q %v", e.Class, e)
		}
		for _, part := range []string{fmt.Sprintf("process %v", pid), "user damson", "the holder", "in a transaction since ", "idle in transaction after: SELECT pg_backend_pid() AS pid"} {
			if !strings.Contains(e.Message, part) {
				t.Errorf("%q is not in: %s", part, e.Message)
			}
		}
		if !strings.Contains(e.Hint, fmt.Sprintf("pg_terminate_backend(%v)", pid)) {
			t.Errorf("hint %q", e.Hint)
		}
		if err := errors.Join(tx.Rollback(t.Context()), mine.Rollback(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	tx := begin(t, holder)
	exec(t, tx, `UPDATE points SET id = 2`)
	if e := failure(t, w, `SELECT id FROM points FOR UPDATE NOWAIT`); e.Class != driver.Locked || !strings.Contains(e.Hint, "pg_locks") {
		t.Errorf("NOWAIT: %q %v (%s)", e.Class, e, e.Hint)
	}
}

// TestLockOfAppendAndStream has a COPY, and a stream, wait for a table.
func TestLockOfAppendAndStream(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	w := open(t, url, postgres.Options{LockTimeout: time.Second})
	exec(t, w, `CREATE TABLE x (x bigint)`)
	tx := begin(t, w)
	exec(t, tx, `LOCK TABLE x`)
	err := appendRows(t.Context(), w, "x", oneBigint, []any{int64(1)})
	if e := asError(t, err); e.Class != driver.Locked || !strings.Contains(e.Message, "held by process") {
		t.Errorf("append: %q %v", e.Class, e)
	}
	_, err = w.Query(t.Context(), `SELECT x FROM x`)
	if e := asError(t, err); e.Class != driver.Locked {
		t.Errorf("query: %q %v", e.Class, e)
	}
}

// TestDeadlockNamesTheOther has two sessions change two rows in opposite order.
func TestDeadlockNamesTheOther(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t)+"&deadlock_timeout=50ms", postgres.Options{})
	exec(t, w, `CREATE TABLE d (id bigint, x bigint)`, `INSERT INTO d VALUES (1, 0), (2, 0)`)
	one, two := begin(t, w), begin(t, w)
	exec(t, one, `UPDATE d SET x = 1 WHERE id = 1`)
	exec(t, two, `UPDATE d SET x = 2 WHERE id = 2`)
	failed := make(chan error, 2)
	for tx, id := range map[driver.Tx]int{one: 2, two: 1} {
		go func() {
			_, err := tx.Exec(context.Background(), fmt.Sprintf(`UPDATE d SET x = 3 WHERE id = %d`, id))
			if err != nil { // the other one goes on once this one lets go
				_ = tx.Rollback(context.Background())
			}
			failed <- err
		}()
	}
	err := errors.Join(<-failed, <-failed)
	e := asError(t, err)
	if e.Class != driver.Conflict || e.Code != "40P01" || !strings.Contains(e.Message, "blocked by process") {
		t.Errorf("%q %v", e.Class, e)
	}
}

// TestDoBeginsAgain has transactions of two processes deadlock, and meet on one row: all are done in the end.
func TestDoBeginsAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t) + "&deadlock_timeout=10ms"
	var houses []*warehouse.Warehouse
	for range 2 {
		wh, err := warehouse.New(t.Context(), open(t, url, postgres.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		houses = append(houses, wh)
	}
	w := open(t, url, postgres.Options{})
	exec(t, w, `CREATE TABLE d (id bigint, x bigint)`, `INSERT INTO d VALUES (1, 0), (2, 0)`)
	const rounds = 5
	var g errgroup.Group
	for i, wh := range houses {
		g.Go(func() error {
			for round := range rounds {
				claim := run.Claim{RunID: "r", Task: fmt.Sprint("t", i), Attempt: round}
				err := wh.Do(t.Context(), []run.Claim{claim}, func(tx *warehouse.Tx) (any, error) {
					for k := range 2 {
						sql := fmt.Sprintf(`UPDATE d SET x = x + 1 WHERE id = %d`, (i+k)%2+1)
						if _, err := tx.Exec(t.Context(), sqltext.Plain("x.sql", sql)); err != nil {
							return nil, err
						}
					}
					return nil, nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, row := range ask(t, w, `SELECT x FROM d`) {
		if row[0] != int64(2*rounds) {
			t.Errorf("a row was changed %v times, want %d", row[0], 2*rounds)
		}
	}
}

const endless = `SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(x) WHERE (a.x + b.x) % 7 = 1`

const running = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'stopped' AND state <> 'idle'`

// TestContextStopsTheServer has contexts end under all that runs SQL: within five seconds the server works at none of it.
func TestContextStopsTheServer(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	looking := open(t, url, postgres.Options{})
	w := open(t, parameter(t, url, "application_name", "stopped"), postgres.Options{})
	exec(t, w, `CREATE TABLE x (x bigint)`)
	for name, do := range map[string]func(ctx context.Context) error{
		"exec": func(ctx context.Context) error { _, err := w.Exec(ctx, endless); return err },
		"query": func(ctx context.Context) error {
			r, err := w.Query(ctx, endless)
			if err == nil {
				for r.Next() {
				}
				err = r.Err()
				r.Release()
			}
			return err
		},
		"a statement of a transaction": func(ctx context.Context) error {
			tx := begin(t, w)
			_, err := tx.Exec(ctx, endless)
			return errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
		},
		"a stream of a transaction": func(ctx context.Context) error {
			tx := begin(t, w)
			r, err := tx.Query(ctx, `SELECT a.x FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(x)`)
			if err != nil {
				return err
			}
			for r.Next() {
			}
			err = r.Err()
			r.Release()
			return errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
		},
		"append": func(ctx context.Context) error {
			tx := begin(t, w)
			_, err := tx.Append(ctx, driver.Name{Table: "x"}, endlessRows{})
			return errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- do(ctx) }()
		until(t, looking, running, int64(1))
		cancel()
		until(t, looking, running, int64(0))
		err := <-ended
		if e := asError(t, err); e.Class != driver.Cancelled || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %q %v", name, e.Class, err)
		}
		if n := ask(t, w, `SELECT 1`)[0][0]; n != int64(1) {
			t.Errorf("%s: the warehouse is of no use afterwards: %v", name, n)
		}
	}
}

// TestReleaseStopsTheServer lets go of streams before their end.
func TestReleaseStopsTheServer(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	looking := open(t, url, postgres.Options{})
	w := open(t, parameter(t, url, "application_name", "stopped"), postgres.Options{MaxConns: 1})
	for range 3 {
		r, err := w.Query(t.Context(), `SELECT a.x FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(x)`)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Next() {
			t.Fatal(r.Err())
		}
		r.Release()
		until(t, looking, running, int64(0))
	}
	pid := ask(t, w, `SELECT pg_backend_pid()`)[0][0]
	if again := ask(t, w, `SELECT pg_backend_pid()`)[0][0]; again != pid {
		t.Errorf("the connection was not kept: process %v, then %v", pid, again)
	}

	// A statement that writes is not stopped: its rows may be what nobody wants, its work is.
	exec(t, w, `CREATE TABLE x (x bigint)`)
	r, err := w.Query(t.Context(), `INSERT INTO x SELECT g FROM generate_series(1, 50000) AS g, pg_sleep(0.5) RETURNING x`)
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	if n := ask(t, w, `SELECT count(*) FROM x`)[0][0]; n != int64(50000) {
		t.Errorf("%v rows were written", n)
	}

	// The transaction of a stream that is given up goes on, when the rest of the stream is not long.
	tx := begin(t, w)
	exec(t, tx, `INSERT INTO x VALUES (0)`)
	if r, err = tx.Query(t.Context(), `SELECT x FROM x`); err != nil {
		t.Fatal(err)
	}
	r.Next()
	r.Release()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := ask(t, w, `SELECT count(*) FROM x`)[0][0]; n != int64(50001) {
		t.Errorf("%v rows were written", n)
	}
}

// TestWhoStopped tells a statement_timeout from somebody's pg_cancel_backend.
func TestWhoStopped(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	w := open(t, url, postgres.Options{StatementTimeout: 200 * time.Millisecond})
	e := failure(t, w, endless)
	if e.Class != driver.Cancelled || !strings.Contains(e.Message, "statement_timeout") || !strings.Contains(e.Hint, "statement_timeout") {
		t.Errorf("%q %v (%s)", e.Class, e, e.Hint)
	}
	if errors.Is(e, context.Canceled) || errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("a timeout of the server passes for the end of a context: %v", e)
	}
	looking := open(t, url, postgres.Options{})
	stopped := open(t, parameter(t, url, "application_name", "stopped"), postgres.Options{})
	ended := make(chan error, 1)
	go func() { _, err := stopped.Exec(context.Background(), endless); ended <- err }()
	until(t, looking, running, int64(1))
	exec(t, looking, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'stopped'`)
	if e := asError(t, <-ended); e.Class != driver.Cancelled || !strings.Contains(e.Message, "Somebody") {
		t.Errorf("%q %v", e.Class, e)
	}
	go func() { _, err := stopped.Exec(context.Background(), endless); ended <- err }()
	until(t, looking, running, int64(1))
	exec(t, looking, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'stopped'`)
	if e := asError(t, <-ended); e.Class != driver.Connection || e.Code != "57P01" || !e.InDoubt {
		t.Errorf("%q %v, in doubt: %t", e.Class, e, e.InDoubt)
	}
}
