package forest

import (
	"fmt"
	"maps"

	"damson/internal/tree"
)

// Levels grows a forest from counts that somebody else takes, such as a database that keeps its rows: level by level, all
// trees at once. It gives the forest that Train gives of the same rows.
//
//	l, err := NewLevels(of, params)
//	l.AddRoot(…) of every tree and class
//	for asks := l.Next(n); len(asks) > 0; asks = l.Next(n) {
//		l.Add(…) of every bin and class of every ask; l.Route tells which rows a node has
//	}
//	l.Model()
type Levels struct {
	*chooser
	of      Summary
	weights []uint64
	all     []uint64 // of all rows, as they are
	trees   []*levelTree
	asked   []histogram // the answers to Next
}

// Summary says what the rows are.
type Summary struct {
	Bins     *tree.Bins
	Classes  int     // 0 = numbers are learned
	Scale    float64 // of numbers: from tree.FixedPoint
	Mean     int64   // of numbers: taken off before they are added up
	Constant []bool  // features known to have one value in all rows, missing or not; nil = none
}

// Ask is a histogram that is needed: of a feature, over the rows of a node. Nodes are numbered within their tree, anew by
// each Next.
type Ask struct{ Tree, Node, Feature int }

// Branch is a part of a tree through which rows go to the nodes that are asked about.
type Branch struct {
	Node        int // that is asked about; -1 = none
	Split       *tree.Split
	Left, Right *Branch // nil = no node below is asked about
}

// levelTree is a tree under way.
type levelTree struct {
	root     *levelNode
	frontier []*levelNode // whose splits are looked for, all of one depth
	nodes    int          // that are asked about
	grown    *tree.Node   // nil until the tree is
}

// levelNode is a node of it. Of a pair of children, the larger one may know its parent and the smaller one: what both have
// counted it has counted, too.
type levelNode struct {
	candidate
	parent, smaller *levelNode
	seen            map[uint16]histogram
	asked           map[uint16]histogram // by the last Next
	varies          map[uint16]bool      // of the features that were scanned
	rounds, number  int                  // number is -1 when it is not asked about
	left, right     *levelNode
}

// keptWords bounds the histograms that are kept for a tree's next level.
const keptWords = 8 << 20

// NewLevels begins a forest.
func NewLevels(of Summary, p Params) (*Levels, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	weights, err := tree.ClassWeights(p.ClassWeights, of.Classes)
	if err != nil {
		return nil, err
	}
	var m measure = numberMeasure{scale: of.Scale, mean: of.Mean}
	if of.Classes > 0 {
		m = newClassMeasure(weights)
	}
	p = p.FeaturesOf(of.Bins.Features(), of.Classes)
	l := &Levels{chooser: newChooser(of.Bins, m, p), of: of, weights: weights, trees: make([]*levelTree, p.Trees)}
	l.all = make([]uint64, l.width)
	for i := range l.trees {
		root := l.newNode()
		root.candidate = candidate{seed: treeSeed(p.Seed, i), total: make([]uint64, l.width)}
		l.trees[i] = &levelTree{root: root}
	}
	return l, nil
}

// AddAll adds rows of a class, or rows and the sum of their numbers less the mean, to those of the whole: each counts once.
func (l *Levels) AddAll(class int, rows uint64, sum int64) { l.add(l.all, class, rows, sum) }

// AddRoot adds rows to a tree's, as drawn by its bootstrap.
func (l *Levels) AddRoot(tree, class int, rows uint64, sum int64) {
	l.add(l.trees[tree].root.total, class, rows, sum)
}

// Add adds rows to the answer of an ask.
func (l *Levels) Add(ask, bin, class int, rows uint64, sum int64) error {
	if ask < 0 || ask >= len(l.asked) || bin < 0 || (bin+1)*l.width > len(l.asked[ask]) || class < 0 || class > 0 && class >= l.of.Classes {
		return fmt.Errorf("a count of class %d in bin %d for question %d, which was not asked", class, bin, ask)
	}
	l.add(l.at(l.asked[ask], bin), class, rows, sum)
	return nil
}

func (l *Levels) add(words []uint64, class int, rows uint64, sum int64) {
	if l.of.Classes == 0 {
		words[0] += rows
		words[1] += uint64(sum)
		return
	}
	words[class>>1] += rows << (class & 1 << 5)
}

// Done is how many trees are grown.
func (l *Levels) Done() int {
	n := 0
	for _, t := range l.trees {
		if t.grown != nil {
			n++
		}
	}
	return n
}

// Next gives the histograms that are needed next, tree by tree, some more than most at times; none when all trees are grown.
func (l *Levels) Next(most int) []Ask {
	l.asked = nil
	var asks []Ask
	for i, t := range l.trees {
		if t.grown != nil || len(asks) >= most {
			continue
		}
		l.begin(t.root.total)
		if t.frontier == nil {
			l.start(t)
		}
		asks = l.advance(asks, i, t, most)
	}
	return asks
}

// start settles a tree's root.
func (l *Levels) start(t *levelTree) {
	if l.measure.rows(t.root.total) == 0 { // a bootstrap of very few rows: the tree is one leaf of all rows
		t.grown = l.leaf(l.all)
		return
	}
	if l.open(&t.root.candidate) {
		t.frontier = []*levelNode{t.root}
	}
}

