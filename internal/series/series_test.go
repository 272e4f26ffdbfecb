package series_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/pipeline"
	"damson/internal/series"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// windows is a task over rows of a user's windows.
var windows = pipeline.Features{
	Source: "points", ID: []string{"uid", "w"}, Sort: []string{"at"}, Values: []string{"speed", "turns"}, Keep: []string{"mode"},
	Calculators: []feature.Choice{{Name: "length"}, {Name: "mean"}, {Name: "mean_change", As: "drift"}},
	Target:      pipeline.Target{Into: "geo.f", PartitionBy: "uid"},
}

var source = []driver.Column{
	{Name: "uid", Type: driver.Text}, {Name: "W", Type: driver.Double}, {Name: "at", Type: driver.Bigint}, {Name: "mode", Type: driver.Text},
	{Name: "speed", Type: driver.Double}, {Name: "turns", Type: driver.Bigint}, {Name: "ok", Type: driver.Boolean, Native: "BOOLEAN"},
}

func plan(t *testing.T) *series.Plan {
	t.Helper()
	p, err := series.NewPlan(windows, source, diag.Pos{File: "sql/points.sql", Line: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stream gives the rows in batches of the size.
func stream(t *testing.T, size int, values ...[]any) array.RecordReader {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{rows.Field("uid", rows.TextType), rows.Field("W", rows.DoubleType), rows.Field("mode", rows.TextType),
		rows.Field("at", rows.BigintType), rows.Field("speed", rows.DoubleType), rows.Field("turns", rows.BigintType)}, nil)
	var batches []arrow.RecordBatch
	for from := 0; from < len(values); from += size {
		r, err := rows.New(schema, values[from:min(from+size, len(values))])
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		r.Next()
		batches = append(batches, r.RecordBatch())
	}
	r, err := array.NewRecordReader(schema, batches)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func extracted(t *testing.T, source array.RecordReader, threads int) string {
	t.Helper()
	r, err := plan(t).Extract(t.Context(), source, threads)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rows.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, row := range all {
		lines = append(lines, strings.Trim(fmt.Sprint(row), "[]"))
	}
	return strings.Join(lines, "\n")
}

// TestSeriesAreCutByID: wherever the source's batches end, a row for each series comes out, in order; NULL is an id like
// others, and no value of a series.
func TestSeriesAreCutByID(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	points := [][]any{
		{"a", 1.0, "walk", 1, 2.0, 0}, {"a", 1.0, "bus", 2, 4.0, 3}, {"a", 1.0, "bus", 3, nil, 6},
		{"a", 2.0, nil, 1, 7.0, nil},
		{"a", nil, "walk", 1, nan, 1}, {"a", nil, "walk", 2, 1.0, 1},
		{"b", nan, "walk", 1, 1.0, 2}, {"b", nan, "walk", 2, 3.0, 2},
		{nil, 2.0, "walk", 1, nil, nil},
	}
	const want = `a 1 walk 2 3 2 3 3 3
a 2 <nil> 1 7 <nil> 0 <nil> <nil>
a <nil> walk 1 1 <nil> 2 1 0
b NaN walk 2 2 2 2 2 0
<nil> 2 walk 0 <nil> <nil> 0 <nil> <nil>`
	for size := 1; size <= len(points); size++ {
		for _, threads := range []int{1, 4} {
			if got := extracted(t, stream(t, size, points...), threads); got != want {
				t.Errorf("batches of %d rows, %d threads:\n%s\nwant\n%s", size, threads, got, want)
			}
		}
	}
	if got := extracted(t, stream(t, 1), 1); got != "" {
		t.Errorf("no rows give %s", got)
	}
}

// TestManySeriesComeOutInOrder: more than a batch of them, on several threads.
func TestManySeriesComeOutInOrder(t *testing.T) {
	t.Parallel()
	var points [][]any
	var want []string
	for i := range 5000 {
		for k := range i%3 + 1 {
			points = append(points, []any{fmt.Sprint(i), 0.0, "m", k, float64(i + k), 1})
		}
		want = append(want, fmt.Sprintf("%d %d", i, i%3+1))
	}
	r, err := plan(t).Extract(t.Context(), stream(t, 2048, points...), 4)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rows.ReadAll(r)
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	for i, row := range all {
		if got := fmt.Sprint(row[0], " ", row[3]); got != want[i] {
			t.Fatalf("row %d is %s, want %s", i, got, want[i])
		}
	}
}

// TestARowWithoutAPlace ends the stream and names the series.
func TestARowWithoutAPlace(t *testing.T) {
	t.Parallel()
	r, err := plan(t).Extract(t.Context(), stream(t, 2, []any{"a", 1.0, "m", 1, 2.0, 0}, []any{"b", 1.0, "m", nil, 2.0, 0}), 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rows.ReadAll(r)
	var f diag.Finding
	if !errors.As(err, &f) || f.At.File != "sql/points.sql" || !strings.Contains(f.Detail, "at, by which the rows are ordered, is NULL in a row of the series uid = b, w = 1") {
		t.Errorf("got %v", err)
	}
}

// TestAnEndedContextEndsTheStream.
func TestAnEndedContextEndsTheStream(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := plan(t).Extract(ctx, stream(t, 1, []any{"a", 1.0, "m", 1, 2.0, 0}), 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestSelectSortsAll: equal places are told apart by what else is read, and a semicolon at the source's end does no harm.
func TestSelectSortsAll(t *testing.T) {
	t.Parallel()
	got := plan(t).Select(sqltext.Plain("sql/points.sql", "select * from p;\n")).SQL()
	const want = `select "uid", "W", "mode", "at", "speed", "turns"
from (
select * from p
) as source
order by "uid", "W", "at", "mode", "speed", "turns"`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var names []string
	for _, c := range plan(t).Columns() {
		names = append(names, c.Name+" "+string(c.Type))
	}
	if got, want := strings.Join(names, ", "), "uid text, W double, mode text, speed__length double, speed__mean double, speed__drift double, turns__length double, turns__mean double, turns__drift double"; got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
}

// TestPlanCollectsWhatIsWrong in one go.
func TestPlanCollectsWhatIsWrong(t *testing.T) {
	t.Parallel()
	f := windows
	f.Values, f.Sort, f.Keep = []string{"spead", "ok", "mode"}, []string{"when"}, []string{"mod"}
	_, err := series.NewPlan(f, source, diag.Pos{File: "sql/points.sql", Line: 1})
	for _, want := range []string{`Did you mean "speed"?`, `names the column "ok", which is BOOLEAN`, "cast(ok as integer)", `sort names the column "when"`, `Did you mean "mode"?`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}
