package boost

import (
	"cmp"
	"context"
	"slices"

	"damson/internal/parallel"
	"damson/internal/tree"
)

// histogram has the sums of each bin, eight columns after eight columns as in a row of side.words.
type histogram [][lanes][256]sums

// histogramBytes bounds the memory for histograms that are kept to be subtracted from; a leaf without one is counted.
const histogramBytes = 1 << 30

// gatherRows rows, gatherWords words of each, are brought together before they are counted: they stay in the first cache
// beside the histogram of eight columns, and the processor waits for many rows at a time that lie far apart in memory.
const (
	gatherRows  = 256
	gatherWords = 4
)

// booster is one training under way.
type booster struct {
	p       Params
	bins    *tree.Bins
	classes int
	weights []float64 // of the classes
	factor  float64   // Friedman's, on the hessian of many classes
	start   []float64
	threads int
	keys    []tree.Key
	train   *side
	valid   *side

	// Of the tree that is grown:
	units     units
	gradients []float64
	hessians  []float64
	rows      []uint32
	spare     []uint32
	features  []int // that may be split by
	kept      int   // histograms in use
	free      []histogram
	scratch   []histogram // of each thread but the first
}

func newBooster(ctx context.Context, d tree.Data, valid []int32, p Params, threads int) (*booster, error) {
	n := len(d.Rows)
	b := &booster{p: p, classes: d.Classes, threads: threads, keys: make([]tree.Key, n), gradients: make([]float64, n),
		hessians: make([]float64, n), rows: make([]uint32, 0, n), spare: make([]uint32, n)}
	for 1<<b.units.countBits <= n {
		b.units.countBits++
	}
	for i, r := range d.Rows {
		b.keys[i] = d.Keys[r]
	}
	if d.Classes > 0 {
		weights, err := tree.ClassWeights(p.ClassWeights, d.Classes)
		if err != nil {
			return nil, err
		}
		unit := tree.WeightUnit
		if !slices.ContainsFunc(weights, func(w uint64) bool { return w != 1 }) {
			unit = 1
		}
		for _, w := range weights {
			b.weights = append(b.weights, float64(w)*unit)
		}
		b.factor = float64(d.Classes) / float64(d.Classes-1)
	}
	b.start = b.startOf(d)
	var err error
	if b.bins, err = tree.Cut(ctx, d, p.Bins, p.Seed, threads); err != nil {
		return nil, err
	}
	if b.train, err = newSide(ctx, d, d.Rows, b); err != nil || valid == nil {
		return b, err
	}
	b.valid, err = newSide(ctx, d, valid, b)
	return b, err
}

// startOf gives the scores that predict best without any feature: the mean, the log-odds, or the logarithms of the classes'
// shares, where a class without rows counts as half a row.
func (b *booster) startOf(d tree.Data) []float64 {
	if d.Classes == 0 {
		largest := 0.0
		for _, r := range d.Rows {
			largest = max(largest, d.Number[r], -d.Number[r])
		}
		scale, sum := tree.FixedPoint(largest, len(d.Rows)), int64(0)
		for _, r := range d.Rows {
			sum += tree.Fixed(d.Number[r], scale)
		}
		return []float64{float64(sum) / float64(len(d.Rows)) / scale}
	}
	counts := make([]int, d.Classes)
	for _, r := range d.Rows {
		counts[d.Class[r]]++
	}
	logs := make([]float64, d.Classes)
	for k, c := range counts {
		logs[k] = tree.Log(float64(b.weights[k] * max(float64(c), 0.5)))
	}
	if d.Classes == 2 {
		return []float64{logs[1] - logs[0]}
	}
	return logs
}

