package forest

import (
	"cmp"
	"iter"
	"slices"

	"damson/internal/tree"
)

// histogram has the measure's words for each bin, the missing values' first.
type histogram []uint64

// chooser finds the splits of one tree's nodes from their histograms, wherever those were counted: by grower from rows in
// memory, by Levels from counts that somebody else gives.
type chooser struct {
	bins     *tree.Bins
	measure  measure
	p        Params
	width    int      // words of a bin
	order    []uint16 // a permutation of the features, its head drawn anew for each node
	identity []uint16
	right    []uint64 // words of the split looked at
	weight   float64  // of the tree's rows
	minGain  float64  // in the measure's weight
}

// candidate is a node whose split is looked for.
type candidate struct {
	depth int
	seed  uint64
	total []uint64
	lead  int
	best  tree.Split // Gain 0 = none
	left  []uint64   // of the best split
}

func newChooser(bins *tree.Bins, m measure, p Params) *chooser {
	c := &chooser{bins: bins, measure: m, p: p, width: m.words(), order: make([]uint16, bins.Features()), identity: make([]uint16, bins.Features())}
	for i := range c.identity {
		c.identity[i] = uint16(i)
	}
	c.right = make([]uint64, c.width)
	return c
}

// treeSeed is what a tree's draws of features begin with.
func treeSeed(seed int64, number int) uint64 {
	return tree.Mix(uint64(seed)) ^ tree.Mix(tree.StreamTrees+uint64(number))
}

// begin notes what a tree's gains are measured by.
func (c *chooser) begin(total []uint64) {
	c.weight = c.measure.weight(total)
	c.minGain = c.p.MinGain * c.weight
}

// open reports whether a node may be split, and gets it ready.
func (c *chooser) open(n *candidate) bool {
	if n.depth >= c.p.MaxDepth || c.measure.rows(n.total) < uint64(max(c.p.MinSplit, 2)) || c.measure.pure(n.total) {
		return false
	}
	n.lead = c.measure.leader(n.total)
	return true
}

// drawn gives the features in the order that the node's seed draws.
func (c *chooser) drawn(n *candidate) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		copy(c.order, c.identity) // so that the draw depends on the node's seed alone
		draws := tree.Random(n.seed)
		for i := range c.order {
			j := i + int(draws.Below(uint64(len(c.order)-i)))
			c.order[i], c.order[j] = c.order[j], c.order[i]
			if !yield(c.order[i]) {
				return
			}
		}
	}
}

// children are the two nodes that the best split makes.
func (n *candidate) children() (l, r candidate) {
	l = candidate{depth: n.depth + 1, seed: tree.Mix(n.seed ^ 0x6c65), total: n.left}
	r = candidate{depth: n.depth + 1, seed: tree.Mix(n.seed ^ 0x7269), total: make([]uint64, len(n.total))}
	for i := range r.total {
		r.total[i] = n.total[i] - n.left[i]
	}
	return l, r
}

// at gives the words of one bin.
func (c *chooser) at(h histogram, bin int) []uint64 { return h[bin*c.width : (bin+1)*c.width] }

func empty(words []uint64) bool {
	for _, w := range words {
		if w != 0 {
			return false
		}
	}
	return true
}

// scan compares the feature's splits with the best so far, and reports whether the feature varies in the node.
func (c *chooser) scan(n *candidate, feature uint16, h histogram) bool {
	var filled [256]uint8
	order := filled[:0]
	for b := 1; b <= c.bins.Last(int(feature)); b++ {
		if !empty(c.at(h, b)) {
			order = append(order, uint8(b))
		}
	}
	missing := c.at(h, 0)
	none := empty(missing)
	if len(order) < 2 && (none || len(order) == 0) {
		return false
	}
	categorical := c.bins.Categorical(int(feature))
	if categorical {
		c.arrange(n, order, h)
	}
	left := make([]uint64, c.width)
	for i, b := range order {
		for w, v := range c.at(h, int(b)) {
			left[w] += v
		}
		var prefix []uint8
		if categorical {
			prefix = order[:i+1]
		}
		s := tree.Split{Feature: int(feature), Bin: b}
		if i < len(order)-1 || !none {
			// A node without missing values sends later ones to where most rows go.
			s.MissingLeft = none && 2*c.measure.rows(left) >= c.measure.rows(n.total)
			c.consider(n, s, left, prefix, order)
		}
		if i < len(order)-1 && !none {
			s.MissingLeft = true
			for w, v := range missing {
				left[w] += v
			}
			c.consider(n, s, left, prefix, order)
			for w, v := range missing {
				left[w] -= v
			}
		}
	}
	return true
}

// arrange orders the categories that occur by their position, equal ones by their bin.
func (c *chooser) arrange(n *candidate, bins []uint8, h histogram) {
	var position [256]float64
	for _, b := range bins {
		position[b] = c.measure.position(c.at(h, int(b)), n.lead)
	}
	slices.SortStableFunc(bins, func(a, b uint8) int { return cmp.Compare(position[a], position[b]) })
}

// consider takes the split when it is better than the best so far; of equal ones the lower feature, then the lower bin (of
// categories the shorter prefix), then missing to the right. Splits come in that order within a feature.
func (c *chooser) consider(n *candidate, s tree.Split, left []uint64, prefix, occur []uint8) {
	for w := range left {
		c.right[w] = n.total[w] - left[w]
	}
	least := uint64(c.p.MinLeaf)
	if c.measure.rows(left) < least || c.measure.rows(c.right) < least {
		return
	}
	s.Gain = c.measure.gain(left, c.right)
	if s.Gain == 0 || s.Gain < c.minGain || s.Gain < n.best.Gain || s.Gain == n.best.Gain && s.Feature >= n.best.Feature {
		return
	}
	if prefix != nil {
		s.Categories = tree.Prefix(prefix, occur, s.MissingLeft)
	}
	n.best, n.left = s, append(n.left[:0], left...)
}

// grown is a node with what pruning needs to know.
type grown struct {
	node        tree.Node
	total       []uint64
	left, right *grown
}

// finish makes the gains of a grown tree shares of its weight, and prunes it.
func (c *chooser) finish(root *grown) *tree.Node {
	root.scale(c.weight)
	if c.p.Alpha > 0 {
		c.prune(root, c.p.Alpha*c.weight)
	}
	return root.Node()
}

// Node gives the tree as package tree takes it.
func (n *grown) Node() *tree.Node {
	if n.left != nil {
		n.node.Left, n.node.Right = n.left.Node(), n.right.Node()
	}
	return &n.node
}

// scale makes the gains shares of the tree's weight.
func (n *grown) scale(weight float64) {
	if n.left != nil {
		n.node.Gain /= weight
		n.left.scale(weight)
		n.right.scale(weight)
	}
}

// prune cuts back to the smallest subtree whose impurity, weighted by rows, plus cost for each of its leaves is least
// (Breiman and others 1984, chapter 3), and gives minus that. fit leaves out of the impurity what all subtrees share.
func (c *chooser) prune(n *grown, cost float64) float64 {
	own := c.measure.fit(n.total) - cost
	if n.left == nil {
		return own
	}
	if below := c.prune(n.left, cost) + c.prune(n.right, cost); below > own {
		return below
	}
	n.left, n.right, n.node.Split = nil, nil, tree.Split{}
	c.measure.leaf(&n.node, n.total)
	return own
}

func (c *chooser) leaf(total []uint64) *tree.Node {
	out := &tree.Node{}
	c.measure.leaf(out, total)
	return out
}
