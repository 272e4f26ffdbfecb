package cluster

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Options of a training, none of which change its result.
type Options struct {
	Threads int // 0 = one a processor
}

// Fit says how the training went.
type Fit struct {
	Iterations int      // of the best time
	Converged  bool     // its centres had come to rest
	Inertia    float64  // sum of the squared distances of the rows from their centres
	Warnings   []string // for people
}

// Train clusters the given rows of the columns (nil: all). An error is the context's, or says in words which parameter or which
// column cannot be used.
func Train(ctx context.Context, columns []Column, rows []int32, p Params, o Options) (*Model, Fit, error) {
	if err := p.Check(); err != nil {
		return nil, Fit{}, err
	}
	if len(columns) == 0 || len(columns) > MaxFeatures {
		return nil, Fit{}, fmt.Errorf("%d features; k-means reads 1 to %d", len(columns), MaxFeatures)
	}
	if rows == nil {
		rows = make([]int32, len(columns[0].Numbers))
		for i := range rows {
			rows[i] = int32(i)
		}
	}
	if len(rows) == 0 || len(rows) > MaxRows {
		return nil, Fit{}, fmt.Errorf("%d rows; 1 to %d can be learned from", len(rows), MaxRows)
	}
	m := &Model{standardise: p.Standardise}
	warnings, err := m.look(ctx, columns, rows, o.Threads)
	if err != nil {
		return nil, Fit{}, err
	}
	points, err := m.grid(ctx, columns, rows, o.Threads)
	if err != nil {
		return nil, Fit{}, err
	}
	if err := points.checkDistinct(p.K); err != nil {
		return nil, Fit{}, err
	}
	best, err := points.best(ctx, p)
	if err != nil {
		return nil, Fit{}, err
	}
	if !best.rested {
		warnings = append(warnings, fmt.Sprintf("the centres had not come to rest after %d iterations: raise max_iter or tol.", best.iterations))
	}
	m.take(best)
	return m, Fit{Iterations: best.iterations, Converged: best.rested, Inertia: best.inertia, Warnings: warnings}, nil
}

// best clusters so many times as the parameters say, and gives the time with the least distances, the first of equals.
func (p *points) best(ctx context.Context, own Params) (*fit, error) {
	var best *fit
	for time := range own.Inits {
		random := rand.NewPCG(uint64(own.Seed), stream<<32+uint64(time))
		centres, err := p.sow(ctx, own, random)
		if err != nil {
			return nil, err
		}
		f := newFit(p, own.K, centres)
		if err := f.run(ctx, own.MaxIterations, float64(own.Tolerance*p.variance)); err != nil {
			return nil, err
		}
		if best == nil || f.inertia < best.inertia {
			best = f
		}
	}
	return best, nil
}

// stream sets these random numbers apart from others of the same seed.
const stream = 0x6b6d6e73

func (p *points) sow(ctx context.Context, own Params, random *rand.PCG) ([]float64, error) {
	if own.Init == Random {
		return p.anyRows(own.K, random), nil
	}
	return p.plusPlus(ctx, own.K, random)
}

// take makes clusters of centres, in their order.
func (m *Model) take(f *fit) {
	for c := range f.k {
		own := Cluster{Rows: f.counts[c], Centre: make([]float64, len(m.features))}
		for at, feature := range f.from {
			if v := f.centre(c)[at]; math.Abs(v) >= m.features[feature].near()/m.features[feature].divisor {
				own.Centre[feature] = v
			}
		}
		m.clusters = append(m.clusters, own)
	}
	slices.SortStableFunc(m.clusters, inOrder)
}

// inOrder puts the larger cluster first.
func inOrder(a, b Cluster) int {
	return cmp.Or(cmp.Compare(b.Rows, a.Rows), slices.Compare(a.Centre, b.Centre))
}
