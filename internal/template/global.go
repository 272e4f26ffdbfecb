package template

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
)

// maxRange bounds range(), as Jinja's sandbox does.
const maxRange = 1_000_000

// globals are the functions that Jinja gives every template.
var globals = starlark.StringDict{
	"range":     starlark.NewBuiltin("range", rangeOf),
	"dict":      starlark.Universe["dict"],
	"namespace": starlark.NewBuiltin("namespace", newNamespace),
	"cycler":    starlark.NewBuiltin("cycler", newCycler),
	"joiner":    starlark.NewBuiltin("joiner", newJoiner),
}

func rangeOf(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	v, err := starlark.Call(thread, starlark.Universe["range"], args, kwargs)
	if err == nil && starlark.Len(v) > maxRange {
		return nil, fmt.Errorf("a range of %d numbers is more than the %d a template may count", starlark.Len(v), maxRange)
	}
	return v, err
}

func newNamespace(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	ns := &namespace{fields: map[string]starlark.Value{}}
	for _, arg := range args {
		m, ok := arg.(starlark.IterableMapping)
		if !ok {
			return nil, fmt.Errorf("it takes names and values, not %s", kindOf(arg))
		}
		for _, kv := range m.Items() {
			ns.fields[display(kv[0])] = kv[1]
		}
	}
	for _, kv := range kwargs {
		ns.fields[display(kv[0])] = kv[1]
	}
	return ns, nil
}

// newCycler gives a value that goes round its items: next(), current, reset().
func newCycler(_ *starlark.Thread, _ *starlark.Builtin, items starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("it needs at least one item")
	}
	at := 0
	next := func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		item := items[at%len(items)]
		at++
		return item, nil
	}
	reset := func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		at = 0
		return starlark.None, nil
	}
	return &record{kind: "cycler", names: func() []string { return []string{"current", "next", "reset"} },
		get: func(name string) (starlark.Value, error) {
			switch name {
			case "current":
				return items[at%len(items)], nil
			case "next":
				return starlark.NewBuiltin("next", next), nil
			case "reset":
				return starlark.NewBuiltin("reset", reset), nil
			}
			return nil, nil
		}}, nil
}

// newJoiner gives a function that returns "" the first time and the separator ever after.
func newJoiner(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sep := ", "
	if err := starlark.UnpackArgs("joiner", args, kwargs, "sep?", &sep); err != nil {
		return nil, err
	}
	used := false
	return starlark.NewBuiltin("joiner", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		if !used {
			used = true
			return starlark.String(""), nil
		}
		return starlark.String(sep), nil
	}), nil
}

type builtin = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// stringMethods are Python's string methods that Starlark's strings do not have, and format with specifications.
var stringMethods map[string]builtin

func init() {
	stringMethods = map[string]builtin{
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
	s := display(b.Receiver())
	sign := ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		sign, s = s[:1], s[1:]
	}
	v, err := pad(s, width-len(sign), "0", 1)
	if err != nil {
		return nil, err
	}
	return starlark.String(sign + display(v)), nil
}

func justify(side int) builtin {
	return func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		width, fill := 0, " "
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "width", &width, "fillchar?", &fill); err != nil {
			return nil, err
		}
		if runes(fill) != 1 {
			return nil, fmt.Errorf("it fills with one character, not %q", fill)
		}
		return pad(display(b.Receiver()), width, fill, side)
	}
}

func swapcase(_ *starlark.Thread, b *starlark.Builtin, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return starlark.String(strings.Map(func(r rune) rune {
		if up := strings.ToUpper(string(r)); up != string(r) {
			return []rune(up)[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, display(b.Receiver()))), nil
}
