package linear

import (
	"context"

	"damson/internal/parallel"
)

// Value is a feature of one row.
type Value struct {
	Number  float64 // NaN = missing
	Text    string  // of a categorical feature
	Missing bool    // of a categorical feature
}

// Predict gives the outputs for one row. It panics when the row has another number of values than the model has features.
func (m *Model) Predict(row []Value) []float64 {
	if len(row) != len(m.features) {
		panic("linear: a row of another width than the model")
	}
	columns := make([]Column, len(row))
	for f, v := range row {
		switch {
		case !m.features[f].categorical:
			columns[f].Numbers = []float64{v.Number}
		case v.Missing:
			columns[f].Codes = []int32{-1}
		default:
			columns[f].Codes, columns[f].Levels = []int32{0}, []string{v.Text}
		}
	}
	out, _ := m.PredictRows(context.Background(), columns, nil, 1)
	one := make([]float64, len(out))
	for k := range out {
		one[k] = out[k][0]
	}
	return one
}

// PredictRows gives the outputs for the given rows of a table of columns (nil: all rows), as one slice for each output in
// the rows' order. It panics when the columns are not those of the model, in number or in kind.
func (m *Model) PredictRows(ctx context.Context, columns []Column, rows []int32, threads int) ([][]float64, error) {
	if len(columns) != len(m.features) {
		panic("linear: another number of columns than the model has features")
	}
	for f, c := range columns {
		if c.categorical() != m.features[f].categorical && c.rows() > 0 {
			panic("linear: column " + c.Name + " is of another kind than the model's feature")
		}
	}
	n := len(rows)
	if rows == nil {
		n = columns[0].rows()
	}
	out := make([][]float64, m.Outputs())
	for k := range out {
		out[k] = make([]float64, n)
	}
	t := m.tables(columns)
	err := parallel.Each(ctx, (n+blockRows-1)/blockRows, threads, func(b int) {
		w := &prediction{model: m, columns: columns, tables: t, rows: make([]int, 0, blockRows)}
		for i := b * blockRows; i < min((b+1)*blockRows, n); i++ {
			if rows != nil {
				w.rows = append(w.rows, int(rows[i]))
			} else {
				w.rows = append(w.rows, i)
			}
		}
		own := make([][]float64, len(out))
		for k := range out {
			own[k] = out[k][b*blockRows : b*blockRows+len(w.rows)]
			w.scores(k, own[k])
		}
		m.link(own)
	})
	return out, err
}

// link turns scores into outputs.
func (m *Model) link(out [][]float64) {
	switch {
	case m.classes == 2:
		for i, score := range out[0] {
			out[0][i], _ = logistic(score)
		}
	case m.classes > 2:
		softmax(out, make([]float64, len(out[0])), len(out[0]))
	}
}

// tables gives, for each output and categorical feature, the term of every code; the last one is that of a missing value.
func (m *Model) tables(columns []Column) [][][]float64 {
	out := make([][][]float64, len(m.outputs))
	for k := range out {
		out[k] = make([][]float64, len(columns))
	}
	for f, own := range m.features {
		if !own.categorical {
			continue
		}
		known := map[string]int{}
		for l, name := range own.levels {
			known[name] = l
		}
		for k := range m.outputs {
			table := make([]float64, len(columns[f].Levels)+1)
			for code, name := range columns[f].Levels {
				if l, ok := known[name]; ok {
					table[code] = m.outputs[k].levels[f][l]
				}
			}
			table[len(table)-1] = m.outputs[k].missing[f]
			out[k][f] = table
		}
	}
	return out
}

// prediction is a block of rows being predicted.
type prediction struct {
	model   *Model
	columns []Column
	tables  [][][]float64
	rows    []int
}

// scores fills out with output k's scores: the intercept, and the terms of the features added as a balanced tree.
func (w *prediction) scores(k int, out []float64) {
	o := &w.model.outputs[k]
	for i := range out {
		out[i] = o.intercept
	}
	if used := o.used(w.model); len(used) > 0 {
		for i, v := range w.terms(k, used) {
			out[i] += v
		}
	}
}

// used lists the features with a coefficient that is not 0: the terms of the score.
func (o *output) used(m *Model) []int {
	var out []int
	for f := range m.features {
		any := o.value[f] != 0 || o.missing[f] != 0
		for _, v := range o.levels[f] {
			any = any || v != 0
		}
		if any {
			out = append(out, f)
		}
	}
	return out
}

// terms adds up the terms of some features.
func (w *prediction) terms(k int, features []int) []float64 {
	if len(features) == 1 {
		return w.term(k, features[0])
	}
	half := len(features) / 2
	left, right := w.terms(k, features[:half]), w.terms(k, features[half:])
	for i, v := range right {
		left[i] += v
	}
	return left
}

func (w *prediction) term(k, f int) []float64 {
	out := make([]float64, len(w.rows))
	own, o, column := &w.model.features[f], &w.model.outputs[k], &w.columns[f]
	if own.categorical {
		table := w.tables[k][f]
		for i, r := range w.rows {
			if code := column.Codes[r]; code >= 0 {
				out[i] = table[code]
			} else {
				out[i] = table[len(table)-1]
			}
		}
		return out
	}
	slope, missing := o.slope(w.model, f), o.missing[f]
	for i, r := range w.rows {
		if v := column.Numbers[r]; v == v {
			out[i] = float64(slope * own.deviation(v))
		} else {
			out[i] = missing
		}
	}
	return out
}

// deviation is the distance of a value from the mean, within bounds (invariant 4).
func (f *feature) deviation(v float64) float64 {
	reach := float64(farthest * f.scale)
	return min(max(f.finite(v)-f.mean, -reach), reach)
}
