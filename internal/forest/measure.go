package forest

import (
	"math"
	"math/bits"

	"damson/internal/tree"
)

// measure knows what is summed up for a node: some words of 64 bits, which are added and subtracted as integers, and how
// much better a split makes the prediction.
type measure interface {
	words() int
	rows(sum []uint64) uint64 // as drawn
	pure(sum []uint64) bool   // nothing is left to be told apart
	// weight is what shares of rows refer to: the rows, weighted by their classes.
	weight(sum []uint64) float64
	// gain is the decrease of impurity by parting the two, times their weight; 0 exactly when they do not differ.
	gain(left, right []uint64) float64
	// fit is minus the impurity times the weight, but for an amount that the parts of a node add up to.
	fit(sum []uint64) float64
	// position orders categories; lead is what leader gives for the node.
	position(sum []uint64, lead int) float64
	leader(sum []uint64) int
	leaf(n *tree.Node, sum []uint64)
}

// classMeasure counts rows by class: class k in half k%2 of word k/2, the lower half first.
type classMeasure struct {
	weights []uint64
	equal   bool // all weights are 1
}

func newClassMeasure(weights []uint64) *classMeasure {
	m := &classMeasure{weights: weights, equal: true}
	for _, w := range weights {
		m.equal = m.equal && w == 1
	}
	return m
}

func (m *classMeasure) words() int { return (len(m.weights) + 1) / 2 }

func countOf(sum []uint64, class int) uint64 {
	return sum[class>>1] >> (class & 1 << 5) & math.MaxUint32
}

func (m *classMeasure) rows(sum []uint64) uint64 {
	n := uint64(0)
	for _, w := range sum {
		n += w>>32 + w&math.MaxUint32
	}
	return n
}

func (m *classMeasure) pure(sum []uint64) bool {
	classes := 0
	for k := range m.weights {
		if countOf(sum, k) > 0 {
			classes++
		}
	}
	return classes < 2
}

// total is the weighted number of rows, below 2⁵⁸, and squares the sum of the squared weighted counts.
func (m *classMeasure) total(sum []uint64) (total uint64, squares float64) {
	for k, w := range m.weights {
		c := countOf(sum, k) * w
		total += c
		squares += float64(float64(c) * float64(c))
	}
	return total, squares
}

func (m *classMeasure) weight(sum []uint64) float64 {
	total, _ := m.total(sum)
	return float64(total)
}

// gain of two classes: with d = p₁n₂ - p₂n₁, an exact integer, Gini's impurity times the weight decreases by
// 2d² / (n·n₁n₂). Of more, Σᵢ c₁ᵢ²/n₁ + Σᵢ c₂ᵢ²/n₂ - Σᵢ cᵢ²/n, where what rounding may have made counts as none.
func (m *classMeasure) gain(left, right []uint64) float64 {
	if len(m.weights) == 2 {
		w0, w1 := m.weights[0], m.weights[1]
		p1, p2 := left[0]>>32*w1, right[0]>>32*w1
		n1, n2 := p1+left[0]&math.MaxUint32*w0, p2+right[0]&math.MaxUint32*w0
		d := cross(int64(p1), n2, int64(p2), n1)
		return 2 * d * d / (float64(n1) * float64(n2)) / float64(n1+n2)
	}
	var n1, n2 uint64
	var s1, s2, s float64
	for k, w := range m.weights {
		c1, c2 := countOf(left, k)*w, countOf(right, k)*w
		n1, n2 = n1+c1, n2+c2
		s1 += float64(float64(c1) * float64(c1))
		s2 += float64(float64(c2) * float64(c2))
		s += float64(float64(c1+c2) * float64(c1+c2))
	}
	return significant(s1/float64(n1)+s2/float64(n2), s/float64(n1+n2))
}

// significant is a - b, or 0 when rounding may have made the difference.
func significant(a, b float64) float64 {
	if d := a - b; d > 1e-12*a {
		return d
	}
	return 0
}

func (m *classMeasure) fit(sum []uint64) float64 {
	n, squares := m.total(sum)
	if n == 0 {
		return 0
	}
	return squares / float64(n)
}

func (m *classMeasure) leader(sum []uint64) int {
	if len(m.weights) == 2 {
		return 1
	}
	most := 0
	for k := range m.weights {
		if countOf(sum, k) > countOf(sum, most) {
			most = k
		}
	}
	return most
}

func (m *classMeasure) position(sum []uint64, lead int) float64 {
	return float64(countOf(sum, lead)) / float64(m.rows(sum))
}

func (m *classMeasure) leaf(n *tree.Node, sum []uint64) {
	n.Rows = m.rows(sum)
	n.Counts = make([]uint64, len(m.weights))
	for k := range n.Counts {
		n.Counts[k] = countOf(sum, k)
	}
}

// numberMeasure has two words: the rows, and the sum of their numbers as a signed integer.
type numberMeasure struct {
	scale float64
	mean  int64 // that was taken off
}

func (m numberMeasure) words() int               { return 2 }
func (m numberMeasure) rows(sum []uint64) uint64 { return sum[0] }
func (m numberMeasure) pure([]uint64) bool       { return false }
func (m numberMeasure) leader([]uint64) int      { return 0 }

func (m numberMeasure) weight(sum []uint64) float64 { return float64(sum[0]) }

// gain: with d = s₁n₂ - s₂n₁, an exact integer, the variance times the rows decreases by d² / (n·n₁n₂).
func (m numberMeasure) gain(left, right []uint64) float64 {
	n1, n2 := left[0], right[0]
	d := cross(int64(left[1]), n2, int64(right[1]), n1) / m.scale
	return float64(d*d) / (float64(n1) * float64(n2)) / float64(n1+n2)
}

func (m numberMeasure) fit(sum []uint64) float64 {
	if sum[0] == 0 {
		return 0
	}
	s := float64(int64(sum[1])) / m.scale
	return float64(s*s) / float64(sum[0])
}

func (m numberMeasure) position(sum []uint64, _ int) float64 {
	return float64(int64(sum[1])) / float64(sum[0])
}

func (m numberMeasure) leaf(n *tree.Node, sum []uint64) {
	n.Rows = sum[0]
	n.Value = (float64(int64(sum[1]))/float64(sum[0]) + float64(m.mean)) / m.scale
}

// cross is a·m - b·n for |a|, |b| < 2⁶² and m, n < 2⁶², computed exactly in 128 bits, then rounded.
func cross(a int64, m uint64, b int64, n uint64) float64 {
	h1, l1 := product(a, m)
	h2, l2 := product(b, n)
	low, borrow := bits.Sub64(l1, l2, 0)
	high, _ := bits.Sub64(h1, h2, borrow)
	negative := int64(high) < 0
	if negative {
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
	}
	if high == 0 {
		if negative {
			return -float64(low)
		}
		return float64(low)
	}
	v := math.Ldexp(float64(high), 64) + float64(low)
	if negative {
		return -v
	}
	return v
}

// product is a·m as a signed number of 128 bits.
func product(a int64, m uint64) (high, low uint64) {
	if a >= 0 {
		return bits.Mul64(uint64(a), m)
	}
	high, low = bits.Mul64(uint64(-a), m)
	low, borrow := bits.Sub64(0, low, 0)
	high, _ = bits.Sub64(0, high, borrow)
	return high, low
}
