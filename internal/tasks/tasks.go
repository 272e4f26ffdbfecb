// Package tasks holds what each kind of task does: one file a kind, each an engine.Executor. Its central type is Shop,
// which has what they share: the project, its warehouse, its models and its past.
//
// A task's rows and its ledger row commit in one transaction of the warehouse. The package decides neither when a task runs
// nor what its outcome means for others: that is the engine's.
package tasks

import (
	"context"
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
	"damson/internal/template"
	"damson/internal/warehouse"
)

// Past tells which runs there were; *store.Store is one.
type Past interface {
	Runs(ctx context.Context, f store.RunFilter) ([]run.Run, error)
}

// Shop is where tasks are executed. All exported fields are required to
// execute; Preview needs Project, Past and Clock only.
type Shop struct {
	Project   *project.Project
	Warehouse *warehouse.Warehouse
	Registry  *registry.Registry
	Past      Past
	Clock     clock.Clock
	Parquet   ParquetReader

	past sync.Map // *template.Template → whether it asks for runs before its own
}

// Executors gives the shop's executor for each kind of task.
func (s *Shop) Executors() map[pipeline.Kind]engine.Executor {
	return map[pipeline.Kind]engine.Executor{
		pipeline.SQLTask:   advised{sqlExecutor{s}, s.Project},
		pipeline.LoadTask:  advised{loadExecutor{s}, s.Project},
		pipeline.TrainTask: advised{trainExecutor{s}, s.Project},
		pipeline.ScoreTask: advised{scoreExecutor{s}, s.Project},
	}
}

// Context gives what a template of the task may read for these runs. The runs before are looked up only when the template
// asks for them.
func (s *Shop) Context(ctx context.Context, p *pipeline.Pipeline, t *pipeline.Task, first run.Run, end time.Time, attempt int) (template.Context, error) {
	zone, err := zoneOf(p)
	if err != nil {
		return template.Context{}, err
	}
	c := template.Context{
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

// readsPast reports whether the task's SQL file asks for the latest successful run before its own (the names that begin
// with prev_).
func (s *Shop) readsPast(t *pipeline.Task) bool {
	tmpl := s.Project.Template(t.File())
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

// render gives the SQL file of the work's task as it will run.
func (s *Shop) render(ctx context.Context, w engine.Work) (sqltext.Text, error) {
	c, err := s.Context(ctx, w.Pipeline, w.Task, w.Runs[0], w.End, w.Claims[0].Attempt)
	if err != nil {
		return sqltext.Text{}, err
	}
	return s.Project.Render(w.Task, c)
}

// source gives the SELECT of a train or score task: its SQL file rendered, or its table.
func (s *Shop) source(ctx context.Context, w engine.Work) (sqltext.Text, error) {
	if w.Task.File() != "" {
		return s.render(ctx, w)
	}
	return tableSource(w.Task)
}

// tableSource is the SELECT that stands for a source that is a table.
func tableSource(t *pipeline.Task) (sqltext.Text, error) {
	schema, name, err := sqltext.ParseName(t.Source())
	if err != nil {
		return sqltext.Text{}, diag.Finding{At: t.At, Summary: "No table to read", Detail: err.Error(), Fix: "Correct source in the pipeline's file."}
	}
	quoted := sqltext.QuoteIdent(name)
	if schema != "" {
		quoted = sqltext.QuoteIdent(schema) + "." + quoted
	}
	return sqltext.Plain(t.At.File, "select * from "+quoted), nil
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
