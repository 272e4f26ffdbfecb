package drivertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"damson/internal/pipeline"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

var intoTests = map[string]func(*testing.T, driver.Warehouse){
	"the table is made from the SELECT":                testIntoCreates,
	"a SELECT without rows makes the table as well":    testIntoCreatesEmpty,
	"a day replaces that day only":                     testIntoDay,
	"each interval of several has its own number":      testIntoEach,
	"a timestamp column is replaced by the moment":     testIntoTimestamp,
	"the whole table is replaced":                      testIntoWhole,
	"append adds":                                      testIntoAppend,
	"merge replaces rows of the same keys":             testIntoMerge,
	"merge refuses keys that are NULL or come twice":   testIntoMergeKeys,
	"rows outside the interval are refused":            testIntoOutside,
	"changed columns are refused":                      testIntoChanged,
	"new columns are added when allowed":               testIntoNewColumns,
	"columns match by name":                            testIntoByName,
	"columns match in any letter case":                 testIntoLetterCase,
	"a column that has come meanwhile is used":         testIntoColumnMeanwhile,
	"a table with a primary key is replaced":           testIntoPrimaryKey,
	"SQL errors lead to the template":                  testIntoErrors,
	"many days of one table are written at one time":   testIntoConcurrentDays,
	"tables of a new schema are made at one time":      testIntoConcurrentTables,
	"what a target cannot be is refused":               testIntoRefuses,
	"a changed source is noticed":                      testIntoSourceChanges,
	"a temporary table of the transaction can be read": testIntoReadsOwn,
}

func days(from, to string) warehouse.Interval {
	return warehouse.Interval{Start: at(from + " 00:00:00"), End: at(to + " 00:00:00")}
}

// into runs Into in a transaction of its own.
func into(t *testing.T, w *warehouse.Warehouse, sql string, target pipeline.Target, interval warehouse.Interval) (warehouse.Written, error) {
	t.Helper()
	var written warehouse.Written
	err := inTx(t.Context(), w, func(tx *warehouse.Tx) (err error) {
		written, err = tx.Into(t.Context(), text(sql), target, interval)
		return err
	})
	return written, err
}

// must runs an Into that succeeds and compares what it says it did.
func must(t *testing.T, w *warehouse.Warehouse, sql string, target pipeline.Target, interval warehouse.Interval, expected warehouse.Written) {
	t.Helper()
	written, err := into(t, w, sql, target, interval)
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	if written != expected {
		t.Errorf("%s\ngives %+v, want %+v", sql, written, expected)
	}
}

// points fills a source table: four points on each of three days.
func points(t *testing.T, d driver.Warehouse) {
	t.Helper()
	exec(t, d, `CREATE SCHEMA geo`, `CREATE TABLE geo.points (tdate date, uid text, n integer, moment timestamp)`)
	for day := 12; day < 15; day++ {
		for n := range 4 {
			exec(t, d, fmt.Sprintf(`INSERT INTO geo.points VALUES (DATE '2007-04-%d', 'u%d', %d, TIMESTAMP '2007-04-%d 0%d:00:00')`, day, n%2, n, day, n*3))
		}
	}
}

var byDay = pipeline.Target{Into: "geo.daily", PartitionBy: "tdate", Mode: pipeline.Replace}

func testIntoCreates(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	target := pipeline.Target{Into: `fresh.sums`, Mode: pipeline.Replace}
	sql := `SELECT 1 AS id, sum(x) AS total, avg(x) AS mean, 'a' AS name, DATE '2007-04-12' AS tdate, TRUE AS ok, CAST('2007-04-12 01:02:03' AS timestamp) AS moment
		FROM (SELECT 1 AS x UNION ALL SELECT 2) AS q;`
	must(t, w, sql, target, warehouse.Interval{}, warehouse.Written{Rows: 1, Created: true})
	want(t, d, `SELECT * FROM fresh.sums`, []any{int64(1), int64(3), 1.5, "a", at("2007-04-12 00:00:00"), true, at("2007-04-12 01:02:03")})
	columns, err := w.Table(t.Context(), "fresh.sums")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, c := range columns {
		types = append(types, string(c.Type))
	}
	if got := strings.Join(types, " "); got != "bigint bigint double text date boolean timestamp" {
		t.Errorf("types are %s", got)
	}
}

