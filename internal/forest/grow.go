package forest

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
)

// Streams of random numbers of one seed.
const (
	streamBins  = 1 << 32
	streamTrees = 2 << 32 // plus the tree's number
)

// Options say how to compute, not what: the forest does not depend on them.
type Options struct {
	Threads  int                   // 0 = all processors
	Progress func(done, total int) // called after each tree, from several goroutines
}

// Train grows a forest. It refuses parameters out of range, no rows, and rows of one class only; when ctx ends it stops
// within a node's time and returns ctx.Err().
func Train(ctx context.Context, d Data, p Params, o Options) (*Forest, error) {
	if d.Rows == nil {
		d.Rows = make([]int32, len(d.Target))
		for i := range d.Rows {
			d.Rows[i] = int32(i)
		}
	}
	if err := check(d, p); err != nil {
		return nil, err
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if p.FeaturesPerSplit == 0 {
		p.FeaturesPerSplit = squareRoot(len(d.Columns))
	}
	b, err := bin(ctx, d, p, o.Threads)
	if err != nil {
		return nil, err
	}
	f := &Forest{features: len(d.Columns), trees: make([]tree, p.Trees)}
	var done atomic.Int64
	err = parallel(ctx, p.Trees, o.Threads, func(i int) {
		g := newGrower(ctx, b, p, i)
		f.trees[i] = g.tree()
		if o.Progress != nil && ctx.Err() == nil {
			o.Progress(int(done.Add(1)), p.Trees)
		}
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// check refuses what cannot be learned from.
func check(d Data, p Params) error {
	if err := p.Check(); err != nil {
		return err
	}
	n := len(d.Target)
	switch {
	case len(d.Columns) == 0:
		return fmt.Errorf("no features to learn from")
	case len(d.Columns) > MaxFeatures:
		return fmt.Errorf("%d features, and a forest reads at most %d", len(d.Columns), MaxFeatures)
	case len(d.Keys) != n:
		return fmt.Errorf("%d keys for %d rows", len(d.Keys), n)
	case len(d.Rows) == 0:
		return fmt.Errorf("no rows to learn from")
	case len(d.Rows) > MaxRows:
		return fmt.Errorf("%d rows, and a forest learns from at most %d", len(d.Rows), MaxRows)
	}
	for f, column := range d.Columns {
		if len(column) != n {
			return fmt.Errorf("column %d has %d values for %d rows", f, len(column), n)
		}
	}
	var counts [2]int
	for _, r := range d.Rows {
		if d.Target[r] > 1 {
			return fmt.Errorf("target %d in row %d, and only 0 and 1 can be learned", d.Target[r], r)
		}
		counts[d.Target[r]]++
	}
	if counts[0] == 0 || counts[1] == 0 {
		return fmt.Errorf("one class only: %d rows of class 0, %d of class 1", counts[0], counts[1])
	}
	return nil
}

func squareRoot(n int) int {
	root := 1
	for (root+1)*(root+1) <= n {
		root++
	}
	return root
}

// histogram has one word for each bin: rows in the upper half, positives in the lower.
type histogram [MaxBins + 1]uint64

func rowsOf(word uint64) uint32      { return uint32(word >> 32) }
func positivesOf(word uint64) uint32 { return uint32(word) }

// grower grows one tree. rows and marks hold the bootstrap sample, ordered so that each node's rows stand together; a mark
// is twice the number of times the row was drawn, plus its target.
type grower struct {
	*binned
	ctx      context.Context
	p        Params
	seed     uint64
	rows     []uint32
	marks    []uint8
	spareR   []uint32
	spareM   []uint8
	order    []uint16 // a permutation of the features, its head drawn anew for each node
	identity []uint16
	words    [256]uint64
	free     []*histogram
	out      tree
}

// pending is a node whose split is chosen, and whose children are not made. Its rows are rows[lo:hi].
type pending struct {
	lo, hi, depth int
	seed          uint64
	total         uint64
	seen          []counted
	best          split
}

// counted is a histogram of one feature in one node.
type counted struct {
	feature uint16
	h       *histogram
}

// split sends bins 1 … bin to the left, and the missing ones too when missingLeft.
type split struct {
	gain        float64 // 0 = none
	feature     uint16
	bin         uint8
	missingLeft bool
	left        uint64 // rows and positives that go left
}

func newGrower(ctx context.Context, b *binned, p Params, number int) *grower {
	g := &grower{binned: b, ctx: ctx, p: p, order: make([]uint16, len(b.columns))}
	g.identity = make([]uint16, len(b.columns))
	for i := range g.identity {
		g.identity[i] = uint16(i)
	}
	for mark := range g.words {
		times := uint64(mark >> 1)
		g.words[mark] = times<<32 | times*uint64(mark&1)
	}
	draw := NewDraw(p.Seed, streamTrees+uint64(number))
	g.seed = mix(uint64(p.Seed)) ^ mix(streamTrees+uint64(number))
	g.rows, g.marks = make([]uint32, 0, len(b.keys)*2/3), make([]uint8, 0, len(b.keys)*2/3)
	for i, k := range b.keys {
		if times := poisson(draw.Number(k)); times > 0 {
			g.rows, g.marks = append(g.rows, uint32(i)), append(g.marks, times<<1|b.target[i])
		}
	}
	return g
}

// tree grows the tree. A bootstrap sample may be empty when there are very few rows: then the tree is one leaf with the
// share of all rows.
func (g *grower) tree() tree {
	root := &pending{hi: len(g.rows), seed: g.seed}
	for _, m := range g.marks {
		root.total += g.words[m]
	}
	if len(g.rows) == 0 {
		for _, t := range g.target {
			root.total += 1<<32 | uint64(t)
		}
		g.leaf(root)
		return g.out
	}
	g.choose(root, nil, nil)
	g.expand(root)
	return g.out
}

// expand writes the node and, after its split, its children in preorder.
func (g *grower) expand(n *pending) {
	if n.best.gain == 0 || g.ctx.Err() != nil {
		g.release(n)
		g.leaf(n)
		return
	}
	at := len(g.out.nodes)
	edges, value := g.edges[n.best.feature], math.Inf(1)
	if b := int(n.best.bin); b <= len(edges) {
		value = edges[b-1]
	}
	g.out.nodes = append(g.out.nodes, node{value: value, feature: n.best.feature, missingLeft: n.best.missingLeft})
	middle := g.partition(n)
	l := &pending{lo: n.lo, hi: middle, depth: n.depth + 1, seed: mix(n.seed ^ 0x6c65), total: n.best.left}
	r := &pending{lo: middle, hi: n.hi, depth: n.depth + 1, seed: mix(n.seed ^ 0x7269), total: n.total - n.best.left}
	small, large := l, r
	if r.hi-r.lo < l.hi-l.lo {
		small, large = r, l
	}
	g.choose(small, nil, nil)
	g.choose(large, n, small)
	g.release(n)
	g.expand(l)
	g.out.nodes[at].next = int32(len(g.out.nodes))
	g.expand(r)
}

func (g *grower) leaf(n *pending) {
	l := leaf{rowsOf(n.total), positivesOf(n.total)}
	g.out.nodes = append(g.out.nodes, node{value: l.share(), kind: leafNode, next: int32(len(g.out.leaves))})
	g.out.leaves = append(g.out.leaves, l)
}

// partition brings the rows that go left to the front, keeping the order on both sides so that memory is read forwards.
func (g *grower) partition(n *pending) int {
	column, b, missing := g.columns[n.best.feature], n.best.bin, n.best.missingLeft
	rows, marks := g.rows[n.lo:n.hi], g.marks[n.lo:n.hi]
	g.spareR, g.spareM = g.spareR[:0], g.spareM[:0]
	left := 0
	for i, r := range rows {
		value := column[r]
		if value <= b && (value != 0 || missing) {
			rows[left], marks[left] = r, marks[i]
			left++
		} else {
			g.spareR, g.spareM = append(g.spareR, r), append(g.spareM, marks[i])
		}
	}
	copy(rows[left:], g.spareR)
	copy(marks[left:], g.spareM)
	return n.lo + left
}

// choose finds the node's best split among FeaturesPerSplit features that vary in it, drawn by the node's seed.
func (g *grower) choose(n, parent, sibling *pending) {
	rows, positives := rowsOf(n.total), positivesOf(n.total)
	if n.depth >= g.p.MaxDepth || int(rows) < max(g.p.MinSplit, 2) || positives == 0 || positives == rows || g.ctx.Err() != nil {
		return
	}
	copy(g.order, g.identity) // so that the draw depends on the node's seed alone
	draws := random(n.seed)
	for i, found := 0, 0; i < len(g.order) && found < g.p.FeaturesPerSplit; i++ {
		j := i + int(draws.below(uint64(len(g.order)-i)))
		g.order[i], g.order[j] = g.order[j], g.order[i]
		h := g.count(n, parent, sibling, g.order[i])
		if g.scan(n, g.order[i], h) {
			found++
		}
	}
}

// count gives the node's histogram of a feature. When the parent's is known, only the smaller child is counted and the
// larger one is the difference.
func (g *grower) count(n, parent, sibling *pending, feature uint16) *histogram {
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
		*h = histogram{}
		column, marks := g.columns[feature], g.marks[n.lo:n.hi]
		for i, r := range g.rows[n.lo:n.hi] {
			h[column[r]] += g.words[marks[i]]
		}
	}
	n.seen = append(n.seen, counted{feature, h})
	return h
}

func (n *pending) seenHistogram(feature uint16) *histogram {
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

// scan compares the feature's splits with the best so far, and reports whether the feature varies in the node.
func (g *grower) scan(n *pending, feature uint16, h *histogram) bool {
	missing, last := h[0], len(g.edges[feature])+1
	filled := 0
	var left uint64
	for b := 1; b <= last; b++ {
		if h[b] == 0 {
			continue // the same rows go left as with the bin before
		}
		filled++
		left += h[b]
		if left != n.total {
			// A node without missing values sends later ones to where most rows go.
			heavier := missing == 0 && 2*uint64(rowsOf(left)) >= uint64(rowsOf(n.total))
			g.consider(n, split{feature: feature, bin: uint8(b), left: left, missingLeft: heavier})
		}
		if missing != 0 && left+missing != n.total {
			g.consider(n, split{feature: feature, bin: uint8(b), left: left + missing, missingLeft: true})
		}
	}
	return filled > 1 || filled == 1 && missing != 0
}

// consider takes the split when it is better than the best so far; of equal ones the lower feature, then the lower bin,
// then missing to the right. Splits come in that order within a feature.
func (g *grower) consider(n *pending, s split) {
	n1, p1 := rowsOf(s.left), positivesOf(s.left)
	n2, p2 := rowsOf(n.total-s.left), positivesOf(n.total-s.left)
	if int(n1) < g.p.MinLeaf || int(n2) < g.p.MinLeaf {
		return
	}
	s.gain = gain(n1, p1, n2, p2)
	if s.gain < n.best.gain || s.gain == n.best.gain && (s.gain == 0 || s.feature >= n.best.feature) {
		return
	}
	n.best = s
}

func (g *grower) newHistogram() *histogram {
	if k := len(g.free); k > 0 {
		h := g.free[k-1]
		g.free = g.free[:k-1]
		return h
	}
	return new(histogram)
}

// release gives the node's histograms back.
func (g *grower) release(n *pending) {
	for _, c := range n.seen {
		g.free = append(g.free, c.h)
	}
	n.seen = nil
}
