package feature

import (
	"math"
	"slices"
	"strconv"
)

// Calculators that count values, and places of values.
var _ = add(
	calculator{name: "count_above", params: []parameter{anyNumber("t")}, usual: []string{"t_0"}, formula: "share of values ≥ t",
		compute: func(s *series, p arguments) float64 {
			return float64(s.count(func(v float64) bool { return v >= p.number(0) })) / s.n()
		},
		sql: func(v string, p arguments) string { return "avg(" + sqlTruth(v, ">=", sqlNumber(p[0])) + ")" }},
	calculator{name: "count_below", params: []parameter{anyNumber("t")}, usual: []string{"t_0"}, formula: "share of values ≤ t",
		compute: func(s *series, p arguments) float64 {
			return float64(s.count(func(v float64) bool { return v <= p.number(0) })) / s.n()
		},
		sql: func(v string, p arguments) string { return "avg(" + sqlTruth(v, "<=", sqlNumber(p[0])) + ")" }},
	calculator{name: "count_above_mean", empty: true, formula: "number of values > mean",
		compute: func(s *series, _ arguments) float64 {
			return float64(s.count(func(v float64) bool { return v > s.stats().mean }))
		}},
	calculator{name: "count_below_mean", empty: true, formula: "number of values < mean",
		compute: func(s *series, _ arguments) float64 {
			return float64(s.count(func(v float64) bool { return v < s.stats().mean }))
		}},
	calculator{name: "range_count", params: []parameter{anyNumber("max"), anyNumber("min")}, empty: true, formula: "number of values with min ≤ x < max",
		usual: []string{"max_1__min_-1", "max_0__min_-1000000000000.0", "max_1000000000000.0__min_0"},
		compute: func(s *series, p arguments) float64 {
			return float64(s.count(func(v float64) bool { return v >= p.number(1) && v < p.number(0) }))
		},
		sql: func(v string, p arguments) string {
			return sqlCount("case when " + v + " >= " + sqlNumber(p[1]) + " and " + v + " < " + sqlNumber(p[0]) + " then 1 end")
		}},
	calculator{name: "value_count", params: []parameter{anyNumber("value")}, empty: true, formula: "number of values equal to value",
		usual: []string{"value_0", "value_1", "value_-1"},
		compute: func(s *series, p arguments) float64 {
			return float64(s.count(func(v float64) bool { return v == p.number(0) }))
		},
		sql: func(v string, p arguments) string {
			return sqlCount("case when " + v + " = " + sqlNumber(p[0]) + " then 1 end")
		}},
	calculator{name: "has_duplicate", empty: true, formula: "a value occurs more than once",
		compute: func(s *series, _ arguments) float64 { return truth(s.repeats().again > 0) },
		sql:     func(v string, _ arguments) string { return sqlTruth("count(distinct "+v+")", "<", "count("+v+")") }},
	calculator{name: "has_duplicate_max", formula: "the maximum occurs more than once",
		compute: func(s *series, _ arguments) float64 { return truth(s.countEqual(s.stats().high) > 1) }},
	calculator{name: "has_duplicate_min", formula: "the minimum occurs more than once",
		compute: func(s *series, _ arguments) float64 { return truth(s.countEqual(s.stats().low) > 1) }},
	calculator{name: "ratio_value_number_to_time_series_length", formula: "number of different values / n",
		compute: func(s *series, _ arguments) float64 { return float64(s.repeats().values) / s.n() },
		sql: func(v string, _ arguments) string {
			return "cast(count(distinct " + v + ") as double precision) / nullif(" + sqlCount(v) + ", float8 '0')"
		}},
	calculator{name: "percentage_of_reoccurring_values_to_all_values", formula: "share of the different values that occur more than once",
		compute: func(s *series, _ arguments) float64 { return float64(s.repeats().again) / float64(s.repeats().values) }},
	calculator{name: "percentage_of_reoccurring_datapoints_to_all_datapoints", formula: "share of the values whose value occurs more than once",
		compute: func(s *series, _ arguments) float64 { return float64(s.repeats().points) / s.n() }},
	calculator{name: "sum_of_reoccurring_values", empty: true, formula: "sum of the different values that occur more than once",
		compute: func(s *series, _ arguments) float64 { return s.repeats().valueSum }},
	calculator{name: "sum_of_reoccurring_data_points", empty: true, formula: "sum of all values whose value occurs more than once",
		compute: func(s *series, _ arguments) float64 { return s.repeats().pointSum }},
	calculator{name: "first_location_of_maximum", formula: "place of the first maximum, from 0, / n",
		compute: func(s *series, _ arguments) float64 { return float64(slices.Index(s.x, s.stats().high)) / s.n() }},
	calculator{name: "first_location_of_minimum", formula: "place of the first minimum, from 0, / n",
		compute: func(s *series, _ arguments) float64 { return float64(slices.Index(s.x, s.stats().low)) / s.n() }},
	calculator{name: "last_location_of_maximum", formula: "1 − values after the last maximum / n",
		compute: func(s *series, _ arguments) float64 { return 1 - float64(s.after(s.stats().high))/s.n() }},
	calculator{name: "last_location_of_minimum", formula: "1 − values after the last minimum / n",
		compute: func(s *series, _ arguments) float64 { return 1 - float64(s.after(s.stats().low))/s.n() }},
	calculator{name: "longest_strike_above_mean", empty: true, formula: "most values in a row that are > mean",
		compute: func(s *series, _ arguments) float64 {
			return float64(s.longest(func(v float64) bool { return v > s.stats().mean }))
		}},
	calculator{name: "longest_strike_below_mean", empty: true, formula: "most values in a row that are < mean",
		compute: func(s *series, _ arguments) float64 {
			return float64(s.longest(func(v float64) bool { return v < s.stats().mean }))
		}},
	calculator{name: "number_crossing_m", params: []parameter{anyNumber("m")}, empty: true, formula: "number of neighbours of which one is > m and the other is not",
		usual: []string{"m_0", "m_-1", "m_1"}, compute: crossings},
	calculator{name: "number_peaks", params: []parameter{wholeFrom("n", 1)}, formula: "number of values larger than the n before and the n after",
		usual: each("n", 1, 3, 5, 10, 50), compute: peaks},
	calculator{name: "index_mass_quantile", params: []parameter{share("q")}, formula: "place, from 1, at which the sum of |x| reaches a share q of all, / n",
		usual: each("q", deciles...), compute: massQuantile},
)

