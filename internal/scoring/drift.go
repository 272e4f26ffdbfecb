package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
	"damson/internal/model"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// Source runs a query in the warehouse.
type Source interface {
	Query(ctx context.Context, sql sqltext.Text) (array.RecordReader, error)
}

// Bounds of looking for drift.
const (
	driftRows  = 20_000 // rows at most: the first ones that the source gives
	driftLeast = 200    // rows from which on PSI says something
	driftShown = 3      // features that a warning names
	// From these shares of rows on a feature's values are missing, or are texts that training did not see, too often to pass.
	mostMissing = 0.1 // more than in training
	mostUnseen  = 0.05
)

// Drift compares rows to be scored with those a version was trained on: at most 20,000 of the source, which is asked for
// the features alone. It is nil where nothing can be said: versions from before there was a reference, and few rows.
// columns are those of source, as for SQL.
func Drift(ctx context.Context, src Source, v model.Version, source sqltext.Text, columns []driver.Column) (*metric.Drift, error) {
	var r metric.Reference
	if len(v.Reference) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(v.Reference, &r); err != nil {
		return nil, fmt.Errorf("read what version %d of model %s was trained on: %w", v.Number, v.Model, err)
	}
	w := newWatch(r, v, columns)
	if len(w.items) == 0 {
		return nil, nil
	}
	var b sqltext.Builder
	b.Add("select " + strings.Join(w.items, ", ") + "\nfrom (\n")
	b.Append(source)
	b.Add(fmt.Sprintf("\n) as source limit %d", driftRows))
	reader, err := src.Query(ctx, b.Text())
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	for reader.Next() {
		w.count(reader.RecordBatch())
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if w.rows < driftLeast {
		return nil, nil
	}
	return w.drift()
}

// watch gathers the values of features that a reference knows.
type watch struct {
	reference metric.Reference
	items     []string // of a SELECT
	rows      int64
	numbers   [][]float64
	texts     []cells.Texts
}

// newWatch finds the features of the reference among the columns. Features that are not there, or are of another kind, are
// the scorer's to refuse.
func newWatch(r metric.Reference, v model.Version, columns []driver.Column) *watch {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	w := &watch{reference: metric.Reference{Rows: r.Rows}}
	for _, f := range r.Features {
		own := learn.Feature{Name: f.Name, Levels: v.Levels[f.Name]}
		at := cells.Find(names, f.Name)
		if at < 0 || f.Text != (own.Levels != nil) || !own.Fits(columns[at]) {
			continue
		}
		w.reference.Features = append(w.reference.Features, f)
		w.items = append(w.items, fmt.Sprintf("%s as f%d", own.SQLValue(columns[at]), len(w.items)))
	}
	w.numbers, w.texts = make([][]float64, len(w.items)), make([]cells.Texts, len(w.items))
	return w
}

// count takes in a batch of the features.
func (w *watch) count(batch arrow.RecordBatch) {
	n := int(batch.NumRows())
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	for i := range w.items {
		if w.reference.Features[i].Text {
			w.numbers[i] = w.texts[i].Append(w.numbers[i], batch.Column(i), rows)
		} else {
			w.numbers[i] = cells.AppendNumbers(w.numbers[i], batch.Column(i), rows)
		}
	}
	w.rows += int64(n)
}

func (w *watch) drift() (*metric.Drift, error) {
	columns := make([]metric.Column, len(w.items))
	for i, f := range w.reference.Features {
		columns[i] = metric.Column{Name: f.Name, Numbers: w.numbers[i]}
		if f.Text {
			columns[i] = metric.Column{Name: f.Name, Codes: learn.CodesOf(w.numbers[i]), Levels: w.texts[i].Names}
		}
	}
	d, err := w.reference.Drift(columns)
	return &d, err
}

// DriftWarning says how rows to be scored differ from those a version was trained on: features whose PSI is 0.25 or more,
// that are missing far more often, or whose texts training did not see. The answer is false when they do not.
func DriftWarning(v model.Version, d *metric.Drift) (diag.Finding, bool) {
	if d == nil {
		return diag.Finding{}, false
	}
	var said []string
	for _, f := range d.Features {
		if why := drifted(f); why != "" {
			said = append(said, fmt.Sprintf("%q (%s)", f.Feature, why))
		}
	}
	if len(said) == 0 {
		return diag.Finding{}, false
	}
	shown := strings.Join(said[:min(len(said), driftShown)], ", ")
	if more := len(said) - driftShown; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return diag.Finding{Severity: diag.Warning, Summary: "Rows to be scored differ from the training rows",
		Detail: fmt.Sprintf("Of %d rows that version %d of model %q scores, %d of %d features differ from its training rows: %s.", d.Present, v.Number, v.Model, len(said), len(d.Features), shown),
		Fix:    "Look at the SQL and the data they come from; if the world has changed, train a new version."}, true
}

// drifted says in what a feature differs, "" when it does not.
func drifted(f metric.FeatureDrift) string {
	var parts []string
	if f.Level == metric.Drifted {
		parts = append(parts, fmt.Sprintf("PSI %.2f", *f.PSI))
	}
	if f.Now-f.Before > mostMissing {
		parts = append(parts, fmt.Sprintf("missing in %.0f %%, was %.0f %%", 100*f.Now, 100*f.Before))
	}
	if f.Unseen > mostUnseen {
		parts = append(parts, fmt.Sprintf("%.0f %% unseen: %s", 100*f.Unseen, diag.FirstOf(f.Names)))
	}
	return strings.Join(parts, ", ")
}
