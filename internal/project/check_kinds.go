package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/pipeline"
	"damson/internal/project/declare"
	"damson/internal/project/source"
)

// resolveDatasets finds who writes the tables that make a pipeline run, and spells them as the writer does.
func (l *loader) resolveDatasets(d *declare.Pipeline, all []writer) {
	at := placeOf(d.At, "on", d.Pipeline.At)
	for i, name := range d.Pipeline.On {
		var tables []string
		found := false
		for _, w := range all {
			tables = append(tables, w.task.Task.Into())
			if w.table != tableKey(name) {
				continue
			}
			if !found {
				d.Pipeline.On[i], found = w.task.Task.Into(), true
			}
			if w.task.Pipeline == d {
				l.errorf(at, "Pipeline starts itself", "Remove the dataset, or write the table in another pipeline.",
					"Pipeline %s runs when %s is written, which its own task %s does: it would never stop.", d.Pipeline.Name, name, w.task.Task.Name)
				break
			}
		}
		if !found && !l.incomplete {
			l.warn(at, "Dataset that nothing writes", suggest(name, tables, `Write the table with into = "`+name+`" in another pipeline.`),
				"Pipeline %s runs when %s is written, and no task of the project writes it.", d.Pipeline.Name, name)
		}
	}
}

// checkChoices judges the tasks that decide what runs after them.
func (l *loader) checkChoices(d *declare.Pipeline) {
	for _, t := range d.Tasks {
		if t.Task.Kind != pipeline.BranchTask && t.Task.Kind != pipeline.ShortCircuitTask {
			continue
		}
		_, names := d.After(t)
		if len(names) == 0 {
			l.warn(t.Task.At, "Nothing after the decision", fmt.Sprintf("Order tasks after it: %s >> ….", t.Task.Name),
				"Task %s decides what runs after it, but nothing does.", t.Task.Name)
			continue
		}
		if t.Task.Branch == nil || source.IsTemplated(t.Task.Branch.Choose) {
			continue
		}
		for _, name := range pipeline.Choices(t.Task.Branch.Choose) {
			if slices.Contains(names, name) {
				continue
			}
			l.errorf(t.Pos("choose"), "Choice that does not follow", suggest(name, names, "Name what stands directly after it: "+source.ListNames(names)+"."),
				"Task %s chooses %q, which is no task or group directly after it.", t.Task.Name, name)
		}
	}
}

// checkPools judges the pools that tasks take slots of. A mistake that many tasks inherit is reported once, where it stands.
func (l *loader) checkPools(d *declare.Pipeline) {
	place := func(t *declare.Task, key string) diag.Pos {
		return placeOf(t.At, key, placeOf(d.At, key, placeOf(l.defaultsAt, key, t.Task.At)))
	}
	for _, t := range d.Tasks {
		name := t.Task.Pool
		if name == "" {
			continue
		}
		size, ok := l.project.Pools[name]
		switch {
		case !ok:
			l.once(diag.Finding{At: place(t, "pool"), Severity: diag.Error, Summary: "Unknown pool",
				Detail: fmt.Sprintf("%s declares no pool %q.", ConfigFile, name),
				Fix:    suggest(name, slices.Sorted(maps.Keys(l.project.Pools)), fmt.Sprintf("Add `pools: {%s: 4}` to %s.", name, ConfigFile))})
		case t.Task.PoolSlots > size:
			at := place(t, "pool_slots")
			if !has(t, "pool_slots") && has(t, "pool") {
				at = place(t, "pool")
			}
			l.once(diag.Finding{At: at, Severity: diag.Error, Summary: "More slots than the pool has",
				Detail: fmt.Sprintf("%d slots of pool %s are asked for, which has %d: the task could never start.", t.Task.PoolSlots, name, size),
				Fix:    fmt.Sprintf("Ask for at most %d, or enlarge the pool in %s.", size, ConfigFile)})
		}
	}
}

// checkOthers judges the tasks that speak of other pipelines, or of runs of their own.
func (l *loader) checkOthers(d *declare.Pipeline) {
	for _, t := range d.Tasks {
		switch {
		case t.Task.Sensor != nil && t.Task.Sensor.Pipeline != "":
			l.checkSensed(d, t)
		case t.Task.Trigger != nil && t.Task.Trigger.Pipeline != "":
			l.checkTriggered(d, t)
		}
	}
}

// declared gives the pipeline of a name; one that is not there is a finding.
func (l *loader) declared(t *declare.Task, name, what string) *declare.Pipeline {
	if d := l.byName[name]; d != nil || l.incomplete {
		return d
	}
	names := make([]string, 0, len(l.project.Pipelines))
	for _, p := range l.project.Pipelines {
		names = append(names, p.Name)
	}
	l.errorf(t.Pos("pipeline"), "Unknown pipeline", suggest(name, names, "Name a pipeline of the project: "+source.ListNames(names)+"."),
		"Task %s %s pipeline %q, which no file declares.", t.Task.Name, what, name)
	return nil
}

