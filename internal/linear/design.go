package linear

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"damson/internal/parallel"
)

// blockRows is how many rows are worked on at a time: their columns fit in a processor's second cache.
const blockRows = 256

// design are the rows to learn from, in their own order and ready for arithmetic. Its columns are
//
//	0 … dense-1        numbers (standardised, missing = 0) and indicators of missing values
//	from dense on      levels: every categorical column has a stretch of width columns
//	width              the intercept, which is 1
//
// Dense values lie block by block, column by column within a block:
//
//	x[block·blockRows·dense + column·(rows of the block) + row]
type design struct {
	rows, dense, width int
	x                  []float64
	sparse             []sparse
	target             []float64
	weights            []float64 // adding up to weight
	weight             float64
}

// sparse is a categorical column: codes count from its first column on, -1 = none of them.
type sparse struct {
	first int
	codes []int32
}

// place says which columns of a design stand for a feature; -1 = none.
type place struct{ value, missing, levels int }

func (d *design) blocks() int { return (d.rows + blockRows - 1) / blockRows }

// block gives the rows lo … hi-1 of block b.
func (d *design) block(b int) (lo, hi int) {
	lo = b * blockRows
	return lo, min(lo+blockRows, d.rows)
}

// column gives a dense column of the rows lo … hi-1 of a block.
func (d *design) column(c, lo, hi int) []float64 {
	from := lo*d.dense + c*(hi-lo)
	return d.x[from : from+hi-lo]
}

// sample gives every so-many-th row, n in all.
func (d *design) sample(n int) *design {
	s := &design{rows: n, dense: d.dense, width: d.width, x: make([]float64, n*d.dense), target: make([]float64, n), weights: make([]float64, n)}
	for _, column := range d.sparse {
		s.sparse = append(s.sparse, sparse{column.first, make([]int32, n)})
	}
	for b := range s.blocks() {
		lo, hi := s.block(b)
		for i := lo; i < hi; i++ {
			from := int(int64(i) * int64(d.rows) / int64(n))
			s.target[i], s.weights[i] = d.target[from], d.weights[from]
			flo, fhi := d.block(from / blockRows)
			for c := range d.dense {
				s.column(c, lo, hi)[i-lo] = d.column(c, flo, fhi)[from-flo]
			}
			for c := range s.sparse {
				s.sparse[c].codes[i] = d.sparse[c].codes[from]
			}
		}
	}
	s.weight = sumOf(s.weights)
	return s
}

// maker makes a design and the features of its model.
type maker struct {
	data     *Data
	params   Params
	rows     []int32   // as they came
	order    []int32   // as ordered gives them
	weights  []float64 // of the ordered rows, with those of their classes
	weight   float64
	own      []float64 // without: standardising must not depend on how classes are weighted
	ownSum   float64
	features []feature
	places   []place
	warnings []string
}

// make looks at every column, lays the columns out and fills them.
func (m *maker) make(ctx context.Context, threads int) (*design, error) {
	columns := m.data.Columns
	m.features, m.places = make([]feature, len(columns)), make([]place, len(columns))
	looks := make([]look, len(columns))
	err := parallel.Each(ctx, len(columns), threads, func(f int) {
		m.features[f].name, m.features[f].categorical = columns[f].Name, columns[f].categorical()
		if columns[f].categorical() {
			looks[f] = m.lookAtLevels(f)
		} else {
			looks[f] = m.lookAtNumbers(f)
		}
	})
	if err != nil {
		return nil, err
	}
	d := &design{rows: len(m.order), weights: m.weights, weight: m.weight, target: make([]float64, len(m.order))}
	for i, r := range m.order {
		d.target[i] = m.data.Target[r]
	}
	for f := range columns {
		m.places[f] = place{-1, -1, -1}
		if looks[f].err != nil {
			return nil, looks[f].err
		}
		m.warnings = append(m.warnings, looks[f].warnings...)
		if looks[f].varies {
			m.places[f].value = d.dense
			d.dense++
		}
		if m.params.MissingIndicators && looks[f].missing > 0 && looks[f].missing < len(m.order) {
			m.places[f].missing = d.dense
			d.dense++
		}
	}
	d.width = d.dense
	for f := range columns {
		if n := len(m.features[f].levels) - m.base(); m.features[f].categorical && n > 0 {
			m.places[f].levels = d.width
			d.width += n
		}
	}
	if d.width > MaxColumns {
		return nil, fmt.Errorf("the features make %d columns, with one for each category, and at most %d can be fitted: leave features out or keep fewer levels (max_levels)", d.width, MaxColumns)
	}
	d.x = make([]float64, d.rows*d.dense)
	return d, m.fill(ctx, d, threads)
}

// base is how many levels of a category go without a coefficient: the first, when nothing else tells them apart from the
// intercept.
func (m *maker) base() int {
	if m.params.Penalty == 0 {
		return 1
	}
	return 0
}

// look is what was found in a column.
type look struct {
	varies   bool // numbers only
	missing  int
	warnings []string
	err      error
}

