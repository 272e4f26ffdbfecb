package mltrain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"damson/internal/diag"
	"damson/internal/fold"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/pushdown"
	"damson/internal/tree"
)

// Bounds of permutation importance and partial dependence, so that large models do not take for ever.
const (
	permutationRows     = 20_000      // held-out rows at most, fewer when the model is large
	permutationNodes    = 800_000_000 // rows × nodes
	permutationFeatures = 200         // those with most gain
	permutationRepeats  = 3
	dependenceFeatures  = 6 // those that matter most
	dependenceRows      = 1000
	dependencePoints    = 20
)

// judge evaluates what was learned on the held-out rows and cross-validates when asked to.
func (t *training) judge(ctx context.Context, p learn.Predictor, train, test []int32) (*metric.Report, error) {
	t.progress(StageEvaluate, 0, int64(len(test)))
	outputs, err := p.PredictRows(ctx, t.rows.columns, test, t.options.Threads)
	if err != nil {
		return nil, err
	}
	t.keep(test, outputs)
	judge := t.verdict
	if own, ok := p.(learn.Clusters); ok {
		judge = func(ctx context.Context, rows []int32, outputs [][]float64) (*metric.Report, error) {
			return t.judgeClusters(ctx, own, rows, outputs)
		}
	}
	report, err := judge(ctx, test, outputs)
	if err != nil {
		return nil, err
	}
	report.Training = metric.Training{Rows: int64(len(train)), Groups: int64(len(train)), Skipped: t.rows.skipped}
	if t.asked.kind == metric.Binary {
		report.Training.Positives = int64(t.rows.classes(train, 2)[1])
		if !t.asked.plain() {
			report.ClassNames = t.asked.classes
		}
	}
	if t.rows.groups.used {
		report.Training.Groups = int64(t.rows.groups.distinct(train))
	}
	rows := test[:min(len(test), permutationRows, max(1000, permutationNodes/max(p.Nodes(), 1)))]
	columns := t.picked(rows)
	if report.Importance, err = t.importance(ctx, p, rows, columns); err != nil {
		return nil, err
	}
	if report.Dependence, err = t.dependence(ctx, p, columns, report.Importance); err != nil {
		return nil, err
	}
	t.progress(StageEvaluate, int64(len(test)), int64(len(test)))
	if t.model.Folds != nil {
		report.Folds, err = t.crossValidate(ctx)
	}
	return report, err
}

// verdict judges the outputs for some rows, and says how sure its figures are.
func (t *training) verdict(ctx context.Context, rows []int32, outputs [][]float64) (*metric.Report, error) {
	draws := metric.Bootstrap{Seed: t.model.Split.Seed, Threads: t.options.Threads}
	var r metric.Report
	var err error
	switch groups := &t.rows.groups; t.asked.kind {
	case metric.Binary:
		judged := t.binary(rows, outputs, groups)
		r = metric.Judge(judged, t.model.Threshold)
		r.Intervals, err = judged.Intervals(ctx, t.model.Threshold, draws)
	case metric.Multiclass:
		judged := t.several(rows, outputs, groups)
		r = metric.JudgeClasses(judged)
		r.Intervals, err = judged.Intervals(ctx, draws)
	default:
		judged := t.numbers(rows, outputs, groups)
		r = metric.JudgeNumbers(judged)
		r.Intervals, err = judged.Intervals(ctx, draws)
	}
	return &r, err
}

// binary, several and numbers give rows as package metric takes them.
func (t *training) binary(rows []int32, outputs [][]float64, groups *codes) metric.Rows {
	out := metric.Rows{Probabilities: outputs[0], Labels: make([]uint8, len(rows)), Weights: inOrder(t.rows.weights, rows), Segments: t.rows.segments.texts(rows), Groups: groups.texts(rows)}
	for i, r := range rows {
		out.Labels[i] = uint8(t.rows.target[r])
	}
	return out
}

