package drivertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

var driverTests = map[string]func(*testing.T, driver.Warehouse){
	"types are read as the portable ones":          testTypes,
	"values survive append and query":              testRoundTrip,
	"describe runs nothing":                        testDescribe,
	"table knows tables, views and their absence":  testTable,
	"errors tell class, position and hint":         testErrors,
	"an error in the middle of a stream is told":   testStreamError,
	"a large result streams":                       testStreams,
	"the order of ORDER BY is kept":                testOrder,
	"a context stops exec":                         testCancelExec,
	"a context stops a stream":                     testCancelStream,
	"append takes many rows":                       testAppendMany,
	"append matches columns by name":               testAppendByName,
	"readers see all of a transaction or nothing":  testIsolation,
	"writers of different rows do not conflict":    testConcurrentWriters,
	"rollback undoes, and after commit is nothing": testRollback,
	"a transaction's open stream is not lost":      testOpenStream,
	"a stream given up leaves its transaction":     testStreamGivenUp,
	"exec tells how many rows it changed":          testRowsChanged,
	"a query may be any statement":                 testQueryAnything,
	"nobody inherits a session":                    testSession,
}

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.999999", s)
	if err != nil {
		panic(err)
	}
	return t
}

func testTypes(t *testing.T, w driver.Warehouse) {
	want(t, w, `SELECT CAST(7 AS smallint), CAST(7 AS integer), CAST(2.5 AS decimal(10, 2)), CAST(1.5 AS real), CAST(NULL AS integer)`,
		[]any{int64(7), int64(7), 2.5, 1.5, nil})
	want(t, w, `SELECT sum(x) FROM (SELECT CAST(2000000000 AS integer) AS x UNION ALL SELECT 2000000000) AS q`, []any{int64(4000000000)})
	want(t, w, `SELECT count(*), avg(x), min(x) FROM (SELECT 1 AS x UNION ALL SELECT 2) AS q`, []any{int64(2), 1.5, int64(1)})
	want(t, w, `SELECT CAST('2007-04-12 10:00:00+02' AS timestamp with time zone)`, []any{at("2007-04-12 08:00:00")})
	want(t, w, `SELECT CAST('1969-12-31' AS date), CAST('0999-01-02' AS date), CAST('1900-02-28 23:59:59.999999' AS timestamp), CAST('23:59:59.5' AS time)`,
		[]any{at("1969-12-31 00:00:00"), at("0999-01-02 00:00:00"), at("1900-02-28 23:59:59.999999"), 24*time.Hour - 500*time.Millisecond})
	want(t, w, `SELECT 'ünï 漢字 🍑 ''q''', '', TRUE`, []any{"ünï 漢字 🍑 'q'", "", true})
	if id := ask(t, w, `SELECT CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS uuid)`)[0][0]; id != "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" {
		t.Errorf("a uuid is read as %v, want its text", id)
	}
}

var allTypes = arrow.NewSchema([]arrow.Field{
	rows.Field("s", rows.TextType), rows.Field("i", rows.BigintType), rows.Field("f", rows.DoubleType), rows.Field("b", rows.BooleanType),
	rows.Field("d", rows.DateType), rows.Field("c", rows.TimeType), rows.Field("ts", rows.TimestampType),
}, nil)

const allTypesTable = `CREATE TABLE every_type (s text, i bigint, f double precision, b boolean, d date, c time, ts timestamp)`

