package tasks

import (
	"context"
	"encoding/json"
	"fmt"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/registry"
	"damson/internal/search"
	"damson/internal/sqltext"
)

// due says whether the model is to be trained, and why or why not.
func (e trainExecutor) due(ctx context.Context, w engine.Work, m pipeline.Model, source sqltext.Text) (why string, due bool, err error) {
	newest, err := e.Registry.Newest(ctx, m.Name)
	if err != nil {
		return "", false, err
	}
	r := w.Task.Train.Retrain
	switch {
	case newest == nil:
		return "it has no version yet", true, nil
	case r == nil:
		return "every run trains it", true, nil
	case newest.RunID == w.Runs[0].ID:
		return "the run that trained its newest version runs again", true, nil
	case specOf(newest.Spec) != specOf(encoded(m)):
		return fmt.Sprintf("its declaration has changed since version %d", newest.Number), true, nil
	}
	not := ""
	if r.NewRows > 0 {
		more, err := e.newRows(ctx, m, *newest, source)
		if err != nil {
			return "", false, err
		}
		what := "labelled rows"
		if m.KMeans != nil {
			what = "rows"
		}
		why = fmt.Sprintf("%d %s are new since version %d", more, what, newest.Number)
		if more >= r.NewRows {
			return why, true, nil
		}
		not = fmt.Sprintf("%s, and %d make it due", why, r.NewRows)
	}
	if r.When != "" {
		why, due, err = e.hasFallen(ctx, w.Task.At, m, *r)
		if err != nil || due {
			return why, due, err
		}
		if not != "" {
			not += "; "
		}
		not += why
	}
	return fmt.Sprintf("model %s is not due: %s", m.Name, not), false, nil
}

func encoded(m pipeline.Model) json.RawMessage {
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("tasks: a model that has no JSON: %v", err)) // it is plain data
	}
	return text
}

// specOf is a declaration without its place in a file, without what its search has found, and without where it is trained and what
// decides afterwards.
func specOf(text json.RawMessage) string {
	var m pipeline.Model
	if json.Unmarshal(text, &m) != nil {
		return string(text)
	}
	m, err := search.Unsearched(m)
	if err != nil {
		return string(text)
	}
	m.At, m.Gates, m.Approval, m.DataStays = pipeline.Model{}.At, nil, "", false
	return string(encoded(m))
}

// newRows counts the rows to learn from, those with a label unless none is needed, that there are now beyond those that a version was trained and judged on.
func (e trainExecutor) newRows(ctx context.Context, m pipeline.Model, newest model.Version, source sqltext.Text) (int64, error) {
	var report metric.Report
	if err := json.Unmarshal(newest.Report, &report); err != nil {
		return 0, fmt.Errorf("read the report of version %d of model %s: %w", newest.Number, m.Name, err)
	}
	var sql sqltext.Builder
	counted := "*"
	if m.KMeans == nil {
		counted = sqltext.QuoteIdent(m.Target)
	}
	sql.Add("SELECT count(" + counted + ") FROM (\n")
	sql.Append(source)
	sql.Add("\n) AS damson_source")
	a, err := e.askSQL(ctx, sql.Text(), 1)
	if err != nil {
		return 0, err
	}
	rows, _ := a.first().(int64)
	return rows - report.Training.Rows - report.Rows, nil
}

// hasFallen judges the champion by the labels that came after its predictions.
func (e trainExecutor) hasFallen(ctx context.Context, at diag.Pos, m pipeline.Model, r pipeline.Retrain) (why string, due bool, err error) {
	champion, err := e.Registry.Champion(ctx, m.Name)
	if err != nil {
		return "", false, err
	}
	if champion == nil {
		return "there is no champion whose predictions could be judged", false, nil
	}
	if champion.Kind == string(metric.Clustering) { // from before the model was declared to predict
		return fmt.Sprintf("version %d, the champion, tells clusters apart, and predicted no labels that could be judged", champion.Number), false, nil
	}
	gate, err := registry.ParseGate(r.When)
	if err != nil {
		return "", false, err
	}
	judged, err := e.lateLabels(ctx, at, m, r, *champion)
	if err != nil {
		return "", false, err
	}
	n := judged.Rows
	if n < r.MinRows {
		return fmt.Sprintf("of version %d's predictions %d have a label by now, and %d are needed to judge it", champion.Number, n, r.MinRows), false, nil
	}
	var own metric.Report
	if err := json.Unmarshal(champion.Report, &own); err != nil {
		return "", false, fmt.Errorf("read the report of version %d of model %s: %w", champion.Number, m.Name, err)
	}
	verdict := gate.Judge(judged, &own)
	why = fmt.Sprintf("version %d on %d labels that came later: %s", champion.Number, n, verdict.Detail)
	if verdict.Passed {
		return why + " (" + r.When + ")", true, nil
	}
	return why + ", and " + r.When + " makes it due", false, nil
}

// lateLabels judges a version's predictions by the labels that there are of them now. Labels that the version does not
// know are left out.
func (e trainExecutor) lateLabels(ctx context.Context, at diag.Pos, m pipeline.Model, r pipeline.Retrain, v model.Version) (metric.Report, error) {
	late, err := newLate(m, v)
	if err != nil {
		return metric.Report{}, err
	}
	if made, err := e.Warehouse.Table(ctx, r.Predictions); err != nil || made == nil { // nothing has been scored yet
		return late.judge(), err
	}
	id := sqltext.QuoteIdent(m.ID)
	predictions, err := quotedTable(r.Predictions)
	if err != nil {
		return metric.Report{}, err
	}
	labels, err := quotedTable(r.Labels)
	if err != nil {
		return metric.Report{}, err
	}
	a, err := e.askSQL(ctx, sqltext.Asked(at, fmt.Sprintf("SELECT %s FROM %s AS p JOIN %s AS l ON l.%s = p.%s WHERE p.model_version = %d AND l.%s IS NOT NULL",
		late.columns(), predictions, labels, id, id, v.Number, sqltext.QuoteIdent(m.Target))), maxLateLabels)
	if err != nil {
		return metric.Report{}, err
	}
	for _, row := range a.rows {
		late.add(row)
	}
	return late.judge(), nil
}

// maxLateLabels bounds the rows by which a champion is judged; more would tell nothing that these do not.
const maxLateLabels = 1_000_000

// quotedTable gives a table's name as SQL.
func quotedTable(name string) (string, error) {
	schema, table, err := sqltext.ParseName(name)
	if err != nil || schema == "" {
		return sqltext.QuoteIdent(table), err
	}
	return sqltext.QuoteIdent(schema) + "." + sqltext.QuoteIdent(table), nil
}
