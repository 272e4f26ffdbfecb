package forest

import (
	"context"

	"damson/internal/tree"
)

// grower grows one tree. rows and marks hold the sample, ordered so that each node's rows stand together; a mark is how
// often the row was drawn, times 2⁷, plus its class.
type grower struct {
	*binned
	*chooser
	ctx    context.Context
	seed   uint64
	rows   []uint32
	marks  []uint16
	spareR []uint32
	spareM []uint16
	free   []histogram
}

// pending is a node whose split is chosen, and whose children are not made. Its rows are rows[lo:hi].
type pending struct {
	candidate
	lo, hi int
	seen   []counted
}

// counted is a histogram of one feature in one node.
type counted struct {
	feature uint16
	h       histogram
}

func newGrower(ctx context.Context, b *binned, p Params, number int) *grower {
	g := &grower{binned: b, chooser: newChooser(b.bins, b.measure, p), ctx: ctx, seed: treeSeed(p.Seed, number)}
	draw := tree.NewDraw(p.Seed, tree.StreamTrees+uint64(number))
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
	root := &pending{candidate: candidate{seed: g.seed, total: make([]uint64, g.width)}, hi: len(g.rows)}
	for i, r := range g.rows {
		g.addRow(root.total, r, g.marks[i])
	}
	if len(g.rows) == 0 {
		for i := range g.keys {
			g.addRow(root.total, uint32(i), g.mark(uint32(i), 1))
		}
		return g.leaf(root.total)
	}
	g.begin(root.total)
	g.choose(root, nil, nil)
	return g.finish(g.expand(root))
}

// expand makes the tree under a node.
func (g *grower) expand(n *pending) *grown {
	if n.best.Gain == 0 || g.ctx.Err() != nil {
		g.release(n)
		return &grown{node: *g.leaf(n.total), total: n.total}
	}
	out := &grown{node: tree.Node{Split: n.best}, total: n.total}
	middle := g.partition(n)
	l, r := &pending{lo: n.lo, hi: middle}, &pending{lo: middle, hi: n.hi}
	l.candidate, r.candidate = n.children()
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
	if g.ctx.Err() != nil || !g.open(&n.candidate) {
		return
	}
	found := 0
	for feature := range g.drawn(&n.candidate) {
		if g.scan(&n.candidate, feature, g.count(n, parent, sibling, feature)) {
			found++
		}
		if found == g.p.FeaturesPerSplit {
			break
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
