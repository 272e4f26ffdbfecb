package linear

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Options of a training, none of which change its result.
type Options struct {
	Threads int // 0 = one a processor
}

// Fit says how the training went.
type Fit struct {
	Iterations int      `json:"iterations"`
	Converged  bool     `json:"converged"`
	Objective  float64  `json:"objective"` // the mean loss, and the penalty
	Warnings   []string `json:"warnings,omitempty"`
}

// Train fits a model. An error is the context's, or says in words which parameter or which column cannot be used.
func Train(ctx context.Context, d Data, p Params, o Options) (*Model, Fit, error) {
	if err := p.Check(); err != nil {
		return nil, Fit{}, err
	}
	if err := d.check(p); err != nil {
		return nil, Fit{}, err
	}
	if d.Rows == nil {
		d.Rows = make([]int32, len(d.Target))
		for i := range d.Rows {
			d.Rows[i] = int32(i)
		}
	}
	order, err := d.ordered(ctx, o.Threads)
	if err != nil {
		return nil, Fit{}, err
	}
	m := &maker{data: &d, params: p, rows: d.Rows, order: order}
	if err := m.weigh(); err != nil {
		return nil, Fit{}, err
	}
	rows, err := m.make(ctx, o.Threads)
	if err != nil {
		return nil, Fit{}, err
	}
	problem := &problem{design: rows, classes: d.Classes, outputs: 1, threads: o.Threads,
		l1: float64(p.Penalty * p.L1Ratio), l2: float64(p.Penalty * (1 - p.L1Ratio))}
	if d.Classes > 2 {
		problem.outputs = d.Classes
	}
	if problem.size() > MaxWeights {
		return nil, Fit{}, fmt.Errorf("%d classes of %d columns each are more than %d coefficients: leave features out or keep fewer levels (max_levels)", problem.outputs, rows.width, MaxWeights)
	}
	middle, scale := 0.0, 1.0
	if d.Classes == 0 {
		middle, scale = problem.standardiseTarget()
	}
	f, err := problem.newton(ctx, problem.start(), cmp.Or(p.MaxIterations, 1000), cmp.Or(p.Tolerance, 1e-8))
	if err != nil {
		return nil, Fit{}, err
	}
	fit := Fit{Iterations: f.iterations, Converged: f.converged, Objective: float64(f.loss * float64(scale*scale)), Warnings: m.warnings}
	if !f.converged {
		fit.Warnings = append(fit.Warnings, fmt.Sprintf("The coefficients had not come to rest after %d iterations. %s", f.iterations, advice(d.Classes, p.Penalty)))
	}
	fitted := m.model(problem, f.beta, middle, scale)
	if err := fitted.checkSlopes(); err != nil {
		return nil, Fit{}, err
	}
	return fitted, fit, nil
}

func advice(classes int, penalty float64) string {
	if classes > 0 && penalty == 0 {
		return "Without a penalty they have no end when a feature tells the classes apart without error: set a penalty, or look for that feature."
	}
	return "Raise max_iter or the penalty."
}

// check refuses what cannot be fitted. It looks at every value once.
func (d *Data) check(p Params) error {
	if len(d.Columns) == 0 || len(d.Columns) > MaxFeatures {
		return fmt.Errorf("%d features; a linear model reads 1 to %d", len(d.Columns), MaxFeatures)
	}
	if d.Classes == 1 || d.Classes < 0 || d.Classes > MaxClasses {
		return fmt.Errorf("%d classes; a model tells 2 to %d apart", d.Classes, MaxClasses)
	}
	if p.ClassWeights != nil && len(p.ClassWeights) != d.Classes {
		return fmt.Errorf("%d weights for %d classes", len(p.ClassWeights), d.Classes)
	}
	n := len(d.Target)
	if n > MaxRows {
		return fmt.Errorf("%d rows; at most %d can be fitted", n, MaxRows)
	}
	for _, c := range d.Columns {
		if c.rows() != n || len(c.Numbers) > 0 && c.Codes != nil {
			panic("linear: columns of different lengths")
		}
		seen := map[string]bool{}
		for _, level := range c.Levels {
			if seen[level] {
				return fmt.Errorf("%q has the level %q twice", c.Name, level)
			}
			seen[level] = true
		}
		for _, code := range c.Codes {
			if code < -1 || int(code) >= len(c.Levels) {
				panic("linear: a code without a level")
			}
		}
	}
	if d.Weights != nil && len(d.Weights) != n || d.Keys != nil && len(d.Keys) != n {
		panic("linear: columns of different lengths")
	}
	return d.checkTarget()
}

