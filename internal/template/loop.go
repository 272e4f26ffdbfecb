package template

import (
	"fmt"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/template/jinja"
	"damson/internal/template/value"
)

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
	return &value.Undefined{Why: func() diag.Finding {
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
	def   *jinja.MacroDef
	r     *render
	scope *scope // where it was defined
}

func (m *macro) String() string        { return "<macro " + m.def.Name + ">" }
func (m *macro) Name() string          { return m.def.Name }
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
		return starlark.String(m.def.Name), nil
	case "arguments":
		names := make(starlark.Tuple, len(m.def.Params))
		for i, p := range m.def.Params {
			names[i] = starlark.String(p.Name)
		}
		return names, nil
	case "caller":
		return starlark.Bool(m.def.Caller), nil
	case "catch_kwargs":
		return starlark.Bool(m.def.Kwargs), nil
	case "catch_varargs":
		return starlark.Bool(m.def.Varargs), nil
	}
	return nil, nil
}

// CallInternal renders the macro to a string, for use inside an expression.
func (m *macro) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	text, err := m.r.capture(func() error { return m.r.invoke(m, args, kwargs) })
	return starlark.String(text), err
}
