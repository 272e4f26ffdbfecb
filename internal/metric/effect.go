package metric

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// Shuffle says how Permutation shuffles.
type Shuffle struct {
	Seed    int64
	Stream  uint64           // sets these random numbers apart from others of the same seed
	Repeats int              // 0 = 3
	Skip    func(c int) bool // columns that the model does not use lose nothing; nil = none
}

// Permutation gives, for each column, by how much the score falls when the column's values are shuffled among the rows
// (A. Fisher, C. Rudin, F. Dominici 2019): the mean of some shuffles. score judges predictions from the columns it is
// given, higher being better; codes of categories stand in a column as numbers. A score of NaN gives 0 for all. The
// columns are not changed. An error is the context's or score's.
func Permutation(ctx context.Context, columns [][]float64, score func(columns [][]float64) (float64, error), s Shuffle) ([]float64, error) {
	base, err := score(columns)
	if err != nil {
		return nil, err
	}
	lost := make([]float64, len(columns))
	if math.IsNaN(base) {
		return lost, nil
	}
	repeats := s.Repeats
	if repeats <= 0 {
		repeats = 3
	}
	changed := slices.Clone(columns)
	for c, own := range columns {
		if s.Skip != nil && s.Skip(c) {
			continue
		}
		random := rand.NewPCG(uint64(s.Seed), s.Stream<<32+uint64(c))
		changed[c] = slices.Clone(own)
		for range repeats {
			for i := len(own) - 1; i > 0; i-- {
				j := random.Uint64() % uint64(i+1)
				changed[c][i], changed[c][j] = changed[c][j], changed[c][i]
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			shuffled, err := score(changed)
			if err != nil {
				return nil, err
			}
			lost[c] += base - shuffled
		}
		changed[c] = own
		lost[c] /= float64(repeats)
	}
	return lost, nil
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
	Rows   int      // predictions are averaged over, at most; 0 = 1000
	Seed   int64    // draws them
	Levels []string // names the codes 0, 1, … of a category; nil = the feature is a number
}

// DependenceOf computes the partial dependence of a model on one of the columns. Values are quantiles of those that are
// finite, or the levels that occur. predict gives the outputs by output, then by row; codes of categories stand in a
// column as numbers, NaN being "missing". An error is the context's or predict's.
func DependenceOf(ctx context.Context, name string, columns [][]float64, column int, predict func(columns [][]float64) ([][]float64, error), g Grid) (Dependence, error) {
	out := Dependence{Feature: name, Points: []DependencePoint{}}
	values, missing := g.values(columns[column])
	rows := g.rows(len(columns[column]))
	taken := make([][]float64, len(columns))
	for c := range columns {
		taken[c] = pick(columns[c], rows)
	}
	taken[column] = make([]float64, len(rows))
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
			means[k] /= float64(len(rows))
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
	most := g.Points
	if most <= 0 {
		most = 20
	}
	if g.Levels != nil || len(distinct) <= most {
		return distinct, missing
	}
	for i := range most {
		values = append(values, sorted[i*(len(sorted)-1)/max(most-1, 1)])
	}
	return slices.Compact(values), missing
}

// rows draws those to average over, in their order.
func (g Grid) rows(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	most := g.Rows
	if most <= 0 {
		most = 1000
	}
	if n <= most {
		return rows
	}
	random := rand.NewPCG(uint64(g.Seed), streamDependence<<32)
	for i := range most {
		j := i + int(random.Uint64()%uint64(n-i))
		rows[i], rows[j] = rows[j], rows[i]
	}
	slices.Sort(rows[:most])
	return rows[:most]
}

const streamDependence = 0x64657065
