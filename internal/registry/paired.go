package registry

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/heldout"
	"damson/internal/metric"
	"damson/internal/model"
)

// pairedPrefix begins the metrics of gates that compare a version with the champion on the rows that both held out.
const pairedPrefix = "paired."

// Paired reports whether the gate compares with the champion on shared rows: Judge cannot judge it.
func (g Gate) Paired() bool { return strings.HasPrefix(g.metric, pairedPrefix) }

// judgePaired judges a gate on shared rows; c is nil where there is no such comparison, and why says why.
func (g Gate) judgePaired(c *heldout.Comparison, why string, champion *metric.Report) model.Gate {
	out := model.Gate{Expr: g.Expr}
	switch {
	case champion == nil:
		out.Passed, out.Detail = true, "there is no champion to compare with"
		return out
	case c == nil:
		out.Detail = g.metric + " is not known: " + why
		return out
	}
	value, ok := c.Value(strings.TrimPrefix(g.metric, pairedPrefix))
	if !ok {
		out.Detail = fmt.Sprintf("%s is not known: the %d held-out rows of %d groups that both have do not define it", g.metric, c.Rows, c.Groups)
		return out
	}
	out = g.judge(value, champion)
	out.Detail += fmt.Sprintf(", on %d rows of %d groups that both held out", c.Rows, c.Groups)
	return out
}

// pair compares two versions on the held-out rows of both, or says why that cannot be done. Each brings its predictions.
func (r *Registry) pair(ctx context.Context, a, b model.Version, ra, rb metric.Report) (c *heldout.Comparison, why string, err error) {
	var rows [2]heldout.Rows
	for i, v := range []model.Version{a, b} {
		if v.HeldOut == nil {
			return nil, withoutRows(v), nil
		}
		if rows[i], err = heldout.Decode(v.HeldOut); err != nil {
			return nil, "", fmt.Errorf("read the held-out rows of version %d of model %s: %w", v.Number, v.Model, err)
		}
	}
	if why := heldout.WhyNot(rows[0], rows[1]); why != "" {
		return nil, why, nil
	}
	c, err = heldout.Compare(ctx, rows[0], rows[1], ra.Threshold, rb.Threshold)
	return c, "", err
}

// withoutRows says that a version, which has no number before it is registered, cannot be compared row by row.
func withoutRows(v model.Version) string {
	if v.Kind == string(metric.Clustering) {
		return "clusters have other numbers and distances in each version; their reports are compared"
	}
	if v.Number == 0 {
		return "the new version keeps no predictions of held-out rows"
	}
	return fmt.Sprintf("version %d keeps no predictions of held-out rows; older versions did not", v.Number)
}

// withHeldOut reads a version's predictions of held-out rows.
func (r *Registry) withHeldOut(ctx context.Context, v model.Version) (model.Version, error) {
	var err error
	v.HeldOut, err = r.store.HeldOut(ctx, v.Model, v.Number)
	return v, err
}
