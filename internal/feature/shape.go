package feature

import (
	"math"
	"sort"
)

// Calculators that read how values follow one another.
var _ = add(
	calculator{name: "mean_abs_change", formula: "mean of |xᵢ₊₁ − xᵢ|",
		compute: func(s *series, _ arguments) float64 { return s.absoluteChanges() / float64(len(s.diffs())) }},
	calculator{name: "absolute_sum_of_changes", empty: true, formula: "Σ |xᵢ₊₁ − xᵢ|",
		compute: func(s *series, _ arguments) float64 { return s.absoluteChanges() }},
	calculator{name: "mean_change", formula: "(last − first) / (n − 1), for n > 1",
		compute: func(s *series, _ arguments) float64 {
			if len(s.x) < 2 {
				return math.NaN()
			}
			return (s.x[len(s.x)-1] - s.x[0]) / (s.n() - 1)
		}},
	calculator{name: "mean_second_derivative_central", formula: "mean of (xᵢ₊₂ − 2 xᵢ₊₁ + xᵢ) / 2, for n > 2",
		compute: func(s *series, _ arguments) float64 {
			n := len(s.x)
			if n < 3 {
				return math.NaN()
			}
			return (s.x[n-1] - s.x[n-2] - s.x[1] + s.x[0]) / (2 * (s.n() - 2))
		}},
	calculator{name: "cid_ce", empty: true, params: []parameter{{name: "normalize", kind: flag}}, formula: "√ Σ (xᵢ₊₁ − xᵢ)², with normalize of (x − mean) / standard_deviation; 0 of a constant then",
		usual: []string{"normalize_True", "normalize_False"}, compute: complexity},
	calculator{name: "time_reversal_asymmetry_statistic", empty: true, params: []parameter{wholeFrom("lag", 0)}, formula: "mean of xᵢ₊₂ₗ² xᵢ₊ₗ − xᵢ₊ₗ xᵢ², l = lag; 0 when 2 lag ≥ n",
		usual: each("lag", 1, 2, 3),
		compute: func(s *series, p arguments) float64 {
			return s.lagged(p.whole(0), func(a, b, c float64) float64 { return c*c*b - b*a*a })
		}},
	calculator{name: "c3", empty: true, params: []parameter{wholeFrom("lag", 0)}, formula: "mean of xᵢ₊₂ₗ xᵢ₊ₗ xᵢ, l = lag; 0 when 2 lag ≥ n",
		usual: each("lag", 1, 2, 3),
		compute: func(s *series, p arguments) float64 {
			return s.lagged(p.whole(0), func(a, b, c float64) float64 { return c * b * a })
		}},
	calculator{name: "change_quantiles",
		params:  []parameter{oneOf("f_agg", "mean", "var", "std", "median", "max", "min"), {name: "isabs", kind: flag}, share("qh"), share("ql")},
		formula: "f_agg of the changes (with isabs of their size) between neighbours that both lie between the quantiles ql and qh; 0 without such",
		usual:   corridors(), compute: changesInside},
	calculator{name: "energy_ratio_by_chunks", params: []parameter{wholeFrom("num_segments", 1), wholeFrom("segment_focus", 0)},
		formula: "share of Σ x² in segment segment_focus, from 0, of num_segments about equal ones",
		usual:   crossed([]string{"num_segments_10"}, each("segment_focus", upTo(0, 9)...)), compute: segmentEnergy},
)

func (s *series) absoluteChanges() float64 {
	d := s.diffs()
	return sumOf(0, len(d), func(i int) float64 { return math.Abs(d[i]) })
}

func complexity(s *series, p arguments) float64 {
	d := s.diffs()
	if !p.flag(0) {
		return math.Sqrt(dot(d, d))
	}
	m := s.stats()
	if len(d) == 0 || m.deviation == 0 {
		return 0
	}
	total, before := 0.0, (s.x[0]-m.mean)/m.deviation
	for _, v := range s.x[1:] {
		now := (v - m.mean) / m.deviation
		total += (now - before) * (now - before)
		before = now
	}
	return math.Sqrt(total)
}

