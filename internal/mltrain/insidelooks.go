package mltrain

import (
	"context"
	"fmt"
	"math"
	"slices"

	"damson/internal/leak"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/pushdown"
	"damson/internal/tree"
)

// leaksInside does what lookForLeaks does, by SQL.
func (t *training) leaksInside(ctx context.Context, facts *pushdown.Facts) error {
	t.progress(StageLeaks, 0, 0)
	m := t.model
	evidence, err := t.inside.Leaks(ctx, pushdown.Looks{Classes: t.classesInside(placesOf(len(t.asked.classes))), ClassNames: t.asked.classes,
		Halves: t.halves(), Sample: t.leakSample(), Share: leakShare(int(facts.Rows)),
		Segments: m.Segment != m.Split.By && m.Segment != t.foldBy(), Times: m.Split.By != "" && m.Split.Time != ""})
	if err != nil {
		return err
	}
	t.warnOfLeaks(leak.Judge(evidence), func(f int) bool { return slices.Contains(facts.Empty, f) })
	return nil
}

// effectsInside gives what importance and dependence give, by the model's SQL. A model that is too large for one statement has no more
// than the features' shares in training, and the report says so.
func (t *training) effectsInside(ctx context.Context, m *tree.Model, held int) ([]metric.Importance, []metric.Dependence, error) {
	staged, of := t.inside.Rows, t.classesInside(placesOf(len(t.asked.classes)))
	gain := m.Importance()
	lost := make([]float64, len(gain))
	p := learn.Trees(m, t.rows.features)
	if p.Nodes() > tree.MaxSQLNodes {
		t.warn("Effects of features are not known", fmt.Sprintf("This version of model %q has %d nodes; above %d permutation importance and dependence are not computed in the database.", t.model.Name, p.Nodes(), tree.MaxSQLNodes),
			"Take fewer trees, a smaller max_depth or a larger min_leaf.")
		return t.ranked(gain, lost), nil, nil
	}
	values := staged.FeatureNames()
	places := make([]learn.Feature, len(values)) // texts are numbers now
	for f, own := range t.rows.features {
		places[f].Name = own.Name
		if own.Levels != nil {
			values[f] = own.PlaceSQL(values[f])
		}
	}
	ready := applied(learn.Trees(m, places).SQL(staged.FeatureNames(), "x"))
	rows, err := staged.Judged(ctx, of, min(held, permutationRows, max(1000, permutationNodes/max(p.Nodes(), 1))), values)
	if err != nil {
		return nil, nil, err
	}
	var shuffles []pushdown.Shuffle
	skip := notShuffled(gain)
	for c := range gain {
		for repeat := range permutationRepeats {
			if !skip(c) {
				shuffles = append(shuffles, pushdown.Shuffle{Feature: c, Draw: t.shuffle(c, repeat)})
			}
		}
	}
	scores, err := staged.Shuffled(ctx, ready, of, rows, shuffles)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(shuffles); i += permutationRepeats {
		lost[shuffles[i].Feature] = metric.Lost(scores[0], scores[1+i:1+i+permutationRepeats])
	}
	order := t.ranked(gain, lost)
	shown, err := t.dependenceInside(ctx, staged, ready, gridOf(p), rows, t.shown(order))
	return order, shown, err
}

// dependenceInside gives what some features do to the outputs.
func (t *training) dependenceInside(ctx context.Context, staged *pushdown.Rows, m pushdown.Applied, grid metric.Grid, rows int, features []int) ([]metric.Dependence, error) {
	var settings []pushdown.Setting
	out := make([]metric.Dependence, len(features))
	for i, f := range features {
		points, missing, err := t.pointsInside(ctx, staged, f, grid)
		if err != nil {
			return nil, err
		}
		out[i] = metric.Dependence{Feature: t.rows.features[f].Name, Points: points}
		for _, p := range points {
			settings = append(settings, pushdown.Setting{Feature: f, Value: p.Value})
		}
		if missing {
			out[i].Missing = []float64{}
			settings = append(settings, pushdown.Setting{Feature: f, Value: math.NaN()})
		}
	}
	means, err := staged.Means(ctx, m, grid.Averaged(rows), settings)
	if err != nil {
		return nil, err
	}
	for i := range out {
		for k := range out[i].Points {
			out[i].Points[k].Outputs, means = means[0], means[1:]
		}
		if out[i].Missing != nil {
			out[i].Missing, means = means[0], means[1:]
		}
	}
	return out, nil
}

// pointsInside gives the values that a feature is set to, and whether it is missing in some rows.
func (t *training) pointsInside(ctx context.Context, staged *pushdown.Rows, f int, grid metric.Grid) (points []metric.DependencePoint, missing bool, err error) {
	points = []metric.DependencePoint{}
	if !staged.IsText(f) {
		finite, missing, err := staged.Spread(ctx, f)
		if err != nil {
			return nil, false, err
		}
		values, err := staged.Values(ctx, f, grid.Most(), grid.Places(finite))
		for _, v := range values {
			points = append(points, metric.DependencePoint{Value: v})
		}
		return points, missing, err
	}
	levels := t.rows.features[f].Levels
	counts, missing, err := staged.Words(ctx, f, len(levels))
	for _, place := range mostFrequent(counts, grid.Most()) {
		if counts[place] > 0 {
			points = append(points, metric.DependencePoint{Value: float64(place), Level: levels[place]})
		}
	}
	return points, missing, err
}
