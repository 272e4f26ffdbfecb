package linear

import (
	"context"
	"math"
	"slices"
)

// matrix is symmetric, of n rows.
type matrix struct {
	n int
	v []float64
}

func (m matrix) row(i int) []float64 { return m.v[i*m.n : (i+1)*m.n] }

// mirror completes a matrix made of symmetric blocks of so many rows, of which the lower triangles of those on and below
// the diagonal are filled.
func (m matrix) mirror(block int) {
	for i := range m.n {
		for j := range i {
			if bi, bj := i/block, j/block; bi != bj && i%block < j%block {
				// The upper half of a block below the diagonal stands in its lower half, further down.
				m.v[i*m.n+j] = m.v[(bi*block+j%block)*m.n+bj*block+i%block]
			}
		}
	}
	for i := range m.n {
		for j := range i {
			m.v[j*m.n+i] = m.v[i*m.n+j]
		}
	}
}

// Newton's method, and where it gets its second derivatives.
const (
	gramWork      = 3e7 // products that second derivatives of a sample may take
	leastSample   = 10_000
	mostSample    = 20_000
	longest       = 10.0 // step of a coefficient
	refresh       = 10   // steps after which second derivatives within the classes alone are computed again
	enoughDescent = 1e-4
)

// fitted is the result of newton.
type fitted struct {
	beta       []float64
	iterations int
	converged  bool
	loss       float64 // with the penalty
}

// newton minimises the problem by a proximal Newton method (J. Lee, Y. Sun, M. Saunders 2014): each step minimises the
// penalty and a quadratic model of the loss. The model's gradient is that of all rows. Its second derivatives come from a
// sample, as they need not be exact for the steps to end at the minimum; where steps shrink slowly, from a larger sample.
func (p *problem) newton(ctx context.Context, beta []float64, most int, tolerance float64) (fitted, error) {
	small := p
	if n := p.sampleRows(); n < p.rows {
		small = p.sampled(n)
		start, err := small.newton(ctx, beta, most, max(tolerance, 1e-4))
		if err != nil {
			return fitted{}, err
		}
		beta = start.beta
	}
	f := fitted{beta: beta}
	loss, gradient, err := p.evaluate(ctx, beta)
	if err != nil {
		return f, err
	}
	var second []matrix
	last, scale, recent := math.Inf(1), 1.0, []float64{loss}
	for f.iterations < most {
		f.iterations++
		if second == nil || small == p && (p.coupled() || f.iterations%refresh == 0) {
			if second, err = small.hessian(ctx, f.beta); err != nil {
				return f, err
			}
			scaled(second, scale)
		}
		step := p.step(ctx, second, f.beta, gradient)
		size, slope := length(step), p.slope(f.beta, step, gradient)
		// Where columns say the same, and between the intercepts of classes, rounding makes steps that no loss notices.
		if size <= tolerance*max(1, length(f.beta)) || size <= math.Sqrt(tolerance) && -slope <= noise(loss) {
			f.beta, f.converged = plus(f.beta, step, 1), true
			break
		}
		next, nextLoss, nextGradient, err := p.search(ctx, f.beta, step, slope, slices.Max(recent))
		if err != nil {
			return f, err
		}
		if next == nil {
			// No step lowers what rounding lets be seen: this is the minimum, unless steps would still be long.
			f.converged = size <= math.Sqrt(tolerance)
			break
		}
		if !p.coupled() {
			// Scale the derivatives to what the gradient did along the step (M. Raydan 1997, S. Wright and others 2009).
			// That may raise the loss at times, but not above that of the last few steps.
			by := curvature(second, f.beta, next, gradient, nextGradient)
			by = min(max(by*scale, 0.1), 4) / scale
			scaled(second, by)
			scale *= by
			recent = append(recent[max(0, len(recent)-7):], nextLoss)
		} else {
			recent[0] = nextLoss
		}
		f.beta, loss, gradient = next, nextLoss, nextGradient
		if size > last/4 && small != p {
			small, second = p.sampled(8*small.rows), nil
		}
		last = size
	}
	f.loss = loss
	return f, nil
}

func scaled(second []matrix, by float64) {
	for _, m := range second {
		for i := range m.v {
			m.v[i] = float64(m.v[i] * by)
		}
	}
}

// curvature is that of the loss along a step, as the gradients at its ends tell, in parts of what the second derivatives
// tell.
func curvature(second []matrix, from, to, gradient, nextGradient []float64) float64 {
	seen, told, at := 0.0, 0.0, 0
	for _, m := range second {
		for i := range m.n {
			step := to[at+i] - from[at+i]
			seen += float64(step * (nextGradient[at+i] - gradient[at+i]))
			along := 0.0
			for j, h := range m.row(i) {
				along += float64(h * (to[at+j] - from[at+j]))
			}
			told += float64(step * along)
		}
		at += m.n
	}
	if !(seen > 0 && told > 0) {
		return 1
	}
	return seen / told
}

// sampled gives the problem of a sample of n rows, or itself when it has no more.
func (p *problem) sampled(n int) *problem {
	if n >= p.rows {
		return p
	}
	s := *p
	s.design = p.design.sample(n)
	return &s
}