func testIntoCreatesEmpty(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	day := days("2020-01-01", "2020-01-02")
	must(t, w, `SELECT tdate, uid FROM geo.points WHERE tdate = DATE '2020-01-01'`, byDay, day, warehouse.Written{Created: true})
	want(t, d, `SELECT count(*) FROM geo.daily`, []any{int64(0)})
}

func testIntoDay(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	daily := func(day string) string {
		return `SELECT tdate, uid, count(*) AS n FROM geo.points WHERE tdate = DATE '` + day + `' GROUP BY tdate, uid ORDER BY uid -- by user`
	}
	must(t, w, daily("2007-04-12"), byDay, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 2, Created: true})
	must(t, w, daily("2007-04-13"), byDay, days("2007-04-13", "2007-04-14"), warehouse.Written{Rows: 2})
	rows, before, err := w.Checksum(t.Context(), "geo.daily")
	if err != nil || rows != 4 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	must(t, w, daily("2007-04-12"), byDay, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 2, Replaced: 2})
	if _, after, _ := w.Checksum(t.Context(), "geo.daily"); after != before {
		t.Error("a second run has changed the rows")
	}
	exec(t, d, `DELETE FROM geo.points WHERE tdate = DATE '2007-04-12' AND uid = 'u1'`)
	must(t, w, daily("2007-04-12"), byDay, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Replaced: 2})
	want(t, d, `SELECT tdate, count(*) FROM geo.daily GROUP BY tdate ORDER BY tdate`,
		[]any{at("2007-04-12 00:00:00"), int64(1)}, []any{at("2007-04-13 00:00:00"), int64(2)})

	// An hour, and a moment, own their day; several days own all of them.
	hour := warehouse.Interval{Start: at("2007-04-13 10:00:00"), End: at("2007-04-13 11:00:00")}
	must(t, w, daily("2007-04-13"), byDay, hour, warehouse.Written{Rows: 2, Replaced: 2})
	moment := warehouse.Interval{Start: at("2007-04-13 10:00:00"), End: at("2007-04-13 10:00:00")}
	must(t, w, daily("2007-04-13"), byDay, moment, warehouse.Written{Rows: 2, Replaced: 2})
	all := `SELECT tdate, uid, count(*) AS n FROM geo.points WHERE tdate >= DATE '2007-04-12' AND tdate < DATE '2007-04-15' GROUP BY tdate, uid`
	must(t, w, all, byDay, days("2007-04-12", "2007-04-15"), warehouse.Written{Rows: 5, Replaced: 3})
}

func testIntoEach(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	several := []warehouse.Interval{days("2007-04-11", "2007-04-12"), days("2007-04-12", "2007-04-13"), days("2007-04-13", "2007-04-15")}
	write := func(sql string, target pipeline.Target, intervals []warehouse.Interval) (all warehouse.Written, each []int64) {
		t.Helper()
		err := inTx(t.Context(), w, func(tx *warehouse.Tx) (err error) {
			all, each, err = tx.IntoEach(t.Context(), text(sql), target, intervals)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all, each
	}
	const whole = `SELECT tdate, uid FROM geo.points`
	if all, each := write(whole, byDay, several); all != (warehouse.Written{Rows: 12, Created: true}) || !slices.Equal(each, []int64{0, 4, 8}) {
		t.Errorf("got %+v and %v", all, each)
	}
	all, each := write(whole+` WHERE NOT (tdate = DATE '2007-04-12' AND uid = 'u0')`, byDay, several)
	if all != (warehouse.Written{Rows: 10, Replaced: 12}) || !slices.Equal(each, []int64{0, 2, 8}) {
		t.Errorf("got %+v and %v", all, each)
	}
	sameDay := []warehouse.Interval{{Start: at("2007-04-12 00:00:00"), End: at("2007-04-12 12:00:00")}, {Start: at("2007-04-12 12:00:00"), End: at("2007-04-13 00:00:00")}}
	for _, c := range []struct {
		target    pipeline.Target
		intervals []warehouse.Interval
	}{{byDay, several[1:2]}, {byDay, sameDay}, {pipeline.Target{Into: "geo.other", Mode: pipeline.Append}, several}} {
		if all, each := write(whole+` WHERE tdate = DATE '2007-04-12'`, c.target, c.intervals); all.Rows != 4 || each != nil {
			t.Errorf("%+v of %d intervals gives %+v and %+v", c.target, len(c.intervals), all, each)
		}
	}
}

func testIntoTimestamp(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	target := pipeline.Target{Into: "geo.hourly", PartitionBy: "moment"}
	morning := warehouse.Interval{Start: at("2007-04-12 00:00:00"), End: at("2007-04-12 06:00:00")}
	sql := `SELECT moment, n FROM geo.points WHERE moment >= TIMESTAMP '2007-04-12 00:00:00' AND moment < TIMESTAMP '2007-04-12 06:00:00'`
	must(t, w, sql, target, morning, warehouse.Written{Rows: 2, Created: true})
	exec(t, d, `INSERT INTO geo.hourly VALUES (TIMESTAMP '2007-04-12 05:59:59.999999', 100), (TIMESTAMP '2007-04-12 06:00:00', 200)`)
	must(t, w, sql, target, morning, warehouse.Written{Rows: 2, Replaced: 3})
	want(t, d, `SELECT n FROM geo.hourly ORDER BY moment`, []any{int64(0)}, []any{int64(1)}, []any{int64(200)})
	_, err := into(t, w, sql, target, warehouse.Interval{Start: at("2007-04-12 00:00:00"), End: at("2007-04-12 00:00:00")})
	refused(t, err, "sql/test.sql:1", "has no width")
}

func testIntoWhole(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	target := pipeline.Target{Into: "geo.users"}
	must(t, w, `SELECT DISTINCT uid FROM geo.points`, target, warehouse.Interval{}, warehouse.Written{Rows: 2, Created: true})
	must(t, w, `SELECT DISTINCT uid FROM geo.points WHERE uid = 'u0'`, target, warehouse.Interval{}, warehouse.Written{Rows: 1, Replaced: 2})
	want(t, d, `SELECT uid FROM geo.users`, []any{"u0"})
}

func testIntoAppend(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	target := pipeline.Target{Into: "events", Mode: pipeline.Append, PartitionBy: "day"}
	must(t, w, `SELECT DATE '2007-04-12' AS day`, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Created: true})
	must(t, w, `SELECT DATE '2007-04-12' AS day`, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1})
	want(t, d, `SELECT count(*) FROM events`, []any{int64(2)})
}

