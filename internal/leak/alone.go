package leak

import (
	"cmp"
	"math"
	"slices"
)

// Counts are the rows of each half by code and class: Halves[half][code*Classes + class]. A code is a number's bin, a category's
// level, or "missing"; which is which plays no part.
type Counts struct {
	Classes int
	Halves  [2][]int64
}

// NewCounts makes room for so many codes.
func NewCounts(classes, codes int) Counts {
	return Counts{classes, [2][]int64{make([]int64, codes*classes), make([]int64, codes*classes)}}
}

// Best gives the highest AUC with which the codes of one half tell a class in the other, and of several classes which: each half
// learns and is tried in turn, and the lesser of both counts. 0 when there is none above MostAUC. names may be nil.
func (c Counts) Best(names []string) (auc float64, name string) {
	for class := range c.Classes {
		if c.Classes == 2 && class == 0 {
			continue // what tells class 1 tells class 0
		}
		own := min(c.tells(c.Halves[0], c.Halves[1], class), c.tells(c.Halves[1], c.Halves[0], class))
		if own > MostAUC && own > auc {
			auc = own
			if c.Classes > 2 {
				name = nameOf(names, class)
			}
		}
	}
	return auc, name
}

// share is a code of the tried half, at the share of the class in the learned one.
type share struct {
	share    float64
	own, not int64
}

// tells orders codes by the share of a class in the learned half, and gives the AUC of that order in the tried half; codes that
// were not learned stand at the share of all. NaN when nothing was learned, or the tried half has
// rows of one side only.
func (c Counts) tells(learned, tried []int64, class int) float64 {
	var own, rows int64
	for i, n := range learned {
		rows += n
		if i%c.Classes == class {
			own += n
		}
	}
	if rows == 0 {
		return math.NaN()
	}
	var all []share
	for from := 0; from < len(learned); from += c.Classes {
		s := share{share: float64(own) / float64(rows), own: tried[from+class]}
		if seen := sum(learned[from : from+c.Classes]); seen > 0 {
			s.share = float64(learned[from+class]) / float64(seen)
		}
		if s.not = sum(tried[from:from+c.Classes]) - s.own; s.own+s.not > 0 {
			all = append(all, s)
		}
	}
	return area(all)
}

func sum(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// area is the AUC of the order of shares.
func area(all []share) float64 {
	slices.SortFunc(all, func(a, b share) int { return cmp.Compare(a.share, b.share) })
	won, below, positives, negatives := 0.0, int64(0), int64(0), int64(0)
	for i := 0; i < len(all); {
		var p, n int64
		for at := all[i].share; i < len(all) && all[i].share == at; i++ {
			p, n = p+all[i].own, n+all[i].not
		}
		won += float64(p) * (float64(below) + float64(n)/2)
		below += n
		positives, negatives = positives+p, negatives+n
	}
	return won / (float64(positives) * float64(negatives))
}

// Mean describes the target in the rows of a code.
type Mean struct {
	Rows           int64
	Mean, Variance float64
}

// add takes a number in, Variance being the sum of squared distances meanwhile (B. P. Welford 1962).
func (m *Mean) add(y float64) {
	m.Rows++
	off := y - m.Mean
	m.Mean += off / float64(m.Rows)
	m.Variance += off * (y - m.Mean)
}

// squares is the sum of squared distances from a number.
func (m Mean) squares(from float64) float64 {
	off := m.Mean - from
	return float64(m.Rows) * (m.Variance + off*off)
}

// Explained gives the share of the target's variance in each half that the other half's means by code explain, the lesser of both.
func Explained(halves [2][]Mean) float64 {
	return min(explained(halves[1], halves[0]), explained(halves[0], halves[1]))
}

func explained(learned, tried []Mean) float64 {
	other, own := total(learned), total(tried)
	missed, variance, rows := 0.0, 0.0, int64(0)
	for code, m := range tried {
		if m.Rows == 0 {
			continue
		}
		rows += m.Rows
		guess := other
		if learned[code].Rows > 0 {
			guess = learned[code].Mean
		}
		missed += m.squares(guess)
		variance += m.squares(own)
	}
	if !(variance > float64(rows)*LeastSpread*LeastSpread) {
		return math.NaN()
	}
	return 1 - missed/variance
}

// total is the mean of all rows, NaN of none.
func total(of []Mean) float64 {
	rows, mean := int64(0), math.NaN()
	for _, m := range of {
		rows += m.Rows
		switch {
		case m.Rows == 0:
		case rows == m.Rows: // the first ones
			mean = m.Mean
		default:
			mean += (m.Mean - mean) * float64(m.Rows) / float64(rows)
		}
	}
	return mean
}
