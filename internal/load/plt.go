package load

import (
	"bytes"
	"fmt"

	"damson/internal/diag"
	"damson/internal/load/literal"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// pltColumns are the columns of a GeoLife PLT file (GeoLife GPS Trajectories 1.3, User Guide): its third field, always 0,
// is left out.
var pltColumns = []driver.Column{
	{Name: "latitude", Type: driver.Double},    // degrees
	{Name: "longitude", Type: driver.Double},   // degrees
	{Name: "altitude_ft", Type: driver.Double}, // feet; NULL where the file says -777, "not valid"
	{Name: "days", Type: driver.Double},        // since 1899-12-30
	{Name: "tdate", Type: driver.Date},         // of GMT
	{Name: "ttime", Type: driver.Time},         // of GMT
}

const (
	pltHeader = 6 // lines
	pltFields = 7
	noHeight  = -777
)

// plt parses GeoLife's trajectories: a header of six lines, then a point a line. Any number is a legal latitude here: to
// judge it is the pipeline's work.
type plt struct {
	lines
	header int            // lines, of which skip are still to come
	ends   [pltFields]int // of the fields of the line at hand
}

func newPLT(spec pipeline.Load) *plt {
	skip := pltHeader
	if spec.SkipLines > 0 {
		skip = spec.SkipLines
	}
	return &plt{lines: lines{line: 1, skip: skip}, header: skip}
}

func (p *plt) parse(data []byte, last bool, o *out) (int, error) {
	if p.skip > 0 {
		if err := p.checkHeader(data, last, o); err != nil {
			return 0, err
		}
	}
	at, ready := p.head(data, last)
	for ready && at < len(data) {
		nl := bytes.IndexByte(data[at:], '\n')
		if nl < 0 && !last {
			break
		}
		line, taken := data[at:], len(data)-at
		if nl >= 0 {
			line, taken = line[:nl], nl+1
		}
		if line = cutCR(line); len(line) > 0 {
			if err := p.point(line, o); err != nil {
				return at, err
			}
		}
		at += taken
		p.line++
	}
	return at, nil
}

// checkHeader makes sure that no point is taken for a line of the header.
func (p *plt) checkHeader(data []byte, last bool, o *out) error {
	for i := 0; i < p.skip && len(data) > 0; i++ {
		line, taken := firstLine(data)
		if !last && data[taken-1] != '\n' {
			return nil // the line goes on in the next piece, which brings it here again
		}
		isPoint := p.split(line) == pltFields && p.set(line, o) == ""
		o.batch.forget()
		if isPoint {
			return diag.Finding{
				At:      place(o.file, p.line+int64(i)),
				Summary: "A point where the header should be",
				Detail:  fmt.Sprintf("%s begins with %d lines of header in a PLT file, but line %d is a point: %s", o.file.name, p.header, p.line+int64(i), line),
				Fix:     "Give the number of header lines in skip_lines, or load the file with format csv.",
			}
		}
		data = data[taken:]
	}
	return nil
}

// point makes a row of a line, or a reject.
func (p *plt) point(line []byte, o *out) error {
	if n := p.split(line); n != pltFields {
		return o.reject(p.line, line, fmt.Sprintf("the line has %d fields; a point has %d", n, pltFields))
	}
	if reason := p.set(line, o); reason != "" {
		return o.reject(p.line, line, reason)
	}
	return o.row(p.line)
}

// split finds the commas of a line and gives the number of fields.
func (p *plt) split(line []byte) int {
	n := 0
	for i, b := range line {
		if b == ',' {
			if n < pltFields {
				p.ends[n] = i
			}
			n++
		}
	}
	if n < pltFields {
		p.ends[n] = len(line)
	}
	return n + 1
}

// pltField is the field of a line that a column comes from.
var pltField = [...]int{0, 1, 3, 4, 5, 6}

// set puts the fields of a line that was split into the row at hand, or gives the reason why not.
func (p *plt) set(line []byte, o *out) string {
	for column, n := range pltField {
		from := 0
		if n > 0 {
			from = p.ends[n-1] + 1
		}
		field := line[from:p.ends[n]]
		if len(field) == 0 || field[0] <= ' ' || field[len(field)-1] <= ' ' {
			if field = literal.Trim(field); len(field) == 0 {
				return fmt.Sprintf("column %s: the field is empty", o.layout.columns[column].Name)
			}
		}
		v := o.batch.columns[column]
		if what := v.parse(o.batch.rows, field); what != literal.Good {
			return badValue(o.layout.columns[column].Name, v.kind, field, what)
		}
	}
	if height := o.batch.columns[2]; height.floats[o.batch.rows] == noHeight {
		height.setNull(o.batch.rows)
	}
	return ""
}