var byKeys = pipeline.Target{Into: "latest", Mode: pipeline.Merge, Keys: []string{"uid", "kind"}}

func testIntoMerge(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	must(t, w, `SELECT 'a' AS uid, 1 AS kind, 10 AS x UNION ALL SELECT 'b', 1, 20`, byKeys, warehouse.Interval{}, warehouse.Written{Rows: 2, Created: true})
	second := `SELECT 'b' AS uid, 1 AS kind, 21 AS x UNION ALL SELECT 'b', 2, 30`
	must(t, w, second, byKeys, warehouse.Interval{}, warehouse.Written{Rows: 2, Replaced: 1})
	must(t, w, second, byKeys, warehouse.Interval{}, warehouse.Written{Rows: 2, Replaced: 2})
	want(t, d, `SELECT uid, kind, x FROM latest ORDER BY uid, kind`,
		[]any{"a", int64(1), int64(10)}, []any{"b", int64(1), int64(21)}, []any{"b", int64(2), int64(30)})
}

func testIntoMergeKeys(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	_, err := into(t, w, `SELECT 'a' AS uid, 1 AS kind UNION ALL SELECT 'b', 2 UNION ALL SELECT 'b', 2`, byKeys, warehouse.Interval{})
	refused(t, err, "sql/test.sql:1", "uid = b, kind = 2")
	_, err = into(t, w, `SELECT 'a' AS uid, CAST(NULL AS bigint) AS kind`, byKeys, warehouse.Interval{})
	refused(t, err, "sql/test.sql:1", "uid = a, kind = NULL")
	if columns, err := w.Table(t.Context(), "latest"); columns != nil || err != nil {
		t.Errorf("a refused merge has left a table: %v, %v", columns, err)
	}
}

// refused checks that an error is a finding at a place whose detail or fix holds all the parts.
func refused(t *testing.T, err error, place string, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("nothing was refused, want a finding about %q", parts)
	}
	f := asFinding(t, err)
	if f.At.String() != place {
		t.Errorf("the finding is at %q, want %q", f.At, place)
	}
	for _, part := range parts {
		if !strings.Contains(f.Summary+"\n"+f.Detail+"\n"+f.Fix, part) {
			t.Errorf("%q is not in the finding:\n%v", part, f)
		}
	}
}

