package learn

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/boost"
	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

var randomForest = Algorithm{
	Name: "random_forest", Kinds: []metric.Kind{metric.Binary, metric.Multiclass, metric.Regression}, Classes: tree.MaxClasses,
	Features: tree.MaxFeatures, Texts: true, Bytes: 9,
	Steps:  func(m pipeline.Model) int { return m.Forest.Trees },
	Check:  func(m pipeline.Model) error { return forestParams(m).Check() },
	Train:  trainForest,
	Decode: decodeTrees,
	Inside: forestParams,
}

func forestParams(m pipeline.Model) forest.Params {
	f := m.Forest
	return forest.Params{Trees: f.Trees, MaxDepth: f.MaxDepth, FeaturesPerSplit: f.FeaturesPerSplit,
		MinSplit: f.MinSplit, MinLeaf: f.MinLeaf, Bins: f.Bins, Seed: m.Split.Seed}
}

func trainForest(ctx context.Context, l Lesson) (Predictor, []string, error) {
	p := forestParams(l.Model)
	p.ClassWeights = l.Weights
	m, err := forest.Train(ctx, treeData(l), p, forest.Options{Threads: l.Threads, Progress: func(done, _ int) { l.Step(done) }})
	if err != nil {
		return nil, nil, err
	}
	return trees{m, l.Features}, nil, nil
}

var decisionTree = Algorithm{
	Name: "decision_tree", Kinds: randomForest.Kinds, Classes: tree.MaxClasses, Features: tree.MaxFeatures, Texts: true, Bytes: 9,
	Steps:  func(pipeline.Model) int { return 1 },
	Check:  func(m pipeline.Model) error { return treeParams(m).Check() },
	Train:  trainTree,
	Decode: decodeTrees,
	Inside: treeParams,
}

func treeParams(m pipeline.Model) forest.Params {
	d := m.Tree
	return forest.DecisionTree(forest.Params{MaxDepth: d.MaxDepth, MinSplit: d.MinSplit, MinLeaf: d.MinLeaf, MinGain: d.MinGain, Alpha: d.Alpha,
		Bins: d.Bins, Seed: m.Split.Seed})
}

func trainTree(ctx context.Context, l Lesson) (Predictor, []string, error) {
	p := treeParams(l.Model)
	p.ClassWeights = l.Weights
	m, err := forest.Train(ctx, treeData(l), p, forest.Options{Threads: l.Threads, Progress: func(done, _ int) { l.Step(done) }})
	if err != nil {
		return nil, nil, err
	}
	return trees{m, l.Features}, nil, nil
}

var gradientBoosting = Algorithm{
	Name: "gradient_boosting", Kinds: randomForest.Kinds, Classes: tree.MaxClasses, Features: tree.MaxFeatures, Texts: true, Bytes: 9,
	Steps:  func(m pipeline.Model) int { return m.Boosting.Rounds },
	Check:  func(m pipeline.Model) error { return boostParams(m).Check() },
	Train:  trainBoosting,
	Decode: decodeTrees,
}

func boostParams(m pipeline.Model) boost.Params {
	b := m.Boosting
	return boost.Params{Rounds: b.Rounds, LearningRate: b.LearningRate, MaxLeaves: b.MaxLeaves, MaxDepth: b.MaxDepth, MinLeaf: b.MinLeaf,
		MinHessian: b.MinHessian, Lambda: b.L2, MinGain: b.MinGain, Bins: b.Bins, RowShare: b.RowShare, FeatureShare: b.FeatureShare,
		Patience: b.EarlyStopping, Seed: m.Split.Seed}
}

