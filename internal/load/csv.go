package load

import (
	"bytes"
	"fmt"

	"damson/internal/pipeline"
)

// csv parses separated values as RFC 4180 has them: fields between delimiters, in quotes when they hold a delimiter, a
// quote (written twice) or a line end. A quote inside a field that does not open with one is a letter like others.
type csv struct {
	lines
	delimiter byte
	header    bool  // the next record names the columns
	columns   []int // data column of each field
	names     []string
	nulls     []string

	fields [][]byte
	quotes []bool // the field stood in quotes
	room   []byte // fields whose doubled quotes were made single
}

func newCSV(spec pipeline.Load, columns []string) *csv {
	c := &csv{
		lines:     lines{line: 1, skip: spec.SkipLines},
		delimiter: delimiter(spec),
		header:    spec.Header,
		names:     columns,
		nulls:     spec.Nulls,
		columns:   make([]int, len(columns)),
	}
	for i := range columns {
		c.columns[i] = i
	}
	return c
}

// delimiter is the byte between fields.
func delimiter(spec pipeline.Load) byte {
	switch {
	case spec.Delimiter != "":
		return spec.Delimiter[0]
	case spec.Format == "tsv":
		return '\t'
	}
	return ','
}

func (c *csv) parse(data []byte, last bool, o *out) (int, error) {
	at, ready := c.head(data, last)
	for ready && at < len(data) {
		taken, reason, whole := c.next(data[at:], last)
		if !whole {
			break
		}
		raw := data[at : at+taken]
		if err := c.record(raw, reason, o); err != nil {
			return at, err
		}
		at += taken
		c.line += max(1, int64(bytes.Count(raw, newline)))
	}
	return at, nil
}

// next cuts the record at the head of data into fields and gives its length. It is not whole when it does not end in data
// and more may follow. A reason says that its quotes make no sense; only its first line is then taken.
func (c *csv) next(data []byte, last bool) (taken int, reason string, whole bool) {
	nl := bytes.IndexByte(data, '\n')
	if nl < 0 && !last {
		return 0, "", false
	}
	line, taken := data, len(data)
	if nl >= 0 {
		line, taken = data[:nl], nl+1
	}
	if bytes.IndexByte(line, '"') < 0 {
		c.split(cutCR(line))
		return taken, "", true
	}
	n, whole, reason := c.splitQuoted(data, last)
	if reason == "" {
		taken = n
	}
	return taken, reason, whole
}

var newline = []byte{'\n'}

// split cuts a line without quotes at the delimiters.
func (c *csv) split(line []byte) {
	c.fields = c.fields[:0]
	from := 0
	for i, b := range line {
		if b == c.delimiter {
			c.fields = append(c.fields, line[from:i])
			from = i + 1
		}
	}
	c.fields = append(c.fields, line[from:])
	for len(c.quotes) < len(c.fields) {
		c.quotes = append(c.quotes, false)
	}
	clear(c.quotes[:len(c.fields)])
}

// splitQuoted cuts the record at the head of data, whose first line holds quotes, and gives its length. The record is not
// whole when data ends before it does and more may follow. A reason says that its quotes make no sense.
func (c *csv) splitQuoted(data []byte, last bool) (taken int, whole bool, reason string) {
	c.fields, c.quotes, c.room = c.fields[:0], c.quotes[:0], c.room[:0]
	for at := 0; ; {
		var field []byte
		quoted := at < len(data) && data[at] == '"'
		if quoted {
			var end int
			field, end = c.unquote(data[at+1:])
			if end < 0 {
				return 0, last, "a quote opens here and is never closed"
			}
			at += 1 + end
		} else {
			from := at
			for at < len(data) && data[at] != c.delimiter && data[at] != '\n' {
				at++
			}
			field = data[from:at]
		}
		cr := at < len(data) && data[at] == '\r' // only after a quoted field
		if !last && (at == len(data) || cr && at+1 == len(data)) {
			return 0, false, ""
		}
		end := at == len(data) || data[at] == '\n' || cr && (at+1 == len(data) || data[at+1] == '\n')
		if end && !quoted {
			field = cutCR(field)
		}
		c.fields, c.quotes = append(c.fields, field), append(c.quotes, quoted)
		switch {
		case end:
			_, n := firstLine(data[at:])
			return at + n, true, ""
		case data[at] != c.delimiter:
			return 0, true, fmt.Sprintf("text follows the closing quote of field %d", len(c.fields))
		}
		at++
	}
}

// unquote reads a field up to its closing quote and gives the number of bytes with it, -1 when there is none.
func (c *csv) unquote(data []byte) (field []byte, end int) {
	start := len(c.room)
	for at := 0; ; {
		n := bytes.IndexByte(data[at:], '"')
		if n < 0 {
			return nil, -1
		}
		quote := at + n
		if quote+1 == len(data) || data[quote+1] != '"' {
			if at == 0 {
				return data[:quote], quote + 1
			}
			c.room = append(c.room, data[at:quote]...)
			return c.room[start:len(c.room):len(c.room)], quote + 1
		}
		c.room = append(c.room, data[at:quote+1]...)
		at = quote + 2
	}
}

// record makes a row of the fields at hand, or a reject.
func (c *csv) record(raw []byte, reason string, o *out) error {
	if reason != "" {
		return o.reject(c.line, raw, reason)
	}
	switch blank := c.blank(); {
	case blank && (c.header || len(c.columns) != 1):
		return nil
	case c.header:
		return c.readHeader(o)
	}
	if len(c.fields) != len(c.columns) {
		return o.reject(c.line, raw, fmt.Sprintf("the line has %d fields; %d are expected", len(c.fields), len(c.columns)))
	}
	for i, field := range c.fields {
		if reason := o.value(c.columns[i], field, c.quotes[i], c.nulls); reason != "" {
			return o.reject(c.line, raw, reason)
		}
	}
	return o.row(c.line)
}

// blank reports whether the record at hand is an empty line. In a file of one column that is a NULL, else nothing.
func (c *csv) blank() bool { return len(c.fields) == 1 && len(c.fields[0]) == 0 && !c.quotes[0] }

func (c *csv) readHeader(o *out) (err error) {
	header := make([]string, len(c.fields))
	for i, field := range c.fields {
		header[i] = string(field)
	}
	c.header = false
	c.columns, err = headerMap(place(o.file, c.line), header, c.names)
	return err
}