// sampleRows is the number of rows that second derivatives are computed from at first.
func (p *problem) sampleRows() int {
	columns := p.dense + len(p.sparse) + 1
	pairs := p.outputs
	if p.coupled() {
		pairs = p.outputs * (p.outputs + 1) / 2
	}
	return max(min(int(gramWork/float64(columns*columns*pairs/2+1)), mostSample), leastSample, 20*p.stride())
}

// slope is what a whole step changes, going by the loss's gradient and by the penalty itself.
func (p *problem) slope(beta, step, gradient []float64) float64 {
	slope := p.penalty(plus(beta, step, 1)) - p.penalty(beta)
	for i := range step {
		slope += float64(gradient[i] * step[i])
	}
	return slope
}

// noise is what rounding may add to a loss.
func noise(loss float64) float64 { return 1e-14 * max(loss, -loss) }

// search goes along the step until the loss has sunk enough, and gives nil when it does not.
func (p *problem) search(ctx context.Context, beta, step []float64, slope, loss float64) (next []float64, nextLoss float64, nextGradient []float64, err error) {
	for t := 1.0; t > 1e-6; t /= 2 {
		next = p.centred(plus(beta, step, t))
		if nextLoss, nextGradient, err = p.evaluate(ctx, next); err != nil {
			return nil, 0, nil, err
		}
		if nextLoss <= loss+float64(enoughDescent*t*min(slope, 0))+noise(loss) {
			return next, nextLoss, nextGradient, nil
		}
	}
	return nil, 0, nil, nil
}

// coupled reports whether second derivatives are kept between outputs, too.
func (p *problem) coupled() bool { return p.outputs == 1 || p.size() <= fullHessian }

// centred moves each column's coefficients of all classes by one number, which no probability notices, to where their
// penalty is least. Steps by coupled second derivatives lead there by themselves; others would take long.
func (p *problem) centred(beta []float64) []float64 {
	if p.coupled() {
		return beta
	}
	own := make([]float64, p.outputs)
	for c := range p.width {
		for k := range own {
			own[k] = beta[k*p.stride()+c]
		}
		middle := p.middle(own)
		for k := range own {
			beta[k*p.stride()+c] -= middle
		}
	}
	return beta
}

// middle is the m for which the penalty of v - m is least: the mean, the median, or between the two.
func (p *problem) middle(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	n, sum := float64(len(v)), sumOf(sorted)
	if p.l1 == 0 {
		return sum / n
	}
	// The derivative by m, l2·(n·m - sum) + l1·(values below m - values above), rises. Find where it passes 0.
	slope := func(m float64, below, above int) float64 {
		return float64(p.l2*(float64(n*m)-sum)) + float64(p.l1*float64(below-above))
	}
	for i, m := range sorted {
		if slope(m, i+1, len(v)-i-1) < 0 {
			continue
		}
		if slope(m, i, len(v)-i) > 0 && p.l2 > 0 {
			return (sum - float64(p.l1*float64(2*i-len(v)))/p.l2) / n // before m, where i values are below
		}
		return m
	}
	return sorted[len(sorted)-1]
}

func plus(a, b []float64, t float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + float64(t*b[i])
	}
	return out
}

// length is the largest absolute value.
func length(v []float64) float64 {
	most := 0.0
	for _, x := range v {
		most = max(most, x, -x)
	}
	return most
}

// step minimises gradient·d + ½·dᵀ·second·d + penalty(beta + d). Once ctx has ended it gives what it has.
func (p *problem) step(ctx context.Context, second []matrix, beta, gradient []float64) []float64 {
	d := make([]float64, len(beta))
	from := 0
	for _, h := range second {
		own := quadratic{h: h, p: p, beta: beta[from : from+h.n], gradient: gradient[from : from+h.n], d: d[from : from+h.n]}
		if p.l1 != 0 || len(second) > 1 && h.n > fullHessian || !own.solve() {
			own.descend(ctx)
		}
		from += h.n
	}
	if size := length(d); size > longest {
		for i := range d {
			d[i] = float64(d[i] * (longest / size))
		}
	}
	return d
}

// quadratic is what step minimises, or the part of it that a block of second derivatives couples.
type quadratic struct {
	h              matrix
	p              *problem
	beta, gradient []float64
	d              []float64 // the result
}

// ridge is what is added to second derivatives, so that columns that say the same have one solution: the one in which
// they share the effect, because no step leads away from it.
func (q *quadratic) ridge() float64 {
	most := 0.0
	for i := range q.h.n {
		most = max(most, q.h.row(i)[i])
	}
	return max(1e-10*most, 1e-300)
}

// solve does without L1, by Cholesky's decomposition. It gives false when rounding makes that impossible.
func (q *quadratic) solve() bool {
	all := make([]int, q.h.n)
	for i := range all {
		all[i] = i
	}
	d, ok := q.toMinimum(all, q.gradient)
	if ok {
		copy(q.d, d)
	}
	return ok
}

