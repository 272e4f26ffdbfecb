package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/template/builtin"
	"damson/internal/template/jinja"
	"damson/internal/template/value"
)

// fail gives an error at an offset of the file being rendered.
func (r *render) fail(at int, summary, detail, fix string) error {
	return diag.Finding{At: r.src.Pos(at), Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix}
}

// wrap gives err as a finding at an offset; one that knows its place already stays as it is.
func (r *render) wrap(at int, summary string, err error) error {
	var f diag.Finding
	if errors.As(err, &f) {
		if f.At.File == "" {
			f.At = r.src.Pos(at)
		}
		return f
	}
	return diag.Finding{At: r.src.Pos(at), Severity: diag.Error, Summary: summary, Detail: sentence(err.Error()), Cause: err}
}

// sentence makes a Starlark message read like ours.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if end := s[len(s)-1]; end != '.' && end != '?' && end != ')' {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// step counts work, and ends a rendering that does too much of it.
func (r *render) step(at int, n int) error {
	r.steps += n
	if r.steps > r.limits.Steps || n < 0 {
		return r.fail(at, "Template does too much", fmt.Sprintf("It evaluated more than %d expressions and statements.", r.limits.Steps), "Look for a loop over too many items.")
	}
	return nil
}

// value evaluates an expression that must be defined.
func (r *render) value(e jinja.Expr, s *scope) (starlark.Value, error) {
	if c, ok := e.(*jinja.ConstExpr); ok {
		return c.Value, nil
	}
	v, err := r.eval(e, s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*value.Undefined); ok && u.Blank {
		return starlark.String(""), nil
	}
	return v, r.defined(e, v)
}

// defined gives the error of an undefined value.
func (r *render) defined(e jinja.Expr, v starlark.Value) error {
	if u, ok := v.(*value.Undefined); ok {
		f := u.Why()
		if f.At.File == "" {
			f.At = r.src.Pos(e.Pos())
		}
		f.Severity = diag.Error
		return f
	}
	return nil
}

// eval evaluates an expression; the result may be undefined.
func (r *render) eval(e jinja.Expr, s *scope) (starlark.Value, error) {
	if err := r.step(e.Pos(), 1); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *jinja.ConstExpr:
		return e.Value, nil
	case *jinja.NameExpr:
		return r.name(e, s)
	case *jinja.AttrExpr:
		return r.attribute(e, s)
	case *jinja.IndexExpr:
		return r.index(e, s)
	case *jinja.SliceExpr:
		return r.slice(e, s)
	case *jinja.CallExpr:
		return r.call(e, s)
	case *jinja.FilterExpr:
		return r.filtered(e, s)
	case *jinja.TestExpr:
		return r.tested(e, s)
	case *jinja.UnaryExpr:
		x, err := r.value(e.X, s)
		if err != nil {
			return nil, err
		}
		v, err := starlark.Unary(e.Op, x)
		if err != nil {
			return nil, r.wrap(e.At, "Operator does not fit", err)
		}
		return v, nil
	case *jinja.NotExpr:
		x, err := r.value(e.X, s)
		if err != nil {
			return nil, err
		}
		return !x.Truth(), nil
	case *jinja.BinaryExpr:
		return r.binary(e, s)
	case *jinja.BoolExpr:
		x, err := r.value(e.X, s)
		if err != nil || bool(x.Truth()) == e.Or {
			return x, err
		}
		return r.value(e.Y, s)
	case *jinja.CompareExpr:
		return r.compare(e, s)
	case *jinja.CondExpr:
		return r.cond(e, s)
	case *jinja.ConcatExpr:
		return r.concat(e, s)
	}
	return r.collection(e, s)
}

func (r *render) collection(e jinja.Expr, s *scope) (starlark.Value, error) {
	switch e := e.(type) {
	case *jinja.ListExpr:
		items, err := r.values(e.Items, s)
		return starlark.NewList(items), err
	case *jinja.TupleExpr:
		items, err := r.values(e.Items, s)
		return starlark.Tuple(items), err
	case *jinja.DictExpr:
		d := starlark.NewDict(len(e.Keys))
		for i := range e.Keys {
			k, err := r.value(e.Keys[i], s)
			if err != nil {
				return nil, err
			}
			v, err := r.value(e.Values[i], s)
			if err != nil {
				return nil, err
			}
			if err := d.SetKey(k, v); err != nil {
				return nil, r.wrap(e.Keys[i].Pos(), "Not a key", err)
			}
		}
		return d, nil
	}
	panic(fmt.Sprintf("expression of type %T", e))
}