func testIntoOutside(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	day := days("2007-04-12", "2007-04-13")
	must(t, w, `SELECT tdate, uid FROM geo.points WHERE tdate = DATE '2007-04-12'`, byDay, day, warehouse.Written{Rows: 4, Created: true})
	_, before, _ := w.Checksum(t.Context(), "geo.daily")
	_, err := into(t, w, `SELECT tdate, uid FROM geo.points WHERE uid = 'u0'`, byDay, day)
	refused(t, err, "sql/test.sql:1", "4 rows", "2007-04-13", "2007-04-12", "Nothing was written",
		"tdate >= date '{{ data_interval_start | ds }}' AND tdate < date '{{ data_interval_end | ds }}'") // also where a batch has no ds
	_, err = into(t, w, "\n\nSELECT CAST(NULL AS date) AS tdate, uid FROM geo.points WHERE n = 0 AND tdate = DATE '2007-04-12'", byDay, day)
	refused(t, err, "sql/test.sql:3", "1 row", "NULL")
	if _, after, _ := w.Checksum(t.Context(), "geo.daily"); after != before {
		t.Error("a refused SELECT has changed the table")
	}
}

func testIntoChanged(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	target := pipeline.Target{Into: "geo.t", Mode: pipeline.Replace}
	must(t, w, `SELECT 1 AS id, 'x' AS name, 1.5 AS speed`, target, warehouse.Interval{}, warehouse.Written{Rows: 1, Created: true})
	changed := `SELECT 'one' AS id, 'x' AS name, TRUE AS fast`
	_, err := into(t, w, changed, target, warehouse.Interval{})
	refused(t, err, "sql/test.sql:1", "fast (boolean) is new", "speed (double) is missing", "id is text and was bigint", "new_columns = True")
	target.NewColumns = true
	_, err = into(t, w, changed, target, warehouse.Interval{})
	refused(t, err, "sql/test.sql:1", "speed (double) is missing")
	want(t, d, `SELECT id, name, speed FROM geo.t`, []any{int64(1), "x", 1.5})
}

func testIntoNewColumns(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	target := pipeline.Target{Into: "geo.t", PartitionBy: "tdate", NewColumns: true}
	must(t, w, `SELECT DATE '2007-04-12' AS tdate, 1 AS id`, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Created: true})
	must(t, w, `SELECT 'new' AS name, DATE '2007-04-13' AS tdate, 2 AS id`, target, days("2007-04-13", "2007-04-14"), warehouse.Written{Rows: 1})
	want(t, d, `SELECT id, name FROM geo.t ORDER BY id`, []any{int64(1), nil}, []any{int64(2), "new"})
}

func testIntoByName(t *testing.T, d driver.Warehouse) {
	exec(t, d, `CREATE TABLE named (a integer, b varchar(20), c decimal(10, 2))`)
	w := portable(t, d)
	target := pipeline.Target{Into: "named"}
	must(t, w, `SELECT 2.25 AS c, 'b' AS b, 1 AS a`, target, warehouse.Interval{}, warehouse.Written{Rows: 1})
	want(t, d, `SELECT a, b, c FROM named`, []any{int64(1), "b", 2.25})
	_, err := into(t, w, `SELECT 1 AS a, 2 AS a`, target, warehouse.Interval{})
	refused(t, err, "sql/test.sql:1", `"a" twice`)
}

func testIntoLetterCase(t *testing.T, d driver.Warehouse) {
	exec(t, d, `CREATE TABLE odd ("Day" date, "User ID" bigint, x bigint)`)
	w := portable(t, d)
	sql := `SELECT DATE '2007-04-12' AS day, 1 AS "user id", 2 AS x`
	target := pipeline.Target{Into: "odd", PartitionBy: "DAY"}
	must(t, w, sql, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1})
	must(t, w, sql, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Replaced: 1})
	target = pipeline.Target{Into: "odd", Mode: pipeline.Merge, Keys: []string{"DAY", "USER ID"}}
	must(t, w, sql, target, warehouse.Interval{}, warehouse.Written{Rows: 1, Replaced: 1})
	target.Into, target.Storage = "new", pipeline.Storage{Indexes: [][]string{{"DAY", "X"}}, DistributedBy: []string{"DAY"}}
	must(t, w, sql, target, warehouse.Interval{}, warehouse.Written{Rows: 1, Created: true})
}

