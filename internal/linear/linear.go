// Package linear learns and applies generalised linear models: linear regression, and logistic regression of two or more
// classes, all under an elastic net. Its central type is Model, made by Train or Decode and never changed afterwards.
//
// What Train minimises, for weights w that add up to W, penalty λ and share of L1 α, over standardised columns:
//
//	(1/W) Σ wᵢ·loss(yᵢ, b + xᵢ·β)  +  λ·[ (1-α)/2·‖β‖² + α·‖β‖₁ ]
//
// with half the squared error, the logistic or the multinomial loss. This is the objective of J. Friedman, T. Hastie and
// R. Tibshirani, "Regularization Paths for Generalized Linear Models via Coordinate Descent", 2010. Intercepts are free of
// penalty. Several classes have one set of coefficients each (the symmetric form). In scikit-learn's words, on columns
// that went through StandardScaler: ElasticNet has alpha = λ, LogisticRegression has C = 1/(λ·W), both l1_ratio = α.
//
// Invariants:
//  1. The same set of rows (values, target, weights, keys) and parameters give the same model, byte for byte, in any row
//     order, with any number of threads, on any machine: rows are brought into an order of their own, sums run over
//     fixed blocks of it, products are rounded before they are added, and exp and log are this package's own.
//  2. A model's SQL does the same additions in the same order as Predict. Only the last step, exp, is the database's: the
//     outputs agree within 1e-12.
//  3. Decode accepts exactly what Encode writes; whatever else it is given, it refuses with an error.
//  4. Outputs are finite for any input.
//
// Values. Numbers are standardised with the weighted mean and standard deviation (1/W) of the training rows; a missing one
// (NaN, SQL's NULL) counts as the mean, and with MissingIndicators has a coefficient of its own. An infinity counts as
// the greatest or least finite value that training saw in the column. Categories have one 0/1 column a level, not
// scaled; without a penalty the most frequent level is the base and has none. A level that training did not see is 0
// in all of them. A column that does not vary keeps coefficient 0; columns that say the same share the effect.
//
// The package reads no files, knows no database and tells no time. It does not select parameters.
package linear

import (
	"fmt"
	"math"
)

// Limits that keep hostile or absurd input from taking all memory and time.
const (
	MaxFeatures = 10_000
	MaxColumns  = 2_000 // that coefficients stand for: numbers, indicators and levels
	MaxClasses  = 1_000
	MaxWeights  = 20_000 // classes × columns
	MaxRows     = 1 << 30
	maxValue    = 1e150 // so that no product overflows
)

// Params say how to fit.
type Params struct {
	Penalty           float64   // λ ≥ 0
	L1Ratio           float64   // α, from 0 (ridge) to 1 (lasso)
	MaxIterations     int       // of Newton's method over all rows; 0 = 1000
	Tolerance         float64   // largest step of a coefficient at which it has converged, relative to the largest coefficient where that is above 1; 0 = 1e-8
	MissingIndicators bool      // a column of its own says that a value is missing
	MaxLevels         int       // of a categorical feature, the most frequent ones; 0 = 100
	ClassWeights      []float64 // multiply the rows' weights; nil = 1 each
	Balanced          bool      // multiply further by W / (classes × weight of the class), as scikit-learn's "balanced" does
}

// Check says in words which parameter is out of range, or gives nil.
func (p Params) Check() error {
	switch {
	case !(p.Penalty >= 0 && p.Penalty <= 1e9):
		return fmt.Errorf("penalty is %v, and must be from 0 to 1e9", p.Penalty)
	case !(p.L1Ratio >= 0 && p.L1Ratio <= 1):
		return fmt.Errorf("l1_ratio is %v, and must be from 0 to 1", p.L1Ratio)
	case p.MaxIterations < 0 || p.MaxIterations > 100_000:
		return fmt.Errorf("max_iterations is %d, and must be from 0 (1000) to 100000", p.MaxIterations)
	case !(p.Tolerance >= 0 && p.Tolerance < 1):
		return fmt.Errorf("tolerance is %v, and must be from 0 (1e-8) to below 1", p.Tolerance)
	case p.MaxLevels < 0 || p.MaxLevels > MaxColumns:
		return fmt.Errorf("max_levels is %d, and must be from 0 (100) to %d", p.MaxLevels, MaxColumns)
	}
	for class, w := range p.ClassWeights {
		if !(w > 0 && w <= 1e9) {
			return fmt.Errorf("the weight of class %d is %v, and must be above 0 and at most 1e9", class, w)
		}
	}
	return nil
}

// Column is a feature of all rows: Numbers, NaN being "missing", or Codes into Levels, -1 being "missing".
type Column struct {
	Name    string
	Numbers []float64
	Codes   []int32
	Levels  []string // in any order; a level need not occur
}

func (c Column) categorical() bool { return c.Numbers == nil }

func (c Column) rows() int { return max(len(c.Numbers), len(c.Codes)) }

// Data are the rows to learn from, by column. All slices but Rows have the same length.
type Data struct {
	Columns []Column
	Target  []float64   // the number to predict, or the class: 0 … Classes-1
	Classes int         // 0 = regression
	Weights []float64   // ≥ 0; nil = 1 each
	Keys    [][2]uint32 // of each row's identity, which order the rows; nil = their contents do
	Rows    []int32     // the rows to use; nil = all
}

