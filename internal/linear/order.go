package linear

import (
	"cmp"
	"context"
	"math"
	"slices"

	"damson/internal/parallel"
)

// ordered gives the rows used in an order that depends on what they hold and not on where they stand: by key, or else by
// a hash of the contents, and rows of one key by their contents. Rows that are still equal may stand for each other.
func (d *Data) ordered(ctx context.Context, threads int) ([]int32, error) {
	rows := d.Rows
	type keyed struct {
		key uint64
		row int32
	}
	all := make([]keyed, len(rows))
	byLevel := d.levelHashes()
	const stripe = 1 << 14
	err := parallel.Each(ctx, (len(rows)+stripe-1)/stripe, threads, func(s int) {
		for i := s * stripe; i < min((s+1)*stripe, len(rows)); i++ {
			r := rows[i]
			if d.Keys != nil {
				all[i] = keyed{uint64(d.Keys[r][0])<<32 | uint64(d.Keys[r][1]), r}
			} else {
				all[i] = keyed{d.hash(r, byLevel), r}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b keyed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return d.compare(a.row, b.row)
	})
	out := make([]int32, len(all))
	for i, k := range all {
		out[i] = k.row
	}
	return out, nil
}

// bitsOf makes one number of all that count as equal: all NaNs, and both zeros.
func bitsOf(v float64) uint64 {
	if v != v {
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v + 0)
}

// mix is the last step of the splitmix64 generator (G. Steele, D. Lea, C. Flood 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// levelHashes gives a number for every level of every categorical column, which depends on its text.
func (d *Data) levelHashes() [][]uint64 {
	out := make([][]uint64, len(d.Columns))
	for c, column := range d.Columns {
		for _, level := range column.Levels {
			h := uint64(1)
			for i := range len(level) {
				h = mix(h ^ uint64(level[i]))
			}
			out[c] = append(out[c], h)
		}
	}
	return out
}

func (d *Data) hash(r int32, byLevel [][]uint64) uint64 {
	h := mix(bitsOf(d.Target[r]))
	if d.Weights != nil {
		h = mix(h + bitsOf(d.Weights[r]))
	}
	for c := range d.Columns {
		switch column := &d.Columns[c]; {
		case !column.categorical():
			h = mix(h + bitsOf(column.Numbers[r]))
		case column.Codes[r] >= 0:
			h = mix(h + byLevel[c][column.Codes[r]])
		default:
			h = mix(h)
		}
	}
	return h
}

func (d *Data) compare(a, b int32) int {
	order := cmp.Compare(bitsOf(d.Target[a]), bitsOf(d.Target[b]))
	if order == 0 && d.Weights != nil {
		order = cmp.Compare(d.Weights[a], d.Weights[b])
	}
	for c := 0; order == 0 && c < len(d.Columns); c++ {
		column := &d.Columns[c]
		if !column.categorical() {
			order = cmp.Compare(bitsOf(column.Numbers[a]), bitsOf(column.Numbers[b]))
			continue
		}
		switch la, lb := column.Codes[a], column.Codes[b]; {
		case la == lb:
		case la < 0 || lb < 0:
			order = cmp.Compare(la, lb)
		default:
			order = cmp.Compare(column.Levels[la], column.Levels[lb])
		}
	}
	return order
}

// total adds up what sum gives for stretches of 0 … n-1, as a balanced tree.
func total(n int, sum func(lo, hi int) float64) float64 {
	const block = 1024
	sums := make([]float64, 0, n/block+1)
	for lo := 0; lo < n; lo += block {
		sums = append(sums, sum(lo, min(lo+block, n)))
	}
	return balanced(sums)
}

// sumOf adds up values.
func sumOf(values []float64) float64 {
	return total(len(values), func(lo, hi int) float64 {
		sum := 0.0
		for _, v := range values[lo:hi] {
			sum += v
		}
		return sum
	})
}

// moments gives the weighted mean of the values that are not NaN, and their weighted standard deviation, NaN counting as
// the mean; 0 and 0 when there is nothing to count. unit is about the size of the deviations: their squares are taken in
// it, so that they cannot leave the range of numbers.
func moments(values, weights []float64, weight, unit float64) (mean, deviation float64) {
	present := total(len(values), func(lo, hi int) float64 {
		sum := 0.0
		for i, v := range values[lo:hi] {
			if v == v {
				sum += weights[lo+i]
			}
		}
		return sum
	})
	if !(present > 0) {
		return 0, 0
	}
	mean = total(len(values), func(lo, hi int) float64 {
		sum := 0.0
		for i, v := range values[lo:hi] {
			if v == v {
				sum += float64(weights[lo+i] * v)
			}
		}
		return sum
	}) / present
	if !(unit > 0) {
		return mean, 0
	}
	// A power of two: multiplying by its inverse does not round.
	_, exponent := math.Frexp(unit)
	scale := math.Ldexp(1, -exponent)
	variance := total(len(values), func(lo, hi int) float64 {
		sum := 0.0
		for i, v := range values[lo:hi] {
			if v == v {
				d := float64((v - mean) * scale)
				sum += float64(weights[lo+i] * float64(d*d))
			}
		}
		return sum
	}) / weight
	return mean, math.Sqrt(variance) / scale
}

// balanced adds as a balanced tree; nothing adds up to 0.
func balanced(v []float64) float64 {
	switch len(v) {
	case 0:
		return 0
	case 1:
		return v[0]
	}
	half := len(v) / 2
	return balanced(v[:half]) + balanced(v[half:])
}

// balancedRows adds the vectors in rows as a balanced tree into the first, which it gives.
func balancedRows(rows [][]float64) []float64 {
	if len(rows) == 1 {
		return rows[0]
	}
	half := len(rows) / 2
	left, right := balancedRows(rows[:half]), balancedRows(rows[half:])
	for i, v := range right {
		left[i] += v
	}
	return left
}
