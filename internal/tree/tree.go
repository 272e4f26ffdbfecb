// Package tree holds what models made of decision trees share: bins of values, trees, their encoding, prediction and SQL.
// Its central type is Model, made by package forest or boost, or by Decode, and never changed afterwards.
//
// Invariants:
//  1. What a learner sums up are integers, so that the same set of rows gives the same model in any row order, with any
//     number of threads; what is computed in floating point gives the same bits on any machine (exact.go).
//  2. A model's SQL gives the same number as Predict: the same comparisons and the same order of additions; probabilities
//     of boosted trees, for which a database's exp is asked, differ by less than 1e-12.
//  3. Decode accepts exactly what Encode writes; whatever else it is given, it refuses with an error.
//
// Values: NaN is "missing" (SQL's NULL). It has a bin of its own, and each split has learned to which side it goes. The
// infinities are ordinary values at the two ends. -0 equals 0. A category that a node saw no row of, and one that was not
// among those declared, go where missing values go. A column with more than 255 categories keeps the 254 most frequent; all
// others, those never seen included, count as one category, "other".
//
// The package learns nothing, reads no files, knows no database and tells no time.
package tree

import (
	"fmt"
	"math"
)

// Limits that keep hostile or absurd input from taking all memory.
const (
	MaxFeatures   = 65_535
	MaxTrees      = 10_000
	MaxDepth      = 64
	MaxBins       = 255     // the missing values' bin makes it 256: a byte
	MaxRows       = 1 << 30 // so that counts of a bootstrap sample fit in 32 bits
	MaxClasses    = 100
	MaxCategories = 1 << 20
	MaxNumber     = 1e100 // of a target, so that squares of sums are finite
)

// Kind is how trees make a prediction together.
type Kind uint8

const (
	Forest  Kind = 1 // the mean of the trees' leaves
	Boosted Kind = 2 // a start plus the sum of the trees' leaves, as log-odds when classes are predicted
)

// Model is a trained model of trees.
type Model struct {
	kind     Kind
	classes  int // 0 = a number is predicted
	features []feature
	weights  []uint64  // of the classes, in a forest of classes
	start    []float64 // of each score, in a boosted model
	summed   bool      // a part of a forest, whose SQL gives sums rather than means
	trees    []tree    // of a boosted model: round by round, in each round score by score
}

// tree holds its nodes in preorder: a split's left child stands right behind it.
type tree struct {
	nodes  []node
	gains  []float32 // of each node, 0 for a leaf
	leaves []leaf
	counts []count // of all leaves, in a forest of classes
	sets   []set
}

// node is a split or a leaf, in 16 bytes.
//
//	number split: value = threshold, next = index of the right child; a row goes left when its value ≤ threshold
//	set split:    value = index into sets, next = index of the right child; a row goes left when its bin is in the set
//	leaf:         value = the predicted number or share of class 1, next = index into leaves
type node struct {
	value       float64
	next        int32
	feature     uint16
	kind        nodeKind
	missingLeft bool
}

type nodeKind uint8

const (
	numberNode nodeKind = iota
	setNode
	leafNode
)

// leaf counts the training rows that ended here, as drawn by the bootstrap; in a forest of classes counts[from:to] tells
// them by class.
type leaf struct {
	rows     uint64
	from, to int32
}

// count is a class that occurs in a leaf, and its weighted share there.
type count struct {
	rows  uint64
	share float64
	class uint8
}

// set is a set of bins.
type set [4]uint64

func (s *set) has(bin uint8) bool { return s[bin>>6]>>(bin&63)&1 == 1 }
func (s *set) add(bin uint8)      { s[bin>>6] |= 1 << (bin & 63) }

// Split is how a node's rows part, as a learner finds it.
type Split struct {
	Feature     int
	Bin         uint8      // numbers: bins 1 … Bin go left
	Categories  *[256]bool // categories: the bins that go left; those without rows in the node go with the missing ones
	MissingLeft bool
	Gain        float64 // what Importance adds up
}

// Left reports for every bin whether its rows go left.
func (s *Split) Left() (left [256]uint8) {
	for b := 1; b < len(left); b++ {
		if s.Categories != nil && s.Categories[b] || s.Categories == nil && b <= int(s.Bin) {
			left[b] = 1
		}
	}
	if s.MissingLeft {
		left[0] = 1
	}
	return left
}

// Prefix gives the bins that go left when those of a prefix of the occurring ones do: bins that do not occur go with the
// missing values.
func Prefix(prefix, occur []uint8, missingLeft bool) *[256]bool {
	left := new([256]bool)
	for b := range left {
		left[b] = missingLeft
	}
	for _, b := range occur {
		left[b] = false
	}
	for _, b := range prefix {
		left[b] = true
	}
	return left
}

// Node is a tree under construction. A leaf has no Left and no Right.
type Node struct {
	Split
	Left, Right *Node
	Rows        uint64
	Counts      []uint64 // rows of each class, in a forest of classes
	Value       float64  // in all other models
}

// NewForest begins a forest. classes 0 predicts numbers; weights are those of the classes, from ClassWeights.
func NewForest(b *Bins, classes int, weights []uint64) *Model {
	return &Model{kind: Forest, classes: classes, features: b.features, weights: weights}
}

// NewBoosted begins a boosted model with the start of each score: one of 2 classes or of a number, else one for each class.
func NewBoosted(b *Bins, classes int, start []float64) *Model {
	return &Model{kind: Boosted, classes: classes, features: b.features, start: start}
}

