package pushdown

import (
	"context"
	"fmt"
	"math"
	"strings"

	"damson/internal/sqltext"
	"damson/internal/tree"
)

// Names of the tables that a model is tried on.
const (
	judgedTable = "damson_judged" // held-out rows: n, from 1 in the order of their keys; hi, lo; y, the class or the number; f0, f1, … as numbers
	triedTable  = "damson_tried"  // values that features are given in some of them: variant, feature, n, value
)

// triedAtOnce is how many rows, each with one value changed, one statement predicts.
const triedAtOnce = 500_000

// Judged copies the first held-out rows, at most so many, for a model to be tried on, and tells how many there are. values are the
// features as SQL over FeatureNames, of type double precision: numbers, and the places of texts among their levels, which are looked up
// once for all trials.
func (r *Rows) Judged(ctx context.Context, of Classes, most int, values []string) (int, error) {
	y := "label"
	if of.number() > 0 {
		y = "cast(" + of.sql() + " as bigint)"
	}
	named := make([]string, len(values))
	for f, value := range values {
		named[f] = fmt.Sprintf("%s as f%d", value, f)
	}
	n, err := r.exec(ctx, fmt.Sprintf("create temporary table %s as select n, hi, lo, %s as y, %s from (select *, row_number() over (order by hi, lo, id) as n from %s where %s order by hi, lo, id limit %d) as first_ones",
		judgedTable, y, strings.Join(named, ", "), rowsTable, r.held, most))
	if err != nil || n > 0 {
		return int(n), err
	}
	err = r.each(ctx, "select count(*) from "+judgedTable, func(row []int64) error {
		n = row[0]
		return nil
	})
	return int(n), err
}

// Shuffle gives a feature's values to other rows: in the order of the draw.
type Shuffle struct {
	Feature int
	Draw    tree.Draw
}

// Shuffled scores a model on the rows of Judged as they are, and with each shuffle: AUC of two classes, negative log loss of several, R²
// of numbers; NaN where it is not defined. rows is what Judged gave.
func (r *Rows) Shuffled(ctx context.Context, m Applied, of Classes, rows int, shuffles []Shuffle) (scores []float64, err error) {
	scores = make([]float64, len(shuffles)+1)
	each := max(1, triedAtOnce/max(rows, 1))
	for from := 0; from <= len(shuffles); from += each {
		to := min(from+each, len(shuffles)+1)
		var parts []string
		var features []int
		for variant := from; variant < to; variant++ {
			if variant == 0 {
				parts = append(parts, fmt.Sprintf("select 0 as variant, -1 as feature, n, cast(null as double precision) as value from %s", judgedTable))
				continue
			}
			s := shuffles[variant-1]
			features = append(features, s.Feature)
			parts = append(parts, fmt.Sprintf("select %d as variant, %d as feature, row_number() over (order by %s, n) as n, f%d as value from %s", variant, s.Feature, s.Draw.SQL("hi", "lo"), s.Feature, judgedTable))
		}
		if err := r.try(ctx, strings.Join(parts, "\nunion all\n")); err != nil {
			return nil, err
		}
		found, err := r.all(ctx, scoreSQL(of, r.applied(m, []string{"variant", "y"}, r.tried(features))))
		if err != nil {
			return nil, err
		}
		for _, row := range found {
			scores[row[0].(int64)] = scoreOf(of, row[1:])
		}
	}
	return scores, nil
}

// try puts values to be tried into their table.
func (r *Rows) try(ctx context.Context, sql string) error {
	if _, err := r.exec(ctx, "drop table if exists "+triedTable); err != nil {
		return err
	}
	_, err := r.exec(ctx, "create temporary table "+triedTable+" as "+sql)
	return err
}

// tried is a SELECT of the rows of Judged, with the values to be tried of some features.
func (r *Rows) tried(features []int) string {
	columns := r.FeatureNames()
	for f, name := range columns {
		columns[f] = "judged." + name
	}
	for _, f := range features {
		columns[f] = fmt.Sprintf("case when feature = %d then value else judged.f%d end as f%d", f, f, f)
	}
	return fmt.Sprintf("select variant, y, %s from %s as tried join %s as judged on judged.n = tried.n", strings.Join(columns, ", "), triedTable, judgedTable)
}

