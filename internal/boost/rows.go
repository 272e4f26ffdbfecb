package boost

import (
	"context"
	"math"
	"sync"

	"damson/internal/parallel"
	"damson/internal/tree"
)

// lanes is how many columns stand in one word of 64 bits.
const lanes = 8

// side are the rows of one side, to learn from or to validate by.
type side struct {
	n      int
	stride int         // words of a row
	words  []uint64    // row by row: two words for its sums, then its bins, column f in byte f%8 of word f/8 of them
	bins   [][]uint8   // the same by column
	class  []uint8     // of each row
	number []float64   // of each row
	scores [][]float64 // of each score, each row's
	// Of a row's scores at the beginning of a round, with more than two classes:
	highest []float64
	total   []float64 // of the exponentials of the distances from it
}

// newSide brings the rows' bins and targets together, and gives all rows the scores to start with.
func newSide(ctx context.Context, d tree.Data, rows []int32, b *booster) (*side, error) {
	s := &side{n: len(rows), stride: sumsWords + (len(d.Columns)+lanes-1)/lanes, bins: make([][]uint8, len(d.Columns)), scores: make([][]float64, len(b.start))}
	s.words = make([]uint64, s.n*s.stride)
	for k := range s.scores {
		s.scores[k] = make([]float64, s.n)
		for i := range s.scores[k] {
			s.scores[k][i] = b.start[k]
		}
	}
	if d.Classes > 2 {
		s.highest, s.total = make([]float64, s.n), make([]float64, s.n)
	}
	for _, r := range rows {
		if d.Classes > 0 {
			s.class = append(s.class, d.Class[r])
		} else {
			s.number = append(s.number, d.Number[r])
		}
	}
	err := parallel.Each(ctx, len(d.Columns), b.threads, func(f int) { s.bins[f] = b.bins.Code(f, d.Columns[f], rows) })
	if err != nil {
		return nil, err
	}
	b.share(s.n, func(_, lo, hi int) {
		for f, bins := range s.bins {
			word, shift := sumsWords+f/lanes, f%lanes*8
			for i := lo; i < hi; i++ {
				s.words[i*s.stride+word] |= uint64(bins[i]) << shift
			}
		}
	})
	return s, nil
}

// share cuts rows 0 … n-1 into one piece for each thread and works on them at the same time. Few rows are one piece.
func (b *booster) share(n int, work func(thread, lo, hi int)) {
	threads := min(b.threads, 1+n/4096)
	if threads == 1 {
		work(0, 0, n)
		return
	}
	var group sync.WaitGroup
	for t := range threads {
		group.Go(func() { work(t, n*t/threads, n*(t+1)/threads) })
	}
	group.Wait()
}

// sumsWords is the room of a row's sums.
const sumsWords = 2

// sumsOf gives what one row adds.
func (s *side) sumsOf(row uint32) sums {
	at := int(row) * s.stride
	return sums{int64(s.words[at]), s.words[at+1]}
}

// sums are what a bin's rows add up to: the gradients, and the hessians above countBits bits for the number of rows.
type sums struct {
	gradient int64
	packed   uint64
}

func (s *sums) add(o sums) { s.gradient += o.gradient; s.packed += o.packed }

func (s sums) minus(o sums) sums { return sums{s.gradient - o.gradient, s.packed - o.packed} }

// units are what a round's integers mean.
type units struct {
	countBits         uint
	gradient, hessian float64 // units in 1, powers of two
}

func (u units) rows(s sums) uint64 { return s.packed & (1<<u.countBits - 1) }

// of gives the sums of gradients and hessians.
func (u units) of(s sums) (gradient, hessian float64) {
	return float64(s.gradient) / u.gradient, float64(s.packed>>u.countBits) / u.hessian
}

// prepare computes what all scores' gradients of a round share.
func (b *booster) prepare(s *side) {
	if s.highest == nil {
		return
	}
	b.share(s.n, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			highest := math.Inf(-1)
			for k := range s.scores {
				highest = max(highest, s.scores[k][i])
			}
			total := 0.0
			for k := range s.scores {
				total += tree.Exp(s.scores[k][i] - highest)
			}
			s.highest[i], s.total[i] = highest, total
		}
	})
}

// slope gives the first and the second derivative of a row's loss by score k.
func (b *booster) slope(s *side, k, i int) (gradient, hessian float64) {
	switch b.classes {
	case 0:
		return s.scores[0][i] - s.number[i], 1
	case 2:
		class := s.class[i]
		p, w := tree.Sigmoid(s.scores[0][i]), b.weights[class]
		return float64(w * (p - float64(class))), float64(w * float64(p*(1-p)))
	}
	class := s.class[i]
	p, w := tree.Exp(s.scores[k][i]-s.highest[i])/s.total[i], b.weights[class]
	y := 0.0
	if int(class) == k {
		y = 1
	}
	return float64(w * (p - y)), float64(w * float64(b.factor*float64(p*(1-p))))
}

// derive computes the round's gradients and hessians of score k for the training rows.
func (b *booster) derive(k int) {
	s := b.train
	type largest struct{ gradient, hessian float64 }
	found := make([]largest, b.threads)
	b.share(s.n, func(thread, lo, hi int) {
		var l largest
		for i := lo; i < hi; i++ {
			g, h := b.slope(s, k, i)
			b.gradients[i], b.hessians[i] = g, h
			l.gradient, l.hessian = max(l.gradient, math.Abs(g)), max(l.hessian, h)
		}
		found[thread] = l
	})
	var most largest
	for _, l := range found {
		most.gradient, most.hessian = max(most.gradient, l.gradient), max(most.hessian, l.hessian)
	}
	b.units.gradient = tree.FixedPoint(most.gradient, s.n)
	// As many times more rows leave room for the number of rows.
	b.units.hessian = tree.FixedPoint(most.hessian, 1<<(2*b.units.countBits))
	b.share(s.n, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			hessian := max(1, tree.Fixed(b.hessians[i], b.units.hessian))
			s.words[i*s.stride] = uint64(tree.Fixed(b.gradients[i], b.units.gradient))
			s.words[i*s.stride+1] = uint64(hessian)<<b.units.countBits | 1
		}
	})
}

// loss is the mean loss of the rows. Each row's is rounded to an integer so that their sum does not depend on the order.
func (s *side) loss(b *booster) float64 {
	b.prepare(s)
	losses := make([]float64, s.n)
	weights := make([]float64, s.n)
	b.share(s.n, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			losses[i], weights[i] = s.lossOf(b, i)
		}
	})
	largest, total := 0.0, 0.0
	for i, l := range losses {
		largest = max(largest, l)
		total += weights[i] // multiples of 1/1024: exact
	}
	scale := tree.FixedPoint(largest, s.n)
	sum := int64(0)
	for _, l := range losses {
		sum += tree.Fixed(l, scale)
	}
	return float64(sum) / scale / total
}

// lossOf gives a row's weighted loss and its weight.
func (s *side) lossOf(b *booster, i int) (loss, weight float64) {
	switch b.classes {
	case 0:
		d := s.scores[0][i] - s.number[i]
		return float64(d * d), 1
	case 2:
		margin := s.scores[0][i]
		if s.class[i] == 0 {
			margin = -margin
		}
		weight = b.weights[s.class[i]]
		return float64(weight * tree.Log(1+tree.Exp(-margin))), weight
	}
	weight = b.weights[s.class[i]]
	// -log(exp(score - highest) / total)
	return float64(weight * (tree.Log(s.total[i]) - (s.scores[s.class[i]][i] - s.highest[i]))), weight
}
