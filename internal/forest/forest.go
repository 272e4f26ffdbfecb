// Package forest learns and applies random forests for binary classification (L. Breiman, "Random Forests", Machine
// Learning 45, 2001) on binned columns, as LightGBM and XGBoost bin them. Its central type is Forest, made by Train or
// Decode and never changed afterwards.
//
// Invariants:
//  1. The same set of rows (values, targets, keys), parameters and seed give the same forest, byte for byte, in any row
//     order, with any number of threads, on any machine: after binning all sums are of integers, the bootstrap is drawn
//     from each row's key, and ties between splits go to the lower feature, then the lower bin.
//  2. A forest's SQL gives the same number as Predict: the same comparisons, and the same order of additions.
//  3. Decode accepts exactly what Encode writes; whatever else it is given, it refuses with an error.
//
// Values: NaN is "missing" (SQL's NULL). It has a bin of its own, and each split has learned to which side it goes. The
// infinities are ordinary values at the two ends. -0 equals 0.
//
// The package reads no files, knows no database and tells no time.
package forest

import (
	"fmt"
)

// Limits that keep hostile or absurd input from taking all memory.
const (
	MaxFeatures = 65_535
	MaxTrees    = 10_000
	MaxDepth    = 64
	MaxBins     = 255     // the missing values' bin makes it 256: a byte
	MaxRows     = 1 << 30 // so that the product of two weighted counts fits in 64 bits
)

// Params say how to grow a forest. The words are those of pipeline.RandomForest.
type Params struct {
	Trees            int
	MaxDepth         int // of a leaf; the root's depth is 0
	FeaturesPerSplit int // drawn for each split from those that vary in the node; 0 = square root of their number
	MinSplit         int // rows a node needs to be split, as drawn by the bootstrap
	MinLeaf          int // rows a leaf keeps, as drawn by the bootstrap
	Bins             int // of a feature with more distinct values
	Seed             int64
}

// Check says in words which parameter is out of range, or gives nil.
func (p Params) Check() error {
	ranges := []struct {
		name          string
		value, lo, hi int
	}{
		{"trees", p.Trees, 1, MaxTrees},
		{"max_depth", p.MaxDepth, 1, MaxDepth},
		{"features_per_split", p.FeaturesPerSplit, 0, MaxFeatures},
		{"min_split", p.MinSplit, 0, MaxRows},
		{"min_leaf", p.MinLeaf, 0, MaxRows},
		{"bins", p.Bins, 2, MaxBins},
	}
	for _, r := range ranges {
		if r.value < r.lo || r.value > r.hi {
			return fmt.Errorf("%s is %d, and must be from %d to %d", r.name, r.value, r.lo, r.hi)
		}
	}
	return nil
}

// Data are the rows to learn from, by column. All slices but Rows have the same length.
type Data struct {
	Columns [][]float64
	Target  []uint8 // 0 or 1
	Keys    []Key   // of each row's identity, see KeyOf
	Rows    []int32 // the rows to use; nil = all
}

// Forest is a trained forest.
type Forest struct {
	features int
	trees    []tree
}

// tree holds its nodes in preorder: a split's left child stands right behind it.
type tree struct {
	nodes  []node
	leaves []leaf
}

// node is a split or a leaf, in 16 bytes.
//
//	split: value = threshold, feature ≥ 0, next = index of the right child; a row goes left when its value ≤ threshold
//	leaf:  value = share of class 1, feature = leafMark, next = index into leaves
type node struct {
	value       float64
	next        int32
	feature     uint16
	kind        uint8
	missingLeft bool
}

const (
	splitNode uint8 = iota
	leafNode
)

// leaf counts the bootstrap rows that ended here.
type leaf struct{ rows, positives uint32 }

func (l leaf) share() float64 { return float64(l.positives) / float64(l.rows) }

// Features is the number of columns the forest reads.
func (f *Forest) Features() int { return f.features }

// Trees is the number of trees.
func (f *Forest) Trees() int { return len(f.trees) }

// Nodes is the number of nodes in all trees, leaves included: what the size of the SQL and the time of scoring grow with.
func (f *Forest) Nodes() int {
	n := 0
	for _, t := range f.trees {
		n += len(t.nodes)
	}
	return n
}

// Depth is the depth of the deepest leaf.
func (f *Forest) Depth() int {
	deepest := 0
	for _, t := range f.trees {
		t.walk(0, 0, func(_ int, depth int) { deepest = max(deepest, depth) })
	}
	return deepest
}

// walk visits the nodes under i in preorder.
func (t tree) walk(i, depth int, visit func(i, depth int)) {
	visit(i, depth)
	if n := t.nodes[i]; n.kind == splitNode {
		t.walk(i+1, depth+1, visit)
		t.walk(int(n.next), depth+1, visit)
	}
}

// Importance gives for each feature the decrease of Gini impurity by its splits, weighted by rows, averaged over the
// trees and scaled to a sum of 1 (Breiman's "mean decrease in impurity"). All are 0 when no tree has a split.
func (f *Forest) Importance() []float64 {
	gains := make([]float64, f.features)
	for _, t := range f.trees {
		own := make([]float64, f.features)
		root := t.gains(0, own)
		for i := range own {
			gains[i] += own[i] / float64(root.rows)
		}
	}
	total := 0.0
	for _, g := range gains {
		total += g
	}
	if total > 0 {
		for i := range gains {
			gains[i] /= total
		}
	}
	return gains
}

// gains adds the impurity decreases of the splits under node i to own, and gives the node's counts.
func (t tree) gains(i int, own []float64) leaf {
	n := t.nodes[i]
	if n.kind == leafNode {
		return t.leaves[n.next]
	}
	l, r := t.gains(i+1, own), t.gains(int(n.next), own)
	sum := leaf{l.rows + r.rows, l.positives + r.positives}
	// rows · 2p(1-p) before minus after = 2 · gain / rows, see gain.
	own[n.feature] += 2 * gain(l.rows, l.positives, r.rows, r.positives) / float64(sum.rows)
	return sum
}

// gain orders the splits of one node as the decrease of Gini impurity does; it is 0 exactly when both sides have the same
// share of positives. With d = p₁n₂ - p₂n₁, an exact integer, the decrease is 2d² / (n · n₁n₂).
func gain(n1, p1, n2, p2 uint32) float64 {
	d := float64(int64(p1)*int64(n2) - int64(p2)*int64(n1))
	return d * d / (float64(n1) * float64(n2))
}
