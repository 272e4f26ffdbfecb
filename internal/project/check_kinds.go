package project

import (
	"fmt"

	"damson/internal/diag"
	"damson/internal/pipeline"
)

// resolveDatasets finds who writes the tables that make a pipeline run, and spells them as the writer does.
func (l *loader) resolveDatasets(d *pipelineDecl, all []writer) {
	at := placeOf(d.at, "on", d.pipeline.At)
	for i, name := range d.pipeline.On {
		var tables []string
		found := false
		for _, w := range all {
			tables = append(tables, w.task.task.Into())
			if w.table != tableKey(name) {
				continue
			}
			if !found {
				d.pipeline.On[i], found = w.task.task.Into(), true
			}
			if w.task.pipeline == d {
				l.errorf(at, "Pipeline starts itself", "Remove the dataset, or write the table in another pipeline.",
					"Pipeline %s runs when %s is written, which its own task %s does: it would never stop.", d.pipeline.Name, name, w.task.task.Name)
				break
			}
		}
		if !found && !l.incomplete {
			l.warn(at, "Dataset that nothing writes", suggest(name, tables, `Write the table with into = "`+name+`" in another pipeline.`),
				"Pipeline %s runs when %s is written, and no task of the project writes it.", d.pipeline.Name, name)
		}
	}
}

// checkChoices judges the tasks that decide what runs after them.
func (l *loader) checkChoices(d *pipelineDecl) {
	for _, t := range d.tasks {
		if t.task.Kind != pipeline.BranchTask && t.task.Kind != pipeline.ShortCircuitTask {
			continue
		}
		_, names := d.after(t)
		if len(names) == 0 {
			l.warn(t.task.At, "Nothing after the decision", fmt.Sprintf("Order tasks after it: %s >> ….", t.task.Name),
				"Task %s decides what runs after it, but nothing does.", t.task.Name)
			continue
		}
		if t.task.Branch == nil || isTemplated(t.task.Branch.Choose) {
			continue
		}
		for _, name := range pipeline.Choices(t.task.Branch.Choose) {
			if contains(names, name) {
				continue
			}
			l.errorf(t.pos("choose"), "Choice that does not follow", suggest(name, names, "Name what stands directly after it: "+listNames(names)+"."),
				"Task %s chooses %q, which is no task or group directly after it.", t.task.Name, name)
		}
	}
}

// checkPools judges the pools that tasks take slots of. A mistake that many tasks inherit is reported once, where it stands.
func (l *loader) checkPools(d *pipelineDecl) {
	place := func(t *taskDecl, key string) diag.Pos {
		return placeOf(t.at, key, placeOf(d.at, key, placeOf(l.defaultsAt, key, t.task.At)))
	}
	for _, t := range d.tasks {
		name := t.task.Pool
		if name == "" {
			continue
		}
		size, ok := l.project.Pools[name]
		switch {
		case !ok:
			l.once(diag.Finding{At: place(t, "pool"), Severity: diag.Error, Summary: "Unknown pool",
				Detail: fmt.Sprintf("%s declares no pool %q.", ConfigFile, name),
				Fix:    suggest(name, sortedKeys(l.project.Pools), fmt.Sprintf("Add `pools: {%s: 4}` to %s.", name, ConfigFile))})
		case t.task.PoolSlots > size:
			at := place(t, "pool_slots")
			if !has(t, "pool_slots") && has(t, "pool") {
				at = place(t, "pool")
			}
			l.once(diag.Finding{At: at, Severity: diag.Error, Summary: "More slots than the pool has",
				Detail: fmt.Sprintf("%d slots of pool %s are asked for, which has %d: the task could never start.", t.task.PoolSlots, name, size),
				Fix:    fmt.Sprintf("Ask for at most %d, or enlarge the pool in %s.", size, ConfigFile)})
		}
	}
}

// checkOthers judges the tasks that speak of other pipelines, or of runs of their own.
func (l *loader) checkOthers(d *pipelineDecl) {
	for _, t := range d.tasks {
		switch {
		case t.task.Sensor != nil && t.task.Sensor.Pipeline != "":
			l.checkSensed(d, t)
		case t.task.Trigger != nil && t.task.Trigger.Pipeline != "":
			l.checkTriggered(d, t)
		}
	}
}

// declared gives the pipeline of a name; one that is not there is a finding.
func (l *loader) declared(t *taskDecl, name, what string) *pipelineDecl {
	if d := l.byName[name]; d != nil || l.incomplete {
		return d
	}
	names := make([]string, 0, len(l.project.Pipelines))
	for _, p := range l.project.Pipelines {
		names = append(names, p.Name)
	}
	l.errorf(t.pos("pipeline"), "Unknown pipeline", suggest(name, names, "Name a pipeline of the project: "+listNames(names)+"."),
		"Task %s %s pipeline %q, which no file declares.", t.task.Name, what, name)
	return nil
}

// checkSensed judges the pipeline and the task that a sensor waits for.
func (l *loader) checkSensed(d *pipelineDecl, t *taskDecl) {
	s := t.task.Sensor
	other := l.declared(t, s.Pipeline, "waits for")
	if other == nil {
		return
	}
	if s.Task != "" {
		names := make([]string, len(other.tasks))
		for i, task := range other.tasks {
			names[i] = task.task.Name
		}
		if !contains(names, s.Task) {
			l.errorf(t.pos("task"), "Unknown task", suggest(s.Task, names, "Name a task of that pipeline: "+listNames(names)+"."),
				"Task %s waits for %q, which pipeline %s does not have.", t.task.Name, s.Task, s.Pipeline)
			return
		}
	}
	at := t.pos("pipeline")
	if !has(t, "pipeline") {
		at = t.pos("task")
	}
	switch {
	case other != d || s.Offset < 0:
	case s.Offset > 0 && s.Task == "":
		l.errorf(at, "Waits for a later run", `Look back instead: offset = "-1d".`,
			"Task %s keeps each run of pipeline %s from ending before a later one has.", t.task.Name, s.Pipeline)
	case s.Offset == 0 && s.Task == "":
		l.errorf(at, "Waits for its own run", `Name another pipeline, or an earlier run: offset = "-1d".`,
			"Task %s waits until the run has succeeded that it is a part of.", t.task.Name)
	case s.Offset == 0:
		l.errorf(at, "Waits for its own run", fmt.Sprintf("Order the two: %s >> %s.", s.Task, t.task.Name),
			"Task %s waits for task %s of the same run; that is what order is for.", t.task.Name, s.Task)
	}
}

// checkTriggered judges the pipeline that a trigger makes a run of.
func (l *loader) checkTriggered(d *pipelineDecl, t *taskDecl) {
	tr := t.task.Trigger
	other := l.declared(t, tr.Pipeline, "triggers")
	if other == nil {
		return
	}
	params := sortedKeys(other.pipeline.Params)
	for _, name := range sortedKeys(tr.Params) {
		if !contains(params, name) {
			l.errorf(t.pos("params"), "Undeclared parameter", suggest(name, params, fmt.Sprintf("Add params = {%q: …} to pipeline %s.", name, tr.Pipeline)),
				"Task %s gives %s, which pipeline %s does not declare.", t.task.Name, name, tr.Pipeline)
		}
	}
	if other == d && tr.Date == "" {
		l.errorf(t.pos("pipeline"), "Triggers its own run", "Give the date of another run, or remove the task.",
			"Task %s would begin anew the run that it is a part of.", t.task.Name)
	}
}
