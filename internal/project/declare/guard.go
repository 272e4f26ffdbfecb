package declare

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// factorName is the function that guardFactor calls. No Starlark program can write it.
const factorName = "*"

// guardFactor wraps the right side of a multiplication, so that "x" * 1000000000 is refused before it takes the memory.
func guardFactor(e syntax.Expr) syntax.Expr {
	at := syntax.Start(e)
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: at, Name: factorName}, Lparen: at, Args: []syntax.Expr{e}, Rparen: at}
}

// factor is the right side of a multiplication.
type factor struct {
	starlark.Value
	most int
}

// Binary multiplies, unless the product is a text or list of more than most elements.
func (f factor) Binary(op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op != syntax.STAR || side != starlark.Right {
		return nil, nil
	}
	length, times := other, f.Value
	if _, isInt := length.(starlark.Int); isInt {
		length, times = times, length
	}
	if count, isInt := times.(starlark.Int); isInt {
		n := starlark.Len(length)
		if k, ok := count.Int64(); n > 0 && count.Sign() > 0 && (!ok || k > int64(f.most/n)) {
			return nil, fmt.Errorf("%s * %s has more than %d elements", length.Type(), times, f.most)
		}
	}
	return starlark.Binary(syntax.STAR, other, f.Value)
}

func (e *evaluation) factorOf(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch v := args[0].(type) {
	case starlark.Float, starlark.Bool, starlark.NoneType:
		return v, nil
	}
	return factor{Value: args[0], most: e.bounds.elements}, nil
}

// boundedRange is range with a bound on its length: list(range(n)) takes its memory in one step.
func (e *evaluation) boundedRange(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	v, err := starlark.Call(t, starlark.Universe["range"], args, kwargs)
	if err == nil && starlark.Len(v) > e.bounds.elements {
		return nil, fmt.Errorf("%s has more than %d elements", v, e.bounds.elements)
	}
	return v, err
}