func (t *training) several(rows []int32, outputs [][]float64, groups *codes) metric.ClassRows {
	out := metric.ClassRows{Names: t.asked.classes, Probabilities: outputs, Labels: make([]int32, len(rows)), Weights: inOrder(t.rows.weights, rows), Segments: t.rows.segments.texts(rows), Groups: groups.texts(rows)}
	for i, r := range rows {
		out.Labels[i] = int32(t.rows.target[r])
	}
	return out
}

func (t *training) numbers(rows []int32, outputs [][]float64, groups *codes) metric.NumberRows {
	return metric.NumberRows{Predicted: outputs[0], Actual: inOrder(t.rows.target, rows), Weights: inOrder(t.rows.weights, rows), Groups: groups.texts(rows)}
}

// picked gives the columns of some rows only.
func (t *training) picked(rows []int32) [][]float64 {
	columns := make([][]float64, len(t.rows.columns))
	for c, column := range t.rows.columns {
		columns[c] = inOrder(column, rows)
	}
	return columns
}

// score is one figure of how good outputs are, higher being better: the AUC of two classes, the negative log loss of
// several, R² of numbers. NaN where the rows do not define it.
func (t *training) score(rows []int32, outputs [][]float64) float64 {
	switch t.asked.kind {
	case metric.Binary:
		return metric.NewCurve(outputs[0], t.binary(rows, outputs, &codes{}).Labels).AUC()
	case metric.Multiclass:
		total := 0.0
		for i, r := range rows {
			total += math.Log(max(outputs[int(t.rows.target[r])][i], 0x1p-52))
		}
		return total / float64(len(rows))
	}
	missed, mean, variance := 0.0, 0.0, 0.0
	for _, r := range rows {
		mean += t.rows.target[r] / float64(len(rows))
	}
	for i, r := range rows {
		miss, off := outputs[0][i]-t.rows.target[r], t.rows.target[r]-mean
		missed += float64(miss * miss)
		variance += float64(off * off)
	}
	return 1 - missed/variance
}

// importance gives each feature's share in training, and the score lost on held-out rows, whose columns are given, when the
// feature's values are shuffled among them. Features that play no part lose nothing.
func (t *training) importance(ctx context.Context, p learn.Predictor, rows []int32, columns [][]float64) ([]metric.Importance, error) {
	gain := p.Importance()
	judge := func(outputs [][]float64) float64 { return t.score(rows, outputs) }
	if t.asked.kind == metric.Clustering {
		judge = staying()
	}
	score := func(columns [][]float64) (float64, error) {
		outputs, err := p.PredictRows(ctx, columns, nil, t.options.Threads)
		if err != nil {
			return 0, err
		}
		return judge(outputs), nil
	}
	keys := inOrder(t.rows.keys, rows)
	lost, err := metric.Permutation(ctx, columns, score, metric.Shuffle{Repeats: permutationRepeats, Skip: notShuffled(gain),
		Order: func(c, repeat int) []int32 { return shuffled(keys, t.shuffle(c, repeat)) }})
	if err != nil {
		return nil, err
	}
	return t.ranked(gain, lost), nil
}

// notShuffled tells which features lose nothing by being shuffled, or are not looked at.
func notShuffled(gain []float64) func(c int) bool {
	least := 0.0
	if sorted := slices.Sorted(slices.Values(gain)); len(sorted) > permutationFeatures {
		least = sorted[len(sorted)-permutationFeatures]
	}
	return func(c int) bool { return gain[c] == 0 || gain[c] < least }
}

// shuffle is the draw whose order of the rows a feature's values are shuffled into.
func (t *training) shuffle(c, repeat int) tree.Draw {
	return tree.NewDraw(t.model.Split.Seed, streamShuffles+uint64(c*permutationRepeats+repeat))
}

// shuffled gives rows in the order of a draw.
func shuffled(keys []tree.Key, draw tree.Draw) []int32 {
	order := make([]uint64, len(keys))
	for i, key := range keys {
		order[i] = uint64(draw.Number(key))<<32 | uint64(i)
	}
	slices.Sort(order)
	out := make([]int32, len(keys))
	for i, own := range order {
		out[i] = int32(own & math.MaxUint32)
	}
	return out
}

