package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
	"damson/internal/model"
	"damson/internal/pushdown"
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

// Drift compares rows to be scored with those a version was trained on: at most 20,000 of the source, whose values the database counts.
// It is nil where nothing can be said: versions from before there was a reference, and few rows. columns are those of source, as for
// SQL; kind is the warehouse's.
func Drift(ctx context.Context, src Source, kind string, v model.Version, source sqltext.Text, columns []driver.Column) (*metric.Drift, error) {
	var r metric.Reference
	if len(v.Reference) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(v.Reference, &r); err != nil {
		return nil, fmt.Errorf("read what version %d of model %s was trained on: %w", v.Number, v.Model, err)
	}
	r, values := watched(r, v, columns)
	if len(values) == 0 {
		return nil, nil
	}
	counts, err := pushdown.Tally(ctx, src, kind, source, r, values, driftRows)
	if err != nil || counts[0].Rows() < driftLeast {
		return nil, err
	}
	d := r.DriftOf(counts)
	return &d, nil
}

// watched gives the part of the reference whose features stand among the columns, and their values in SQL. Features that are not there,
// or are of another kind, are the scorer's to refuse.
func watched(r metric.Reference, v model.Version, columns []driver.Column) (part metric.Reference, values []string) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	part.Rows = r.Rows
	for _, f := range r.Features {
		own := learn.Feature{Name: f.Name, Levels: v.Levels[f.Name]}
		at := cells.Find(names, f.Name)
		if at < 0 || f.Text != (own.Levels != nil) || !own.Fits(columns[at]) {
			continue
		}
		part.Features, values = append(part.Features, f), append(values, own.SQLValue(columns[at]))
	}
	return part, values
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
