// Package value prints, measures and compares the values of templates, which are Starlark's, as Python and Jinja do: Text,
// PercentFormat and the string methods that Starlark lacks. It adds the kinds of value that only templates have: Undefined,
// Record and Namespace.
//
// Nothing here knows of a template or of a place in one: errors are plain sentences, and the caller adds where.
package value

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
)

// Undefined is what a missing name, attribute or key gives. It is an error to use it, except to ask whether it is
// defined or to give it a default.
type Undefined struct {
	Why   func() diag.Finding // told only when somebody uses it
	Blank bool                // using it is no error: it counts as "", as an if without else does
}

func (*Undefined) String() string        { return "undefined" }
func (*Undefined) Type() string          { return "undefined" }
func (*Undefined) Freeze()               {}
func (*Undefined) Truth() starlark.Bool  { return false }
func (*Undefined) Hash() (uint32, error) { return 0, fmt.Errorf("undefined is no key") }

// Text gives a value as Python's str() prints it, which is what {{ }} writes.
func Text(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.String:
		return string(v)
	case starlark.Int, starlark.Bool, starlark.NoneType:
		return v.String()
	}
	var b strings.Builder
	represent(&b, v, 0)
	return b.String()
}

// MaxText ends the text of a value that holds itself many times over. It is the most that Limits.Output can be, so what
// was cut is refused and never written.
const MaxText = 1 << 25

// represent writes a value as Python's repr() does.
func represent(b *strings.Builder, v starlark.Value, depth int) {
	if depth > 30 || b.Len() > MaxText {
		b.WriteString("...")
		return
	}
	items := func(open, closing string, x starlark.Iterable) {
		b.WriteString(open)
		n := 0
		for item := range starlark.Elements(x) {
			if n > 0 {
				b.WriteString(", ")
			}
			represent(b, item, depth+1)
			n++
		}
		if _, ok := x.(starlark.Tuple); ok && n == 1 {
			b.WriteString(",")
		}
		b.WriteString(closing)
	}
	switch v := v.(type) {
	case starlark.String:
		quotePython(b, string(v))
	case starlark.Float:
		b.WriteString(floatText(float64(v)))
	case *starlark.List:
		items("[", "]", v)
	case starlark.Tuple:
		items("(", ")", v)
	case *starlark.Dict:
		b.WriteString("{")
		for i, kv := range v.Items() {
			if i > 0 {
				b.WriteString(", ")
			}
			represent(b, kv[0], depth+1)
			b.WriteString(": ")
			represent(b, kv[1], depth+1)
		}
		b.WriteString("}")
	default:
		b.WriteString(v.String())
	}
}

// quotePython quotes with ' unless the text holds ' and no ".
func quotePython(b *strings.Builder, s string) {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(quote)
}

// floatText gives the shortest digits that read back as f, with an exponent where Python writes one.
func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// KindOf names the kind of a value in messages: "an integer".
func KindOf(v starlark.Value) string {
	switch v.(type) {
	case starlark.NoneType:
		return "None"
	case starlark.Int:
		return "an integer"
	}
	return "a " + v.Type()
}
