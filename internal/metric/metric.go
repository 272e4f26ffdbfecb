// Package metric judges predictions against what happened: probabilities of two or of more classes, and numbers; and
// clusters by how far they are apart. It says
// how sure the figures are, what the features do to a model, how two models differ, and whether rows still look like those
// a model was trained on. Its central type is Report: what is known of a trained model, as plain data with a stable JSON form.
//
// Invariants:
//  1. A figure that the rows do not define (an AUC of one class only, the precision of a model that never says yes) is
//     NaN from a function and absent from a Report: never a quiet zero.
//  2. What is drawn at random is drawn by a seed, and depends on the order of the rows at most: give them in an order that
//     their identity decides, and the same rows have the same report.
//  3. Slices that belong together have the same length, or the functions panic. So they do on labels out of range. No value
//     of a probability or of a feature makes them panic.
//
// Of two classes, probabilities are of class 1; labels are 0 or 1. Weights are positive, and nil means 1 each.
//
// The reference numbers in testdata were made by scikit-learn; the names and definitions are its own where it has them. The
// package trains nothing, and looks at a model only through a function that predicts.
package metric

import (
	"math"
	"slices"
	"sort"
)

// Confusion counts rows by what they are and what they were predicted to be.
type Confusion struct {
	TruePositives  int64 `json:"true_positives"`
	FalsePositives int64 `json:"false_positives"`
	TrueNegatives  int64 `json:"true_negatives"`
	FalseNegatives int64 `json:"false_negatives"`
}

// Confuse counts; a row is predicted positive when its probability is at least threshold.
func Confuse(probabilities []float64, labels []uint8, threshold float64) Confusion {
	same(len(probabilities), len(labels))
	var c Confusion
	for i, p := range probabilities {
		switch {
		case p >= threshold && labels[i] == 1:
			c.TruePositives++
		case p >= threshold:
			c.FalsePositives++
		case labels[i] == 1:
			c.FalseNegatives++
		default:
			c.TrueNegatives++
		}
	}
	return c
}

// Rows is the number of rows counted.
func (c Confusion) Rows() int64 {
	return c.TruePositives + c.FalsePositives + c.TrueNegatives + c.FalseNegatives
}

// Accuracy is the share of rows predicted as they are.
func (c Confusion) Accuracy() float64 {
	return float64(c.TruePositives+c.TrueNegatives) / float64(c.Rows())
}

// Precision is the share of true ones among the rows predicted positive.
func (c Confusion) Precision() float64 {
	return float64(c.TruePositives) / float64(c.TruePositives+c.FalsePositives)
}

// Recall is the share of positive rows that were predicted so.
func (c Confusion) Recall() float64 {
	return float64(c.TruePositives) / float64(c.TruePositives+c.FalseNegatives)
}

// F1 is the harmonic mean of precision and recall.
func (c Confusion) F1() float64 {
	return float64(2*c.TruePositives) / float64(2*c.TruePositives+c.FalsePositives+c.FalseNegatives)
}

// WeightedAccuracy is the share of the weight whose rows were predicted as they are.
func WeightedAccuracy(probabilities []float64, labels []uint8, weights []float64, threshold float64) float64 {
	same(len(probabilities), len(labels))
	right, total := 0.0, 0.0
	for i, p := range probabilities {
		w := weightOf(weights, i)
		total += w
		if (p >= threshold) == (labels[i] == 1) {
			right += w
		}
	}
	return right / total
}

// LogLoss is the mean negative logarithm of the probability given to what happened, probabilities being kept 2⁻⁵² away from
// 0 and 1 as scikit-learn does.
func LogLoss(probabilities []float64, labels []uint8) float64 {
	same(len(probabilities), len(labels))
	total := 0.0
	for i, p := range probabilities {
		total += rowLogLoss(p, labels[i])
	}
	return total / float64(len(labels))
}

func rowLogLoss(p float64, label uint8) float64 {
	const epsilon = 0x1p-52
	p = min(max(p, epsilon), 1-epsilon)
	if label == 1 {
		return -math.Log(p)
	}
	return -math.Log1p(-p)
}

// Brier is the mean squared difference between probability and label (G. Brier 1950).
func Brier(probabilities []float64, labels []uint8) float64 {
	same(len(probabilities), len(labels))
	total := 0.0
	for i, p := range probabilities {
		d := p - float64(labels[i])
		total += float64(d * d)
	}
	return total / float64(len(labels))
}

// Bin is one line of a calibration table: the rows whose probability lies above From and up to To, the first bin including 0.
type Bin struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Rows      int64   `json:"rows"`
	Predicted float64 `json:"predicted"` // mean probability
	Observed  float64 `json:"observed"`  // share of positives
}

// Calibration compares probabilities with frequencies in so many bins of equal width. Empty bins are left out.
func Calibration(probabilities []float64, labels []uint8, bins int) []Bin {
	same(len(probabilities), len(labels))
	table := make([]Bin, bins)
	for i, p := range probabilities {
		at := sort.Search(bins-1, func(i int) bool { return p <= float64(i+1)/float64(bins) })
		b := &table[at]
		b.Rows++
		b.Predicted += p
		b.Observed += float64(labels[i])
	}
	filled := []Bin{}
	for i, b := range table {
		if b.Rows == 0 {
			continue
		}
		b.From, b.To = float64(i)/float64(bins), float64(i+1)/float64(bins)
		b.Predicted /= float64(b.Rows)
		b.Observed /= float64(b.Rows)
		filled = append(filled, b)
	}
	return filled
}

func weightOf(weights []float64, i int) float64 {
	if weights == nil {
		return 1
	}
	return weights[i]
}

func same(a, b int) {
	if a != b {
		panic("metric: slices of different lengths")
	}
}

// byProbability gives the rows' indices by falling probability.
func byProbability(probabilities []float64) []int32 {
	order := make([]int32, len(probabilities))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch pa, pb := probabilities[a], probabilities[b]; {
		case pa > pb:
			return -1
		case pa < pb:
			return 1
		}
		return 0
	})
	return order
}
