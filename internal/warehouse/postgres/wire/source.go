package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/warehouse/driver"
)

// sourceBytes is how much is encoded at a time; pgx sends 64 kB of it at once.
const sourceBytes = 1 << 20

// Source gives the rows of a reader as COPY takes them. It is an io.Reader, for one goroutine.
type Source struct {
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

// NewSource gives the rows in COPY's binary form when the columns have one that is written here, else as text.
func NewSource(columns []Column, rows array.RecordReader) (s *Source, err error) {
	s = &Source{rows: rows}
	if s.encoders = binaryEncoders(columns, rows.Schema()); s.encoders != nil {
		s.buffer = append(s.buffer, binaryHead...)
		return s, nil
	}
	s.text = true
	s.encoders, err = textEncoders(columns, rows.Schema())
	return s, err
}

// Binary reports whether the rows come in the binary form.
func (s *Source) Binary() bool { return !s.text }

// Err is why the rows broke off, if they did.
func (s *Source) Err() error { return s.err }

// Read implements io.Reader.
func (s *Source) Read(p []byte) (int, error) {
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
func (s *Source) fill() error {
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
func (s *Source) next() bool {
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
func (s *Source) encode() error {
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
		Message:  fmt.Sprintf("Column %q: the value of row %d, %q, %v.", e.name, number, Shorten(e.column.ValueStr(row), 60), why),
		Position: -1,
	}
}

// Shorten gives a text on one line, cut to so many characters.
func Shorten(s string, most int) string {
	characters := []rune(strings.Join(strings.Fields(s), " "))
	if len(characters) > most {
		return string(characters[:most]) + "…"
	}
	return string(characters)
}
