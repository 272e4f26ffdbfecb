package metric

import (
	"math"
	"sort"
)

// Cut is what a model would do if rows were predicted positive from Threshold on. What a cut does not define is absent.
type Cut struct {
	Threshold float64  `json:"threshold"`
	Predicted int64    `json:"predicted"` // positive
	Precision *float64 `json:"precision,omitempty"`
	Recall    *float64 `json:"recall,omitempty"`
	F1        *float64 `json:"f1,omitempty"`
	Accuracy  float64  `json:"accuracy"`
}

// Cuts gives a table of thresholds from 0.05 to 0.95.
func (c Curve) Cuts() []Cut {
	if len(c.steps) == 0 {
		return []Cut{}
	}
	out := make([]Cut, 19)
	for i := range out {
		threshold := float64(i+1) / 20
		n := c.confusion(threshold)
		out[i] = Cut{Threshold: threshold, Predicted: n.TruePositives + n.FalsePositives, Precision: known(n.Precision()),
			Recall: known(n.Recall()), F1: known(n.F1()), Accuracy: n.Accuracy()}
	}
	return out
}

// confusion is that of a threshold.
func (c Curve) confusion(threshold float64) Confusion {
	// Steps fall; the last one from the threshold on has counted all that is predicted positive.
	at := sort.Search(len(c.steps), func(i int) bool { return c.steps[i].threshold < threshold })
	s := c.before(at)
	return Confusion{TruePositives: s.true, FalsePositives: s.false, TrueNegatives: c.negatives - s.false, FalseNegatives: c.positives - s.true}
}

// known gives nil for what is not defined.
func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Tier is a part of the rows, by falling probability. Rows of one probability that fall into several tiers are shared out
// evenly, so that positives need not be whole.
type Tier struct {
	Rows        int64   `json:"rows"`
	Probability float64 `json:"probability"` // the least
	Positives   float64 `json:"positives"`
	Lift        float64 `json:"lift"`            // share of positives against that of all rows
	Gain        float64 `json:"gain"`            // share of all positives that are in this tier or above
	TotalLift   float64 `json:"cumulative_lift"` // of this tier and those above
}

// Lift cuts the rows into so many tiers of about the same size. None without positives; empty tiers are left out.
func (c Curve) Lift(tiers int) []Tier {
	out := []Tier{}
	if c.positives == 0 {
		return out
	}
	n := c.positives + c.negatives
	rate := float64(c.positives) / float64(n)
	seen, found, at := int64(0), 0.0, 0
	for i := range int64(tiers) {
		upto := n * (i + 1) / int64(tiers)
		if upto == seen {
			continue
		}
		for c.steps[at].true+c.steps[at].false < upto {
			at++
		}
		before, s := c.before(at), c.steps[at]
		share := float64(upto-before.true-before.false) / float64(s.true+s.false-before.true-before.false)
		positives := float64(before.true) + float64(share*float64(s.true-before.true))
		out = append(out, Tier{
			Rows: upto - seen, Probability: s.threshold, Positives: positives - found,
			Lift: (positives - found) / float64(upto-seen) / rate, Gain: positives / float64(c.positives), TotalLift: positives / float64(upto) / rate,
		})
		seen, found = upto, positives
	}
	return out
}
