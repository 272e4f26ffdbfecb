package postgres_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

// native is a warehouse whose table geo.daily has partitions of the database's own.
type native struct {
	*testing.T
	url    string
	driver *postgres.Warehouse
	*warehouse.Warehouse
}

func newNative(t *testing.T) *native {
	n := &native{T: t, url: pgtest.Database(t)}
	n.driver = open(t, n.url, postgres.Options{})
	w, err := warehouse.New(t.Context(), n.driver)
	if err != nil {
		t.Fatal(err)
	}
	n.Warehouse = w
	n.exec(`CREATE SCHEMA geo`)
	return n
}

func (n *native) exec(sql string) {
	n.Helper()
	if _, err := n.driver.Exec(n.Context(), sql); err != nil {
		n.Fatalf("%s: %v", sql, err)
	}
}

func (n *native) ask(sql string) string {
	n.Helper()
	r, err := n.driver.Query(n.Context(), sql)
	if err != nil {
		n.Fatalf("%s: %v", sql, err)
	}
	all, err := rows.ReadAll(r)
	if err != nil {
		n.Fatal(err)
	}
	var lines []string
	for _, row := range all {
		lines = append(lines, strings.Trim(fmt.Sprint(row), "[]"))
	}
	return strings.Join(lines, "\n")
}

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

var daily = pipeline.Target{Into: "geo.daily", PartitionBy: "tdate", Storage: pipeline.Storage{Native: pipeline.NativeDay}}

// into writes rows of the dates from to before to, each with the number x.
func (n *native) into(target pipeline.Target, from, to string, x int) (warehouse.Written, error) {
	sql := fmt.Sprintf("SELECT CAST(d AS date) AS tdate, CAST(%d AS bigint) AS x FROM generate_series(timestamp '%s', timestamp '%s' - interval '1 day', interval '1 day') AS g(d)", x, from, to)
	var written warehouse.Written
	err := n.Do(n.Context(), nil, func(tx *warehouse.Tx) (any, error) {
		var err error
		written, err = tx.Into(n.Context(), sqltext.Plain("sql/x.sql", sql), target, warehouse.Interval{Start: date(from), End: date(to)})
		return nil, err
	})
	return written, err
}

func (n *native) must(target pipeline.Target, from, to string, x int, want warehouse.Written) {
	n.Helper()
	got, err := n.into(target, from, to, x)
	if err != nil {
		n.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		n.Errorf("(-want +got)\n%s", d)
	}
}

const parts = `SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'geo.daily'::regclass ORDER BY 1`

func (n *native) expect(sql, want string) {
	n.Helper()
	if d := cmp.Diff(want, n.ask(sql)); d != "" {
		n.Errorf("%s\n(-want +got)\n%s", sql, d)
	}
}

func TestNativePartitionIsExchanged(t *testing.T) {
	t.Parallel()
	n := newNative(t)
	target := daily
	target.Storage.Indexes = [][]string{{"x"}, {"tdate", "x"}}
	n.must(target, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1, Created: true})
	n.must(target, "2007-04-13", "2007-04-14", 1, warehouse.Written{Rows: 1})
	before := n.ask(`SELECT 'geo.daily_p20070413'::regclass::oid`)
	n.must(target, "2007-04-13", "2007-04-14", 2, warehouse.Written{Rows: 1, Replaced: 1})
	if n.ask(`SELECT 'geo.daily_p20070413'::regclass::oid`) == before {
		t.Error("the partition is the same table: it was not exchanged")
	}
	n.expect(`SELECT x FROM geo.daily ORDER BY tdate`, "1\n2")
	n.expect(parts, "daily_p20070412 FOR VALUES FROM ('2007-04-12') TO ('2007-04-13')\ndaily_p20070413 FOR VALUES FROM ('2007-04-13') TO ('2007-04-14')")
	n.expect(`SELECT count(*) FROM pg_index WHERE indrelid = 'geo.daily_p20070413'::regclass`, "2")
	n.expect(`SELECT count(*) FROM pg_constraint WHERE conrelid = 'geo.daily_p20070413'::regclass`, "0")
	n.expect(`SELECT count(*) FROM pg_class WHERE relname LIKE 'damson_stage%' AND relkind = 'r'`, "0")
}

