// Package heldout keeps what a version predicted for its held-out rows, so that two versions can be compared row by row later.
// Its central type is Rows; Encode makes it small, Compare sets two side by side. It neither predicts nor stores.
//
// Invariants:
//  1. Rows are in the order of their keys, and no key comes twice.
//  2. Of more rows than Most allows, those with the lowest keys are kept. Keys are hashes of ids: what is kept is a random sample,
//     and of two versions nearly the same one.
package heldout

import (
	"context"
	"fmt"
	"slices"

	"damson/internal/metric"
)

// Bounds of what is kept.
const (
	mostRows   = 50_000
	mostValues = 1 << 18 // outputs of all rows together: 2 MiB
)

// Most is how many rows are kept of a model with so many outputs.
func Most(outputs int) int { return min(mostRows, mostValues/max(outputs, 1)) }

// Rows are held-out rows and what was predicted for them, by column.
type Rows struct {
	Kind    metric.Kind
	Classes []string    // of a model of classes
	All     int64       // rows that were held out, of which these are kept
	Keys    []uint64    // hashes of the ids, ascending
	Groups  []uint64    // hashes of the split's groups; nil = every row is one
	Targets []float64   // the class's place among Classes, or the number
	Outputs [][]float64 // by output
}

// Comparison is of two versions, a and b, on the rows that both held out.
type Comparison struct {
	Rows      int64        `json:"rows"`    // that both have
	Changed   int64        `json:"changed"` // that both have, with another target each: not compared
	OnlyA     int64        `json:"only_a"`  // kept by one of them
	OnlyB     int64        `json:"only_b"`
	Sampled   bool         `json:"sampled"` // one of them held out more rows than are kept
	Groups    int64        `json:"groups"`
	Resamples int          `json:"resamples"`
	Level     float64      `json:"level"`
	Metrics   []Difference `json:"metrics"` // empty with fewer than two groups
	Agreement *Agreement   `json:"agreement,omitempty"`
}

// Difference is what a has more of a metric than b, and the ends of its interval.
type Difference struct {
	Metric     string  `json:"metric"`
	A          float64 `json:"a"`
	B          float64 `json:"b"`
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
}

// Agreement counts rows by which version predicted their class right (Q. McNemar 1947).
type Agreement struct {
	Both    int64 `json:"both"`
	OnlyA   int64 `json:"only_a"`
	OnlyB   int64 `json:"only_b"`
	Neither int64 `json:"neither"`
}

// WhyNot says why two versions cannot be compared row by row, "" when they can.
func WhyNot(a, b Rows) string {
	switch {
	case a.Kind != b.Kind:
		return fmt.Sprintf("one is a %s model, the other a %s model", a.Kind, b.Kind)
	case !slices.Equal(a.Classes, b.Classes):
		return fmt.Sprintf("they tell different classes apart: %q and %q", a.Classes, b.Classes)
	}
	return ""
}

// Value gives a difference by its metric's name, or an end of its interval: "auc", "auc.low", "auc.high".
func (c *Comparison) Value(name string) (float64, bool) {
	for _, m := range c.Metrics {
		switch name {
		case m.Metric:
			return m.Difference, true
		case m.Metric + ".low":
			return m.Low, true
		case m.Metric + ".high":
			return m.High, true
		}
	}
	return 0, false
}

// resamples is enough for the ends of a 95 % interval to hold still.
const resamples = 1000

// Compare compares two versions, each of two classes with its own threshold, on the rows that both held out. Where WhyNot says
// something it panics. The error is the context's.
func Compare(ctx context.Context, a, b Rows, thresholdA, thresholdB float64) (*Comparison, error) {
	if why := WhyNot(a, b); why != "" {
		panic("heldout: " + why)
	}
	p := join(a, b)
	out := &Comparison{Rows: int64(len(p.a)), Changed: p.changed, Sampled: a.All > int64(len(a.Keys)) || b.All > int64(len(b.Keys)), Metrics: []Difference{}}
	shared := out.Rows + out.Changed
	out.OnlyA, out.OnlyB = int64(len(a.Keys))-shared, int64(len(b.Keys))-shared
	if out.Rows == 0 {
		return out, ctx.Err()
	}
	a, b = a.picked(p.a), b.picked(p.b)
	if a.Groups == nil {
		a.Groups = b.Groups
	}
	draws := metric.Bootstrap{Resamples: resamples}
	var c *metric.Comparison
	var err error
	switch a.Kind { // metric takes the second's less the first's
	case metric.Binary:
		c, err = metric.Compare(ctx, b.binary(a), a.binary(a), thresholdB, thresholdA, draws)
	case metric.Multiclass:
		c, err = metric.CompareClasses(ctx, b.several(a), a.several(a), draws)
	default:
		c, err = metric.CompareNumbers(ctx, b.numbers(a), a.numbers(a), draws)
	}
	if err != nil {
		return nil, err
	}
	out.Groups, out.Resamples, out.Level = c.Groups, c.Resamples, c.Level
	for _, name := range metric.Names(a.Kind) {
		if d, ok := c.Metrics[name]; ok {
			out.Metrics = append(out.Metrics, Difference{name, d.Second, d.First, d.Difference, d.Low, d.High})
		}
	}
	if g := c.Agreement; g != nil {
		out.Agreement = &Agreement{Both: g.Both, OnlyA: g.SecondOnly, OnlyB: g.FirstOnly, Neither: g.Neither}
	}
	return out, nil
}

// pairs are the places of the rows that two versions share.
type pairs struct {
	a, b    []int32
	changed int64
}

func join(a, b Rows) (p pairs) {
	for i, j := 0, 0; i < len(a.Keys) && j < len(b.Keys); {
		switch {
		case a.Keys[i] < b.Keys[j]:
			i++
			continue
		case a.Keys[i] > b.Keys[j]:
			j++
			continue
		case a.Targets[i] != b.Targets[j]:
			p.changed++
		default:
			p.a, p.b = append(p.a, int32(i)), append(p.b, int32(j))
		}
		i++
		j++
	}
	return p
}

func (r Rows) picked(rows []int32) Rows {
	out := Rows{Kind: r.Kind, Classes: r.Classes, Targets: pick(r.Targets, rows), Outputs: make([][]float64, len(r.Outputs))}
	if r.Groups != nil {
		out.Groups = pick(r.Groups, rows)
	}
	for k, own := range r.Outputs {
		out.Outputs[k] = pick(own, rows)
	}
	return out
}

func pick[T any](values []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}

// names gives the groups as package metric takes them; nil when every row is one.
func (r Rows) names() []string {
	if r.Groups == nil {
		return nil
	}
	out := make([]string, len(r.Groups))
	for i, g := range r.Groups {
		out[i] = fmt.Sprintf("%016x", g)
	}
	return out
}

// binary, several and numbers give rows as package metric takes them, with the groups of others.
func (r Rows) binary(groups Rows) metric.Rows {
	out := metric.Rows{Probabilities: r.Outputs[0], Labels: make([]uint8, len(r.Targets)), Groups: groups.names()}
	for i, y := range r.Targets {
		out.Labels[i] = uint8(y)
	}
	return out
}

func (r Rows) several(groups Rows) metric.ClassRows {
	out := metric.ClassRows{Names: r.Classes, Probabilities: r.Outputs, Labels: make([]int32, len(r.Targets)), Groups: groups.names()}
	for i, y := range r.Targets {
		out.Labels[i] = int32(y)
	}
	return out
}

func (r Rows) numbers(groups Rows) metric.NumberRows {
	return metric.NumberRows{Predicted: r.Outputs[0], Actual: r.Targets, Groups: groups.names()}
}
