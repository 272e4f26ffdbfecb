package cluster

import (
	"context"
	"math"

	"damson/internal/parallel"
)

// predictedRows is how many rows are placed at a time.
const predictedRows = 256

// PredictRows gives the nearest cluster of the given rows of a table of columns (nil: all rows), and the distance to its centre.
// It panics when there are not as many columns as features.
func (m *Model) PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) (clusters, distances []float64, err error) {
	n := m.rows(columns, rows)
	clusters, distances = make([]float64, n), make([]float64, n)
	err = parallel.Each(ctx, (n+predictedRows-1)/predictedRows, threads, func(b int) {
		lo, hi := b*predictedRows, min((b+1)*predictedRows, n)
		p := &placing{model: m, used: m.used(), squares: make([]float64, hi-lo)}
		for _, f := range p.used {
			p.places = append(p.places, m.places(f, columns[f], rows, lo, hi))
		}
		own, least := clusters[lo:hi], distances[lo:hi]
		for c := range m.clusters {
			for i, d := range p.gaps(c, 0, len(p.used)) {
				if c == 0 || d < least[i] {
					own[i], least[i] = float64(c), d
				}
			}
		}
		for i, d := range least {
			least[i] = math.Sqrt(d)
		}
	})
	return clusters, distances, err
}

// Points gives the coordinates of the given rows (nil: all rows), by feature that plays a part.
func (m *Model) Points(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error) {
	n, used := m.rows(columns, rows), m.used()
	out := make([][]float64, len(used))
	err := parallel.Each(ctx, len(used), threads, func(c int) { out[c] = m.places(used[c], columns[used[c]], rows, 0, n) })
	return out, err
}

func (m *Model) rows(columns [][]float64, rows []int32) int {
	if len(columns) != len(m.features) {
		panic("cluster: another number of columns than the model has features")
	}
	if rows != nil {
		return len(rows)
	}
	return len(columns[0])
}

// used lists the features that play a part.
func (m *Model) used() []int {
	var out []int
	for f := range m.features {
		if m.features[f].deviation > 0 {
			out = append(out, f)
		}
	}
	return out
}

// places gives the coordinates of a feature of the rows lo … hi-1.
func (m *Model) places(f int, column []float64, rows []int32, lo, hi int) []float64 {
	out := make([]float64, hi-lo)
	for i := range out {
		r := lo + i
		if rows != nil {
			r = int(rows[r])
		}
		out[i] = m.features[f].place(column[r])
	}
	return out
}

// placing is a block of rows being predicted.
type placing struct {
	model   *Model
	used    []int
	places  [][]float64 // by used feature
	squares []float64
}

// gaps gives the rows' squared distances from a centre in the coordinates from … to-1, halved as the SQL does.
func (p *placing) gaps(c, from, to int) []float64 {
	if to-from == 1 {
		centre, out := p.model.clusters[c].Centre[p.used[from]], make([]float64, len(p.squares))
		for i, v := range p.places[from] {
			d := v - centre
			out[i] = float64(d * d)
		}
		return out
	}
	half := from + (to-from)/2
	left, right := p.gaps(c, from, half), p.gaps(c, half, to)
	for i, v := range right {
		left[i] += v
	}
	return left
}
