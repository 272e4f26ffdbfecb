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

// HeldOut streams what leaves the database of held-out rows, in the order of their keys, which looks random: hi, lo, label, weight,
// segment, grp, and a model's outputs, computed in steps of which the innermost comes first.
func (r *Rows) HeldOut(ctx context.Context, steps [][]Step, outputs []string) (array.RecordReader, error) {
	var b strings.Builder
	b.WriteString("select hi, lo, label, weight, segment, grp")
	for k, output := range outputs {
		fmt.Fprintf(&b, ", %s as output%d", output, k)
	}
	for _, level := range slices.Backward(steps) {
		b.WriteString("\nfrom (select *")
		for _, own := range level {
			b.WriteString(", " + own.Expression + " as " + own.Name)
		}
	}
	fmt.Fprintf(&b, "\nfrom (select * from %s where %s%s) as features", rowsTable, r.held, r.dialect.fence)
	for n := range steps {
		fmt.Fprintf(&b, "%s) as step%d", r.dialect.fence, n)
	}
	b.WriteString("\norder by hi, lo, id")
	return r.session.Query(ctx, sqltext.Plain("", b.String()))
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
