package linear

import (
	"fmt"
	"math"
	"strings"

	"damson/internal/sqltext"
)

// SQL writes each output as one SQL expression over the given columns, which DuckDB, PostgreSQL and the Greenplum family
// read alike. A number's column is a SQL expression of type double precision in which a missing value is NULL, not NaN; a
// category's is one of type text. Outputs agree with PredictRows within 1e-12.
//
// With three classes and more, every expression holds the scores of all of them. Where the text would grow too long,
// compute Scores in a subquery and Probabilities of its columns outside.
func (m *Model) SQL(columns []string) []string { return m.Probabilities(m.Scores(columns)) }

// Scores writes the linear scores, one for each output, with the same additions in the same order as PredictRows. It
// panics on another number of columns than the model has features.
func (m *Model) Scores(columns []string) []string {
	if len(columns) != len(m.features) {
		panic("linear: another number of columns than the model has features")
	}
	out := make([]string, len(m.outputs))
	for k := range m.outputs {
		o := &m.outputs[k]
		w := &sqlWriter{model: m, output: o, columns: columns}
		w.WriteString("(" + sqltext.Double(o.intercept))
		if used := o.used(m); len(used) > 0 {
			w.WriteString(" + ")
			w.sum(used)
		}
		w.WriteByte(')')
		out[k] = w.String()
	}
	return out
}

// Probabilities writes the outputs as expressions over the scores, which are SQL expressions of type double precision.
// Exponents are held within ±700, because PostgreSQL refuses an exp that leaves the range of numbers.
func (m *Model) Probabilities(scores []string) []string {
	if len(scores) != len(m.outputs) {
		panic("linear: another number of scores than the model has outputs")
	}
	exponential := func(of string) string {
		return "exp(least(greatest(" + of + ", float8 '-700'), float8 '700'))"
	}
	out := make([]string, len(scores))
	for k, score := range scores {
		switch {
		case m.classes == 0:
			out[k] = score
		case m.classes == 2:
			out[k] = "(float8 '1' / (float8 '1' + " + exponential("-"+score) + "))"
		default:
			terms := make([]string, len(scores))
			for l, other := range scores {
				terms[l] = exponential(other + " - " + score)
			}
			terms[k] = "float8 '1'"
			out[k] = "(float8 '1' / " + balancedText(terms) + ")"
		}
	}
	return out
}

// balancedText adds as a balanced tree, so that no expression is deeper than a database allows.
func balancedText(terms []string) string {
	if len(terms) == 1 {
		return terms[0]
	}
	half := len(terms) / 2
	return "(" + balancedText(terms[:half]) + " + " + balancedText(terms[half:]) + ")"
}

type sqlWriter struct {
	strings.Builder
	model   *Model
	output  *output
	columns []string
}

// sum halves the terms as prediction.terms does.
func (w *sqlWriter) sum(features []int) {
	if len(features) == 1 {
		w.term(features[0])
		return
	}
	half := len(features) / 2
	w.WriteByte('(')
	w.sum(features[:half])
	w.WriteString(" + ")
	w.sum(features[half:])
	w.WriteByte(')')
}

func (w *sqlWriter) term(f int) {
	own, column := &w.model.features[f], w.columns[f]
	w.WriteString("case when " + column + " is null then " + sqltext.Double(w.output.missing[f]))
	if own.categorical {
		for l, name := range own.levels {
			if v := w.output.levels[f][l]; v != 0 {
				w.WriteString(" when " + column + " = " + sqltext.QuoteLiteral(name) + " then " + sqltext.Double(v))
			}
		}
		w.WriteString(" else float8 '0' end")
		return
	}
	slope := w.output.slope(w.model, f)
	for _, infinite := range []float64{math.Inf(1), math.Inf(-1)} {
		fmt.Fprintf(w, " when %s = %s then %s", column, sqltext.Double(infinite), sqltext.Double(float64(slope*own.deviation(infinite))))
	}
	reach := float64(farthest * own.scale)
	fmt.Fprintf(w, " else %s * least(greatest(%s - %s, %s), %s) end", sqltext.Double(slope), column,
		sqltext.Double(own.mean), sqltext.Double(-reach), sqltext.Double(reach))
}
