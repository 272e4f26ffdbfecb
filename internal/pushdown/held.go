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

// Applied is a model as SQL over FeatureNames: steps one around the other, of which the innermost comes first, and outputs.
type Applied struct {
	Steps   [][]Step
	Outputs []string
}

// applied writes a SELECT of some columns of another one, and of the model's outputs for its rows: output0, …
func (r *Rows) applied(m Applied, columns, of string) string {
	var b strings.Builder
	b.WriteString("select " + columns)
	for k, output := range m.Outputs {
		fmt.Fprintf(&b, ", %s as output%d", output, k)
	}
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

// HeldOut streams what leaves the database of held-out rows, in the order of their keys, which looks random: hi, lo, label, weight,
// segment, grp, and a model's outputs.
func (r *Rows) HeldOut(ctx context.Context, m Applied) (array.RecordReader, error) {
	sql := r.applied(m, "hi, lo, id, label, weight, segment, grp", fmt.Sprintf("select * from %s where %s", rowsTable, r.held))
	var outputs strings.Builder
	for k := range m.Outputs {
		fmt.Fprintf(&outputs, ", output%d", k)
	}
	return r.session.Query(ctx, sqltext.Plain("", fmt.Sprintf("select hi, lo, label, weight, segment, grp%s from (%s) as judged order by hi, lo, id", outputs.String(), sql)))
}

// Fingerprint names the set of rows, whatever their order: sums of the database's own hashes of all that stands in them. The same
// rows in another kind of database have another one.
func (r *Rows) Fingerprint(ctx context.Context) (string, error) {
	columns := append([]string{"id", "label", "weight", "moment", "segment", "grp"}, r.FeatureNames()...)
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
