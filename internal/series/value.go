package series

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// appendValues appends rows of a column of numbers, NULL as NaN.
func appendValues(out []float64, column arrow.Array, from, to int) []float64 {
	switch c := column.(type) {
	case *array.Float64:
		out = append(out, c.Float64Values()[from:to]...)
	case *array.Int64:
		for _, v := range c.Int64Values()[from:to] {
			out = append(out, float64(v))
		}
	default:
		panic(fmt.Sprintf("series: a column of type %s is no number", column.DataType()))
	}
	if column.NullN() > 0 {
		for i := from; i < to; i++ {
			if column.IsNull(i) {
				out[len(out)-to+i] = math.NaN()
			}
		}
	}
	return out
}

// sameValue reports whether two rows of a column are equal, where NULL equals NULL and NaN equals NaN.
func sameValue(column arrow.Array, i, j int) bool {
	if column.IsNull(i) || column.IsNull(j) {
		return column.IsNull(i) && column.IsNull(j)
	}
	switch c := column.(type) {
	case *array.String:
		return c.Value(i) == c.Value(j)
	case *array.Int64:
		return c.Value(i) == c.Value(j)
	case *array.Float64:
		a, b := c.Value(i), c.Value(j)
		return a == b || a != a && b != b
	case *array.Boolean:
		return c.Value(i) == c.Value(j)
	case *array.Date32:
		return c.Value(i) == c.Value(j)
	case *array.Time64:
		return c.Value(i) == c.Value(j)
	case *array.Timestamp:
		return c.Value(i) == c.Value(j)
	}
	panic(fmt.Sprintf("series: a column of type %s is not portable", column.DataType()))
}

// copyValue appends a row of a column to a builder of its type.
func copyValue(to array.Builder, column arrow.Array, i int) {
	if column.IsNull(i) {
		to.AppendNull()
		return
	}
	switch b := to.(type) {
	case *array.StringBuilder:
		b.Append(column.(*array.String).Value(i))
	case *array.Int64Builder:
		b.Append(column.(*array.Int64).Value(i))
	case *array.Float64Builder:
		b.Append(column.(*array.Float64).Value(i))
	case *array.BooleanBuilder:
		b.Append(column.(*array.Boolean).Value(i))
	case *array.Date32Builder:
		b.Append(column.(*array.Date32).Value(i))
	case *array.Time64Builder:
		b.Append(column.(*array.Time64).Value(i))
	case *array.TimestampBuilder:
		b.Append(column.(*array.Timestamp).Value(i))
	default:
		panic(fmt.Sprintf("series: a column of type %s is not portable", column.DataType()))
	}
}
