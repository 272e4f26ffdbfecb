package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

const settings = `SELECT current_setting('TimeZone'), current_setting('jit'), current_setting('application_name'), current_setting('extra_float_digits'),
	current_setting('DateStyle'), current_setting('standard_conforming_strings'), current_setting('search_path'), current_setting('work_mem'),
	current_setting('default_transaction_read_only')`

// TestSessionsAreAlike has a server whose defaults are all other ones.
func TestSessionsAreAlike(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	w := open(t, url, postgres.Options{})
	name := ask(t, w, `SELECT current_database()`)[0][0]
	for _, setting := range []string{`TimeZone = 'Asia/Shanghai'`, `jit = on`, `extra_float_digits = -5`, `DateStyle = 'German'`, `IntervalStyle = 'iso_8601'`,
		`standard_conforming_strings = off`, `client_encoding = 'LATIN1'`} {
		exec(t, w, fmt.Sprintf(`ALTER DATABASE %s SET %s`, name, setting))
	}
	w = open(t, parameter(t, parameter(t, url, "search_path", "s, public"), "TimeZone", "Asia/Shanghai"), postgres.Options{})
	want := [][]any{{"UTC", "off", "damson", "3", "ISO, MDY", "on", "s, public", "4MB", "off"}}
	if d := cmp.Diff(want, ask(t, w, settings)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	exec(t, w, `CREATE SCHEMA s`, `CREATE TABLE s.t (x bigint)`)
	if columns, err := w.Table(t.Context(), w, driver.Name{Table: "t"}); len(columns) != 1 || err != nil {
		t.Errorf("a table of the search path is not found: %v, %v", columns, err)
	}
	want = [][]any{{"0.1", "2007-04-12 08:00:00+00", "1 day", "漢", `a\b`}}
	if d := cmp.Diff(want, ask(t, w, `SELECT CAST(0.1::double precision AS text), CAST(timestamptz '2007-04-12 10:00+02' AS text), CAST(interval '1 day' AS text), '漢', 'a\b'`)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestNobodyInheritsASession leaves behind what sessions can hold, on the only connection there is.
func TestNobodyInheritsASession(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{MaxConns: 1})
	fresh := ask(t, w, settings)
	const left = `SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors WHERE name <> ''), (SELECT count(*) FROM pg_listening_channels()),
		(SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database WHERE l.locktype = 'advisory' AND d.datname = current_database()), (SELECT count(*) FROM pg_class WHERE relpersistence = 't')`
	nothing := [][]any{{int64(0), int64(0), int64(0), int64(0), int64(0)}}
	exec(t, w, `CREATE FUNCTION sneaky() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
		PERFORM set_config('work_mem', '1MB', false), pg_advisory_lock(7); CREATE TEMPORARY TABLE IF NOT EXISTS hidden (x bigint); RETURN 1; END $$`)
	check := func(after string) {
		t.Helper()
		if d := cmp.Diff(fresh, ask(t, w, settings)); d != "" {
			t.Errorf("after %s (-want +got)\n%s", after, d)
		}
		if d := cmp.Diff(nothing, ask(t, w, left)); d != "" {
			t.Errorf("after %s (-want +got)\n%s", after, d)
		}
	}
	for _, sql := range []string{`SET TimeZone = 'Asia/Shanghai'`, `SET search_path = nowhere`, `SELECT set_config('work_mem', '1MB', false)`,
		`PREPARE p AS SELECT 1`, `LISTEN x`, `SELECT pg_advisory_lock(7)`, `CREATE TEMPORARY TABLE scratch (x bigint)`, `SELECT sneaky()`, `SET SESSION AUTHORIZATION pg_monitor`,
		`DO $$ BEGIN EXECUTE 'SET work_mem = ''1MB'''; END $$`} {
		exec(t, w, sql)
		check(sql)
		tx := begin(t, w)
		exec(t, tx, sql)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(sql + ", in a transaction")
	}
	r, err := w.Query(t.Context(), `SELECT sneaky()`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	check("a query")
	tx := begin(t, w)
	exec(t, tx, `DECLARE c CURSOR WITH HOLD FOR SELECT 1`)
	if _, err := tx.Exec(t.Context(), `SELECT 1/0`); err == nil {
		t.Error("1/0 is a number")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("a transaction that failed")
}

// TestCommitsWaitForTheDisk has a server that would not wait, and one that waits for more than the disk.
func TestCommitsWaitForTheDisk(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for given, want := range map[string]string{"off": "on", "local": "local", "remote_apply": "remote_apply"} {
		w := open(t, parameter(t, url, "synchronous_commit", given), postgres.Options{})
		if got := ask(t, begin(t, w), `SELECT current_setting('synchronous_commit')`)[0][0]; got != want {
			t.Errorf("synchronous_commit is %v in a transaction where the server says %s, want %s", got, given, want)
		}
	}
}

// TestSnapshot has a transaction read what another changes meanwhile, and wait for it before its first look.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE TABLE x (x bigint)`, `INSERT INTO x VALUES (1)`)
	tx := begin(t, w)
	exec(t, w, `UPDATE x SET x = 2`)
	if got := ask(t, tx, `SELECT x FROM x`)[0][0]; got != int64(2) {
		t.Errorf("the first statement sees %v, want what is there when it begins", got)
	}
	exec(t, w, `UPDATE x SET x = 3`)
	if got := ask(t, tx, `SELECT x FROM x`)[0][0]; got != int64(2) {
		t.Errorf("the second statement sees %v, want what the first has seen", got)
	}
	if e := failure(t, tx, `UPDATE x SET x = x + 1`); e.Class != driver.Conflict {
		t.Errorf("%q %v", e.Class, e)
	}
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("a transaction that has failed is committed")
	}
}

// TestPoolIsBounded uses all connections at a time.
func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	w := open(t, parameter(t, url, "pool_max_conns", "2"), postgres.Options{})
	one, two := begin(t, w), begin(t, w)
	exec(t, one, `SELECT 1`)
	waits := make(chan error, 1)
	go func() { _, err := w.Exec(t.Context(), `SELECT 1`); waits <- err }()
	if err := two.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// TestCloseWithReader closes a warehouse whose rows are still read.
func TestCloseWithReader(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	r, err := w.Query(t.Context(), `SELECT x FROM generate_series(1, 100000) AS g(x)`)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if all, err := rows.ReadAll(r); len(all) != 100000 || err != nil {
		t.Errorf("a reader that is older than Close gives %d rows, %v", len(all), err)
	}
	if _, err := w.Query(t.Context(), `SELECT 1`); err == nil {
		t.Error("a closed warehouse answers")
	}
}
