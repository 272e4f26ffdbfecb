package metric

import (
	"context"
	"math"
	"slices"
)

// Shuffle says how Permutation shuffles.
type Shuffle struct {
	Repeats int
	// Order gives, for each row, the row whose value of the column it is given.
	Order func(column, repeat int) []int32
	Skip  func(column int) bool // columns that the model does not use lose nothing; nil = none
}

// Permutation gives, for each column, by how much the score falls when the column's values are shuffled among the rows
// (A. Fisher, C. Rudin, F. Dominici 2019): the mean of some shuffles. score judges predictions from the columns it is
// given, higher being better; codes of categories stand in a column as numbers. A score of NaN gives 0. The
// columns are not changed. An error is the context's or score's.
func Permutation(ctx context.Context, columns [][]float64, score func(columns [][]float64) (float64, error), s Shuffle) ([]float64, error) {
	base, err := score(columns)
	if err != nil {
		return nil, err
	}
	lost := make([]float64, len(columns))
	changed := slices.Clone(columns)
	for c, own := range columns {
		if s.Skip != nil && s.Skip(c) {
			continue
		}
		scores := make([]float64, s.Repeats)
		changed[c] = slices.Clone(own)
		for repeat := range scores {
			for i, from := range s.Order(c, repeat) {
				changed[c][i] = own[from]
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if scores[repeat], err = score(changed); err != nil {
				return nil, err
			}
		}
		changed[c] = own
		lost[c] = Lost(base, scores)
	}
	return lost, nil
}

// Lost is by how much scores lie below a base, in the mean; 0 where they are not defined.
func Lost(base float64, scores []float64) float64 {
	lost := 0.0
	for _, s := range scores {
		lost += base - s
	}
	if lost /= float64(len(scores)); lost-lost != 0 {
		return 0
	}
	return lost
}

// Dependence is what a model predicts on average when a feature has one value in all rows (J. Friedman 2001: partial
// dependence). It shows the model, not the world: correlated features are set to values that do not occur together.
type Dependence struct {
	Feature string            `json:"feature"`
	Points  []DependencePoint `json:"points"`            // by rising value, or by category
	Missing []float64         `json:"missing,omitempty"` // with the value missing in all rows, when it is in some
}

// DependencePoint is a value and the mean of each output with it.
type DependencePoint struct {
	Value   float64   `json:"value"`
	Level   string    `json:"level,omitempty"` // of a category
	Outputs []float64 `json:"outputs"`
}

// Grid says what DependenceOf computes.
type Grid struct {
	Points int      // values of a number, at most; 0 = 20
	Rows   int      // the first ones, whose predictions are averaged; 0 = 1000. Their order should say nothing
	Levels []string // names the codes 0, 1, … of a category; nil = the feature is a number
}

// DependenceOf computes the partial dependence of a model on one of the columns. Values are quantiles of those that are
// finite, or the levels that occur. predict gives the outputs by output, then by row; codes of categories stand in a
// column as numbers, NaN being "missing". An error is the context's or predict's.
func DependenceOf(ctx context.Context, name string, columns [][]float64, column int, predict func(columns [][]float64) ([][]float64, error), g Grid) (Dependence, error) {
	out := Dependence{Feature: name, Points: []DependencePoint{}}
	values, missing := g.values(columns[column])
	rows := g.Averaged(len(columns[column]))
	taken := make([][]float64, len(columns))
	for c := range columns {
		taken[c] = columns[c][:rows]
	}
	taken[column] = make([]float64, rows)
	at := func(v float64) ([]float64, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i := range rows {
			taken[column][i] = v
		}
		outputs, err := predict(taken)
		if err != nil {
			return nil, err
		}
		means := make([]float64, len(outputs))
		for k, output := range outputs {
			for _, p := range output {
				means[k] += p
			}
			means[k] /= float64(rows)
		}
		return means, nil
	}
	for _, v := range values {
		outputs, err := at(v)
		if err != nil {
			return Dependence{}, err
		}
		p := DependencePoint{Value: v, Outputs: outputs}
		if g.Levels != nil {
			p.Level = g.Levels[int(v)]
		}
		out.Points = append(out.Points, p)
	}
	var err error
	if missing {
		out.Missing, err = at(math.NaN())
	}
	return out, err
}

// values gives those to set a column to, and whether some are missing.
func (g Grid) values(column []float64) (values []float64, missing bool) {
	sorted := make([]float64, 0, len(column))
	for _, v := range column {
		switch {
		case v != v:
			missing = true
		case g.Levels != nil && !(v >= 0 && v < float64(len(g.Levels)) && v == math.Trunc(v)):
		case !math.IsInf(v, 0):
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	distinct := slices.Compact(slices.Clone(sorted))
	if g.Levels != nil || len(distinct) <= g.Most() {
		return distinct, missing
	}
	for _, place := range g.Places(len(sorted)) {
		values = append(values, sorted[place])
	}
	return slices.Compact(values), missing
}

// Most is how many values a number is set to.
func (g Grid) Most() int {
	if g.Points <= 0 {
		return 20
	}
	return g.Points
}

// Places gives where the values to set a number to stand among n sorted ones, of which more than Most differ.
func (g Grid) Places(n int) []int {
	places := make([]int, g.Most())
	for i := range places {
		places[i] = i * (n - 1) / max(g.Most()-1, 1)
	}
	return places
}

// Averaged is over how many of n rows predictions are averaged.
func (g Grid) Averaged(n int) int {
	if g.Rows <= 0 {
		return min(n, 1000)
	}
	return min(n, g.Rows)
}
