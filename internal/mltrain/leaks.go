package mltrain

import (
	"cmp"
	"context"
	"slices"

	"damson/internal/leak"
	"damson/internal/learn"
	"damson/internal/metric"
)

// lookForLeaks warns of what makes held-out figures too good: rows, groups and times on both sides, and features that say
// the answer; and of features that say nothing.
func (t *training) lookForLeaks(ctx context.Context, test []int32) error {
	t.progress(StageLeaks, 0, 0)
	f := t.rows
	d := leak.Data{Target: f.target, Classes: len(t.asked.classes), ClassNames: t.asked.classes, Held: make([]bool, len(f.target)), Times: f.times}
	for _, r := range test {
		d.Held[r] = true
	}
	clusters := t.asked.kind == metric.Clustering
	if clusters {
		d.Target = make([]float64, len(f.target))
	}
	// Rows that are kept together for one purpose belong together for all.
	seen := []string{}
	for _, g := range []struct {
		column string
		codes  *codes
	}{{t.model.Split.By, &f.groups}, {t.foldBy(), &f.folds}, {t.model.Segment, &f.segments}} {
		if !g.codes.used || slices.Contains(seen, g.column) {
			continue
		}
		seen = append(seen, g.column)
		grouping := leak.Grouping{Column: g.column, Codes: g.codes.codes, Names: g.codes.Names}
		if d.Groups.Codes == nil {
			d.Groups = grouping
		} else {
			d.Also = append(d.Also, grouping)
		}
	}
	for c, own := range f.features {
		column := leak.Column{Name: own.Name, Numbers: f.columns[c]}
		if own.Levels != nil {
			column = leak.Column{Name: own.Name, Codes: learn.CodesOf(f.columns[c]), Levels: own.Levels}
		}
		d.Columns = append(d.Columns, column)
	}
	if t.model.Split.By == "" && t.model.Split.Time != "" {
		d.Times = nil // the split is by time
	}
	findings, err := leak.Check(ctx, d, t.options.Threads)
	if err != nil {
		return err
	}
	for _, found := range findings {
		if clusters && !aboutClusters(found.Kind) {
			continue
		}
		if found.Kind == leak.Constant && t.isEmpty(found.Feature) {
			continue // which is said already
		}
		said := found.Diag()
		t.warn(said.Summary, said.Detail, said.Fix)
	}
	return nil
}

// isEmpty reports whether a feature has no value at all.
func (t *training) isEmpty(name string) bool {
	c := slices.Index(t.rows.names(), name)
	return !slices.ContainsFunc(t.rows.columns[c], func(v float64) bool { return v == v })
}

// referenceFeatures is how many features' training values are kept with a version, those that matter most.
const referenceFeatures = 200

// reference says what the training rows looked like.
func (t *training) reference(train []int32, order []metric.Importance) metric.Reference {
	names := t.rows.names()
	out := metric.Reference{Rows: int64(len(train)), Features: []metric.FeatureReference{}}
	for _, of := range order[:min(len(order), referenceFeatures)] {
		c := slices.Index(names, of.Feature)
		values := inOrder(t.rows.columns[c], train)
		column := metric.Column{Name: of.Feature, Numbers: values}
		if levels := t.rows.features[c].Levels; levels != nil {
			column = metric.Column{Name: of.Feature, Codes: learn.CodesOf(values), Levels: levels}
		}
		out.Features = append(out.Features, metric.Refer([]metric.Column{column}).Features...)
	}
	slices.SortStableFunc(out.Features, func(a, b metric.FeatureReference) int {
		return cmp.Compare(slices.Index(names, a.Name), slices.Index(names, b.Name))
	})
	return out
}