func (r *render) values(list []jinja.Expr, s *scope) ([]starlark.Value, error) {
	values := make([]starlark.Value, len(list))
	for i, e := range list {
		v, err := r.value(e, s)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// name looks a name up: what the template bound, then the values given to Render, the set's macros, and Jinja's own.
func (r *render) name(e *jinja.NameExpr, s *scope) (starlark.Value, error) {
	if v := s.get(e.Name); v != nil {
		return v, nil
	}
	if v, ok := r.vars[e.Name]; ok {
		return v, nil
	}
	if def := r.set.macros[e.Name]; def != nil {
		return r.setMacro(def)
	}
	if v, ok := builtin.Globals[e.Name]; ok {
		return v, nil
	}
	at := r.src.Pos(e.At)
	return &value.Undefined{Why: func() diag.Finding {
		known := append(slices.Sorted(maps.Keys(r.vars)), s.all()...)
		known = append(append(known, slices.Sorted(maps.Keys(r.set.macros))...), slices.Sorted(maps.Keys(builtin.Globals))...)
		return unknownName(at, e.Name, known)
	}}, nil
}

func unknownName(at diag.Pos, name string, known []string) diag.Finding {
	return diag.Finding{At: at, Severity: diag.Error, Summary: "Unknown template name",
		Detail: fmt.Sprintf("%q is neither a name of the run's context, nor set in the template, nor a macro.", name),
		Fix:    diag.DidYouMean(name, known)}
}

// text describes an expression in messages.
func text(e jinja.Expr) string {
	switch e := e.(type) {
	case *jinja.NameExpr:
		return e.Name
	case *jinja.AttrExpr:
		return text(e.X) + "." + e.Name
	case *jinja.IndexExpr:
		if c, ok := e.Index.(*jinja.ConstExpr); ok {
			return text(e.X) + "[" + c.Value.String() + "]"
		}
		return text(e.X) + "[…]"
	case *jinja.CallExpr:
		return text(e.Fn) + "(…)"
	}
	return "the value"
}

func (r *render) attribute(e *jinja.AttrExpr, s *scope) (starlark.Value, error) {
	x, err := r.eval(e.X, s)
	if err != nil {
		return nil, err
	}
	if _, ok := x.(*value.Undefined); ok {
		return x, nil
	}
	v, err := value.Attr(x, e.Name)
	if err != nil {
		return nil, r.wrap(e.At, "Attribute not readable", err)
	}
	if v == nil {
		return r.missing(e.At, e.X, x, e.Name), nil
	}
	return v, nil
}

// missing is the value of an attribute or key that is not there.
func (r *render) missing(at int, base jinja.Expr, x starlark.Value, name string) starlark.Value {
	src := r.src
	return &value.Undefined{Why: func() diag.Finding {
		f := diag.Finding{At: src.Pos(at), Summary: "Unknown attribute"}
		if rec, ok := x.(*value.Record); ok && rec.Missing != nil {
			f.Detail, f.Fix = rec.Missing(name)
			return f
		}
		var names []string
		if h, ok := x.(starlark.HasAttrs); ok {
			names = h.AttrNames()
		}
		f.Detail = fmt.Sprintf("%s (a %s) has no %q.", text(base), x.Type(), name)
		if m, ok := x.(starlark.IterableMapping); ok {
			f.Detail = fmt.Sprintf("%s has no %q.", text(base), name)
			names = append(keyNames(m), names...)
		}
		if f.Fix = diag.DidYouMean(name, names); f.Fix == "" && len(names) > 0 && len(names) <= 30 {
			f.Fix = "It has: " + strings.Join(names, ", ") + "."
		}
		return f
	}}
}

func keyNames(m starlark.IterableMapping) []string {
	var names []string
	for _, kv := range m.Items() {
		if s, ok := starlark.AsString(kv[0]); ok {
			names = append(names, s)
		}
	}
	return names
}

func (r *render) index(e *jinja.IndexExpr, s *scope) (starlark.Value, error) {
	x, err := r.eval(e.X, s)
	if err != nil {
		return nil, err
	}
	if _, ok := x.(*value.Undefined); ok {
		return x, nil
	}
	key, err := r.value(e.Index, s)
	if err != nil {
		return nil, err
	}
	if m, ok := x.(starlark.Mapping); ok {
		v, found, err := m.Get(key)
		if err != nil {
			return nil, r.wrap(e.At, "Not a key", err)
		}
		if found {
			return v, nil
		}
	}
	if name, ok := starlark.AsString(key); ok {
		v, err := value.Attr(x, name)
		if err != nil {
			return nil, r.wrap(e.At, "Attribute not readable", err)
		}
		if v != nil {
			return v, nil
		}
		return r.missing(e.At, e.X, x, name), nil
	}
	return r.item(e, x, key)
}

// item gives x[i] of a list, tuple or string; a string counts in characters.
func (r *render) item(e *jinja.IndexExpr, x, key starlark.Value) (starlark.Value, error) {
	seq, ok := characters(x).(starlark.Indexable)
	i, isInt := key.(starlark.Int)
	if !ok || !isInt {
		if _, ok := x.(starlark.Mapping); ok {
			return r.missing(e.At, e.X, x, value.Text(key)), nil
		}
		return nil, r.fail(e.At, "Cannot be indexed", fmt.Sprintf("%s is a %s; [%s] has no meaning for it.", text(e.X), x.Type(), key.String()), "")
	}
	n := seq.Len()
	k, inRange := i.Int64()
	if k < 0 {
		k += int64(n)
	}
	if !inRange || k < 0 || k >= int64(n) {
		at := r.src.Pos(e.At)
		return &value.Undefined{Why: func() diag.Finding {
			return diag.Finding{At: at, Summary: "No such item", Detail: fmt.Sprintf("%s has %d items; there is no item [%s].", text(e.X), n, key.String())}
		}}, nil
	}
	return seq.Index(int(k)), nil
}

// characters gives a string that has letters of several bytes as a list of its characters; all else as it is.
func characters(x starlark.Value) starlark.Value {
	s, ok := x.(starlark.String)
	if !ok || utf8.RuneCountInString(string(s)) == len(s) {
		return x
	}
	var list starlark.Tuple
	for _, c := range string(s) {
		list = append(list, starlark.String(c))
	}
	return list
}

func (r *render) slice(e *jinja.SliceExpr, s *scope) (starlark.Value, error) {
	x, err := r.value(e.X, s)
	if err != nil {
		return nil, err
	}
	bounds := [3]int{}
	given := [3]bool{}
	for i, b := range []jinja.Expr{e.Lo, e.Hi, e.Step} {
		if b == nil {
			continue
		}
		v, err := r.value(b, s)
		if err != nil {
			return nil, err
		}
		if v == starlark.None {
			continue
		}
		if bounds[i], err = starlark.AsInt32(v); err != nil {
			return nil, r.fail(b.Pos(), "Not a position", fmt.Sprintf("%s is a %s; a slice is cut at whole numbers.", v.String(), v.Type()), "")
		}
		given[i] = true
	}
	seq, ok := characters(x).(starlark.Sliceable)
	if !ok {
		return nil, r.fail(e.At, "Cannot be sliced", fmt.Sprintf("%s is a %s.", text(e.X), x.Type()), "")
	}
	if given[2] && bounds[2] == 0 {
		return nil, r.fail(e.At, "Not a step", "The step of a slice is 0.", "")
	}
	lo, hi, step := sliceBounds(seq.Len(), bounds, given)
	v := seq.Slice(lo, hi, step)
	if _, isString := x.(starlark.String); isString {
		if list, ok := v.(starlark.Tuple); ok {
			var b strings.Builder
			for _, c := range list {
				b.WriteString(value.Text(c))
			}
			v = starlark.String(b.String())
		}
	}
	return v, nil
}

// sliceBounds gives the bounds of [lo:hi:step] over n items as Python counts them.
func sliceBounds(n int, b [3]int, given [3]bool) (lo, hi, step int) {
	step = 1
	if given[2] {
		step = b[2]
	}
	clamp := func(i, low, high int) int {
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	if step > 0 {
		lo, hi = 0, n
		if given[0] {
			lo = clamp(b[0], 0, n)
		}
		if given[1] {
			hi = clamp(b[1], 0, n)
		}
		return lo, max(lo, hi), step
	}
	lo, hi = n-1, -1
	if given[0] {
		lo = clamp(b[0], -1, n-1)
	}
	if given[1] {
		hi = clamp(b[1], -1, n-1)
	}
	return max(lo, hi), hi, step
}

func (r *render) cond(e *jinja.CondExpr, s *scope) (starlark.Value, error) {
	c, err := r.value(e.Cond, s)
	if err != nil {
		return nil, err
	}
	if c.Truth() {
		return r.eval(e.Yes, s)
	}
	if e.No != nil {
		return r.eval(e.No, s)
	}
	return &value.Undefined{Blank: true}, nil
}

func (r *render) concat(e *jinja.ConcatExpr, s *scope) (starlark.Value, error) {
	var b strings.Builder
	for _, part := range e.Parts {
		v, err := r.value(part, s)
		if err != nil {
			return nil, err
		}
		b.WriteString(value.Text(v))
		if b.Len() > r.limits.Output {
			return nil, r.tooLarge(e.At)
		}
	}
	return starlark.String(b.String()), nil
}
