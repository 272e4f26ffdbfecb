package load

import (
	"bytes"
	"fmt"
	"math/bits"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"damson/internal/load/literal"
	"damson/internal/warehouse/driver"
)

const (
	batchRows = 64 << 10 // rows of a batch
	batchText = 16 << 20 // bytes of one text column at which a batch is full before it has batchRows rows
)

// arrowTypes are the Arrow forms of the portable types.
var arrowTypes = map[driver.Type]arrow.DataType{
	driver.Text:      arrow.BinaryTypes.String,
	driver.Bigint:    arrow.PrimitiveTypes.Int64,
	driver.Double:    arrow.PrimitiveTypes.Float64,
	driver.Boolean:   arrow.FixedWidthTypes.Boolean,
	driver.Date:      arrow.FixedWidthTypes.Date32,
	driver.Time:      arrow.FixedWidthTypes.Time64us,
	driver.Timestamp: &arrow.TimestampType{Unit: arrow.Microsecond},
}

// vector is one column of a batch, in Arrow's own layout. Values are set by row number, and only the batch's row count
// says which of them are there: a row that is given up half-way is overwritten by the next one.
type vector struct {
	kind   driver.Type
	words  []int64 // bigint, time, timestamp
	floats []float64
	days   []int32
	bits   []byte
	ends   []int32 // text: row i is text[ends[i]:ends[i+1]]
	text   []byte
	valid  []byte // bit i: row i is not NULL. All bits stand until a NULL clears one
	nulls  bool   // a bit was cleared
}

func newVector(kind driver.Type, rows int) *vector {
	v := &vector{kind: kind, valid: bytes.Repeat([]byte{0xff}, (rows+7)/8)}
	switch kind {
	case driver.Text:
		v.ends, v.text = make([]int32, rows+1), make([]byte, 0, rows*16)
	case driver.Double:
		v.floats = make([]float64, rows)
	case driver.Date:
		v.days = make([]int32, rows)
	case driver.Boolean:
		v.bits = make([]byte, (rows+7)/8)
	default:
		v.words = make([]int64, rows)
	}
	return v
}

// setNull makes row n NULL.
func (v *vector) setNull(n int) {
	v.valid[n>>3] &^= 1 << (n & 7)
	v.nulls = true
	if v.kind == driver.Text {
		v.text = v.text[:v.ends[n]]
		v.ends[n+1] = v.ends[n]
	}
}

// setText gives row n of a text column its value.
func (v *vector) setText(n int, b []byte) {
	v.text = append(v.text[:v.ends[n]], b...)
	v.ends[n+1] = int32(len(v.text))
}

// setBit gives row n of a boolean column its value.
func (v *vector) setBit(n int, b bool) {
	if b {
		v.bits[n>>3] |= 1 << (n & 7)
	} else {
		v.bits[n>>3] &^= 1 << (n & 7)
	}
}

// parse gives row n the value that b writes out.
func (v *vector) parse(n int, b []byte) (what literal.Verdict) {
	switch v.kind {
	case driver.Text:
		if what = checkText(b); what == literal.Good {
			v.setText(n, b)
		}
	case driver.Double:
		v.floats[n], what = literal.ParseDouble(b)
	case driver.Bigint:
		v.words[n], what = literal.ParseBigint(b)
	case driver.Date:
		v.days[n], what = literal.ParseDate(b)
	case driver.Time:
		v.words[n], what = literal.ParseTime(b)
	case driver.Timestamp:
		v.words[n], what = literal.ParseTimestamp(b)
	case driver.Boolean:
		var bit bool
		bit, what = literal.ParseBoolean(b)
		v.setBit(n, bit)
	}
	return what
}

// checkText refuses what not every warehouse can hold as text: bytes that are not UTF-8, and the zero byte.
func checkText(b []byte) literal.Verdict {
	if !utf8.Valid(b) {
		return literal.Malformed
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return literal.OutOfRange
	}
	return literal.Good
}