// toMinimum gives the way from d to the minimum over some coordinates, were the penalty everywhere what it is in the orthant
// of d. slope is that of the quadratic model without the penalty. It gives false when rounding makes it impossible.
func (q *quadratic) toMinimum(active []int, slope []float64) ([]float64, bool) {
	n, ridge := len(active), q.ridge()
	l := make([]float64, n*n)
	for i, at := range active {
		for j := range i + 1 {
			sum := q.h.row(at)[active[j]]
			if i == j {
				sum += ridge
				if !q.p.free(at) {
					sum += q.p.l2
				}
			}
			for k, x := range l[i*n : i*n+j] {
				sum -= float64(x * l[j*n+k])
			}
			switch {
			case i != j:
				l[i*n+j] = sum / l[j*n+j]
			case sum > 0:
				l[i*n+i] = math.Sqrt(sum)
			default:
				return nil, false
			}
		}
	}
	way := make([]float64, n)
	for i, at := range active {
		sum := -slope[at]
		if !q.p.free(at) {
			v := q.beta[at] + q.d[at]
			sum -= float64(q.p.l2 * v)
			sum -= math.Copysign(q.p.l1, v)
		}
		for k := range i {
			sum -= float64(l[i*n+k] * way[k])
		}
		way[i] = sum / l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		sum := way[i]
		for k := i + 1; k < n; k++ {
			sum -= float64(l[k*n+i] * way[k])
		}
		way[i] = sum / l[i*n+i]
	}
	return way, true
}

// Sweeps of descend. What they leave undone, the next step of Newton's method does.
const (
	mostSweeps = 20_000
	fewSweeps  = 50    // before a leap, or a third of the coordinates: then they take as long as it
	mostLeaps  = 10    // at a time
	rest       = 1e-13 // change of a coefficient that is none
)

// descend minimises one coordinate after the other (Friedman, Hastie, Tibshirani 2010, with covariance updates), all of
// them and then those that are not 0. Where columns say nearly the same that takes thousands of sweeps: after a few, the
// coordinates that are not 0 go to their minimum together, which without L1 is all there is to do.
func (q *quadratic) descend(ctx context.Context) {
	ridge := q.ridge()
	slope := slices.Clone(q.gradient) // of the quadratic model without the penalty, at d
	for sweeps := 0; sweeps < mostSweeps && ctx.Err() == nil; {
		if q.sweep(slope, ridge, true) <= rest {
			return
		}
		moved := math.Inf(1)
		for end := sweeps + max(fewSweeps, q.h.n/3); sweeps < end && moved > rest && ctx.Err() == nil; sweeps++ {
			moved = q.sweep(slope, ridge, false)
		}
		if moved > rest && q.leap(slope) && q.p.l1 == 0 {
			return
		}
	}
}

// leap takes the coordinates that are not 0 to their minimum. Where L1 makes one of them 0 on the way, it stays there, and the
// others go on from there. It gives false when rounding makes it impossible.
func (q *quadratic) leap(slope []float64) bool {
	for range mostLeaps {
		var active []int
		for i := range q.d {
			if q.p.free(i) || q.beta[i]+q.d[i] != 0 {
				active = append(active, i)
			}
		}
		way, ok := q.toMinimum(active, slope)
		if !ok {
			return false
		}
		share, first := 1.0, -1 // of the way, and the coordinate that becomes 0 there
		for k, i := range active {
			at := q.beta[i] + q.d[i]
			if t := -at / way[k]; q.p.l1 != 0 && !q.p.free(i) && t >= 0 && t < share {
				share, first = t, i
			}
		}
		for k, i := range active {
			q.move(slope, i, float64(share*way[k]))
		}
		if first < 0 {
			return true
		}
		q.move(slope, first, -q.beta[first]-q.d[first])
		q.d[first] = -q.beta[first] // exactly
	}
	return true
}

// move changes a coordinate, and what the quadratic model's slope is there.
func (q *quadratic) move(slope []float64, i int, change float64) {
	q.d[i] += change
	for j, h := range q.h.row(i) {
		slope[j] += float64(h * change)
	}
}

// sweep visits all coordinates, or those that are not at 0, and gives the largest change.
func (q *quadratic) sweep(slope []float64, ridge float64, all bool) float64 {
	moved := 0.0
	for i := range q.d {
		at := q.beta[i] + q.d[i]
		free := q.p.free(i)
		if !all && at == 0 && !free {
			continue
		}
		curve := q.h.row(i)[i] + ridge
		target := float64(curve*at) - slope[i]
		if free {
			target /= curve
		} else {
			target = soften(target, q.p.l1) / (curve + q.p.l2)
		}
		change := target - at
		if change == 0 {
			continue
		}
		q.move(slope, i, change)
		if target == 0 {
			q.d[i] = -q.beta[i] // exactly
		}
		moved = max(moved, change, -change)
	}
	return moved
}

// soften moves v towards 0 by at most l.
func soften(v, l float64) float64 {
	switch {
	case v > l:
		return v - l
	case v < -l:
		return v + l
	}
	return 0
}
