package forest

import (
	"context"
	"runtime"
)

// Predict gives the probability of class 1 for one row: the mean of the shares of the leaves it falls into. It panics when
// the row has another number of values than the forest has features.
func (f *Forest) Predict(row []float64) float64 {
	if len(row) != f.features {
		panic("forest: a row of another width than the forest")
	}
	shares := make([]float64, len(f.trees))
	return f.mean(row, shares)
}

// mean uses shares, of one entry a tree, as its scratch space.
func (f *Forest) mean(row, shares []float64) float64 {
	for i := range f.trees {
		shares[i] = f.trees[i].predict(row)
	}
	return sum(shares) / float64(len(shares))
}

func (t *tree) predict(row []float64) float64 {
	nodes := t.nodes
	i := 0
	for {
		n := &nodes[i]
		if n.kind == leafNode {
			return n.value
		}
		v := row[n.feature]
		if v <= n.value || n.missingLeft && v != v {
			i++
		} else {
			i = int(n.next)
		}
	}
}

// sum adds as a balanced tree. Forest.SQL writes its additions in the same order, so that both round alike.
func sum(v []float64) float64 {
	switch len(v) {
	case 1:
		return v[0]
	case 2:
		return v[0] + v[1]
	}
	half := len(v) / 2
	return sum(v[:half]) + sum(v[half:])
}

// predictBlock is how many rows are gathered from the columns at a time: they fit in the processor's first cache.
const predictBlock = 256

// PredictRows gives the probabilities of the given rows of a table of columns (nil: all rows), in their order.
func (f *Forest) PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([]float64, error) {
	if len(columns) != f.features {
		panic("forest: another number of columns than the forest has features")
	}
	n := len(rows)
	if rows == nil {
		n = len(columns[0])
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	out := make([]float64, n)
	blocks := (n + predictBlock - 1) / predictBlock
	stripes := min(blocks, 8*threads)
	err := parallel(ctx, stripes, threads, func(s int) {
		scratch := make([]float64, predictBlock*(f.features+len(f.trees)))
		for b := blocks * s / stripes; b < blocks*(s+1)/stripes && ctx.Err() == nil; b++ {
			lo := b * predictBlock
			f.predictBlock(columns, rows, lo, out[lo:min(lo+predictBlock, n)], scratch)
		}
	})
	return out, err
}

// predictBlock predicts rows lo … lo+len(out)-1, tree by tree, so that a tree stays in the cache.
func (f *Forest) predictBlock(columns [][]float64, rows []int32, lo int, out, scratch []float64) {
	values, shares := scratch[:predictBlock*f.features], scratch[predictBlock*f.features:]
	for c, column := range columns {
		for i := range out {
			r := lo + i
			if rows != nil {
				r = int(rows[r])
			}
			values[i*f.features+c] = column[r]
		}
	}
	for t := range f.trees {
		for i := range out {
			shares[i*len(f.trees)+t] = f.trees[t].predict(values[i*f.features : (i+1)*f.features])
		}
	}
	for i := range out {
		out[i] = sum(shares[i*len(f.trees):(i+1)*len(f.trees)]) / float64(len(f.trees))
	}
}
