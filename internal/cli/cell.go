package cli

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

func isNumber(t arrow.DataType) bool {
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) || arrow.IsDecimal(t.ID())
}

func isTime(t arrow.DataType) bool {
	return t.ID() == arrow.DATE32 || t.ID() == arrow.TIMESTAMP
}

// cellText writes one value as people and CSV readers expect it: floats with all their digits, times in ISO form.
func cellText(col arrow.Array, r int, null string) string {
	if col.IsNull(r) {
		return null
	}
	switch c := col.(type) {
	case *array.Float64:
		return strconv.FormatFloat(c.Value(r), 'g', -1, 64)
	case *array.Timestamp:
		return timestampText(c, r)
	}
	return col.ValueStr(r)
}

func timestampText(c *array.Timestamp, r int) string {
	t := c.Value(r).ToTime(c.DataType().(*arrow.TimestampType).Unit)
	return t.Format("2006-01-02 15:04:05.999999")
}

// cellJSON gives one value for JSON: numbers and booleans as such, NULL and what JSON cannot say (NaN, infinities) as
// null, the rest as text.
func cellJSON(col arrow.Array, r int) any {
	if col.IsNull(r) {
		return nil
	}
	switch c := col.(type) {
	case *array.Float64:
		if v := c.Value(r); math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return c.Value(r)
	case *array.Boolean:
		return c.Value(r)
	case *array.Timestamp:
		return c.Value(r).ToTime(c.DataType().(*arrow.TimestampType).Unit).Format(time.RFC3339Nano)
	}
	if isNumber(col.DataType()) {
		return json.Number(col.ValueStr(r))
	}
	return col.ValueStr(r)
}