// ranked lists the features, those that matter most first.
func (t *training) ranked(gain, lost []float64) []metric.Importance {
	out := make([]metric.Importance, len(gain))
	for c := range out {
		out[c] = metric.Importance{Feature: t.rows.features[c].Name, Gain: gain[c], Permutation: lost[c]}
	}
	slices.SortStableFunc(out, func(a, b metric.Importance) int {
		return cmp.Or(cmp.Compare(b.Permutation, a.Permutation), cmp.Compare(b.Gain, a.Gain), cmp.Compare(a.Feature, b.Feature))
	})
	return out
}

// dependence gives what the features that matter most do to the outputs. Of many outputs it computes fewer points. Numbers of clusters
// have no mean.
func (t *training) dependence(ctx context.Context, p learn.Predictor, columns [][]float64, order []metric.Importance) ([]metric.Dependence, error) {
	predict := func(columns [][]float64) ([][]float64, error) {
		return p.PredictRows(ctx, columns, nil, t.options.Threads)
	}
	grid := gridOf(p)
	var out []metric.Dependence
	if t.asked.kind == metric.Clustering {
		return out, nil
	}
	for _, c := range t.shown(order) {
		grid.Levels = t.rows.features[c].Levels
		own := columns
		if grid.Levels != nil {
			own = slices.Clone(columns)
			own[c] = oftenest(columns[c], len(grid.Levels), grid.Points)
		}
		d, err := metric.DependenceOf(ctx, t.rows.features[c].Name, own, c, predict, grid)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func gridOf(p learn.Predictor) metric.Grid {
	return metric.Grid{Points: max(5, dependencePoints*10/max(p.Outputs(), 10)), Rows: min(dependenceRows, max(100, permutationNodes/dependencePoints/max(p.Nodes(), 1)))}
}

// shown gives the features whose dependence a report shows.
func (t *training) shown(order []metric.Importance) []int {
	names := t.rows.names()
	var out []int
	for _, of := range order[:min(len(order), dependenceFeatures)] {
		if of.Gain > 0 {
			out = append(out, slices.Index(names, of.Feature))
		}
	}
	return out
}

// oftenest puts the texts that are not among the most frequent out of the way: as texts that training did not see.
func oftenest(column []float64, levels, most int) []float64 {
	if levels <= most {
		return column
	}
	counts := make([]int64, levels)
	for _, v := range column {
		if v == v {
			counts[int(v)]++
		}
	}
	places := mostFrequent(counts, most)
	out := slices.Clone(column)
	for i, v := range out {
		if v == v && !slices.Contains(places, int(v)) {
			out[i] = float64(levels)
		}
	}
	return out
}

// mostFrequent gives the places of the largest counts, at most so many, rising.
func mostFrequent(counts []int64, most int) []int {
	places := placesOf(len(counts))
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	places = places[:min(len(places), most)]
	slices.Sort(places)
	return places
}

// crossValidate predicts every row by a model that saw none of its group, and judges all rows together.
func (t *training) crossValidate(ctx context.Context) (*metric.Folds, error) {
	k := t.model.Folds.K
	all := t.rows.all()
	dealt, err := t.deal(ctx, all, &t.rows.folds, k, tree.NewDraw(t.model.Folds.Seed, streamFolds), "cross_validation", "k")
	if err != nil {
		return nil, err
	}
	n := len(all)
	pooled := make([][]float64, max(1, len(t.asked.classes)))
	if t.asked.kind == metric.Binary {
		pooled = pooled[:1]
	}
	for output := range pooled {
		pooled[output] = make([]float64, n)
	}
	for part := range k {
		train, test := fold.Part(all, dealt, part)
		outputs, err := t.predictFold(ctx, part, k, train, test)
		if err != nil {
			return nil, err
		}
		for output, own := range outputs {
			for i, r := range test {
				pooled[output][r] = own[i]
			}
		}
	}
	switch t.asked.kind {
	case metric.Binary:
		return metric.JudgeFolds(t.binary(all, pooled, &t.rows.folds), dealt, k, t.model.Threshold), nil
	case metric.Multiclass:
		return metric.JudgeClassFolds(t.several(all, pooled, &t.rows.folds), dealt, k), nil
	}
	return metric.JudgeNumberFolds(t.numbers(all, pooled, &t.rows.folds), dealt, k), nil
}

// predictFold trains without a fold and predicts its rows. A class that only the fold's rows have is given probability 0.
func (t *training) predictFold(ctx context.Context, part, of int, train, test []int32) ([][]float64, error) {
	side := t.sideOf(train)
	some, lacking := occurring(side.Classes)
	if len(some) == 1 {
		return nil, t.fail("One class only in cross-validation",
			fmt.Sprintf("Without fold %d, the remaining %d rows of model %q have %q = %s only.", part+1, len(train), t.model.Name, t.model.Target, t.asked.classes[some[0]]),
			"Take fewer folds, another seed, or more groups.")
	}
	if len(lacking) > 0 {
		t.warn("A class of one fold only", fmt.Sprintf("Without fold %d, model %q has no row with %q = %s to learn from, and its rows count as predicted wrong.",
			part+1, t.model.Name, t.model.Target, diag.FirstOf(t.names(lacking))), "Give more groups that have the class, or leave it out.")
	}
	predict := t.predictRead
	if t.inside != nil {
		predict = t.predictInside
	}
	own, err := predict(ctx, foldRows{part, of, train, test, some, side})
	if err != nil || len(lacking) == 0 {
		return own, err
	}
	return t.spread(own, some, len(test)), nil
}

// foldRows are those of a fold, and those to learn from without it, which have some classes only.
type foldRows struct {
	part, of    int
	train, test []int32
	some        []int
	side        pushdown.Side // of the rows to learn from
}

// predictRead does it with rows in memory.
func (t *training) predictRead(ctx context.Context, f foldRows) ([][]float64, error) {
	steps := int64(t.algorithm.Steps(t.model))
	per := max(steps, 1)
	p, _, err := t.fit(ctx, f.train, f.some, StageFolds, int64(f.part)*per, int64(f.of)*per)
	if err != nil {
		return nil, err
	}
	own, err := p.PredictRows(ctx, t.rows.columns, f.test, t.options.Threads)
	if err == nil && steps == 0 {
		t.progress(StageFolds, int64(f.part)+1, int64(f.of))
	}
	return own, err
}

// spread gives outputs for some classes as outputs for all.
func (t *training) spread(own [][]float64, some []int, rows int) [][]float64 {
	outputs := make([][]float64, len(t.asked.classes))
	for class := range outputs {
		outputs[class] = make([]float64, rows)
	}
	if len(some) == 2 {
		copy(outputs[some[1]], own[0])
		for i, p := range own[0] {
			outputs[some[0]][i] = 1 - p
		}
		return outputs
	}
	for i, class := range some {
		copy(outputs[class], own[i])
	}
	return outputs
}

// deal gives each of some rows its fold; what and argument are the declaration's words, for errors.
func (t *training) deal(ctx context.Context, rows []int32, c *codes, k int, draw tree.Draw, what, argument string) ([]int, error) {
	g := fold.Groups{Keys: inOrder(t.rows.keys, rows)}
	if c.used {
		g.Codes, g.Names = inOrder(c.codes, rows), c.Names
	}
	dealt, groups := g.Deal(k, draw)
	if dealt == nil {
		return nil, t.fail("More folds than groups", fmt.Sprintf("%s(%s = %d) of model %q has %d groups to deal out.", what, argument, k, t.model.Name, groups), "Take fewer folds, or give more groups.")
	}
	if t.inside == nil {
		return dealt, nil
	}
	training := len(rows) < len(t.rows.keys) // of a search, which comes again for each trial
	return dealt, t.dealInside(ctx, c, pushdown.Deal{K: k, Training: training, Once: !training, Draw: draw, Codes: g.Codes, Names: g.Names, Folds: dealt})
}
