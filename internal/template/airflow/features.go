package airflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/sqltext"
	"damson/internal/template/datetime"
	"damson/internal/template/value"
)

var featureFunctions = []string{"columns", "minimal"}

// features is features.minimal(COLUMNS) and features.columns(COLUMNS, CALCULATORS): SELECT items that compute tsfresh's
// features of columns over the rows of a group.
func features() *value.Record {
	minimal := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var columns starlark.Value
		if err := starlark.UnpackArgs("minimal", args, kwargs, "columns", &columns); err != nil {
			return nil, err
		}
		return featureItems(columns, starlark.String("minimal"))
	}
	columns := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var columns, calculators starlark.Value
		if err := starlark.UnpackArgs("columns", args, kwargs, "columns", &columns, "calculators", &calculators); err != nil {
			return nil, err
		}
		return featureItems(columns, calculators)
	}
	return fixed("features", featureFunctions, func(name string) starlark.Value {
		switch name {
		case "minimal":
			return datetime.Func("minimal", minimal)
		case "columns":
			return datetime.Func("columns", columns)
		}
		return nil
	})
}

// featureItems writes the items, one a line. All that is wrong becomes one finding, since a call has one place.
func featureItems(columns, calculators starlark.Value) (starlark.Value, error) {
	names, err := textsOf(columns)
	if err != nil {
		return nil, fmt.Errorf("its columns must be the name of a column or a list of names: %w", err)
	}
	choices, err := choicesOf(calculators)
	if err != nil {
		return nil, err
	}
	chosen, err := feature.Select(choices)
	if err != nil {
		return nil, oneFinding(err)
	}
	var items []string
	for _, name := range names {
		expressions, err := feature.SQL(sqltext.QuoteIdent(name), chosen)
		if err != nil {
			return nil, oneFinding(err)
		}
		for i, expression := range expressions {
			items = append(items, expression+" as "+sqltext.QuoteIdent(chosen[i].Column(name)))
		}
	}
	if len(items) == 0 {
		return nil, errors.New("nothing is asked for: it needs a column and a calculator")
	}
	return starlark.String(strings.Join(items, ",\n")), nil
}

// oneFinding gives the first of several findings, and tells of the others.
func oneFinding(err error) error {
	var all diag.Findings
	if !errors.As(err, &all) || len(all) == 0 {
		return err
	}
	f := all[0]
	if n := len(all) - 1; n > 0 {
		f.Detail += fmt.Sprintf(" (And %d more like it.)", n)
	}
	return f
}

// textsOf reads a text, or a list of texts.
func textsOf(v starlark.Value) ([]string, error) {
	if s, ok := starlark.AsString(v); ok {
		return []string{s}, nil
	}
	list, ok := v.(starlark.Iterable)
	if _, isDict := v.(*starlark.Dict); !ok || isDict {
		return nil, fmt.Errorf("%s is none", value.KindOf(v))
	}
	var texts []string
	for item := range starlark.Elements(list) {
		s, ok := starlark.AsString(item)
		if !ok {
			return nil, fmt.Errorf("%s is none", value.KindOf(item))
		}
		texts = append(texts, s)
	}
	return texts, nil
}

// choicesOf reads what p.features takes as its calculators: a name, a dict of names by what they are to be called, or a list
// of these.
func choicesOf(v starlark.Value) ([]feature.Choice, error) {
	wrong := func(v starlark.Value) error {
		return fmt.Errorf("its calculators must be a set such as 'minimal', the name of a calculator, a dict of names, or a list of these: %s is none", value.KindOf(v))
	}
	items := []starlark.Value{v}
	switch list := v.(type) {
	case *starlark.List:
		items = slices.Collect(starlark.Elements(list))
	case starlark.Tuple:
		items = list
	}
	var choices []feature.Choice
	for _, item := range items {
		if name, isText := starlark.AsString(item); isText {
			choices = append(choices, feature.Choice{Name: name})
			continue
		}
		dict, isDict := item.(*starlark.Dict)
		if !isDict {
			return nil, wrong(item)
		}
		for _, pair := range dict.Items() {
			as, isText := starlark.AsString(pair[0])
			name, alsoText := starlark.AsString(pair[1])
			if !isText || !alsoText || as == "" {
				return nil, wrong(pair[1])
			}
			choices = append(choices, feature.Choice{Name: name, As: as})
		}
	}
	return choices, nil
}
