package wire

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/jackc/pgx/v5/pgtype"

	"damson/internal/warehouse/driver"
)

// textEncoders gives encoders of COPY's text form, which the server reads as the input of whatever type the column has. A
// pair of types by which part of a value would be lost without a word is refused.
func textEncoders(columns []Column, schema *arrow.Schema) ([]encoder, error) {
	encoders := make([]encoder, len(columns))
	for i, c := range columns {
		from := schema.Field(i).Type
		if loses(from.ID(), c.OID) {
			return nil, &driver.Error{
				Class:    driver.DataError,
				Message:  fmt.Sprintf("Column %q of the table is %s, which would lose part of the rows' %s.", c.Name, c.Native, from),
				Hint:     "Give the table's column the type of the rows, or the rows that of the column.",
				Position: -1,
			}
		}
		encoders[i] = encoder{name: c.Name, null: `\N`, bind: textForms[from.ID()]}
	}
	return encoders, nil
}

// loses reports whether the server would take the text of a type for another and drop what the other does not have: the time
// of a day, or the day of a time.
func loses(from arrow.Type, to uint32) bool {
	switch from {
	case arrow.TIMESTAMP:
		return to == pgtype.DateOID || to == pgtype.TimeOID || to == pgtype.TimetzOID
	case arrow.DATE32:
		return to == pgtype.TimeOID || to == pgtype.TimetzOID
	}
	return false
}

// textForms write values as the server reads them.
var textForms = map[arrow.Type]func(arrow.Array) put{
	arrow.INT64: func(a arrow.Array) put {
		values := a.(*array.Int64).Int64Values()
		return func(b []byte, row int) ([]byte, error) { return strconv.AppendInt(b, values[row], 10), nil }
	},
	arrow.FLOAT64: func(a arrow.Array) put {
		values := a.(*array.Float64).Float64Values()
		return func(b []byte, row int) ([]byte, error) { return appendFloat(b, values[row]), nil }
	},
	arrow.BOOL: func(a arrow.Array) put {
		values := a.(*array.Boolean)
		return func(b []byte, row int) ([]byte, error) { return strconv.AppendBool(b, values.Value(row)), nil }
	},
	arrow.DATE32: func(a arrow.Array) put {
		values := a.(*array.Date32).Date32Values()
		return func(b []byte, row int) ([]byte, error) {
			if days := int64(values[row]); days != infiniteDays && days > -infiniteDays {
				return appendTime(b, time.Unix(days*86400, 0).UTC(), "01-02"), nil
			}
			return appendInfinity(b, values[row] > 0), nil
		}
	},
	arrow.TIME64: func(a arrow.Array) put {
		values := a.(*array.Time64).Time64Values()
		return func(b []byte, row int) ([]byte, error) {
			if values[row] == dayMicros {
				return append(b, "24:00:00"...), nil
			}
			return time.UnixMicro(int64(values[row])).UTC().AppendFormat(b, "15:04:05.999999"), nil
		}
	},
	arrow.TIMESTAMP: func(a arrow.Array) put {
		values := a.(*array.Timestamp).TimestampValues()
		return func(b []byte, row int) ([]byte, error) {
			if micros := int64(values[row]); micros != infiniteMicros && micros > -infiniteMicros {
				return appendTime(b, time.UnixMicro(micros).UTC(), "01-02 15:04:05.999999"), nil
			}
			return appendInfinity(b, values[row] > 0), nil
		}
	},
	arrow.STRING: func(a arrow.Array) put {
		values := a.(*array.String)
		return func(b []byte, row int) ([]byte, error) { return appendText(b, values.Value(row)) }
	},
}

func appendFloat(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...)
	case math.IsInf(v, 0):
		return appendInfinity(b, v > 0)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

func appendInfinity(b []byte, positive bool) []byte {
	if !positive {
		b = append(b, '-')
	}
	return append(b, "infinity"...)
}

// appendTime writes the year as the server reads it, before the rest, and BC behind where it belongs.
func appendTime(b []byte, t time.Time, rest string) []byte {
	year, era := t.Year(), ""
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	if year < 1000 {
		b = append(b, "000"[:4-len(strconv.Itoa(year))]...)
	}
	b = strconv.AppendInt(b, int64(year), 10)
	b = append(b, '-')
	return append(t.AppendFormat(b, rest), era...)
}

// appendText escapes what means something to COPY.
func appendText(b []byte, s string) ([]byte, error) {
	if hasZero(s) {
		return b, errZeroByte
	}
	for {
		i := strings.IndexAny(s, "\\\t\n\r")
		if i < 0 {
			return append(b, s...), nil
		}
		b = append(append(b, s[:i]...), '\\')
		switch s[i] {
		case '\t':
			b = append(b, 't')
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		default:
			b = append(b, '\\')
		}
		s = s[i+1:]
	}
}

// hasZero reports whether a text holds the one character that PostgreSQL's texts cannot.
func hasZero(s string) bool { return strings.IndexByte(s, 0) >= 0 }
