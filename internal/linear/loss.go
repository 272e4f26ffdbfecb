package linear

import (
	"context"

	"damson/internal/parallel"
)

// problem is what the solver works on: rows, a loss and a penalty. Its unknowns are
//
//	beta[k·(width+1) + column]    of output k; column = width is the intercept
type problem struct {
	*design
	classes int // 0 = squared error, 2 = logistic, more = multinomial
	outputs int
	l1, l2  float64
	threads int
}

func (p *problem) stride() int { return p.width + 1 }

func (p *problem) size() int { return p.outputs * p.stride() }

// chunk is what one goroutine sums in turn: whole blocks, at most 256 chunks in all. The number depends on the rows alone.
func chunks(blocks, most int) (n, each int) {
	each = max(1, (blocks+most-1)/most)
	return (blocks + each - 1) / each, each
}

// evaluate gives the mean loss, the penalty and the gradient of the loss.
func (p *problem) evaluate(ctx context.Context, beta []float64) (loss float64, gradient []float64, err error) {
	n, size := chunks(p.blocks(), 256)
	sums := make([][]float64, n) // gradient, then loss
	err = parallel.Each(ctx, n, p.threads, func(c int) {
		sum := make([]float64, p.size()+1)
		w := newWork(p)
		for b := c * size; b < min((c+1)*size, p.blocks()); b++ {
			lo, hi := p.block(b)
			w.scores(p, beta, lo, hi)
			sum[p.size()] += w.residuals(p, lo, hi)
			for k := range p.outputs {
				p.project(w.out[k][:hi-lo], lo, hi, sum[k*p.stride():(k+1)*p.stride()])
			}
		}
		sums[c] = sum
	})
	if err != nil {
		return 0, nil, err
	}
	gradient = balancedRows(sums)
	for i := range gradient {
		gradient[i] /= p.weight
	}
	return gradient[p.size()] + p.penalty(beta), gradient[:p.size()], nil
}

// penalty is that of all coefficients.
func (p *problem) penalty(beta []float64) float64 {
	absolute, square := 0.0, 0.0
	for i, b := range beta {
		if p.free(i) {
			continue
		}
		absolute += max(b, -b)
		square += float64(b * b)
	}
	return float64(p.l1*absolute) + float64(p.l2/2*square)
}

// free reports whether the unknown has no penalty.
func (p *problem) free(i int) bool { return i%p.stride() == p.width }

// work is a goroutine's scratch space for the rows of a block.
type work struct {
	out        [][]float64 // by output: scores, then residuals or probabilities
	top, truth []float64   // by row
}

func newWork(p *problem) *work {
	w := &work{out: make([][]float64, p.outputs), top: make([]float64, blockRows), truth: make([]float64, blockRows)}
	for k := range w.out {
		w.out[k] = make([]float64, blockRows)
	}
	return w
}

// scores fills out with the linear scores of rows lo … hi-1.
func (w *work) scores(p *problem, beta []float64, lo, hi int) {
	for k := range p.outputs {
		own, out := beta[k*p.stride():(k+1)*p.stride()], w.out[k][:hi-lo]
		for i := range out {
			out[i] = own[p.width]
		}
		c := 0
		for ; c+4 <= p.dense; c += 4 {
			add4(out, p.column(c, lo, hi), p.column(c+1, lo, hi), p.column(c+2, lo, hi), p.column(c+3, lo, hi), own[c:c+4])
		}
		for ; c < p.dense; c++ {
			for i, x := range p.column(c, lo, hi) {
				out[i] += float64(own[c] * x)
			}
		}
		for _, s := range p.sparse {
			for i, code := range s.codes[lo:hi] {
				if code >= 0 {
					out[i] += own[s.first+int(code)]
				}
			}
		}
	}
}

// add4 adds four columns times their coefficients.
func add4(out, x0, x1, x2, x3, b []float64) {
	n := len(out)
	x0, x1, x2, x3 = x0[:n], x1[:n], x2[:n], x3[:n]
	b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
	for i := range out {
		out[i] += (float64(b0*x0[i]) + float64(b1*x1[i])) + (float64(b2*x2[i]) + float64(b3*x3[i]))
	}
}

