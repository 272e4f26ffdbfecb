package feature

import (
	"math"
	"slices"
)

// Calculators that read how large values are, whatever their order. Most of them are aggregates of SQL, too.
var _ = add(
	calculator{name: "sum_values", empty: true, formula: "Σ x",
		compute: func(s *series, _ arguments) float64 { return s.stats().sum },
		sql:     func(v string, _ arguments) string { return "coalesce(sum(" + v + "), float8 '0')" }},
	calculator{name: "median", formula: "the middle value, or the mean of the two in the middle",
		compute: func(s *series, _ arguments) float64 { return medianOf(s.sorted()) },
		sql:     func(v string, _ arguments) string { return sqlQuantile(v, "0.5") }},
	calculator{name: "mean", formula: "Σ x / n",
		compute: func(s *series, _ arguments) float64 { return s.stats().mean },
		sql:     func(v string, _ arguments) string { return "avg(" + v + ")" }},
	calculator{name: "length", empty: true, formula: "n, the number of values",
		compute: func(s *series, _ arguments) float64 { return s.n() },
		sql:     func(v string, _ arguments) string { return sqlCount(v) }},
	calculator{name: "standard_deviation", formula: "√ variance",
		compute: func(s *series, _ arguments) float64 { return s.stats().deviation },
		sql:     func(v string, _ arguments) string { return "stddev_pop(" + v + ")" }},
	calculator{name: "variance", formula: "Σ (x − mean)² / n",
		compute: func(s *series, _ arguments) float64 { return s.stats().variance },
		sql:     func(v string, _ arguments) string { return "var_pop(" + v + ")" }},
	calculator{name: "root_mean_square", formula: "√ (Σ x² / n)",
		compute: func(s *series, _ arguments) float64 {
			return math.Sqrt(sumOf(0, len(s.x), func(i int) float64 { return s.x[i] * s.x[i] }) / s.n())
		},
		sql: func(v string, _ arguments) string { return "sqrt(avg(" + v + " * " + v + "))" }},
	calculator{name: "maximum", formula: "the largest value",
		compute: func(s *series, _ arguments) float64 { return s.stats().high },
		sql:     func(v string, _ arguments) string { return "max(" + v + ")" }},
	calculator{name: "absolute_maximum", formula: "the largest |x|",
		compute: func(s *series, _ arguments) float64 { return max(math.Abs(s.stats().low), math.Abs(s.stats().high)) },
		sql:     func(v string, _ arguments) string { return "max(abs(" + v + "))" }},
	calculator{name: "minimum", formula: "the smallest value",
		compute: func(s *series, _ arguments) float64 { return s.stats().low },
		sql:     func(v string, _ arguments) string { return "min(" + v + ")" }},
	calculator{name: "abs_energy", empty: true, formula: "Σ x²",
		compute: func(s *series, _ arguments) float64 { return dot(s.x, s.x) },
		sql:     func(v string, _ arguments) string { return "coalesce(sum(" + v + " * " + v + "), float8 '0')" }},
	calculator{name: "quantile", params: []parameter{share("q")}, formula: "the value below which a share q of the values lies, interpolated linearly",
		usual:   each("q", deciles...),
		compute: func(s *series, p arguments) float64 { return quantile(s.sorted(), p.number(0)) },
		sql:     func(v string, p arguments) string { return sqlQuantile(v, p[0].text) }},
	calculator{name: "variation_coefficient", formula: "standard_deviation / mean",
		compute: func(s *series, _ arguments) float64 {
			if s.stats().mean == 0 {
				return math.NaN()
			}
			return s.stats().deviation / s.stats().mean
		},
		sql: func(v string, _ arguments) string {
			return "stddev_pop(" + v + ") / nullif(avg(" + v + "), float8 '0')"
		}},
	calculator{name: "variance_larger_than_standard_deviation", empty: true, formula: "variance > standard_deviation",
		compute: func(s *series, _ arguments) float64 { return truth(s.stats().variance > s.stats().deviation) },
		sql: func(v string, _ arguments) string {
			return "case when var_pop(" + v + ") > stddev_pop(" + v + ") then float8 '1' else float8 '0' end"
		}},
	calculator{name: "large_standard_deviation", params: []parameter{numberFrom0("r")}, formula: "standard_deviation > r · (maximum − minimum); 0 of a constant (in tsfresh rounding errors decide)",
		usual: each("r", steps(1, 0.05)...),
		compute: func(s *series, p arguments) float64 {
			width := s.stats().high - s.stats().low
			return truth(width > 0 && s.stats().deviation > p.number(0)*width)
		},
		sql: func(v string, p arguments) string {
			width := "(max(" + v + ") - min(" + v + "))"
			return "case when " + width + " > 0 and stddev_pop(" + v + ") > " + sqlNumber(p[0]) + " * " + width + " then float8 '1' when " + width + " >= 0 then float8 '0' end"
		}},
	calculator{name: "symmetry_looking", params: []parameter{numberFrom0("r")}, formula: "|mean − median| < r · (maximum − minimum)",
		usual: each("r", steps(0, 0.05)...),
		compute: func(s *series, p arguments) float64 {
			return truth(math.Abs(s.stats().mean-medianOf(s.sorted())) < p.number(0)*(s.stats().high-s.stats().low))
		},
		sql: func(v string, p arguments) string {
			return sqlTruth("abs(avg("+v+") - "+sqlQuantile(v, "0.5")+")", "<", sqlNumber(p[0])+" * (max("+v+") - min("+v+"))")
		}},
	calculator{name: "skewness", formula: "n / ((n − 1)(n − 2)) · Σ ((x − mean) / sample deviation)³, for n ≥ 3, of values that differ", compute: skewness},
	calculator{name: "kurtosis", formula: "the unbiased excess kurtosis G₂, for n ≥ 4, of values that differ", compute: kurtosis},
	calculator{name: "mean_n_absolute_max", params: []parameter{wholeFrom("number_of_maxima", 1)}, formula: "the mean of the largest |x|, for n > number_of_maxima",
		usual: []string{"number_of_maxima_7"}, compute: meanAbsoluteMax},
	calculator{name: "ratio_beyond_r_sigma", params: []parameter{numberFrom0("r")}, formula: "share of values with |x − mean| > r · standard_deviation",
		usual:   append(each("r", 0.5), "r_1", "r_1.5", "r_2", "r_2.5", "r_3", "r_5", "r_6", "r_7", "r_10"),
		compute: beyondSigma},
	calculator{name: "benford_correlation", formula: "correlation of the shares of first digits 1 to 9 with log₁₀(1 + 1/digit)", compute: benford},
)