// checkSensed judges the pipeline and the task that a sensor waits for.
func (l *loader) checkSensed(d *declare.Pipeline, t *declare.Task) {
	s := t.Task.Sensor
	other := l.declared(t, s.Pipeline, "waits for")
	if other == nil {
		return
	}
	if s.Task != "" {
		names := make([]string, len(other.Tasks))
		for i, task := range other.Tasks {
			names[i] = task.Task.Name
		}
		if !slices.Contains(names, s.Task) {
			l.errorf(t.Pos("task"), "Unknown task", suggest(s.Task, names, "Name a task of that pipeline: "+source.ListNames(names)+"."),
				"Task %s waits for %q, which pipeline %s does not have.", t.Task.Name, s.Task, s.Pipeline)
			return
		}
	}
	at := t.Pos("pipeline")
	if !has(t, "pipeline") {
		at = t.Pos("task")
	}
	switch {
	case other != d || s.Offset < 0:
	case s.Offset > 0 && s.Task == "":
		l.errorf(at, "Waits for a later run", `Look back instead: offset = "-1d".`,
			"Task %s keeps each run of pipeline %s from ending before a later one has.", t.Task.Name, s.Pipeline)
	case s.Offset == 0 && s.Task == "":
		l.errorf(at, "Waits for its own run", `Name another pipeline, or an earlier run: offset = "-1d".`,
			"Task %s waits until the run has succeeded that it is a part of.", t.Task.Name)
	case s.Offset == 0:
		l.errorf(at, "Waits for its own run", fmt.Sprintf("Order the two: %s >> %s.", s.Task, t.Task.Name),
			"Task %s waits for task %s of the same run; that is what order is for.", t.Task.Name, s.Task)
	}
}

// checkTriggered judges the pipeline that a trigger makes a run of.
func (l *loader) checkTriggered(d *declare.Pipeline, t *declare.Task) {
	tr := t.Task.Trigger
	other := l.declared(t, tr.Pipeline, "triggers")
	if other == nil {
		return
	}
	params := slices.Sorted(maps.Keys(other.Pipeline.Params))
	for _, name := range slices.Sorted(maps.Keys(tr.Params)) {
		if !slices.Contains(params, name) {
			l.errorf(t.Pos("params"), "Undeclared parameter", suggest(name, params, fmt.Sprintf("Add params = {%q: …} to pipeline %s.", name, tr.Pipeline)),
				"Task %s gives %s, which pipeline %s does not declare.", t.Task.Name, name, tr.Pipeline)
		}
	}
	if other == d && tr.Date == "" {
		l.errorf(t.Pos("pipeline"), "Triggers its own run", "Give the date of another run, or remove the task.",
			"Task %s would begin anew the run that it is a part of.", t.Task.Name)
	}
}

// Bounds of PostgreSQL and its family: bytes of a column's name, and numbers that fit into a row, which lies on one page.
const (
	longestName = 63
	mostNumbers = 1000
)

// checkFeatures judges the columns of features tasks by what the environment's warehouse can hold.
func (l *loader) checkFeatures(d *declare.Pipeline) {
	if l.project.Environment.Embedded() {
		return
	}
	for _, t := range d.Tasks {
		if t.Task.Features == nil {
			continue
		}
		features, err := feature.Select(t.Task.Features.Calculators)
		if err != nil {
			continue // a finding already
		}
		long, example := 0, ""
		for _, v := range t.Task.Features.Values {
			for _, f := range features {
				if name := f.Column(v); len(name) > longestName {
					long++
					example = name
				}
			}
		}
		if long > 0 {
			l.errorf(t.Pos("calculators"), "Column names too long", fmt.Sprintf(`Give such features short names, for example calculators = [{"short": %q}], or leave them out.`, strings.SplitN(example, "__", 2)[1]),
				"Task %s makes %d columns with names of more than %d bytes, which the warehouse (%s) would cut off, for example %s.",
				t.Task.Name, long, longestName, l.project.Environment.Kind(), example)
		}
		if n := len(features) * len(t.Task.Features.Values); n > mostNumbers {
			l.errorf(t.Pos("calculators"), "Too many columns", "Choose fewer calculators, or write a table for each of the values.",
				"Task %s makes %d columns; a row of the warehouse (%s) holds about %d numbers.", t.Task.Name, n, l.project.Environment.Kind(), mostNumbers)
		}
	}
}