// TestNativePartitionInUse has a reader keep the table while its day is replaced: nobody waits.
func TestNativePartitionInUse(t *testing.T) {
	t.Parallel()
	n := newNative(t)
	n.must(daily, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1, Created: true})
	reader, err := n.driver.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), `SELECT * FROM geo.daily`); err != nil {
		t.Fatal(err)
	}
	before := n.ask(`SELECT 'geo.daily_p20070412'::regclass::oid`)
	n.must(daily, "2007-04-12", "2007-04-13", 2, warehouse.Written{Rows: 1, Replaced: 1})
	n.must(daily, "2007-04-13", "2007-04-14", 3, warehouse.Written{Rows: 1}) // a new partition needs no such lock
	if n.ask(`SELECT 'geo.daily_p20070412'::regclass::oid`) != before {
		t.Error("the partition was exchanged below a reader")
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.expect(`SELECT x FROM geo.daily ORDER BY tdate`, "2\n3")
	n.expect(`SELECT count(*) FROM pg_class WHERE relname LIKE 'damson_stage%' AND relkind = 'r'`, "0")
}

func TestNativePartitionsOfABatch(t *testing.T) {
	t.Parallel()
	n := newNative(t)
	n.must(daily, "2007-04-12", "2007-04-15", 1, warehouse.Written{Rows: 3, Created: true})
	n.must(daily, "2007-04-14", "2007-04-16", 2, warehouse.Written{Rows: 2, Replaced: 1})
	n.expect(`SELECT x FROM geo.daily ORDER BY tdate`, "1\n1\n2\n2")
	n.expect(`SELECT count(*) FROM pg_inherits WHERE inhparent = 'geo.daily'::regclass`, "4")
}

func TestNativePartitionsByMonth(t *testing.T) {
	t.Parallel()
	n := newNative(t)
	target := daily
	target.Storage.Native = pipeline.NativeMonth
	n.must(target, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1, Created: true})
	n.must(target, "2007-04-13", "2007-04-14", 1, warehouse.Written{Rows: 1})
	n.must(target, "2007-04-12", "2007-04-13", 2, warehouse.Written{Rows: 1, Replaced: 1})
	n.must(target, "2007-05-01", "2007-06-01", 3, warehouse.Written{Rows: 31})
	n.expect(`SELECT x, count(*) FROM geo.daily GROUP BY 1 ORDER BY 1`, "1 1\n2 1\n3 31")
	n.expect(parts, "daily_p20070401 FOR VALUES FROM ('2007-04-01') TO ('2007-05-01')\ndaily_p20070501 FOR VALUES FROM ('2007-05-01') TO ('2007-06-01')")
}

// TestNativePartitionMeanwhile lets another transaction make the month's partition after this one has looked at the database; and
// has a table that is no partition and has the name of one.
func TestNativePartitionMeanwhile(t *testing.T) {
	t.Parallel()
	n := newNative(t)
	target := daily
	target.Storage.Native = pipeline.NativeMonth
	n.must(target, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1, Created: true})
	tries := 0
	err := n.Do(t.Context(), nil, func(tx *warehouse.Tx) (any, error) {
		if _, err := tx.Exec(t.Context(), sqltext.Plain("", "SELECT x FROM geo.daily")); err != nil {
			return nil, err
		}
		if tries++; tries == 1 {
			n.must(target, "2007-05-13", "2007-05-14", 1, warehouse.Written{Rows: 1})
		}
		_, err := tx.Into(t.Context(), sqltext.Plain("", "SELECT date '2007-05-14' AS tdate, CAST(2 AS bigint) AS x"), target,
			warehouse.Interval{Start: date("2007-05-14"), End: date("2007-05-15")})
		return nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	n.expect(`SELECT x FROM geo.daily ORDER BY tdate`, "1\n1\n2")
	n.exec(`CREATE TABLE geo.daily_p20070601 (x bigint)`)
	_, err = n.into(target, "2007-06-01", "2007-06-02", 1)
	if e := asError(t, err); e.Class != driver.Exists {
		t.Errorf("a name that is taken is told as %q: %v", e.Class, err)
	}
}

// TestStatisticsWaitForNobody has a VACUUM, or what locks as it does, on the table of a task that has committed.
func TestStatisticsWaitForNobody(t *testing.T) {
	t.Parallel()
	n := newNative(t)
	target := pipeline.Target{Into: "geo.daily", Mode: pipeline.Append}
	n.must(target, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1, Created: true})
	other := begin(t, n.driver)
	exec(t, other, `LOCK TABLE geo.daily IN SHARE UPDATE EXCLUSIVE MODE`)
	n.must(target, "2007-04-12", "2007-04-22", 1, warehouse.Written{Rows: 10})
	n.expect(`SELECT reltuples FROM pg_class WHERE oid = 'geo.daily'::regclass`, "1")
}

