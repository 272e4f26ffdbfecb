package forest

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// binSample bounds how many rows the bins' edges are computed from. Above it, the rows whose keys draw the lowest numbers
// are taken: a sample that does not depend on the rows' order.
const binSample = 200_000

// binned are the rows to learn from, as bytes.
//
//	bin 0        missing
//	bin b ≥ 1    edges[b-2] < value ≤ edges[b-1]; the last bin has no upper edge
type binned struct {
	columns [][]uint8
	edges   [][]float64
	target  []uint8
	keys    []Key
}

// bin cuts every column into at most p.Bins bins by quantiles of the rows used.
func bin(ctx context.Context, d Data, p Params, threads int) (*binned, error) {
	n := len(d.Rows)
	b := &binned{
		columns: make([][]uint8, len(d.Columns)), edges: make([][]float64, len(d.Columns)),
		target: make([]uint8, n), keys: make([]Key, n),
	}
	for i, r := range d.Rows {
		b.target[i], b.keys[i] = d.Target[r], d.Keys[r]
	}
	sample := sampleRows(d, p.Seed)
	return b, parallel(ctx, len(d.Columns), threads, func(f int) {
		values := make([]float64, 0, len(sample))
		for _, r := range sample {
			if v := d.Columns[f][r]; v == v {
				values = append(values, v)
			}
		}
		b.edges[f] = cut(values, p.Bins)
		b.columns[f] = assign(d.Columns[f], d.Rows, b.edges[f])
	})
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

// assign finds each row's bin by binary search.
func assign(column []float64, rows []int32, edges []float64) []uint8 {
	bins := make([]uint8, len(rows))
	for i, r := range rows {
		v := column[r]
		if v != v {
			continue
		}
		lo, n := 0, len(edges)
		for n > 0 { // the first edge ≥ v
			half := n >> 1
			if edges[lo+half] < v {
				lo += half + 1
				n -= half + 1
			} else {
				n = half
			}
		}
		bins[i] = uint8(lo + 1)
	}
	return bins
}

// parallel calls work(0) … work(n-1) on so many goroutines and waits for all. When ctx ends it starts no further one.
func parallel(ctx context.Context, n, threads int, work func(i int)) error {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(max(threads, 1), n) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(i)
			}
		})
	}
	group.Wait()
	return ctx.Err()
}
