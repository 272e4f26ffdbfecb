package feature

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Calculators of straight lines and of the correlation of a series with itself.
var _ = add(
	calculator{name: "linear_trend", params: []parameter{oneOf("attr", "pvalue", "rvalue", "intercept", "slope", "stderr")},
		formula: "of the least squares line through (i, xᵢ), i from 0; pvalue of slope = 0 by the t distribution, stderr of the slope",
		usual:   words("attr", "pvalue", "rvalue", "intercept", "slope", "stderr"),
		compute: func(s *series, p arguments) float64 {
			return once(s, key{what: "line"}, func() line { return fit(s.x) }).attribute(p.word(0))
		}},
	calculator{name: "agg_linear_trend",
		params:  []parameter{oneOf("attr", "rvalue", "intercept", "slope", "stderr", "pvalue"), wholeFrom("chunk_len", 1), oneOf("f_agg", "max", "min", "mean", "var", "std", "sum")},
		formula: "linear_trend of f_agg over chunks of chunk_len values, for n > chunk_len",
		usual:   crossed(crossed(words("attr", "rvalue", "intercept", "slope", "stderr"), each("chunk_len", 5, 10, 50)), words("f_agg", "max", "min", "mean", "var")),
		compute: chunkTrend},
	calculator{name: "autocorrelation", params: []parameter{wholeFrom("lag", 0)}, formula: "Σ (xᵢ − mean)(xᵢ₊ₗ − mean) / ((n − l) variance), l = lag; not of a variance below 10⁻⁸",
		usual: each("lag", upTo(0, 9)...),
		compute: func(s *series, p arguments) float64 {
			if len(s.x) <= p.whole(0) || s.stats().variance <= 1e-8 {
				return math.NaN()
			}
			return s.autocovariance(p.whole(0)) / s.stats().variance
		}},
	calculator{name: "agg_autocorrelation", params: []parameter{oneOf("f_agg", "mean", "median", "var", "std", "max", "min"), wholeFrom("maxlag", 1)},
		formula: "f_agg of the autocorrelations of lags 1 to maxlag (at most n − 1); 0 of a variance below 10⁻¹⁰",
		usual:   crossed(words("f_agg", "mean", "median", "var"), []string{"maxlag_40"}), compute: aggregatedCorrelation},
	calculator{name: "partial_autocorrelation", params: []parameter{wholeFrom("lag", 0)}, formula: "of that lag, by Levinson and Durbin, for lag < n / 2 rounded down; 1 for lag 0",
		usual: each("lag", upTo(0, 9)...), compute: partial},
)

// line is a straight line by least squares.
type line struct{ slope, intercept, rvalue, pvalue, stderr float64 }

func (l line) attribute(name string) float64 {
	switch name {
	case "slope":
		return l.slope
	case "intercept":
		return l.intercept
	case "rvalue":
		return l.rvalue
	case "pvalue":
		return l.pvalue
	}
	return l.stderr
}

// fit lays a line through (0, y[0]), (1, y[1]), …, with the results of scipy's linregress. Of a single point, and of a
// constant its correlation, nothing is defined.
func fit(y []float64) line {
	n := float64(len(y))
	xm, ym := (n-1)/2, mean(y)
	var xx, xy, yy float64
	for i, v := range y {
		dx, dy := float64(i)-xm, v-ym
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	xx, xy, yy = xx/n, xy/n, yy/n
	l := line{slope: xy / xx, rvalue: math.NaN()}
	l.intercept = ym - l.slope*xm
	if xx != 0 && yy != 0 {
		l.rvalue = max(-1, min(1, xy/math.Sqrt(xx*yy)))
	} else if xy != 0 {
		l.rvalue = 0
	}
	if len(y) == 2 {
		l.pvalue = truth(y[0] == y[1])
		return l
	}
	free := n - 2
	const tiny = 1e-20
	t := l.rvalue * math.Sqrt(free/((1-l.rvalue+tiny)*(1+l.rvalue+tiny)))
	l.pvalue = bothTails(t, free)
	l.stderr = math.Sqrt((1 - l.rvalue*l.rvalue) * yy / xx / free)
	return l
}

// bothTails is the probability of a t at least as far from 0, in Student's distribution.
func bothTails(t, free float64) float64 {
	if math.IsNaN(t) || free <= 0 {
		return math.NaN()
	}
	return mathext.RegIncBeta(free/2, 0.5, free/(free+t*t))
}

func chunkTrend(s *series, p arguments) float64 {
	size := p.whole(1)
	if size >= len(s.x) {
		return math.NaN()
	}
	l := once(s, key{"chunks", p.word(2), p.number(1), 0}, func() line {
		var values []float64
		for chunk := range slices.Chunk(s.x, size) {
			values = append(values, aggregate(p.word(2), chunk))
		}
		return fit(values)
	})
	return l.attribute(p.word(0))
}

// autocovariance is that of a lag less than n, over the n − lag pairs that there are.
func (s *series) autocovariance(lag int) float64 {
	return once(s, key{what: "autocovariance", a: float64(lag)}, func() float64 {
		d := s.deviations()
		return dot(d[:len(d)-lag], d[lag:]) / float64(len(d)-lag)
	})
}

func aggregatedCorrelation(s *series, p arguments) float64 {
	lags := min(p.whole(1), len(s.x)-1)
	if len(s.x) == 1 || s.stats().variance < 1e-10 {
		return 0
	}
	values := make([]float64, lags)
	for i := range values {
		if i%1024 == 0 && s.of.cancelled() {
			return math.NaN()
		}
		values[i] = s.autocovariance(i+1) / s.autocovariance(0)
	}
	return aggregate(p.word(0), values)
}

// partial reads one of the partial autocorrelations, all of which up to the lag Levinson's and Durbin's recursion gives
// (Brockwell and Davis: Time Series, Theory and Methods, 5.2).
func partial(s *series, p arguments) float64 {
	lag, most := p.whole(0), len(s.x)/2-1
	if lag > most || most <= 0 {
		return math.NaN()
	}
	if lag == 0 {
		return 1
	}
	upTo := max(lag, min(10, most)) // one recursion for all usual lags
	return once(s, key{what: "partial", a: float64(upTo)}, func() []float64 { return s.partials(upTo) })[lag]
}

func (s *series) partials(order int) []float64 {
	c := make([]float64, order+1)
	for i := range c {
		if i%256 == 0 && s.of.cancelled() {
			break
		}
		c[i] = s.autocovariance(i)
	}
	all := make([]float64, order+1)
	phi, before := make([]float64, order+1), make([]float64, order+1)
	phi[1] = c[1] / c[0]
	all[0], all[1] = 1, phi[1]
	rest := c[0] - phi[1]*c[1]
	for k := 2; k <= order; k++ {
		if k%256 == 0 && s.of.cancelled() {
			break
		}
		phi, before = before, phi
		top := c[k]
		for j := 1; j < k; j++ {
			top -= before[j] * c[k-j]
		}
		phi[k] = top / rest
		for j := 1; j < k; j++ {
			phi[j] = before[j] - phi[k]*before[k-j]
		}
		rest *= 1 - phi[k]*phi[k]
		all[k] = phi[k]
	}
	return all
}