// dot4 gives the products of v with four columns.
func dot4(v, x0, x1, x2, x3 []float64) (s0, s1, s2, s3 float64) {
	n := len(v)
	x0, x1, x2, x3 = x0[:n], x1[:n], x2[:n], x3[:n]
	for i, r := range v {
		s0 += float64(r * x0[i])
		s1 += float64(r * x1[i])
		s2 += float64(r * x2[i])
		s3 += float64(r * x3[i])
	}
	return s0, s1, s2, s3
}

// project adds the products of v with every column of the rows lo … hi-1 to sum.
func (d *design) project(v []float64, lo, hi int, sum []float64) {
	d.projectDense(v, lo, hi, d.dense, sum)
	for _, s := range d.sparse {
		own := sum[s.first:]
		for i, code := range s.codes[lo:hi] {
			if code >= 0 {
				own[code] += v[i]
			}
		}
	}
	all := 0.0
	for _, r := range v {
		all += r
	}
	sum[d.width] += all
}

// projectDense does so for the first so many columns.
func (d *design) projectDense(v []float64, lo, hi, columns int, sum []float64) {
	c := 0
	for ; c+4 <= columns; c += 4 {
		s0, s1, s2, s3 := dot4(v, d.column(c, lo, hi), d.column(c+1, lo, hi), d.column(c+2, lo, hi), d.column(c+3, lo, hi))
		sum[c] += s0
		sum[c+1] += s1
		sum[c+2] += s2
		sum[c+3] += s3
	}
	for ; c < columns; c++ {
		s := 0.0
		for i, x := range d.column(c, lo, hi) {
			s += float64(v[i] * x)
		}
		sum[c] += s
	}
}

// residuals turns scores into derivatives of the loss by the score, and gives the loss; both weighted.
func (w *work) residuals(p *problem, lo, hi int) float64 {
	target, weights := p.target[lo:hi], p.weights[lo:hi]
	loss := 0.0
	switch p.classes {
	case 0:
		for i, score := range w.out[0][:hi-lo] {
			d := score - target[i]
			w.out[0][i] = float64(weights[i] * d)
			loss += float64(weights[i] * float64(d*d/2))
		}
	case 2:
		for i, score := range w.out[0][:hi-lo] {
			probability, e := logistic(score)
			missed := score // by how much the score speaks against what happened
			if target[i] == 1 {
				missed = -score
			}
			loss += float64(weights[i] * (log(1+e) + max(missed, 0)))
			w.out[0][i] = float64(weights[i] * (probability - target[i]))
		}
	default:
		for i, y := range target {
			w.truth[i] = w.out[int(y)][i]
		}
		softmax(w.out, w.top, hi-lo)
		for i, y := range target {
			loss += float64(weights[i] * (w.top[i] - w.truth[i]))
			w.out[int(y)][i]--
			for k := range w.out {
				w.out[k][i] = float64(w.out[k][i] * weights[i])
			}
		}
	}
	return loss
}

// logistic gives 1/(1+exp(-score)), and exp(-|score|), from which the logarithm follows.
func logistic(score float64) (probability, e float64) {
	e = exp(-max(score, -score))
	probability = 1 / (1 + e)
	if score < 0 {
		probability = float64(e * probability)
	}
	return probability, e
}

// softmax turns n scores of each output into probabilities. top receives the logarithms of the sums of exp(score).
func softmax(out [][]float64, top []float64, n int) {
	for i := range n {
		most, sum := out[0][i], 0.0
		for k := range out {
			most = max(most, out[k][i])
		}
		for k := range out {
			out[k][i] = exp(out[k][i] - most)
			sum += out[k][i]
		}
		for k := range out {
			out[k][i] /= sum
		}
		top[i] = most + log(sum)
	}
}

// fullHessian is the largest number of unknowns of which the second derivatives are all kept. Beyond it only those within
// a class are, which takes more iterations.
const fullHessian = 1000