func (d *Data) checkTarget() error {
	for i, y := range d.Target {
		switch {
		case d.Weights != nil && !(d.Weights[i] >= 0 && d.Weights[i] <= 1e100):
			return fmt.Errorf("a weight is %v, and must be from 0 to 1e100", d.Weights[i])
		case d.Classes == 0 && !(math.Abs(y) <= maxValue):
			return fmt.Errorf("the target holds %v, and must be a number within ±1e150", y)
		case d.Classes > 0 && !(y >= 0 && y < float64(d.Classes) && y == math.Trunc(y)):
			return fmt.Errorf("the target holds %v, and must be a class from 0 to %d", y, d.Classes-1)
		}
	}
	return nil
}

// weigh multiplies rows' and classes' weights.
func (m *maker) weigh() error {
	d := m.data
	m.own = make([]float64, len(m.order))
	for i, r := range m.order {
		m.own[i] = 1
		if d.Weights != nil {
			m.own[i] = d.Weights[r]
		}
	}
	m.ownSum = sumOf(m.own)
	m.weights = m.own
	if m.params.ClassWeights != nil || m.params.Balanced {
		m.weights = slices.Clone(m.own)
	}
	for i, r := range m.order {
		if m.params.ClassWeights != nil {
			m.weights[i] = float64(m.weights[i] * m.params.ClassWeights[int(d.Target[r])])
		}
	}
	if m.weight = sumOf(m.weights); !(m.weight > 0) {
		return errors.New("there are no rows whose weight is above 0")
	}
	if d.Classes == 0 {
		return nil
	}
	byClass := make([]float64, d.Classes)
	for i, r := range m.order {
		byClass[int(d.Target[r])] += m.weights[i]
	}
	for class, w := range byClass {
		if !(w > 0) {
			return fmt.Errorf("no row that counts is of class %d", class)
		}
	}
	if m.params.Balanced {
		for i, r := range m.order {
			m.weights[i] = float64(m.weights[i] * (m.weight / float64(float64(d.Classes)*byClass[int(d.Target[r])])))
		}
		m.weight = sumOf(m.weights)
	}
	return nil
}

// standardiseTarget brings the target, and the penalty with it, to a mean of 0 and a deviation of 1.
func (p *problem) standardiseTarget() (middle, scale float64) {
	low, high := slices.Min(p.target), slices.Max(p.target)
	middle, scale = moments(p.target, p.weights, p.weight, high-low)
	if !(scale > 1e-150) || scale <= 1e-14*math.Abs(middle) {
		scale = 1 // it does not vary
	}
	for i, y := range p.target {
		p.target[i] = (y - middle) / scale
	}
	p.l1 /= scale
	return middle, scale
}

// start gives coefficients of 0, and the intercepts that are right with them.
func (p *problem) start() []float64 {
	beta := make([]float64, p.size())
	if p.classes == 0 {
		return beta
	}
	share := make([]float64, p.classes)
	for i, y := range p.target {
		share[int(y)] += p.weights[i] / p.weight
	}
	if p.outputs == 1 {
		beta[p.width] = log(share[1]/share[0] + 1e-300)
		return beta
	}
	for k := range share {
		beta[k*p.stride()+p.width] = log(share[k] + 1e-300)
	}
	return beta
}

// tiny coefficients of standardised columns are rounding, and taken as 0.
const tiny = 1e-30

// model reads the unknowns back into features.
func (m *maker) model(p *problem, beta []float64, middle, scale float64) *Model {
	out := &Model{classes: p.classes, features: m.features}
	mean := 0.0 // of several intercepts: only their differences count
	for k := range p.outputs {
		mean += beta[k*p.stride()+p.width] / float64(p.outputs)
	}
	if p.outputs == 1 {
		mean = 0
	}
	for k := range p.outputs {
		own := beta[k*p.stride() : (k+1)*p.stride()]
		at := func(column int) float64 {
			v := float64(own[column] * scale)
			if math.Abs(v) < tiny {
				return 0
			}
			return v
		}
		o := output{intercept: float64((own[p.width]-mean)*scale) + middle}
		for f, where := range m.places {
			value, missing := 0.0, 0.0
			if where.value >= 0 {
				value = at(where.value)
			}
			if where.missing >= 0 {
				missing = at(where.missing)
			}
			levels := make([]float64, len(m.features[f].levels))
			for l := range levels {
				if l >= m.base() {
					levels[l] = at(where.levels + l - m.base())
				}
			}
			o.value, o.missing, o.levels = append(o.value, value), append(o.missing, missing), append(o.levels, levels)
		}
		out.outputs = append(out.outputs, o)
	}
	return out
}
