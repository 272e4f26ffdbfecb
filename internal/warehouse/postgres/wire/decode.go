package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
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

// Decoder fills one column of a batch.
type Decoder struct {
	name string
	Put  func(v []byte) error // v is not NULL
	Null func()
	Take func() arrow.Array // gives what was put and begins anew
}

// NewDecoder gives the decoder of a column. Texts are UTF-8: the server makes sure of it, whatever the database's encoding.
func NewDecoder(f pgconn.FieldDescription) Decoder {
	kind := Portable(f.DataTypeOID)
	t := ArrowTypes[kind]
	switch kind {
	case driver.Bigint:
		return newFixed(t).decoder(f.Name, readInt(f.DataTypeOID))
	case driver.Double:
		return newFixed(t).decoder(f.Name, readFloat(f.DataTypeOID))
	case driver.Time:
		return newFixed(t).decoder(f.Name, func(v []byte) (uint64, error) { return binary.BigEndian.Uint64(v), nil })
	case driver.Timestamp:
		return newFixed(t).decoder(f.Name, readTimestamp)
	case driver.Date:
		b := array.NewDate32Builder(memory.DefaultAllocator)
		return Decoder{f.Name, func(v []byte) error { b.Append(readDate(v)); return nil }, b.AppendNull, func() arrow.Array { return b.NewArray() }}
	case driver.Boolean:
		b := array.NewBooleanBuilder(memory.DefaultAllocator)
		return Decoder{f.Name, func(v []byte) error { b.Append(v[0] != 0); return nil }, b.AppendNull, func() arrow.Array { return b.NewArray() }}
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	return Decoder{f.Name, func(v []byte) error { b.BinaryBuilder.Append(v); return nil }, b.AppendNull, func() arrow.Array { return b.NewArray() }}
}

// fixed is a column of values of 8 bytes. It costs half of Arrow's builders, which check and mark every value.
type fixed struct {
	kind   arrow.DataType
	values []uint64
	nulls  []int // the rows that are NULL
}

func newFixed(kind arrow.DataType) *fixed { return &fixed{kind: kind} }

func (f *fixed) decoder(name string, read func(v []byte) (uint64, error)) Decoder {
	return Decoder{
		name: name,
		Put: func(v []byte) error {
			word, err := read(v)
			f.values = append(f.values, word)
			return err
		},
		Null: func() {
			f.nulls = append(f.nulls, len(f.values))
			f.values = append(f.values, 0)
		},
		Take: f.take,
	}
}

func (f *fixed) take() arrow.Array {
	n := len(f.values)
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Uint64Traits.CastToBytes(f.values))}
	if len(f.nulls) > 0 {
		valid := make([]byte, bitutil.BytesForBits(int64(n)))
		bitutil.SetBitsTo(valid, 0, int64(n), true)
		for _, row := range f.nulls {
			bitutil.ClearBit(valid, row)
		}
		buffers[0] = memory.NewBufferBytes(valid)
	}
	data := array.NewData(f.kind, n, buffers, nil, len(f.nulls), 0)
	defer data.Release()
	f.values, f.nulls = make([]uint64, 0, n), f.nulls[:0] // the next batch is most likely as long
	return array.MakeFromData(data)
}

func readInt(oid uint32) func([]byte) (uint64, error) {
	switch oid {
	case pgtype.Int2OID:
		return func(v []byte) (uint64, error) { return uint64(int16(binary.BigEndian.Uint16(v))), nil }
	case pgtype.Int4OID:
		return func(v []byte) (uint64, error) { return uint64(int32(binary.BigEndian.Uint32(v))), nil }
	case pgtype.OIDOID:
		return func(v []byte) (uint64, error) { return uint64(binary.BigEndian.Uint32(v)), nil }
	}
	return func(v []byte) (uint64, error) { return binary.BigEndian.Uint64(v), nil }
}

func readFloat(oid uint32) func([]byte) (uint64, error) {
	switch oid {
	case pgtype.Float4OID:
		return func(v []byte) (uint64, error) {
			return math.Float64bits(float64(math.Float32frombits(binary.BigEndian.Uint32(v)))), nil
		}
	case pgtype.NumericOID:
		return func(v []byte) (uint64, error) {
			f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(v), len(v)), 64)
			if err != nil {
				return 0, fmt.Errorf("the number %.40s is too large for a double", v)
			}
			return math.Float64bits(f), nil
		}
	}
	return func(v []byte) (uint64, error) { return binary.BigEndian.Uint64(v), nil }
}

func readDate(v []byte) arrow.Date32 {
	switch days := int32(binary.BigEndian.Uint32(v)); days {
	case math.MaxInt32:
		return infiniteDays
	case math.MinInt32:
		return -infiniteDays
	default:
		return arrow.Date32(days + epochDays) // the last date of PostgreSQL is in the year 5874897
	}
}

func readTimestamp(v []byte) (uint64, error) {
	micros := int64(binary.BigEndian.Uint64(v))
	switch {
	case micros == math.MaxInt64:
		micros = infiniteMicros
	case micros == math.MinInt64:
		micros = -infiniteMicros
	case micros >= infiniteMicros-epochMicros:
		return 0, fmt.Errorf("a timestamp in the year 294247 or later cannot be read")
	default:
		micros += epochMicros
	}
	return uint64(micros), nil
}

// Failed is the error of a value that the column's portable type does not hold.
func (d *Decoder) Failed(why error) error {
	return &driver.Error{
		Class:    driver.DataError,
		Message:  fmt.Sprintf("Column %q: %v.", d.name, why),
		Hint:     fmt.Sprintf("Cast it in the SELECT, for example CAST(%s AS text).", d.name),
		Position: -1,
	}
}
