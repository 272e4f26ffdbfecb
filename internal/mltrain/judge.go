package mltrain

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"damson/internal/metric"
	"damson/internal/tree"
)

// Bounds of permutation importance: at most so many held-out rows, fewer when the forest is large, and so many shuffles.
const (
	permutationRows    = 20_000
	permutationVisits  = 2_000_000 // rows × trees
	permutationRepeats = 3
)

// judge evaluates the forest on the held-out rows and cross-validates when asked to.
func (t *training) judge(ctx context.Context, f *tree.Model, train, test []int32) (*metric.Report, error) {
	t.progress(StageEvaluate, 0, int64(len(test)))
	test = t.rows.shuffled(test) // sums of floating-point numbers depend on the order, which must not depend on the reader's
	predicted, err := f.PredictRows(ctx, t.rows.columns, test, t.options.Threads)
	if err != nil {
		return nil, err
	}
	judged := t.judged(test, predicted[0], &t.rows.groups)
	report := metric.Judge(judged, t.model.Threshold)
	if report.Intervals, err = judged.Intervals(ctx, t.model.Threshold, metric.Bootstrap{Seed: t.model.Split.Seed, Threads: t.options.Threads}); err != nil {
		return nil, err
	}
	report.Training = metric.Training{Rows: int64(len(train)), Positives: int64(t.rows.classes(train)[1]), Groups: int64(len(train)), Skipped: t.rows.skipped}
	if t.rows.groups.used {
		report.Training.Groups = int64(t.rows.groups.distinct(train))
	}
	if report.Importance, err = t.importance(ctx, f, test); err != nil {
		return nil, err
	}
	t.progress(StageEvaluate, int64(len(test)), int64(len(test)))
	if t.model.Folds != nil {
		report.Folds, err = t.crossValidate(ctx)
	}
	return &report, err
}

// judged gives rows as package metric takes them.
func (t *training) judged(rows []int32, probabilities []float64, groups *codes) metric.Rows {
	out := metric.Rows{Probabilities: probabilities, Labels: make([]uint8, len(rows)), Segments: t.rows.segments.texts(rows), Groups: groups.texts(rows)}
	for i, r := range rows {
		out.Labels[i] = t.rows.target[r]
	}
	if t.rows.weights != nil {
		out.Weights = make([]float64, len(rows))
		for i, r := range rows {
			out.Weights[i] = t.rows.weights[r]
		}
	}
	return out
}

// importance gives each feature's gain in training, and the AUC lost on held-out rows when the feature's values are
// shuffled among them (A. Fisher, C. Rudin, F. Dominici 2019). Features that no split uses lose nothing.
func (t *training) importance(ctx context.Context, f *tree.Model, test []int32) ([]metric.Importance, error) {
	rows := test[:min(len(test), permutationRows, max(1000, permutationVisits/f.Trees()))]
	columns := make([][]float64, len(t.rows.columns))
	for c, column := range t.rows.columns {
		columns[c] = make([]float64, len(rows))
		for i, r := range rows {
			columns[c][i] = column[r]
		}
	}
	labels := t.judged(rows, nil, &codes{}).Labels
	auc := func(columns [][]float64) (float64, error) {
		p, err := f.PredictRows(ctx, columns, nil, t.options.Threads)
		if err != nil {
			return 0, err
		}
		return metric.NewCurve(p[0], labels).AUC(), nil
	}
	gain := f.Importance()
	lost, err := metric.Permutation(ctx, columns, auc, metric.Shuffle{Seed: t.model.Split.Seed, Stream: streamPermutation,
		Repeats: permutationRepeats, Skip: func(c int) bool { return gain[c] == 0 }})
	if err != nil {
		return nil, err
	}
	out := make([]metric.Importance, len(columns))
	for c := range columns {
		out[c] = metric.Importance{Feature: t.rows.features[c], Gain: gain[c], Permutation: lost[c]}
	}
	slices.SortStableFunc(out, func(a, b metric.Importance) int {
		return cmp.Or(cmp.Compare(b.Permutation, a.Permutation), cmp.Compare(b.Gain, a.Gain), cmp.Compare(a.Feature, b.Feature))
	})
	return out, nil
}

// crossValidate predicts every row by a forest that saw none of its group, and judges all rows together.
func (t *training) crossValidate(ctx context.Context) (*metric.Folds, error) {
	k, threshold := t.model.Folds.K, t.model.Threshold
	fold, err := t.folds()
	if err != nil {
		return nil, err
	}
	n := len(t.rows.target)
	pooled := make([]float64, n)
	trees := int64(t.params.Trees)
	for part := range k {
		var train, test []int32
		for i := range int32(n) {
			if fold[i] == part {
				test = append(test, i)
			} else {
				train = append(train, i)
			}
		}
		if counts := t.rows.classes(train); counts[0] == 0 || counts[1] == 0 {
			return nil, t.fail("One class only in cross-validation",
				fmt.Sprintf("Without fold %d, the remaining %d rows of model %q have %q = %d only.", part+1, len(train), t.model.Name, t.model.Target, t.rows.target[train[0]]),
				"Take fewer folds, another seed, or more groups.")
		}
		f, err := t.grow(ctx, train, StageFolds, int64(part)*trees, int64(k)*trees)
		if err != nil {
			return nil, err
		}
		p, err := f.PredictRows(ctx, t.rows.columns, test, t.options.Threads)
		if err != nil {
			return nil, err
		}
		for i, r := range test {
			pooled[r] = p[0][i]
		}
	}
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	order = t.rows.shuffled(order)
	probabilities, parts := make([]float64, n), make([]int, n)
	for i, r := range order {
		probabilities[i], parts[i] = pooled[r], fold[r]
	}
	return metric.JudgeFolds(t.judged(order, probabilities, &t.rows.folds), parts, k, threshold), nil
}

// folds deals the groups out: the largest first, each to the fold with the fewest rows so far; groups of one size in the
// order of their hash. Without groups each row is one.
func (t *training) folds() ([]int, error) {
	k := t.model.Folds.K
	draw := tree.NewDraw(t.model.Folds.Seed, streamFolds)
	c := &t.rows.folds
	type group struct {
		code, rows int
		number     uint32
		name       string
	}
	var groups []group
	if c.used {
		for code, name := range c.names {
			groups = append(groups, group{code: code, number: draw.Number(tree.KeyOf(name)), name: name})
		}
		for _, code := range c.codes {
			groups[code].rows++
		}
	} else {
		for i, key := range t.rows.keys {
			groups = append(groups, group{code: i, rows: 1, number: draw.Number(key)})
		}
	}
	if len(groups) < k {
		return nil, t.fail("More folds than groups", fmt.Sprintf("cross_validation(k = %d) of model %q has %d groups to deal out.", k, t.model.Name, len(groups)), "Take fewer folds, or give more groups.")
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name))
	})
	dealt, size := make([]int, len(groups)), make([]int, k)
	for _, g := range groups {
		smallest := slices.Index(size, slices.Min(size))
		dealt[g.code] = smallest
		size[smallest] += g.rows
	}
	if !c.used {
		return dealt, nil
	}
	fold := make([]int, len(c.codes))
	for i, code := range c.codes {
		fold[i] = dealt[code]
	}
	return fold, nil
}
