// Package rows reads and makes the rows that travel between Go and a warehouse as Arrow record batches. It knows the seven
// portable column types only: text (utf8), bigint (int64), double (float64), boolean, date (date32), time (time64, µs) and
// timestamp (µs, without zone).
//
// Reading a value as a type its column does not have is a programming mistake and panics: check the Schema first, for
// example with Column.
package rows

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
)

// Types of the portable columns in Arrow.
var (
	TextType      arrow.DataType = arrow.BinaryTypes.String
	BigintType    arrow.DataType = arrow.PrimitiveTypes.Int64
	DoubleType    arrow.DataType = arrow.PrimitiveTypes.Float64
	BooleanType   arrow.DataType = arrow.FixedWidthTypes.Boolean
	DateType      arrow.DataType = arrow.FixedWidthTypes.Date32
	TimeType      arrow.DataType = arrow.FixedWidthTypes.Time64us
	TimestampType arrow.DataType = &arrow.TimestampType{Unit: arrow.Microsecond}
)

// Column gives the index of the column of that name.
func Column(schema *arrow.Schema, name string) (int, error) {
	names := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		if f.Name == name {
			return i, nil
		}
		names[i] = f.Name
	}
	return 0, diag.Finding{
		Severity: diag.Error,
		Summary:  "Unknown column",
		Detail:   fmt.Sprintf("There is no column %q; there are %s.", name, strings.Join(names, ", ")),
		Fix:      diag.DidYouMean(name, names),
	}
}

// Text gives row i of a text column; false means NULL. The string is a copy, because a batch's own strings stand on memory
// that the database takes back with the batch.
func Text(column arrow.Array, i int) (string, bool) {
	if column.IsNull(i) {
		return "", false
	}
	return strings.Clone(column.(*array.String).Value(i)), true
}

// Int gives row i of a bigint column; false means NULL.
func Int(column arrow.Array, i int) (int64, bool) {
	if column.IsNull(i) {
		return 0, false
	}
	return column.(*array.Int64).Value(i), true
}

// Float gives row i of a double or bigint column; false means NULL.
func Float(column arrow.Array, i int) (float64, bool) {
	if column.IsNull(i) {
		return 0, false
	}
	if ints, ok := column.(*array.Int64); ok {
		return float64(ints.Value(i)), true
	}
	return column.(*array.Float64).Value(i), true
}

// Bool gives row i of a boolean column; the second result is false for NULL.
func Bool(column arrow.Array, i int) (value, ok bool) {
	if column.IsNull(i) {
		return false, false
	}
	return column.(*array.Boolean).Value(i), true
}

// Time gives row i of a date or timestamp column in UTC; false means NULL.
func Time(column arrow.Array, i int) (time.Time, bool) {
	if column.IsNull(i) {
		return time.Time{}, false
	}
	if dates, ok := column.(*array.Date32); ok {
		return time.Unix(int64(dates.Value(i))*86400, 0).UTC(), true
	}
	return time.UnixMicro(int64(column.(*array.Timestamp).Value(i))).UTC(), true
}

// Clock gives row i of a time column as the time since midnight; false means NULL.
func Clock(column arrow.Array, i int) (time.Duration, bool) {
	if column.IsNull(i) {
		return 0, false
	}
	return time.Duration(column.(*array.Time64).Value(i)) * time.Microsecond, true
}

// Value gives row i of a column as nil, string, int64, float64, bool, time.Time or (time) time.Duration.
func Value(column arrow.Array, i int) any {
	if column.IsNull(i) {
		return nil
	}
	switch c := column.(type) {
	case *array.String:
		return strings.Clone(c.Value(i))
	case *array.Int64:
		return c.Value(i)
	case *array.Float64:
		return c.Value(i)
	case *array.Boolean:
		return c.Value(i)
	case *array.Date32, *array.Timestamp:
		t, _ := Time(c, i)
		return t
	case *array.Time64:
		d, _ := Clock(c, i)
		return d
	}
	panic(fmt.Sprintf("rows: a column of type %s is not portable", column.DataType()))
}

// Format gives row i of a column as people read it: ISO dates and times, the shortest digits that give the same double, the
// empty text for NULL.
func Format(column arrow.Array, i int) string {
	switch v := Value(column, i).(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case time.Duration:
		return time.Time{}.Add(v).Format("15:04:05.999999")
	case time.Time:
		if column.DataType().ID() == arrow.DATE32 {
			return v.Format(time.DateOnly)
		}
		return v.Format("2006-01-02 15:04:05.999999")
	default:
		panic(fmt.Sprintf("rows: no text for %T", v))
	}
}

// ReadAll gives all rows of a small result as Values and releases the reader.
func ReadAll(r array.RecordReader) ([][]any, error) {
	defer r.Release()
	var all [][]any
	for r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([]any, batch.NumCols())
			for c := range row {
				row[c] = Value(batch.Column(c), i)
			}
			all = append(all, row)
		}
	}
	return all, r.Err()
}

// ReadOne gives the row of a result that has exactly one, and releases the reader.
func ReadOne(r array.RecordReader) ([]any, error) {
	all, err := ReadAll(r)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("one row was expected and %d came", len(all))
	}
	return all[0], nil
}
