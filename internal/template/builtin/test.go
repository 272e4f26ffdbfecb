package builtin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/template/value"
)

// Test answers {{ x is name(args) }}.
type Test func(x starlark.Value, args starlark.Tuple) (bool, error)

// Tests are Jinja's.
var Tests map[string]Test

// UnknownTest is the error of a name that is no test.
func UnknownTest(name string) error {
	return diag.Finding{Severity: diag.Error, Summary: "Unknown test", Detail: fmt.Sprintf("There is no test %q.", name), Fix: diag.DidYouMean(name, slices.Sorted(maps.Keys(Tests)))}
}

func init() {
	compare := func(op syntax.Token) Test {
		return withArg(func(x, y starlark.Value) (bool, error) { return value.Holds(op, x, y) })
	}
	eq, ne, lt, le, gt, ge := compare(syntax.EQL), compare(syntax.NEQ), compare(syntax.LT), compare(syntax.LE), compare(syntax.GT), compare(syntax.GE)
	Tests = map[string]Test{
		"defined":   kind(func(x starlark.Value) bool { _, ok := x.(*value.Undefined); return !ok }),
		"undefined": kind(func(x starlark.Value) bool { _, ok := x.(*value.Undefined); return ok }),
		"none":      kind(func(x starlark.Value) bool { return x == starlark.None }),
		"boolean":   kind(func(x starlark.Value) bool { _, ok := x.(starlark.Bool); return ok }),
		"true":      kind(func(x starlark.Value) bool { b, ok := x.(starlark.Bool); return ok && bool(b) }),
		"false":     kind(func(x starlark.Value) bool { b, ok := x.(starlark.Bool); return ok && !bool(b) }),
		"integer":   kind(func(x starlark.Value) bool { _, ok := x.(starlark.Int); return ok }),
		"float":     kind(func(x starlark.Value) bool { _, ok := x.(starlark.Float); return ok }),
		"number":    kind(func(x starlark.Value) bool { _, ok := starlark.AsFloat(x); return ok }),
		"string":    kind(func(x starlark.Value) bool { _, ok := x.(starlark.String); return ok }),
		"mapping":   kind(func(x starlark.Value) bool { _, ok := x.(starlark.Mapping); return ok }),
		"iterable": kind(func(x starlark.Value) bool {
			_, text := x.(starlark.String)
			_, ok := x.(starlark.Iterable)
			return ok || text
		}),
		"sequence": kind(func(x starlark.Value) bool { return starlark.Len(x) >= 0 }),
		"callable": kind(func(x starlark.Value) bool { _, ok := x.(starlark.Callable); return ok }),
		"lower":    kind(func(x starlark.Value) bool { s := value.Text(x); return s == strings.ToLower(s) }),
		"upper":    kind(func(x starlark.Value) bool { s := value.Text(x); return s == strings.ToUpper(s) }),
		"even":     parity(0), "odd": parity(1),
		"divisibleby": withArg(func(x, y starlark.Value) (bool, error) {
			rest, err := starlark.Binary(syntax.PERCENT, x, y)
			return err == nil && !bool(rest.Truth()), err
		}),
		"eq": eq, "equalto": eq, "==": eq, "ne": ne, "!=": ne, "lt": lt, "lessthan": lt, "<": lt, "le": le, "<=": le,
		"gt": gt, "greaterthan": gt, ">": gt, "ge": ge, ">=": ge, "in": compare(syntax.IN),
		"sameas": withArg(func(x, y starlark.Value) (bool, error) { return same(x, y), nil }),
		"filter": kind(func(x starlark.Value) bool { return Filters[value.Text(x)] != nil }),
		"test":   kind(func(x starlark.Value) bool { return Tests[value.Text(x)] != nil }),
	}
}

// kind makes a test without arguments.
func kind(f func(x starlark.Value) bool) Test {
	return func(x starlark.Value, args starlark.Tuple) (bool, error) {
		if len(args) > 0 {
			return false, fmt.Errorf("it takes no argument")
		}
		return f(x), nil
	}
}

// withArg makes a test with one argument.
func withArg(f func(x, y starlark.Value) (bool, error)) Test {
	return func(x starlark.Value, args starlark.Tuple) (bool, error) {
		if len(args) != 1 {
			return false, fmt.Errorf("it takes one argument and was given %d", len(args))
		}
		return f(x, args[0])
	}
}

func parity(rest int) Test {
	return func(x starlark.Value, args starlark.Tuple) (bool, error) {
		i, ok := x.(starlark.Int)
		if !ok || len(args) > 0 {
			return false, fmt.Errorf("it asks about an integer, not %s", value.KindOf(x))
		}
		return starlark.MakeInt(rest) == i.Mod(starlark.MakeInt(2)), nil
	}
}

// same reports identity: the same object, or equal values of the same simple type.
func same(x, y starlark.Value) bool {
	switch x := x.(type) {
	case starlark.Tuple:
		other, ok := y.(starlark.Tuple)
		return ok && len(x) == len(other) && (len(x) == 0 || &x[0] == &other[0])
	case *starlark.List, *starlark.Dict:
		return x == y
	}
	equal, err := starlark.Equal(x, y)
	return err == nil && equal && x.Type() == y.Type()
}