func (s *series) count(is func(v float64) bool) int {
	n := 0
	for _, v := range s.x {
		if is(v) {
			n++
		}
	}
	return n
}

func (s *series) countEqual(to float64) int {
	return s.count(func(v float64) bool { return v == to })
}

// after gives the number of values behind the last one equal to v.
func (s *series) after(v float64) int {
	n := 0
	for s.x[len(s.x)-1-n] != v {
		n++
	}
	return n
}

func (s *series) longest(is func(v float64) bool) int {
	most, run := 0, 0
	for _, v := range s.x {
		if !is(v) {
			run = 0
			continue
		}
		run++
		most = max(most, run)
	}
	return most
}

func crossings(s *series, p arguments) float64 {
	n := 0
	for i := 1; i < len(s.x); i++ {
		if (s.x[i-1] > p.number(0)) != (s.x[i] > p.number(0)) {
			n++
		}
	}
	return float64(n)
}

func peaks(s *series, p arguments) float64 {
	reach, n := p.whole(0), 0
	for i := reach; i < len(s.x)-reach; i++ {
		peak := true
		for k := 1; peak && k <= reach; k++ {
			peak = s.x[i] > s.x[i-k] && s.x[i] > s.x[i+k]
		}
		if peak {
			n++
		}
	}
	return float64(n)
}

func massQuantile(s *series, p arguments) float64 {
	total := sumOf(0, len(s.x), func(i int) float64 { return math.Abs(s.x[i]) })
	if total == 0 {
		return math.NaN()
	}
	mass := 0.0
	for i, v := range s.x {
		mass += math.Abs(v)
		if mass/total >= p.number(0) {
			return float64(i+1) / s.n()
		}
	}
	return 1 / s.n() // rounding kept the sum below q: numpy's argmax then gives the first place
}

// firstDigit is the first digit of the shortest decimal that reads back as |v|.
func firstDigit(v float64) int {
	var buffer [32]byte
	return int(strconv.AppendFloat(buffer[:0], math.Abs(v), 'e', -1, 64)[0] - '0')
}
