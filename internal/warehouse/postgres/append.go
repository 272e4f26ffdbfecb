package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// append adds the reader's rows to a table with COPY: in the binary form when the table's types have one that is written
// here, else as text, which the server reads as it reads literals.
func (c *conn) append(ctx context.Context, table driver.Name, rows array.RecordReader) (int64, error) {
	columns, err := c.target(ctx, table, rows.Schema())
	if err != nil {
		return 0, err
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = sqltext.QuoteIdent(column.Name)
	}
	sql := "COPY " + quote(table) + " (" + strings.Join(names, ", ") + ") FROM STDIN"
	source := &source{rows: rows}
	if source.encoders = binaryEncoders(columns, rows.Schema()); source.encoders != nil {
		sql += " (FORMAT binary)"
		source.buffer = append(source.buffer, binaryHead...)
	} else if source.encoders, err = textEncoders(columns, rows.Schema()); err != nil {
		return 0, err
	} else {
		source.text = true
	}
	c.used = true
	began, watch := time.Now(), c.watchLocks()
	tag, err := c.pg.CopyFrom(ctx, source, sql)
	held := watch.end(err != nil)
	if err == nil {
		return tag.RowsAffected(), nil
	}
	if source.err != nil && ctx.Err() == nil {
		return 0, source.err // what the server makes of rows that break off says less
	}
	return 0, c.failure(ctx, "", err, began, held)
}

// target gives the table's columns that the fields of a schema go into, and refuses those that it does not have.
func (c *conn) target(ctx context.Context, table driver.Name, schema *arrow.Schema) ([]found, error) {
	have, _, err := c.table(ctx, table)
	if err != nil {
		return nil, err
	}
	if have == nil {
		return nil, &driver.Error{Class: driver.UnknownName, Table: table.String(), Message: fmt.Sprintf("There is no table %s.", table), Position: -1}
	}
	columns := make([]found, schema.NumFields())
	for i, f := range schema.Fields() {
		column, ok := named(have, f.Name)
		if !ok {
			names := make([]string, len(have))
			for i := range have {
				names[i] = have[i].Name
			}
			return nil, &driver.Error{
				Class:    driver.UnknownName,
				Message:  fmt.Sprintf("Table %s has no column %q; its columns are %s.", table, f.Name, strings.Join(names, ", ")),
				Hint:     diag.DidYouMean(f.Name, names),
				Position: -1,
			}
		}
		if !isPortable(f.Type) {
			return nil, &driver.Error{
				Class:    driver.Internal,
				Message:  fmt.Sprintf("Column %q comes as %s, which is none of the portable types.", f.Name, f.Type),
				Position: -1,
			}
		}
		columns[i] = column
	}
	return columns, nil
}

// named finds a column by its name, or else by its name in whatever case.
func named(columns []found, name string) (found, bool) {
	var like []found
	for _, c := range columns {
		if c.Name == name {
			return c, true
		}
		if strings.EqualFold(c.Name, name) {
			like = append(like, c)
		}
	}
	if len(like) == 1 {
		return like[0], true
	}
	return found{}, false
}

// isPortable reports whether an Arrow type is that of a portable column.
func isPortable(t arrow.DataType) bool {
	for _, portable := range arrowTypes {
		if arrow.TypeEqual(t, portable) {
			return true
		}
	}
	return false
}

// sourceBytes is how much is encoded at a time; pgx sends 64 kB of it at once.
const sourceBytes = 1 << 20

// source gives the rows of a reader as COPY takes them. It is an io.Reader, for one goroutine.
type source struct {
	rows     array.RecordReader
	encoders []encoder
	text     bool
	batch    arrow.RecordBatch // the one at hand
	row      int               // of it, the next
	count    int64             // rows before the batch
	buffer   []byte            // encoded
	sent     int               // of it
	ended    bool
	err      error // why the rows broke off
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	for s.sent == len(s.buffer) {
		if s.err != nil {
			return 0, s.err
		}
		if s.ended {
			return 0, io.EOF
		}
		s.buffer, s.sent = s.buffer[:0], 0
		s.err = s.fill()
	}
	n := copy(p, s.buffer[s.sent:])
	s.sent += n
	return n, nil
}

// fill encodes the next rows.
func (s *source) fill() error {
	for len(s.buffer) < sourceBytes {
		if s.batch == nil || s.row == int(s.batch.NumRows()) {
			if !s.next() {
				s.ended = true
				if err := s.rows.Err(); err != nil {
					return err
				}
				if !s.text {
					s.buffer = append(s.buffer, binaryTail...)
				}
				return nil
			}
			continue
		}
		if err := s.encode(); err != nil {
			return err
		}
	}
	return nil
}

// next goes to the next batch.
func (s *source) next() bool {
	if s.batch != nil {
		s.count += s.batch.NumRows()
	}
	if !s.rows.Next() {
		return false
	}
	s.batch, s.row = s.rows.RecordBatch(), 0
	for i := range s.encoders {
		e := &s.encoders[i]
		e.column = s.batch.Column(i)
		e.put = e.bind(e.column)
	}
	return true
}

// encode encodes rows of the batch until the buffer is full.
func (s *source) encode() error {
	buffer, n := s.buffer, int(s.batch.NumRows())
	for ; s.row < n && len(buffer) < sourceBytes; s.row++ {
		if !s.text {
			buffer = append(buffer, byte(len(s.encoders)>>8), byte(len(s.encoders)))
		}
		for i := range s.encoders {
			e := &s.encoders[i]
			if s.text && i > 0 {
				buffer = append(buffer, '\t')
			}
			if e.column.IsNull(s.row) {
				buffer = append(buffer, e.null...)
				continue
			}
			var err error
			if buffer, err = e.put(buffer, s.row); err != nil {
				return e.failed(err, s.row, s.count+int64(s.row)+1)
			}
		}
		if s.text {
			buffer = append(buffer, '\n')
		}
	}
	s.buffer = buffer
	return nil
}

// put appends the value of a row, which is not NULL, as COPY takes it.
type put func(buffer []byte, row int) ([]byte, error)

// encoder writes the values of one column.
type encoder struct {
	name   string
	null   string
	bind   func(column arrow.Array) put // for a batch's column
	column arrow.Array                  // of the batch at hand
	put    put                          // its
}

// Why a value does not go into its column.
var (
	errRange    = errors.New("does not fit into it")
	errZeroByte = errors.New("holds a zero byte, which PostgreSQL's texts cannot")
)

// failed is the error of a value that its column cannot take; number is the row's, from 1, among all.
func (e *encoder) failed(why error, row int, number int64) error {
	return &driver.Error{
		Class:    driver.DataError,
		Code:     map[error]string{errRange: "22003", errZeroByte: "22021"}[why],
		Message:  fmt.Sprintf("Column %q: the value of row %d, %q, %v.", e.name, number, shorten(e.column.ValueStr(row), 60), why),
		Position: -1,
	}
}
