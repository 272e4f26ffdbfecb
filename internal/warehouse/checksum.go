package warehouse

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/zeebo/xxh3"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// Checksum gives the number of rows of a table and a sum over their values that depends neither on the order of rows or
// columns nor on the database: the sum modulo 2¹²⁸ of each row's XXH3 hash. Equal tables have equal sums; the sum tells
// accidental differences, not malicious ones.
func (w *Warehouse) Checksum(ctx context.Context, table string) (count int64, sum string, err error) {
	n, err := parseName(table)
	if err != nil {
		return 0, "", err
	}
	columns, err := w.driver.Table(ctx, w.driver, n)
	if err == nil && columns == nil {
		err = diag.Finding{Severity: diag.Error, Summary: "Unknown table", Detail: fmt.Sprintf("There is no table %s.", n)}
	}
	if err != nil {
		return 0, "", finding(sqltext.Text{}, err)
	}
	r, err := w.driver.Query(ctx, "SELECT * FROM "+quoted(n))
	if err != nil {
		return 0, "", finding(sqltext.Text{}, err)
	}
	defer r.Release()
	count, hi, lo := sumRows(r)
	return count, fmt.Sprintf("%016x%016x", hi, lo), finding(sqltext.Text{}, r.Err())
}

// sumRows adds up the hashes of a stream's rows.
func sumRows(r array.RecordReader) (count int64, hi, lo uint64) {
	order := byName(r.Schema())
	var row []byte
	for r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			row = row[:0]
			for _, c := range order {
				row = appendCanonical(row, batch.Column(c), i)
			}
			h := xxh3.Hash128(row)
			var carry uint64
			lo, carry = bits.Add64(lo, h.Lo, 0)
			hi, _ = bits.Add64(hi, h.Hi, carry)
		}
		count += batch.NumRows()
	}
	return count, hi, lo
}

// byName gives the columns' indices in the order of their names.
func byName(schema *arrow.Schema) []int {
	order := make([]int, schema.NumFields())
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return schema.Field(order[a]).Name < schema.Field(order[b]).Name })
	return order
}

// appendCanonical writes a value so that different rows never give the same bytes: a byte that tells NULL, then 8 bytes, or
// for text its length and its bytes. -0 and 0 are equal in SQL and get the same bytes, as do all NaNs.
func appendCanonical(row []byte, column arrow.Array, i int) []byte {
	if column.IsNull(i) {
		return append(row, 0)
	}
	row = append(row, 1)
	var word uint64
	switch c := column.(type) {
	case *array.String:
		text := c.Value(i)
		row = binary.LittleEndian.AppendUint64(row, uint64(len(text)))
		return append(row, text...)
	case *array.Int64:
		word = uint64(c.Value(i))
	case *array.Float64:
		v := c.Value(i)
		switch {
		case math.IsNaN(v):
			v = math.NaN()
		case v == 0:
			v = 0
		}
		word = math.Float64bits(v)
	case *array.Boolean:
		if c.Value(i) {
			word = 1
		}
	case *array.Date32:
		word = uint64(c.Value(i))
	case *array.Time64:
		word = uint64(c.Value(i))
	case *array.Timestamp:
		word = uint64(c.Value(i))
	default:
		panic(fmt.Sprintf("warehouse: a column of type %s is not portable", column.DataType()))
	}
	return binary.LittleEndian.AppendUint64(row, word)
}
