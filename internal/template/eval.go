package template

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
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
func (r *render) value(e expr, s *scope) (starlark.Value, error) {
	if c, ok := e.(*constExpr); ok {
		return c.value, nil
	}
	v, err := r.eval(e, s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*undefined); ok && u.blank {
		return starlark.String(""), nil
	}
	return v, r.defined(e, v)
}

// defined gives the error of an undefined value.
func (r *render) defined(e expr, v starlark.Value) error {
	if u, ok := v.(*undefined); ok {
		f := u.why()
		if f.At.File == "" {
			f.At = r.src.Pos(e.pos())
		}
		f.Severity = diag.Error
		return f
	}
	return nil
}

// eval evaluates an expression; the result may be undefined.
func (r *render) eval(e expr, s *scope) (starlark.Value, error) {
	if err := r.step(e.pos(), 1); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *constExpr:
		return e.value, nil
	case *nameExpr:
		return r.name(e, s)
	case *attrExpr:
		return r.attribute(e, s)
	case *indexExpr:
		return r.index(e, s)
	case *sliceExpr:
		return r.slice(e, s)
	case *callExpr:
		return r.call(e, s)
	case *filterExpr:
		return r.filtered(e, s)
	case *testExpr:
		return r.tested(e, s)
	case *unaryExpr:
		x, err := r.value(e.x, s)
		if err != nil {
			return nil, err
		}
		v, err := starlark.Unary(e.op, x)
		if err != nil {
			return nil, r.wrap(e.at, "Operator does not fit", err)
		}
		return v, nil
	case *notExpr:
		x, err := r.value(e.x, s)
		if err != nil {
			return nil, err
		}
		return !x.Truth(), nil
	case *binaryExpr:
		return r.binary(e, s)
	case *boolExpr:
		x, err := r.value(e.x, s)
		if err != nil || bool(x.Truth()) == e.or {
			return x, err
		}
		return r.value(e.y, s)
	case *compareExpr:
		return r.compare(e, s)
	case *condExpr:
		return r.cond(e, s)
	case *concatExpr:
		return r.concat(e, s)
	}
	return r.collection(e, s)
}

func (r *render) collection(e expr, s *scope) (starlark.Value, error) {
	switch e := e.(type) {
	case *listExpr:
		items, err := r.values(e.items, s)
		return starlark.NewList(items), err
	case *tupleExpr:
		items, err := r.values(e.items, s)
		return starlark.Tuple(items), err
	case *dictExpr:
		d := starlark.NewDict(len(e.keys))
		for i := range e.keys {
			k, err := r.value(e.keys[i], s)
			if err != nil {
				return nil, err
			}
			v, err := r.value(e.values[i], s)
			if err != nil {
				return nil, err
			}
			if err := d.SetKey(k, v); err != nil {
				return nil, r.wrap(e.keys[i].pos(), "Not a key", err)
			}
		}
		return d, nil
	}
	panic(fmt.Sprintf("expression of type %T", e))
}

