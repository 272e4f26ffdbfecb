// Package boost learns gradient boosted trees (J. Friedman, "Greedy function approximation: a gradient boosting machine",
// 2001) by the second order of the loss (T. Chen and C. Guestrin, "XGBoost", 2016), on histograms of binned columns and
// leaf by leaf (G. Ke and others, "LightGBM", 2017). Its central function is Train, which gives a tree.Model.
//
// Invariants:
//  1. The same set of rows (values, targets, keys), validation rows, parameters and seed give the same model, byte for byte,
//     in any row order, with any number of threads, on any machine: gradients and hessians are rounded to integers before
//     they are summed up, scores are added in the order of the trees, and ties go to the older leaf, the lower feature, the
//     lower bin. Exponentials and logarithms are package tree's, which are the same on all processors.
//  2. A split leaves min_leaf rows and min_hessian on both sides.
//
// Precision: with c bits for the number of rows (2ᶜ > n), a round's gradients are integers of at most 62-c bits, and never
// more than 49, its hessians of 62-2c, scaled by the power of two that the largest of the round fits: 42 and 22 bits for a
// million rows, 37 and 12 for the most, 2²⁵-1. A hessian is rounded up to one unit at least. They are so many because a
// bin's sum of hessians and its number of rows share one word.
//
// Losses: of two classes the log loss of the sigmoid, of K more the log loss of the softmax with K trees in each round, and
// K/(K-1) as Friedman's factor on the hessian; of numbers half the squared error. All are weighted by class.
//
// Categories are ordered in each node by gradient / (hessian + 10), equal ones by their bin; a split takes the first ones of
// that order. The 10, as LightGBM's cat_smooth, keeps rare categories in the middle.
//
// The package reads no files, knows no database and tells no time.
package boost

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"damson/internal/parallel"
	"damson/internal/tree"
)

// MaxRows bounds the rows to learn from, see the package's word on precision.
const MaxRows = 1<<25 - 1

// Params say how to boost.
type Params struct {
	Rounds       int
	LearningRate float64 // what a tree's leaves are multiplied by
	MaxLeaves    int     // of a tree
	MaxDepth     int     // of a leaf; the root's depth is 0
	MinLeaf      int     // rows a leaf keeps
	MinHessian   float64 // sum of the rows' hessians that a leaf keeps
	Lambda       float64 // added to the sum of hessians
	MinGain      float64 // decrease of the loss, twice, that a split needs
	Bins         int     // of a feature with more distinct values
	RowShare     float64 // of the rows, drawn anew by key for each round; 0 and 1 = all
	FeatureShare float64 // of the features, drawn anew for each tree; 0 and 1 = all
	Patience     int     // rounds without a smaller loss on the validation rows after which to stop; 0 = never
	ClassWeights []float64
	Seed         int64
}

// Check says in words which parameter is out of range, or gives nil.
func (p Params) Check() error {
	return cmp.Or(
		tree.Range("rounds", float64(p.Rounds), 1, tree.MaxTrees),
		tree.Range("learning_rate", p.LearningRate, 1e-6, 10),
		tree.Range("max_leaves", float64(p.MaxLeaves), 2, 4096),
		tree.Range("max_depth", float64(p.MaxDepth), 1, tree.MaxDepth),
		tree.Range("min_leaf", float64(p.MinLeaf), 1, MaxRows),
		tree.Range("min_hessian", p.MinHessian, 0, 1e100),
		tree.Range("lambda", p.Lambda, 0, 1e100),
		tree.Range("min_gain", p.MinGain, 0, math.MaxFloat64),
		tree.Range("bins", float64(p.Bins), 2, tree.MaxBins),
		tree.Range("row_share", p.RowShare, 0, 1),
		tree.Range("feature_share", p.FeatureShare, 0, 1),
		tree.Range("patience", float64(p.Patience), 0, tree.MaxTrees),
	)
}

// Options say how to compute, not what: the model does not depend on them.
type Options struct {
	Threads  int                   // 0 = all processors
	Progress func(done, total int) // called after each round; may be nil
}

// History is how a training went.
type History struct {
	Rounds int       // kept: the best ones, when there are validation rows and patience
	Loss   []float64 // mean loss on the validation rows after each round, those not kept included; nil without such rows
}

// Train boosts trees on d.Rows. valid are the rows to stop early by, which must not be among them; nil = none. Without a split that
// helps, boosting ends before all rounds are done.
func Train(ctx context.Context, d tree.Data, valid []int32, p Params, o Options) (*tree.Model, History, error) {
	d = d.WithRows()
	if err := check(d, valid, p); err != nil {
		return nil, History{}, err
	}
	b, err := newBooster(ctx, d, valid, p, parallel.Threads(o.Threads))
	if err != nil {
		return nil, History{}, err
	}
	var h History
	m := tree.NewBoosted(b.bins, d.Classes, b.start)
	for round := range p.Rounds {
		roots, err := b.round(ctx, round)
		if err != nil {
			return nil, History{}, err
		}
		if roots == nil && round > 0 {
			break
		}
		m.Add(b.bins, roots...)
		if valid != nil {
			h.Loss = append(h.Loss, b.valid.loss(b))
		}
		if o.Progress != nil {
			o.Progress(round+1, p.Rounds)
		}
		if valid != nil && p.Patience > 0 && best(h.Loss) <= len(h.Loss)-p.Patience {
			break
		}
	}
	h.Rounds = m.Trees() / len(b.start)
	if valid != nil && p.Patience > 0 {
		h.Rounds = best(h.Loss)
		m.Cut(h.Rounds * len(b.start))
	}
	return m, h, nil
}

// best is the number of rounds after which the loss was smallest, the fewest of equal ones.
func best(loss []float64) int {
	return slices.Index(loss, slices.Min(loss)) + 1
}

func check(d tree.Data, valid []int32, p Params) error {
	if err := p.Check(); err != nil {
		return err
	}
	if err := d.Check(); err != nil {
		return err
	}
	if len(d.Rows) > MaxRows || len(valid) > MaxRows {
		return fmt.Errorf("%d rows and %d to validate by, and boosting takes at most %d", len(d.Rows), len(valid), MaxRows)
	}
	if valid == nil {
		if p.Patience > 0 {
			return fmt.Errorf("patience is %d, and there are no rows to validate by", p.Patience)
		}
		return nil
	}
	if len(valid) == 0 {
		return fmt.Errorf("no rows to validate by")
	}
	for _, r := range valid {
		if d.Classes > 0 && int(d.Class[r]) >= d.Classes {
			return fmt.Errorf("target %d in row %d, and the classes are 0 to %d", d.Class[r], r, d.Classes-1)
		}
		if d.Classes == 0 && !(math.Abs(d.Number[r]) <= tree.MaxNumber) {
			return fmt.Errorf("target %v in row %d, and only numbers up to ±%g can be judged", d.Number[r], r, float64(tree.MaxNumber))
		}
	}
	return nil
}
