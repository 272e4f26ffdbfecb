// Package pipeline holds what a project declares, as plain validated data: pipelines, their tasks in order, and models.
// Nothing here reads files, knows a database or tells the time.
package pipeline

import (
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/feature"
)

// Pipeline is a set of tasks with an order, run once for each data interval of its schedule (Airflow: DAG).
type Pipeline struct {
	Name           string         `json:"name"`
	Description    string         `json:"description,omitempty"`
	Owner          string         `json:"owner,omitempty"`
	Schedule       string         `json:"schedule"` // as written; "" = only by hand. schedule.Parse reads it
	Timezone       string         `json:"timezone"` // IANA name; "UTC" by default
	Start          time.Time      `json:"start"`    // first logical date; zero when the pipeline has no schedule
	End            time.Time      `json:"end"`      // last logical date, itself included; zero = open
	Catchup        bool           `json:"catchup"`
	MaxActiveRuns  int            `json:"max_active_runs"`  // 0 = no limit
	MaxActiveTasks int            `json:"max_active_tasks"` // 0 = no limit
	RunTimeout     time.Duration  `json:"run_timeout,omitempty"`
	Params         map[string]any `json:"params,omitempty"`
	On             []string       `json:"on,omitempty"`       // datasets (schema.table): a run is due when they were written
	Deadline       time.Duration  `json:"deadline,omitempty"` // an alert is raised for a run that has not ended this long after its interval's end
	Tasks          []*Task        `json:"tasks"`              // in a topological order; tasks that are free to swap stand as declared
	Version        string         `json:"version"`            // content hash over everything that decides what a run does
	At             diag.Pos       `json:"at"`
}

