package metric

import (
	"context"
	"maps"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"damson/internal/parallel"
)

// Bootstrap says how intervals are found: metrics are computed again over groups of rows drawn with replacement, as many as
// there are (B. Efron 1979; whole groups because rows of one group are alike: A. Davison and D. Hinkley 1997, 3.8).
// Without groups, every row is one.
type Bootstrap struct {
	Seed      int64
	Resamples int // 0 = 200
	Threads   int // 0 = one a processor; of no influence on the result
}

// Intervals say how sure metrics are.
type Intervals struct {
	Resamples int                 `json:"resamples"`
	Groups    int64               `json:"groups"` // that were drawn from
	Level     float64             `json:"level"`  // share of resamples within an interval
	Metrics   map[string]Interval `json:"metrics"`
}

// Interval holds the middle part of a metric's values in the resamples.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

const level = 0.95

// intervalNames are the metrics that have intervals.
var intervalNames = map[Kind][]string{
	Binary:     {"auc", "pr_auc", "accuracy", "precision", "recall", "f1", "log_loss", "brier"},
	Multiclass: {"accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "log_loss", "brier"},
	Regression: {"rmse", "mae", "r2", "bias"},
	Clustering: {"silhouette", "inertia", "adjusted_rand", "normalized_mutual_info", "homogeneity", "completeness", "v_measure"},
}

// Intervals of the metrics of two classes; nil when there are fewer than two groups. The error is the context's.
func (r Rows) Intervals(ctx context.Context, threshold float64, b Bootstrap) (*Intervals, error) {
	return b.intervals(ctx, newBinarySampler(r, threshold))
}

// Intervals of the metrics of several classes; nil when there are fewer than two groups. The error is the context's.
func (r ClassRows) Intervals(ctx context.Context, b Bootstrap) (*Intervals, error) {
	return b.intervals(ctx, newClassSampler(r))
}

// Intervals of the metrics of a regression; nil when there are fewer than two groups. The error is the context's.
func (r NumberRows) Intervals(ctx context.Context, b Bootstrap) (*Intervals, error) {
	return b.intervals(ctx, newNumberSampler(r))
}

func (b Bootstrap) intervals(ctx context.Context, s sampler) (*Intervals, error) {
	if s.groups() < 2 {
		return nil, ctx.Err()
	}
	values, err := b.run(ctx, s)
	if err != nil {
		return nil, err
	}
	out := &Intervals{Resamples: b.resamples(), Groups: int64(s.groups()), Level: level, Metrics: map[string]Interval{}}
	for name, v := range values {
		if i, ok := middle(v); ok {
			out.Metrics[name] = i
		}
	}
	return out, nil
}

// middle gives the interval of the values. It is not known when a tenth of the resamples do not define the metric.
func middle(values []float64) (Interval, bool) {
	all := len(values)
	values = slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(values)*10 <= all*9 {
		return Interval{}, false
	}
	slices.Sort(values)
	return Interval{quantile(values, (1-level)/2), quantile(values, (1+level)/2)}, true
}

func (b Bootstrap) resamples() int {
	if b.Resamples <= 0 {
		return 200
	}
	return b.Resamples
}

// lanes is how many resamples are computed in one pass over the rows.
const lanes = 8

// sampler computes metrics of rows that count as often as their group was drawn: weights[group·lanes + lane] times.
type sampler interface {
	groups() int
	sample(weights []uint8) map[string][lanes]float64
}

// run gives the metrics of all resamples, which are the same for all samplers with the same groups.
func (b Bootstrap) run(ctx context.Context, s sampler) (map[string][]float64, error) {
	n := b.resamples()
	batches := make([]map[string][lanes]float64, (n+lanes-1)/lanes)
	err := parallel.EachWith(ctx, len(batches), b.Threads, func() []uint8 { return make([]uint8, s.groups()*lanes) }, func(i int, weights []uint8) {
		b.draw(i, weights)
		batches[i] = s.sample(weights)
	})
	if err != nil {
		return nil, err
	}
	out := map[string][]float64{}
	for name := range batches[0] {
		values := make([]float64, 0, len(batches)*lanes)
		for _, batch := range batches {
			lane := batch[name]
			values = append(values, lane[:]...)
		}
		out[name] = values[:n]
	}
	return out, nil
}

// draw fills the weights of a batch of resamples. A count beyond 255, which no one will see, stays there.
func (b Bootstrap) draw(batch int, weights []uint8) {
	clear(weights)
	groups := uint64(len(weights) / lanes)
	for lane := range lanes {
		random := rand.NewPCG(uint64(b.Seed), streamBootstrap<<32+uint64(batch*lanes+lane))
		for range groups {
			g, _ := bits.Mul64(random.Uint64(), groups)
			if w := &weights[int(g)*lanes+lane]; *w < math.MaxUint8 {
				*w++
			}
		}
	}
}

// streamBootstrap sets these random numbers apart from others of the same seed.
const streamBootstrap = 0x626f6f74

// codesOf numbers the groups by the order of their names, or the rows when there are none.
func codesOf(groups []string, rows int) (codes []int32, n int) {
	codes = make([]int32, rows)
	if groups == nil {
		for i := range codes {
			codes[i] = int32(i)
		}
		return codes, rows
	}
	same(len(groups), rows)
	known := map[string]int32{}
	for _, name := range groups {
		known[name] = 0
	}
	for i, name := range slices.Sorted(maps.Keys(known)) {
		known[name] = int32(i)
	}
	for i, name := range groups {
		codes[i] = known[name]
	}
	return codes, len(known)
}

// sums adds up what value gives for the rows of each group.
func sums(codes []int32, groups int, value func(i int) float64) []float64 {
	out := make([]float64, groups)
	for i, g := range codes {
		out[g] += value(i)
	}
	return out
}

// weighted adds up groups' sums.
func weighted(sums []float64, weights []uint8) (out [lanes]float64) {
	for g, v := range sums {
		for lane, w := range weights[g*lanes : (g+1)*lanes] {
			out[lane] += float64(float64(w) * v)
		}
	}
	return out
}

// binarySampler holds the rows by falling probability, so that they are sorted once for all resamples.
type binarySampler struct {
	n             int
	codes         []int32
	labels        []uint8
	last          []bool // of the rows with its probability
	from          int    // rows before it have a probability of at least the threshold
	logarithmic   []float64
	squared, rows []float64
}

func newBinarySampler(r Rows, threshold float64) *binarySampler {
	same(len(r.Probabilities), len(r.Labels))
	order := byProbability(r.Probabilities)
	codes, n := codesOf(r.Groups, len(order))
	s := &binarySampler{n: n, codes: make([]int32, len(order)), labels: make([]uint8, len(order)), last: make([]bool, len(order))}
	for i, row := range order {
		p := r.Probabilities[row]
		s.codes[i], s.labels[i] = codes[row], r.Labels[row]
		s.last[i] = i+1 == len(order) || r.Probabilities[order[i+1]] != p
		if p >= threshold {
			s.from = i + 1
		}
	}
	s.logarithmic = sums(codes, n, func(i int) float64 { return rowLogLoss(r.Probabilities[i], r.Labels[i]) })
	s.squared = sums(codes, n, func(i int) float64 {
		d := r.Probabilities[i] - float64(r.Labels[i])
		return float64(d * d)
	})
	s.rows = sums(codes, n, func(int) float64 { return 1 })
	return s
}

func (s *binarySampler) groups() int { return s.n }

func (s *binarySampler) sample(weights []uint8) map[string][lanes]float64 {
	var seen, own [2][lanes]uint64 // rows so far and those of the present probability, by label
	var atThreshold [2][lanes]uint64
	var twice [lanes]uint64 // pairs won, doubled: exact up to 4 billion rows
	var precision [lanes]float64
	for i, g := range s.codes {
		if i == s.from {
			atThreshold = seen
		}
		w := (*[lanes]uint8)(weights[int(g)*lanes:])
		counts := &own[s.labels[i]]
		for lane := range counts {
			counts[lane] += uint64(w[lane])
		}
		if !s.last[i] {
			continue
		}
		for lane := range lanes {
			t, f := own[1][lane], own[0][lane]
			twice[lane] += f * (2*seen[1][lane] + t)
			seen[1][lane] += t
			seen[0][lane] += f
			if t > 0 {
				precision[lane] += float64(float64(t) * (float64(seen[1][lane]) / float64(seen[0][lane]+seen[1][lane])))
			}
		}
		own = [2][lanes]uint64{}
	}
	if s.from == len(s.codes) {
		atThreshold = seen
	}
	logarithmic, squared, rows := weighted(s.logarithmic, weights), weighted(s.squared, weights), weighted(s.rows, weights)
	var out [8][lanes]float64
	for lane := range lanes {
		t, f := float64(seen[1][lane]), float64(seen[0][lane])
		c := Confusion{TruePositives: int64(atThreshold[1][lane]), FalsePositives: int64(atThreshold[0][lane]),
			FalseNegatives: int64(seen[1][lane] - atThreshold[1][lane]), TrueNegatives: int64(seen[0][lane] - atThreshold[0][lane])}
		for m, v := range []float64{float64(twice[lane]) / (2 * t * f), precision[lane] / t, c.Accuracy(), c.Precision(), c.Recall(), c.F1(),
			logarithmic[lane] / rows[lane], squared[lane] / rows[lane]} {
			out[m][lane] = v
		}
	}
	return named(Binary, out[:])
}

func named(k Kind, values [][lanes]float64) map[string][lanes]float64 {
	out := map[string][lanes]float64{}
	for i, name := range intervalNames[k] {
		out[name] = values[i]
	}
	return out
}

// classSampler counts rows by what they are and were predicted to be.
type classSampler struct {
	n                    int
	classes              int
	codes                []int32
	cell                 []int32
	logarithmic, squared []float64
	rows                 []float64
}

func newClassSampler(r ClassRows) *classSampler {
	r.check()
	s := &classSampler{classes: len(r.Names), cell: make([]int32, len(r.Labels))}
	s.codes, s.n = codesOf(r.Groups, len(r.Labels))
	for i, k := range r.predicted() {
		s.cell[i] = r.Labels[i]*int32(s.classes) + k
	}
	s.logarithmic, s.squared = make([]float64, s.n), make([]float64, s.n)
	for i, g := range s.codes {
		l, q := r.losses(i)
		s.logarithmic[g] += l
		s.squared[g] += q
	}
	s.rows = sums(s.codes, s.n, func(int) float64 { return 1 })
	return s
}

func (s *classSampler) groups() int { return s.n }

func (s *classSampler) sample(weights []uint8) map[string][lanes]float64 {
	counts := make([][lanes]int64, s.classes*s.classes)
	for i, g := range s.codes {
		w := (*[lanes]uint8)(weights[int(g)*lanes:])
		c := &counts[s.cell[i]]
		for lane := range c {
			c[lane] += int64(w[lane])
		}
	}
	logarithmic, squared, rows := weighted(s.logarithmic, weights), weighted(s.squared, weights), weighted(s.rows, weights)
	var out [6][lanes]float64
	confusion := make([][]int64, s.classes)
	for k := range confusion {
		confusion[k] = make([]int64, s.classes)
	}
	for lane := range lanes {
		for at, c := range counts {
			confusion[at/s.classes][at%s.classes] = c[lane]
		}
		m := classFigures(confusion)
		for i, v := range []float64{m["accuracy"], m["balanced_accuracy"], m["macro_f1"], m["weighted_f1"], logarithmic[lane] / rows[lane], squared[lane] / rows[lane]} {
			out[i][lane] = v
		}
	}
	return named(Multiclass, out[:])
}

// numberSampler adds up residuals by group.
type numberSampler struct {
	n                                               int
	rows, difference, absolute, square, actual, own []float64 // own = squares of actual, less their mean
}

func newNumberSampler(r NumberRows) *numberSampler {
	same(len(r.Predicted), len(r.Actual))
	codes, n := codesOf(r.Groups, len(r.Actual))
	mean := spread(r.Actual).Mean // taken off, so that squares do not drown in it
	by := func(value func(predicted, actual float64) float64) []float64 {
		return sums(codes, n, func(i int) float64 { return value(r.Predicted[i], r.Actual[i]) })
	}
	return &numberSampler{
		n: n, rows: by(func(_, _ float64) float64 { return 1 }),
		difference: by(func(p, y float64) float64 { return p - y }),
		absolute:   by(func(p, y float64) float64 { return math.Abs(p - y) }),
		square:     by(func(p, y float64) float64 { return float64((p - y) * (p - y)) }),
		actual:     by(func(_, y float64) float64 { return y - mean }),
		own:        by(func(_, y float64) float64 { return float64((y - mean) * (y - mean)) }),
	}
}

func (s *numberSampler) groups() int { return s.n }

func (s *numberSampler) sample(weights []uint8) map[string][lanes]float64 {
	n, difference, absolute := weighted(s.rows, weights), weighted(s.difference, weights), weighted(s.absolute, weights)
	square, actual, own := weighted(s.square, weights), weighted(s.actual, weights), weighted(s.own, weights)
	var out [4][lanes]float64
	for i := range lanes {
		out[0][i], out[1][i], out[3][i] = math.Sqrt(square[i]/n[i]), absolute[i]/n[i], difference[i]/n[i]
		out[2][i] = 1 - square[i]/(own[i]-float64(actual[i]*actual[i])/n[i])
	}
	return named(Regression, out[:])
}
