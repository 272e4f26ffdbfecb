package rows_test

import (
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"damson/internal/diag"
	"damson/internal/warehouse/rows"
)

var schema = arrow.NewSchema([]arrow.Field{
	rows.Field("s", rows.TextType), rows.Field("i", rows.BigintType), rows.Field("f", rows.DoubleType), rows.Field("b", rows.BooleanType),
	rows.Field("d", rows.DateType), rows.Field("c", rows.TimeType), rows.Field("ts", rows.TimestampType),
}, nil)

var (
	day    = time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)
	moment = time.Date(1899, 12, 30, 23, 59, 59, 999999000, time.UTC)
	full   = []any{"ünï", int64(math.MinInt64), 0.1, true, day, 90*time.Minute + 500*time.Microsecond, moment}
	nulls  = []any{nil, nil, nil, nil, nil, nil, nil}
)

func TestValuesComeBack(t *testing.T) {
	t.Parallel()
	r, err := rows.New(schema, [][]any{full, nulls})
	if err != nil {
		t.Fatal(err)
	}
	got, err := rows.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]any{full, nulls}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	r, err := rows.New(schema, [][]any{full, nulls})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	r.Next()
	want := []string{"ünï", "-9223372036854775808", "0.1", "true", "1969-12-31", "01:30:00.0005", "1899-12-30 23:59:59.999999"}
	for c := range want {
		if got := rows.Format(r.RecordBatch().Column(c), 0); got != want[c] {
			t.Errorf("column %d is %q, want %q", c, got, want[c])
		}
		if got := rows.Format(r.RecordBatch().Column(c), 1); got != "" {
			t.Errorf("NULL in column %d is %q", c, got)
		}
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range [][]any{{"s"}, {1, 1, 1.0, true, day, time.Hour, moment}, {"s", 1, 1.0, true, "2007-04-12", time.Hour, moment}} {
		if _, err := rows.New(schema, [][]any{row}); err == nil {
			t.Errorf("%v is taken", row)
		}
	}
	r, err := rows.New(schema, [][]any{full, nulls})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.ReadOne(r); err == nil {
		t.Error("two rows are taken for one")
	}
	if i, err := rows.Column(schema, "ts"); i != 6 || err != nil {
		t.Errorf("column ts is %d, %v", i, err)
	}
	_, err = rows.Column(schema, "tss")
	if f := diag.AsFinding("", err); f.Fix != `Did you mean "ts"?` {
		t.Errorf("an unknown column gives %v", err)
	}
}
