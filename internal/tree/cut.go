package tree

import (
	"cmp"
	"slices"
)

// binSample bounds how many rows the bins' edges are computed from. Above it, the rows whose keys draw the lowest numbers
// are taken: a sample that does not depend on the rows' order.
const binSample = 200_000

// BinSample gives the draw that takes the rows to compute edges from, and their share; a share of 1 takes all.
func BinSample(seed int64, rows int) (d Draw, share float64) {
	return NewDraw(seed, streamBins), min(1, binSample/float64(max(rows, 1)))
}

// sampleRows gives the rows to take quantiles of.
func sampleRows(d Data, seed int64) []int32 {
	draw, share := BinSample(seed, len(d.Rows))
	if share == 1 {
		return d.Rows
	}
	sample := make([]int32, 0, binSample+binSample/16)
	for _, r := range d.Rows {
		if draw.Below(d.Keys[r], share) {
			sample = append(sample, r)
		}
	}
	return sample
}

// occurrences counts a column's categories.
func occurrences(column []float64, rows []int32, categories int) []int64 {
	counts := make([]int64, categories)
	for _, r := range rows {
		if v := column[r]; v == v {
			counts[int(v)]++
		}
	}
	return counts
}

// keep gives the categories that have a bin of their own when there are more categories than bins: the most frequent, of
// equal ones those with the lower number. nil = all.
func keep(counts []int64) []uint32 {
	if len(counts) <= MaxBins {
		return nil
	}
	order := make([]uint32, len(counts))
	for c := range order {
		order[c] = uint32(c)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	kept := slices.Clone(order[:pooledBin-1])
	slices.Sort(kept)
	return kept
}

// cut gives the edges between bins. It sorts values.
func cut(values []float64, bins int) []float64 {
	slices.Sort(values)
	c := NewCutter(len(values), countDistinct(values, bins), bins)
	for i := 0; i < len(values) && c.Target() > 0; {
		j := i + 1
		for j < len(values) && values[j] == values[i] {
			j++
		}
		if j < len(values) {
			c.Take(Run{Value: values[i], Last: j, Next: values[j]})
		}
		i = j
	}
	return c.Edges()
}

// countDistinct counts distinct values in a sorted slice, up to limit+1.
func countDistinct(sorted []float64, limit int) int {
	n := 0
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			n++
		}
		if n > limit {
			break
		}
	}
	return n
}

// Run is a value of a sorted column that is not its last one: how many values of the column it and those before it are, and the
// next value.
type Run struct {
	Value float64
	Last  int
	Next  float64
}

// Cutter cuts a sorted column into bins: an edge is the middle between two neighbouring values, so that every bin holds about the
// same number of values, and a value that is more frequent than that has a bin of its own. The next edge follows the first
// run whose Last reaches Target; it need not see the runs before.
type Cutter struct {
	values, closed, left int
	few                  bool // each value has a bin of its own
	edges                []float64
}

// NewCutter begins to cut a column of so many values, none of them missing, into at most so many bins. distinct may be any
// number above bins when there are more different values than bins.
func NewCutter(values, distinct, bins int) *Cutter {
	return &Cutter{values: values, left: bins, few: distinct <= bins, edges: make([]float64, 0, bins-1)}
}

// Target is the value, counted from 1, that the next bin to be closed must hold; 0 = there is none.
func (c *Cutter) Target() int { return c.target(c.closed, c.left) }

func (c *Cutter) target(closed, left int) int {
	at := closed + 1
	if !c.few { // its share of the values that are not yet in a closed bin
		at = closed + (c.values-closed+left-1)/left
	}
	if left <= 1 || at >= c.values {
		return 0
	}
	return at
}

// Targets are Target and those that would follow if every run were one value long, at most n.
func (c *Cutter) Targets(n int) (targets []int) {
	closed, left := c.closed, c.left
	for at := c.target(closed, left); at > 0 && len(targets) < n; at = c.target(closed, left) {
		targets = append(targets, at)
		closed, left = at, left-1
	}
	return targets
}

// Take closes a bin behind the run when it is the one to be closed there. Runs come in their order.
func (c *Cutter) Take(r Run) {
	if at := c.Target(); at > 0 && r.Last >= at {
		c.edges = append(c.edges, between(r.Value, r.Next))
		c.closed, c.left = r.Last, c.left-1
	}
}

// End says that no run reaches the target: the column's last value does.
func (c *Cutter) End() { c.left = 1 }

// Edges are what was found.
func (c *Cutter) Edges() []float64 { return c.edges }