// Add appends trees. It belongs to the model's making: a model in use does not change.
func (m *Model) Add(b *Bins, roots ...*Node) {
	for _, root := range roots {
		var t tree
		m.emit(&t, b, root)
		m.trees = append(m.trees, t)
	}
}

// Cut keeps the first trees only. It belongs to the model's making.
func (m *Model) Cut(trees int) { m.trees = m.trees[:trees] }

// emit writes n and what stands under it in preorder.
func (m *Model) emit(t *tree, b *Bins, n *Node) {
	if n.Left == nil {
		m.emitLeaf(t, n.Rows, n.Counts, n.Value)
		return
	}
	at := len(t.nodes)
	own := node{feature: uint16(n.Feature), missingLeft: n.MissingLeft, value: math.Inf(1)}
	if n.Categories != nil {
		own.kind, own.value = setNode, float64(len(t.sets))
		t.sets = append(t.sets, set{})
		s := &t.sets[len(t.sets)-1]
		for bin := 0; bin <= b.Last(n.Feature); bin++ {
			if bin == 0 && n.MissingLeft || bin > 0 && n.Categories[bin] {
				s.add(uint8(bin))
			}
		}
	} else if edges := b.edges[n.Feature]; int(n.Bin) <= len(edges) {
		own.value = edges[n.Bin-1]
	}
	t.nodes, t.gains = append(t.nodes, own), append(t.gains, float32(n.Gain))
	m.emit(t, b, n.Left)
	t.nodes[at].next = int32(len(t.nodes))
	m.emit(t, b, n.Right)
}

// emitLeaf appends a leaf; counts has one entry for each class.
func (m *Model) emitLeaf(t *tree, rows uint64, counts []uint64, value float64) {
	l := leaf{rows: rows, from: int32(len(t.counts))}
	if m.counted() {
		weight := uint64(0)
		for k, c := range counts {
			weight += c * m.weights[k]
		}
		for k, c := range counts {
			if c > 0 {
				t.counts = append(t.counts, count{rows: c, class: uint8(k), share: float64(c*m.weights[k]) / float64(weight)})
			}
		}
		value = 0
		for _, c := range t.counts[l.from:] {
			if m.classes == 2 && c.class == 1 {
				value = c.share
			}
		}
	}
	l.to = int32(len(t.counts))
	t.nodes = append(t.nodes, node{value: value, kind: leafNode, next: int32(len(t.leaves))})
	t.gains = append(t.gains, 0)
	t.leaves = append(t.leaves, l)
}

// counted reports whether leaves hold counts of classes.
func (m *Model) counted() bool { return m.kind == Forest && m.classes > 0 }

// sparse reports whether a leaf gives a share to each of many classes.
func (m *Model) sparse() bool { return m.kind == Forest && m.classes > 2 }

// Kind is how the trees predict together.
func (m *Model) Kind() Kind { return m.kind }

// Classes is the number of classes, 0 when a number is predicted.
func (m *Model) Classes() int { return m.classes }

// Outputs is how many numbers are predicted for a row: 1, the number or the probability of class 1 of two; else the
// probability of each class.
func (m *Model) Outputs() int {
	if m.classes <= 2 {
		return 1
	}
	return m.classes
}

// scores is the number of sums that the trees are dealt out to.
func (m *Model) scores() int {
	if m.kind == Boosted {
		return m.Outputs()
	}
	return 1
}

// Features is the number of columns the model reads.
func (m *Model) Features() int { return len(m.features) }

// Categories is the number of categories of a column, 0 when it holds numbers.
func (m *Model) Categories(f int) int { return m.features[f].categories }

// Trees is the number of trees.
func (m *Model) Trees() int { return len(m.trees) }

// Nodes is the number of nodes in all trees, leaves included: what the time of scoring grows with.
func (m *Model) Nodes() int {
	n := 0
	for i := range m.trees {
		n += len(m.trees[i].nodes)
	}
	return n
}

// Depth is the depth of the deepest leaf; a root's is 0.
func (m *Model) Depth() int {
	deepest := 0
	for i := range m.trees {
		m.trees[i].walk(0, 0, func(_, depth int) { deepest = max(deepest, depth) })
	}
	return deepest
}

// MinLeafRows is the number of training rows in the emptiest leaf.
func (m *Model) MinLeafRows() uint64 {
	least := uint64(math.MaxUint64)
	for i := range m.trees {
		for _, l := range m.trees[i].leaves {
			least = min(least, l.rows)
		}
	}
	return least
}

// walk visits the nodes under i in preorder.
func (t *tree) walk(i, depth int, visit func(i, depth int)) {
	visit(i, depth)
	if n := t.nodes[i]; n.kind != leafNode {
		t.walk(i+1, depth+1, visit)
		t.walk(int(n.next), depth+1, visit)
	}
}

// Importance gives for each feature the gain of its splits, scaled to a sum of 1: of a forest the decrease of impurity or
// of variance as a share of the tree's rows (Breiman's "mean decrease in impurity"), of boosted trees the decrease of the
// loss. All are 0 when no tree has a split.
func (m *Model) Importance() []float64 {
	gains := make([]float64, len(m.features))
	total := 0.0
	for _, t := range m.trees {
		for i, n := range t.nodes {
			if n.kind != leafNode {
				gains[n.feature] += float64(t.gains[i])
				total += float64(t.gains[i])
			}
		}
	}
	if total > 0 {
		for i := range gains {
			gains[i] /= total
		}
	}
	return gains
}

// Range says in words that a parameter is out of range, or gives nil.
func Range(name string, value, lo, hi float64) error {
	if value >= lo && value <= hi {
		return nil
	}
	return fmt.Errorf("%s is %v, and must be from %v to %v", name, value, lo, hi)
}
