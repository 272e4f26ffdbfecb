package modelcmd

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/model"
)

const (
	csvBatch    = 16_384 // rows that are scored at a time
	csvMistakes = 10     // values that fit no number and are named before reading ends
)

// csvRows reads a CSV file as a version knows its features: numbers and texts. All other columns are texts, so that an id
// 007 stays one. Nothing is guessed from values.
type csvRows struct {
	file    string
	version model.Version
	records *csv.Reader
	schema  *arrow.Schema

	references atomic.Int64
	current    arrow.RecordBatch
	err        error
}

// readCSV streams a file's rows. What is wrong with its values ends the stream, naming line and column.
func readCSV(file string, v model.Version, show func(array.RecordReader) error) error {
	r := &csvRows{file: file, version: v}
	f, err := os.Open(file)
	if err != nil {
		return r.unreadable(err.Error(), err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return r.unreadable("It is a directory.", nil)
	}
	switch names, err := r.readHead(f); {
	case errors.Is(err, io.EOF):
		return r.unreadable("It is empty.", nil)
	case err != nil:
		return err
	default:
		if r.schema, err = r.schemaOf(names); err != nil {
			return err
		}
	}
	r.references.Store(1)
	return show(r)
}

// readHead reads the line of names. Fields are separated by what gives most names of comma, semicolon, tab and "|".
func (r *csvRows) readHead(f io.Reader) ([]string, error) {
	in := bufio.NewReaderSize(f, 1<<20)
	start, err := in.Peek(1 << 20)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, r.unreadable(err.Error(), err)
	}
	if bytes.IndexByte(start[:min(len(start), 4096)], 0) >= 0 {
		return nil, r.unreadable("It holds bytes that no text has; perhaps it is packed.", nil)
	}
	head := strings.TrimPrefix(string(start), "\ufeff")
	if _, err := in.Discard(len(start) - len(head)); err != nil {
		return nil, err
	}
	separator, most := ',', 0
	for _, s := range ",;\t|" {
		c := csv.NewReader(strings.NewReader(head))
		c.Comma = s
		if names, err := c.Read(); err == nil && len(names) > most {
			separator, most = s, len(names)
		}
	}
	r.records = csv.NewReader(in)
	r.records.Comma, r.records.ReuseRecord = separator, true
	names, err := r.records.Read()
	if err != nil {
		return nil, r.misread(err)
	}
	return slices.Clone(names), nil
}

func (r *csvRows) schemaOf(names []string) (*arrow.Schema, error) {
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		if slices.ContainsFunc(names[:i], func(other string) bool { return strings.EqualFold(other, name) }) {
			return nil, diag.Finding{At: diag.Pos{File: r.file, Line: 1}, Summary: "Two columns of one name",
				Detail: fmt.Sprintf("The line of names has %q twice.", name), Fix: "Rename one of them."}
		}
		fields[i] = arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
		for _, feature := range r.version.Features {
			if strings.EqualFold(feature, name) && r.version.Levels[feature] == nil {
				fields[i].Type = arrow.PrimitiveTypes.Float64
			}
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// A csvRows is an array.RecordReader. (One made of an iterator is a coroutine, which DuckDB cannot call when it writes Parquet.)
func (r *csvRows) Retain()                        { r.references.Add(1) }
func (r *csvRows) Schema() *arrow.Schema          { return r.schema }
func (r *csvRows) RecordBatch() arrow.RecordBatch { return r.current }
func (r *csvRows) Record() arrow.RecordBatch      { return r.current }
func (r *csvRows) Err() error                     { return r.err }

func (r *csvRows) Release() {
	if r.references.Add(-1) == 0 {
		r.drop()
	}
}

func (r *csvRows) drop() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

func (r *csvRows) Next() bool {
	r.drop()
	if r.err != nil {
		return false
	}
	r.current, r.err = r.batch()
	return r.err == nil && r.current.NumRows() > 0
}

// batch reads up to csvBatch lines, none at the file's end.
func (r *csvRows) batch() (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, r.schema)
	defer b.Release()
	var wrong diag.Findings
	for range csvBatch {
		record, err := r.records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, append(wrong, r.misread(err))
		}
		for i, text := range record {
			if why := appendText(b.Field(i), text); why != "" {
				wrong = append(wrong, r.unfit(i, text, why))
			}
		}
		if len(wrong) >= csvMistakes {
			break
		}
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return b.NewRecordBatch(), nil
}

// appendText appends a value, NULL for an empty one, and says why it cannot.
func appendText(b array.Builder, text string) string {
	numbers, isNumber := b.(*array.Float64Builder)
	switch {
	case !isNumber && !utf8.ValidString(text):
		return "is not UTF-8"
	case text == "":
		b.AppendNull()
		return ""
	case !isNumber:
		b.(*array.StringBuilder).Append(text)
		return ""
	}
	text = strings.ToLower(strings.TrimSpace(text))
	switch text {
	case "true":
		text = "1"
	case "false":
		text = "0"
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "is not a number"
	}
	numbers.Append(v)
	return ""
}

// unfit says that the value of a field of the line just read is of no use.
func (r *csvRows) unfit(field int, text, why string) diag.Finding {
	found := diag.Finding{Summary: "A value does not fit", Detail: fmt.Sprintf("%q in column %q %s.", text, r.schema.Field(field).Name, why), Fix: "Save the file as UTF-8."}
	found.At.File = r.file
	found.At.Line, found.At.Col = r.records.FieldPos(field)
	if r.schema.Field(field).Type.ID() == arrow.FLOAT64 {
		found.Detail = fmt.Sprintf("%q in column %q %s; version %d of model %q was trained with numbers there.", text, r.schema.Field(field).Name, why, r.version.Number, r.version.Model)
		found.Fix = "Write a number, true or false there, or nothing when it is missing."
	}
	return found
}

func (r *csvRows) unreadable(detail string, cause error) diag.Finding {
	return diag.Finding{Summary: r.file + " cannot be read", Detail: detail, Fix: "Name a CSV file whose first line has the columns' names.", Cause: cause}
}

// misread makes a finding of an error of the CSV reader. io.EOF stays itself.
func (r *csvRows) misread(err error) diag.Finding {
	found := diag.Finding{At: diag.Pos{File: r.file}, Summary: "The line is not CSV", Cause: err,
		Fix: `Mend the line: as many fields as there are names, and those with separators, quotes or line ends in double quotes (" inside as "").`}
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return r.unreadable(err.Error(), err)
	}
	found.At.Line, found.At.Col = parse.Line, parse.Column
	found.Detail = strings.TrimPrefix(parse.Err.Error(), "csv: ")
	if errors.Is(err, csv.ErrFieldCount) {
		found.At.Col = 0
		found.Detail = fmt.Sprintf("It does not have %s, as the line of names has.", console.Plural(len(r.schema.Fields()), "field"))
	}
	return found
}