// lagged is the mean of f over all xᵢ, xᵢ₊ₗ, xᵢ₊₂ₗ.
func (s *series) lagged(lag int, f func(a, b, c float64) float64) float64 {
	n := len(s.x) - 2*lag
	if n <= 0 {
		return 0
	}
	return sumOf(0, n, func(i int) float64 { return f(s.x[i], s.x[i+lag], s.x[i+2*lag]) }) / float64(n)
}

// corridors are tsfresh's parameters of change_quantiles.
func corridors() []string {
	var list []string
	for _, ql := range []float64{0, 0.2, 0.4, 0.6, 0.8} {
		for _, qh := range []float64{0.2, 0.4, 0.6, 0.8, 1} {
			if ql < qh {
				list = append(list, crossed(crossed(words("f_agg", "mean", "var"), []string{"isabs_False", "isabs_True"}), []string{"qh_" + python(qh) + "__ql_" + python(ql)})...)
			}
		}
	}
	return list
}

func changesInside(s *series, p arguments) float64 {
	high, low := p.number(2), p.number(3)
	if low >= high {
		return 0
	}
	changes := once(s, key{"corridor", "", low, high}, func() []float64 { return s.inside(low, high) })
	if len(changes) == 0 {
		return 0
	}
	values := make([]float64, len(changes))
	for i, v := range changes {
		if p.flag(1) {
			v = math.Abs(v)
		}
		values[i] = v
	}
	return aggregate(p.word(0), values)
}

// inside gives the changes between neighbours that both lie between two quantiles, which must differ.
func (s *series) inside(low, high float64) []float64 {
	from, to := quantile(s.sorted(), low), quantile(s.sorted(), high)
	if from == to {
		return nil
	}
	var changes []float64
	in := func(v float64) bool { return from <= v && v <= to }
	for i, d := range s.diffs() {
		if in(s.x[i]) && in(s.x[i+1]) {
			changes = append(changes, d)
		}
	}
	return changes
}

// segmentEnergy cuts as numpy's array_split does: the first n mod k segments have a value more.
func segmentEnergy(s *series, p arguments) float64 {
	squares := func(from, to int) float64 {
		return sumOf(from, to-from, func(i int) float64 { return s.x[i] * s.x[i] })
	}
	total := squares(0, len(s.x))
	if total == 0 {
		return math.NaN()
	}
	k, focus := p.whole(0), p.whole(1)
	size, more := len(s.x)/k, len(s.x)%k
	from := focus*size + min(focus, more)
	to := from + size
	if focus < more {
		to++
	}
	return squares(from, to) / total
}

// linspace gives n+1 numbers from low to high, as numpy does.
func linspace(low, high float64, n int) []float64 {
	edges := make([]float64, n+1)
	step := (high - low) / float64(n)
	for i := range edges {
		edges[i] = float64(float64(i)*step) + low // the conversion keeps processors from rounding once where numpy rounds twice
		if step == 0 {
			edges[i] = float64(float64(i)/float64(n)*(high-low)) + low
		}
	}
	edges[n] = high
	return edges
}

// binned counts the values in bins of equal width from the smallest to the largest, as numpy's histogram does. It gives
// nil where doubles cannot hold such bins.
func binned(x []float64, low, high float64, bins int) []int {
	if low == high {
		low, high = low-0.5, high+0.5
	}
	if width := high - low; width == 0 || math.IsInf(width, 0) {
		return nil
	}
	edges := linspace(low, high, bins)
	counts := make([]int, bins)
	for _, v := range x {
		i := int((v - low) / (high - low) * float64(bins))
		i = min(i, bins-1)
		if v < edges[i] {
			i = max(i-1, 0)
		} else if i < bins-1 && v >= edges[i+1] {
			i++
		}
		counts[i]++
	}
	return counts
}

// below gives the number of sorted edges that are less than v.
func below(edges []float64, v float64) int { return sort.SearchFloat64s(edges, v) }