func (r *render) values(list []expr, s *scope) ([]starlark.Value, error) {
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
func (r *render) name(e *nameExpr, s *scope) (starlark.Value, error) {
	if v := s.get(e.name); v != nil {
		return v, nil
	}
	if v, ok := r.vars[e.name]; ok {
		return v, nil
	}
	if def := r.set.macros[e.name]; def != nil {
		return r.setMacro(def)
	}
	if v, ok := globals[e.name]; ok {
		return v, nil
	}
	at := r.src.Pos(e.at)
	return &undefined{why: func() diag.Finding {
		known := append(sortedKeys(r.vars), s.all()...)
		known = append(append(known, sortedKeys(r.set.macros)...), sortedKeys(globals)...)
		return unknownName(at, e.name, known)
	}}, nil
}

func unknownName(at diag.Pos, name string, known []string) diag.Finding {
	return diag.Finding{At: at, Severity: diag.Error, Summary: "Unknown template name",
		Detail: fmt.Sprintf("%q is neither a name of the run's context, nor set in the template, nor a macro.", name),
		Fix:    diag.DidYouMean(name, known)}
}

// text describes an expression in messages.
func text(e expr) string {
	switch e := e.(type) {
	case *nameExpr:
		return e.name
	case *attrExpr:
		return text(e.x) + "." + e.name
	case *indexExpr:
		if c, ok := e.index.(*constExpr); ok {
			return text(e.x) + "[" + c.value.String() + "]"
		}
		return text(e.x) + "[…]"
	case *callExpr:
		return text(e.fn) + "(…)"
	}
	return "the value"
}

func (r *render) attribute(e *attrExpr, s *scope) (starlark.Value, error) {
	x, err := r.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	if _, ok := x.(*undefined); ok {
		return x, nil
	}
	v, err := attr(x, e.name)
	if err != nil {
		return nil, r.wrap(e.at, "Attribute not readable", err)
	}
	if v == nil {
		return r.missing(e.at, e.x, x, e.name), nil
	}
	return v, nil
}

// attr gives an attribute as Jinja finds it: a field or method first, then an entry of that name; nil when there is
// neither.
func attr(x starlark.Value, name string) (starlark.Value, error) {
	if s, ok := x.(starlark.String); ok {
		if m := stringMethods[name]; m != nil {
			return starlark.NewBuiltin(name, m).BindReceiver(s), nil
		}
	}
	if h, ok := x.(starlark.HasAttrs); ok {
		v, err := h.Attr(name)
		var none starlark.NoSuchAttrError
		if err != nil && !errors.As(err, &none) {
			return nil, err
		}
		if v != nil && err == nil {
			return v, nil
		}
	}
	if m, ok := x.(starlark.Mapping); ok {
		if v, found, err := m.Get(starlark.String(name)); err == nil && found {
			return v, nil
		}
	}
	return nil, nil
}

// missing is the value of an attribute or key that is not there.
func (r *render) missing(at int, base expr, x starlark.Value, name string) starlark.Value {
	src := r.src
	return &undefined{why: func() diag.Finding {
		f := diag.Finding{At: src.Pos(at), Summary: "Unknown attribute"}
		if rec, ok := x.(*record); ok && rec.missing != nil {
			f.Detail, f.Fix = rec.missing(name)
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

func (r *render) index(e *indexExpr, s *scope) (starlark.Value, error) {
	x, err := r.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	if _, ok := x.(*undefined); ok {
		return x, nil
	}
	key, err := r.value(e.index, s)
	if err != nil {
		return nil, err
	}
	if m, ok := x.(starlark.Mapping); ok {
		v, found, err := m.Get(key)
		if err != nil {
			return nil, r.wrap(e.at, "Not a key", err)
		}
		if found {
			return v, nil
		}
	}
	if name, ok := starlark.AsString(key); ok {
		v, err := attr(x, name)
		if err != nil {
			return nil, r.wrap(e.at, "Attribute not readable", err)
		}
		if v != nil {
			return v, nil
		}
		return r.missing(e.at, e.x, x, name), nil
	}
	return r.item(e, x, key)
}

// item gives x[i] of a list, tuple or string; a string counts in characters.
func (r *render) item(e *indexExpr, x, key starlark.Value) (starlark.Value, error) {
	seq, ok := characters(x).(starlark.Indexable)
	i, isInt := key.(starlark.Int)
	if !ok || !isInt {
		if _, ok := x.(starlark.Mapping); ok {
			return r.missing(e.at, e.x, x, display(key)), nil
		}
		return nil, r.fail(e.at, "Cannot be indexed", fmt.Sprintf("%s is a %s; [%s] has no meaning for it.", text(e.x), x.Type(), key.String()), "")
	}
	n := seq.Len()
	k, inRange := i.Int64()
	if k < 0 {
		k += int64(n)
	}
	if !inRange || k < 0 || k >= int64(n) {
		at := r.src.Pos(e.at)
		return &undefined{why: func() diag.Finding {
			return diag.Finding{At: at, Summary: "No such item", Detail: fmt.Sprintf("%s has %d items; there is no item [%s].", text(e.x), n, key.String())}
		}}, nil
	}
	return seq.Index(int(k)), nil
}

// characters gives a string that has letters of several bytes as a list of its characters; all else as it is.
func characters(x starlark.Value) starlark.Value {
	s, ok := x.(starlark.String)
	if !ok || runes(string(s)) == len(s) {
		return x
	}
	var list starlark.Tuple
	for _, c := range string(s) {
		list = append(list, starlark.String(c))
	}
	return list
}

func (r *render) slice(e *sliceExpr, s *scope) (starlark.Value, error) {
	x, err := r.value(e.x, s)
	if err != nil {
		return nil, err
	}
	bounds := [3]int{}
	given := [3]bool{}
	for i, b := range []expr{e.lo, e.hi, e.step} {
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
			return nil, r.fail(b.pos(), "Not a position", fmt.Sprintf("%s is a %s; a slice is cut at whole numbers.", v.String(), v.Type()), "")
		}
		given[i] = true
	}
	seq, ok := characters(x).(starlark.Sliceable)
	if !ok {
		return nil, r.fail(e.at, "Cannot be sliced", fmt.Sprintf("%s is a %s.", text(e.x), x.Type()), "")
	}
	if given[2] && bounds[2] == 0 {
		return nil, r.fail(e.at, "Not a step", "The step of a slice is 0.", "")
	}
	lo, hi, step := sliceBounds(seq.Len(), bounds, given)
	v := seq.Slice(lo, hi, step)
	if _, isString := x.(starlark.String); isString {
		if list, ok := v.(starlark.Tuple); ok {
			var b strings.Builder
			for _, c := range list {
				b.WriteString(display(c))
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

func (r *render) cond(e *condExpr, s *scope) (starlark.Value, error) {
	c, err := r.value(e.cond, s)
	if err != nil {
		return nil, err
	}
	if c.Truth() {
		return r.eval(e.yes, s)
	}
	if e.no != nil {
		return r.eval(e.no, s)
	}
	return &undefined{blank: true}, nil
}

func (r *render) concat(e *concatExpr, s *scope) (starlark.Value, error) {
	var b strings.Builder
	for _, part := range e.parts {
		v, err := r.value(part, s)
		if err != nil {
			return nil, err
		}
		b.WriteString(display(v))
		if b.Len() > r.limits.Output {
			return nil, r.tooLarge(e.at)
		}
	}
	return starlark.String(b.String()), nil
}
