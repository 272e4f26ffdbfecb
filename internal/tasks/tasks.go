// Package tasks holds what each kind of task does: one file a kind, each an engine.Executor. Its central type is Shop,
// which has what they share: the project, its warehouse, its models and its past.
//
// A task's rows and its ledger row commit in one transaction of the warehouse. The package decides neither when a task runs
// nor what its outcome means for others: that is the engine's.
package tasks

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/store"
	"damson/internal/template/airflow"
	"damson/internal/warehouse"
)

// Past tells which runs there were; *store.Store is one.
type Past interface {
	Runs(ctx context.Context, f store.RunFilter) ([]run.Run, error)
	TaskRuns(ctx context.Context, runIDs ...string) ([]run.TaskRun, error)
}

// Renderer renders what a task's declaration holds: its texts, such as a URL, and its SQL files. The errors are
// diag.Findings.
type Renderer interface {
	RenderText(t *pipeline.Task, text string, c airflow.Context) (string, error)
	RenderFile(t *pipeline.Task, file string, c airflow.Context) (sqltext.Text, error)
}

// Shop is where tasks are executed. Project, Renderer, Past and Clock are all that Preview needs, and all that is needed to
// execute tasks whose NeedsWarehouse is false, beside Starter for a trigger.
type Shop struct {
	Project   *project.Project
	Renderer  Renderer
	Warehouse *warehouse.Warehouse // nil where no warehouse is open
	Registry  *registry.Registry
	Past      Past
	Clock     clock.Clock
	Parquet   ParquetReader
	ToParquet ParquetWriter
	Starter   Starter
	Environ   []string // of which programs get a part; nil = this process's

	past sync.Map // *template.Template → whether it asks for runs before its own
}

// Executors gives the shop's executor for each kind of task.
func (s *Shop) Executors() map[pipeline.Kind]engine.Executor {
	executors := map[pipeline.Kind]engine.Executor{
		pipeline.SQLTask:          sqlExecutor{s},
		pipeline.LoadTask:         loadExecutor{s},
		pipeline.TrainTask:        trainExecutor{s},
		pipeline.ScoreTask:        scoreExecutor{s},
		pipeline.FeaturesTask:     featuresExecutor{s},
		pipeline.PythonTask:       processExecutor{s},
		pipeline.ShellTask:        processExecutor{s},
		pipeline.HTTPTask:         httpExecutor{s},
		pipeline.BranchTask:       branchExecutor{s},
		pipeline.ShortCircuitTask: conditionExecutor{s},
		pipeline.SensorTask:       sensorExecutor{s},
		pipeline.TriggerTask:      triggerExecutor{s},
	}
	for kind, x := range executors {
		executors[kind] = advised{mapped{x, s}, s.Project}
	}
	return executors
}

// Context gives what a template of the task may read for these runs. The runs before are looked up only when the template
// asks for them.
func (s *Shop) Context(ctx context.Context, p *pipeline.Pipeline, t *pipeline.Task, first run.Run, end time.Time, attempt int) (airflow.Context, error) {
	zone, err := zoneOf(p)
	if err != nil {
		return airflow.Context{}, err
	}
	c := airflow.Context{
		Pipeline: p.Name, Owner: p.Owner, Schedule: p.Schedule, Location: zone, RunID: first.ID, Trigger: first.Trigger,
		Start: first.Start, End: end, Attempt: attempt, Now: s.Clock.Now(), Params: p.Params,
	}
	if len(first.Params) > 0 {
		c.Params = first.Params
	}
	if !s.readsPast(t) {
		return c, nil
	}
	before, err := s.Past.Runs(ctx, store.RunFilter{
		Pipeline: p.Name, States: []run.State{run.Success}, To: first.Start.Add(-time.Microsecond), Newest: true, Limit: 1,
	})
	if err != nil {
		return c, err
	}
	if len(before) == 1 {
		c.PrevStart, c.PrevEnd = before[0].Start, before[0].End
		c.PrevStarted, c.PrevEnded = before[0].Started, before[0].Ended
	}
	return c, nil
}

