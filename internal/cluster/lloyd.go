package cluster

import (
	"context"
	"math"
	"sync"

	"damson/internal/parallel"
)

// fit moves centres to the middle of their rows until they come to rest. Of row i
//
//	own[i]    is the number of its centre
//	upper[i]  is at least its distance to that centre
//	lower[i]  is at most its distance to every other centre
//
// Bounds for each centre (C. Elkan 2003, groups of centres as in Y. Ding and others 2015) were tried with 24 coordinates and 10 centres: they
// spared four of five distances that these need, and a tenth of the time at most.
type fit struct {
	*points
	k            int
	centres      []float64 // coordinates, centre by centre
	own          []int32
	upper, lower []float64
	sums         []int64 // of the rows' coordinates on the grid, centre by centre
	counts       []int64

	iterations int
	rested     bool
	inertia    float64
}

func newFit(p *points, k int, centres []float64) *fit {
	f := &fit{points: p, k: k, centres: centres, own: make([]int32, p.rows), upper: make([]float64, p.rows), lower: make([]float64, p.rows),
		sums: make([]int64, k*p.width), counts: make([]int64, k)}
	for i := range f.own {
		f.own[i], f.upper[i] = -1, math.Inf(1)
	}
	return f
}

func (f *fit) centre(c int) []float64 { return f.centres[c*f.width : (c+1)*f.width : (c+1)*f.width] }

// run iterates at most so many times. tolerance is the squared step of all centres at which they have come to rest.
func (f *fit) run(ctx context.Context, most int, tolerance float64) error {
	for f.iterations < most && !f.rested {
		moved, err := f.assign(ctx)
		if err != nil {
			return err
		}
		f.fillEmpty()
		f.iterations++
		f.rested = f.move() <= tolerance || moved == 0
	}
	if _, err := f.assign(ctx); err != nil {
		return err
	}
	return f.measure(ctx)
}

// assign gives every row its nearest centre, and says how many rows have another one than before.
func (f *fit) assign(ctx context.Context) (moved int, err error) {
	apart := f.apart()
	var mending sync.Mutex
	err = parallel.Each(ctx, f.blocks(), f.threads, func(b int) {
		var changes []change
		lo, hi := f.block(b)
		for i := lo; i < hi; i++ {
			if was := f.own[i]; f.nearest(i, apart) {
				changes = append(changes, change{int32(i), was})
			}
		}
		if len(changes) == 0 {
			return
		}
		mending.Lock()
		defer mending.Unlock()
		moved += len(changes)
		for _, c := range changes {
			f.count(int(c.row), c.was, -1)
			f.count(int(c.row), f.own[c.row], 1)
		}
	})
	return moved, err
}

// change is a row that has another centre than before, -1 being none.
type change struct{ row, was int32 }

// count adds a row to a centre's sums, or takes it away.
func (f *fit) count(i int, centre int32, times int64) {
	if centre < 0 {
		return
	}
	f.counts[centre] += times
	sums := f.sums[int(centre)*f.width:]
	for c, v := range f.row(i) {
		sums[c] += times * int64(v*f.up[c])
	}
}

// apart gives half the distance of each centre to the next one: a row nearer to it belongs to it.
func (f *fit) apart() []float64 {
	out := make([]float64, f.k)
	for c := range out {
		least := math.Inf(1)
		for other := range f.k {
			if other != c {
				least = min(least, squared(f.centre(c), f.centre(other)))
			}
		}
		out[c] = math.Sqrt(least) / 2
	}
	return out
}

// nearest finds a row's nearest centre, the first of equals, and reports whether it is another one than before. Most rows need
// no distance, or one.
func (f *fit) nearest(i int, apart []float64) bool {
	was := f.own[i]
	if was >= 0 {
		safe := max(apart[was], f.lower[i])
		if f.upper[i] < safe {
			return false
		}
		if f.upper[i] = math.Sqrt(squared(f.row(i), f.centre(int(was)))); f.upper[i] < safe {
			return false
		}
	}
	row := f.row(i)
	best, first, second := 0, math.Inf(1), math.Inf(1)
	for c := range f.k {
		switch d := squared(row, f.centre(c)); {
		case d < first:
			best, first, second = c, d, first
		case d < second:
			second = d
		}
	}
	f.own[i], f.upper[i], f.lower[i] = int32(best), math.Sqrt(first), math.Sqrt(second)
	return int32(best) != was
}

// fillEmpty gives every centre without rows the row that is farthest from its own, as scikit-learn does.
func (f *fit) fillEmpty() {
	var gaps []float64
	for c, n := range f.counts {
		if n > 0 {
			continue
		}
		if gaps == nil {
			gaps = make([]float64, f.rows)
			for i := range gaps {
				gaps[i] = squared(f.row(i), f.centre(int(f.own[i])))
			}
		}
		far := -1
		for i, g := range gaps {
			if f.counts[f.own[i]] > 1 && (far < 0 || g > gaps[far]) {
				far = i
			}
		}
		if far < 0 {
			return
		}
		f.count(far, f.own[far], -1)
		f.count(far, int32(c), 1)
		f.own[far], f.upper[far], f.lower[far], gaps[far] = int32(c), math.Inf(1), 0, 0
	}
}

// move puts the centres into the middle of their rows, and gives their squared steps added up.
func (f *fit) move() float64 {
	steps := make([]float64, f.k)
	squares := 0.0
	next := make([]float64, f.width)
	for c := range f.k {
		if f.counts[c] == 0 {
			continue
		}
		for at, sum := range f.sums[c*f.width : (c+1)*f.width] {
			next[at] = float64(sum) / f.up[at] / float64(f.counts[c])
		}
		step := squared(next, f.centre(c))
		copy(f.centre(c), next)
		squares += step
		steps[c] = math.Sqrt(step)
	}
	f.loosen(steps)
	return squares
}

// loosen keeps the bounds true after the centres have made steps.
func (f *fit) loosen(steps []float64) {
	most, second, who := 0.0, 0.0, int32(-1)
	for c, s := range steps {
		if s > most {
			most, second, who = s, most, int32(c)
		} else {
			second = max(second, s)
		}
	}
	for i, c := range f.own {
		f.upper[i] += steps[c]
		if c == who {
			f.lower[i] -= second
		} else {
			f.lower[i] -= most
		}
	}
}

// measure adds up the squared distances.
func (f *fit) measure(ctx context.Context) error {
	sums := make([]float64, f.blocks())
	err := parallel.Each(ctx, f.blocks(), f.threads, func(b int) {
		lo, hi := f.block(b)
		for i := lo; i < hi; i++ {
			sums[b] += squared(f.row(i), f.centre(int(f.own[i])))
		}
	})
	f.inertia = balanced(sums)
	return err
}
