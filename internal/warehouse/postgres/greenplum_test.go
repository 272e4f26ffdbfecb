package postgres

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// recorder is a Querier that keeps what it is sent, and answers questions with rows.
type recorder struct {
	sent   []string
	locked bool // somebody uses every table
	schema *arrow.Schema
	rows   [][]any
}

func (r *recorder) Exec(_ context.Context, sql string) (int64, error) {
	r.sent = append(r.sent, sql)
	if r.locked && strings.HasSuffix(sql, "NOWAIT") {
		return 0, &driver.Error{Class: driver.Locked, Code: "55P03", Message: "could not obtain lock"}
	}
	return 0, nil
}

func (r *recorder) Query(_ context.Context, sql string) (array.RecordReader, error) {
	r.sent = append(r.sent, sql)
	return rows.New(r.schema, r.rows)
}

var (
	walks   = driver.Name{Schema: "geolife", Table: "walks"}
	april   = driver.Part{From: "2007-04-12", To: "2007-04-13"}
	hour    = driver.Part{From: "2007-04-12 00:00:00", To: "2007-04-13 00:00:00"}
	month   = driver.Part{From: "2007-04-01", To: "2007-05-01"}
	byDate  = &driver.Layout{Column: "tdate", Type: driver.Date}
	byList  = &driver.Layout{Column: "tdate", Type: driver.Date, List: true}
	byTime  = &driver.Layout{Column: "at", Type: driver.Timestamp}
	columns = `"tdate" date, "uid" text, "at" timestamp`
)

// there is a partition that the table has already.
func there(p driver.Part) driver.Part {
	p.Table = driver.Name{Schema: "geolife", Table: "walks_1_prt_" + partName(p)}
	return p
}

// TestGreenplumStatements compares every statement that makes, cuts and exchanges tables on Greenplum with those that were read
// and found right. Where DAMSON_TEST_GREENPLUM_URL names a Greenplum, TestConformance runs them.
func TestGreenplumStatements(t *testing.T) {
	t.Parallel()
	w := &Warehouse{server: server{kind: greenplum, number: 90426}}
	var b strings.Builder
	for _, c := range []struct {
		title, partitionBy string
		storage            pipeline.Storage
		first              driver.Part
	}{
		{"a table as the database has them", "", pipeline.Storage{}, driver.Part{}},
		{"by columns, spread by the user", "", pipeline.Storage{Format: "column", DistributedBy: []string{"uid", "Odd"}}, driver.Part{}},
		{"by rows, spread at random; indexes are PostgreSQL's", "", pipeline.Storage{Format: "row", DistributedBy: []string{pipeline.Randomly},
			Indexes: [][]string{{"uid"}}}, driver.Part{}},
		{"a heap, cut by days", "tdate", pipeline.Storage{Format: "heap", Native: pipeline.NativeDay}, april},
		{"cut by months, columns and user", "tdate", pipeline.Storage{Format: "column", Native: pipeline.NativeMonth, DistributedBy: []string{"uid"}}, month},
		{"cut by moments", "at", pipeline.Storage{Native: pipeline.NativeDay}, hour},
	} {
		section(&b, c.title, w.CreateTable(walks, columns, c.partitionBy, c.storage, c.first))
	}
	for _, c := range []struct {
		title  string
		layout *driver.Layout
		part   driver.Part
		locked bool
	}{
		{"a day that is there", byDate, there(april), false},
		{"a day that is not there yet", byDate, april, false},
		{"a day of a table with lists of dates", byList, there(april), false},
		{"a month", byDate, there(month), false},
		{"a day of moments", byTime, there(hour), false},
		{"a day while somebody uses the table", byDate, there(april), true},
	} {
		r := &recorder{locked: c.locked}
		staged, err := w.Stage(t.Context(), r, walks, c.layout, c.part, pipeline.Storage{Format: "column"})
		if err != nil {
			t.Fatal(err)
		}
		exchanged, err := w.Exchange(t.Context(), r, walks, c.layout, c.part, staged)
		if err != nil || exchanged == c.locked {
			t.Errorf("%s: exchanged %v, %v", c.title, exchanged, err)
		}
		section(&b, "exchange of "+c.title, r.sent)
	}
	r := &recorder{}
	if err := w.AddPart(t.Context(), r, walks, byList, april); err != nil {
		t.Fatal(err)
	}
	section(&b, "a new list of dates", r.sent)
	golden := filepath.Join("testdata", "greenplum.golden.sql")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o777), os.WriteFile(golden, []byte(b.String()), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s differs; -update rewrites it (-want +got)\n%s", golden, d)
	}
}

