package tree

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// binSample bounds how many rows the bins' edges are computed from. Above it, the rows whose keys draw the lowest numbers
// are taken: a sample that does not depend on the rows' order.
const binSample = 200_000

// Bins say how a value becomes a byte.
//
//	bin 0        missing, or a category that is not among those declared
//	bin b ≥ 1    a number with edges[b-2] < value ≤ edges[b-1]; the last bin has no upper edge
//	             category b-1, when there are at most 255
//	             the category kept[b-1]; and bin 255 any other, when there are more
type Bins struct {
	features []feature
	edges    [][]float64 // nil for categories
}

// feature is a column as a model knows it. With categories 0 it holds numbers.
type feature struct {
	categories int
	kept       []uint32 // in ascending order; nil = all have a bin of their own
}

// pooledBin holds all categories without a bin of their own.
const pooledBin = MaxBins

// bin gives a category's bin.
func (f *feature) bin(v float64) uint8 {
	if f.kept == nil {
		if v >= 0 && v < float64(f.categories) && v == math.Trunc(v) {
			return uint8(v) + 1
		}
		return 0
	}
	if v != v {
		return 0
	}
	if v >= 0 && v <= MaxCategories && v == math.Trunc(v) {
		if at, found := slices.BinarySearch(f.kept, uint32(v)); found {
			return uint8(at) + 1
		}
	}
	return pooledBin
}

// last is the highest bin of a column of categories.
func (f *feature) last() int {
	if f.kept != nil {
		return pooledBin
	}
	return f.categories
}

// Cut makes bins by the quantiles of the rows used: at most so many (2 to MaxBins) for each column of numbers.
func Cut(ctx context.Context, d Data, bins int, seed int64, threads int) (*Bins, error) {
	b := &Bins{features: make([]feature, len(d.Columns)), edges: make([][]float64, len(d.Columns))}
	sample := sampleRows(d, seed)
	return b, Parallel(ctx, len(d.Columns), threads, func(f int) {
		if c := d.CategoriesOf(f); c > 0 {
			b.features[f] = feature{categories: c, kept: keep(d.Columns[f], d.Rows, c)}
			return
		}
		values := make([]float64, 0, len(sample))
		for _, r := range sample {
			if v := d.Columns[f][r]; v == v {
				values = append(values, v)
			}
		}
		b.edges[f] = cut(values, bins)
	})
}

// Features is the number of columns.
func (b *Bins) Features() int { return len(b.features) }

// Categorical reports whether column f holds categories.
func (b *Bins) Categorical(f int) bool { return b.features[f].categories > 0 }

// Last is the highest bin of column f.
func (b *Bins) Last(f int) int {
	if b.Categorical(f) {
		return b.features[f].last()
	}
	return len(b.edges[f]) + 1
}

// Code gives the bins of column f in some rows.
func (b *Bins) Code(f int, column []float64, rows []int32) []uint8 {
	if !b.Categorical(f) {
		return assign(column, rows, b.edges[f])
	}
	bins := make([]uint8, len(rows))
	for i, r := range rows {
		bins[i] = b.features[f].bin(column[r])
	}
	return bins
}

// sampleRows gives the rows to take quantiles of.
func sampleRows(d Data, seed int64) []int32 {
	if len(d.Rows) <= binSample {
		return d.Rows
	}
	draw := NewDraw(seed, streamBins)
	share := binSample / float64(len(d.Rows))
	sample := make([]int32, 0, binSample+binSample/16)
	for _, r := range d.Rows {
		if draw.Below(d.Keys[r], share) {
			sample = append(sample, r)
		}
	}
	return sample
}

// keep gives the categories that have a bin of their own when there are more categories than bins: the most frequent, of
// equal ones those with the lower number. nil = all.
func keep(column []float64, rows []int32, categories int) []uint32 {
	if categories <= MaxBins {
		return nil
	}
	counts := make([]int, categories)
	for _, r := range rows {
		if v := column[r]; v == v {
			counts[int(v)]++
		}
	}
	order := make([]uint32, categories)
	for c := range order {
		order[c] = uint32(c)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	kept := slices.Clone(order[:pooledBin-1])
	slices.Sort(kept)
	return kept
}

// cut gives the edges between bins: the middle between two neighbouring values, so that every bin holds about the same
// number of values, and a value that is more frequent than that has a bin of its own. It sorts values.
func cut(values []float64, bins int) []float64 {
	slices.Sort(values)
	edges := make([]float64, 0, bins-1)
	left, rest, inBin := bins, len(values), 0
	distinct := countDistinct(values, bins)
	for i := 0; i < len(values) && left > 1; {
		j := i + 1
		for j < len(values) && values[j] == values[i] {
			j++
		}
		inBin += j - i
		// Close the bin when it holds its share of the values that are not yet in a closed one.
		if j < len(values) && (distinct <= bins || inBin*left >= rest) {
			edges = append(edges, between(values[i], values[j]))
			rest, inBin, left = rest-inBin, 0, left-1
		}
		i = j
	}
	return edges
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

// between gives a finite t with a ≤ t < b where there is one, the middle when it can be computed. The conversions keep a
// compiler from fusing operations, which would round differently.
func between(a, b float64) float64 {
	a, b = max(a, -math.MaxFloat64), b+0
	middle := float64(a/2) + float64(b/2)
	if middle >= a && middle < b {
		return middle + 0
	}
	return a + 0
}

// assign finds each row's bin by binary search. The edges are padded to 2⁸-1, so that every search takes eight steps that
// the processor need not guess.
func assign(column []float64, rows []int32, edges []float64) []uint8 {
	var padded [256]float64
	for i := range padded {
		padded[i] = math.Inf(1)
	}
	copy(padded[:], edges)
	bins := make([]uint8, len(rows))
	for i, r := range rows {
		v := column[r]
		if v != v {
			continue
		}
		lo := uint8(0) // how many edges are below v
		for step := uint8(128); step > 0; step >>= 1 {
			next := lo + step
			if padded[next-1] < v {
				lo = next
			}
		}
		bins[i] = lo + 1
	}
	return bins
}