// trainBoosting stops early by a part of the training side, so that the held-out side stays unseen.
func trainBoosting(ctx context.Context, l Lesson) (Predictor, []string, error) {
	p := boostParams(l.Model)
	p.ClassWeights = l.Weights
	var watch []int32
	var warnings []string
	if p.Patience > 0 {
		var learn []int32
		if learn, watch = l.Aside(l.Model.Boosting.SetAside); len(watch) == 0 || len(learn) == 0 || l.Classes > 0 && !l.hasClasses(learn) {
			watch, p.Patience = nil, 0
			warnings = append(warnings, "its training side is too small to set rows aside, so that it did not stop early.")
		} else {
			l.Rows = learn
		}
	}
	m, history, err := boost.Train(ctx, treeData(l), watch, p, boost.Options{Threads: l.Threads, Progress: func(done, _ int) { l.Step(done) }})
	if err != nil {
		return nil, nil, err
	}
	if watch != nil && history.Rounds == p.Rounds {
		warnings = append(warnings, fmt.Sprintf("all %d rounds made progress on the rows set aside: more may be better.", p.Rounds))
	}
	return trees{m, l.Features}, warnings, nil
}

// hasClasses reports whether rows of each class are among them.
func (l Lesson) hasClasses(rows []int32) bool {
	seen, n := make([]bool, l.Classes), 0
	for _, r := range rows {
		if k := int(l.Target[r]); !seen[k] {
			seen[k] = true
			n++
		}
	}
	return n == l.Classes
}

// treeData gives a lesson as package tree takes it. A column of texts has one category more than levels: the place of those
// that training did not see.
func treeData(l Lesson) tree.Data {
	d := tree.Data{Columns: l.Columns, Categories: make([]int, len(l.Features)), Classes: l.Classes, Keys: l.Keys, Rows: l.Rows}
	for f, own := range l.Features {
		if own.Levels != nil {
			d.Categories[f] = len(own.Levels) + 1
		}
	}
	if l.Classes == 0 {
		d.Number = l.Target
		return d
	}
	d.Class = make([]uint8, len(l.Target))
	for i, class := range l.Target {
		d.Class[i] = uint8(class)
	}
	return d
}

func decodeTrees(artifact []byte, features []Feature) (Predictor, error) {
	m, err := tree.Decode(artifact)
	if err != nil {
		return nil, err
	}
	if err := checkFeatures(m.Features(), len(features)); err != nil {
		return nil, err
	}
	for f, own := range features {
		if have := m.Categories(f); own.Levels == nil && have != 0 || own.Levels != nil && have != len(own.Levels)+1 {
			return nil, fmt.Errorf("its artifact has %d categories of %q and it names %d", have, own.Name, len(own.Levels))
		}
	}
	return trees{m, features}, nil
}

// Trees makes a predictor of a model that was trained elsewhere.
func Trees(m *tree.Model, features []Feature) Predictor { return trees{m, features} }

// trees is a model of trees as a predictor.
type trees struct {
	*tree.Model
	features []Feature
}

// Nodes counts what the SQL grows with.
func (t trees) Nodes() int { return t.SQLNodes() }

// SQL finds the places of texts among their levels in a step of their own.
func (t trees) SQL(columns []string, prefix string) Scoring {
	var s Scoring
	var places []Item
	ready := make([]string, len(columns))
	copy(ready, columns)
	for f, own := range t.features {
		if own.Levels == nil {
			continue
		}
		ready[f] = fmt.Sprintf("%splace%d", prefix, f)
		places = append(places, Item{ready[f], own.PlaceSQL(columns[f])})
	}
	if places != nil {
		s.Steps = append(s.Steps, places)
	}
	own := t.Model.SQL(ready, prefix)
	for _, step := range own.Steps {
		items := make([]Item, len(step))
		for i, c := range step {
			items[i] = Item{c.Name, c.Expression}
		}
		s.Steps = append(s.Steps, items)
	}
	s.Outputs = own.Outputs
	return s
}

// PlaceSQL writes the place of a text, or of NULL, among the feature's levels.
func (f Feature) PlaceSQL(column string) string {
	var b strings.Builder
	b.WriteString("case when " + column + " is null then null")
	for i, level := range f.Levels {
		b.WriteString(" when " + column + " = " + sqltext.QuoteLiteral(level) + " then " + sqltext.Double(float64(i)))
	}
	b.WriteString(" else " + sqltext.Double(f.Unseen()) + " end")
	return b.String()
}
