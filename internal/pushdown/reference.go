package pushdown

import (
	"context"
	"fmt"
	"slices"

	"damson/internal/metric"
	"damson/internal/tree"
)

// Reference says what some features look like in the training rows, as metric.Refer does.
func (r *Rows) Reference(ctx context.Context, features []int) (metric.Reference, error) {
	out := metric.Reference{Rows: r.training, Features: []metric.FeatureReference{}}
	finite, err := r.ofFeatures(ctx, rowsTable+" where not ("+r.held+")", func(f int, name string) string {
		if r.IsText(f) {
			return "0"
		}
		return "count(case when " + isFinite(name) + " then 1 end)"
	})
	if err != nil {
		return out, err
	}
	for _, f := range features {
		var own metric.FeatureReference
		if r.IsText(f) {
			own, err = r.referText(ctx, f)
		} else {
			own, err = r.referNumber(ctx, f, int(finite[f]))
		}
		if err != nil {
			return out, err
		}
		out.Features = append(out.Features, own)
	}
	return out, nil
}

func isFinite(column string) string { return "abs(" + column + ") < float8 'Infinity'" }

func (r *Rows) referText(ctx context.Context, f int) (metric.FeatureReference, error) {
	found, err := r.all(ctx, fmt.Sprintf("select f%d, count(*) from %s where not (%s) group by f%d", f, rowsTable, r.held, f))
	var texts []string
	var counts []int64
	missing := int64(0)
	for _, row := range found {
		if text, ok := row[0].(string); ok {
			texts, counts = append(texts, text), append(counts, row[1].(int64))
		} else {
			missing = row[1].(int64)
		}
	}
	return metric.ReferCategory(r.columns.Features[f].Name, texts, counts, missing), err
}

// referNumber refers a number that so many training rows have.
func (r *Rows) referNumber(ctx context.Context, f, finite int) (metric.FeatureReference, error) {
	out := metric.FeatureReference{Name: r.columns.Features[f].Name}
	column := fmt.Sprintf("f%d", f)
	var err error
	if out.Edges, err = r.quantiles(ctx, column, rowsTable, "not ("+r.held+")", metric.DriftBins, metric.DriftPlaces(finite)); err != nil {
		return out, err
	}
	out.Counts = make([]int64, len(out.Edges)+1)
	err = r.each(ctx, fmt.Sprintf("select code, count(*) from (select cast(%s as bigint) as code from %s where not (%s)) as coded group by code", tree.BinSQL(column, out.Edges), rowsTable, r.held),
		func(row []int64) error {
			if row[0] == 0 {
				out.Missing = row[1]
			} else {
				out.Counts[row[0]-1] = row[1]
			}
			return nil
		})
	return out, err
}

// quantiles gives all different finite values of a column, or those at some places if there are more than most.
func (r *Rows) quantiles(ctx context.Context, column, table, where string, most int, places []int) ([]float64, error) {
	where += " and " + isFinite(column)
	found, err := r.all(ctx, fmt.Sprintf("select %s from %s where %s group by %s limit %d", column, table, where, column, most+1))
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(found))
	for i, row := range found {
		values[i] = row[0].(float64)
	}
	if len(values) > most {
		if values, err = r.at(ctx, column, table, where, places); err != nil {
			return nil, err
		}
	}
	for i := range values {
		values[i] += 0 // no -0
	}
	slices.Sort(values)
	return values, nil
}