// Model is a fitted model.
type Model struct {
	classes  int // 0 = regression
	features []feature
	outputs  []output // one; for three classes and more, one a class
}

// feature is what the model knows of a column.
type feature struct {
	name        string
	categorical bool
	mean, scale float64 // of a number
	low, high   float64 // the extremes of a number, which stand for the infinities
	levels      []string
}

// output is a linear score. What stands under a feature:
//
//	number       value (of one standard deviation), missing
//	categorical  missing, and one value a level
type output struct {
	intercept float64
	value     []float64
	missing   []float64
	levels    [][]float64
}

// farthest is how many standard deviations from the mean a value is taken to be at most, so that no product overflows.
const farthest = 1e9

// slope is the coefficient of one unit of a numeric feature.
func (o *output) slope(m *Model, f int) float64 { return o.value[f] / m.features[f].scale }

// Classes is the number of classes; 0 for a regression.
func (m *Model) Classes() int { return m.classes }

// Features is the number of columns the model reads.
func (m *Model) Features() int { return len(m.features) }

// Outputs is how many numbers a row is given: the predicted number; the probability of class 1 of two; or the
// probability of each of three and more classes.
func (m *Model) Outputs() int { return len(m.outputs) }

// Coefficient says what a column does to a score. A score is the predicted number, the log-odds of class 1, or (of three
// and more classes) what the classes' probabilities are the softmax of.
type Coefficient struct {
	Output  int     `json:"output"`
	Feature string  `json:"feature"` // "" = intercept
	Level   string  `json:"level,omitempty"`
	Missing bool    `json:"missing,omitempty"` // of the feature's absence, besides what its mean is worth
	Value   float64 `json:"value"`             // for a unit of the feature; the intercept, where all features are 0
	Scaled  float64 `json:"scaled"`            // for a standard deviation; the intercept, where all numbers are at their mean
	Mean    float64 `json:"mean"`              // of a number: what a missing one counts as
}

// Coefficients lists all, by output: the intercept, then by feature. Coefficients that are 0 are listed too, but not
// those of absent values when there are none.
func (m *Model) Coefficients() []Coefficient {
	var out []Coefficient
	for k := range m.outputs {
		o := &m.outputs[k]
		at := len(out)
		out = append(out, Coefficient{Output: k, Value: o.intercept, Scaled: o.intercept})
		for f := range m.features {
			own := &m.features[f]
			add := func(level string, missing bool, value, scaled float64) {
				out = append(out, Coefficient{Output: k, Feature: own.name, Level: level, Missing: missing, Value: value, Scaled: scaled, Mean: own.mean})
			}
			if own.categorical {
				for l, name := range own.levels {
					add(name, false, o.levels[f][l], o.levels[f][l])
				}
			} else {
				slope := o.slope(m, f)
				out[at].Value -= float64(slope * own.mean)
				add("", false, slope, o.value[f])
			}
			if o.missing[f] != 0 {
				add("", true, o.missing[f], o.missing[f])
			}
		}
	}
	return out
}

// exp is e to the power of x, within two units in the last place and the same on every machine, for x held within ±708.
func exp(x float64) float64 {
	x = min(max(x, -708), 708)
	const (
		log2e = 1 / math.Ln2
		high  = 0x1.62e42feep-1         // ln 2 in 32 bits: times an exponent it is exact
		low   = 0x1.a39ef35793c7673p-33 // and the rest
		c     = 1.0
	)
	k := math.Floor(float64(x*log2e) + 0.5)
	r := (x - float64(k*high)) - float64(k*low)
	// Taylor's series to the 13th power, in two halves that a processor can work on at once; |r| ≤ ln(2)/2.
	s := float64(r * r)
	even := c + float64(s*(1.0/2+float64(s*(1.0/24+float64(s*(1.0/720+float64(s*(1.0/40320+float64(s*(1.0/3628800+float64(s*(1.0/479001600))))))))))))
	odd := c + float64(s*(1.0/6+float64(s*(1.0/120+float64(s*(1.0/5040+float64(s*(1.0/362880+float64(s*(1.0/39916800+float64(s*(1.0/6227020800))))))))))))
	return float64((even + float64(r*odd)) * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// log is the natural logarithm of a positive normal number, within a few units in the last place and the same on every
// machine: log(2ᵏ·m) = k·ln 2 + 2·artanh((m-1)/(m+1)).
func log(x float64) float64 {
	bits := math.Float64bits(x)
	k := int64(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m, k = m/2, k+1
	}
	f := (m - 1) / (m + 1)
	s := float64(f * f) // at most 0.0295
	t := 1.0/3 + float64(s*(1.0/5+float64(s*(1.0/7+float64(s*(1.0/9+float64(s*(1.0/11+float64(s*(1.0/13+float64(s*(1.0/15+float64(s*(1.0/17+float64(s*(1.0/19+float64(s/21)))))))))))))))))
	return float64(float64(k)*math.Ln2) + (float64(2*f) + float64(float64(2*f)*float64(s*t)))
}
