package pushdown

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/sqltext"
	"damson/internal/tree"
)

// Step is a column that a subquery adds, as a model's SQL needs it.
type Step struct{ Name, Expression string }

// FeatureNames are the features' columns, as a model's SQL reads them: of type double precision, or text, NULL when missing. Names
// that begin with another letter than f are free.
func (r *Rows) FeatureNames() []string {
	names := make([]string, len(r.columns.Features))
	for f := range names {
		names[f] = fmt.Sprintf("f%d", f)
	}
	return names
}

// Known streams what leaves the database of held-out rows, or of all: hi, lo, label, weight, segment, grp, the group of the
// cross-validation, and 1 for held-out ones. They come in the order of their keys, which looks random.
func (r *Rows) Known(ctx context.Context, all bool) (array.RecordReader, error) {
	where := ""
	if !all {
		where = " where " + r.held
	}
	return r.session.Query(ctx, sqltext.Plain("", fmt.Sprintf("select hi, lo, label, weight, segment, grp, %s, cast(case when %s then 1 else 0 end as bigint) as held from %s%s order by hi, lo, id",
		r.foldGroup(), r.held, rowsTable, where)))
}

// Applied is a model as SQL over FeatureNames: columns computed in steps of which the innermost comes first, and outputs.
type Applied struct {
	Steps   [][]Step
	Outputs []string
}

// Scoring writes a model as SQL.
type Scoring func(m *tree.Model) Applied

// applied writes a SELECT of some columns of another one, and of the model's outputs for its rows: output0, …
func (r *Rows) applied(m Applied, columns []string, of string) string {
	items := slices.Clone(columns)
	for k, output := range m.Outputs {
		items = append(items, fmt.Sprintf("%s as output%d", output, k))
	}
	var b strings.Builder
	b.WriteString("select " + strings.Join(items, ", "))
	for _, level := range slices.Backward(m.Steps) {
		b.WriteString("\nfrom (select *")
		for _, own := range level {
			b.WriteString(", " + own.Expression + " as " + own.Name)
		}
	}
	fmt.Fprintf(&b, "\nfrom (%s%s) as features", of, r.dialect.fence)
	for n := range m.Steps {
		fmt.Fprintf(&b, "%s) as step%d", r.dialect.fence, n)
	}
	return b.String()
}

// Predict gives the model's outputs, by output, for the rows that the part watches, in the order of their keys. A model too large for
// one statement is added up from parts.
func (p *Part) Predict(ctx context.Context, m *tree.Model, scoring Scoring) (outputs [][]float64, err error) {
	parts := m.Parts()
	if len(parts) == 1 && len(parts[0]) == 1 {
		return p.outputs(ctx, m, scoring)
	}
	for _, part := range parts {
		var sums [][]float64
		for _, one := range part {
			own, err := p.outputs(ctx, one, scoring)
			if err != nil {
				return nil, err
			}
			sums = added(sums, own)
		}
		outputs = added(outputs, sums)
	}
	for _, output := range outputs {
		for i := range output {
			output[i] /= float64(m.Trees())
		}
	}
	return outputs, nil
}

// added adds more to sums, which may be nil.
func added(sums, more [][]float64) [][]float64 {
	if sums == nil {
		return more
	}
	for k, output := range more {
		for i, v := range output {
			sums[k][i] += v
		}
	}
	return sums
}

// outputs brings the outputs of one statement.
func (p *Part) outputs(ctx context.Context, m *tree.Model, scoring Scoring) ([][]float64, error) {
	own := scoring(m)
	sql := p.applied(own, nil, fmt.Sprintf("select * from %s as r where %s", p.from, p.watched)) + "\norder by hi, lo, id"
	reader, err := p.session.Query(ctx, sqltext.Plain("", sql))
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	outputs := make([][]float64, len(own.Outputs))
	for reader.Next() {
		for k := range outputs {
			outputs[k] = append(outputs[k], reader.RecordBatch().Column(k).(*array.Float64).Values()...)
		}
	}
	return outputs, reader.Err()
}

// Fingerprint names the set of rows, whatever their order: sums of the database's own hashes of all that stands in them. The same
// rows in another kind of database have another one.
func (r *Rows) Fingerprint(ctx context.Context) (string, error) {
	columns := append([]string{"id", "label", "weight", "moment", "segment", "grp"}, r.FeatureNames()...)
	if r.columns.Fold.Name != "" {
		columns = append(columns, "fgrp")
	}
	found, err := r.all(ctx, fmt.Sprintf("select count(*), cast(sum(a) as bigint), cast(sum(b) as bigint) from (%s) as hashes", r.dialect.hashes(columns, rowsTable)))
	if err != nil {
		return "", err
	}
	names := make([]string, len(r.columns.Features))
	for f, own := range r.columns.Features {
		names[f] = own.Name
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "in the database %q %v", names, found[0]))
	return hex.EncodeToString(sum[:]), nil
}