// array gives the first n rows as an Arrow array, which keeps the vector's memory.
func (v *vector) array(n int) arrow.Array {
	var valid *memory.Buffer
	nulls := 0
	if v.nulls {
		valid = memory.NewBufferBytes(v.valid[:(n+7)/8])
		nulls = n - countBits(v.valid, n)
	}
	buffers := []*memory.Buffer{valid, nil}
	switch v.kind {
	case driver.Text:
		buffers[1] = memory.NewBufferBytes(rawBytes(v.ends[:n+1]))
		buffers = append(buffers, memory.NewBufferBytes(v.text[:v.ends[n]]))
	case driver.Double:
		buffers[1] = memory.NewBufferBytes(rawBytes(v.floats[:n]))
	case driver.Date:
		buffers[1] = memory.NewBufferBytes(rawBytes(v.days[:n]))
	case driver.Boolean:
		buffers[1] = memory.NewBufferBytes(v.bits[:(n+7)/8])
	default:
		buffers[1] = memory.NewBufferBytes(rawBytes(v.words[:n]))
	}
	data := array.NewData(arrowTypes[v.kind], n, buffers, nil, nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

// countBits counts the ones among the first n bits.
func countBits(b []byte, n int) int {
	ones := 0
	for _, c := range b[:n/8] {
		ones += bits.OnesCount8(c)
	}
	if n%8 != 0 {
		ones += bits.OnesCount8(b[n/8] & (1<<(n%8) - 1))
	}
	return ones
}

// rawBytes gives the memory of a slice of numbers.
func rawBytes[T int32 | int64 | float64](s []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(one)))
}

// batch collects rows of the target, of one file or of many.
type batch struct {
	columns []*vector // as the layout's
	rows    int
	room    int
	text    []*vector // those of columns that are text
}

func newBatch(l *layout, rows int) *batch {
	b := &batch{room: rows, columns: make([]*vector, len(l.columns))}
	for i, c := range l.columns {
		b.columns[i] = newVector(c.Type, rows)
		if c.Type == driver.Text {
			b.text = append(b.text, b.columns[i])
		}
	}
	return b
}

// full reports whether the batch should go on its way.
func (b *batch) full() bool {
	if b.rows == b.room {
		return true
	}
	for _, v := range b.text {
		if v.ends[b.rows] >= batchText {
			return true
		}
	}
	return false
}

// forget clears the traces of a row that was given up.
func (b *batch) forget() {
	for _, v := range b.columns {
		v.valid[b.rows>>3] |= 1 << (b.rows & 7)
	}
}

// record gives the batch as Arrow, which takes its memory over.
func (b *batch) record(schema *arrow.Schema) arrow.RecordBatch {
	arrays := make([]arrow.Array, len(b.columns))
	for i, v := range b.columns {
		arrays[i] = v.array(b.rows)
		defer arrays[i].Release()
	}
	return array.NewRecordBatch(schema, arrays, int64(b.rows))
}

// reasons for a value that a column refuses.
func badValue(name string, kind driver.Type, b []byte, what literal.Verdict) string {
	switch {
	case kind == driver.Text && what == literal.Malformed:
		return fmt.Sprintf("column %s: the text is not valid UTF-8", name)
	case kind == driver.Text:
		return fmt.Sprintf("column %s: the text holds a zero byte", name)
	case what == literal.OutOfRange:
		return fmt.Sprintf("column %s: %s is out of range for %s", name, quoted(b), kind)
	}
	return fmt.Sprintf("column %s: %s is not a %s", name, quoted(b), kind)
}

// quoted gives a value for a reason, cut when long.
func quoted(b []byte) string {
	const most = 80
	if len(b) > most {
		return fmt.Sprintf("%q…", bytes.ToValidUTF8(b[:most], []byte("\uFFFD")))
	}
	return fmt.Sprintf("%q", bytes.ToValidUTF8(b, []byte("\uFFFD")))
}