// round grows the round's trees and adds them to the scores. nil = no further round would change anything.
func (b *booster) round(ctx context.Context, round int) ([]*tree.Node, error) {
	b.prepare(b.train)
	b.sampleRows(round)
	roots := make([]*tree.Node, len(b.start))
	split := b.sampled(b.p.RowShare) || b.sampled(b.p.FeatureShare)
	for k := range roots {
		b.sampleFeatures(round*len(roots) + k)
		b.derive(k)
		root, leaves := b.grow(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		roots[k] = b.node(root)
		b.apply(leaves, roots[k], k)
		split = split || roots[k].Left != nil
	}
	if !split && round > 0 {
		return nil, nil
	}
	return roots, nil
}

func (b *booster) sampled(share float64) bool { return share > 0 && share < 1 }

// sampleRows draws the rows of a round: all of them, or a share by key.
func (b *booster) sampleRows(round int) {
	draw := tree.NewDraw(b.p.Seed, tree.StreamRows+uint64(round))
	b.rows = b.rows[:0]
	for i, k := range b.keys {
		if !b.sampled(b.p.RowShare) || draw.Below(k, b.p.RowShare) {
			b.rows = append(b.rows, uint32(i))
		}
	}
}

// sampleFeatures draws the features of a tree, in ascending order.
func (b *booster) sampleFeatures(number int) {
	n := b.bins.Features()
	b.features = b.features[:0]
	for f := range n {
		b.features = append(b.features, f)
	}
	if !b.sampled(b.p.FeatureShare) {
		return
	}
	draws := tree.Random(tree.Mix(uint64(b.p.Seed)) ^ tree.Mix(tree.StreamFeatures+uint64(number)))
	take := max(1, int(b.p.FeatureShare*float64(n)+0.5))
	for i := range take {
		j := i + int(draws.Below(uint64(n-i)))
		b.features[i], b.features[j] = b.features[j], b.features[i]
	}
	b.features = b.features[:take]
	slices.Sort(b.features)
}

// leaf is a node of the tree that grows, rows[lo:hi]. One that was split has children.
type leaf struct {
	lo, hi, depth int
	total         sums
	h             histogram // nil = not kept
	best          candidate
	left, right   *leaf
}

// grow splits the leaf with the largest gain until there are enough leaves or none can be split. It gives the root, and the
// leaves.
func (b *booster) grow(ctx context.Context) (root *leaf, leaves []*leaf) {
	root = &leaf{hi: len(b.rows)}
	for _, r := range b.rows {
		root.total.add(b.train.sumsOf(r))
	}
	nodes := []*leaf{root}
	root.h = b.newHistogram()
	b.count(root, root.h)
	b.choose(root)
	for n := 1; n < b.p.MaxLeaves && ctx.Err() == nil; n++ {
		next := root
		for _, n := range nodes {
			if n.left == nil && (next.left != nil || n.best.gain > next.best.gain) {
				next = n
			}
		}
		if next.left != nil || next.best.gain == 0 {
			break
		}
		b.split(next)
		nodes = append(nodes, next.left, next.right)
	}
	for _, n := range nodes {
		b.release(n)
		if n.left == nil {
			leaves = append(leaves, n)
		}
	}
	return root, leaves
}

// split parts a leaf. The histogram of the child with fewer rows is counted, the other's is the difference.
func (b *booster) split(n *leaf) {
	middle := b.partition(n)
	n.left = &leaf{lo: n.lo, hi: middle, depth: n.depth + 1, total: n.best.left}
	n.right = &leaf{lo: middle, hi: n.hi, depth: n.depth + 1, total: n.total.minus(n.best.left)}
	small, large := n.left, n.right
	if large.hi-large.lo < small.hi-small.lo {
		small, large = large, small
	}
	if !b.divisible(small) && !b.divisible(large) {
		b.release(n)
		return
	}
	small.h = b.newHistogram()
	b.count(small, small.h)
	if n.h != nil {
		large.h, n.h = n.h, nil
		_ = parallel.Each(context.Background(), len(large.h), b.threadsFor(small), func(w int) {
			for lane := range lanes {
				of, other := &large.h[w][lane], &small.h[w][lane]
				for bin := range of {
					of[bin] = of[bin].minus(other[bin])
				}
			}
		})
	} else {
		large.h = b.newHistogram()
		b.count(large, large.h)
	}
	b.choose(small)
	b.choose(large)
	b.thin(small)
	b.thin(large)
}

// threadsFor is how many threads work on the histograms of a split: one when there is little to do.
func (b *booster) threadsFor(n *leaf) int {
	if len(n.h) < 2 {
		return 1
	}
	return b.threads
}

// divisible reports whether a leaf may be split at all.
func (b *booster) divisible(n *leaf) bool {
	return n.depth < b.p.MaxDepth && b.units.rows(n.total) >= 2*uint64(b.p.MinLeaf)
}

// thin gives a leaf's histogram back when it is of no more use, or when histograms take too much memory.
func (b *booster) thin(n *leaf) {
	if n.best.gain == 0 || b.kept*len(n.h)*lanes*256*16 > histogramBytes {
		b.release(n)
	}
}

func (b *booster) newHistogram() histogram {
	b.kept++
	if k := len(b.free); k > 0 {
		h := b.free[k-1]
		b.free = b.free[:k-1]
		clear(h)
		return h
	}
	return make(histogram, b.train.stride-sumsWords)
}

func (b *booster) release(n *leaf) {
	if n.h != nil {
		b.kept--
		b.free = append(b.free, n.h)
		n.h = nil
	}
}

// partition brings the rows that go left to the front; both sides keep their order. Each thread parts a piece.
func (b *booster) partition(n *leaf) int {
	s := n.best.split(b)
	goes, bins := s.Left(), b.train.bins[s.Feature]
	rows, spare := b.rows[n.lo:n.hi], b.spare[n.lo:n.hi]
	type piece struct{ lo, left, hi int }
	pieces := make([]piece, b.threads)
	b.share(len(rows), func(thread, lo, hi int) {
		left, right := lo, lo
		for _, r := range rows[lo:hi] {
			rows[left], spare[right] = r, r
			step := int(goes[bins[r]])
			left += step
			right += 1 - step
		}
		copy(rows[left:hi], spare[lo:right])
		pieces[thread] = piece{lo, left, hi}
	})
	// The pieces' left parts move together, in front of the right ones.
	left, right := pieces[0].left, 0
	right += copy(spare[right:], rows[pieces[0].left:pieces[0].hi])
	for _, p := range pieces[1:] {
		right += copy(spare[right:], rows[p.left:p.hi])
		left += copy(rows[left:], rows[p.lo:p.left])
	}
	copy(rows[left:], spare[:right])
	return n.lo + left
}

// count adds the leaf's rows to a histogram. Threads take pieces of the rows and histograms of their own.
func (b *booster) count(n *leaf, h histogram) {
	rows := b.rows[n.lo:n.hi]
	for len(b.scratch) < b.threads-1 {
		b.scratch = append(b.scratch, make(histogram, len(h)))
	}
	used := make([]bool, b.threads)
	b.share(len(rows), func(thread, lo, hi int) {
		own := h
		if thread > 0 {
			own = b.scratch[thread-1]
			used[thread] = true
		}
		b.countRows(rows[lo:hi], own)
	})
	for thread, own := range b.scratch {
		if !used[thread+1] {
			continue
		}
		_ = parallel.Each(context.Background(), len(h), b.threads, func(w int) {
			for lane := range lanes {
				to, from := &h[w][lane], &own[w][lane]
				for bin := range to {
					to[bin].add(from[bin])
				}
				clear(from[:])
			}
		})
	}
}

// countRows adds rows to a histogram.
func (b *booster) countRows(rows []uint32, h histogram) {
	var slopes [gatherRows]sums
	var gathered [gatherWords][gatherRows]uint64
	stride, all := b.train.stride, b.train.words
	for lo := 0; lo < len(rows); lo += gatherRows {
		part := rows[lo:min(lo+gatherRows, len(rows))]
		for first := 0; first < len(h); first += gatherWords {
			width := min(gatherWords, len(h)-first)
			for i, r := range part {
				at := int(r) * stride
				slopes[i&(gatherRows-1)] = sums{int64(all[at]), all[at+1]}
				at += sumsWords + first
				for w, word := range all[at : at+width] {
					gathered[w&(gatherWords-1)][i&(gatherRows-1)] = word
				}
			}
			for w := range width {
				countWords(gathered[w][:len(part)], slopes[:len(part)], &h[first+w])
			}
		}
	}
}

// countWords adds rows to the histograms of eight columns.
func countWords(words []uint64, slopes []sums, eight *[lanes][256]sums) {
	slopes = slopes[:len(words)]
	for i, word := range words {
		s := slopes[i]
		eight[0][uint8(word)].add(s)
		eight[1][uint8(word>>8)].add(s)
		eight[2][uint8(word>>16)].add(s)
		eight[3][uint8(word>>24)].add(s)
		eight[4][uint8(word>>32)].add(s)
		eight[5][uint8(word>>40)].add(s)
		eight[6][uint8(word>>48)].add(s)
		eight[7][uint8(word>>56)].add(s)
	}
}

// node gives a grown tree as package tree takes it.
func (b *booster) node(n *leaf) *tree.Node {
	if n.left != nil {
		return &tree.Node{Split: n.best.split(b), Left: b.node(n.left), Right: b.node(n.right)}
	}
	return &tree.Node{Rows: max(1, b.units.rows(n.total)), Value: b.value(n)}
}

// value is the step that makes the loss's second-order approximation smallest, times the learning rate.
func (b *booster) value(n *leaf) float64 {
	gradient, hessian := b.units.of(n.total)
	if hessian+b.p.Lambda == 0 {
		return 0
	}
	return -gradient / (hessian + b.p.Lambda) * b.p.LearningRate
}

// apply adds a tree to score k of all rows.
func (b *booster) apply(leaves []*leaf, root *tree.Node, k int) {
	scores := b.train.scores[k]
	if len(b.rows) == b.train.n {
		for _, n := range leaves {
			value, rows := b.value(n), b.rows[n.lo:n.hi]
			b.share(len(rows), func(_, lo, hi int) {
				for _, r := range rows[lo:hi] {
					scores[r] += value
				}
			})
		}
	} else {
		b.addTree(b.train, newWalk(root), k)
	}
	if b.valid != nil {
		b.addTree(b.valid, newWalk(root), k)
	}
}

// addTree adds a tree to the score of rows that must be walked through it.
func (b *booster) addTree(s *side, w walk, k int) {
	b.share(s.n, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			s.scores[k][i] += w.value(s, i)
		}
	})
}

// walk is a tree over bins, its nodes in preorder.
type walk []step

type step struct {
	goes  *[256]uint8 // nil = leaf
	word  int
	shift int
	right int
	value float64
}

func newWalk(root *tree.Node) walk {
	var w walk
	var add func(n *tree.Node)
	add = func(n *tree.Node) {
		if n.Left == nil {
			w = append(w, step{value: n.Value})
			return
		}
		at, goes := len(w), n.Split.Left()
		w = append(w, step{goes: &goes, word: sumsWords + n.Feature/lanes, shift: n.Feature % lanes * 8})
		add(n.Left)
		w[at].right = len(w)
		add(n.Right)
	}
	add(root)
	return w
}

func (w walk) value(s *side, row int) float64 {
	for i := 0; ; {
		n := &w[i]
		switch {
		case n.goes == nil:
			return n.value
		case n.goes[uint8(s.words[row*s.stride+n.word]>>n.shift)] == 1:
			i++
		default:
			i = n.right
		}
	}
}

// byPosition orders bins, equal ones by number.
func byPosition(bins []uint8, position *[256]float64) {
	slices.SortStableFunc(bins, func(x, y uint8) int { return cmp.Compare(position[x], position[y]) })
}
