package forest

import (
	"cmp"
	"context"
	"slices"

	"damson/internal/tree"
)

// histogram has the measure's words for each bin.
type histogram []uint64

// grower grows one tree. rows and marks hold the sample, ordered so that each node's rows stand together; a mark is how
// often the row was drawn, times 2⁷, plus its class.
type grower struct {
	*binned
	ctx      context.Context
	p        Params
	seed     uint64
	width    int // words of a bin
	rows     []uint32
	marks    []uint16
	spareR   []uint32
	spareM   []uint16
	order    []uint16 // a permutation of the features, its head drawn anew for each node
	identity []uint16
	right    []uint64 // words of the split looked at
	minGain  float64  // in the measure's weight
	free     []histogram
}

// pending is a node whose split is chosen, and whose children are not made. Its rows are rows[lo:hi].
type pending struct {
	lo, hi, depth int
	seed          uint64
	total         []uint64
	lead          int
	seen          []counted
	best          tree.Split // Gain 0 = none
	left          []uint64   // of the best split
}

// counted is a histogram of one feature in one node.
type counted struct {
	feature uint16
	h       histogram
}

func newGrower(ctx context.Context, b *binned, p Params, number int) *grower {
	g := &grower{binned: b, ctx: ctx, p: p, width: b.measure.words(), order: make([]uint16, len(b.columns))}
	g.identity = make([]uint16, len(b.columns))
	for i := range g.identity {
		g.identity[i] = uint16(i)
	}
	g.right = make([]uint64, g.width)
	stream := tree.StreamTrees + uint64(number)
	draw := tree.NewDraw(p.Seed, stream)
	g.seed = tree.Mix(uint64(p.Seed)) ^ tree.Mix(stream)
	g.rows, g.marks = make([]uint32, 0, len(b.keys)*2/3), make([]uint16, 0, len(b.keys)*2/3)
	for i, k := range b.keys {
		times := uint16(1)
		if !p.WholeRows {
			times = uint16(draw.Poisson(k))
		}
		if times > 0 {
			g.rows, g.marks = append(g.rows, uint32(i)), append(g.marks, g.mark(uint32(i), times))
		}
	}
	return g
}

func (g *grower) mark(row uint32, times uint16) uint16 {
	if g.class == nil {
		return times << 7
	}
	return times<<7 | uint16(g.class[row])
}

// addRow adds a row to a node's or bin's words.
func (g *grower) addRow(words []uint64, row uint32, mark uint16) {
	times := uint64(mark >> 7)
	if g.class == nil {
		words[0] += times
		words[1] += times * uint64(g.number[row])
		return
	}
	class := mark & 127
	words[class>>1] += times << (class & 1 << 5)
}

// tree grows the tree. A bootstrap sample may be empty when there are very few rows: then the tree is one leaf of all rows.
func (g *grower) tree() *tree.Node {
	root := &pending{hi: len(g.rows), seed: g.seed, total: make([]uint64, g.width)}
	for i, r := range g.rows {
		g.addRow(root.total, r, g.marks[i])
	}
	if len(g.rows) == 0 {
		for i := range g.keys {
			g.addRow(root.total, uint32(i), g.mark(uint32(i), 1))
		}
		return g.leaf(root)
	}
	weight := g.measure.weight(root.total)
	g.minGain = g.p.MinGain * weight
	g.choose(root, nil, nil)
	grown := g.expand(root)
	grown.scale(weight)
	if g.p.Alpha > 0 {
		g.prune(grown, g.p.Alpha*weight)
	}
	return grown.Node()
}

