package load

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/load/literal"
	"damson/internal/warehouse/driver"
)

// parquetColumns gives the columns of a Parquet file in portable types.
func (j *job) parquetColumns(ctx context.Context, f *file) ([]driver.Column, error) {
	r, err := j.openParquet(ctx, f)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var columns []driver.Column
	for _, field := range r.Schema().Fields() {
		columns = append(columns, driver.Column{Name: columnName(field.Name), Type: portable(field.Type)})
	}
	return columns, nil
}

func (j *job) openParquet(ctx context.Context, f *file) (array.RecordReader, error) {
	in, err := open(f)
	if err != nil {
		return nil, err
	}
	_ = in.Close() // opened to see that it can be
	r, err := j.opts.Parquet(ctx, f.path)
	if err != nil {
		return nil, diag.Finding{
			Summary: "Unreadable Parquet file",
			Detail:  fmt.Sprintf("%s: %s.", f.path, err),
			Fix:     "Write the file again, or leave it out of the glob. Nothing was loaded.",
			Cause:   err,
		}
	}
	return r, nil
}

// portable gives the portable type that holds an Arrow type's values.
func portable(t arrow.DataType) driver.Type {
	switch id := t.ID(); {
	case arrow.IsInteger(id):
		return driver.Bigint
	case arrow.IsFloating(id), arrow.IsDecimal(id):
		return driver.Double
	case id == arrow.BOOL:
		return driver.Boolean
	case id == arrow.DATE32:
		return driver.Date
	case id == arrow.TIME32, id == arrow.TIME64:
		return driver.Time
	case id == arrow.TIMESTAMP:
		return driver.Timestamp
	}
	return driver.Text
}

// parquet puts the rows of a Parquet file into batches. The line of a row is its number.
func (w *worker) parquet(ctx context.Context, f *file) error {
	r, err := w.job.openParquet(ctx, f)
	if err != nil {
		return err
	}
	defer r.Release()
	names := make([]string, r.Schema().NumFields())
	for i, field := range r.Schema().Fields() {
		names[i] = field.Name
	}
	columns, err := headerMap(place(f, 0), names, w.job.layout.dataNames())
	if err != nil {
		return err
	}
	line := int64(0)
	for r.Next() {
		if err := w.take(ctx, f, r.RecordBatch(), columns, &line); err != nil {
			return err
		}
	}
	return r.Err()
}