// scoreSQL writes a SELECT of what scoreOf takes, for each variant.
func scoreSQL(of Classes, outputs string) string {
	switch n := of.number(); n {
	case 0:
		return "select cast(variant as bigint), avg(output0 - y), var_pop(output0 - y), var_pop(y) from (" + outputs + ") as outputs group by variant"
	case 2:
		// The positives of each output, times twice the negatives below it and once those beside it.
		return `select cast(variant as bigint), cast(sum(positives * (2 * below + negatives)) as double precision), cast(sum(positives) as double precision), cast(sum(negatives) as double precision)
from (select variant, positives, negatives, coalesce(sum(negatives) over (partition by variant order by output0 rows between unbounded preceding and 1 preceding), 0) as below
from (select variant, output0, count(case when y = 1 then 1 end) as positives, count(case when y = 0 then 1 end) as negatives from (` + outputs + `) as outputs group by variant, output0) as steps) as ranked group by variant`
	default:
		var own strings.Builder
		for k := range n - 1 {
			fmt.Fprintf(&own, " when %d then output%d", k, k)
		}
		return fmt.Sprintf("select cast(variant as bigint), avg(ln(greatest(case y%s else output%d end, %s))) from (%s) as outputs group by variant", own.String(), n-1, sqltext.Double(0x1p-52), outputs)
	}
}

// scoreOf makes the score of sums.
func scoreOf(of Classes, sums []any) float64 {
	var v [3]float64
	for i, sum := range sums {
		own, ok := sum.(float64)
		if !ok {
			return math.NaN()
		}
		v[i] = own
	}
	switch of.number() {
	case 0:
		return 1 - (v[1]+v[0]*v[0])/v[2]
	case 2:
		return v[0] / 2 / (v[1] * v[2])
	}
	return v[0]
}

// Setting is a value that a feature is given in all rows: a number, the place of a text, or NaN, which is missing.
type Setting struct {
	Feature int
	Value   float64
}

// Means gives the means of a model's outputs over the first rows of Judged, for each setting.
func (r *Rows) Means(ctx context.Context, m Applied, rows int, settings []Setting) ([][]float64, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	var values []string
	var features []int
	for i, s := range settings {
		value := "cast(null as double precision)"
		if !math.IsNaN(s.Value) {
			value = sqltext.Double(s.Value)
		}
		values, features = append(values, fmt.Sprintf("(%d, %d, %s)", i, s.Feature, value)), append(features, s.Feature)
	}
	err := r.try(ctx, fmt.Sprintf("select variant, feature, n, value from %s cross join (values %s) as given (variant, feature, value) where n <= %d", judgedTable, strings.Join(values, ", "), rows))
	if err != nil {
		return nil, err
	}
	var means strings.Builder
	for k := range m.Outputs {
		fmt.Fprintf(&means, ", avg(output%d)", k)
	}
	found, err := r.all(ctx, fmt.Sprintf("select cast(variant as bigint)%s from (%s) as outputs group by variant", means.String(), r.applied(m, []string{"variant"}, r.tried(features))))
	out := make([][]float64, len(settings))
	for _, row := range found {
		for _, mean := range row[1:] {
			out[row[0].(int64)] = append(out[row[0].(int64)], mean.(float64))
		}
	}
	return out, err
}

// Spread tells of a feature in the rows of Judged how many have a finite number, and whether it is missing in some.
func (r *Rows) Spread(ctx context.Context, f int) (finite int, missing bool, err error) {
	err = r.each(ctx, fmt.Sprintf("select count(case when %s then 1 end), count(*) - count(f%d) from %s", isFinite(fmt.Sprintf("f%d", f)), f, judgedTable), func(row []int64) error {
		finite, missing = int(row[0]), row[1] > 0
		return nil
	})
	return finite, missing, err
}

// Values gives the different finite numbers of a feature in the rows of Judged, or those at some places if there are more than most.
func (r *Rows) Values(ctx context.Context, f, most int, places []int) ([]float64, error) {
	return r.quantiles(ctx, fmt.Sprintf("f%d", f), judgedTable, "1 = 1", most, places)
}

// Words counts the texts of a feature in the rows of Judged, by their places among so many levels.
func (r *Rows) Words(ctx context.Context, f, levels int) (counts []int64, missing bool, err error) {
	counts = make([]int64, levels)
	found, err := r.all(ctx, fmt.Sprintf("select f%d, count(*) from %s group by f%d", f, judgedTable, f))
	for _, row := range found {
		if place, ok := row[0].(float64); ok {
			counts[int(place)] = row[1].(int64)
		} else {
			missing = true
		}
	}
	return counts, missing, err
}
