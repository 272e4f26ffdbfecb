package value

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// Attr gives an attribute as Jinja finds it: a field or method first, then an entry of that name; nil when there is
// neither.
func Attr(x starlark.Value, name string) (starlark.Value, error) {
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

type method = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// stringMethods are Python's string methods that Starlark's strings do not have, and format with specifications.
var stringMethods map[string]method

func init() {
	stringMethods = map[string]method{
		"center":   justify(0),
		"format":   stringFormat,
		"ljust":    justify(-1),
		"rjust":    justify(1),
		"swapcase": swapcase,
		"zfill":    zfill,
	}
}

func zfill(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var width int
	if err := starlark.UnpackArgs("zfill", args, kwargs, "width", &width); err != nil {
		return nil, err
	}
	s := Text(b.Receiver())
	sign := ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		sign, s = s[:1], s[1:]
	}
	v, err := Pad(s, width-len(sign), "0", 1)
	if err != nil {
		return nil, err
	}
	return starlark.String(sign + Text(v)), nil
}

func justify(side int) method {
	return func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		width, fill := 0, " "
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "width", &width, "fillchar?", &fill); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, fmt.Errorf("it fills with one character, not %q", fill)
		}
		return Pad(Text(b.Receiver()), width, fill, side)
	}
}

func swapcase(_ *starlark.Thread, b *starlark.Builtin, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return starlark.String(strings.Map(func(r rune) rune {
		if up := strings.ToUpper(string(r)); up != string(r) {
			return []rune(up)[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, Text(b.Receiver()))), nil
}

// Pad fills text up to a width: side -1 puts it to the left, 1 to the right, 0 in the middle.
func Pad(s string, width int, fill string, side int) (starlark.Value, error) {
	if width > MaxText {
		return nil, fmt.Errorf("the width %d is too large", width)
	}
	n := max(0, width-utf8.RuneCountInString(s))
	left := 0
	switch side {
	case 0:
		left = n/2 + n&width&1 // where Python puts the odd blank
	case 1:
		left = n
	}
	return starlark.String(strings.Repeat(fill, left) + s + strings.Repeat(fill, n-left)), nil
}
