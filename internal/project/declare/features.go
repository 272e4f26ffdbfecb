package declare

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/pipeline"
)

// featuresTask is p.features(…).
func (e *evaluation) featuresTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.FeaturesTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	f := &pipeline.Features{Source: c.required("source", "shop.visits")}
	td.Task.Features = f
	f.ID = c.someColumns("id", `["customer"]`)
	f.Sort = c.someColumns("sort", `"visited_at"`)
	f.Values = c.someColumns("values", `["amount"]`)
	f.Keep = c.columns("keep", `["country"]`)
	f.Calculators = c.calculators("calculators")
	f.Target = c.target(c.required("into", "shop.customer_features"), td.Task.Name)
	td.Task.Batch = c.boolean("batch", false)
	c.checkBatch(td.Task)
	c.checkFeatures(f, td.Task.Name)
	return e.add(c, td)
}

// someColumns reads a column or a list of at least one.
func (c *call) someColumns(key, example string) []string {
	names := c.columns(key, example)
	if len(names) == 0 && !c.badList(key) {
		c.report(c.at, "Missing argument", fmt.Sprintf("Add %s = %s, for example.", key, example), "%s needs %s.", c.name, key)
	}
	return names
}

// calculators reads a set, a calculator, a dict of calculators by the names they are to get, or a list of these.
func (c *call) calculators(key string) []feature.Choice {
	const example = `["minimal", "quantile__q_0.9"]`
	v := c.value(key)
	if v == nil {
		return []feature.Choice{{Name: "minimal"}}
	}
	items, isList := sequence(v)
	if !isList {
		items = []starlark.Value{v}
	}
	var list []feature.Choice
	for _, item := range items {
		if name, isText := starlark.AsString(item); isText {
			list = append(list, feature.Choice{Name: name})
			continue
		}
		dict, isDict := item.(*starlark.Dict)
		if !isDict {
			c.wrong(key, "calculators", item, example)
			continue
		}
		for _, pair := range dict.Items() {
			as, isText := starlark.AsString(pair[0])
			name, alsoText := starlark.AsString(pair[1])
			if !isText || !alsoText {
				c.wrong(key, "a dict of calculators by the names they are to get", pair[1], `{"p90": "quantile__q_0.9"}`)
				continue
			}
			c.checkColumn(key, as)
			list = append(list, feature.Choice{Name: name, As: as})
		}
	}
	if len(items) == 0 {
		c.report(c.place(key), "No calculators", "Write for example calculators = "+example+".", "calculators of %s is empty.", c.name)
	}
	return list
}

// checkFeatures judges the calculators, and the columns that the task will write.
func (c *call) checkFeatures(f *pipeline.Features, task string) {
	features, err := feature.Select(f.Calculators)
	var wrong diag.Findings
	if errors.As(err, &wrong) {
		for _, w := range wrong {
			w.At, w.Severity = c.place("calculators"), diag.Error
			c.e.findings = append(c.e.findings, w)
		}
	}
	taken := f.Carried()
	for _, name := range f.Values {
		for _, ft := range features {
			column := ft.Column(name)
			if slices.ContainsFunc(taken, func(t string) bool { return strings.EqualFold(t, column) }) {
				c.report(c.place("keep"), "One column twice", "Rename it in the source's SELECT, or leave it out.",
					"Task %s carries over a column %q, and computes one of that name.", task, column)
			}
		}
	}
	for i, name := range f.Values {
		if slices.ContainsFunc(f.Values[:i], func(n string) bool { return strings.EqualFold(n, name) }) {
			c.report(c.place("values"), "One column twice", "Name it once.", "values of task %s has %q twice.", task, name)
		}
		if slices.ContainsFunc(f.ID, func(n string) bool { return strings.EqualFold(n, name) }) {
			c.report(c.place("values"), "One column twice", "Remove it from id, or from values.",
				"Column %q of task %s tells the series apart, so it is the same throughout each of them.", name, task)
		}
	}
}