// lookAtNumbers finds the extremes and what is missing.
func (m *maker) lookAtNumbers(f int) look {
	var found look
	own, numbers := &m.features[f], m.data.Columns[f].Numbers
	own.low, own.high, own.scale = math.Inf(1), math.Inf(-1), 1
	infinite := 0
	for _, r := range m.rows {
		switch v := numbers[r]; {
		case v-v == 0: // finite
			if v < own.low {
				own.low = v
			}
			if v > own.high {
				own.high = v
			}
		case v != v:
			found.missing++
		default:
			infinite++
		}
	}
	switch {
	case own.low > own.high:
		own.low, own.high = 0, 0
		if infinite > 0 {
			found.warnings = append(found.warnings, fmt.Sprintf("%q has no finite value, and is of no use.", own.name))
		}
		return found
	case own.low < -maxValue || own.high > maxValue:
		found.err = fmt.Errorf("%q holds values beyond ±1e150: scale it, or take its logarithm", own.name)
		return found
	}
	if infinite > 0 {
		found.warnings = append(found.warnings, fmt.Sprintf("%q is infinite in %d rows, which count as its greatest or least finite value.", own.name, infinite))
	}
	own.low, own.high = own.low+0, own.high+0
	if found.varies = own.low < own.high; !found.varies {
		own.mean = own.low
	}
	return found
}

// fillNumbers standardises a column. One that varies by rounding only is left at 0.
func (m *maker) fillNumbers(d *design, f, column int) {
	own, numbers := &m.features[f], m.data.Columns[f].Numbers
	values := make([]float64, d.rows)
	for i, r := range m.order {
		v := numbers[r]
		if v-v != 0 {
			v = own.finite(v)
		}
		values[i] = v
	}
	own.mean, own.scale = moments(values, m.own, m.ownSum, own.high-own.low)
	own.mean = min(max(own.mean, own.low), own.high)
	if !(own.scale > 1e-13*math.Abs(own.mean) && own.scale > 1e-150) {
		own.scale = 1
		return
	}
	for b := range d.blocks() {
		lo, hi := d.block(b)
		out := d.column(column, lo, hi)
		for i, v := range values[lo:hi] {
			if v == v {
				out[i] = (v - own.mean) / own.scale
			}
		}
	}
}

// finite puts the extremes in the infinities' place.
func (f *feature) finite(v float64) float64 {
	switch {
	case math.IsInf(v, 1):
		return f.high
	case math.IsInf(v, -1):
		return f.low
	}
	return v
}

// lookAtLevels keeps the most frequent levels, the first of which is the base where there is one, then by their texts.
func (m *maker) lookAtLevels(f int) look {
	var found look
	own, column := &m.features[f], &m.data.Columns[f]
	own.scale = 1
	count := make([]int, len(column.Levels))
	for _, r := range m.rows {
		if code := column.Codes[r]; code >= 0 {
			count[code]++
		} else {
			found.missing++
		}
	}
	var kept []int
	for code, n := range count {
		if n > 0 {
			kept = append(kept, code)
		}
	}
	slices.SortFunc(kept, func(a, b int) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(column.Levels[a], column.Levels[b]))
	})
	if most := cmp.Or(m.params.MaxLevels, 100); len(kept) > most {
		found.warnings = append(found.warnings, fmt.Sprintf("%q has %d levels; the %d most frequent have coefficients, the others have none.", own.name, len(kept), most))
		kept = kept[:most]
	}
	if len(kept) < 2 && (found.missing == 0 || len(kept) == 0) {
		return found // it does not vary
	}
	if m.base() > 0 {
		slices.SortFunc(kept[1:], func(a, b int) int { return cmp.Compare(column.Levels[a], column.Levels[b]) })
	} else {
		slices.SortFunc(kept, func(a, b int) int { return cmp.Compare(column.Levels[a], column.Levels[b]) })
	}
	for _, code := range kept {
		own.levels = append(own.levels, column.Levels[code])
	}
	return found
}

// fill writes the columns.
func (m *maker) fill(ctx context.Context, d *design, threads int) error {
	stretches := make([]sparse, len(m.places))
	err := parallel.Each(ctx, len(m.places), threads, func(f int) {
		at := m.places[f]
		if at.value >= 0 {
			m.fillNumbers(d, f, at.value)
		}
		if at.missing >= 0 {
			m.fillMissing(d, f, at.missing)
		}
		if at.levels >= 0 {
			stretches[f] = sparse{at.levels, m.codes(f)}
		}
	})
	for f, at := range m.places {
		if at.levels >= 0 {
			d.sparse = append(d.sparse, stretches[f])
		}
	}
	return err
}

// fillMissing writes 1 where a value is missing.
func (m *maker) fillMissing(d *design, f, to int) {
	column := &m.data.Columns[f]
	for b := range d.blocks() {
		lo, hi := d.block(b)
		out := d.column(to, lo, hi)
		for i, r := range m.order[lo:hi] {
			if column.categorical() && column.Codes[r] < 0 || !column.categorical() && column.Numbers[r] != column.Numbers[r] {
				out[i] = 1
			}
		}
	}
}

// codes numbers the rows' levels as the model does, the base and what has no coefficient being -1.
func (m *maker) codes(f int) []int32 {
	column := &m.data.Columns[f]
	known := map[string]int32{}
	for l, name := range m.features[f].levels {
		known[name] = int32(l - m.base())
	}
	translated := make([]int32, len(column.Levels))
	for code, name := range column.Levels {
		translated[code] = -1
		if own, ok := known[name]; ok {
			translated[code] = own
		}
	}
	out := make([]int32, len(m.order))
	for i, r := range m.order {
		out[i] = -1
		if code := column.Codes[r]; code >= 0 {
			out[i] = translated[code]
		}
	}
	return out
}
