package leak

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// Bounds of the work on a feature.
const (
	bins       = 256    // that a number is cut into
	binSample  = 20_000 // rows that their edges come from
	pairSample = 2_000  // rows that tell which pairs of features may be correlated
)

// look is what was found in a column.
type look struct {
	constant bool
	predicts *Finding
	hash     uint64    // of its values, a category's as they first occur
	sample   []float64 // of a number, standardised; nil = of no use for correlations
}

// look examines one column.
func (d *Data) look(c int) look {
	codes, levels := d.coded(c)
	out := look{constant: d.constant(c), hash: d.columnHash(c)}
	if out.constant {
		return out
	}
	out.predicts = d.predicts(c, codes, levels)
	if d.Columns[c].Codes == nil {
		out.sample = standardised(d.Columns[c].Numbers, pairSample)
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
	edges := cut(column.Numbers)
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
func cut(numbers []float64) []float64 {
	step := max(1, len(numbers)/binSample)
	sorted := make([]float64, 0, len(numbers)/step+1)
	for i := 0; i < len(numbers); i += step {
		if v := numbers[i]; v == v {
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	var edges []float64
	for b := 1; b < bins && len(sorted) > 0; b++ {
		if edge := sorted[(len(sorted)-1)*b/bins]; len(edges) == 0 || edge > edges[len(edges)-1] {
			edges = append(edges, edge)
		}
	}
	return edges
}

// half tells the two halves of the rows apart: by group where there are groups, so that what a value says of a person is
// not tried on the same person.
func (d *Data) half(i int) int {
	if d.Groups.Codes != nil {
		return int(mix(uint64(d.Groups.Codes[i])) & 1)
	}
	return int(mix(uint64(i)) & 1)
}

// predicts gives a finding when the codes of one half of the rows tell the target of the other.
func (d *Data) predicts(c int, codes []int32, levels int) *Finding {
	f := Finding{Kind: Predicts, Feature: d.Columns[c].Name, Measure: "AUC"}
	if d.Classes == 0 {
		f.Measure, f.Value = "R²", min(1, max(d.explained(codes, levels), d.squaredCorrelation(c)))
		if !(f.Value > MostR2) {
			return nil
		}
		return &f
	}
	counts := [2][]int64{make([]int64, levels*d.Classes), make([]int64, levels*d.Classes)}
	for i, code := range codes {
		counts[d.half(i)][int(code)*d.Classes+int(d.Target[i])]++
	}
	for class := range d.Classes {
		if d.Classes == 2 && class == 0 {
			continue // what tells class 1 tells class 0
		}
		// Each half learns and is tried in turn; the lesser of both counts.
		auc := min(d.tellsClass(counts[0], counts[1], levels, class), d.tellsClass(counts[1], counts[0], levels, class))
		if auc > MostAUC && auc > f.Value {
			f.Value = auc
			if d.Classes > 2 {
				f.Class = nameOf(d.ClassNames, class)
			}
		}
	}
	if f.Value == 0 {
		return nil
	}
	return &f
}

// tellsClass orders codes by the share of a class in the learned half, and gives the AUC of that order in the tried half;
// codes that were not learned stand at the share of all. NaN when the tried half has rows of one side only.
func (d *Data) tellsClass(learned, tried []int64, levels, class int) float64 {
	type code struct {
		share    float64
		own, not int64
	}
	var all []code
	var own, rows int64
	for l := range levels {
		for k, n := range learned[l*d.Classes : (l+1)*d.Classes] {
			rows += n
			if k == class {
				own += n
			}
		}
	}
	for l := range levels {
		var c code
		var seen, hits int64
		for k := range d.Classes {
			seen += learned[l*d.Classes+k]
			c.not += tried[l*d.Classes+k]
		}
		hits, c.own = learned[l*d.Classes+class], tried[l*d.Classes+class]
		c.not -= c.own
		c.share = float64(own) / float64(rows)
		if seen > 0 {
			c.share = float64(hits) / float64(seen)
		}
		if c.own+c.not > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b code) int { return cmp.Compare(a.share, b.share) })
	won, below, positives, negatives := 0.0, int64(0), int64(0), int64(0)
	for i := 0; i < len(all); {
		var p, n int64
		for share := all[i].share; i < len(all) && all[i].share == share; i++ {
			p, n = p+all[i].own, n+all[i].not
		}
		won += float64(p) * (float64(below) + float64(n)/2)
		below += n
		positives, negatives = positives+p, negatives+n
	}
	return won / (float64(positives) * float64(negatives))
}

// explained gives the share of the target's variance in each half that the other half's means by code explain, the lesser
// of both.
func (d *Data) explained(codes []int32, levels int) float64 {
	var n, sum [2][]float64
	var rows, total [2]float64
	for h := range n {
		n[h], sum[h] = make([]float64, levels), make([]float64, levels)
	}
	for i, code := range codes {
		h := d.half(i)
		n[h][code]++
		sum[h][code] += d.Target[i]
		rows[h]++
		total[h] += d.Target[i]
	}
	var missed, variance [2]float64
	for i, code := range codes {
		h := d.half(i)
		other := 1 - h
		guess := total[other] / rows[other]
		if n[other][code] > 0 {
			guess = sum[other][code] / n[other][code]
		}
		miss, off := d.Target[i]-guess, d.Target[i]-total[h]/rows[h]
		missed[h] += miss * miss
		variance[h] += off * off
	}
	return min(1-missed[0]/variance[0], 1-missed[1]/variance[1])
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

// correlation is Pearson's, over the rows where both are finite; NaN when fewer than 10 are or one does not vary.
func correlation(a, b []float64) float64 {
	n, meanA, meanB := 0.0, 0.0, 0.0
	for i, x := range a {
		if y := b[i]; x-x == 0 && y-y == 0 {
			n++
			meanA += (x - meanA) / n
			meanB += (y - meanB) / n
		}
	}
	if n < 10 {
		return math.NaN()
	}
	var ab, aa, bb float64
	for i, x := range a {
		if y := b[i]; x-x == 0 && y-y == 0 {
			dx, dy := x-meanA, y-meanB
			ab += dx * dy
			aa += dx * dx
			bb += dy * dy
		}
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

// standardised gives a sample of a column with mean 0 and length 1, what is not finite being 0; nil when it does not vary.
func standardised(numbers []float64, most int) []float64 {
	step := max(1, len(numbers)/most)
	var out []float64
	n, mean := 0.0, 0.0
	for i := 0; i < len(numbers); i += step {
		v := numbers[i]
		out = append(out, v)
		if v-v == 0 {
			n++
			mean += (v - mean) / n
		}
	}
	length := 0.0
	for i, v := range out {
		out[i] = 0
		if v-v == 0 {
			out[i] = v - mean
		}
		length += out[i] * out[i]
	}
	if length = math.Sqrt(length); !(length > 0) || math.IsInf(length, 0) {
		return nil
	}
	for i := range out {
		out[i] /= length
	}
	return out
}

// duplicates finds features that equal an earlier one, or are perfectly correlated with one.
func (d *Data) duplicates(ctx context.Context, looks []look, threads int) ([]Finding, error) {
	found := make([]*Finding, len(looks))
	err := each(ctx, len(looks), threads, func(b int) {
		for a := 0; a < b && found[b] == nil; a++ {
			if looks[a].constant || looks[b].constant {
				continue
			}
			f := Finding{Kind: Duplicate, Feature: d.Columns[b].Name, Other: d.Columns[a].Name}
			if looks[a].hash == looks[b].hash {
				found[b] = &f
				continue
			}
			if looks[a].sample == nil || looks[b].sample == nil || !alike(looks[a].sample, looks[b].sample) {
				continue
			}
			if r := correlation(d.Columns[a].Numbers, d.Columns[b].Numbers); math.Abs(r) >= mostCorrelation {
				f.Measure, f.Value = "correlation", min(max(r, -1), 1)
				found[b] = &f
			}
		}
	})
	var out []Finding
	for _, f := range found {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out, err
}

// alike reports whether two samples may belong to perfectly correlated columns. Gaps at different rows lower what it sees.
func alike(a, b []float64) bool {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return math.Abs(sum) > 0.9
}
