package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"damson/internal/diag"
	"damson/internal/load/literal"
	"damson/internal/warehouse/driver"
)

const (
	sampleFiles = 16
	sampleBytes = blockSize // of each
)

// guessed lists the types that values are tried as, the strictest first; text takes everything.
var guessed = [...]driver.Type{driver.Bigint, driver.Double, driver.Boolean, driver.Date, driver.Time, driver.Timestamp}

// guess is what a sample says of a column's type.
type guess struct {
	name string
	seen bool               // a value that is not NULL
	not  [len(guessed)]bool // types that a value has refuted
}

// kind is the strictest type that all values have.
func (g *guess) kind() driver.Type {
	for i, t := range guessed {
		if g.seen && !g.not[i] {
			return t
		}
	}
	return driver.Text
}

// observe takes a value written out. Only the types in allowed come into question for it; none in allowed means all.
func (g *guess) observe(b []byte, allowed ...driver.Type) {
	g.seen = true
	for i, t := range guessed {
		if !g.not[i] {
			g.not[i] = !looksLike(t, b) || len(allowed) > 0 && !one(allowed, t)
		}
	}
}

func one[T comparable](list []T, t T) bool {
	for _, a := range list {
		if a == t {
			return true
		}
	}
	return false
}

// looksLike is stricter than parsing: 007 is an identifier, not a number, and nan, t and 1 are no evidence.
func looksLike(t driver.Type, b []byte) bool {
	var v literal.Verdict
	switch t {
	case driver.Bigint, driver.Double:
		digits := bytes.TrimPrefix(b, []byte("-"))
		if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' || len(digits) == 0 || digits[0] > '9' || digits[0] == '+' {
			return false
		}
		if t == driver.Bigint {
			_, v = literal.ParseBigint(b)
		} else {
			_, v = literal.ParseDouble(b)
		}
	case driver.Boolean:
		low := bytes.ToLower(b)
		return string(low) == "true" || string(low) == "false"
	case driver.Date:
		_, v = literal.ParseDate(b)
	case driver.Time:
		_, v = literal.ParseTime(b)
	case driver.Timestamp:
		_, v = literal.ParseTimestamp(b)
	}
	return v == literal.Good
}

// infer gives the columns that the files' headers name, with types that the values of a sample have.
func (j *job) infer(ctx context.Context, files []*file) ([]driver.Column, error) {
	if j.spec.Format == "parquet" {
		return j.parquetColumns(ctx, files[0])
	}
	g := &guesses{job: j, numbers: map[string]int{}}
	s := newSource()
	defer s.close()
	step := max(1, len(files)/sampleFiles)
	for i := 0; i < len(files); i += step {
		p := j.sampler(g)
		o := &out{file: files[i], layout: &layout{}, batch: &batch{}}
		if _, err := s.read(files[i], p, o); err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
	}
	if len(g.columns) == 0 {
		return nil, diag.Finding{
			Summary: "No columns",
			Detail:  fmt.Sprintf("The load into %s declares no columns, and the files that it sampled (%s first) are empty.", j.spec.Into, files[0].name),
			Fix:     "Declare columns.",
		}
	}
	columns := make([]driver.Column, len(g.columns))
	for i, c := range g.columns {
		columns[i] = driver.Column{Name: c.name, Type: c.kind()}
	}
	return columns, nil
}

// errEnough ends the reading of a file of which the sample has enough.
var errEnough = errors.New("load: the sample is full")

// guesses are the columns seen so far.
type guesses struct {
	job     *job
	columns []*guess
	numbers map[string]int // by name
}

// column gives the column of that name, a new one when it is not yet there.
func (g *guesses) column(name string) *guess {
	n, known := g.numbers[name]
	if !known {
		n = len(g.columns)
		g.numbers[name] = n
		g.columns = append(g.columns, &guess{name: name})
	}
	return g.columns[n]
}

func (j *job) sampler(g *guesses) parser {
	if j.spec.Format == "json" {
		return &jsonSampler{objects: *newJSON(j.spec, nil), g: g}
	}
	return &csvSampler{csv: *newCSV(j.spec, nil), g: g}
}

// csvSampler reads the first piece of a file of separated values.
type csvSampler struct {
	csv
	g     *guesses
	names []string // of this file's fields
}

func (c *csvSampler) parse(data []byte, last bool, o *out) (int, error) {
	at, ready := c.head(data, last)
	for ready && at < len(data) {
		taken, reason, whole := c.next(data[at:], last)
		if !whole {
			break
		}
		at += taken
		c.line++
		if reason == "" && !c.blank() {
			if err := c.sample(o); err != nil {
				return at, err
			}
		}
	}
	return at, errEnough
}

// sample takes one record.
func (c *csvSampler) sample(o *out) error {
	if c.names == nil {
		return c.name(o)
	}
	if len(c.fields) != len(c.names) {
		return nil // the load itself rejects it
	}
	for i, field := range c.fields {
		if len(field) > 0 && !one(c.nulls, string(field)) {
			c.g.column(c.names[i]).observe(field)
		}
	}
	return nil
}

// name takes the names of the file's fields from its first record: from its header, or column1, column2 and so on.
func (c *csvSampler) name(o *out) error {
	for i, field := range c.fields {
		name := columnName(string(field))
		if name == "" || !c.header {
			name = fmt.Sprintf("column%d", i+1)
		}
		c.names = append(c.names, name)
	}
	if len(c.g.columns) == 0 {
		for _, name := range c.names {
			c.g.column(name)
		}
	}
	if c.header {
		_, err := headerMap(place(o.file, c.line-1), c.names, c.g.names())
		return err
	}
	return c.sample(o)
}

func (g *guesses) names() []string {
	names := make([]string, len(g.columns))
	for i, c := range g.columns {
		names[i] = c.name
	}
	return names
}

// jsonSampler reads the first piece of a JSON file.
type jsonSampler struct {
	objects
	g *guesses
}

func (j *jsonSampler) parse(data []byte, last bool, o *out) (int, error) {
	at, ready := j.head(data, last)
	for ready {
		if at = j.between(data, at); at == len(data) {
			break
		}
		end := literal.ScanValue(data, at, 0)
		if end < 0 {
			line, _ := firstLine(data[at:])
			if end = at + len(line); end == len(data) {
				break
			}
		} else if data[at] == '{' {
			j.sample(data[at:end])
		}
		at = end
	}
	return at, errEnough
}

// sample takes the values of one object. A string may be a date or time, but not a number: a program that means a number
// writes one.
func (j *jsonSampler) sample(b []byte) {
	j.each(b, func(key, raw []byte) bool {
		c := j.g.column(columnName(string(key)))
		switch raw[0] {
		case 'n':
		case '"':
			if one(j.nulls, string(j.text(raw))) {
				return true
			}
			c.observe(j.text(raw), driver.Date, driver.Time, driver.Timestamp)
		case 't', 'f':
			c.observe(raw, driver.Boolean)
		case '{', '[':
			c.observe(raw, driver.Text)
		default:
			c.observe(raw, driver.Bigint, driver.Double)
		}
		return true
	})
}