// grown is a node with what pruning needs to know.
type grown struct {
	node        tree.Node
	total       []uint64
	left, right *grown
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
func (g *grower) prune(n *grown, cost float64) float64 {
	own := g.measure.fit(n.total) - cost
	if n.left == nil {
		return own
	}
	if below := g.prune(n.left, cost) + g.prune(n.right, cost); below > own {
		return below
	}
	n.left, n.right, n.node.Split = nil, nil, tree.Split{}
	g.measure.leaf(&n.node, n.total)
	return own
}

func (g *grower) leaf(n *pending) *tree.Node {
	out := &tree.Node{}
	g.measure.leaf(out, n.total)
	return out
}

// expand makes the tree under a node.
func (g *grower) expand(n *pending) *grown {
	if n.best.Gain == 0 || g.ctx.Err() != nil {
		g.release(n)
		return &grown{node: *g.leaf(n), total: n.total}
	}
	out := &grown{node: tree.Node{Split: n.best}, total: n.total}
	middle := g.partition(n)
	l := &pending{lo: n.lo, hi: middle, depth: n.depth + 1, seed: tree.Mix(n.seed ^ 0x6c65), total: n.left}
	r := &pending{lo: middle, hi: n.hi, depth: n.depth + 1, seed: tree.Mix(n.seed ^ 0x7269), total: make([]uint64, g.width)}
	for i := range r.total {
		r.total[i] = n.total[i] - n.left[i]
	}
	small, large := l, r
	if r.hi-r.lo < l.hi-l.lo {
		small, large = r, l
	}
	g.choose(small, nil, nil)
	g.choose(large, n, small)
	g.release(n)
	out.left = g.expand(l)
	out.right = g.expand(r)
	return out
}

// partition brings the rows that go left to the front, keeping the order on both sides so that memory is read forwards. It
// writes each row to both sides and counts on one, so that the processor has nothing to guess.
func (g *grower) partition(n *pending) int {
	column, goes := g.columns[n.best.Feature], n.best.Left()
	rows, marks := g.rows[n.lo:n.hi], g.marks[n.lo:n.hi]
	if len(g.spareR) < len(rows) {
		g.spareR, g.spareM = make([]uint32, len(rows)), make([]uint16, len(rows))
	}
	left, right := 0, 0
	for i, r := range rows {
		m := marks[i]
		rows[left], marks[left] = r, m
		g.spareR[right], g.spareM[right] = r, m
		step := int(goes[column[r]])
		left += step
		right += 1 - step
	}
	copy(rows[left:], g.spareR[:right])
	copy(marks[left:], g.spareM[:right])
	return n.lo + left
}

// choose finds the node's best split among FeaturesPerSplit features that vary in it, drawn by the node's seed.
func (g *grower) choose(n, parent, sibling *pending) {
	rows := g.measure.rows(n.total)
	if n.depth >= g.p.MaxDepth || rows < uint64(max(g.p.MinSplit, 2)) || g.measure.pure(n.total) || g.ctx.Err() != nil {
		return
	}
	n.lead = g.measure.leader(n.total)
	copy(g.order, g.identity) // so that the draw depends on the node's seed alone
	draws := tree.Random(n.seed)
	for i, found := 0, 0; i < len(g.order) && found < g.p.FeaturesPerSplit; i++ {
		j := i + int(draws.Below(uint64(len(g.order)-i)))
		g.order[i], g.order[j] = g.order[j], g.order[i]
		h := g.count(n, parent, sibling, g.order[i])
		if g.scan(n, g.order[i], h) {
			found++
		}
	}
}

// count gives the node's histogram of a feature. When the parent's is known, only the smaller child is counted and the
// larger one is the difference.
func (g *grower) count(n, parent, sibling *pending, feature uint16) histogram {
	if h := n.seenHistogram(feature); h != nil {
		return h
	}
	h := g.newHistogram()
	if of := parent.seenHistogram(feature); of != nil {
		other := g.count(sibling, nil, nil, feature)
		for i := range h {
			h[i] = of[i] - other[i]
		}
	} else {
		clear(h)
		g.addRows(h, n, g.columns[feature])
	}
	n.seen = append(n.seen, counted{feature, h})
	return h
}

// addRows adds the node's rows to a histogram.
func (g *grower) addRows(h histogram, n *pending, column []uint8) {
	rows, marks := g.rows[n.lo:n.hi], g.marks[n.lo:n.hi]
	marks = marks[:len(rows)]
	switch {
	case g.width == 1:
		two := (*[256]uint64)(h)
		for i, r := range rows {
			m := marks[i]
			two[column[r]] += uint64(m>>7) << (m & 1 << 5)
		}
	case g.class == nil:
		for i, r := range rows {
			times, at := uint64(marks[i]>>7), 2*int(column[r])
			h[at] += times
			h[at+1] += times * uint64(g.number[r])
		}
	default:
		for i, r := range rows {
			m := marks[i]
			h[int(column[r])*g.width+int(m&127>>1)] += uint64(m>>7) << (m & 1 << 5)
		}
	}
}

func (n *pending) seenHistogram(feature uint16) histogram {
	if n == nil {
		return nil
	}
	for _, c := range n.seen {
		if c.feature == feature {
			return c.h
		}
	}
	return nil
}

// at gives the words of one bin.
func (g *grower) at(h histogram, bin int) []uint64 { return h[bin*g.width : (bin+1)*g.width] }

func empty(words []uint64) bool {
	for _, w := range words {
		if w != 0 {
			return false
		}
	}
	return true
}

// scan compares the feature's splits with the best so far, and reports whether the feature varies in the node.
func (g *grower) scan(n *pending, feature uint16, h histogram) bool {
	var filled [256]uint8
	order := filled[:0]
	for b := 1; b <= g.bins.Last(int(feature)); b++ {
		if !empty(g.at(h, b)) {
			order = append(order, uint8(b))
		}
	}
	missing := g.at(h, 0)
	none := empty(missing)
	if len(order) < 2 && (none || len(order) == 0) {
		return false
	}
	categorical := g.bins.Categorical(int(feature))
	if categorical {
		g.arrange(n, order, h)
	}
	left := make([]uint64, g.width)
	for i, b := range order {
		for w, v := range g.at(h, int(b)) {
			left[w] += v
		}
		var prefix []uint8
		if categorical {
			prefix = order[:i+1]
		}
		s := tree.Split{Feature: int(feature), Bin: b}
		if i < len(order)-1 || !none {
			// A node without missing values sends later ones to where most rows go.
			s.MissingLeft = none && 2*g.measure.rows(left) >= g.measure.rows(n.total)
			g.consider(n, s, left, prefix, order)
		}
		if i < len(order)-1 && !none {
			s.MissingLeft = true
			for w, v := range missing {
				left[w] += v
			}
			g.consider(n, s, left, prefix, order)
			for w, v := range missing {
				left[w] -= v
			}
		}
	}
	return true
}

// arrange orders the categories that occur by their position, equal ones by their bin.
func (g *grower) arrange(n *pending, bins []uint8, h histogram) {
	var position [256]float64
	for _, b := range bins {
		position[b] = g.measure.position(g.at(h, int(b)), n.lead)
	}
	slices.SortStableFunc(bins, func(a, b uint8) int { return cmp.Compare(position[a], position[b]) })
}

// consider takes the split when it is better than the best so far; of equal ones the lower feature, then the lower bin (of
// categories the shorter prefix), then missing to the right. Splits come in that order within a feature.
func (g *grower) consider(n *pending, s tree.Split, left []uint64, prefix, occur []uint8) {
	for w := range left {
		g.right[w] = n.total[w] - left[w]
	}
	least := uint64(g.p.MinLeaf)
	if g.measure.rows(left) < least || g.measure.rows(g.right) < least {
		return
	}
	s.Gain = g.measure.gain(left, g.right)
	if s.Gain == 0 || s.Gain < g.minGain || s.Gain < n.best.Gain || s.Gain == n.best.Gain && s.Feature >= n.best.Feature {
		return
	}
	if prefix != nil {
		s.Categories = tree.Prefix(prefix, occur, s.MissingLeft)
	}
	n.best, n.left = s, append(n.left[:0], left...)
}

func (g *grower) newHistogram() histogram {
	if k := len(g.free); k > 0 {
		h := g.free[k-1]
		g.free = g.free[:k-1]
		return h
	}
	return make(histogram, 256*g.width)
}

// release gives the node's histograms back.
func (g *grower) release(n *pending) {
	for _, c := range n.seen {
		g.free = append(g.free, c.h)
	}
	n.seen = nil
}
