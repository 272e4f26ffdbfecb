package pipeline

import (
	"strings"
	"time"
	"unicode"
)

// Map makes one task run for each item: Items as declared, or the rows of the SELECT in File, evaluated when the task may
// start. A template reads the item as "item" and its number, from 0, as "map_index".
type Map struct {
	Items []any  `json:"items,omitempty"` // texts, numbers, booleans, lists and dicts of them
	File  string `json:"file,omitempty"`  // relative to the project; one column gives its value, several give a dict
}

// Process is a program that runs in a process group of its own, with its working directory in the project's directory.
type Process struct {
	// File is the program, relative to the project: Python of a python task, a script for sh of a shell task. Exactly one of
	// File and Command is set.
	File    string            `json:"file,omitempty"`
	Command string            `json:"command,omitempty"` // of a shell task: a line for sh -c, templated
	Args    []string          `json:"args,omitempty"`    // templated
	Env     map[string]string `json:"env,omitempty"`     // further environment variables, values templated
	// Inputs are tables (schema.table) or SQL files that the program finds as Parquet files: the path of input "points" is in
	// DAMSON_INPUT_POINTS.
	Inputs []Input `json:"inputs,omitempty"`
	// Target, when set, takes the rows that the program wrote as a Parquet file to the path in DAMSON_OUTPUT.
	Target *Target `json:"target,omitempty"`
}

// Input is a table or the rows of a SELECT, by the name under which a program finds it.
type Input struct {
	Name  string `json:"name"`
	Table string `json:"table,omitempty"`
	File  string `json:"file,omitempty"` // relative to the project
}

// HTTP is one request. All texts are templated.
type HTTP struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Expect  []int             `json:"expect,omitempty"` // status codes that are success; none = 200 to 299
}

// Branch chooses which of the tasks directly after it run; the others are skipped. Exactly one of the two is set.
type Branch struct {
	File   string `json:"file,omitempty"`   // SELECT whose first column names tasks or groups, one a row
	Choose string `json:"choose,omitempty"` // template that gives names, separated by commas or white space
}

// Choices reads the names that a branch chooses, from the text of Choose as rendered.
func Choices(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// Condition is true or false. Exactly one of the two is set. NULL, no row, "", 0, "false", "no" and "none" are false.
type Condition struct {
	File string `json:"file,omitempty"` // SELECT whose first value decides
	When string `json:"when,omitempty"` // template whose text decides
}

// Sensor waits until what it looks for is there. Exactly one of File, Files, Until, After and Pipeline is set.
type Sensor struct {
	File     string        `json:"file,omitempty"`     // SELECT whose first value is true
	Files    string        `json:"files,omitempty"`    // glob, templated, relative to the project: at least one file is there
	Until    string        `json:"until,omitempty"`    // template that gives a date or time in the pipeline's zone
	After    time.Duration `json:"after,omitempty"`    // this long after the end of the data interval
	Pipeline string        `json:"pipeline,omitempty"` // the run of that pipeline whose data interval holds this one's start (moved by Offset) succeeded
	Task     string        `json:"task,omitempty"`     // … or this task of it
	Offset   time.Duration `json:"offset,omitempty"`
	Every    time.Duration `json:"every"`               // between two looks
	Patience time.Duration `json:"patience,omitempty"`  // 0 = for ever; else the task fails after it
	SoftFail bool          `json:"soft_fail,omitempty"` // is skipped instead of failed when its patience ends
}

// Trigger makes a run of another pipeline, for its data interval that holds this run's start, or clears that run.
type Trigger struct {
	Pipeline string            `json:"pipeline"`
	Params   map[string]string `json:"params,omitempty"` // templated
	Date     string            `json:"date,omitempty"`   // templated; "" = this run's logical date
	Wait     bool              `json:"wait,omitempty"`   // ends as that run ends, waiting without a worker
}

// NeedsWarehouse reports whether the task's work touches the warehouse, which not every process has open.
func (t *Task) NeedsWarehouse() bool {
	switch t.Kind {
	case PythonTask, ShellTask:
		return t.Process != nil && (t.Process.Target != nil || len(t.Process.Inputs) > 0) || t.Map != nil && t.Map.File != ""
	case HTTPTask, TriggerTask:
		return t.Map != nil && t.Map.File != ""
	case BranchTask:
		return t.Branch != nil && t.Branch.File != ""
	case ShortCircuitTask:
		return t.Condition != nil && t.Condition.File != ""
	case SensorTask:
		return t.Sensor != nil && t.Sensor.File != ""
	}
	return true
}