// hessian gives the second derivatives of the loss: one matrix of all unknowns, or one for each output.
func (p *problem) hessian(ctx context.Context, beta []float64) ([]matrix, error) {
	whole := p.coupled()
	entries := p.stride() * p.stride() * p.outputs
	if whole {
		entries = p.size() * p.size()
	}
	n, size := chunks(p.blocks(), min(16, max(2, (1<<22)/entries)))
	sums := make([][]float64, n)
	err := parallel.Each(ctx, n, p.threads, func(c int) {
		sums[c] = make([]float64, entries)
		w := newWork(p)
		for b := c * size; b < min((c+1)*size, p.blocks()) && ctx.Err() == nil; b++ {
			lo, hi := p.block(b)
			w.scores(p, beta, lo, hi)
			w.curvatures(p, lo, hi, whole, sums[c])
		}
	})
	if err != nil {
		return nil, err
	}
	sum := balancedRows(sums)
	scale := 1 / p.weight
	if !whole {
		// What is left out makes steps too long: for two classes by a factor of two, for many by almost none.
		scale *= float64(p.outputs) / float64(p.outputs-1)
	}
	for i := range sum {
		sum[i] = float64(sum[i] * scale)
	}
	if whole {
		m := matrix{p.size(), sum}
		m.mirror(p.stride())
		return []matrix{m}, nil
	}
	var out []matrix
	square := p.stride() * p.stride()
	for k := range p.outputs {
		m := matrix{p.stride(), sum[k*square : (k+1)*square]}
		m.mirror(p.stride())
		out = append(out, m)
	}
	return out, nil
}

// curvatures adds the rows' second derivatives to the lower triangle of one matrix (whole), or of one for each output.
func (w *work) curvatures(p *problem, lo, hi int, whole bool, sum []float64) {
	n, stride := hi-lo, p.stride()
	weights, v := p.weights[lo:hi], w.truth[:n]
	switch {
	case p.classes == 0:
		p.gram(weights, w.top[:n], lo, hi, sum, stride)
		return
	case p.classes == 2:
		for i, score := range w.out[0][:n] {
			probability, e := logistic(score)
			against := 1 / (1 + e)
			if score >= 0 {
				against = float64(e * against)
			}
			v[i] = float64(weights[i] * float64(probability*against))
		}
		p.gram(v, w.top[:n], lo, hi, sum, stride)
		return
	}
	softmax(w.out, w.top, n)
	for k := range p.outputs {
		for l := range k + 1 {
			if l < k && !whole {
				continue
			}
			for i := range v {
				second := float64(-w.out[k][i] * w.out[l][i])
				if k == l {
					second += w.out[k][i]
				}
				v[i] = float64(weights[i] * second)
			}
			if whole {
				p.gram(v, w.top[:n], lo, hi, sum[k*stride*p.size()+l*stride:], p.size())
			} else {
				p.gram(v, w.top[:n], lo, hi, sum[k*stride*stride:], stride)
			}
		}
	}
}

// gram adds the lower triangle of Σ v·x·xᵀ over the rows lo … hi-1 to a matrix whose rows are step apart.
func (d *design) gram(v, scratch []float64, lo, hi int, sum []float64, step int) {
	for a := range d.dense {
		for i, x := range d.column(a, lo, hi) {
			scratch[i] = float64(v[i] * x)
		}
		d.projectDense(scratch, lo, hi, a+1, sum[a*step:a*step+d.width+1])
		for _, s := range d.sparse {
			for i, code := range s.codes[lo:hi] {
				if code >= 0 {
					sum[(s.first+int(code))*step+a] += scratch[i]
				}
			}
		}
		all := 0.0
		for _, x := range scratch {
			all += x
		}
		sum[d.width*step+a] += all
	}
	for at, s := range d.sparse {
		for i, code := range s.codes[lo:hi] {
			if code < 0 {
				continue
			}
			row := sum[(s.first+int(code))*step:]
			row[s.first+int(code)] += v[i]
			sum[d.width*step+s.first+int(code)] += v[i]
			for _, before := range d.sparse[:at] {
				if other := before.codes[lo+i]; other >= 0 {
					row[before.first+int(other)] += v[i]
				}
			}
		}
	}
	all := 0.0
	for _, x := range v {
		all += x
	}
	sum[d.width*step+d.width] += all
}
