package project

import (
	"maps"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/declare"
	"damson/internal/project/source"
)

// taskText is a templated text of a task's declaration, with the argument that holds it.
type taskText struct{ key, text string }

// taskTexts lists what of a task's declaration may be a template.
func taskTexts(t *pipeline.Task) []taskText {
	var list []taskText
	add := func(key string, texts ...string) {
		for _, text := range texts {
			if source.IsTemplated(text) {
				list = append(list, taskText{key, text})
			}
		}
	}
	addDict := func(key string, dict map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(dict)) {
			add(key, dict[name])
		}
	}
	switch {
	case t.Load != nil:
		add("root", t.Load.Root)
		add("files", t.Load.Files...)
	case t.Process != nil:
		add("command", t.Process.Command)
		add("args", t.Process.Args...)
		addDict("env", t.Process.Env)
	case t.HTTP != nil:
		add("url", t.HTTP.URL)
		addDict("headers", t.HTTP.Headers)
		add("body", t.HTTP.Body)
	case t.Branch != nil:
		add("choose", t.Branch.Choose)
	case t.Condition != nil:
		add("when", t.Condition.When)
	case t.Sensor != nil:
		add("files", t.Sensor.Files)
		add("until", t.Sensor.Until)
	case t.Trigger != nil:
		addDict("params", t.Trigger.Params)
		add("date", t.Trigger.Date)
	}
	return list
}

// nameOrFile reads what names a SQL file: a path, or the name of a file without folder and ending.
func (l *loader) nameOrFile(d *declare.Pipeline, text string) string {
	if strings.HasSuffix(text, ".sql") {
		return text
	}
	return l.fileOf(d.Pipeline.Name, text)
}

// suggest gives what a finding about an unknown name advises.
func suggest(name string, names []string, otherwise string) string {
	if fix := diag.DidYouMean(name, names); fix != "" {
		return fix
	}
	return otherwise
}
