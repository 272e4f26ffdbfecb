package load

import (
	"bytes"

	"damson/internal/load/literal"
	"damson/internal/warehouse/driver"
)

const rejectText = 1 << 10 // bytes of a rejected line that are kept

// Reject is a line that could not become a row.
type Reject struct {
	File   string `json:"file"` // as in the target's file column
	Line   int64  `json:"line"` // from 1, of the file as it is unpacked
	Text   string `json:"text"` // at most 1 kB; what is not UTF-8 is replaced by U+FFFD
	Reason string `json:"reason"`
}

// out is where a parser puts the rows and rejects of one file. It is used by one goroutine.
type out struct {
	layout  *layout
	batch   *batch
	rejects []Reject
	flush   func() error // sends batch and rejects on their way and gives out a new batch

	file    *file
	rows    int64 // of this file
	refused int64 // of this file
}

// start begins a file.
func (o *out) start(f *file) { o.file, o.rows, o.refused = f, 0, 0 }

// row finishes the row that the parser has put into the batch's data columns.
func (o *out) row(line int64) error {
	b, l := o.batch, o.layout
	for i, text := range o.file.fields {
		setString(b.columns[l.data+i], b.rows, text)
	}
	setString(b.columns[l.file], b.rows, o.file.name)
	if l.line >= 0 {
		b.columns[l.line].words[b.rows] = line
	}
	b.rows++
	o.rows++
	if b.full() {
		return o.flush()
	}
	return nil
}

func setString(v *vector, n int, s string) {
	v.text = append(v.text[:v.ends[n]], s...)
	v.ends[n+1] = int32(len(v.text))
}

// reject gives the row at hand up and keeps the line instead.
func (o *out) reject(line int64, text []byte, reason string) error {
	o.batch.forget()
	o.refused++
	text = bytes.TrimRight(text, "\r\n")
	if len(text) > rejectText {
		text = text[:rejectText]
	}
	clean := bytes.ReplaceAll(bytes.ToValidUTF8(text, []byte("\uFFFD")), []byte{0}, []byte("\uFFFD"))
	o.rejects = append(o.rejects, Reject{File: o.file.name, Line: line, Text: string(clean), Reason: reason})
	if len(o.rejects) >= rejectBatch {
		return o.flush()
	}
	return nil
}

// value puts a field's text into a data column of the row at hand. A field that is empty, or a text that means NULL, is
// NULL, save that a quoted empty text is a text. It gives the reason when the column refuses the field.
func (o *out) value(column int, field []byte, quotes bool, nulls []string) (reason string) {
	v := o.batch.columns[column]
	n := o.batch.rows
	if len(field) == 0 && !(quotes && v.kind == driver.Text) {
		v.setNull(n)
		return ""
	}
	for _, null := range nulls {
		if string(field) == null {
			v.setNull(n)
			return ""
		}
	}
	if v.kind != driver.Text && (field[0] <= ' ' || field[len(field)-1] <= ' ') {
		if field = literal.Trim(field); len(field) == 0 {
			v.setNull(n)
			return ""
		}
	}
	if what := v.parse(n, field); what != literal.Good {
		return badValue(o.layout.columns[column].Name, v.kind, field, what)
	}
	return ""
}
