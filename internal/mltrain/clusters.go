package mltrain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/leak"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
)

// A clustering learns without a target. One that is named is compared with the clusters; rows in which it is NULL or NaN are
// learned from and judged like all others, and left out of that comparison.

// maxLabels is how many different values of a target clusters are compared with.
const maxLabels = 100

// readTargets appends the targets of the batch's rows that count, and gives those rows' places in the batch.
func (t *training) readTargets(batch arrow.RecordBatch, l layout) (keep []int, err error) {
	if !t.algorithm.Clustering() {
		return t.readTarget(batch.Column(l.target))
	}
	keep = placesOf(int(batch.NumRows()))
	return keep, t.readLabels(batch, l, keep)
}

// readLabels appends what the rows are compared with, NaN where that is not known.
func (t *training) readLabels(batch arrow.RecordBatch, l layout, keep []int) error {
	f := t.rows
	from := len(f.target)
	switch {
	case l.target < 0:
		f.target = append(f.target, make([]float64, len(keep))...)
		for i := from; i < len(f.target); i++ {
			f.target[i] = math.NaN()
		}
		return nil
	case f.labels.used:
		f.target = f.labels.Append(f.target, batch.Column(l.target), keep)
		return t.checkLabels(len(f.labels.Names))
	}
	f.target = cells.AppendNumbers(f.target, batch.Column(l.target), keep)
	if t.values == nil {
		t.values = map[float64]struct{}{}
	}
	for i, y := range f.target[from:] {
		switch {
		case y != y:
			f.target[from+i] = math.NaN() // of all NaNs one
		case y != math.Trunc(y) || math.Abs(y) > maxClassNumber:
			return t.fail("Target is not a class", fmt.Sprintf("Column %q, the target of model %q, holds %v; clusters are compared with whole numbers, booleans or texts.", t.model.Target, t.model.Name, y),
				"Make classes of it in the source's SELECT, or remove target.")
		default:
			t.values[y+0] = struct{}{} // -0 equals 0
		}
	}
	return t.checkLabels(len(t.values))
}

func (t *training) checkLabels(n int) error {
	if n <= maxLabels {
		return nil
	}
	return t.fail("Too many classes", fmt.Sprintf("Column %q, the target of model %q, has more than %d different values; clusters are compared with at most so many.", t.model.Target, t.model.Name, maxLabels),
		"Make fewer classes of it in the source's SELECT, or remove target.")
}

// targetNames are the classes, or labels, in the order of their numbers.
func (t *training) targetNames() []string {
	var names []string
	if t.rows.labels.used {
		names, _ = t.rows.labels.sorted()
	}
	for _, v := range t.classNumbers() {
		names = append(names, strconv.FormatFloat(v, 'f', -1, 64))
	}
	return names
}

// aboutClusters reports whether a finding says something of a clustering, which has no target to be told, and does not learn rows by heart.
func aboutClusters(k leak.Kind) bool { return k != leak.Predicts && k != leak.RowOnBothSides }

// clusterRows gives rows as package metric takes them.
func (t *training) clusterRows(ctx context.Context, p learn.Clusters, rows []int32, outputs [][]float64, groups *codes) (metric.ClusterRows, error) {
	out := metric.ClusterRows{K: len(p.Clusters()), Clusters: make([]int32, len(rows)), Distances: outputs[1], Groups: groups.texts(rows)}
	for i, c := range outputs[0] {
		out.Clusters[i] = int32(c)
	}
	if t.model.Target != "" {
		out.Names, out.Labels = t.labels, make([]int32, len(rows))
		for i, r := range rows {
			out.Labels[i] = -1
			if y := t.rows.target[r]; y == y {
				out.Labels[i] = int32(y)
			}
		}
	}
	var err error
	out.Points, err = p.Points(ctx, t.rows.columns, rows, t.options.Threads)
	return out, err
}

// judgeClusters does for a clustering what verdict does.
func (t *training) judgeClusters(ctx context.Context, p learn.Clusters, rows []int32, outputs [][]float64) (*metric.Report, error) {
	judged, err := t.clusterRows(ctx, p, rows, outputs, &t.rows.groups)
	if err != nil {
		return nil, err
	}
	r, err := metric.JudgeClusters(ctx, judged, t.options.Threads, &metric.Bootstrap{Seed: t.model.Split.Seed, Threads: t.options.Threads})
	if err != nil {
		return nil, err
	}
	if r.Clusters.Silhouette == 0 {
		t.warn("Clusters cannot be told apart", fmt.Sprintf("The %d held-out rows of model %q lie in one cluster, or each in its own, so that silhouettes are not defined and gates on them fail.", len(rows), t.model.Name),
			"Hold out more rows, or change k.")
	}
	t.describe(r.Clusters, p)
	return &r, nil
}

// describedFeatures is how many coordinates of a centre a report has.
const describedFeatures = 30

// describe adds what the model knows of its clusters: rows and centres, these by the features that tell the clusters apart most.
func (t *training) describe(c *metric.Clusters, p learn.Clusters) {
	gain := p.Importance()
	features := slices.DeleteFunc(placesOf(len(gain)), func(f int) bool { return gain[f] == 0 })
	slices.SortStableFunc(features, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
	features = features[:min(len(features), describedFeatures)]
	for _, f := range features {
		c.Features = append(c.Features, t.rows.features[f].Name)
	}
	for k, own := range p.Clusters() {
		c.Clusters[k].Training = own.Rows
		for _, f := range features {
			c.Clusters[k].Centre = append(c.Clusters[k].Centre, p.Value(f, own.Centre[f]))
			c.Clusters[k].Deviations = append(c.Clusters[k].Deviations, p.Deviations(f, own.Centre[f]))
		}
	}
}

// judgeTrial trains without a fold and gives a metric of its rows.
func (t *training) judgeTrial(ctx context.Context, name string, train, test []int32) (float64, bool, error) {
	p, _, err := t.fit(ctx, train, nil, StageSearch, 0, 0)
	if err != nil {
		return 0, false, err
	}
	outputs, err := p.PredictRows(ctx, t.rows.columns, test, t.options.Threads)
	if err != nil {
		return 0, false, err
	}
	judged, err := t.clusterRows(ctx, p.(learn.Clusters), test, outputs, &codes{})
	if err != nil {
		return 0, false, err
	}
	r, err := metric.JudgeClusters(ctx, judged, t.options.Threads, nil)
	if err != nil {
		return 0, false, err
	}
	score, known := r.Value(name)
	return score, known, nil
}

// staying gives a score of outputs: the share of rows that are in the same cluster as at the first call.
func staying() func(outputs [][]float64) float64 {
	var first []float64
	return func(outputs [][]float64) float64 {
		if first == nil {
			first = outputs[0]
		}
		same := 0
		for i, c := range outputs[0] {
			if c == first[i] {
				same++
			}
		}
		return float64(same) / float64(len(first))
	}
}
