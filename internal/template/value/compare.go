package value

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Holds reports whether a comparison is true. Membership works on strings, lists, tuples and dicts.
func Holds(op syntax.Token, x, y starlark.Value) (bool, error) {
	if op == syntax.IN || op == syntax.NOT_IN {
		if _, ok := x.(starlark.String); !ok {
			if _, ok := y.(starlark.String); ok {
				return false, fmt.Errorf("%s cannot be part of a string", KindOf(x))
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
