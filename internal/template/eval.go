package template

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
)

// maxBits bounds integers, which Starlark lets grow without end.
const maxBits = 4096

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

func (r *render) binary(e *binaryExpr, s *scope) (starlark.Value, error) {
	x, err := r.value(e.x, s)
	if err != nil {
		return nil, err
	}
	y, err := r.value(e.y, s)
	if err != nil {
		return nil, err
	}
	if e.op == syntax.STARSTAR {
		return r.power(e, x, y)
	}
	if err := r.fits(e, x, y); err != nil {
		return nil, err
	}
	if format, ok := x.(starlark.String); ok && e.op == syntax.PERCENT {
		s, err := percentFormat(string(format), y)
		if err != nil {
			return nil, r.wrap(e.at, "Format does not fit", err)
		}
		return starlark.String(s), r.bounded(e.at, starlark.String(s))
	}
	v, err := starlark.Binary(e.op, x, y)
	if err != nil {
		if strings.HasPrefix(err.Error(), "unknown binary op") {
			return nil, r.fail(e.at, "Operator does not fit", fmt.Sprintf("%q has no meaning between %s and %s.", e.text, kindOf(x), kindOf(y)), operatorHint(e.text, x, y))
		}
		return nil, r.wrap(e.at, "Operator does not fit", err)
	}
	return v, r.bounded(e.at, v)
}

func kindOf(v starlark.Value) string {
	switch v.(type) {
	case starlark.NoneType:
		return "None"
	case starlark.Int:
		return "an integer"
	}
	return "a " + v.Type()
}

func operatorHint(op string, x, y starlark.Value) string {
	_, xs := x.(starlark.String)
	_, ys := y.(starlark.String)
	if op == "+" && (xs || ys) {
		return "Write ~ to join values as text."
	}
	return ""
}

// fits refuses operations whose result would be far too large, before memory is taken for it.
func (r *render) fits(e *binaryExpr, x, y starlark.Value) error {
	size := int64(0)
	switch e.op {
	case syntax.STAR:
		size = max(repeated(x, y), repeated(y, x))
	case syntax.PERCENT:
		if f, ok := x.(starlark.String); ok {
			size = int64(len(f)+1) * weight(y)
			for _, width := range digitRuns(string(f)) {
				size = max(size, width)
			}
		}
	}
	if size > maxWork {
		return r.tooLarge(e.at)
	}
	return nil
}

// maxWork bounds the bytes that one string operation may touch, estimated from above.
const maxWork = 1 << 28

func (r *render) tooLarge(at int) error {
	return r.fail(at, "Value too large", "The result of this operation would not fit the limits of a template.", "")
}

// repeated is the size of x repeated n times, when that is what x * n means.
func repeated(x, n starlark.Value) int64 {
	count, ok := n.(starlark.Int)
	if !ok {
		return 0
	}
	if i, ok := x.(starlark.Int); ok {
		if bits := i.BigInt().BitLen() + count.BigInt().BitLen(); bits > 2*maxBits {
			return math.MaxInt64
		}
		return 0
	}
	length := starlark.Len(x)
	if length <= 0 {
		return 0
	}
	k, ok := count.Int64()
	if !ok || k > maxWork {
		return math.MaxInt64
	}
	return int64(length) * k
}

// digitRuns gives the numbers in a format such as %100000d.
func digitRuns(format string) []int64 {
	var runs []int64
	n, in := int64(0), false
	for _, c := range format + " " {
		if '0' <= c && c <= '9' {
			n, in = min(n*10+int64(c-'0'), math.MaxInt32), true
		} else if in {
			runs = append(runs, n)
			n, in = 0, false
		}
	}
	return runs
}

// weight is about the number of bytes in a value's text, one level deep.
func weight(v starlark.Value) int64 {
	switch v := v.(type) {
	case starlark.String:
		return int64(len(v)) + 1
	case starlark.Tuple:
		total := int64(1)
		for _, x := range v {
			total += shallowWeight(x)
		}
		return total
	case *starlark.List:
		total := int64(1)
		for i := range v.Len() {
			total += shallowWeight(v.Index(i))
		}
		return total
	}
	return shallowWeight(v)
}

func shallowWeight(v starlark.Value) int64 {
	if s, ok := v.(starlark.String); ok {
		return int64(len(s)) + 1
	}
	return int64(max(starlark.Len(v), 0))*8 + 16
}

// bounded refuses a result that is too large.
func (r *render) bounded(at int, v starlark.Value) error {
	switch v := v.(type) {
	case starlark.String:
		if len(v) > r.limits.Output {
			return r.tooLarge(at)
		}
		if len(v) >= 64 {
			return r.step(at, len(v)/64)
		}
	case starlark.Int:
		if _, small := v.Int64(); !small && v.BigInt().BitLen() > maxBits {
			return r.tooLarge(at)
		}
	case *starlark.List:
		return r.step(at, v.Len()/16)
	case starlark.Tuple:
		return r.step(at, len(v)/16)
	}
	return nil
}

func (r *render) power(e *binaryExpr, x, y starlark.Value) (starlark.Value, error) {
	base, isInt := x.(starlark.Int)
	exp, expInt := y.(starlark.Int)
	if isInt && expInt && exp.Sign() >= 0 {
		n, ok := exp.Int64()
		if !ok || n > maxBits || int64(base.BigInt().BitLen()-1)*n > maxBits {
			return nil, r.tooLarge(e.at)
		}
		return starlark.MakeBigInt(new(big.Int).Exp(base.BigInt(), big.NewInt(n), nil)), nil
	}
	a, okA := starlark.AsFloat(x)
	b, okB := starlark.AsFloat(y)
	if !okA || !okB {
		return nil, r.fail(e.at, "Operator does not fit", fmt.Sprintf("\"**\" has no meaning between %s and %s.", kindOf(x), kindOf(y)), "")
	}
	return starlark.Float(math.Pow(a, b)), nil
}

func (r *render) compare(e *compareExpr, s *scope) (starlark.Value, error) {
	x, err := r.value(e.first, s)
	if err != nil {
		return nil, err
	}
	for _, c := range e.rest {
		y, err := r.value(c.y, s)
		if err != nil {
			return nil, err
		}
		ok, err := r.holds(c.op, x, y)
		if err != nil {
			return nil, r.wrap(c.at, "Values cannot be compared", err)
		}
		if !ok {
			return starlark.False, nil
		}
		x = y
	}
	return starlark.True, nil
}

// holds reports whether a comparison is true. Membership works on strings, lists, tuples and dicts.
func (r *render) holds(op syntax.Token, x, y starlark.Value) (bool, error) {
	if op == syntax.IN || op == syntax.NOT_IN {
		if _, ok := x.(starlark.String); !ok {
			if _, ok := y.(starlark.String); ok {
				return false, fmt.Errorf("%s cannot be part of a string", kindOf(x))
			}
		}
		if _, ok := y.(starlark.Mapping); ok {
			if _, err := x.Hash(); err != nil {
				return false, err
			}
		}
		v, err := starlark.Binary(op, x, y)
		if err != nil {
			return false, err
		}
		return bool(v.Truth()), nil
	}
	return starlark.Compare(op, x, y)
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
	at := r.src.Pos(e.at)
	return &undefined{why: func() diag.Finding {
		return diag.Finding{At: at, Summary: "No value", Detail: "The condition of this if is false, and it has no else.", Fix: "Add else '' when nothing should be written."}
	}}, nil
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