// testIntoColumnMeanwhile lets another transaction add a column to the table after this one has looked at the database.
func testIntoColumnMeanwhile(t *testing.T, d driver.Warehouse) {
	exec(t, d, `CREATE TABLE other (x bigint)`)
	w := portable(t, d)
	target := pipeline.Target{Into: "geo.t", PartitionBy: "tdate", NewColumns: true}
	must(t, w, `SELECT DATE '2007-04-12' AS tdate`, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Created: true})
	tries := 0
	err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
		if _, err := tx.Exec(t.Context(), text(`SELECT x FROM other`)); err != nil {
			return err
		}
		if tries++; tries == 1 {
			must(t, w, `SELECT DATE '2007-04-13' AS tdate, 1 AS n`, target, days("2007-04-13", "2007-04-14"), warehouse.Written{Rows: 1})
		}
		_, err := tx.Into(t.Context(), text(`SELECT DATE '2007-04-14' AS tdate, 2 AS n`), target, days("2007-04-14", "2007-04-15"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, d, `SELECT n FROM geo.t ORDER BY tdate`, []any{nil}, []any{int64(1)}, []any{int64(2)})
}

func testIntoPrimaryKey(t *testing.T, d driver.Warehouse) {
	exec(t, d, `CREATE TABLE keyed (tdate date, id bigint, x bigint, PRIMARY KEY (tdate, id))`)
	w := portable(t, d)
	sql := `SELECT DATE '2007-04-12' AS tdate, x AS id, x * 2 AS x FROM generate_series(1, 5000) AS g(x)`
	target := pipeline.Target{Into: "keyed", PartitionBy: "tdate"}
	must(t, w, sql, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 5000})
	must(t, w, sql, target, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 5000, Replaced: 5000})
	target = pipeline.Target{Into: "keyed", Mode: pipeline.Merge, Keys: []string{"tdate", "id"}}
	must(t, w, sql, target, warehouse.Interval{}, warehouse.Written{Rows: 5000, Replaced: 5000})
}

func testIntoErrors(t *testing.T, d driver.Warehouse) {
	points(t, d)
	w := portable(t, d)
	day := days("2007-04-12", "2007-04-13")
	for _, c := range []struct{ sql, place, part string }{
		{"SELECT tdate,\n  uidd\nFROM geo.points", "sql/test.sql:2:3", "uid"},
		{"-- a comment\nSELECT tdate FROM geo.pointz", "sql/test.sql:2:19", "pointz"},
		{"SELECT tdate FROM geo.points WHERE\n", "sql/test.sql:1", ""},
		{"SELECT 'ü' AS u, tdate FROM geo.points GROUPED BY 1", "sql/test.sql:1:48", ""},
		{"SELECT 1 AS a; SELECT 2 AS a", "sql/test.sql:1:16", "2 statements"},
		{"-- nothing\n", "sql/test.sql:1:1", "no statement"},
		{"SELECT uid FROM geo.points", "sql/test.sql:1", `"tdate"`},
	} {
		_, err := into(t, w, c.sql, byDay, day)
		if err == nil {
			t.Errorf("%s succeeds", c.sql)
			continue
		}
		f := asFinding(t, err)
		if got := f.At.String(); got != c.place && !(c.sql[len(c.sql)-1] == '\n' && strings.HasPrefix(got, c.place)) {
			t.Errorf("%s\nis refused at %s, want %s (%v)", c.sql, got, c.place, f)
		}
		if !strings.Contains(f.Detail+f.Fix, c.part) {
			t.Errorf("%s\n%q is not in %v", c.sql, c.part, f)
		}
	}
	// A value that fails only while the INSERT runs, behind the text that Into puts before the SELECT.
	exec(t, d, `CREATE TABLE geo.texts AS SELECT tdate, uid FROM geo.points`)
	_, err := into(t, w, "SELECT tdate,\n  CAST(uid AS bigint) AS uid\nFROM geo.texts WHERE tdate = DATE '2007-04-12'", byDay, day)
	if f := asFinding(t, err); !strings.HasPrefix(f.At.String(), "sql/test.sql:") || asError(t, err).Class != driver.DataError {
		t.Errorf("a value that fails is reported as %v", f)
	}
}