// TestNativePartitionsThatWereThere has tables that somebody else has cut.
func TestNativePartitionsThatWereThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		made  []string
		parts string // in the end
	}{
		"lists of a day": {[]string{`CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY LIST (tdate)`,
			`CREATE TABLE geo.daily_1 PARTITION OF geo.daily FOR VALUES IN ('2007-04-12')`},
			"daily_1 FOR VALUES IN ('2007-04-12')\ndaily_p20070413 FOR VALUES IN ('2007-04-13')"},
		"a default partition": {[]string{`CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY RANGE (tdate)`,
			`CREATE TABLE geo.rest PARTITION OF geo.daily DEFAULT`}, "rest DEFAULT"},
		"a year": {[]string{`CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY RANGE (tdate)`,
			`CREATE TABLE geo.y2007 PARTITION OF geo.daily FOR VALUES FROM ('2007-01-01') TO ('2008-01-01')`},
			"y2007 FOR VALUES FROM ('2007-01-01') TO ('2008-01-01')"},
		"several days to a list": {[]string{`CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY LIST (tdate)`,
			`CREATE TABLE geo.some PARTITION OF geo.daily FOR VALUES IN ('2007-04-12', '2007-04-13')`},
			"some FOR VALUES IN ('2007-04-12', '2007-04-13')"},
		"no partition yet": {[]string{`CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY RANGE (tdate)`},
			"daily_p20070412 FOR VALUES FROM ('2007-04-12') TO ('2007-04-13')\ndaily_p20070413 FOR VALUES FROM ('2007-04-13') TO ('2007-04-14')"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNative(t)
			for _, sql := range c.made {
				n.exec(sql)
			}
			target := daily
			target.Storage = pipeline.Storage{}
			n.must(target, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1})
			n.must(target, "2007-04-13", "2007-04-14", 2, warehouse.Written{Rows: 1})
			n.must(target, "2007-04-12", "2007-04-13", 3, warehouse.Written{Rows: 1, Replaced: 1})
			n.expect(`SELECT x FROM geo.daily ORDER BY tdate`, "3\n2")
			n.expect(parts, c.parts)
		})
	}
}

// TestIntervalsAreIndexed makes tables with and without indexes that serve to find an interval's rows.
func TestIntervalsAreIndexed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		storage pipeline.Storage
		want    string
	}{
		{pipeline.Storage{}, "(tdate)"},
		{pipeline.Storage{Indexes: [][]string{{"x"}}}, "(tdate)\n(x)"},
		{pipeline.Storage{Indexes: [][]string{{"x", "tdate"}, {"tdate", "x"}}}, "(tdate, x)\n(x, tdate)"},
		{pipeline.Storage{Native: pipeline.NativeDay}, ""},
	} {
		n := newNative(t)
		target := pipeline.Target{Into: "geo.daily", PartitionBy: "tdate", Storage: c.storage}
		n.must(target, "2007-04-12", "2007-04-13", 1, warehouse.Written{Rows: 1, Created: true})
		n.expect(`SELECT substring(indexdef from '[(].*') FROM pg_indexes WHERE schemaname = 'geo' AND tablename = 'daily' ORDER BY 1`, c.want)
	}
}

// TestStatisticsAreGathered writes a first part, little by little until the table has twice the rows, and half of it at once.
func TestStatisticsAreGathered(t *testing.T) {
	t.Parallel()
	for name, storage := range map[string]pipeline.Storage{"plain": {}, "native": {Native: pipeline.NativeMonth}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNative(t)
			target := pipeline.Target{Into: "geo.daily", PartitionBy: "tdate", Storage: storage}
			first := date("2004-01-01")
			at := func(days int) string { return first.AddDate(0, 0, days).Format(time.DateOnly) }
			known := func() string {
				return n.ask(`SELECT reltuples::bigint FROM pg_class WHERE oid = 'geo.daily'::regclass`)
			}
			n.must(target, at(0), at(400), 1, warehouse.Written{Rows: 400, Created: true})
			if got := known(); got != "400" {
				t.Errorf("after the first rows, statistics are of %s", got)
			}
			for days := 400; days < 1200; days += 100 {
				n.must(target, at(days), at(days+100), 1, warehouse.Written{Rows: 100})
				if got := known(); days == 500 && got != "400" {
					t.Errorf("at 600 rows, statistics are of %s", got)
				}
			}
			if got, err := strconv.Atoi(known()); got < 740 || err != nil {
				t.Errorf("at 1200 rows, statistics are of %d", got)
			}
			n.must(target, at(0), at(1000), 2, warehouse.Written{Rows: 1000, Replaced: 1000})
			if got := n.ask(`SELECT n_distinct FROM pg_stats WHERE schemaname = 'geo' AND tablename = 'daily' AND attname = 'x' AND inherited = ` +
				fmt.Sprint(name == "native")); got != "2" {
				t.Errorf("after most rows have changed, statistics know %s values of x", got)
			}
		})
	}
}

var _ driver.Physical = (*postgres.Warehouse)(nil)
