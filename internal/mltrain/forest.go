package mltrain

import (
	"context"
	"crypto/md5"

	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/pipeline"
)

// maxSQLNodes bounds the models that are scored as SQL. docs/models.md has the measurements.
const maxSQLNodes = forest.MaxSQLNodes

// key stands for the identity of a row or a group; what is drawn at random is drawn by it.
type key = forest.Key

func keyOf(text string) key                         { return forest.KeyOf(text) }
func keyOfMD5(sum [md5.Size]byte) key               { return forest.KeyOfMD5(sum) }
func newDraw(seed int64, stream uint64) forest.Draw { return forest.NewDraw(seed, stream) }

var randomForest = algorithm{
	name: "random_forest", kinds: []metric.Kind{metric.Binary}, classes: 2, features: forest.MaxFeatures, bytes: 9,
	steps:  func(m pipeline.Model) int { return m.Forest.Trees },
	check:  func(m pipeline.Model) error { return forestParams(m).Check() },
	train:  trainForest,
	decode: decodeForest,
}

func forestParams(m pipeline.Model) forest.Params {
	f := m.Forest
	return forest.Params{Trees: f.Trees, MaxDepth: f.MaxDepth, FeaturesPerSplit: f.FeaturesPerSplit,
		MinSplit: f.MinSplit, MinLeaf: f.MinLeaf, Bins: f.Bins, Seed: m.Split.Seed}
}

func trainForest(ctx context.Context, l lesson) (predictor, []string, error) {
	classes := make([]uint8, len(l.target))
	for i, class := range l.target {
		classes[i] = uint8(class)
	}
	d := forest.Data{Columns: l.columns, Target: classes, Keys: l.keys, Rows: l.rows}
	f, err := forest.Train(ctx, d, forestParams(l.model), forest.Options{Threads: l.threads, Progress: func(done, _ int) { l.step(done) }})
	if err != nil {
		return nil, nil, err
	}
	return trees{f}, nil, nil
}

func decodeForest(artifact []byte, features []feature) (predictor, error) {
	f, err := forest.Decode(artifact)
	if err != nil {
		return nil, err
	}
	return trees{f}, checkFeatures(f.Features(), len(features))
}

// trees is a forest as a predictor.
type trees struct{ *forest.Forest }

func (t trees) Outputs() int { return 1 }

func (t trees) PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error) {
	p, err := t.Forest.PredictRows(ctx, columns, rows, threads)
	return [][]float64{p}, err
}

func (t trees) SQL(columns []string, _ string) scoring {
	return scoring{outputs: []string{t.Forest.SQL(columns)}}
}
