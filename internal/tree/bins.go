package tree

import (
	"context"
	"math"
	"slices"

	"damson/internal/parallel"
)

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
	return b, parallel.Each(ctx, len(d.Columns), threads, func(f int) {
		if c := d.CategoriesOf(f); c > 0 {
			b.features[f] = feature{categories: c, kept: keep(occurrences(d.Columns[f], d.Rows, c))}
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
