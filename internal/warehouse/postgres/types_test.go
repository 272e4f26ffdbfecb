package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

// ask gives a query's rows.
func ask(t testing.TB, q driver.Querier, sql string) [][]any {
	t.Helper()
	r, err := q.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	all, err := rows.ReadAll(r)
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	return all
}

func exec(t testing.TB, q driver.Querier, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := q.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s\n%v", sql, err)
		}
	}
}

// failure gives the driver's error of a statement that must fail.
func failure(t testing.TB, q driver.Querier, sql string) *driver.Error {
	t.Helper()
	_, err := q.Exec(t.Context(), sql)
	return asError(t, err)
}

func asError(t testing.TB, err error) *driver.Error {
	t.Helper()
	var e *driver.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T (%v), want a *driver.Error in it", err, err)
	}
	return e
}

// appendRows appends rows to a table in a transaction of its own.
func appendRows(ctx context.Context, w *postgres.Warehouse, table string, schema *arrow.Schema, values ...[]any) error {
	r, err := rows.New(schema, values)
	if err != nil {
		return err
	}
	defer r.Release()
	tx, err := w.Begin(ctx)
	if err != nil {
		return err
	}
	n, err := tx.Append(ctx, driver.Name{Table: table}, r)
	if err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	if n != int64(len(values)) {
		return fmt.Errorf("%d rows were appended of %d", n, len(values))
	}
	return tx.Commit(ctx)
}

func moment(s string) time.Time {
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04:05.999999"} {
		if m, err := time.Parse(layout, s); err == nil {
			return m
		}
	}
	panic(s)
}

// readings are values behind a SELECT, as what they are described and as what they are read.
var readings = []struct {
	sql    string
	kind   driver.Type
	native string
	value  any
}{
	{`smallint '-7'`, driver.Bigint, "smallint", int64(-7)},
	{`integer '-7'`, driver.Bigint, "integer", int64(-7)},
	{`bigint '-7'`, driver.Bigint, "bigint", int64(-7)},
	{`oid '4000000000'`, driver.Bigint, "oid", int64(4000000000)},
	{`CAST(7 AS small)`, driver.Bigint, "integer", int64(7)},
	{`real '1.5'`, driver.Double, "real", 1.5},
	{`double precision '-0.1'`, driver.Double, "double precision", -0.1},
	{`numeric(10, 2) '-12345.67'`, driver.Double, "numeric(10,2)", -12345.67},
	{`sum(x) FROM (VALUES (bigint '4000000000'), (4000000000)) AS v(x)`, driver.Double, "numeric", 8e9},
	{`numeric '123456789012345678901234567890.5'`, driver.Double, "numeric", 123456789012345678901234567890.5},
	{`numeric 'NaN'`, driver.Double, "numeric", math.NaN()},
	{`double precision '-Infinity'`, driver.Double, "double precision", math.Inf(-1)},
	{`false`, driver.Boolean, "boolean", false},
	{`date '0044-03-15 BC'`, driver.Date, "date", time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC)},
	{`date 'infinity'`, driver.Date, "date", time.Unix(math.MaxInt32*86400, 0).UTC()},
	{`date '-infinity'`, driver.Date, "date", time.Unix(-math.MaxInt32*86400, 0).UTC()},
	{`time '23:59:59.000001'`, driver.Time, "time without time zone", 24*time.Hour - time.Second + time.Microsecond},
	{`time '24:00'`, driver.Time, "time without time zone", 24 * time.Hour},
	{`timestamp(3) '1969-12-31 23:59:59.999'`, driver.Timestamp, "timestamp(3) without time zone", moment("1969-12-31 23:59:59.999")},
	{`timestamp with time zone '2007-04-12 10:00+02'`, driver.Timestamp, "timestamp with time zone", moment("2007-04-12 08:00:00")},
	{`timestamp 'infinity'`, driver.Timestamp, "timestamp without time zone", time.UnixMicro(math.MaxInt64).UTC()},
	{`timestamp '-infinity'`, driver.Timestamp, "timestamp without time zone", time.UnixMicro(-math.MaxInt64).UTC()},
	{`timestamp '4713-01-01 00:00:00 BC'`, driver.Timestamp, "timestamp without time zone", time.Date(-4712, 1, 1, 0, 0, 0, 0, time.UTC)},
	{`text 'ünï'`, driver.Text, "text", "ünï"},
	{`varchar(5) 'abc'`, driver.Text, "character varying(5)", "abc"},
	{`char(5) 'abc'`, driver.Text, "character(5)", "abc  "},
	{`time with time zone '10:00+02'`, driver.Text, "time with time zone", "10:00:00+02"},
	{`interval '1 day 2 hours'`, driver.Text, "interval", "1 day 02:00:00"},
	{`uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`, driver.Text, "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	{`jsonb '{"a": [1, null]}'`, driver.Text, "jsonb", `{"a": [1, null]}`},
	{`'{1,NULL,3}'::integer[]`, driver.Text, "integer[]", "{1,NULL,3}"},
	{`ARRAY[0.1::double precision, 1e300]`, driver.Text, "double precision[]", "{0.1,1e+300}"},
	{`ARRAY[timestamptz '2007-04-12 10:00+02']`, driver.Text, "timestamp with time zone[]", `{"2007-04-12 08:00:00+00"}`},
	{`point '(1,2)'`, driver.Text, "point", "(1,2)"},
	{`bytea '\x00ff'`, driver.Text, "bytea", `\x00ff`},
	{`mood 'happy'`, driver.Text, "mood", "happy"},
	{`CAST(ROW(1, 'x') AS pair)`, driver.Text, "pair", "(1,x)"},
	{`inet '10.0.0.1'`, driver.Text, "inet", "10.0.0.1"},
	{`NULL`, driver.Text, "text", nil},
	{`CAST(NULL AS integer)`, driver.Bigint, "integer", nil},
}

