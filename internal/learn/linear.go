package learn

import (
	"context"
	"fmt"
	"math"

	"damson/internal/linear"
	"damson/internal/metric"
	"damson/internal/pipeline"
)

var logisticRegression = Algorithm{
	Name: "logistic_regression", Kinds: []metric.Kind{metric.Binary, metric.Multiclass}, Classes: linear.MaxClasses,
	Features: linear.MaxFeatures, Texts: true, Bytes: 20,
	Steps:  func(pipeline.Model) int { return 0 },
	Check:  func(m pipeline.Model) error { return linearParams(m, 1).Check() },
	Train:  trainLinear,
	Decode: decodeLinear,
}

var linearRegression = Algorithm{
	Name: "linear_regression", Kinds: []metric.Kind{metric.Regression},
	Features: linear.MaxFeatures, Texts: true, Bytes: 20,
	Steps:  func(pipeline.Model) int { return 0 },
	Check:  func(m pipeline.Model) error { return linearParams(m, 1).Check() },
	Train:  trainLinear,
	Decode: decodeLinear,
}

// linearParams turns C into the penalty λ = 1 / (C·W), where W is what the rows weigh together.
func linearParams(m pipeline.Model, weight float64) linear.Params {
	var p linear.Params
	var f pipeline.Fit
	if l := m.Logistic; l != nil {
		f, p.L1Ratio = l.Fit, l.L1Ratio
		if l.C != 0 {
			p.Penalty = 1 / (l.C * weight)
		}
	}
	if l := m.Linear; l != nil {
		f, p.L1Ratio, p.Penalty = l.Fit, l.L1Ratio, l.Alpha
	}
	p.MaxIterations, p.Tolerance, p.MissingIndicators, p.MaxLevels = f.MaxIterations, f.Tolerance, f.MissingIndicators, f.MaxLevels
	return p
}

func trainLinear(ctx context.Context, l Lesson) (Predictor, []string, error) {
	weight := float64(len(l.Rows))
	if l.Weights != nil {
		counts := make([]int, l.Classes)
		for _, r := range l.Rows {
			counts[int(l.Target[r])]++
		}
		weight = 0
		for class, n := range counts {
			weight += float64(float64(n) * l.Weights[class])
		}
	}
	p := linearParams(l.Model, weight)
	p.ClassWeights = l.Weights
	d := linear.Data{Columns: linearColumns(l.Features, l.Columns), Target: l.Target, Classes: l.Classes, Rows: l.Rows}
	m, fit, err := linear.Train(ctx, d, p, linear.Options{Threads: l.Threads})
	if err != nil {
		return nil, nil, err
	}
	return regression{m, l.Features}, fit.Warnings, nil
}

func decodeLinear(artifact []byte, features []Feature) (Predictor, error) {
	m, err := linear.Decode(artifact)
	if err != nil {
		return nil, err
	}
	return regression{m, features}, checkFeatures(m.Features(), len(features))
}

// regression is a linear model as a predictor.
type regression struct {
	*linear.Model
	features []Feature
}

// linearColumns gives the columns as package linear takes them. A level that no text can be stands for the unseen ones.
func linearColumns(features []Feature, columns [][]float64) []linear.Column {
	out := make([]linear.Column, len(features))
	for f, own := range features {
		out[f].Name = own.Name
		if own.Levels == nil {
			out[f].Numbers = columns[f]
			continue
		}
		out[f].Levels = append(own.Levels[:len(own.Levels):len(own.Levels)], "\xff unseen")
		out[f].Codes = CodesOf(columns[f])
	}
	return out
}

// CodesOf gives places among levels as integers, -1 being "missing".
func CodesOf(column []float64) []int32 {
	out := make([]int32, len(column))
	for i, v := range column {
		if v != v {
			out[i] = -1
		} else {
			out[i] = int32(v)
		}
	}
	return out
}

func (m regression) PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error) {
	return m.Model.PredictRows(ctx, linearColumns(m.features, columns), rows, threads)
}

// SQL computes the scores in a step of their own where several probabilities are made of them.
func (m regression) SQL(columns []string, prefix string) Scoring {
	scores := m.Scores(columns)
	if len(scores) == 1 {
		return Scoring{Outputs: m.Probabilities(scores)}
	}
	var step []Item
	names := make([]string, len(scores))
	for k, score := range scores {
		names[k] = fmt.Sprintf("%sscore%d", prefix, k)
		step = append(step, Item{names[k], score})
	}
	return Scoring{Steps: [][]Item{step}, Outputs: m.Probabilities(names)}
}

// Nodes counts the terms of the scores, a level being one, and the exponentials of several classes.
func (m regression) Nodes() int {
	n := 0
	for _, c := range m.Coefficients() {
		if c.Value != 0 {
			n++
		}
	}
	if k := m.Outputs(); k > 1 {
		n += k * k
	}
	return n
}

// Importance is by the size of the coefficients for a standard deviation, of a text that of its largest; their sum is 1,
// or 0 when there is none.
func (m regression) Importance() []float64 {
	own := map[string]int{}
	for f, feature := range m.features {
		own[feature.Name] = f
	}
	out := make([]float64, len(m.features))
	most := make([]float64, len(m.features))
	add := func() {
		for f, v := range most {
			out[f] += v
			most[f] = 0
		}
	}
	output := 0
	for _, c := range m.Coefficients() {
		if c.Output != output {
			add()
			output = c.Output
		}
		if f, ok := own[c.Feature]; ok {
			most[f] = max(most[f], math.Abs(c.Scaled))
		}
	}
	add()
	total := 0.0
	for _, v := range out {
		total += v
	}
	for f := range out {
		if total > 0 {
			out[f] /= total
		}
	}
	return out
}
