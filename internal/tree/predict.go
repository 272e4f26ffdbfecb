package tree

import (
	"context"

	"damson/internal/parallel"
)

// sumChunk is how many trees are added up before their sum is added to the others: the SQL does the same, and its
// expressions stay flat enough for a database (DuckDB refuses a chain of 1,100 terms).
const sumChunk = 32

// predictBlock is how many rows are gathered from the columns at a time: they fit in the processor's first cache.
const predictBlock = 256

// Predict gives the outputs for one row. It panics when the row has another number of values than the model has features.
func (m *Model) Predict(row []float64) []float64 {
	if len(row) != len(m.features) {
		panic("tree: a row of another width than the model")
	}
	columns := make([][]float64, len(row))
	for c := range row {
		columns[c] = row[c : c+1]
	}
	out := m.outputs(1)
	m.newBlock(1).predict(columns, nil, 0, 1, out)
	single := make([]float64, len(out))
	for k := range out {
		single[k] = out[k][0]
	}
	return single
}

// PredictRows gives each output for the given rows of a table of columns (nil: all rows), in their order. It panics on
// another number of columns than the model has features. threads 0 = all processors.
func (m *Model) PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error) {
	if len(columns) != len(m.features) {
		panic("tree: another number of columns than the model has features")
	}
	n := len(rows)
	if rows == nil {
		n = len(columns[0])
	}
	threads = parallel.Threads(threads)
	out := m.outputs(n)
	blocks := (n + predictBlock - 1) / predictBlock
	stripes := min(blocks, 8*threads)
	err := parallel.Each(ctx, stripes, threads, func(s int) {
		b := m.newBlock(predictBlock)
		for i := blocks * s / stripes; i < blocks*(s+1)/stripes && ctx.Err() == nil; i++ {
			lo := i * predictBlock
			b.predict(columns, rows, lo, min(lo+predictBlock, n), out)
		}
	})
	return out, err
}

func (m *Model) outputs(n int) [][]float64 {
	out := make([][]float64, m.Outputs())
	all := make([]float64, n*len(out))
	for k := range out {
		out[k], all = all[:n:n], all[n:]
	}
	return out
}

// block is the room to predict some rows in.
type block struct {
	*Model
	values []float64 // row by row; categories as bins
	sums   []float64 // row by row, of each output: of all closed chunks
	chunk  []float64 // of the open one
}

func (m *Model) newBlock(rows int) *block {
	outputs := m.Outputs()
	return &block{Model: m, values: make([]float64, rows*len(m.features)), sums: make([]float64, rows*outputs), chunk: make([]float64, rows*outputs)}
}

// predict predicts rows lo … hi-1, tree by tree, so that a tree stays in the cache.
func (b *block) predict(columns [][]float64, rows []int32, lo, hi int, out [][]float64) {
	b.gather(columns, rows, lo, hi)
	n, outputs, scores := hi-lo, b.Outputs(), b.scores()
	sums := b.sums[:n*outputs]
	clear(sums)
	for t := range b.trees {
		if round := t / scores; round%sumChunk == 0 && t%scores == 0 && t > 0 {
			b.close(sums)
		}
		b.add(t, n, outputs)
	}
	b.close(sums)
	for i := range n {
		row := sums[i*outputs : (i+1)*outputs]
		b.finish(row)
		for k, v := range row {
			out[k][lo+i] = v
		}
	}
}

// gather brings the values of the rows together.
func (b *block) gather(columns [][]float64, rows []int32, lo, hi int) {
	width := len(b.features)
	for c, column := range columns {
		f := &b.features[c]
		for i := range hi - lo {
			r := lo + i
			if rows != nil {
				r = int(rows[r])
			}
			v := column[r]
			if f.categories > 0 {
				v = float64(f.bin(v))
			}
			b.values[i*width+c] = v
		}
	}
}

// add adds tree t's leaves to the open chunk.
func (b *block) add(t, n, outputs int) {
	tree, width := &b.trees[t], len(b.features)
	if b.sparse() {
		for i := range n {
			l := tree.leaves[tree.leaf(b.values[i*width:(i+1)*width]).next]
			for _, c := range tree.counts[l.from:l.to] {
				b.chunk[i*outputs+int(c.class)] += c.share
			}
		}
		return
	}
	score := t % b.scores()
	for i := range n {
		b.chunk[i*outputs+score] += tree.leaf(b.values[i*width : (i+1)*width]).value
	}
}

// close adds the open chunk to the sums, and begins another.
func (b *block) close(sums []float64) {
	for i := range sums {
		sums[i] += b.chunk[i]
		b.chunk[i] = 0
	}
}

// finish makes a row's outputs from its sums.
func (m *Model) finish(row []float64) {
	if m.kind == Forest {
		for k := range row {
			row[k] /= float64(len(m.trees))
		}
		return
	}
	for k := range row {
		row[k] = m.start[k] + row[k]
	}
	switch {
	case m.classes == 2:
		row[0] = Sigmoid(row[0])
	case m.classes > 2:
		softmax(row)
	}
}

// leaf gives the leaf that a row falls into.
func (t *tree) leaf(row []float64) *node {
	nodes := t.nodes
	i := 0
	for {
		n := &nodes[i]
		switch n.kind {
		case numberNode:
			v := row[n.feature]
			if v <= n.value || n.missingLeft && v != v {
				i++
			} else {
				i = int(n.next)
			}
		case setNode:
			if t.sets[int(n.value)].has(uint8(row[n.feature])) {
				i++
			} else {
				i = int(n.next)
			}
		default:
			return n
		}
	}
}
