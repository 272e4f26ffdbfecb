package cluster

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"

	"damson/internal/parallel"
)

// below draws a whole number from 0 to n-1.
func below(random *rand.PCG, n int) int {
	hi, _ := bits.Mul64(random.Uint64(), uint64(n))
	return int(hi)
}

// share draws a number from 0 to below 1.
func share(random *rand.PCG) float64 { return float64(random.Uint64()>>11) * 0x1p-53 }

// squared gives the squared distance of two points.
func squared(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		d0, d1, d2, d3 := a[0]-b[0], a[1]-b[1], a[2]-b[2], a[3]-b[3]
		s0 += float64(d0 * d0)
		s1 += float64(d1 * d1)
		s2 += float64(d2 * d2)
		s3 += float64(d3 * d3)
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		d := v - b[i]
		s0 += float64(d * d)
	}
	return (s0 + s1) + (s2 + s3)
}

// checkDistinct says so when fewer than k rows differ.
func (p *points) checkDistinct(k int) error {
	seed := maphash.MakeSeed()
	known := map[uint64][]int{}
	found := 0
	for i := range p.rows {
		h := maphash.Bytes(seed, nil)
		for _, v := range p.row(i) {
			h = h*0x9e3779b97f4a7c15 ^ maphash.Comparable(seed, v)
		}
		if p.isNew(i, known[h]) {
			known[h] = append(known[h], i)
			if found++; found == k {
				return nil
			}
		}
	}
	return fmt.Errorf("its %d rows have %d different places, and k is %d", p.rows, found, k)
}

// isNew reports whether a row differs from some others.
func (p *points) isNew(i int, others []int) bool {
	for _, j := range others {
		if squared(p.row(i), p.row(j)) == 0 {
			return false
		}
	}
	return true
}

// anyRows gives k different rows as centres, drawn without replacement.
func (p *points) anyRows(k int, random *rand.PCG) []float64 {
	order := make([]int32, p.rows)
	for i := range order {
		order[i] = int32(i)
	}
	var chosen []int
	for i := 0; i < p.rows && len(chosen) < k; i++ {
		j := i + below(random, p.rows-i)
		order[i], order[j] = order[j], order[i]
		if p.isNew(int(order[i]), chosen) {
			chosen = append(chosen, int(order[i]))
		}
	}
	return p.centresAt(chosen)
}

func (p *points) centresAt(rows []int) []float64 {
	var out []float64
	for _, i := range rows {
		out = append(out, p.row(i)...)
	}
	return out
}

// sowing is k-means++ under way.
type sowing struct {
	*points
	gaps   []float64 // of each row: squared distance to the nearest centre
	own    []int32   // that centre
	chosen []int
}

// plusPlus gives k rows as centres: each is drawn by the squared distance from those before; of 2 + ln k so drawn the one is taken
// that leaves the least distances.
func (p *points) plusPlus(ctx context.Context, k int, random *rand.PCG) ([]float64, error) {
	s := &sowing{points: p, gaps: make([]float64, p.rows), own: make([]int32, p.rows)}
	for i := range s.gaps {
		s.gaps[i] = math.Inf(1)
	}
	trials := 2 + int(math.Log(float64(k)))
	if err := s.take(ctx, below(random, p.rows)); err != nil {
		return nil, err
	}
	for len(s.chosen) < k {
		candidates := s.draw(trials, random)
		best, err := s.best(ctx, candidates)
		if err != nil {
			return nil, err
		}
		if err := s.take(ctx, best); err != nil {
			return nil, err
		}
	}
	return p.centresAt(s.chosen), nil
}

// apart gives, for each chosen centre, the gap below which its rows are nearer to it than to a row at any rate: a quarter of the
// squared distance.
func (s *sowing) apart(row int) []float64 {
	out := make([]float64, len(s.chosen))
	for c, other := range s.chosen {
		out[c] = squared(s.row(row), s.row(other)) / 4
	}
	return out
}

// take makes a row the next centre.
func (s *sowing) take(ctx context.Context, row int) error {
	apart, centre, number := s.apart(row), s.row(row), int32(len(s.chosen))
	s.chosen = append(s.chosen, row)
	return parallel.Each(ctx, s.blocks(), s.threads, func(b int) {
		lo, hi := s.block(b)
		for i := lo; i < hi; i++ {
			if number > 0 && s.gaps[i] <= apart[s.own[i]] {
				continue
			}
			if d := squared(s.row(i), centre); d < s.gaps[i] {
				s.gaps[i], s.own[i] = d, number
			}
		}
	})
}

// draw gives rows, each with the chance that its gap is of all.
func (s *sowing) draw(n int, random *rand.PCG) []int {
	upto := make([]float64, 0, s.blocks()) // gaps of the blocks up to each
	sum := 0.0
	for b := range s.blocks() {
		lo, hi := s.block(b)
		for _, g := range s.gaps[lo:hi] {
			sum += g
		}
		upto = append(upto, sum)
	}
	out := make([]int, n)
	for t := range out {
		out[t] = s.at(share(random)*sum, upto)
	}
	return out
}

// at finds the row where the gaps add up to more than so much. Rows without a gap are never it.
func (s *sowing) at(goal float64, upto []float64) int {
	b, last := 0, 0
	for b < len(upto)-1 && upto[b] <= goal {
		b++
	}
	sum := 0.0
	if b > 0 {
		sum = upto[b-1]
	}
	lo, hi := s.block(b)
	for i := lo; i < hi; i++ {
		if s.gaps[i] > 0 {
			last = i
			if sum += s.gaps[i]; sum > goal {
				break
			}
		}
	}
	return last
}

// best gives the candidate that leaves the least gaps, the first of equals.
func (s *sowing) best(ctx context.Context, candidates []int) (int, error) {
	apart := make([][]float64, len(candidates))
	left := make([][]float64, len(candidates)) // by candidate and block
	for t, row := range candidates {
		apart[t], left[t] = s.apart(row), make([]float64, s.blocks())
	}
	err := parallel.Each(ctx, s.blocks(), s.threads, func(b int) {
		lo, hi := s.block(b)
		for t, row := range candidates {
			centre, sum := s.row(row), 0.0
			for i := lo; i < hi; i++ {
				gap := s.gaps[i]
				if gap > apart[t][s.own[i]] {
					gap = min(gap, squared(s.row(i), centre))
				}
				sum += gap
			}
			left[t][b] = sum
		}
	})
	best, least := 0, math.Inf(1)
	for t := range candidates {
		if sum := balanced(left[t]); sum < least {
			best, least = t, sum
		}
	}
	return candidates[best], err
}
