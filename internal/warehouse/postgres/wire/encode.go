package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/jackc/pgx/v5/pgtype"
)

// COPY's binary form: this head, for each row the number of columns and for each value its length and bytes, and this tail.
const (
	binaryHead = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	binaryTail = "\xff\xff"
	binaryNull = "\xff\xff\xff\xff"
)

// binaryEncoders gives the encoders of columns; nil when one of them has a type whose binary form is not written here.
func binaryEncoders(columns []Column, schema *arrow.Schema) []encoder {
	encoders := make([]encoder, len(columns))
	for i, c := range columns {
		bind := binaryForms[form{schema.Field(i).Type.ID(), c.OID}]
		if bind == nil {
			return nil
		}
		encoders[i] = encoder{name: c.Name, null: binaryNull, bind: bind}
	}
	return encoders
}

// form is what a binary form depends on: the Arrow type that is written and the type of the table's column.
type form struct {
	from arrow.Type
	to   uint32
}

// binaryForms are the pairs of types between which no value is lost, rounded or guessed; one that does not fit is an error.
var binaryForms = map[form]func(arrow.Array) put{
	{arrow.INT64, pgtype.Int8OID}:    bindInt8,
	{arrow.INT64, pgtype.Int4OID}:    bindInt4,
	{arrow.INT64, pgtype.Int2OID}:    bindInt2,
	{arrow.INT64, pgtype.Float8OID}:  bindIntAsFloat8,
	{arrow.INT64, pgtype.NumericOID}: bindIntAsNumeric,

	{arrow.FLOAT64, pgtype.Float8OID}:  bindFloat8,
	{arrow.FLOAT64, pgtype.Float4OID}:  bindFloat4,
	{arrow.FLOAT64, pgtype.NumericOID}: bindFloatAsNumeric,

	{arrow.BOOL, pgtype.BoolOID}: bindBool,

	{arrow.DATE32, pgtype.DateOID}:           bindDate,
	{arrow.DATE32, pgtype.TimestampOID}:      bindDateAsTimestamp,
	{arrow.DATE32, pgtype.TimestamptzOID}:    bindDateAsTimestamp,
	{arrow.TIME64, pgtype.TimeOID}:           bindTime,
	{arrow.TIMESTAMP, pgtype.TimestampOID}:   bindTimestamp,
	{arrow.TIMESTAMP, pgtype.TimestamptzOID}: bindTimestamp,
	{arrow.STRING, pgtype.TextOID}:           bindText,
	{arrow.STRING, pgtype.VarcharOID}:        bindText,
	{arrow.STRING, pgtype.BPCharOID}:         bindText,
	{arrow.STRING, pgtype.NameOID}:           bindText,
	{arrow.STRING, pgtype.JSONOID}:           bindText,
}