// deciles are those of tsfresh's set: all but the median.
var deciles = []float64{0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9}

// steps gives first·step to 19·step, computed as tsfresh does, with what that leaves behind the last digit.
func steps(first int, step float64) []float64 {
	var list []float64
	for i := first; i < 20; i++ {
		list = append(list, float64(i)*step)
	}
	return list
}

// powers gives Σ (x − mean)^k for k from 2 to 4.
func (s *series) powers() (m2, m3, m4 float64) {
	for _, d := range s.deviations() {
		m2 += d * d
		m3 += d * d * d
		m4 += d * d * d * d
	}
	return m2, m3, m4
}

func skewness(s *series, _ arguments) float64 {
	n := s.n()
	if n < 3 || s.stats().low == s.stats().high {
		return math.NaN()
	}
	m2, m3, _ := s.powers()
	return n * math.Sqrt(n-1) / (n - 2) * m3 / math.Pow(m2, 1.5)
}

func kurtosis(s *series, _ arguments) float64 {
	n := s.n()
	if n < 4 || s.stats().low == s.stats().high {
		return math.NaN()
	}
	m2, _, m4 := s.powers()
	return n*(n+1)*(n-1)*m4/((n-2)*(n-3)*m2*m2) - 3*(n-1)*(n-1)/((n-2)*(n-3))
}

func meanAbsoluteMax(s *series, p arguments) float64 {
	k := p.whole(0)
	if len(s.x) <= k {
		return math.NaN()
	}
	x := make([]float64, len(s.x))
	for i, v := range s.x {
		x[i] = math.Abs(v)
	}
	slices.Sort(x)
	return mean(x[len(x)-k:])
}

func beyondSigma(s *series, p arguments) float64 {
	far := p.number(0) * s.stats().deviation
	count := 0
	for _, d := range s.deviations() {
		if math.Abs(d) > far {
			count++
		}
	}
	return float64(count) / s.n()
}

func benford(s *series, _ arguments) float64 {
	var shares, law [9]float64
	for _, v := range s.x {
		if d := firstDigit(v); d > 0 {
			shares[d-1]++
		}
	}
	for i := range shares {
		shares[i] /= s.n()
		law[i] = math.Log10(1 + 1/float64(i+1))
	}
	a, b := mean(shares[:]), mean(law[:])
	var ab, aa, bb float64
	for i := range shares {
		ab += (shares[i] - a) * (law[i] - b)
		aa += (shares[i] - a) * (shares[i] - a)
		bb += (law[i] - b) * (law[i] - b)
	}
	if aa == 0 {
		return math.NaN()
	}
	return max(-1, min(1, ab/math.Sqrt(aa)/math.Sqrt(bb)))
}