func TestTypesAreRead(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE TYPE mood AS ENUM ('sad', 'happy')`, `CREATE DOMAIN positive AS integer CHECK (VALUE > 0)`, `CREATE DOMAIN small AS positive CHECK (VALUE < 10)`,
		`CREATE TYPE pair AS (a integer, b text)`)
	for _, c := range readings {
		sql := "SELECT " + c.sql
		columns, err := w.Describe(t.Context(), w, sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if len(columns) != 1 || columns[0].Type != c.kind || columns[0].Native != c.native {
			t.Errorf("%s is described as %+v, want %s, %s", sql, columns, c.kind, c.native)
		}
		if d := cmp.Diff([][]any{{c.value}}, ask(t, w, sql), cmpopts.EquateNaNs()); d != "" {
			t.Errorf("%s (-want +got)\n%s", sql, d)
		}
	}
	for sql, part := range map[string]string{
		`SELECT numeric '1e400'`: "too large for a double",
		`SELECT timestamp '294276-12-31 00:00:00' FROM generate_series(1, 100000)`: "294247",
	} {
		r, err := w.Query(t.Context(), sql)
		if err == nil {
			_, err = rows.ReadAll(r)
		}
		if e := asError(t, err); e.Class != driver.DataError || !strings.Contains(e.Message, part) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// fits are values that a column of another type takes; read is what comes back, nil = the same.
var fits = []struct {
	from   arrow.DataType
	to     string
	values []any
	read   []any // nil: the same as the values
}{
	{rows.BigintType, "smallint", []any{int64(-32768), int64(32767), nil}, nil},
	{rows.BigintType, "integer", []any{int64(math.MinInt32), int64(math.MaxInt32)}, nil},
	{rows.BigintType, "positive", []any{int64(7)}, nil},
	{rows.BigintType, "double precision", []any{int64(1 << 53)}, []any{float64(1 << 53)}},
	{rows.BigintType, "numeric", []any{int64(math.MinInt64), int64(0), int64(10000), int64(99990000)}, []any{-9223372036854775808.0, 0.0, 10000.0, 99990000.0}},
	{rows.BigintType, "text", []any{int64(-7)}, []any{"-7"}},
	{rows.BigintType, "boolean", []any{int64(0), int64(1)}, []any{false, true}},
	{rows.DoubleType, "real", []any{1.5, math.Inf(1), math.NaN()}, nil},
	{rows.DoubleType, "numeric(12, 3)", []any{-12345.6789, 0.0, 1e-9, 0.0004, 99999.9996, math.NaN()}, []any{-12345.679, 0.0, 0.0, 0.0, 100000.0, math.NaN()}},
	{rows.DoubleType, "numeric", []any{1e22, 1.7976931348623157e308, 5e-324, 0.1, 10000.0001, 1e-5}, nil},
	{rows.DoubleType, "integer", []any{3.0}, []any{int64(3)}},
	{rows.DoubleType, "text", []any{0.1, math.Inf(-1)}, []any{"0.1", "-infinity"}},
	{rows.BooleanType, "boolean", []any{true, false, nil}, nil},
	{rows.BooleanType, "text", []any{true}, []any{"true"}},
	{rows.DateType, "date", []any{moment("0001-01-01"), time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC), time.Unix(math.MaxInt32*86400, 0).UTC(), time.Unix(-math.MaxInt32*86400, 0).UTC()}, nil},
	{rows.DateType, "timestamp", []any{moment("2007-04-12"), time.Unix(math.MaxInt32*86400, 0).UTC()}, []any{moment("2007-04-12"), time.UnixMicro(math.MaxInt64).UTC()}},
	{rows.DateType, "timestamptz", []any{moment("1969-12-31")}, nil},
	{rows.DateType, "text", []any{moment("0099-04-12"), time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC)}, []any{"0099-04-12", "0044-03-15 BC"}},
	{rows.TimeType, "time", []any{time.Duration(0), 24*time.Hour - time.Microsecond}, nil},
	{rows.TimeType, "interval", []any{90 * time.Minute}, []any{"01:30:00"}},
	{rows.TimestampType, "timestamp", []any{moment("1969-12-31 23:59:59.999999"), time.UnixMicro(math.MaxInt64).UTC(), time.UnixMicro(-math.MaxInt64).UTC()}, nil},
	{rows.TimestampType, "timestamptz", []any{moment("2007-04-12 08:00:00")}, nil},
	{rows.TimestampType, "text", []any{moment("2007-04-12 08:00:00.5")}, []any{"2007-04-12 08:00:00.5"}},
	{rows.TextType, "varchar(5)", []any{"ünï 🍑", "", nil}, nil},
	{rows.TextType, "char(5)", []any{"a"}, []any{"a    "}},
	{rows.TextType, "json", []any{`{"a": 1}`}, nil},
	{rows.TextType, "jsonb", []any{`{"a":1}`}, []any{`{"a": 1}`}},
	{rows.TextType, "uuid", []any{"A0EEBC999C0B4EF8BB6D6BB9BD380A11"}, []any{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
	{rows.TextType, "mood", []any{"happy"}, nil},
	{rows.TextType, "integer[]", []any{"{1,2}"}, nil},
	{rows.TextType, "text[]", []any{`{"tab\\t","a,b","\\N"}`}, []any{`{"tab\\t","a,b","\\N"}`}},
	{rows.TextType, "point", []any{"(1,2)"}, nil},
	{rows.TextType, "integer", []any{"42"}, []any{int64(42)}},
	{rows.TextType, "text[]", []any{"{\"tab\t, line\n, return\r, \\\\N\"}"}, nil},
}

// TestAppendFitsTheTable appends portable values to columns of other types.
func TestAppendFitsTheTable(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE TYPE mood AS ENUM ('sad', 'happy')`, `CREATE DOMAIN positive AS integer CHECK (VALUE > 0)`)
	for i, c := range fits {
		table := fmt.Sprint("t", i)
		exec(t, w, fmt.Sprintf(`CREATE TABLE %s (x %s)`, table, c.to))
		schema := arrow.NewSchema([]arrow.Field{rows.Field("x", c.from)}, nil)
		var all, want [][]any
		for k, v := range c.values {
			all = append(all, []any{v})
			if c.read != nil {
				v = c.read[k]
			}
			want = append(want, []any{v})
		}
		if err := appendRows(t.Context(), w, table, schema, all...); err != nil {
			t.Errorf("%s into %s: %v", c.from, c.to, err)
			continue
		}
		if d := cmp.Diff(want, ask(t, w, `SELECT x FROM `+table), cmpopts.EquateNaNs()); d != "" {
			t.Errorf("%s into %s (-want +got)\n%s", c.from, c.to, d)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	for i, c := range []struct {
		from  arrow.DataType
		to    string
		value any
		class driver.Class
		part  string
	}{
		{rows.BigintType, "smallint", int64(32768), driver.DataError, `Column "x": the value of row 2, "32768", does not fit into it`},
		{rows.BigintType, "integer", int64(math.MaxInt64), driver.DataError, "does not fit"},
		{rows.BigintType, "double precision", int64(math.MaxInt64), driver.DataError, "does not fit"},
		{rows.DoubleType, "real", 1e300, driver.DataError, "does not fit"},
		{rows.DoubleType, "numeric", math.Inf(1), driver.DataError, "does not fit"},
		{rows.DoubleType, "numeric(5, 2)", 12345.0, driver.DataError, "numeric field overflow"},
		{rows.DoubleType, "integer", 1.5, driver.DataError, `line 2, column x: "1.5"`},
		{rows.TextType, "varchar(3)", "four", driver.DataError, "too long"},
		{rows.TextType, "text", "zero \x00 byte", driver.DataError, "zero byte"},
		{rows.TextType, "jsonb", "zero \x00 byte", driver.DataError, "zero byte"},
		{rows.TextType, "jsonb", "{", driver.DataError, "json"},
		{rows.TextType, "text", "\xff", driver.DataError, "0xff"},
		{rows.TimestampType, "date", moment("2007-04-12 08:00:00"), driver.DataError, "would lose"},
		{rows.TimestampType, "time", moment("2007-04-12 08:00:00"), driver.DataError, "would lose"},
		{rows.DateType, "date", time.Unix((math.MaxInt32-1)*86400, 0).UTC(), driver.DataError, "does not fit"},
		{rows.TimestampType, "timestamp", time.UnixMicro(-math.MaxInt64 + 1).UTC(), driver.DataError, "does not fit"},
		{rows.BigintType, "integer CHECK (x < 10)", int64(11), driver.Constraint, "violates check constraint"},
	} {
		table := fmt.Sprint("t", i)
		exec(t, w, fmt.Sprintf(`CREATE TABLE %s (x %s)`, table, c.to))
		schema := arrow.NewSchema([]arrow.Field{rows.Field("x", c.from)}, nil)
		err := appendRows(t.Context(), w, table, schema, []any{nil}, []any{c.value})
		if err == nil {
			t.Errorf("%v is taken by %s", c.value, c.to)
			continue
		}
		if e := asError(t, err); e.Class != c.class || !strings.Contains(e.Message, c.part) {
			t.Errorf("%v into %s: %q %s, want %q in it", c.value, c.to, e.Class, e.Message, c.part)
		}
	}
	want := [][]any{{int64(0)}}
	if d := cmp.Diff(want, ask(t, w, `SELECT count(*) FROM t0`)); d != "" {
		t.Errorf("a refused append has left rows (-want +got)\n%s", d)
	}
}

// TestAppendBrokenOff has rows that end with an error: it is told, and nothing is written.
func TestAppendBrokenOff(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE TABLE x (x bigint)`)
	from := open(t, pgtest.Database(t), postgres.Options{})
	r, err := from.Query(t.Context(), `SELECT 1000000 / (90000 - x) AS x FROM generate_series(1, 100000) AS g(x)`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Append(t.Context(), driver.Name{Table: "x"}, r)
	if e := asError(t, err); e.Class != driver.DataError || !strings.Contains(e.Message, "division by zero") {
		t.Errorf("the append gives %v, want the error of its rows", err)
	}
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("a transaction whose append has failed is committed")
	}
	if n := ask(t, w, `SELECT count(*) FROM x`)[0][0]; n != int64(0) {
		t.Errorf("%v rows are there", n)
	}
}

// TestNumericsAreExact appends the same random numbers to columns of two types, between which the server compares.
func TestNumericsAreExact(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE TABLE n (i bigint, i_numeric numeric, f double precision, f_numeric numeric)`)
	schema := arrow.NewSchema([]arrow.Field{rows.Field("i", rows.BigintType), rows.Field("i_numeric", rows.BigintType),
		rows.Field("f", rows.DoubleType), rows.Field("f_numeric", rows.DoubleType)}, nil)
	random := rand.New(rand.NewPCG(1, 2))
	var values [][]any
	for len(values) < 5000 {
		i := int64(random.Uint64()) >> random.IntN(64)
		f := math.Float64frombits(random.Uint64())
		if len(values)%2 == 0 {
			f = float64(i) / math.Pow10(random.IntN(20))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		values = append(values, []any{i, i, f, f})
	}
	if err := appendRows(t.Context(), w, "n", schema, values...); err != nil {
		t.Fatal(err)
	}
	if wrong := ask(t, w, `SELECT i, CAST(i_numeric AS text), f, CAST(f_numeric AS text) FROM n WHERE i <> i_numeric OR f <> CAST(f_numeric AS double precision) LIMIT 3`); len(wrong) > 0 {
		t.Errorf("numbers have changed, such as %v", wrong)
	}
	for _, row := range ask(t, w, `SELECT f, f_numeric FROM n`) {
		if row[0] != row[1] {
			t.Fatalf("%v is read from a numeric as %v", row[0], row[1])
		}
	}
}

// TestBytesThatAreNoText reads from a database that promises no encoding.
func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	admin := open(t, server.URL(), postgres.Options{})
	exec(t, admin, `CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0`)
	w := open(t, with(t, server.URL(), func(u *url.URL) { u.Path = "/bytes" }), postgres.Options{})
	exec(t, w, `CREATE TABLE x AS SELECT CAST('good ü' AS text) AS good`)
	want := [][]any{{"good ü"}}
	if d := cmp.Diff(want, ask(t, w, `SELECT good FROM x`)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	r, err := w.Query(t.Context(), `SELECT E'bad \xff'`)
	if err == nil {
		_, err = rows.ReadAll(r)
	}
	if e := asError(t, err); e.Class != driver.DataError {
		t.Errorf("%q %v", e.Class, e)
	}
}