// advance asks for what the tree's level needs, and goes on to the next level as long as it needs nothing.
func (l *Levels) advance(asks []Ask, number int, t *levelTree, most int) []Ask {
	for t.grown == nil {
		l.settle(t)
		before := len(asks)
		for _, n := range t.frontier {
			if len(asks) >= most && len(asks) > before {
				return asks
			}
			asks = l.look(asks, number, t, n)
		}
		if len(asks) > before {
			return asks
		}
		if t.frontier = l.expand(t.frontier); t.frontier == nil {
			t.grown = l.finish(l.grown(t.root))
		}
	}
	return asks
}

// settle takes what was asked as answered.
func (l *Levels) settle(t *levelTree) {
	t.nodes = 0
	for _, n := range t.frontier {
		n.settle()
		if n.smaller != nil {
			n.smaller.settle()
		}
	}
}

func (n *levelNode) settle() {
	n.number = -1
	maps.Copy(n.seen, n.asked)
	n.asked = nil
}

// look scans the features drawn for a node as far as their histograms are known, and asks for those that it needs beyond. A
// node that has been asked about before, in vain since features did not vary in it, asks for more of them at once.
func (l *Levels) look(asks []Ask, number int, t *levelTree, n *levelNode) []Ask {
	found, wanted := 0, 0
	for f := range l.drawn(&n.candidate) {
		if found == l.p.FeaturesPerSplit || wanted == (l.p.FeaturesPerSplit-found)<<min(2*n.rounds, 16) {
			break
		}
		if l.of.Constant != nil && l.of.Constant[f] {
			continue
		}
		varies, scanned := n.varies[f]
		if !scanned {
			h := l.known(n, f)
			if h == nil {
				wanted++
				asks = l.ask(asks, number, t, n, f)
				continue
			}
			if wanted > 0 {
				continue // the ones before come first
			}
			varies = l.scan(&n.candidate, f, h)
			n.varies[f] = varies
		}
		if varies {
			found++
		}
	}
	if wanted > 0 {
		n.rounds++
	}
	return asks
}

// known gives a node's histogram of a feature, nil when it has to be asked for.
func (l *Levels) known(n *levelNode, f uint16) histogram {
	if h := n.seen[f]; h != nil || n.parent == nil {
		return h
	}
	of, other := n.parent.seen[f], n.smaller.seen[f]
	if of == nil || other == nil {
		return nil
	}
	h := make(histogram, len(of))
	for i := range h {
		h[i] = of[i] - other[i]
	}
	n.seen[f] = h
	return h
}

// ask asks for a histogram of the node, or of the smaller sibling when that makes the node's.
func (l *Levels) ask(asks []Ask, number int, t *levelTree, n *levelNode, f uint16) []Ask {
	if n.parent != nil && n.parent.seen[f] != nil {
		if n = n.smaller; n.asked[f] != nil {
			return asks
		}
	}
	if n.number < 0 {
		n.number = t.nodes
		t.nodes++
	}
	h := make(histogram, (l.bins.Last(int(f))+1)*l.width)
	if n.asked == nil {
		n.asked = map[uint16]histogram{}
	}
	n.asked[f] = h
	l.asked = append(l.asked, h)
	return append(asks, Ask{number, n.number, int(f)})
}

// expand makes the next level, of the nodes that may be split; nil when there is none.
func (l *Levels) expand(level []*levelNode) (next []*levelNode) {
	kept := 0
	for _, n := range level {
		n.parent, n.smaller = nil, nil
		for _, h := range n.seen {
			kept += len(h)
		}
	}
	keep := 2*l.p.FeaturesPerSplit >= l.bins.Features() && kept <= keptWords
	for _, n := range level {
		if !keep {
			n.seen = nil
		}
		if n.best.Gain == 0 {
			n.seen = nil
			continue
		}
		n.left, n.right = l.newNode(), l.newNode()
		n.left.candidate, n.right.candidate = n.children()
		small, large := n.left, n.right
		if l.measure.rows(large.total) < l.measure.rows(small.total) {
			small, large = large, small
		}
		if keep {
			large.parent, large.smaller = n, small
		}
		for _, child := range []*levelNode{small, large} {
			if l.open(&child.candidate) {
				next = append(next, child)
			}
		}
	}
	return next
}

func (l *Levels) newNode() *levelNode {
	return &levelNode{seen: map[uint16]histogram{}, varies: map[uint16]bool{}, number: -1}
}

// grown gives the tree under a node as the chooser finishes it.
func (l *Levels) grown(n *levelNode) *grown {
	if n.left == nil {
		return &grown{node: *l.leaf(n.total), total: n.total}
	}
	return &grown{node: tree.Node{Split: n.best}, total: n.total, left: l.grown(n.left), right: l.grown(n.right)}
}

// Route tells the way to a tree's nodes that the last Next asks about.
func (l *Levels) Route(tree int) *Branch { return route(l.trees[tree].root) }

func route(n *levelNode) *Branch {
	if n == nil {
		return nil
	}
	b := &Branch{Node: n.number, Split: &n.best, Left: route(n.left), Right: route(n.right)}
	if b.Node < 0 && b.Left == nil && b.Right == nil {
		return nil
	}
	return b
}

// Model gives the grown forest.
func (l *Levels) Model() *tree.Model {
	m := tree.NewForest(l.bins, l.of.Classes, l.weights)
	for _, t := range l.trees {
		m.Add(l.bins, t.grown)
	}
	return m
}
