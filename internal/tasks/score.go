package tasks

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/engine"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// scoreExecutor writes a version's predictions: the champion's, if its task names no other.
type scoreExecutor struct{ *Shop }

// scoreResult is what a scoring reports.
type scoreResult struct {
	written
	Model   string       `json:"model"`
	Version int          `json:"version"`
	Drift   *driftResult `json:"drift,omitempty"` // rows that differ from those trained on; nil = none was found
}

// driftResult names the features that differ.
type driftResult struct {
	Rows     int64                 `json:"rows"` // that were looked at
	Warning  string                `json:"warning"`
	Features []metric.FeatureDrift `json:"features"`
}

// Execute scores the rows of the source with a version of the model: as SQL in the warehouse, or, when the model is too large
// for that, by streaming the rows through Go. Without a champion, or an alias, the task is skipped.
func (e scoreExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	score := *w.Task.Score
	ref, err := model.ParseReference(score.Version)
	if err != nil {
		return engine.Outcome{}, err
	}
	version, err := e.Registry.Scoring(ctx, score.Model, ref)
	switch {
	case err != nil:
		return engine.Outcome{}, err
	case version == nil && ref.Alias != "":
		return engine.Outcome{Skip: fmt.Sprintf("model %[1]s has no alias %[2]s yet: give it to a version (damson model alias set %[1]s %[2]s VERSION), then run this task again", score.Model, ref.Alias)}, nil
	case version == nil:
		return engine.Outcome{Skip: fmt.Sprintf("model %s has no champion yet: train it, then run this task again", score.Model)}, nil
	}
	source, err := e.source(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	columns, err := e.Warehouse.Describe(ctx, source)
	if err != nil {
		return engine.Outcome{}, err
	}
	small, err := scoring.InSQL(*version)
	if err != nil {
		return engine.Outcome{}, err
	}
	drift := e.drift(ctx, w, *version, source, columns)
	var outcome engine.Outcome
	err = e.Warehouse.Do(ctx, w.Claims, func(tx *warehouse.Tx) (any, error) {
		score := e.scoreInGo
		if small {
			score = e.scoreInSQL
		}
		all, each, err := score(ctx, tx, w, *version, source, columns)
		outcome = outcomeOf(w, all, each, func(rows written) any { return scoreResult{rows, version.Model, version.Number, drift} })
		return recorded(outcome), err
	})
	return outcome, err
}

// drift warns when the rows to be scored differ from those the version was trained on. It is a look besides: whatever is
// wrong with the source, the scoring itself will say.
func (e scoreExecutor) drift(ctx context.Context, w engine.Work, v model.Version, source sqltext.Text, columns []driver.Column) *driftResult {
	d, err := scoring.Drift(ctx, e.Warehouse, e.Warehouse.Kind(), v, source, columns)
	if err != nil {
		w.Log.Warnf("The rows were not compared with the training rows: %s", err)
		return nil
	}
	warning, found := scoring.DriftWarning(v, d)
	if !found {
		return nil
	}
	w.Log.Warnf("%s", warning.Error())
	return &driftResult{Rows: d.Present, Warning: warning.Detail, Features: d.Features[:min(len(d.Features), mostDrifted)]}
}

// mostDrifted is how many features a result describes, those that differ most.
const mostDrifted = 5

func (e scoreExecutor) scoreInSQL(ctx context.Context, tx *warehouse.Tx, w engine.Work, v model.Version, source sqltext.Text, columns []driver.Column) (all warehouse.Written, each []int64, err error) {
	scored, err := scoring.SQL(v, source, columns, *w.Task.Score, e.Warehouse.Kind())
	if err != nil {
		return all, nil, err
	}
	return into(ctx, tx, w, scored, w.Task.Score.Target)
}

// scoreInGo reads the rows beside the transaction, appends the scored ones to a table of their own inside it, and moves
// them from there.
func (e scoreExecutor) scoreInGo(ctx context.Context, tx *warehouse.Tx, w engine.Work, v model.Version, source sqltext.Text, columns []driver.Column) (all warehouse.Written, each []int64, err error) {
	score := *w.Task.Score
	if err := scoring.Check(v, columns, score, source.Pos(0)); err != nil { // Rows sees lists as texts
		return all, nil, err
	}
	rows, err := e.Warehouse.Query(ctx, source)
	if err != nil {
		return all, nil, err
	}
	scored, err := scoring.Rows(ctx, v, rows, score, source.Pos(0), e.Project.Environment.Limits.Threads)
	if err != nil {
		rows.Release()
		return all, nil, err
	}
	defer scored.Release()
	added, err := scoring.Added(v)
	if err != nil {
		return all, nil, err
	}
	return appendInto(ctx, tx, w, scored, scoredColumns(scored.Schema(), columns, added), score.Target)
}

// scoredColumns gives the staging table's columns: those of the source that are carried over, with their types, and those
// that scoring adds.
func scoredColumns(schema *arrow.Schema, source, added []driver.Column) []driver.Column {
	columns := make([]driver.Column, 0, schema.NumFields())
	for _, f := range schema.Fields()[:schema.NumFields()-len(added)] {
		c := driver.Column{Name: f.Name}
		for _, s := range source {
			if s.Name == f.Name {
				c.Type = s.Type
			}
		}
		columns = append(columns, c)
	}
	return append(columns, added...)
}
