package template

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"damson/internal/diag"
)

// undefined is what a missing name, attribute or key gives. It is an error to use it, except to ask whether it is
// defined or to give it a default.
type undefined struct {
	why   func() diag.Finding // told only when somebody uses it
	blank bool                // using it is no error: it counts as "", as an if without else does
}

func (*undefined) String() string        { return "undefined" }
func (*undefined) Type() string          { return "undefined" }
func (*undefined) Freeze()               {}
func (*undefined) Truth() starlark.Bool  { return false }
func (*undefined) Hash() (uint32, error) { return 0, fmt.Errorf("undefined is no key") }

// display gives a value as Python's str() prints it, which is what {{ }} writes.
func display(v starlark.Value) string {
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

// maxText ends the text of a value that holds itself many times over. It is the most that Limits.Output can be, so what
// was cut is refused and never written.
const maxText = 1 << 25

// represent writes a value as Python's repr() does.
func represent(b *strings.Builder, v starlark.Value, depth int) {
	if depth > 30 || b.Len() > maxText {
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

// record is a value with named attributes and nothing else: loop, namespace, an imported file and the objects of the
// context. get gives nil for a name it does not know.
type record struct {
	kind  string
	names func() []string
	get   func(name string) (starlark.Value, error)
	// missing says why a name is not there and what to do; nil for the usual words.
	missing func(name string) (detail, fix string)
}

func (x *record) String() string        { return "<" + x.kind + ">" }
func (x *record) Type() string          { return x.kind }
func (x *record) Freeze()               {}
func (x *record) Truth() starlark.Bool  { return true }
func (x *record) Hash() (uint32, error) { return 0, fmt.Errorf("%s is no key", x.kind) }
func (x *record) AttrNames() []string   { return x.names() }

func (x *record) Attr(name string) (starlark.Value, error) { return x.get(name) }

// namespace is the one value whose attributes a template may set, also from inside a loop.
type namespace struct{ fields map[string]starlark.Value }

func (x *namespace) String() string        { return "<namespace>" }
func (x *namespace) Type() string          { return "namespace" }
func (x *namespace) Freeze()               {}
func (x *namespace) Truth() starlark.Bool  { return true }
func (x *namespace) Hash() (uint32, error) { return 0, fmt.Errorf("a namespace is no key") }
func (x *namespace) AttrNames() []string   { return sortedKeys(x.fields) }

func (x *namespace) Attr(name string) (starlark.Value, error) { return x.fields[name], nil }

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// loop is what a for block calls loop.
type loop struct {
	r       *render
	items   []starlark.Value
	index   int
	changed starlark.Value // the last argument of loop.changed
}

func (x *loop) String() string        { return "<loop>" }
func (x *loop) Type() string          { return "loop" }
func (x *loop) Freeze()               {}
func (x *loop) Truth() starlark.Bool  { return true }
func (x *loop) Hash() (uint32, error) { return 0, fmt.Errorf("loop is no key") }
func (x *loop) AttrNames() []string   { return loopNames }

var loopNames = []string{"changed", "cycle", "depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0"}

func (x *loop) Attr(name string) (starlark.Value, error) {
	n := len(x.items)
	switch name {
	case "index":
		return starlark.MakeInt(x.index + 1), nil
	case "index0":
		return starlark.MakeInt(x.index), nil
	case "revindex":
		return starlark.MakeInt(n - x.index), nil
	case "revindex0":
		return starlark.MakeInt(n - x.index - 1), nil
	case "first":
		return starlark.Bool(x.index == 0), nil
	case "last":
		return starlark.Bool(x.index == n-1), nil
	case "length":
		return starlark.MakeInt(n), nil
	case "depth":
		return starlark.MakeInt(1), nil
	case "depth0":
		return starlark.MakeInt(0), nil
	case "previtem":
		return x.item(x.index-1, "The first turn of a loop has no item before it.")
	case "nextitem":
		return x.item(x.index+1, "The last turn of a loop has no item after it.")
	case "cycle":
		return starlark.NewBuiltin("loop.cycle", x.cycle), nil
	case "changed":
		return starlark.NewBuiltin("loop.changed", x.hasChanged), nil
	}
	return nil, nil
}

func (x *loop) item(i int, why string) (starlark.Value, error) {
	if i >= 0 && i < len(x.items) {
		return x.items[i], nil
	}
	return &undefined{why: func() diag.Finding {
		return diag.Finding{Summary: "No such item", Detail: why, Fix: "Ask first: {% if loop.previtem is defined %}, {% if not loop.last %}."}
	}}, nil
}

func (x *loop) cycle(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("it needs at least one item to choose from")
	}
	return args[x.index%len(args)], nil
}

func (x *loop) hasChanged(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if x.changed != nil {
		if same, err := starlark.Equal(x.changed, args); err != nil || same {
			return starlark.False, err
		}
	}
	x.changed = args
	return starlark.True, nil
}

// macro is a macro definition that a rendering can call.
type macro struct {
	def   *macroDef
	r     *render
	scope *scope // where it was defined
}

func (m *macro) String() string        { return "<macro " + m.def.name + ">" }
func (m *macro) Name() string          { return m.def.name }
func (m *macro) Type() string          { return "macro" }
func (m *macro) Freeze()               {}
func (m *macro) Truth() starlark.Bool  { return true }
func (m *macro) Hash() (uint32, error) { return 0, fmt.Errorf("a macro is no key") }
func (m *macro) AttrNames() []string {
	return []string{"arguments", "caller", "catch_kwargs", "catch_varargs", "name"}
}

func (m *macro) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(m.def.name), nil
	case "arguments":
		names := make(starlark.Tuple, len(m.def.params))
		for i, p := range m.def.params {
			names[i] = starlark.String(p.name)
		}
		return names, nil
	case "caller":
		return starlark.Bool(m.def.caller), nil
	case "catch_kwargs":
		return starlark.Bool(m.def.kwargs), nil
	case "catch_varargs":
		return starlark.Bool(m.def.varargs), nil
	}
	return nil, nil
}

// CallInternal renders the macro to a string, for use inside an expression.
func (m *macro) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	text, err := m.r.capture(func() error { return m.r.invoke(m, args, kwargs) })
	return starlark.String(text), err
}

// runes counts characters.
func runes(s string) int { return utf8.RuneCountInString(s) }
