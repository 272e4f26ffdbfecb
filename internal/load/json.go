package load

import (
	"bytes"
	"fmt"
	"math"

	"damson/internal/diag"
	"damson/internal/load/literal"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// objects parses JSON: one array of objects, or objects one after the other, as a rule one a line. A key that an object
// leaves out is NULL; a key that no column has rejects the object. An object with a value that its column refuses is
// rejected alone; text that is not JSON is rejected up to the end of its line.
type objects struct {
	lines
	array   bool // the objects stand in an array
	started bool // array is known
	closed  bool // the array has ended
	numbers map[string]int
	names   []string
	nulls   []string
	seen    []bool
	room    []byte
}

func newJSON(spec pipeline.Load, columns []string) *objects {
	j := &objects{
		lines:   lines{line: 1, skip: spec.SkipLines},
		names:   columns,
		nulls:   spec.Nulls,
		numbers: map[string]int{},
		seen:    make([]bool, len(columns)),
	}
	for i, name := range columns {
		j.numbers[columnName(name)] = i
	}
	for i, name := range columns {
		j.numbers[name] = i // a name as it stands goes before a name that was made of another
	}
	return j
}

func (j *objects) parse(data []byte, last bool, o *out) (int, error) {
	at, ready := j.head(data, last)
	for ready {
		next := j.between(data, at)
		j.line += int64(bytes.Count(data[at:next], newline))
		if at = next; at == len(data) {
			break
		}
		end := literal.ScanValue(data, at, 0)
		if !last && (end == literal.CutShort || end == len(data)) {
			return at, nil
		}
		reason := ""
		switch {
		case j.closed:
			end, reason = literal.NotJSON, "text follows the end of the array"
		case end < 0:
			reason = "the text is not JSON"
		case data[at] != '{':
			reason = "the value is not a JSON object"
		default:
			reason = j.object(data[at:end], o)
		}
		if end < 0 {
			line, taken := firstLine(data[at:])
			if !last && data[at+taken-1] != '\n' {
				return at, nil
			}
			end = at + len(line)
		}
		if err := j.finish(data[at:end], reason, o); err != nil {
			return at, err
		}
		j.line += int64(bytes.Count(data[at:end], newline))
		at = end
	}
	if last && ready && j.array && !j.closed {
		return at, o.reject(j.line, nil, "the array has no closing bracket: the file is cut short")
	}
	return at, nil
}

// finish ends the row at hand, or rejects it for a reason.
func (j *objects) finish(raw []byte, reason string, o *out) error {
	if reason != "" {
		return o.reject(j.line, raw, reason)
	}
	return o.row(j.line)
}

// between skips what stands between objects: white space, commas and the brackets of the array.
func (j *objects) between(b []byte, at int) int {
	for {
		at = literal.ScanSpace(b, at)
		switch {
		case at == len(b):
			return at
		case !j.started:
			j.started = true
			if j.array = b[at] == '['; !j.array {
				return at
			}
		case j.array && !j.closed && b[at] == ',':
		case j.array && !j.closed && b[at] == ']':
			j.closed = true
		default:
			return at
		}
		at++
	}
}

// object puts the values of an object, which scanValue accepted, into the row at hand, or gives the reason why not.
func (j *objects) object(b []byte, o *out) (reason string) {
	clear(j.seen)
	j.each(b, func(key, raw []byte) bool {
		n, known := j.number(key)
		switch {
		case !known:
			reason = j.unknown(string(key))
		case j.seen[n]:
			reason = fmt.Sprintf("the key %s stands twice in the object", quoted(key))
		default:
			j.seen[n] = true
			reason = j.value(n, raw, o)
		}
		return reason == ""
	})
	for n, seen := range j.seen {
		if !seen {
			o.batch.columns[n].setNull(o.batch.rows)
		}
	}
	return reason
}

// number gives the column of a key: the one of that name, or of the name that columnName makes of it.
func (j *objects) number(key []byte) (int, bool) {
	n, known := j.numbers[string(key)]
	if !known {
		if n, known = j.numbers[columnName(string(key))]; known {
			j.numbers[string(key)] = n
		}
	}
	return n, known
}

// each calls take with the keys and values of an object that scanValue accepted, until take gives false. The key is good
// until take returns.
func (j *objects) each(b []byte, take func(key, raw []byte) bool) {
	for at := literal.ScanSpace(b, 1); b[at] != '}'; {
		keyEnd := literal.ScanString(b, at)
		from := literal.ScanSpace(b, literal.ScanSpace(b, keyEnd)+1)
		to := literal.ScanValue(b, from, 1)
		key := b[at+1 : keyEnd-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = literal.AppendUnescaped(nil, key)
		}
		if !take(key, b[from:to]) {
			return
		}
		if at = literal.ScanSpace(b, to); b[at] == ',' {
			at = literal.ScanSpace(b, at+1)
		}
	}
}

// text gives what a JSON string says; it is good until the next call.
func (j *objects) text(raw []byte) []byte {
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		j.room = literal.AppendUnescaped(j.room[:0], text)
		text = j.room
	}
	return text
}

func (j *objects) unknown(key string) string {
	reason := fmt.Sprintf("the key %s is none of the columns", quoted([]byte(key)))
	if near := diag.DidYouMean(key, j.names); near != "" {
		reason += ". " + near
	}
	return reason
}

// value puts one JSON value into a column: strings are read as in a CSV file, numbers and booleans must fit, and a text
// column takes the JSON text of anything else.
func (j *objects) value(column int, raw []byte, o *out) string {
	v, n := o.batch.columns[column], o.batch.rows
	switch {
	case raw[0] == 'n':
		v.setNull(n)
		return ""
	case raw[0] == '"':
		return o.value(column, j.text(raw), true, j.nulls)
	case v.kind == driver.Bigint:
		if whole, ok := wholeNumber(raw); ok {
			v.words[n] = whole
			return ""
		}
	}
	if what := v.parse(n, raw); what != literal.Good {
		return badValue(o.layout.columns[column].Name, v.kind, raw, what)
	}
	return ""
}

// wholeNumber reads a whole number that is written with a fraction or exponent, such as 1.0, as many programs write it.
func wholeNumber(raw []byte) (int64, bool) {
	if !bytes.ContainsAny(raw, ".eE") {
		return 0, false
	}
	f, v := literal.ParseDouble(raw)
	if v != literal.Good || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}
