//go:build duckdb_arrow

package duckdb_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/rows"
)

// megabytes is a UNION ALL whose first part fills DuckDB's stream before the second has joined: streamed, it never ends.
const megabytes = `SELECT a.id FROM big AS a JOIN big AS b ON a.id + 1 = b.id + 1
UNION ALL SELECT b.id FROM big AS b JOIN big AS a ON a.id + 1 = b.id + 1`

func bigTable(t *testing.T) *duckdb.Warehouse {
	t.Helper()
	w := open(t, duckdb.Options{Threads: 2})
	if _, err := w.Exec(t.Context(), `CREATE TABLE big AS SELECT i AS id, i * 0.5 AS x FROM range(1200000) AS t(i)`); err != nil {
		t.Fatal(err)
	}
	return w
}

func count(t *testing.T, q driver.Querier, sql string) (n int64) {
	t.Helper()
	r, err := q.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for r.Next() {
		n += r.RecordBatch().NumRows()
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUnionOfMegabytes(t *testing.T) {
	t.Parallel()
	w := bigTable(t)
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const want = 2400000
	if n := count(t, w, megabytes); n != want {
		t.Errorf("%d rows, want %d", n, want)
	}
	if n := count(t, tx, megabytes); n != want {
		t.Errorf("%d rows in a transaction, want %d", n, want)
	}
	if _, err := tx.Exec(t.Context(), megabytes); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if n := count(t, w, "SELECT table_name FROM information_schema.tables JOIN (SELECT 1 AS x) AS one ON table_name <> ''"); n != 1 {
		t.Errorf("the catalog shows %d tables", n)
	}
	if _, err := w.Query(t.Context(), "SELECT * FROM damson_rows"); err == nil {
		t.Error("another session sees the rows")
	}
}

func TestRowsOfUnionsAreAsWritten(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{Threads: 2})
	r, err := w.Query(t.Context(), `SELECT max(i) AS n, max(i) AS n, NULL AS none FROM range(3) AS t(i)
UNION ALL SELECT 7::SMALLINT, 1.5, NULL UNION ALL SELECT 0, 0, 'x' -- the end`)
	if err != nil {
		t.Fatal(err)
	}
	if fields := r.Schema().Fields(); fields[0].Name != "n" || fields[1].Name != "n" || fields[2].Name != "none" {
		t.Errorf("columns are %v", fields)
	}
	got, err := rows.ReadAll(r)
	want := [][]any{{int64(2), 2.0, nil}, {int64(7), 1.5, nil}, {int64(0), 0.0, "x"}}
	if !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("rows %v, %v; want %v", got, err, want)
	}
}

func TestErrorsOfUnionsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{Threads: 2})
	const sql = `SELECT max(i) AS n FROM range(3) AS t(i) UNION ALL SELECT CAST('x' || i AS BIGINT) FROM range(3) AS t(i)`
	_, err := w.Query(t.Context(), sql)
	e := (*driver.Error)(nil)
	if !errors.As(err, &e) || e.Position != strings.Index(sql, "CAST") {
		t.Errorf("error %v, at %+v", err, e)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.Query(stopped, sql); !errors.As(err, &e) || e.Class != driver.Cancelled {
		t.Errorf("a stopped query says %v", err)
	}
}

func TestUnionsAreFoundInLongStatements(t *testing.T) {
	t.Parallel()
	long := "/*" + strings.Repeat(" a long statement", 1000) + " */ "
	for what, statements := range map[string][2]string{
		"itself":  {"SELECT 1", "(" + megabytes + ")"},
		"a view":  {"CREATE VIEW pairs AS " + megabytes, "pairs"},
		"a macro": {"CREATE MACRO pairs() AS TABLE " + megabytes, "pairs()"},
	} {
		w := bigTable(t)
		if _, err := w.Exec(t.Context(), statements[0]); err != nil {
			t.Fatal(err)
		}
		if n := count(t, w, long+"SELECT * FROM "+statements[1]); n != 2400000 {
			t.Errorf("through %s: %d rows", what, n)
		}
	}
}
