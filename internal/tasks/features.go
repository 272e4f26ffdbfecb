package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/feature"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/series"
	"damson/internal/sqltext"
	"damson/internal/template/airflow"
	"damson/internal/warehouse"
)

// featuresExecutor computes features of time series.
type featuresExecutor struct{ *Shop }

// Execute has the database sort the source's rows, reads them beside the transaction, appends a row for each series to a
// table of their own inside it, and moves them from there into the target.
func (e featuresExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	source, err := e.source(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	columns, err := e.Warehouse.Describe(ctx, source)
	if err != nil {
		return engine.Outcome{}, err
	}
	plan, err := series.NewPlan(*w.Task.Features, columns, source.Pos(0))
	if err != nil {
		return engine.Outcome{}, err
	}
	var outcome engine.Outcome
	err = e.Warehouse.Do(ctx, w.Claims, func(tx *warehouse.Tx) (any, error) {
		rows, err := e.Warehouse.Query(ctx, plan.Select(source))
		if err != nil {
			return nil, err
		}
		extracted, err := plan.Extract(ctx, rows, e.Project.Environment.Limits.Threads)
		if err != nil {
			rows.Release()
			return nil, err
		}
		defer extracted.Release()
		all, each, err := appendInto(ctx, tx, w, extracted, plan.Columns(), w.Task.Features.Target)
		outcome = outcomeOf(w, all, each, func(rows written) any { return rows })
		return recorded(outcome), atSource(w, err, source)
	})
	return outcome, err
}

// atSource puts a finding about the rows that were written, whose SELECT is not the user's, at the source.
func atSource(w engine.Work, err error, source sqltext.Text) error {
	var f diag.Finding
	if !errors.As(err, &f) || f.At.File != w.Task.At.File {
		return err
	}
	f.At = source.Pos(0)
	f.Detail = strings.ReplaceAll(strings.ReplaceAll(f.Detail, "The SELECT", "The task"), "the SELECT", "the task")
	return f
}

// previewFeatures shows the rows that the series are made of, in their order, and the columns that come of them.
func (s *Shop) previewFeatures(t *pipeline.Task, c airflow.Context, r run.Run) (string, error) {
	var text sqltext.Text
	var err error
	if t.File() != "" {
		text, err = s.fileText(t, c)
	} else {
		text, err = tableRows(t, t.Source())
	}
	if err != nil {
		return "", err
	}
	f := t.Features
	features, err := feature.Select(f.Calculators)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(heading(t, r))
	fmt.Fprintf(&b, "-- a series for each %s, ordered by %s; each becomes a row of\n", strings.Join(f.ID, ", "), strings.Join(f.Sort, ", "))
	fmt.Fprintf(&b, "--   %s\n", strings.Join(f.Carried(), ", "))
	for _, v := range f.Values {
		for _, ft := range features {
			fmt.Fprintf(&b, "--   %s\n", ft.Column(v))
		}
	}
	return b.String() + text.SQL(), nil
}
