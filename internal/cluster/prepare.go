package cluster

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"damson/internal/parallel"
)

// blockRows is how many rows are worked on at a time.
const blockRows = 1024

// total adds up what sum gives for blocks of 0 … n-1, as a balanced tree.
func total(n int, sum func(lo, hi int) float64) float64 {
	sums := make([]float64, 0, n/blockRows+1)
	for lo := 0; lo < n; lo += blockRows {
		sums = append(sums, sum(lo, min(lo+blockRows, n)))
	}
	return balanced(sums)
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

// points are the rows to learn from on the grid. Their coordinates lie row by row; only columns that vary have one.
//
//	x[row·width + coordinate] · up[coordinate]  is a whole number, and the sum of all rows' fits into 62 bits
type points struct {
	rows, width int
	x           []float64
	up          []float64
	from        []int   // the feature of each coordinate
	variance    float64 // mean of the coordinates' variances
	threads     int
}

// row gives a row's coordinates.
func (p *points) row(i int) []float64 { return p.x[i*p.width : (i+1)*p.width : (i+1)*p.width] }

func (p *points) blocks() int { return (p.rows + blockRows - 1) / blockRows }

// block gives the rows lo … hi-1 of block b.
func (p *points) block(b int) (lo, hi int) {
	lo = b * blockRows
	return lo, min(lo+blockRows, p.rows)
}

// look measures the columns, and says what is to be known of them.
func (m *Model) look(ctx context.Context, columns []Column, rows []int32, threads int) ([]string, error) {
	m.features = make([]feature, len(columns))
	said, bad := make([]string, len(columns)), make([]error, len(columns))
	err := parallel.Each(ctx, len(columns), threads, func(f int) { said[f], bad[f] = m.measure(f, columns[f], rows) })
	if err != nil {
		return nil, err
	}
	var warnings []string
	for f := range columns {
		if bad[f] != nil {
			return nil, bad[f]
		}
		if said[f] != "" {
			warnings = append(warnings, said[f])
		}
	}
	return warnings, nil
}

// measure finds a column's mean, standard deviation and extremes.
func (m *Model) measure(f int, c Column, rows []int32) (warning string, err error) {
	own := &m.features[f]
	own.name, own.low, own.high, own.divisor = c.Name, math.Inf(1), math.Inf(-1), 1
	infinite, missing := 0, 0
	for _, r := range rows {
		switch v := c.Numbers[r]; {
		case v-v == 0: // finite
			own.low, own.high = min(own.low, v), max(own.high, v)
		case v != v:
			missing++
		default:
			infinite++
		}
	}
	if own.low > own.high {
		own.low, own.high = 0, 0
		if infinite > 0 {
			warning = fmt.Sprintf("%q has no finite value, and is of no use.", own.name)
		}
		return warning, nil
	}
	if own.low < -maxValue || own.high > maxValue {
		return "", fmt.Errorf("%q holds values beyond ±%g: scale it, or take its logarithm", own.name, maxValue)
	}
	if infinite > 0 {
		warning = fmt.Sprintf("%q is infinite in %d rows, which count as its greatest or least finite value.", own.name, infinite)
	}
	own.low, own.high = own.low+0, own.high+0 // -0 is 0
	if own.mean = own.low; own.low == own.high {
		return warning, nil
	}
	sum := func(value func(v float64) float64) float64 {
		return total(len(rows), func(lo, hi int) float64 {
			s := 0.0
			for _, r := range rows[lo:hi] {
				if v := c.Numbers[r]; v == v {
					s += value(own.finite(v))
				}
			}
			return s
		})
	}
	own.mean = sum(func(v float64) float64 { return v }) / float64(len(rows)-missing)
	squares := sum(func(v float64) float64 { return float64((v - own.mean) * (v - own.mean)) })
	if d := math.Sqrt(squares / float64(len(rows))); d >= leastDeviation {
		own.deviation = d
	}
	m.setDivisor(own)
	return warning, nil
}

func (m *Model) setDivisor(f *feature) {
	f.divisor = 1
	if m.standardise && f.deviation > 0 {
		f.divisor = f.deviation
	}
}

// grid places the rows.
func (m *Model) grid(ctx context.Context, columns []Column, rows []int32, threads int) (*points, error) {
	p := &points{rows: len(rows), threads: threads}
	for f := range m.features {
		own := &m.features[f]
		if own.deviation == 0 {
			continue
		}
		// The largest coordinate is below 2^exponent, so many rows' sum below 2^62.
		_, exponent := math.Frexp(max(math.Abs(own.place(own.low)), math.Abs(own.place(own.high))))
		p.up = append(p.up, math.Ldexp(1, min(51, 61-bits.Len(uint(p.rows)))-exponent))
		p.from = append(p.from, f)
		d := own.deviation / own.divisor
		p.variance += float64(d * d)
	}
	p.width = len(p.from)
	if p.width == 0 {
		return nil, fmt.Errorf("none of the %d columns varies: all rows are alike", len(columns))
	}
	p.variance /= float64(p.width)
	p.x = make([]float64, p.rows*p.width)
	return p, parallel.Each(ctx, p.blocks(), threads, func(b int) {
		lo, hi := p.block(b)
		for c, f := range p.from {
			own, numbers, up := &m.features[f], columns[f].Numbers, p.up[c]
			for i := lo; i < hi; i++ {
				p.x[i*p.width+c] = math.RoundToEven(float64(own.place(numbers[rows[i]])*up)) / up
			}
		}
	})
}
