package tasks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/scoring"
	"damson/internal/sqltext"
)

// late gathers a version's predictions with labels that came later.
type late struct {
	kind      metric.Kind
	target    string
	threshold float64
	text      bool // labels are texts
	classes   []string
	predicted []string // of the predictions: one for each output
	outputs   [][]float64
	classOf   []int32
	numbers   []float64
}

func newLate(m pipeline.Model, v model.Version) (*late, error) {
	added, err := scoring.Added(v)
	if err != nil {
		return nil, err
	}
	l := &late{kind: metric.Kind(cmp.Or(v.Kind, string(metric.Binary))), target: m.Target, threshold: cmp.Or(m.Threshold, 0.5), text: v.TextClasses, classes: v.Classes}
	switch l.kind {
	case metric.Regression:
		l.predicted = []string{"prediction"}
	case metric.Binary:
		l.predicted = []string{"probability"}
		if len(l.classes) == 0 {
			l.classes = []string{"0", "1"}
		}
	default:
		for _, c := range added {
			if strings.HasPrefix(c.Name, "probability_") {
				l.predicted = append(l.predicted, c.Name)
			}
		}
		if len(l.predicted) != len(l.classes) {
			return nil, fmt.Errorf("judge past predictions of model %s: with %d classes its predictions do not hold each class's probability", m.Name, len(l.classes))
		}
	}
	l.outputs = make([][]float64, len(l.predicted))
	return l, nil
}

// columns writes what to select: the outputs, and the label last.
func (l *late) columns() string {
	var names []string
	for _, c := range l.predicted {
		names = append(names, "p."+sqltext.QuoteIdent(c))
	}
	kind := "bigint"
	switch {
	case l.kind == metric.Regression:
		kind = "double precision"
	case l.text:
		kind = "text"
	}
	return strings.Join(append(names, fmt.Sprintf("CAST(l.%s AS %s)", sqltext.QuoteIdent(l.target), kind)), ", ")
}

// add takes in a row that columns selected.
func (l *late) add(row []any) {
	outputs := make([]float64, len(l.outputs))
	for k := range outputs {
		v, ok := row[k].(float64)
		if !ok {
			return
		}
		outputs[k] = v
	}
	label := row[len(outputs)]
	if l.kind == metric.Regression {
		number, ok := label.(float64)
		if !ok {
			return
		}
		l.numbers = append(l.numbers, number)
	} else {
		class := slices.Index(l.classes, fmt.Sprint(label))
		if class < 0 {
			return
		}
		l.classOf = append(l.classOf, int32(class))
	}
	for k, v := range outputs {
		l.outputs[k] = append(l.outputs[k], v)
	}
}

func (l *late) judge() metric.Report {
	switch l.kind {
	case metric.Regression:
		return metric.JudgeNumbers(metric.NumberRows{Predicted: l.outputs[0], Actual: l.numbers})
	case metric.Multiclass:
		return metric.JudgeClasses(metric.ClassRows{Names: l.classes, Probabilities: l.outputs, Labels: l.classOf})
	}
	labels := make([]uint8, len(l.classOf))
	for i, class := range l.classOf {
		labels[i] = uint8(class)
	}
	return metric.Judge(metric.Rows{Probabilities: l.outputs[0], Labels: labels}, l.threshold)
}
