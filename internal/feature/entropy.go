package feature

import (
	"maps"
	"math"
	"slices"
)

// Calculators of order and disorder.
var _ = add(
	calculator{name: "binned_entropy", params: []parameter{binsFrom1("max_bins")}, formula: "−Σ p log p over the shares p of values in max_bins bins of equal width",
		usual: []string{"max_bins_10"},
		compute: func(s *series, p arguments) float64 {
			return entropy(binned(s.x, s.stats().low, s.stats().high, p.whole(0)), len(s.x))
		}},
	calculator{name: "sample_entropy", costly: true, formula: "−log (pairs of equal runs of 3 / pairs of equal runs of 2), equal: within 0.2 · standard_deviation", compute: sampleEntropy},
	calculator{name: "approximate_entropy", params: []parameter{{name: "m", kind: whole, low: 1, high: 100}, numberFrom0("r")}, costly: true, empty: true,
		formula: "|φ(m) − φ(m + 1)|, φ(m): mean log share of runs of m within r · standard_deviation of each; 0 for n ≤ m + 1",
		usual:   crossed([]string{"m_2"}, each("r", 0.1, 0.3, 0.5, 0.7, 0.9)), compute: approximateEntropy},
	calculator{name: "lempel_ziv_complexity", params: []parameter{binsFrom1("bins")}, formula: "number of new phrases (LZ78) of the series told as bins of equal width, / n",
		usual: each("bins", 2, 3, 5, 10, 100), compute: lempelZiv},
	calculator{name: "permutation_entropy", params: []parameter{{name: "dimension", kind: whole, low: 2, high: 12}, wholeFrom("tau", 1)},
		formula: "−Σ p log p over the shares p of orders of size in runs of dimension values that begin at every tau-th; equal values in the order they come in",
		usual:   crossed(each("dimension", 3, 4, 5, 6, 7), []string{"tau_1"}), compute: permutationEntropy},
)

func binsFrom1(name string) parameter {
	return parameter{name: name, kind: whole, low: 1, high: 1_000_000}
}

// entropy is −Σ p log p over the shares that the counts have of n.
func entropy(counts []int, n int) float64 {
	if len(counts) == 0 {
		return math.NaN()
	}
	total := 0.0
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / float64(n)
			total -= p * math.Log(p)
		}
	}
	return total + 0 // no negative zero
}

func sampleEntropy(s *series, _ arguments) float64 {
	x, near := s.x, 0.2*s.stats().deviation
	if len(x) < 3 {
		return math.NaN()
	}
	two, three := 0, 0 // pairs i < j; tsfresh counts each twice
	for i := 0; i < len(x)-1; i++ {
		if i%256 == 0 && s.of.cancelled() {
			return math.NaN()
		}
		for j := i + 1; j < len(x)-1; j++ {
			if math.Abs(x[i]-x[j]) > near || math.Abs(x[i+1]-x[j+1]) > near {
				continue
			}
			two++
			if j+2 < len(x) && math.Abs(x[i+2]-x[j+2]) <= near {
				three++
			}
		}
	}
	return -math.Log(float64(three) / float64(two))
}

func approximateEntropy(s *series, p arguments) float64 {
	m := p.whole(0)
	if len(s.x) <= m+1 {
		return 0
	}
	near := p.number(1) * s.stats().deviation
	return math.Abs(s.likeness(m, near) - s.likeness(m+1, near))
}

// likeness is the mean logarithm of the share of runs of m values that are near a run, itself included.
func (s *series) likeness(m int, near float64) float64 {
	x, runs := s.x, len(s.x)-m+1
	total := 0.0
	counts := make([]int, runs)
	for i := range runs {
		if i%256 == 0 && s.of.cancelled() {
			return math.NaN()
		}
		counts[i]++
		for j := i + 1; j < runs; j++ {
			k := 0
			for k < m && math.Abs(x[i+k]-x[j+k]) <= near {
				k++
			}
			if k == m {
				counts[i]++
				counts[j]++
			}
		}
		total += math.Log(float64(counts[i]) / float64(runs))
	}
	return total / float64(runs)
}

// lempelZiv walks a tree of the phrases so far: a phrase ends at the first symbol that leads out of it.
func lempelZiv(s *series, p arguments) float64 {
	edges := linspace(s.stats().low, s.stats().high, p.whole(0))[1:]
	type branch struct{ node, symbol int }
	tree := map[branch]int{}
	node := 0
	for _, v := range s.x {
		b := branch{node, below(edges, v)}
		if next, known := tree[b]; known {
			node = next
			continue
		}
		tree[b] = len(tree) + 1
		node = 0
	}
	return float64(len(tree)) / s.n()
}

func permutationEntropy(s *series, p arguments) float64 {
	size, step := p.whole(0), p.whole(1)
	if len(s.x) < size {
		return math.NaN()
	}
	orders, runs := map[int]int{}, 0
	for from := 0; from+size <= len(s.x); from += step {
		run, code := s.x[from:from+size], 0
		for i, v := range run { // code: for each value how many before it are larger, which tells the order
			larger := 0
			for _, w := range run[:i] {
				if w > v {
					larger++
				}
			}
			code = code*size + larger
		}
		orders[code]++
		runs++
	}
	return entropy(slices.Sorted(maps.Values(orders)), runs) // sorted: sums of floats depend on the order
}