func testRoundTrip(t *testing.T, w driver.Warehouse) {
	exec(t, w, allTypesTable)
	values := [][]any{
		{"ünï 漢字 🍑", int64(math.MaxInt64), math.MaxFloat64, true, at("1582-10-15 00:00:00"), time.Duration(0), at("1969-12-31 23:59:59.999999")},
		{"", int64(math.MinInt64), -math.SmallestNonzeroFloat64, false, at("1970-01-01 00:00:00"), 23*time.Hour + 59*time.Minute, at("9999-12-31 23:59:59.999999")},
		{"tab\tline\nquote'\"\\", int64(-1), math.Inf(1), true, at("1969-12-31 00:00:00"), time.Microsecond, at("0001-01-01 00:00:00")},
		{nil, nil, nil, nil, nil, nil, nil},
		{strings.Repeat("long ", 10000), int64(0), math.NaN(), nil, nil, nil, nil},
	}
	r, err := rows.New(allTypes, values)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	tx := begin(t, w)
	n, err := tx.Append(t.Context(), driver.Name{Table: "every_type"}, r)
	if err != nil || n != int64(len(values)) {
		t.Fatalf("Append gives %d, %v", n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := ask(t, w, `SELECT s, i, f, b, d, c, ts FROM every_type`)
	byText := cmpopts.SortSlices(func(a, b []any) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if d := cmp.Diff(values, got, byText, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("(-appended +read)\n%s", d)
	}
}

func begin(t *testing.T, w driver.Warehouse) driver.Tx {
	t.Helper()
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func testDescribe(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE d (id integer, x decimal(5, 2), name varchar(10))`)
	columns, err := w.Describe(t.Context(), w, `SELECT id, x, name, id / CAST(0 AS double precision) AS r, count(*) AS n FROM d GROUP BY 1, 2, 3`)
	if err != nil {
		t.Fatal(err)
	}
	expected := []driver.Column{{Name: "id", Type: driver.Bigint}, {Name: "x", Type: driver.Double}, {Name: "name", Type: driver.Text},
		{Name: "r", Type: driver.Double}, {Name: "n", Type: driver.Bigint}}
	if d := cmp.Diff(expected, columns, cmpopts.IgnoreFields(driver.Column{}, "Native")); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if _, err := w.Describe(t.Context(), w, `INSERT INTO d (id) VALUES (1)`); err == nil {
		t.Error("Describe takes an INSERT")
	}
	if n := count(t, w, `SELECT count(*) FROM d`); n != 0 {
		t.Errorf("Describe has written %d rows", n)
	}
}

func testTable(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE SCHEMA s`, `CREATE TABLE s."Mixed case" ("A" text, b bigint)`, `CREATE VIEW s.v AS SELECT b FROM s."Mixed case"`)
	tx := begin(t, w)
	exec(t, tx, `CREATE TABLE s.mine (x boolean)`)
	for _, c := range []struct {
		q     driver.Querier
		table string
		names []string
	}{
		{w, "Mixed case", []string{"A", "b"}},
		{w, "v", []string{"b"}},
		{w, "nothing", nil},
		{w, "mine", nil},
		{tx, "mine", []string{"x"}},
		{tx, "nothing", nil},
	} {
		columns, err := w.Table(t.Context(), c.q, driver.Name{Schema: "s", Table: c.table})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, column := range columns {
			names = append(names, column.Name)
		}
		if d := cmp.Diff(c.names, names); d != "" {
			t.Errorf("columns of %s (-want +got)\n%s", c.table, d)
		}
	}
	if columns, err := w.Table(t.Context(), w, driver.Name{Schema: "no_schema", Table: "t"}); columns != nil || err != nil {
		t.Errorf("a table of an unknown schema gives %v, %v; want nothing", columns, err)
	}
}

func testErrors(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE points (id bigint PRIMARY KEY, speed double precision, label text)`, `INSERT INTO points VALUES (1, 2.5, 'x')`)
	for _, c := range []struct {
		sql   string
		class driver.Class
		at    string // the error's position is where this stands; "" = the database does not tell
		hint  string
	}{
		{"SELEC 1", driver.Syntax, "SELEC", ""},
		{"SELECT 'ünï', id\nFROM points\nWHERE speed > 1 1", driver.Syntax, "1", ""},
		{"SELECT 'ünï 漢',\n\tspeedd FROM points", driver.UnknownName, "speedd", "speed"},
		{"SELECT *\r\nFROM pointz", driver.UnknownName, "pointz", ""},
		{"SELECT no_such_function(id) FROM points", driver.UnknownName, "no_such_function", ""},
		{"SELECT label, count(*) FROM points", driver.Syntax, "label", ""},
		{"CREATE TABLE points (id bigint)", driver.Exists, "", ""},
		{"INSERT INTO points VALUES (1, 1, 'again')", driver.Constraint, "", ""},
		{"SELECT CAST(label AS bigint) FROM points", driver.DataError, "", ""},
		{"SELECT " + strings.Repeat("id + ", 400) + "idd FROM points", driver.UnknownName, "idd", ""},
	} {
		_, err := w.Exec(t.Context(), c.sql)
		if err == nil {
			t.Errorf("%.60s succeeds", c.sql)
			continue
		}
		e := asError(t, err)
		if e.Class != c.class {
			t.Errorf("%.60s: class %q, want %q (%v)", c.sql, e.Class, c.class, e)
		}
		if position := strings.LastIndex(c.sql, c.at); c.at != "" && e.Position != position {
			t.Errorf("%.60s: position %d, want %d (%v)", c.sql, e.Position, position, e)
		}
		if !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%.60s: hint %q, want %q in it", c.sql, e.Hint, c.hint)
		}
		if e.Message == "" || strings.Contains(e.Message, "LINE ") || strings.HasPrefix(e.Message, "{") {
			t.Errorf("%.60s: message %q is not a sentence for people", c.sql, e.Message)
		}
	}
}

func testStreamError(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE numbers AS SELECT x FROM generate_series(1, 300000) AS g(x)`)
	r, err := w.Query(t.Context(), `SELECT CASE WHEN x < 290000 THEN 1 ELSE CAST('no number ' || CAST(x AS text) AS integer) END FROM numbers`)
	if err == nil {
		_, err = rows.ReadAll(r)
	}
	if err == nil {
		t.Fatal("the stream ends without an error")
	}
	if e := asError(t, err); e.Class != driver.DataError {
		t.Errorf("class %q, want %q", e.Class, driver.DataError)
	}
}

// testStreams would not end, or not fit into memory, if results were kept.
func testStreams(t *testing.T, w driver.Warehouse) {
	r, err := w.Query(t.Context(), `SELECT a.x + b.x FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(x)`)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Next() || r.RecordBatch().NumRows() == 0 {
		t.Errorf("no first rows: %v", r.Err())
	}
	r.Release()
	want(t, w, `SELECT 1`, []any{int64(1)})
}

func testOrder(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE unordered AS SELECT (x * 7919) % 200003 AS x FROM generate_series(1, 200002) AS g(x)`)
	for i, row := range ask(t, w, `SELECT CAST(x AS integer) AS x FROM unordered ORDER BY x`) {
		if row[0] != int64(i+1) {
			t.Fatalf("row %d is %v", i, row[0])
		}
	}
}

const endless = `SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(x) WHERE (a.x + b.x) % 7 = 1`

func testCancelExec(t *testing.T, w driver.Warehouse) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Exec(ctx, endless)
	if err == nil {
		t.Fatal("the statement was not stopped")
	}
	if e := asError(t, err); e.Class != driver.Cancelled || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v of class %q, want %q that wraps the context's", err, e.Class, driver.Cancelled)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := w.Query(ended, `SELECT 1`); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v, want %v", err, context.Canceled)
	}
	want(t, w, `SELECT 1`, []any{int64(1)}) // the interrupt does not outlive its statement
}

func testCancelStream(t *testing.T, w driver.Warehouse) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := w.Query(ctx, `SELECT a.x + b.x FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(x)`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	r.Next()
	cancel()
	for r.Next() {
	}
	if e := asError(t, r.Err()); e.Class != driver.Cancelled {
		t.Errorf("class %q, want %q", e.Class, driver.Cancelled)
	}
}

func testAppendMany(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE many (id bigint, x double precision, name text)`)
	values := make([][]any, 100_000)
	for i := range values {
		values[i] = []any{int64(i), float64(i) / 2, fmt.Sprint("name ", i%10)}
	}
	schema := arrow.NewSchema([]arrow.Field{rows.Field("id", rows.BigintType), rows.Field("x", rows.DoubleType), rows.Field("name", rows.TextType)}, nil)
	r, err := rows.New(schema, values)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	tx := begin(t, w)
	if n, err := tx.Append(t.Context(), driver.Name{Table: "many"}, r); n != 100_000 || err != nil {
		t.Fatalf("Append gives %d, %v", n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, w, `SELECT count(*), min(id), max(id), sum(x), count(DISTINCT name) FROM many`,
		[]any{int64(100_000), int64(0), int64(99_999), 2499975000.0, int64(10)})
}

func testAppendByName(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE named (id integer, note text, x real DEFAULT 7)`)
	add := func(schema *arrow.Schema, values ...[]any) error {
		r, err := rows.New(schema, values)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		tx := begin(t, w)
		if _, err := tx.Append(t.Context(), driver.Name{Table: "named"}, r); err != nil {
			return err
		}
		return tx.Commit(t.Context())
	}
	text, number := rows.Field("note", rows.TextType), rows.Field("id", rows.BigintType)
	if err := add(arrow.NewSchema([]arrow.Field{text, number}, nil), []any{"a", int64(1)}); err != nil {
		t.Fatal(err)
	}
	want(t, w, `SELECT id, note FROM named`, []any{int64(1), "a"})
	err := add(arrow.NewSchema([]arrow.Field{text, rows.Field("idd", rows.BigintType)}, nil), []any{"a", int64(1)})
	if err == nil {
		t.Fatal("an unknown column is taken")
	}
	if e := asError(t, err); e.Class != driver.UnknownName || !strings.Contains(e.Message, "idd") || !strings.Contains(e.Hint, `"id"`) {
		t.Errorf("unknown column: %v (hint %q)", e, e.Hint)
	}
	if err := add(arrow.NewSchema([]arrow.Field{number}, nil), []any{int64(math.MaxInt64)}); err == nil {
		t.Error("a number too large for the column is taken")
	}
	r, _ := rows.New(allTypes, nil)
	defer r.Release()
	if _, err := begin(t, w).Append(t.Context(), driver.Name{Schema: "main_of_nothing", Table: "named"}, r); err == nil {
		t.Error("a table of an unknown schema takes rows")
	}
}

// testIsolation reads while a writer replaces all rows again and again: each read must see one version, whole.
func testIsolation(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE versions (v bigint)`, `INSERT INTO versions SELECT 0 FROM generate_series(1, 1000) AS g(x)`)
	var g errgroup.Group
	g.Go(func() error {
		for v := 1; v <= 30; v++ {
			tx, err := w.Begin(t.Context())
			if err != nil {
				return err
			}
			for _, sql := range []string{`DELETE FROM versions`, fmt.Sprintf(`INSERT INTO versions SELECT %d FROM generate_series(1, 1000) AS g(x)`, v)} {
				if _, err := tx.Exec(t.Context(), sql); err != nil {
					return errors.Join(err, tx.Rollback(t.Context()))
				}
			}
			if err := tx.Commit(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	for range 60 {
		if row := ask(t, w, `SELECT count(*), max(v) - min(v) FROM versions`)[0]; row[0] != int64(1000) || row[1] != int64(0) {
			t.Errorf("a read sees %v rows of versions that differ by %v", row[0], row[1])
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func testConcurrentWriters(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE days (day bigint, x bigint)`, `CREATE INDEX days_day ON days (day)`)
	var g errgroup.Group
	for writer := range 4 {
		exec(t, w, fmt.Sprintf(`CREATE TABLE own%d (day bigint, x bigint)`, writer))
		g.Go(func() error {
			for round := range 10 {
				tx, err := w.Begin(t.Context())
				if err != nil {
					return err
				}
				for _, table := range []string{"days", fmt.Sprint("own", writer)} {
					insert := fmt.Sprintf(`INSERT INTO %s SELECT %d, x FROM generate_series(1, 50) AS g(x)`, table, writer*100+round)
					if _, err := tx.Exec(t.Context(), insert); err != nil {
						return errors.Join(err, tx.Rollback(t.Context()))
					}
				}
				if err := tx.Commit(t.Context()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	want(t, w, `SELECT count(*), count(DISTINCT day) FROM days`, []any{int64(2000), int64(40)})
}

func testRollback(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE r (x bigint)`)
	tx := begin(t, w)
	exec(t, tx, `INSERT INTO r VALUES (1)`)
	want(t, tx, `SELECT x FROM r`, []any{int64(1)})
	want(t, w, `SELECT count(*) FROM r`, []any{int64(0)})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, w, `SELECT count(*) FROM r`, []any{int64(0)})

	tx = begin(t, w)
	exec(t, tx, `INSERT INTO r VALUES (2)`)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Errorf("Rollback after Commit: %v", err)
	}
	want(t, w, `SELECT x FROM r`, []any{int64(2)})
	if _, err := tx.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("a transaction that is over runs a statement")
	}
}

// testOpenStream: a second statement must not silently end a stream that is being read.
func testOpenStream(t *testing.T, w driver.Warehouse) {
	tx := begin(t, w)
	r, err := tx.Query(t.Context(), `SELECT x FROM generate_series(1, 100000) AS g(x)`)
	if err != nil {
		t.Fatal(err)
	}
	_, second := tx.Exec(t.Context(), `SELECT 1`)
	all, err := rows.ReadAll(r)
	if err != nil || len(all) != 100000 {
		t.Errorf("the first statement gives %d rows, %v", len(all), err)
	}
	if second != nil {
		t.Logf("the second statement is refused: %v", second)
	}
	want(t, tx, `SELECT 1`, []any{int64(1)})
}

// testStreamGivenUp: a transaction may look at the first rows only, and go on.
func testStreamGivenUp(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE kept (x bigint)`)
	tx := begin(t, w)
	exec(t, tx, `INSERT INTO kept SELECT x FROM generate_series(1, 100000) AS g(x)`)
	for range 2 {
		r, err := tx.Query(t.Context(), `SELECT x FROM kept`)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Next() || r.RecordBatch().NumRows() == 100000 {
			t.Fatalf("the rows come at once, or not at all: %v", r.Err())
		}
		r.Release()
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, w, `SELECT count(*) FROM kept`, []any{int64(100000)})
}

func testRowsChanged(t *testing.T, w driver.Warehouse) {
	exec(t, w, `CREATE TABLE counted (x bigint)`)
	for _, c := range []struct {
		sql string
		n   int64
	}{
		{`INSERT INTO counted VALUES (1), (2), (3)`, 3},
		{`UPDATE counted SET x = x + 1 WHERE x > 1`, 2},
		{`INSERT INTO counted SELECT x FROM counted`, 3},
		{`DELETE FROM counted WHERE x = 1`, 2},
		{`DELETE FROM counted WHERE x = 1`, 0},
		{`SELECT x FROM counted`, -1},
		{`WITH c AS (SELECT 1 AS x) SELECT x FROM c`, -1},
	} {
		if n, err := w.Exec(t.Context(), c.sql); n != c.n || err != nil {
			t.Errorf("%s gives %d, %v; want %d", c.sql, n, err, c.n)
		}
	}
}

// testQueryAnything queries what changes something: it is done when Query returns, and its rows can be read.
func testQueryAnything(t *testing.T, w driver.Warehouse) {
	for _, sql := range []string{`CREATE TABLE done (x bigint)`, `INSERT INTO done VALUES (1), (2)`, `INSERT INTO done VALUES (3) RETURNING x`} {
		r, err := w.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	want(t, w, `SELECT count(*) FROM done`, []any{int64(3)})
	want(t, w, `UPDATE done SET x = 7 WHERE x = 3 RETURNING x`, []any{int64(7)})
}

func testSession(t *testing.T, w driver.Warehouse) {
	for range 3 {
		tx := begin(t, w)
		exec(t, tx, `CREATE TEMPORARY TABLE scratch AS SELECT 1 AS x`)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if columns, err := w.Table(t.Context(), w, driver.Name{Table: "scratch"}); columns != nil || err != nil {
		t.Errorf("a temporary table outlives its transaction's session: %v, %v", columns, err)
	}
}
