package leak

import (
	"context"
	"math"
	"slices"

	"damson/internal/parallel"
)

// Bounds of the work on a feature.
const (
	bins       = 256    // that a number is cut into
	SampleRows = 20_000 // about so many rows, at random, are enough to cut bins from
	PairRows   = 2_000  // the first rows of the sample, which tell what pairs of features may be correlated
)

// Numbers up to LargestNumber take part in correlations; what lies beyond counts as infinite. Numbers whose standard deviation is
// below LeastSpread do not vary: their squares are no longer numbers.
const (
	LargestNumber = 1e100
	LeastSpread   = 1e-100
)

func usable(v float64) bool { return math.Abs(v) <= LargestNumber }

// look is what was found in a column.
type look struct {
	Feature
	hash   uint64    // of its values, a category's as they first occur
	sample []float64 // of a number, standardised; nil = of no use for correlations
}

// look examines one column.
func (d *Data) look(c int) look {
	codes, levels := d.coded(c)
	out := look{Feature: Feature{Name: d.Columns[c].Name, Constant: d.constant(c)}, hash: d.columnHash(c)}
	if out.Constant {
		return out
	}
	if d.Classes == 0 {
		out.R2 = min(1, max(Explained(d.means(codes, levels)), d.squaredCorrelation(c)))
	} else {
		out.AUC, out.Class = d.counts(codes, levels).Best(d.ClassNames)
	}
	if d.Columns[c].Codes == nil {
		out.sample = standardised(inOrder(d.Columns[c].Numbers, d.sample(PairRows)))
	}
	return out
}

// sample lists the rows that bins are cut from, at most so many of them.
func (d *Data) sample(most int) []int32 {
	if d.Sample != nil {
		return d.Sample[:min(len(d.Sample), most)]
	}
	rows := make([]int32, min(len(d.Target), most))
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

func inOrder(values []float64, rows []int32) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}

// constant reports whether the training rows have one value at most, missing being none.
func (d *Data) constant(c int) bool {
	column, first, missing := &d.Columns[c], -1, false
	for i, held := range d.Held {
		switch {
		case held:
		case column.missing(i):
			missing = true
		case first < 0:
			first = i
		case !column.same(first, i):
			return false
		}
	}
	return first < 0 || !missing // a value and its absence tell rows apart
}

func (c *Column) missing(i int) bool {
	if c.Codes != nil {
		return c.Codes[i] < 0
	}
	return c.Numbers[i] != c.Numbers[i]
}

func (c *Column) same(i, j int) bool {
	if c.Codes != nil {
		return c.Codes[i] == c.Codes[j]
	}
	return c.Numbers[i] == c.Numbers[j]
}

// coded gives each row a code below levels: a number's bin, a category's code, and the last one for what is missing.
func (d *Data) coded(c int) (codes []int32, levels int) {
	column := &d.Columns[c]
	codes = make([]int32, len(d.Target))
	if column.Codes != nil {
		levels = len(column.Levels)
		for i, code := range column.Codes {
			codes[i] = code
			if code < 0 {
				codes[i] = int32(levels)
			}
		}
		return codes, levels + 1
	}
	edges := cut(inOrder(column.Numbers, d.sample(len(d.Target))))
	levels = len(edges) + 1
	for i, v := range column.Numbers {
		if v != v {
			codes[i] = int32(levels)
			continue
		}
		lo, n := 0, len(edges)
		for n > 0 { // the first edge ≥ v
			half := n >> 1
			if edges[lo+half] < v {
				lo += half + 1
				n -= half + 1
			} else {
				n = half
			}
		}
		codes[i] = int32(lo)
	}
	return codes, levels + 1
}