// take copies one batch of a Parquet file.
func (w *worker) take(ctx context.Context, f *file, rows arrow.RecordBatch, columns []int, line *int64) error {
	puts := make([]func(v *vector, n, i int) literal.Verdict, len(columns))
	for i, c := range columns {
		want := w.job.layout.columns[c]
		if puts[i] = putter(rows.Column(i), want.Type); puts[i] == nil {
			return diag.Finding{
				At:      place(f, 0),
				Summary: "A column of another type",
				Detail:  fmt.Sprintf("Column %q is %s in the file; the load takes it as %s.", want.Name, rows.Column(i).DataType(), want.Type),
				Fix:     fmt.Sprintf("Declare it as %s.", portable(rows.Column(i).DataType())),
			}
		}
	}
	for i := range int(rows.NumRows()) {
		*line++
		if err := w.copyRow(rows, i, columns, puts, *line); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// copyRow copies one row, or rejects it.
func (w *worker) copyRow(rows arrow.RecordBatch, i int, columns []int, puts []func(v *vector, n, i int) literal.Verdict, line int64) error {
	b := w.out.batch
	for k, c := range columns {
		v, from := b.columns[c], rows.Column(k)
		if from.IsNull(i) {
			v.setNull(b.rows)
			continue
		}
		if what := puts[k](v, b.rows, i); what != literal.Good {
			text := []byte(from.ValueStr(i))
			return w.out.reject(line, text, badValue(w.job.layout.columns[c].Name, v.kind, text, what))
		}
	}
	return w.out.row(line)
}

// putter gives the function that copies value i of an Arrow array to row n of a vector of that kind, nil when there is
// none without loss of meaning.
func putter(from arrow.Array, kind driver.Type) func(v *vector, n, i int) literal.Verdict {
	switch kind {
	case driver.Bigint:
		if get := integers(from); get != nil {
			return func(v *vector, n, i int) (what literal.Verdict) { v.words[n], what = get(i); return }
		}
	case driver.Double:
		if get := doubles(from); get != nil {
			return func(v *vector, n, i int) literal.Verdict { v.floats[n] = get(i); return literal.Good }
		}
	case driver.Text:
		if a, ok := from.(interface{ Value(int) string }); ok {
			return func(v *vector, n, i int) literal.Verdict { return v.parse(n, []byte(a.Value(i))) }
		}
	case driver.Boolean:
		if a, ok := from.(*array.Boolean); ok {
			return func(v *vector, n, i int) literal.Verdict { v.setBit(n, a.Value(i)); return literal.Good }
		}
	case driver.Date:
		if a, ok := from.(*array.Date32); ok {
			return func(v *vector, n, i int) literal.Verdict { v.days[n] = int32(a.Value(i)); return literal.Good }
		}
	case driver.Time, driver.Timestamp:
		if get := instants(from, kind); get != nil {
			return func(v *vector, n, i int) literal.Verdict { v.words[n] = get(i); return literal.Good }
		}
	}
	return nil
}

// integers reads arrays of whole numbers.
func integers(from arrow.Array) func(i int) (int64, literal.Verdict) {
	switch a := from.(type) {
	case *array.Int8:
		return func(i int) (int64, literal.Verdict) { return int64(a.Value(i)), literal.Good }
	case *array.Int16:
		return func(i int) (int64, literal.Verdict) { return int64(a.Value(i)), literal.Good }
	case *array.Int32:
		return func(i int) (int64, literal.Verdict) { return int64(a.Value(i)), literal.Good }
	case *array.Int64:
		return func(i int) (int64, literal.Verdict) { return a.Value(i), literal.Good }
	case *array.Uint8:
		return func(i int) (int64, literal.Verdict) { return int64(a.Value(i)), literal.Good }
	case *array.Uint16:
		return func(i int) (int64, literal.Verdict) { return int64(a.Value(i)), literal.Good }
	case *array.Uint32:
		return func(i int) (int64, literal.Verdict) { return int64(a.Value(i)), literal.Good }
	case *array.Uint64:
		return func(i int) (int64, literal.Verdict) {
			if a.Value(i) > math.MaxInt64 {
				return 0, literal.OutOfRange
			}
			return int64(a.Value(i)), literal.Good
		}
	}
	return nil
}

// doubles reads arrays of numbers.
func doubles(from arrow.Array) func(i int) float64 {
	switch a := from.(type) {
	case *array.Float64:
		return a.Value
	case *array.Float32:
		return func(i int) float64 { return float64(a.Value(i)) }
	case *array.Float16:
		return func(i int) float64 { return float64(a.Value(i).Float32()) }
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return func(i int) float64 { return a.Value(i).ToFloat64(scale) }
	}
	if a, ok := from.(*array.Uint64); ok {
		return func(i int) float64 { return float64(a.Value(i)) }
	}
	if get := integers(from); get != nil {
		return func(i int) float64 { n, _ := get(i); return float64(n) }
	}
	return nil
}

// instants reads arrays of times, in microseconds.
func instants(from arrow.Array, kind driver.Type) func(i int) int64 {
	scale := func(u arrow.TimeUnit, n int64) int64 {
		switch u {
		case arrow.Second:
			return n * literal.Second
		case arrow.Millisecond:
			return n * 1000
		case arrow.Nanosecond:
			return n / 1000
		}
		return n
	}
	switch a := from.(type) {
	case *array.Timestamp:
		if unit := a.DataType().(*arrow.TimestampType).Unit; kind == driver.Timestamp {
			return func(i int) int64 { return scale(unit, int64(a.Value(i))) }
		}
	case *array.Date32:
		if kind == driver.Timestamp {
			return func(i int) int64 { return int64(a.Value(i)) * literal.Day }
		}
	case *array.Time64:
		if unit := a.DataType().(*arrow.Time64Type).Unit; kind == driver.Time {
			return func(i int) int64 { return scale(unit, int64(a.Value(i))) }
		}
	case *array.Time32:
		if unit := a.DataType().(*arrow.Time32Type).Unit; kind == driver.Time {
			return func(i int) int64 { return scale(unit, int64(a.Value(i))) }
		}
	}
	return nil
}
