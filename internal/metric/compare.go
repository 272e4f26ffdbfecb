package metric

import (
	"context"
	"math"
)

// Comparison is of two models on the same rows.
type Comparison struct {
	Rows      int64                 `json:"rows"`
	Groups    int64                 `json:"groups"`
	Resamples int                   `json:"resamples"`
	Level     float64               `json:"level"`
	Metrics   map[string]Difference `json:"metrics"`
	Agreement *Agreement            `json:"agreement,omitempty"` // of classes
}

// Difference is what the second model has more of a metric than the first, and between what that lies in the resamples.
// An interval that does not hold 0 speaks for a difference that other rows would show, too.
type Difference struct {
	First      float64 `json:"first"`
	Second     float64 `json:"second"`
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
}

// Agreement counts rows by which model predicted them right (Q. McNemar 1947).
type Agreement struct {
	Both       int64 `json:"both"`
	FirstOnly  int64 `json:"first_only"`
	SecondOnly int64 `json:"second_only"`
	Neither    int64 `json:"neither"`
}

func (a *Agreement) count(first, second bool) {
	switch {
	case first && second:
		a.Both++
	case first:
		a.FirstOnly++
	case second:
		a.SecondOnly++
	default:
		a.Neither++
	}
}

// Compare compares models of two classes, each with its own threshold, on the labels and groups of the first rows. It
// panics when the labels differ. The error is the context's.
func Compare(ctx context.Context, first, second Rows, firstThreshold, secondThreshold float64, b Bootstrap) (*Comparison, error) {
	same(len(first.Labels), len(second.Labels))
	second.Groups = first.Groups
	a := &Agreement{}
	for i, y := range first.Labels {
		if second.Labels[i] != y {
			panic("metric: the labels of the compared models differ")
		}
		a.count((first.Probabilities[i] >= firstThreshold) == (y == 1), (second.Probabilities[i] >= secondThreshold) == (y == 1))
	}
	out, err := b.compare(ctx, newBinarySampler(first, firstThreshold), newBinarySampler(second, secondThreshold),
		Judge(first, firstThreshold).Metrics, Judge(second, secondThreshold).Metrics)
	if err != nil {
		return nil, err
	}
	out.Rows, out.Agreement = int64(len(first.Labels)), a
	return out, nil
}

// CompareClasses compares models of several classes, as Compare does.
func CompareClasses(ctx context.Context, first, second ClassRows, b Bootstrap) (*Comparison, error) {
	same(len(first.Labels), len(second.Labels))
	second.Groups = first.Groups
	a := &Agreement{}
	one, two := first.predicted(), second.predicted()
	for i, y := range first.Labels {
		if second.Labels[i] != y {
			panic("metric: the labels of the compared models differ")
		}
		a.count(one[i] == y, two[i] == y)
	}
	out, err := b.compare(ctx, newClassSampler(first), newClassSampler(second), JudgeClasses(first).Metrics, JudgeClasses(second).Metrics)
	if err != nil {
		return nil, err
	}
	out.Rows, out.Agreement = int64(len(first.Labels)), a
	return out, nil
}

// CompareNumbers compares regressions, as Compare does.
func CompareNumbers(ctx context.Context, first, second NumberRows, b Bootstrap) (*Comparison, error) {
	same(len(first.Actual), len(second.Actual))
	second.Groups = first.Groups
	for i, y := range first.Actual {
		if second.Actual[i] != y {
			panic("metric: the targets of the compared models differ")
		}
	}
	out, err := b.compare(ctx, newNumberSampler(first), newNumberSampler(second), first.basic(), second.basic())
	if err != nil {
		return nil, err
	}
	out.Rows = int64(len(first.Actual))
	return out, nil
}

// compare draws the same groups for both models, so that what is hard in a resample is hard for both.
func (b Bootstrap) compare(ctx context.Context, first, second sampler, one, two map[string]float64) (*Comparison, error) {
	out := &Comparison{Groups: int64(first.groups()), Resamples: b.resamples(), Level: level, Metrics: map[string]Difference{}}
	if first.groups() < 2 {
		return out, ctx.Err()
	}
	a, err := b.run(ctx, first)
	if err != nil {
		return nil, err
	}
	c, err := b.run(ctx, second)
	if err != nil {
		return nil, err
	}
	for name, values := range a {
		differences := make([]float64, len(values))
		for i := range values {
			differences[i] = c[name][i] - values[i]
		}
		v, known := one[name]
		w, too := two[name]
		if i, ok := middle(differences); ok && known && too && !math.IsNaN(w-v) {
			out.Metrics[name] = Difference{First: v, Second: w, Difference: w - v, Low: i.Low, High: i.High}
		}
	}
	return out, nil
}
