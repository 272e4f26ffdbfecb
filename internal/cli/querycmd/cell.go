package querycmd

import (
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/warehouse/rows"
)

func isNumber(t arrow.DataType) bool {
	return t.ID() == rows.BigintType.ID() || t.ID() == rows.DoubleType.ID()
}

func isTime(t arrow.DataType) bool {
	return t.ID() == rows.DateType.ID() || t.ID() == rows.TimestampType.ID()
}

// cellText writes one value for people and CSV readers, with its own word for NULL.
func cellText(col arrow.Array, r int, null string) string {
	if col.IsNull(r) {
		return null
	}
	return rows.Format(col, r)
}

// cellJSON gives one value for JSON: numbers and booleans as such, NULL and what JSON cannot say (NaN, infinities) as
// null, timestamps in RFC 3339, the rest as text.
func cellJSON(col arrow.Array, r int) any {
	switch v := rows.Value(col, r).(type) {
	case nil, int64, bool, string:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return v
	case time.Time:
		if col.DataType().ID() == rows.TimestampType.ID() {
			return v.Format(time.RFC3339Nano)
		}
	}
	return rows.Format(col, r)
}

// cellNumber gives a value to draw: times as Unix seconds, booleans as 0 and 1, NULL and texts as NaN.
func cellNumber(col arrow.Array, r int) float64 {
	switch v := rows.Value(col, r).(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case bool:
		if v {
			return 1
		}
		return 0
	case time.Time:
		return float64(v.UnixMicro()) / 1e6
	}
	return math.NaN()
}
