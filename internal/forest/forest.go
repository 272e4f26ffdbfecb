// Package forest learns random forests (L. Breiman, "Random Forests", Machine Learning 45, 2001) and single decision trees
// (L. Breiman and others, "Classification and Regression Trees", 1984) on binned columns, for two or more classes and for
// numbers. Its central function is Train, which gives a tree.Model; Levels grows the same one from counts that a database takes.
//
// Invariants:
//  1. The same set of rows (values, targets, keys), parameters and seed give the same forest, byte for byte, in any row
//     order, with any number of threads, on any machine: after binning all sums are of integers, the bootstrap is drawn
//     from each row's key, and ties between splits go to the lower feature, then the lower bin.
//  2. A split leaves min_leaf rows on both sides, as drawn by the bootstrap, and makes the node's impurity (Gini's for
//     classes, the variance for numbers) smaller.
//
// Numbers to be learned are rounded to a multiple of a power of two, so that sums of them are exact (tree.FixedPoint): for
// n rows of size at most s to within s/2⁵⁰, or s·n/2⁵⁸ when that is more.
//
// Categories are ordered in each node by the share of class 1, of the node's most frequent class when there are more than
// two, or by the mean of the numbers; a split takes the first ones of that order, equal ones by their code. For two classes and
// for numbers no other subset is better (W. Fisher 1958; Breiman 1984); for more it is a rule of thumb.
//
// The package reads no files, knows no database and tells no time.
package forest

import (
	"cmp"
	"context"
	"math"
	"sync/atomic"

	"damson/internal/parallel"
	"damson/internal/tree"
)

// Params say how to grow a forest. The words are those of pipeline.RandomForest.
type Params struct {
	Trees            int
	MaxDepth         int       // of a leaf; the root's depth is 0
	FeaturesPerSplit int       // drawn for each split from those that vary in the node; 0 = square root of their number, of numbers a third
	MinSplit         int       // rows a node needs to be split, as drawn by the bootstrap
	MinLeaf          int       // rows a leaf keeps, as drawn by the bootstrap
	Bins             int       // of a feature with more distinct values
	WholeRows        bool      // every tree learns from all rows as they are; no bootstrap
	MinGain          float64   // decrease of impurity that a split needs, times the node's share of the tree's rows
	Alpha            float64   // prunes: what a leaf costs in impurity, see prune
	ClassWeights     []float64 // of each class, 1/1024 to 1024, rounded to 1/1024; nil = all alike
	Seed             int64
}

// DecisionTree makes p the parameters of a single tree that looks at all rows and all features.
func DecisionTree(p Params) Params {
	p.Trees, p.FeaturesPerSplit, p.WholeRows = 1, tree.MaxFeatures, true
	return p
}

// Check says in words which parameter is out of range, or gives nil.
func (p Params) Check() error {
	return cmp.Or(
		tree.Range("trees", float64(p.Trees), 1, tree.MaxTrees),
		tree.Range("max_depth", float64(p.MaxDepth), 1, tree.MaxDepth),
		tree.Range("features_per_split", float64(p.FeaturesPerSplit), 0, tree.MaxFeatures),
		tree.Range("min_split", float64(p.MinSplit), 0, tree.MaxRows),
		tree.Range("min_leaf", float64(p.MinLeaf), 0, tree.MaxRows),
		tree.Range("bins", float64(p.Bins), 2, tree.MaxBins),
		tree.Range("min_gain", p.MinGain, 0, math.MaxFloat64),
		tree.Range("alpha", p.Alpha, 0, math.MaxFloat64),
	)
}

// Options say how to compute, not what: the forest does not depend on them.
type Options struct {
	Threads  int                   // 0 = all processors
	Progress func(done, total int) // called after each tree, from several goroutines; may be nil
}

// Train grows a forest. It reports unusable data in words that name no column, since it knows only their numbers.
func Train(ctx context.Context, d tree.Data, p Params, o Options) (*tree.Model, error) {
	d = d.WithRows()
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	weights, err := tree.ClassWeights(p.ClassWeights, d.Classes)
	if err != nil {
		return nil, err
	}
	p = p.FeaturesOf(len(d.Columns), d.Classes)
	threads := parallel.Threads(o.Threads)
	b, err := bin(ctx, d, p, weights, threads)
	if err != nil {
		return nil, err
	}
	roots := make([]*tree.Node, p.Trees)
	var done atomic.Int64
	err = parallel.Each(ctx, p.Trees, threads, func(i int) {
		roots[i] = newGrower(ctx, b, p, i).tree()
		if o.Progress != nil {
			o.Progress(int(done.Add(1)), p.Trees)
		}
	})
	if err != nil {
		return nil, err
	}
	m := tree.NewForest(b.bins, d.Classes, weights)
	m.Add(b.bins, roots...)
	return m, nil
}

// FeaturesOf fills in how many features a split looks at.
func (p Params) FeaturesOf(features, classes int) Params {
	switch {
	case p.FeaturesPerSplit > 0:
		p.FeaturesPerSplit = min(p.FeaturesPerSplit, features)
	case classes == 0:
		p.FeaturesPerSplit = max(1, features/3)
	default:
		p.FeaturesPerSplit = squareRoot(features)
	}
	return p
}

func squareRoot(n int) int {
	root := 1
	for (root+1)*(root+1) <= n {
		root++
	}
	return root
}

// binned are the rows to learn from, as bytes.
type binned struct {
	bins    *tree.Bins
	columns [][]uint8
	class   []uint8 // of a row
	number  []int64 // of a row, in fixed point, the mean of all taken off
	keys    []tree.Key
	measure measure
}

// bin cuts every column into at most p.Bins bins by quantiles of the rows used.
func bin(ctx context.Context, d tree.Data, p Params, weights []uint64, threads int) (*binned, error) {
	n := len(d.Rows)
	b := &binned{columns: make([][]uint8, len(d.Columns)), keys: make([]tree.Key, n)}
	for i, r := range d.Rows {
		b.keys[i] = d.Keys[r]
	}
	if d.Classes > 0 {
		b.class = make([]uint8, n)
		for i, r := range d.Rows {
			b.class[i] = d.Class[r]
		}
		b.measure = newClassMeasure(weights)
	} else {
		var m numberMeasure
		b.number, m = fixNumbers(d)
		b.measure = m
	}
	var err error
	if b.bins, err = tree.Cut(ctx, d, p.Bins, p.Seed, threads); err != nil {
		return nil, err
	}
	return b, parallel.Each(ctx, len(d.Columns), threads, func(f int) { b.columns[f] = b.bins.Code(f, d.Columns[f], d.Rows) })
}

// Scale is what numbers, the largest of so many having the given size, are multiplied by to be added up: twice the size because
// of the mean, and sixteen times the rows because a bootstrap draws some of them so often.
func Scale(largest float64, rows int) float64 { return tree.FixedPoint(2*largest, 16*rows) }

// fixNumbers gives the targets as integers. Taking off the mean keeps their sums small.
func fixNumbers(d tree.Data) ([]int64, numberMeasure) {
	largest := 0.0
	for _, r := range d.Rows {
		largest = max(largest, math.Abs(d.Number[r]))
	}
	scale := Scale(largest, len(d.Rows))
	out := make([]int64, len(d.Rows))
	sum := int64(0)
	for i, r := range d.Rows {
		out[i] = tree.Fixed(d.Number[r], scale)
		sum += out[i]
	}
	mean := sum / int64(len(out))
	for i := range out {
		out[i] -= mean
	}
	return out, numberMeasure{scale: scale, mean: mean}
}
