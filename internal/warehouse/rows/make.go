package rows

import (
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Field is a nullable column.
func Field(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

// New gives a reader over rows made of Go values: nil, string, int64, int, float64, bool, time.Time or (time)
// time.Duration, as Value gives them. The reader must be released.
func New(schema *arrow.Schema, values [][]any) (array.RecordReader, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for r, row := range values {
		if len(row) != schema.NumFields() {
			return nil, fmt.Errorf("row %d has %d values for %d columns", r, len(row), schema.NumFields())
		}
		for c, v := range row {
			if err := put(b.Field(c), v); err != nil {
				return nil, fmt.Errorf("row %d, column %s: %w", r, schema.Field(c).Name, err)
			}
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	return array.NewRecordReader(schema, []arrow.RecordBatch{batch})
}

// put appends one value to a column.
func put(to array.Builder, value any) error {
	if value == nil {
		to.AppendNull()
		return nil
	}
	switch b := to.(type) {
	case *array.StringBuilder:
		if v, ok := value.(string); ok {
			b.Append(v)
			return nil
		}
	case *array.Int64Builder:
		switch v := value.(type) {
		case int64:
			b.Append(v)
			return nil
		case int:
			b.Append(int64(v))
			return nil
		}
	case *array.Float64Builder:
		if v, ok := value.(float64); ok {
			b.Append(v)
			return nil
		}
	case *array.BooleanBuilder:
		if v, ok := value.(bool); ok {
			b.Append(v)
			return nil
		}
	default:
		return putTime(to, value)
	}
	return fmt.Errorf("a %T does not go into a column of type %s", value, to.Type())
}

func putTime(to array.Builder, value any) error {
	moment, isTime := value.(time.Time)
	span, isSpan := value.(time.Duration)
	switch b := to.(type) {
	case *array.Date32Builder:
		if isTime {
			b.Append(arrow.Date32(math.Floor(float64(moment.UTC().Unix()) / 86400)))
			return nil
		}
	case *array.TimestampBuilder:
		if isTime {
			b.Append(arrow.Timestamp(moment.UnixMicro()))
			return nil
		}
	case *array.Time64Builder:
		if isSpan {
			b.Append(arrow.Time64(span.Microseconds()))
			return nil
		}
	}
	return fmt.Errorf("a %T does not go into a column of type %s", value, to.Type())
}