func testIntoConcurrentDays(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	var g errgroup.Group
	for day := 10; day < 26; day++ {
		g.Go(func() error {
			from, to := fmt.Sprintf("2007-04-%d", day), fmt.Sprintf("2007-04-%d", day+1)
			for range 2 {
				sql := fmt.Sprintf(`SELECT DATE '%s' AS tdate, x FROM generate_series(1, 3000) AS g(x)`, from)
				err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
					_, err := tx.Into(t.Context(), text(sql), byDay, days(from, to))
					return err
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
	want(t, d, `SELECT count(*), count(DISTINCT tdate) FROM geo.daily`, []any{int64(48000), int64(16)})
}

func testIntoConcurrentTables(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			return inTx(t.Context(), w, func(tx *warehouse.Tx) error {
				_, err := tx.Into(t.Context(), text(`SELECT 1 AS x`), pipeline.Target{Into: fmt.Sprint("fresh.t", i)}, warehouse.Interval{})
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		want(t, d, fmt.Sprint(`SELECT x FROM fresh.t`, i), []any{int64(1)})
	}
}

func testIntoRefuses(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	for _, c := range []struct {
		target pipeline.Target
		sql    string
		part   string
	}{
		{pipeline.Target{Into: "a.b.c"}, `SELECT 1 AS x`, "3 parts"},
		{pipeline.Target{Into: "t", PartitionBy: "x"}, `SELECT 1 AS x`, "of type bigint"},
		{pipeline.Target{Into: "t", PartitionBy: "tdat"}, `SELECT DATE '2007-04-12' AS tdate`, `Did you mean "tdate"?`},
		{pipeline.Target{Into: "t", Mode: pipeline.Merge}, `SELECT 1 AS x`, "keys"},
		{pipeline.Target{Into: "t", Mode: pipeline.Merge, Keys: []string{"y"}}, `SELECT 1 AS x`, `"y"`},
		{pipeline.Target{Into: "t", Mode: "upsert"}, `SELECT 1 AS x`, "upsert"},
	} {
		_, err := into(t, w, c.sql, c.target, days("2007-04-12", "2007-04-13"))
		if err == nil {
			t.Errorf("%+v is taken", c.target)
			continue
		}
		if f := asFinding(t, err); !strings.Contains(f.Detail+f.Fix, c.part) {
			t.Errorf("%q is not in %v", c.part, f)
		}
	}
}

func testIntoReadsOwn(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
		if _, err := tx.Script(t.Context(), text(`CREATE TEMPORARY TABLE own AS SELECT DATE '2020-01-01' AS tdate; INSERT INTO own VALUES (NULL)`), nil); err != nil {
			return err
		}
		_, err := tx.Into(t.Context(), text(`SELECT tdate FROM own`), byDay, days("2007-04-12", "2007-04-13"))
		return err
	})
	refused(t, err, "sql/test.sql:1", "Rows outside the data interval")
}

// testIntoSourceChanges runs one template's days while others change its source and its target.
func testIntoSourceChanges(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	change := func(script string) {
		t.Helper()
		err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
			_, err := tx.Script(t.Context(), text(script), nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	day := func(d string) string { return `SELECT * FROM src WHERE tdate = '` + d + `'` }
	change(`CREATE TABLE src (tdate date, x bigint); INSERT INTO src VALUES (DATE '2007-04-12', 1), (DATE '2007-04-13', 2), (DATE '2007-04-14', 3)`)
	must(t, w, day("2007-04-12"), byDay, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Created: true})
	must(t, w, day("2007-04-13"), byDay, days("2007-04-13", "2007-04-14"), warehouse.Written{Rows: 1})
	must(t, w, day("2007-04-14"), byDay, days("2007-04-14", "2007-04-15"), warehouse.Written{Rows: 1})

	change(`ALTER TABLE src ADD COLUMN y text`)
	_, err := into(t, w, day("2007-04-12"), byDay, days("2007-04-12", "2007-04-13"))
	refused(t, err, "sql/test.sql:1", "y (text) is new")
	change(`ALTER TABLE geo.daily ADD COLUMN y text`)
	must(t, w, day("2007-04-12"), byDay, days("2007-04-12", "2007-04-13"), warehouse.Written{Rows: 1, Replaced: 1})

	r, err := w.Query(t.Context(), text(`ALTER TABLE src DROP COLUMN y`))
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	_, err = into(t, w, day("2007-04-13"), byDay, days("2007-04-13", "2007-04-14"))
	refused(t, err, "sql/test.sql:1", "y (text) is missing")

	// A column that takes its name from the date is not yesterday's.
	named := pipeline.Target{Into: "named"}
	must(t, w, `SELECT CAST('2007-04-12' AS date)`, named, warehouse.Interval{}, warehouse.Written{Rows: 1, Created: true})
	_, _ = into(t, w, `SELECT CAST('2007-04-13' AS date)`, named, warehouse.Interval{})
	want(t, d, `SELECT count(*) FROM named`, []any{int64(1)})
}
