package template

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// maxBits bounds integers, which Starlark lets grow without end.
const maxBits = 4096

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