// cut gives at most bins-1 edges, quantiles of a sample that are values themselves.
func cut(sample []float64) []float64 {
	sorted := make([]float64, 0, len(sample))
	for _, v := range sample {
		if v == v {
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	var edges []float64
	for _, place := range Places(len(sorted)) {
		edges = append(edges, sorted[place])
	}
	return slices.Compact(edges)
}

// Places gives where the edges of bins stand among n sorted values, rising; edges that are equal are one.
func Places(n int) []int {
	var places []int
	for b := 1; b < bins && n > 0; b++ {
		places = append(places, (n-1)*b/bins)
	}
	return slices.Compact(places)
}

// half tells the two halves of the rows apart.
func (d *Data) half(i int) int {
	if d.Halves[i] {
		return 1
	}
	return 0
}

// counts counts the rows by half, code and class.
func (d *Data) counts(codes []int32, levels int) Counts {
	c := NewCounts(d.Classes, levels)
	for i, code := range codes {
		c.Halves[d.half(i)][int(code)*d.Classes+int(d.Target[i])]++
	}
	return c
}

// means describes the target by half and code.
func (d *Data) means(codes []int32, levels int) (m [2][]Mean) {
	for h := range m {
		m[h] = make([]Mean, levels)
	}
	for i, code := range codes {
		m[d.half(i)][code].add(d.Target[i])
	}
	for h := range m {
		for code := range m[h] {
			m[h][code].Variance /= max(1, float64(m[h][code].Rows))
		}
	}
	return m
}

// squaredCorrelation is that of a number with the target, over the rows where it is finite; 0 for a category, and where it
// is not defined.
func (d *Data) squaredCorrelation(c int) float64 {
	if d.Columns[c].Codes != nil {
		return 0
	}
	if r := correlation(d.Columns[c].Numbers, d.Target); r == r {
		return r * r
	}
	return 0
}

// LeastPairs is over how many rows a correlation is worth looking at.
const LeastPairs = 10

// correlation is Pearson's, over the rows where both are finite; NaN when there are too few or one does not vary.
func correlation(a, b []float64) float64 {
	n, meanA, meanB := 0.0, 0.0, 0.0
	for i, x := range a {
		if y := b[i]; usable(x) && usable(y) {
			n++
			meanA += (x - meanA) / n
			meanB += (y - meanB) / n
		}
	}
	if n < LeastPairs {
		return math.NaN()
	}
	var ab, aa, bb float64
	for i, x := range a {
		if y := b[i]; usable(x) && usable(y) {
			dx, dy := x-meanA, y-meanB
			ab += dx * dy
			aa += dx * dx
			bb += dy * dy
		}
	}
	if least := n * LeastSpread * LeastSpread; !(aa > least && bb > least) {
		return math.NaN()
	}
	return ab / math.Sqrt(aa) / math.Sqrt(bb)
}

// columnHash depends on the values alone, and for a category only on which rows have the same level.
func (d *Data) columnHash(c int) uint64 {
	column := &d.Columns[c]
	h := uint64(1)
	if column.Codes == nil {
		for _, v := range column.Numbers {
			h = mix(h*3 + bitsOf(v))
		}
		return h
	}
	number := make([]uint64, len(column.Levels))
	next := uint64(0)
	for _, code := range column.Codes {
		own := uint64(0)
		if code >= 0 {
			if number[code] == 0 {
				next++
				number[code] = next
			}
			own = number[code]
		}
		h = mix(h*3 + own)
	}
	return h ^ 0x5bd1e995 // a category never equals a number
}

// standardised gives numbers with mean 0 and length 1, what is not finite being 0; nil when they do not vary.
func standardised(numbers []float64) []float64 {
	n, mean := 0.0, 0.0
	for _, v := range numbers {
		if usable(v) {
			n++
			mean += (v - mean) / n
		}
	}
	length := 0.0
	for i, v := range numbers {
		numbers[i] = 0
		if usable(v) {
			numbers[i] = v - mean
		}
		length += numbers[i] * numbers[i]
	}
	if length = math.Sqrt(length); !(length > 0) || math.IsInf(length, 0) {
		return nil
	}
	for i := range numbers {
		numbers[i] /= length
	}
	return numbers
}

// duplicates finds features that equal an earlier one, or are perfectly correlated with one.
func (d *Data) duplicates(ctx context.Context, looks []look, threads int) ([]Twin, error) {
	found := make([]*Twin, len(looks))
	err := parallel.Each(ctx, len(looks), threads, func(b int) {
		for a := 0; a < b && found[b] == nil; a++ {
			if looks[a].Constant || looks[b].Constant {
				continue
			}
			twin := Twin{Feature: d.Columns[b].Name, Other: d.Columns[a].Name}
			if looks[a].hash == looks[b].hash {
				found[b] = &twin
				continue
			}
			if looks[a].sample == nil || looks[b].sample == nil || !alike(looks[a].sample, looks[b].sample) {
				continue
			}
			if r := correlation(d.Columns[a].Numbers, d.Columns[b].Numbers); math.Abs(r) >= MostCorrelation {
				twin.Correlation = min(max(r, -1), 1)
				found[b] = &twin
			}
		}
	})
	var out []Twin
	for _, twin := range found {
		if twin != nil {
			out = append(out, *twin)
		}
	}
	return out, err
}

// LeastAlike is the correlation in a sample from which on two features are looked at in all rows.
const LeastAlike = 0.9

// alike reports whether two samples may belong to perfectly correlated columns. Gaps at different rows lower what it sees.
func alike(a, b []float64) bool {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return math.Abs(sum) > LeastAlike
}
