package builtin

import (
	"fmt"

	"go.starlark.net/starlark"

	"damson/internal/template/value"
)

// maxRange bounds range(), as Jinja's sandbox does.
const maxRange = 1_000_000

// Globals are the functions that Jinja gives every template.
var Globals = starlark.StringDict{
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
	ns := &value.Namespace{Fields: map[string]starlark.Value{}}
	for _, arg := range args {
		m, ok := arg.(starlark.IterableMapping)
		if !ok {
			return nil, fmt.Errorf("it takes names and values, not %s", value.KindOf(arg))
		}
		for _, kv := range m.Items() {
			ns.Fields[value.Text(kv[0])] = kv[1]
		}
	}
	for _, kv := range kwargs {
		ns.Fields[value.Text(kv[0])] = kv[1]
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
	return &value.Record{Kind: "cycler", Names: func() []string { return []string{"current", "next", "reset"} },
		Get: func(name string) (starlark.Value, error) {
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
