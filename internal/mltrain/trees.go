package mltrain

import (
	"context"
	"crypto/md5"
	"fmt"
	"strings"

	"damson/internal/boost"
	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// maxSQLNodes bounds the models that are scored as SQL. docs/models.md has the measurements.
const maxSQLNodes = tree.MaxSQLNodes

// key stands for the identity of a row or a group; what is drawn at random is drawn by it.
type key = tree.Key

func keyOf(text string) key                       { return tree.KeyOf(text) }
func keyOfMD5(sum [md5.Size]byte) key             { return tree.KeyOfMD5(sum) }
func newDraw(seed int64, stream uint64) tree.Draw { return tree.NewDraw(seed, stream) }

var randomForest = algorithm{
	name: "random_forest", kinds: []metric.Kind{metric.Binary, metric.Multiclass, metric.Regression}, classes: tree.MaxClasses,
	features: tree.MaxFeatures, texts: true, bytes: 9,
	steps:  func(m pipeline.Model) int { return m.Forest.Trees },
	check:  func(m pipeline.Model) error { return forestParams(m).Check() },
	train:  trainForest,
	decode: decodeTrees,
}

func forestParams(m pipeline.Model) forest.Params {
	f := m.Forest
	return forest.Params{Trees: f.Trees, MaxDepth: f.MaxDepth, FeaturesPerSplit: f.FeaturesPerSplit,
		MinSplit: f.MinSplit, MinLeaf: f.MinLeaf, Bins: f.Bins, Seed: m.Split.Seed}
}

func trainForest(ctx context.Context, l lesson) (predictor, []string, error) {
	p := forestParams(l.model)
	p.ClassWeights = l.weights
	m, err := forest.Train(ctx, treeData(l), p, forest.Options{Threads: l.threads, Progress: func(done, _ int) { l.step(done) }})
	if err != nil {
		return nil, nil, err
	}
	return trees{m, l.features}, nil, nil
}

var decisionTree = algorithm{
	name: "decision_tree", kinds: randomForest.kinds, classes: tree.MaxClasses, features: tree.MaxFeatures, texts: true, bytes: 9,
	steps:  func(pipeline.Model) int { return 1 },
	check:  func(m pipeline.Model) error { return treeParams(m).Check() },
	train:  trainTree,
	decode: decodeTrees,
}

func treeParams(m pipeline.Model) forest.Params {
	d := m.Tree
	return forest.DecisionTree(forest.Params{MaxDepth: d.MaxDepth, MinSplit: d.MinSplit, MinLeaf: d.MinLeaf, MinGain: d.MinGain, Alpha: d.Alpha,
		Bins: d.Bins, Seed: m.Split.Seed})
}

func trainTree(ctx context.Context, l lesson) (predictor, []string, error) {
	p := treeParams(l.model)
	p.ClassWeights = l.weights
	m, err := forest.Train(ctx, treeData(l), p, forest.Options{Threads: l.threads, Progress: func(done, _ int) { l.step(done) }})
	if err != nil {
		return nil, nil, err
	}
	return trees{m, l.features}, nil, nil
}

var gradientBoosting = algorithm{
	name: "gradient_boosting", kinds: randomForest.kinds, classes: tree.MaxClasses, features: tree.MaxFeatures, texts: true, bytes: 9,
	steps:  func(m pipeline.Model) int { return m.Boosting.Rounds },
	check:  func(m pipeline.Model) error { return boostParams(m).Check() },
	train:  trainBoosting,
	decode: decodeTrees,
}

func boostParams(m pipeline.Model) boost.Params {
	b := m.Boosting
	return boost.Params{Rounds: b.Rounds, LearningRate: b.LearningRate, MaxLeaves: b.MaxLeaves, MaxDepth: b.MaxDepth, MinLeaf: b.MinLeaf,
		MinHessian: b.MinHessian, Lambda: b.L2, MinGain: b.MinGain, Bins: b.Bins, RowShare: b.RowShare, FeatureShare: b.FeatureShare,
		Patience: b.EarlyStopping, Seed: m.Split.Seed}
}

// trainBoosting stops early by a part of the training side, so that the held-out side stays unseen.
func trainBoosting(ctx context.Context, l lesson) (predictor, []string, error) {
	p := boostParams(l.model)
	p.ClassWeights = l.weights
	var watch []int32
	var warnings []string
	if p.Patience > 0 {
		var learn []int32
		if learn, watch = l.aside(l.model.Boosting.SetAside); len(watch) == 0 || len(learn) == 0 || l.classes > 0 && !l.hasClasses(learn) {
			watch, p.Patience = nil, 0
			warnings = append(warnings, "its training side is too small to set rows aside, so that it did not stop early.")
		} else {
			l.rows = learn
		}
	}
	m, history, err := boost.Train(ctx, treeData(l), watch, p, boost.Options{Threads: l.threads, Progress: func(done, _ int) { l.step(done) }})
	if err != nil {
		return nil, nil, err
	}
	if watch != nil && history.Rounds == p.Rounds {
		warnings = append(warnings, fmt.Sprintf("all %d rounds made progress on the rows set aside: more may be better.", p.Rounds))
	}
	return trees{m, l.features}, warnings, nil
}

// hasClasses reports whether rows of each class are among them.
func (l lesson) hasClasses(rows []int32) bool {
	seen, n := make([]bool, l.classes), 0
	for _, r := range rows {
		if k := int(l.target[r]); !seen[k] {
			seen[k] = true
			n++
		}
	}
	return n == l.classes
}

// treeData gives a lesson as package tree takes it. A column of texts has one category more than levels: the place of those
// that training did not see.
func treeData(l lesson) tree.Data {
	d := tree.Data{Columns: l.columns, Categories: make([]int, len(l.features)), Classes: l.classes, Keys: l.keys, Rows: l.rows}
	for f, own := range l.features {
		if own.levels != nil {
			d.Categories[f] = len(own.levels) + 1
		}
	}
	if l.classes == 0 {
		d.Number = l.target
		return d
	}
	d.Class = make([]uint8, len(l.target))
	for i, class := range l.target {
		d.Class[i] = uint8(class)
	}
	return d
}

func decodeTrees(artifact []byte, features []feature) (predictor, error) {
	m, err := tree.Decode(artifact)
	if err != nil {
		return nil, err
	}
	if err := checkFeatures(m.Features(), len(features)); err != nil {
		return nil, err
	}
	for f, own := range features {
		if have := m.Categories(f); own.levels == nil && have != 0 || own.levels != nil && have != len(own.levels)+1 {
			return nil, fmt.Errorf("its artifact has %d categories of %q and it names %d", have, own.name, len(own.levels))
		}
	}
	return trees{m, features}, nil
}

// trees is a model of trees as a predictor.
type trees struct {
	*tree.Model
	features []feature
}

// Nodes counts what the SQL grows with.
func (t trees) Nodes() int { return t.SQLNodes() }

// SQL finds the places of texts among their levels in a step of their own.
func (t trees) SQL(columns []string, prefix string) scoring {
	var s scoring
	var places []item
	ready := make([]string, len(columns))
	copy(ready, columns)
	for f, own := range t.features {
		if own.levels == nil {
			continue
		}
		ready[f] = fmt.Sprintf("%splace%d", prefix, f)
		places = append(places, item{ready[f], placeSQL(columns[f], own)})
	}
	if places != nil {
		s.steps = append(s.steps, places)
	}
	own := t.Model.SQL(ready, prefix)
	for _, step := range own.Steps {
		items := make([]item, len(step))
		for i, c := range step {
			items[i] = item{c.Name, c.Expression}
		}
		s.steps = append(s.steps, items)
	}
	s.outputs = own.Outputs
	return s
}

// placeSQL gives a text's place among the levels.
func placeSQL(column string, own feature) string {
	var b strings.Builder
	b.WriteString("case when " + column + " is null then null")
	for i, level := range own.levels {
		b.WriteString(" when " + column + " = " + sqltext.QuoteLiteral(level) + " then " + sqltext.Double(float64(i)))
	}
	b.WriteString(" else " + sqltext.Double(own.unseen()) + " end")
	return b.String()
}
