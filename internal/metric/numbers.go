package metric

import (
	"maps"
	"math"
	"slices"
)

// Numbers judges predictions of a number. A residual is the actual number less the predicted one.
type Numbers struct {
	Actual    Spread       `json:"actual"`
	Residuals []Quantile   `json:"residuals"`
	Bins      []NumberBin  `json:"bins"`   // by predicted number, each with about the same number of rows
	Points    []Pair       `json:"points"` // some of the rows, in equal distances
	ByGroup   []GroupError `json:"by_group,omitempty"`
}

// Spread says between what and around what numbers lie.
type Spread struct {
	Low       float64 `json:"low"`
	Mean      float64 `json:"mean"`
	High      float64 `json:"high"`
	Deviation float64 `json:"deviation"`
}

// Quantile is the number below which a share of all lies, between neighbours in proportion.
type Quantile struct {
	Share float64 `json:"share"`
	Value float64 `json:"value"`
}

// NumberBin is the rows predicted from From to To.
type NumberBin struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Rows      int64   `json:"rows"`
	Predicted float64 `json:"predicted"` // mean
	Actual    float64 `json:"actual"`    // mean
}

// Pair is a row.
type Pair struct {
	Predicted float64 `json:"predicted"`
	Actual    float64 `json:"actual"`
}

// GroupError is the rows of one value of the split's column.
type GroupError struct {
	Group string  `json:"group"`
	Rows  int64   `json:"rows"`
	RMSE  float64 `json:"rmse"`
	Bias  float64 `json:"bias"` // mean of predicted less actual
}

// NumberRows are judged rows of a regression, by column. All numbers are finite.
type NumberRows struct {
	Predicted, Actual []float64
	Weights           []float64 // nil = 1 each
	Groups            []string  // nil = none
}

// pointsKept is how many rows a report keeps to draw.
const pointsKept = 500

// JudgeNumbers makes the report of held-out rows of a regression. What Judge leaves to the caller, it does, too.
func JudgeNumbers(r NumberRows) Report {
	same(len(r.Predicted), len(r.Actual))
	out := Report{Kind: Regression, Rows: int64(len(r.Actual)), Importance: []Importance{}, Metrics: r.basic()}
	residuals := make([]float64, len(r.Actual))
	for i, y := range r.Actual {
		residuals[i] = y - r.Predicted[i]
	}
	slices.Sort(residuals)
	n := &Numbers{Actual: spread(r.Actual), Residuals: []Quantile{}, Bins: r.bins(10), Points: []Pair{}, ByGroup: r.byGroup()}
	if len(residuals) > 0 {
		for _, share := range []float64{0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1} {
			n.Residuals = append(n.Residuals, Quantile{share, quantile(residuals, share)})
		}
	}
	kept := min(len(residuals), pointsKept)
	for i := range kept {
		row := i * len(residuals) / kept
		n.Points = append(n.Points, Pair{r.Predicted[row], r.Actual[row]})
	}
	out.Regression = n
	return out
}

// basic are the metrics of any set of rows of a regression.
func (r *NumberRows) basic() map[string]float64 {
	n := float64(len(r.Actual))
	var square, absolute, relative, difference, most, weight, weightedSquare, weightedAbsolute float64
	errors := make([]float64, len(r.Actual))
	for i, y := range r.Actual {
		d := r.Predicted[i] - y
		e := math.Abs(d)
		errors[i] = e
		square += float64(d * d)
		absolute += e
		difference += d
		relative += e / math.Abs(y) // not defined from the first actual 0 on
		most = max(most, e)
		w := weightOf(r.Weights, i)
		weight += w
		weightedSquare += float64(w * float64(d*d))
		weightedAbsolute += float64(w * e)
	}
	deviation := spread(r.Actual).Deviation
	m := map[string]float64{
		"rmse": math.Sqrt(square / n), "mae": absolute / n, "mape": relative / n, "bias": difference / n, "max_error": most,
		"r2": 1 - square/float64(n*float64(deviation*deviation)), "mean_rmse": deviation,
	}
	if len(errors) > 0 {
		slices.Sort(errors)
		m["median_absolute_error"] = quantile(errors, 0.5)
	} else {
		clear(m) // nothing is known of nothing
	}
	if r.Weights != nil {
		m["weighted_rmse"], m["weighted_mae"] = math.Sqrt(weightedSquare/weight), weightedAbsolute/weight
	}
	return defined(m)
}

// spread gives NaN for the mean and deviation of nothing, 0 for the rest.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	s := Spread{Low: slices.Min(values), High: slices.Max(values)}
	n := float64(len(values))
	for _, v := range values {
		s.Mean += v
	}
	s.Mean /= n
	square := 0.0
	for _, v := range values {
		square += float64((v - s.Mean) * (v - s.Mean))
	}
	s.Deviation = math.Sqrt(square / n)
	return s
}

// quantile of a sorted slice that is not empty, between neighbours in proportion (R. Hyndman and Y. Fan 1996, type 7).
func quantile(sorted []float64, share float64) float64 {
	at := float64(share * float64(len(sorted)-1))
	lo := int(at)
	if lo+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[lo] + float64((at-float64(lo))*(sorted[lo+1]-sorted[lo]))
}

// bins cuts the rows by predicted number into so many parts of about the same size; equal numbers stay together.
func (r *NumberRows) bins(most int) []NumberBin {
	order := byProbability(r.Predicted)
	slices.Reverse(order)
	out := []NumberBin{}
	for i, row := range order {
		last := len(out) - 1
		p := r.Predicted[row]
		if last < 0 || out[last].To != p && i >= len(order)*(last+1)/most {
			out = append(out, NumberBin{From: p})
			last++
		}
		b := &out[last]
		b.To = p
		b.Rows++
		b.Predicted += p
		b.Actual += r.Actual[row]
	}
	for i := range out {
		out[i].Predicted /= float64(out[i].Rows)
		out[i].Actual /= float64(out[i].Rows)
	}
	return out
}

// byGroup gives one line for each group, by name; nil when there are none.
func (r *NumberRows) byGroup() []GroupError {
	if r.Groups == nil {
		return nil
	}
	lines := map[string]*GroupError{}
	for i, name := range r.Groups {
		g := lines[name]
		if g == nil {
			g = &GroupError{Group: name}
			lines[name] = g
		}
		d := r.Predicted[i] - r.Actual[i]
		g.Rows++
		g.RMSE += float64(d * d)
		g.Bias += d
	}
	out := make([]GroupError, 0, len(lines))
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		g := lines[name]
		g.RMSE, g.Bias = math.Sqrt(g.RMSE/float64(g.Rows)), g.Bias/float64(g.Rows)
		out = append(out, *g)
	}
	return out
}

// JudgeNumberFolds makes the report of a cross-validation; fold gives each row's fold, from 0 to k-1.
func JudgeNumberFolds(r NumberRows, fold []int, k int) *Folds {
	same(len(fold), len(r.Actual))
	f := &Folds{K: k, Rows: int64(len(r.Actual)), Metrics: r.basic()}
	for part := range k {
		rows := rowsOf(fold, part)
		own := NumberRows{pick(r.Predicted, rows), pick(r.Actual, rows), pick(r.Weights, rows), pick(r.Groups, rows)}
		f.add(Fold{Rows: int64(len(rows)), Metrics: own.basic()}, own.Groups)
	}
	return f
}