// word8 appends a value of 8 bytes.
func word8(buffer []byte, v uint64) []byte {
	return append(buffer, 0, 0, 0, 8, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// word4 appends a value of 4 bytes.
func word4(buffer []byte, v uint32) []byte {
	return append(buffer, 0, 0, 0, 4, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func bindInt8(a arrow.Array) put {
	values := a.(*array.Int64).Int64Values()
	return func(b []byte, row int) ([]byte, error) { return word8(b, uint64(values[row])), nil }
}

func bindInt4(a arrow.Array) put {
	values := a.(*array.Int64).Int64Values()
	return func(b []byte, row int) ([]byte, error) {
		v := values[row]
		if int64(int32(v)) != v {
			return b, errRange
		}
		return word4(b, uint32(v)), nil
	}
}

func bindInt2(a arrow.Array) put {
	values := a.(*array.Int64).Int64Values()
	return func(b []byte, row int) ([]byte, error) {
		v := values[row]
		if int64(int16(v)) != v {
			return b, errRange
		}
		return append(b, 0, 0, 0, 2, byte(v>>8), byte(v)), nil
	}
}

// bindIntAsFloat8 takes the integers that a double holds exactly.
func bindIntAsFloat8(a arrow.Array) put {
	values := a.(*array.Int64).Int64Values()
	return func(b []byte, row int) ([]byte, error) {
		const most = 1 << 53
		v := values[row]
		if v > most || v < -most {
			return b, errRange
		}
		return word8(b, math.Float64bits(float64(v))), nil
	}
}

func bindIntAsNumeric(a arrow.Array) put {
	values := a.(*array.Int64).Int64Values()
	var digits []byte
	return func(b []byte, row int) ([]byte, error) {
		digits = strconv.AppendInt(digits[:0], values[row], 10)
		return appendNumeric(b, digits), nil
	}
}

func bindFloat8(a arrow.Array) put {
	values := a.(*array.Float64).Float64Values()
	return func(b []byte, row int) ([]byte, error) { return word8(b, math.Float64bits(values[row])), nil }
}

// bindFloat4 rounds, as every assignment to a real does.
func bindFloat4(a arrow.Array) put {
	values := a.(*array.Float64).Float64Values()
	return func(b []byte, row int) ([]byte, error) {
		v := values[row]
		narrow := float32(v)
		if math.IsInf(float64(narrow), 0) && !math.IsInf(v, 0) {
			return b, errRange
		}
		return word4(b, math.Float32bits(narrow)), nil
	}
}

// bindFloatAsNumeric writes the shortest digits that give the same double; the column's own scale rounds them.
func bindFloatAsNumeric(a arrow.Array) put {
	values := a.(*array.Float64).Float64Values()
	var digits []byte
	return func(b []byte, row int) ([]byte, error) {
		v := values[row]
		if math.IsInf(v, 0) {
			return b, errRange // PostgreSQL has known such numbers since version 14 only
		}
		if math.IsNaN(v) {
			return append(b, 0, 0, 0, 8, 0, 0, 0, 0, 0xC0, 0, 0, 0), nil
		}
		digits = strconv.AppendFloat(digits[:0], v, 'f', -1, 64)
		return appendNumeric(b, digits), nil
	}
}

func bindBool(a arrow.Array) put {
	values := a.(*array.Boolean)
	return func(b []byte, row int) ([]byte, error) {
		if values.Value(row) {
			return append(b, 0, 0, 0, 1, 1), nil
		}
		return append(b, 0, 0, 0, 1, 0), nil
	}
}

// What PostgreSQL knows of time, counted from 2000-01-01: from 4713 BC to 294276 AD, dates to 5874897 AD.
const (
	firstDay, lastDay       = -2451545, 2145031949 - 1
	firstMicro, afterMicros = -211813488000000000, 9223371331200000000
	dayMicros               = 86400 * 1_000_000
)

func bindDate(a arrow.Array) put {
	values := a.(*array.Date32).Date32Values()
	return func(b []byte, row int) ([]byte, error) {
		switch days := int64(values[row]); {
		case days == infiniteDays:
			return word4(b, math.MaxInt32), nil
		case days <= -infiniteDays:
			return word4(b, 1<<31), nil
		case days-epochDays < firstDay || days-epochDays > lastDay:
			return b, errRange
		default:
			return word4(b, uint32(days-epochDays)), nil
		}
	}
}

func bindDateAsTimestamp(a arrow.Array) put {
	values := a.(*array.Date32).Date32Values()
	return func(b []byte, row int) ([]byte, error) {
		switch days := int64(values[row]); {
		case days == infiniteDays:
			return word8(b, math.MaxInt64), nil
		case days <= -infiniteDays:
			return word8(b, 1<<63), nil
		case days-epochDays < firstDay || days-epochDays >= afterMicros/dayMicros:
			return b, errRange
		default:
			return word8(b, uint64((days-epochDays)*dayMicros)), nil
		}
	}
}

func bindTime(a arrow.Array) put {
	values := a.(*array.Time64).Time64Values()
	return func(b []byte, row int) ([]byte, error) {
		v := int64(values[row])
		if v < 0 || v > dayMicros {
			return b, errRange
		}
		return word8(b, uint64(v)), nil
	}
}

func bindTimestamp(a arrow.Array) put {
	values := a.(*array.Timestamp).TimestampValues()
	return func(b []byte, row int) ([]byte, error) {
		switch v := int64(values[row]); {
		case v == infiniteMicros:
			return word8(b, math.MaxInt64), nil
		case v <= -infiniteMicros:
			return word8(b, 1<<63), nil
		case v < firstMicro+epochMicros:
			return b, errRange
		default:
			return word8(b, uint64(v-epochMicros)), nil // the last that Arrow has is before PostgreSQL's last
		}
	}
}

func bindText(a arrow.Array) put {
	values := a.(*array.String)
	return func(b []byte, row int) ([]byte, error) {
		v := values.Value(row)
		if hasZero(v) {
			return b, errZeroByte
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		return append(b, v...), nil
	}
}

// numericBase is the base of a numeric's digits.
const numericBase = 10000

// appendNumeric appends the binary form of a decimal number "-123.45": the numbers of digits in base 10000, the weight of the
// first, sign and scale, each of 2 bytes, and the digits.
func appendNumeric(b, decimal []byte) []byte {
	sign := uint16(0)
	if decimal[0] == '-' {
		sign, decimal = 0x4000, decimal[1:]
	}
	whole, fraction, _ := bytes.Cut(decimal, []byte{'.'})
	scale := len(fraction)
	start := len(b)
	b = append(b, make([]byte, 12)...) // length, count, weight, sign and scale, filled below
	weight := (len(whole)+3)/4 - 1
	count := 0
	group := func(digits []byte, missing int) {
		n := 0
		for _, d := range digits {
			n = n*10 + int(d-'0')
		}
		for range missing {
			n *= 10
		}
		if n == 0 && count == 0 {
			weight--
			return
		}
		b = binary.BigEndian.AppendUint16(b, uint16(n%numericBase))
		count++
	}
	for len(whole) > 0 {
		first := (len(whole)-1)%4 + 1 // the first group may be shorter
		group(whole[:first], 0)
		whole = whole[first:]
	}
	for at := 0; at < len(fraction); at += 4 {
		to := min(at+4, len(fraction))
		group(fraction[at:to], 4-(to-at))
	}
	if count == 0 {
		sign, weight = 0, 0
	}
	head := b[start:]
	binary.BigEndian.PutUint32(head, uint32(8+2*count))
	binary.BigEndian.PutUint16(head[4:], uint16(count))
	binary.BigEndian.PutUint16(head[6:], uint16(int16(weight)))
	binary.BigEndian.PutUint16(head[8:], sign)
	binary.BigEndian.PutUint16(head[10:], uint16(scale))
	return b
}
