package postgres

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"damson/internal/warehouse/driver"
)

// PostgreSQL counts days and microseconds from 2000-01-01, Arrow from 1970-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 86400 * 1_000_000
)

// Infinite dates and timestamps are the largest and smallest that Arrow's column can have, as DuckDB gives its own; they sort
// where they should, and append makes them infinite again.
const (
	infiniteDays   = math.MaxInt32
	infiniteMicros = math.MaxInt64
)

// decoder fills one column of a batch.
type decoder struct {
	name    string
	builder array.Builder
	put     func(v []byte) error // v is not NULL
}

// newDecoder gives the decoder of a column. checked: the database does not promise that its texts are UTF-8.
func newDecoder(f pgconn.FieldDescription, checked bool) decoder {
	d := decoder{name: f.Name, builder: array.NewBuilder(memory.DefaultAllocator, arrowTypes[portable(f.DataTypeOID)])}
	switch b := d.builder.(type) {
	case *array.Int64Builder:
		d.put = putInt(b, f.DataTypeOID)
	case *array.Float64Builder:
		d.put = putFloat(b, f.DataTypeOID)
	case *array.BooleanBuilder:
		d.put = func(v []byte) error {
			b.Append(v[0] != 0)
			return nil
		}
	case *array.Date32Builder:
		d.put = func(v []byte) error { return putDate(b, v) }
	case *array.Time64Builder:
		d.put = func(v []byte) error {
			b.Append(arrow.Time64(binary.BigEndian.Uint64(v)))
			return nil
		}
	case *array.TimestampBuilder:
		d.put = func(v []byte) error { return putTimestamp(b, v) }
	case *array.StringBuilder:
		d.put = func(v []byte) error {
			if checked && !utf8.Valid(v) {
				return fmt.Errorf("the text %q is not UTF-8", v)
			}
			b.BinaryBuilder.Append(v)
			return nil
		}
	}
	return d
}

func putInt(b *array.Int64Builder, oid uint32) func([]byte) error {
	switch oid {
	case pgtype.Int2OID:
		return func(v []byte) error {
			b.Append(int64(int16(binary.BigEndian.Uint16(v))))
			return nil
		}
	case pgtype.Int4OID:
		return func(v []byte) error {
			b.Append(int64(int32(binary.BigEndian.Uint32(v))))
			return nil
		}
	case pgtype.OIDOID:
		return func(v []byte) error {
			b.Append(int64(binary.BigEndian.Uint32(v)))
			return nil
		}
	}
	return func(v []byte) error {
		b.Append(int64(binary.BigEndian.Uint64(v)))
		return nil
	}
}

func putFloat(b *array.Float64Builder, oid uint32) func([]byte) error {
	switch oid {
	case pgtype.Float4OID:
		return func(v []byte) error {
			b.Append(float64(math.Float32frombits(binary.BigEndian.Uint32(v))))
			return nil
		}
	case pgtype.NumericOID:
		return func(v []byte) error {
			f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(v), len(v)), 64)
			if err != nil {
				return fmt.Errorf("the number %.40s is too large for a double", v)
			}
			b.Append(f)
			return nil
		}
	}
	return func(v []byte) error {
		b.Append(math.Float64frombits(binary.BigEndian.Uint64(v)))
		return nil
	}
}

func putDate(b *array.Date32Builder, v []byte) error {
	switch days := int32(binary.BigEndian.Uint32(v)); {
	case days == math.MaxInt32:
		b.Append(infiniteDays)
	case days == math.MinInt32:
		b.Append(-infiniteDays)
	default:
		b.Append(arrow.Date32(days + epochDays)) // the last date of PostgreSQL is in the year 5874897
	}
	return nil
}

func putTimestamp(b *array.TimestampBuilder, v []byte) error {
	switch micros := int64(binary.BigEndian.Uint64(v)); {
	case micros == math.MaxInt64:
		b.Append(infiniteMicros)
	case micros == math.MinInt64:
		b.Append(-infiniteMicros)
	case micros >= infiniteMicros-epochMicros:
		return fmt.Errorf("a timestamp in the year 294247 or later cannot be read")
	default:
		b.Append(arrow.Timestamp(micros + epochMicros))
	}
	return nil
}

// badValue is the error of a value that its portable type does not hold.
func badValue(column string, why error) error {
	return &driver.Error{
		Class:    driver.DataError,
		Message:  fmt.Sprintf("Column %q: %v.", column, why),
		Hint:     fmt.Sprintf("Cast it in the SELECT, for example CAST(%s AS text).", column),
		Position: -1,
	}
}
