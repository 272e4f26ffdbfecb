package template

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/template/jinja"
	"damson/internal/template/value"
)

func (r *render) binary(e *jinja.BinaryExpr, s *scope) (starlark.Value, error) {
	x, err := r.value(e.X, s)
	if err != nil {
		return nil, err
	}
	y, err := r.value(e.Y, s)
	if err != nil {
		return nil, err
	}
	if e.Op == syntax.STARSTAR {
		return r.power(e, x, y)
	}
	if err := r.fits(e, x, y); err != nil {
		return nil, err
	}
	if format, ok := x.(starlark.String); ok && e.Op == syntax.PERCENT {
		s, err := value.PercentFormat(string(format), y)
		if err != nil {
			return nil, r.wrap(e.At, "Format does not fit", err)
		}
		return starlark.String(s), r.bounded(e.At, starlark.String(s))
	}
	v, err := starlark.Binary(e.Op, x, y)
	if err != nil {
		if strings.HasPrefix(err.Error(), "unknown binary op") {
			return nil, r.fail(e.At, "Operator does not fit", fmt.Sprintf("%q has no meaning between %s and %s.", e.Text, value.KindOf(x), value.KindOf(y)), operatorHint(e.Text, x, y))
		}
		return nil, r.wrap(e.At, "Operator does not fit", err)
	}
	return v, r.bounded(e.At, v)
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
func (r *render) fits(e *jinja.BinaryExpr, x, y starlark.Value) error {
	size := int64(0)
	switch e.Op {
	case syntax.STAR:
		size = max(repeated(x, y), repeated(y, x))
	case syntax.PERCENT:
		if f, ok := x.(starlark.String); ok {
			size = int64(len(f)+1) * value.Weight(y)
			for _, width := range digitRuns(string(f)) {
				size = max(size, width)
			}
		}
	}
	if size > value.MaxWork {
		return r.tooLarge(e.At)
	}
	return nil
}

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
		if bits := i.BigInt().BitLen() + count.BigInt().BitLen(); bits > 2*value.MaxBits {
			return math.MaxInt64
		}
		return 0
	}
	length := starlark.Len(x)
	if length <= 0 {
		return 0
	}
	k, ok := count.Int64()
	if !ok || k > value.MaxWork {
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
		if _, small := v.Int64(); !small && v.BigInt().BitLen() > value.MaxBits {
			return r.tooLarge(at)
		}
	case *starlark.List:
		return r.step(at, v.Len()/16)
	case starlark.Tuple:
		return r.step(at, len(v)/16)
	}
	return nil
}

func (r *render) power(e *jinja.BinaryExpr, x, y starlark.Value) (starlark.Value, error) {
	base, isInt := x.(starlark.Int)
	exp, expInt := y.(starlark.Int)
	if isInt && expInt && exp.Sign() >= 0 {
		n, ok := exp.Int64()
		if !ok || n > value.MaxBits || int64(base.BigInt().BitLen()-1)*n > value.MaxBits {
			return nil, r.tooLarge(e.At)
		}
		return starlark.MakeBigInt(new(big.Int).Exp(base.BigInt(), big.NewInt(n), nil)), nil
	}
	a, okA := starlark.AsFloat(x)
	b, okB := starlark.AsFloat(y)
	if !okA || !okB {
		return nil, r.fail(e.At, "Operator does not fit", fmt.Sprintf("\"**\" has no meaning between %s and %s.", value.KindOf(x), value.KindOf(y)), "")
	}
	return starlark.Float(math.Pow(a, b)), nil
}

func (r *render) compare(e *jinja.CompareExpr, s *scope) (starlark.Value, error) {
	x, err := r.value(e.First, s)
	if err != nil {
		return nil, err
	}
	for _, c := range e.Rest {
		y, err := r.value(c.Y, s)
		if err != nil {
			return nil, err
		}
		ok, err := value.Holds(c.Op, x, y)
		if err != nil {
			return nil, r.wrap(c.At, "Values cannot be compared", err)
		}
		if !ok {
			return starlark.False, nil
		}
		x = y
	}
	return starlark.True, nil
}
