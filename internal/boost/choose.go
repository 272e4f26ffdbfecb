package boost

import (
	"context"

	"damson/internal/parallel"
	"damson/internal/tree"
)

// smoothing is added to a category's hessian before categories are ordered.
const smoothing = 10

// candidate is a split of a leaf: bins 1 … bin go left, or of categories those up to bin in the leaf's order.
type candidate struct {
	gain        float64 // 0 = none
	feature     int
	bin         uint8
	missingLeft bool
	left        sums
	prefix      []uint8 // of categories
	occur       []uint8
}

// split gives the candidate as package tree takes it.
func (c *candidate) split(b *booster) tree.Split {
	s := tree.Split{Feature: c.feature, Bin: c.bin, MissingLeft: c.missingLeft, Gain: c.gain}
	if b.bins.Categorical(c.feature) {
		s.Categories = tree.Prefix(c.prefix, c.occur, c.missingLeft)
	}
	return s
}

// choose finds the leaf's best split: the largest gain, of equal ones the lower feature, then the lower bin (of categories
// the shorter prefix), then missing to the right.
func (b *booster) choose(n *leaf) {
	if !b.divisible(n) {
		return
	}
	threads := b.threadsFor(n)
	found := make([]candidate, len(n.h))
	_ = parallel.Each(context.Background(), len(n.h), threads, func(w int) {
		v := b.view(n)
		for _, f := range b.features {
			if f/lanes == w {
				v.scan(f, &n.h[w][f%lanes])
			}
		}
		found[w] = v.best
	})
	for _, c := range found {
		if c.gain > n.best.gain {
			n.best = c
		}
	}
}

// view is a leaf as its splits are compared.
type view struct {
	b     *booster
	total sums
	whole float64 // the leaf's own share of a gain
	best  candidate
}

func (b *booster) view(n *leaf) *view {
	v := &view{b: b, total: n.total}
	v.whole = v.part(n.total)
	return v
}

// part is gradient² / (hessian + lambda): twice what a leaf of these rows takes off the loss.
func (v *view) part(s sums) float64 {
	gradient, hessian := v.b.units.of(s)
	if hessian += v.b.p.Lambda; hessian > 0 {
		return float64(gradient*gradient) / hessian
	}
	return 0
}

// scan compares a feature's splits with the best so far.
func (v *view) scan(feature int, bins *[256]sums) {
	last := v.b.bins.Last(feature)
	missing := bins[0]
	if v.b.bins.Categorical(feature) {
		v.scanCategories(feature, bins, last)
		return
	}
	var left sums
	for bin := 1; bin <= last; bin++ {
		if bins[bin].packed == 0 {
			continue // the same rows go left as with the bin before
		}
		left.add(bins[bin])
		v.both(candidate{feature: feature, bin: uint8(bin), left: left}, missing)
	}
}

// scanCategories orders the categories that occur, and splits behind each of them.
func (v *view) scanCategories(feature int, bins *[256]sums, last int) {
	var order []uint8
	var position [256]float64
	for bin := 1; bin <= last; bin++ {
		if bins[bin].packed != 0 {
			gradient, hessian := v.b.units.of(bins[bin])
			position[bin] = gradient / (hessian + smoothing)
			order = append(order, uint8(bin))
		}
	}
	byPosition(order, &position)
	var left sums
	for i, bin := range order {
		left.add(bins[bin])
		v.both(candidate{feature: feature, bin: bin, left: left, prefix: order[:i+1], occur: order}, bins[0])
	}
}

// both considers a split with the missing values on either side. Without any, later ones go where most rows go.
func (v *view) both(c candidate, missing sums) {
	rows := v.b.units.rows
	if missing.packed == 0 {
		c.missingLeft = 2*rows(c.left) >= rows(v.total)
		v.consider(c)
		return
	}
	v.consider(c)
	c.left.add(missing)
	c.missingLeft = true
	v.consider(c)
}

func (v *view) consider(c candidate) {
	b := v.b
	right := v.total.minus(c.left)
	least := uint64(b.p.MinLeaf)
	if b.units.rows(c.left) < least || b.units.rows(right) < least {
		return
	}
	if b.p.MinHessian > 0 {
		if _, h := b.units.of(c.left); h < b.p.MinHessian {
			return
		}
		if _, h := b.units.of(right); h < b.p.MinHessian {
			return
		}
	}
	parts := v.part(c.left) + v.part(right)
	c.gain = parts - v.whole
	// A gain that rounding may have made counts as none.
	if c.gain > 1e-12*parts && c.gain >= b.p.MinGain && c.gain > v.best.gain {
		v.best = c
	}
}