func section(b *strings.Builder, title string, statements []string) {
	fmt.Fprintf(b, "-- %s\n", title)
	for _, sql := range statements {
		fmt.Fprintln(b, sql+";")
	}
	fmt.Fprintln(b)
}

// TestLayoutOfGreenplum6 reads what its catalogs say of tables that are cut in all ways.
func TestLayoutOfGreenplum6(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{rows.Field("column", rows.TextType), rows.Field("type", rows.TextType), rows.Field("kind", rows.TextType),
		rows.Field("schema", rows.TextType), rows.Field("table", rows.TextType), rows.Field("again", rows.BooleanType), rows.Field("bounds", rows.TextType)}, nil)
	row := func(kind, typ, table string, again bool, bounds string) []any {
		return []any{"tdate", typ, kind, "geolife", table, again, bounds}
	}
	const from, to = `FOR VALUES FROM ('2007-04-12'::date) TO ('2007-04-13'::date)`, `FOR VALUES FROM ('2007-04-13'::date) TO ('2007-04-14'::date)`
	table := func(name string) driver.Name { return driver.Name{Schema: "geolife", Table: name} }
	for name, c := range map[string]struct {
		rows [][]any
		want *driver.Layout
	}{
		"no partitions": {nil, nil},
		"days": {[][]any{row("r", "date", "a", false, from), row("r", "date", "b", false, to)},
			&driver.Layout{Column: "tdate", Type: driver.Date, Parts: []driver.Part{{Table: table("a"), From: "2007-04-12", To: "2007-04-13"},
				{Table: table("b"), From: "2007-04-13", To: "2007-04-14"}}}},
		"lists of one date": {[][]any{row("l", "date", "a", false, `FOR VALUES IN ('2007-04-12'::date)`)},
			&driver.Layout{Column: "tdate", Type: driver.Date, List: true, Parts: []driver.Part{{Table: table("a"), From: "2007-04-12", To: "2007-04-13"}}}},
		"moments": {[][]any{row("r", "timestamp without time zone", "a", false,
			`FOR VALUES FROM ('2007-04-12 00:00:00'::timestamp without time zone) TO ('2007-04-13 00:00:00'::timestamp without time zone)`)},
			&driver.Layout{Column: "tdate", Type: driver.Timestamp, Parts: []driver.Part{{Table: table("a"), From: "2007-04-12 00:00:00", To: "2007-04-13 00:00:00"}}}},
		"with a default partition": {[][]any{row("r", "date", "a", false, from), row("r", "date", "rest", false, "DEFAULT")},
			&driver.Layout{Column: "tdate", Type: driver.Date, Default: "rest", Parts: []driver.Part{{Table: table("a"), From: "2007-04-12", To: "2007-04-13"}}}},
		"two levels":              {[][]any{row("r", "date", "a", true, from)}, nil},
		"lists of several dates":  {[][]any{row("l", "date", "a", false, `FOR VALUES IN ('2007-04-12'::date, '2007-04-13'::date)`)}, nil},
		"bounds that are shifted": {[][]any{row("r", "date", "a", false, "")}, nil},
		"by a number":             {[][]any{row("r", "integer", "a", false, `FOR VALUES FROM ('1') TO ('2')`)}, nil},
	} {
		r := &recorder{schema: schema, rows: c.rows}
		w := &Warehouse{server: server{kind: greenplum, number: 90426}}
		got, err := w.Layout(t.Context(), r, walks)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
		if !strings.Contains(r.sent[0], "pg_partitions") || !strings.Contains(r.sent[0], `'"geolife"."walks"'::regclass`) {
			t.Errorf("%s was asked", r.sent[0])
		}
	}
}
