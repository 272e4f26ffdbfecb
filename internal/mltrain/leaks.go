package mltrain

import (
	"context"
	"slices"

	"damson/internal/leak"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/tree"
)

// lookForLeaks warns of what makes held-out figures too good: rows, groups and times on both sides, and features that say
// the answer; and of features that say nothing.
func (t *training) lookForLeaks(ctx context.Context, test []int32) error {
	t.progress(StageLeaks, 0, 0)
	f := t.rows
	d := leak.Data{Target: f.target, Classes: len(t.asked.classes), ClassNames: t.asked.classes, Held: make([]bool, len(f.target)), Halves: make([]bool, len(f.target)), Times: f.times, Sample: []int32{}}
	for _, r := range test {
		d.Held[r] = true
	}
	var together *codes // the rows of one value are in one half
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
		d.Groups = append(d.Groups, leak.Grouping{Column: g.column, Codes: g.codes.codes, Names: g.codes.Names})
		if together == nil {
			together = g.codes
		}
	}
	halves, sample, share := t.halves(), t.leakSample(), leakShare(len(f.keys))
	for i, key := range f.keys {
		own := key
		if together != nil {
			own = tree.KeyOf(together.Names[together.codes[i]])
		}
		d.Halves[i] = halves.Below(own, 0.5)
		if sample.Below(key, share) {
			d.Sample = append(d.Sample, int32(i))
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
	t.warnOfLeaks(findings, func(feature int) bool {
		return !slices.ContainsFunc(f.columns[feature], func(v float64) bool { return v == v })
	})
	return nil
}

// halves is the draw by which rows, or groups of rows, come into one of two halves, and leakSample that by which rows are taken to cut
// bins from.
func (t *training) halves() tree.Draw     { return tree.NewDraw(t.model.Split.Seed, streamHalves) }
func (t *training) leakSample() tree.Draw { return tree.NewDraw(t.model.Split.Seed, streamLeakSample) }

func leakShare(rows int) float64 { return min(1, leak.SampleRows/float64(max(rows, 1))) }

// warnOfLeaks tells what was found. A feature without any value is warned of already.
func (t *training) warnOfLeaks(findings []leak.Finding, empty func(feature int) bool) {
	for _, found := range findings {
		if t.asked.kind == metric.Clustering && !aboutClusters(found.Kind) {
			continue
		}
		if found.Kind == leak.Constant && empty(slices.Index(t.rows.names(), found.Feature)) {
			continue
		}
		said := found.Diag()
		t.warn(said.Summary, said.Detail, said.Fix)
	}
}

// referenceFeatures is how many features' training values are kept with a version, those that matter most.
const referenceFeatures = 200

// referred gives the features whose training values are kept, rising.
func (t *training) referred(order []metric.Importance) []int {
	names := t.rows.names()
	var out []int
	for _, of := range order[:min(len(order), referenceFeatures)] {
		out = append(out, slices.Index(names, of.Feature))
	}
	slices.Sort(out)
	return out
}

// reference says what the training rows looked like.
func (t *training) reference(train []int32, order []metric.Importance) metric.Reference {
	var columns []metric.Column
	for _, c := range t.referred(order) {
		own := t.rows.features[c]
		values := inOrder(t.rows.columns[c], train)
		column := metric.Column{Name: own.Name, Numbers: values}
		if own.Levels != nil {
			column = metric.Column{Name: own.Name, Codes: learn.CodesOf(values), Levels: own.Levels}
		}
		columns = append(columns, column)
	}
	return metric.Refer(columns)
}