// Task gives the task of that name, or nil.
func (p *Pipeline) Task(name string) *Task {
	for _, t := range p.Tasks {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// TaskNames lists the tasks' names in their order.
func (p *Pipeline) TaskNames() []string {
	names := make([]string, len(p.Tasks))
	for i, t := range p.Tasks {
		names[i] = t.Name
	}
	return names
}

// Kind says what a task does.
type Kind string

const (
	SQLTask          Kind = "sql"           // a SELECT into a table, or a script
	LoadTask         Kind = "load"          // files into a table
	TrainTask        Kind = "train"         // a model from a table
	ScoreTask        Kind = "score"         // a model's predictions into a table
	FeaturesTask     Kind = "features"      // features of time series into a table
	PythonTask       Kind = "python"        // a Python file in a process of its own
	ShellTask        Kind = "shell"         // a command or script in a process of its own
	HTTPTask         Kind = "http"          // one HTTP request
	BranchTask       Kind = "branch"        // chooses which of the tasks directly after it run
	ShortCircuitTask Kind = "short_circuit" // skips all that comes after it unless a condition holds
	SensorTask       Kind = "sensor"        // waits for something outside without holding a worker
	TriggerTask      Kind = "trigger"       // makes a run of another pipeline
)

// Task is one step of a pipeline. Exactly one of SQL, Load, Train, Score, Features, Process, HTTP, Branch, Condition,
// Sensor and Trigger is set, as Kind says.
type Task struct {
	Name          string        `json:"name"`
	Kind          Kind          `json:"kind"`
	Upstream      []string      `json:"upstream,omitempty"` // names, sorted
	TriggerRule   string        `json:"trigger_rule"`       // a run.TriggerRule; "all_success" by default
	Retries       int           `json:"retries"`
	RetryDelay    time.Duration `json:"retry_delay"`
	RetryBackoff  float64       `json:"retry_backoff"`   // each delay is the last one times this; 1 = constant
	MaxRetryDelay time.Duration `json:"max_retry_delay"` // 0 = no bound
	Timeout       time.Duration `json:"timeout"`         // of one attempt; 0 = none
	DependsOnPast bool          `json:"depends_on_past"`
	// WaitForDownstream: the tasks directly after this one in the run before must have succeeded or been skipped too. It implies DependsOnPast.
	WaitForDownstream bool   `json:"wait_for_downstream,omitempty"`
	Priority          int    `json:"priority"`             // higher starts first
	Pool              string `json:"pool,omitempty"`       // "" = none
	PoolSlots         int    `json:"pool_slots,omitempty"` // slots of the pool it takes; at least 1 with a pool
	Group             string `json:"group,omitempty"`      // the groups it is in, outermost first: "features.windows"
	// Batch says that one execution over several adjacent data intervals gives the same rows as one execution for each:
	// a backfill may then run them together. A batched SQL file may read data_interval_start and _end, not a single ds.
	Batch     bool       `json:"batch"`
	Map       *Map       `json:"map,omitempty"` // one task run for each item; nil = one task run
	SQL       *SQL       `json:"sql,omitempty"`
	Load      *Load      `json:"load,omitempty"`
	Train     *Train     `json:"train,omitempty"`
	Score     *Score     `json:"score,omitempty"`
	Features  *Features  `json:"features,omitempty"`
	Process   *Process   `json:"process,omitempty"` // of kinds python and shell
	HTTP      *HTTP      `json:"http,omitempty"`
	Branch    *Branch    `json:"branch,omitempty"`
	Condition *Condition `json:"condition,omitempty"` // of kind short_circuit
	Sensor    *Sensor    `json:"sensor,omitempty"`
	Trigger   *Trigger   `json:"trigger,omitempty"`
	At        diag.Pos   `json:"at"`
}

// Target gives the table the task writes and how, nil when it writes none. A load adds the rows of its files.
func (t *Task) Target() *Target {
	switch {
	case t.SQL != nil:
		return t.SQL.Target
	case t.Load != nil:
		return &Target{Into: t.Load.Into, Mode: Append}
	case t.Score != nil:
		return &t.Score.Target
	case t.Features != nil:
		return &t.Features.Target
	case t.Process != nil:
		return t.Process.Target
	}
	return nil
}

// Into gives the table the task writes, "" when it writes none.
func (t *Task) Into() string {
	if target := t.Target(); target != nil {
		return target.Into
	}
	return ""
}

// File gives the file the task reads from the project, "" when it reads none: SQL, or the program of a python or shell task.
func (t *Task) File() string {
	switch {
	case t.SQL != nil:
		return t.SQL.File
	case t.Train != nil:
		return t.Train.File
	case t.Score != nil:
		return t.Score.File
	case t.Features != nil:
		return t.Features.File
	case t.Process != nil:
		return t.Process.File
	case t.Branch != nil:
		return t.Branch.File
	case t.Condition != nil:
		return t.Condition.File
	case t.Sensor != nil:
		return t.Sensor.File
	}
	return ""
}

// SQLFiles lists the SQL files the task reads, each once: its own, the one that gives its items, and those of its inputs.
func (t *Task) SQLFiles() []string {
	var files []string
	add := func(file string) {
		if file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	if t.Process == nil {
		add(t.File())
	} else {
		for _, in := range t.Process.Inputs {
			add(in.File)
		}
	}
	if t.Map != nil {
		add(t.Map.File)
	}
	return files
}

// Source gives the SQL file's name, or the table, that a train, score or features task reads its rows from; "" for other
// kinds.
func (t *Task) Source() string {
	switch {
	case t.Train != nil:
		return t.Train.Source
	case t.Score != nil:
		return t.Score.Source
	case t.Features != nil:
		return t.Features.Source
	}
	return ""
}

// ModelName gives the model that a train or score task is about, "" for other kinds.
func (t *Task) ModelName() string {
	switch {
	case t.Train != nil:
		return t.Train.Model
	case t.Score != nil:
		return t.Score.Model
	}
	return ""
}

// Mode is how the rows of a SELECT come into the table.
type Mode string

const (
	Replace Mode = "replace" // the data interval's rows with PartitionBy, else the whole table
	Append  Mode = "append"  // added, at most once for each attempt that commits
	Merge   Mode = "merge"   // rows with the same Keys are replaced, others added
)

// Target is a table that a task writes.
type Target struct {
	Into        string   `json:"into"`                   // schema.table
	PartitionBy string   `json:"partition_by,omitempty"` // a date or timestamp column
	Mode        Mode     `json:"mode"`
	Keys        []string `json:"keys,omitempty"`        // for Merge
	NewColumns  bool     `json:"new_columns,omitempty"` // allow the SELECT to add columns to an existing table
	Storage     Storage  `json:"storage,omitzero"`
}

// Storage says how a table is stored that Damson makes, on databases that give a choice; others do not look at it.
type Storage struct {
	Native        Native     `json:"native,omitempty"`         // of PartitionBy; "" = the table has no partitions of the database's own
	DistributedBy []string   `json:"distributed_by,omitempty"` // Greenplum: the columns whose hash spreads the rows over the segments
	Indexes       [][]string `json:"indexes,omitempty"`        // PostgreSQL: the columns of each index
	Format        string     `json:"format,omitempty"`         // Greenplum: "column", "row" or "heap"; "" = as the database has it
}

// Native is the size of a native partition.
type Native string

const (
	NativeDay   Native = "day"
	NativeMonth Native = "month"
)

// Randomly, as the only name in Storage.DistributedBy, spreads the rows without regard to their values.
const Randomly = "randomly"

// SQL is a SELECT with a target, or (Target nil) a script of statements.
type SQL struct {
	File   string  `json:"file"` // relative to the project, "sql/x.sql"
	Target *Target `json:"target,omitempty"`
	// Loose runs a script outside of a transaction, statement by statement: what has run stays when a later one fails.
	Loose bool `json:"loose,omitempty"`
}

// Column is a declared column of a loaded file: Name, and Type as one of Load's portable types.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // text, bigint, double, boolean, date, time, timestamp
}

// Load reads files into a table. Loading the same file with the same content again changes nothing; a file whose content
// changed replaces the rows it gave before.
type Load struct {
	Files          []string `json:"files"`  // globs, templated, relative to Root; ** crosses directories
	Format         string   `json:"format"` // csv, tsv, json, parquet, plt; gzip and zstd are seen by content
	Into           string   `json:"into"`
	Columns        []Column `json:"columns,omitempty"` // none: names from the header, types from the values
	Root           string   `json:"root,omitempty"`    // templated; file names are kept relative to it. None: the project's directory
	FilenameColumn string   `json:"filename_column,omitempty"`
	LineColumn     string   `json:"line_column,omitempty"` // bigint: the line of the file on which the row begins, from 1
	// FilenameFields takes columns from the path by a regular expression with named groups, for example
	// `Data/(?P<uid>[^/]+)/Trajectory/`.
	FilenameFields string   `json:"filename_fields,omitempty"`
	Header         bool     `json:"header"`     // the first line after SkipLines names the columns
	SkipLines      int      `json:"skip_lines"` // lines at the head of each file that are not data
	Delimiter      string   `json:"delimiter,omitempty"`
	Nulls          []string `json:"nulls,omitempty"` // texts that mean NULL
	MaxRejects     int      `json:"max_rejects"`     // -1 = no bound
	Storage        Storage  `json:"storage,omitzero"`
}

// Train makes a new version of a model from the rows of a table or of a SQL file.
type Train struct {
	Model  string `json:"model"`
	Source string `json:"source"`         // schema.table; with File set, that file's name without folder and ending
	File   string `json:"file,omitempty"` // the SQL file whose SELECT gives the rows, relative to the project
	// Retrain says when a model that has a version is trained again; nil = in every run.
	Retrain *Retrain `json:"retrain,omitempty"`
}

// Retrain says what makes a model due for training: any of its conditions, or a changed declaration. Else the task is skipped.
type Retrain struct {
	NewRows int64 `json:"new_rows,omitempty"` // labelled rows that the newest version did not know; 0 = does not count
	// When is a condition on metrics of the champion's past predictions against labels that came later, such as
	// "accuracy < 0.85" or "auc < champion.auc - 0.05"; "" = none. It needs MinRows such labels.
	When        string `json:"when,omitempty"`
	Predictions string `json:"predictions,omitempty"` // the table that a score task writes
	Labels      string `json:"labels,omitempty"`      // a table with the model's id and target
	MinRows     int64  `json:"min_rows,omitempty"`
}

// Score writes a model's predictions for the rows of a table or of a SQL file.
type Score struct {
	Model   string   `json:"model"`
	Version string   `json:"version,omitempty"` // a number or an alias; "" = the champion
	Source  string   `json:"source"`
	File    string   `json:"file,omitempty"`
	Keep    []string `json:"keep,omitempty"` // further columns of the source to carry into the target
	Target  Target   `json:"target"`
}

// Features computes features of time series: the rows of a table or of a SQL file with equal ID, ordered by Sort, are a
// series, and become one row.
type Features struct {
	Source      string           `json:"source"`
	File        string           `json:"file,omitempty"`
	ID          []string         `json:"id"`
	Sort        []string         `json:"sort"`
	Values      []string         `json:"values"` // columns of numbers, each a series of its own
	Calculators []feature.Choice `json:"calculators"`
	Keep        []string         `json:"keep,omitempty"` // further columns, carried over from a series' first row
	Target      Target           `json:"target"`
}

// Carried lists the columns of the source that stand in the result, each once: ID, Keep and what the target is partitioned by.
func (f *Features) Carried() []string {
	var names []string
	for _, name := range append(slices.Concat(f.ID, f.Keep), f.Target.PartitionBy) {
		if name != "" && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			names = append(names, name)
		}
	}
	return names
}
