package feature

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Calculators that regress a series on its own past.
var _ = add(
	calculator{name: "ar_coefficient", params: []parameter{wholeFrom("coeff", 0), {name: "k", kind: whole, low: 1, high: 100}},
		formula: "coefficient coeff (0: the constant) of xᵢ on a constant and the k values before, by least squares, of the shortest such vector; not for n < 2k + 1",
		usual:   crossed(each("coeff", upTo(0, 10)...), []string{"k_10"}), compute: autoregression},
	calculator{name: "augmented_dickey_fuller", params: []parameter{oneOf("attr", "teststat", "pvalue", "usedlag"), {name: "autolag", kind: word, words: []string{"AIC"}, otherwise: "AIC"}},
		formula: "test of a unit root with a constant; lags by AIC, up to 12 (n / 100)^¼ and n / 2 − 2; p-value by MacKinnon (1994)",
		usual:   crossed(words("attr", "teststat", "pvalue", "usedlag"), []string{`autolag_"AIC"`}), compute: dickeyFuller},
)

// autoregression keeps what comes of tsfresh's catching an index out of bounds: where there are too few values, the last
// coefficient is 0 and the others are not defined.
func autoregression(s *series, p arguments) float64 {
	coeff, k := p.whole(0), p.whole(1)
	if coeff > k {
		return math.NaN()
	}
	rows := len(s.x) - k
	if rows < k+1 {
		if coeff == k {
			return 0
		}
		return math.NaN()
	}
	return once(s, key{what: "autoregression", a: float64(k)}, func() []float64 {
		design, target := mat.NewDense(rows, k+1, nil), mat.NewVecDense(rows, s.x[k:])
		for r := range rows {
			design.Set(r, 0, 1)
			for lag := 1; lag <= k; lag++ {
				design.Set(r, lag, s.x[k+r-lag])
			}
		}
		return shortest(design, target)
	})[coeff]
}

// shortest solves least squares by the singular values, those of no weight left out.
func shortest(design *mat.Dense, target *mat.VecDense) []float64 {
	_, columns := design.Dims()
	var svd mat.SVD
	if !svd.Factorize(design, mat.SVDThin) {
		undefined := make([]float64, columns)
		for i := range undefined {
			undefined[i] = math.NaN()
		}
		return undefined
	}
	weights := svd.Values(nil)
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	var along mat.VecDense
	along.MulVec(u.T(), target)
	for i, w := range weights {
		if w > 1e-15*weights[0] {
			along.SetVec(i, along.AtVec(i)/w)
		} else {
			along.SetVec(i, 0)
		}
	}
	var solution mat.VecDense
	solution.MulVec(&v, &along)
	return solution.RawVector().Data
}

// unitRoot is the result of a Dickey-Fuller test.
type unitRoot struct{ statistic, pvalue, lag float64 }

func dickeyFuller(s *series, p arguments) float64 {
	test := once(s, key{what: "unit root"}, func() unitRoot { return s.unitRoot() })
	switch p.word(0) {
	case "teststat":
		return test.statistic
	case "pvalue":
		return test.pvalue
	}
	return test.lag
}

// unitRoot chooses the number of lags by Akaike's criterion, over the rows that all of them have, and tests with all rows
// that the chosen ones have.
func (s *series) unitRoot() unitRoot {
	n := len(s.x)
	most := min(n/2-2, int(math.Ceil(12*math.Pow(float64(n)/100, 0.25))))
	if most < 0 || s.stats().low == s.stats().high {
		return unitRoot{math.NaN(), math.NaN(), math.NaN()}
	}
	columns, y := s.pastChanges(most)
	level := columns[len(columns)-1]
	copy(columns[2:], columns[1:len(columns)-1]) // constant, level, then the lags one by one
	columns[1] = level
	_, _, left := triangle(columns, y)
	best, lag := math.Inf(1), 0
	for k := 0; k <= most; k++ {
		if aic := float64(len(y))*math.Log(left[k+2]) + 2*float64(k+2); aic < best {
			best, lag = aic, k
		}
	}
	columns, y = s.pastChanges(lag)
	last, along, left := triangle(columns, y) // the level comes last, so its coefficient is along / last
	deviation := math.Sqrt(left[len(columns)] / float64(len(y)-len(columns)))
	statistic := math.Copysign(1, last) * along / deviation
	return unitRoot{statistic, mackinnon(statistic), float64(lag)}
}

// pastChanges gives the columns of the test's regression, a constant, the changes before by 1 to lags, and the level, and the
// changes that they are to explain.
func (s *series) pastChanges(lags int) (columns [][]float64, y []float64) {
	d := s.diffs()
	y = append(y, d[lags:]...)
	constant := make([]float64, len(y))
	for i := range constant {
		constant[i] = 1
	}
	columns = append(columns, constant)
	for lag := 1; lag <= lags; lag++ {
		columns = append(columns, append([]float64(nil), d[lags-lag:len(d)-lag]...))
	}
	return append(columns, append([]float64(nil), s.x[lags:len(s.x)-1]...)), y
}

// triangle reduces the columns, and y with them, to a triangle by Householder's reflections. last is its last diagonal
// element and along what y has in that place; left[k] is the sum of squares that the first k columns leave of y. All are
// changed.
func triangle(columns [][]float64, y []float64) (last, along float64, left []float64) {
	left = append(left, dot(y, y))
	for k, c := range columns {
		if k >= len(y) {
			break
		}
		v := c[k:]
		norm := math.Sqrt(dot(v, v))
		last = -math.Copysign(norm, v[0])
		v[0] -= last
		if weight := dot(v, v); weight > 0 {
			for _, other := range append(columns[k+1:len(columns):len(columns)], y) {
				share := 2 * dot(v, other[k:]) / weight
				for i := range v {
					other[k+i] -= share * v[i]
				}
			}
		}
		along = y[k]
		left = append(left, dot(y[k+1:], y[k+1:]))
	}
	for len(left) <= len(columns) {
		left = append(left, 0)
	}
	return last, along, left
}

// mackinnon approximates the p-value of a Dickey-Fuller statistic with a constant: J. G. MacKinnon, Approximate asymptotic
// distribution functions for unit-root and cointegration tests, Journal of Business & Economic Statistics 12 (1994).
func mackinnon(t float64) float64 {
	var z float64
	switch {
	case math.IsNaN(t):
		return math.NaN()
	case t > 2.74:
		return 1
	case t < -18.83:
		return 0
	case t <= -1.61:
		z = 2.1659 + t*(1.4412+t*0.038269)
	default:
		z = 1.7339 + t*(0.93202+t*(-0.12745-t*0.010368))
	}
	return math.Erfc(-z/math.Sqrt2) / 2
}
