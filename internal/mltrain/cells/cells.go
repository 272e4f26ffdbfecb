// Package cells reads columns of Arrow as models take them: numbers as doubles, of which NaN is missing, and texts as databases
// cast values to text. It decides nothing.
package cells

import (
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// IsNumber reports whether a column of the type can be a feature.
func IsNumber(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64,
		arrow.FLOAT32, arrow.FLOAT64, arrow.DECIMAL128, arrow.BOOL:
		return true
	}
	return false
}

// IsText reports whether a column of the type can be a category.
func IsText(t arrow.DataType) bool {
	if d, ok := t.(*arrow.DictionaryType); ok {
		t = d.ValueType
	}
	return t.ID() == arrow.STRING || t.ID() == arrow.LARGE_STRING
}

// IsMoment reports whether a column of the type says when something was.
func IsMoment(t arrow.DataType) bool {
	return IsNumber(t) || t.ID() == arrow.DATE32 || t.ID() == arrow.TIMESTAMP
}

// IsTime reports whether a column of the type is a date or time, for which advice differs.
func IsTime(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.DATE32, arrow.DATE64, arrow.TIMESTAMP, arrow.TIME32, arrow.TIME64, arrow.INTERVAL_MONTH_DAY_NANO, arrow.DURATION:
		return true
	}
	return false
}

// plainNumbers are Arrow's arrays whose values are Go numbers.
type plainNumbers[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64] interface {
	arrow.Array
	Value(int) T
}

// AppendNumbers appends the values of the given rows as float64, NULL as NaN, false and true as 0 and 1. Integers beyond
// 2⁵³ and decimals are rounded. It panics on a type that IsNumber refuses.
func AppendNumbers(out []float64, column arrow.Array, rows []int) []float64 {
	switch a := column.(type) {
	case *array.Float64:
		return appendPlain(out, a, rows)
	case *array.Float32:
		return appendPlain(out, a, rows)
	case *array.Int64:
		return appendPlain(out, a, rows)
	case *array.Int32:
		return appendPlain(out, a, rows)
	case *array.Int16:
		return appendPlain(out, a, rows)
	case *array.Int8:
		return appendPlain(out, a, rows)
	case *array.Uint64:
		return appendPlain(out, a, rows)
	case *array.Uint32:
		return appendPlain(out, a, rows)
	case *array.Uint16:
		return appendPlain(out, a, rows)
	case *array.Uint8:
		return appendPlain(out, a, rows)
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return AppendEach(out, a, rows, func(i int) float64 { return a.Value(i).ToFloat64(scale) })
	case *array.Boolean:
		return AppendEach(out, a, rows, func(i int) float64 {
			if a.Value(i) {
				return 1
			}
			return 0
		})
	}
	panic("cells: " + column.DataType().String() + " is no number")
}

func appendPlain[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64, A plainNumbers[T]](out []float64, a A, rows []int) []float64 {
	if a.NullN() == 0 {
		for _, i := range rows {
			out = append(out, float64(a.Value(i)))
		}
		return out
	}
	return AppendEach(out, a, rows, func(i int) float64 { return float64(a.Value(i)) })
}

// AppendEach appends what value makes of the given rows, NULL as NaN.
func AppendEach(out []float64, a arrow.Array, rows []int, value func(int) float64) []float64 {
	for _, i := range rows {
		if a.IsNull(i) {
			out = append(out, math.NaN())
		} else {
			out = append(out, value(i))
		}
	}
	return out
}

// TextOf gives a value as the databases' own cast to text does for texts, integers, booleans, dates and timestamps, so
// that hashes of it agree with theirs. The value must not be NULL.
func TextOf(column arrow.Array, i int) string {
	switch a := column.(type) {
	case *array.String:
		return a.Value(i)
	case *array.LargeString:
		return a.Value(i)
	case *array.Dictionary:
		return TextOf(a.Dictionary(), a.GetValueIndex(i))
	case *array.Int64:
		return strconv.FormatInt(a.Value(i), 10)
	case *array.Int32:
		return strconv.FormatInt(int64(a.Value(i)), 10)
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return a.Value(i).ToTime(unit).Format("2006-01-02 15:04:05.999999")
	case *array.Date32:
		return a.Value(i).ToTime().Format("2006-01-02")
	}
	return column.ValueStr(i)
}