// workContext gives what a template of the work's task may read, its item included.
func (s *Shop) workContext(ctx context.Context, w engine.Work) (airflow.Context, error) {
	c, err := s.Context(ctx, w.Pipeline, w.Task, w.Runs[0], w.End, w.Claims[0].Attempt)
	if w.Item != nil {
		c.Item, c.MapIndex, c.HasItem = plainItem(w.Item.Value), w.Item.Index, true
	}
	return c, err
}

// readsPast reports whether one of the task's SQL files or texts asks for the latest successful run before its own (the
// names that begin with prev_).
func (s *Shop) readsPast(t *pipeline.Task) bool {
	for _, text := range texts(t) {
		if strings.Contains(text, "prev_") {
			return true
		}
	}
	return slices.ContainsFunc(t.SQLFiles(), s.fileReadsPast)
}

func (s *Shop) fileReadsPast(file string) bool {
	tmpl := s.Project.Template(file)
	if tmpl == nil {
		return false
	}
	if known, ok := s.past.Load(tmpl); ok {
		return known.(bool)
	}
	reads := false
	for _, ref := range tmpl.Names() {
		reads = reads || strings.HasPrefix(ref.Name, "prev_")
	}
	s.past.Store(tmpl, reads)
	return reads
}

// texts lists the texts of a task's declaration that are rendered.
func texts(t *pipeline.Task) []string {
	var all []string
	switch {
	case t.Load != nil:
		all = append(slices.Clone(t.Load.Files), t.Load.Root)
	case t.Process != nil:
		all = slices.AppendSeq(append(slices.Clone(t.Process.Args), t.Process.Command), maps.Values(t.Process.Env))
	case t.HTTP != nil:
		all = slices.AppendSeq([]string{t.HTTP.URL, t.HTTP.Body}, maps.Values(t.HTTP.Headers))
	case t.Branch != nil:
		all = []string{t.Branch.Choose}
	case t.Condition != nil:
		all = []string{t.Condition.When}
	case t.Sensor != nil:
		all = []string{t.Sensor.Files, t.Sensor.Until}
	case t.Trigger != nil:
		all = slices.AppendSeq([]string{t.Trigger.Date}, maps.Values(t.Trigger.Params))
	}
	return all
}

// render gives the SQL file of the work's task as it will run.
func (s *Shop) render(ctx context.Context, w engine.Work) (sqltext.Text, error) {
	c, err := s.workContext(ctx, w)
	if err != nil {
		return sqltext.Text{}, err
	}
	return s.Project.Render(w.Task, c)
}

// source gives the SELECT of a train, score or features task: its SQL file rendered, or its table.
func (s *Shop) source(ctx context.Context, w engine.Work) (sqltext.Text, error) {
	if w.Task.File() != "" {
		return s.render(ctx, w)
	}
	return tableRows(w.Task, w.Task.Source())
}

// tableRows is the SELECT that stands for a table that a task reads.
func tableRows(t *pipeline.Task, table string) (sqltext.Text, error) {
	quoted, err := quotedTable(table)
	if err != nil {
		return sqltext.Text{}, diag.Finding{At: t.At, Summary: "No table to read", Detail: err.Error(), Fix: "Correct the table's name in the pipeline's file."}
	}
	return sqltext.Asked(t.At, "select * from "+quoted), nil
}

// zoneOf is the zone in which a pipeline's dates are told, in its templates as in the tables that its tasks write.
func zoneOf(p *pipeline.Pipeline) (*time.Location, error) {
	zone, err := time.LoadLocation(p.Timezone)
	if err != nil {
		return nil, diag.Finding{At: p.At, Summary: "Unknown time zone", Detail: err.Error(), Fix: "Use an IANA name such as Europe/Berlin.", Cause: err}
	}
	return zone, nil
}

// into writes the SELECT's rows for the data intervals of the work's runs.
func into(ctx context.Context, tx *warehouse.Tx, w engine.Work, sel sqltext.Text, target pipeline.Target) (all warehouse.Written, each []int64, err error) {
	zone, err := zoneOf(w.Pipeline)
	if err != nil {
		return all, nil, err
	}
	intervals := make([]warehouse.Interval, len(w.Runs))
	for i, r := range w.Runs {
		intervals[i] = warehouse.Interval{Start: r.Start.In(zone), End: r.End.In(zone)}
	}
	return tx.IntoEach(ctx, sel, target, intervals)
}
