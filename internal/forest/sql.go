package forest

import (
	"fmt"
	"math"
	"strings"

	"damson/internal/sqltext"
)

// MaxSQLNodes bounds the forests that are worth scoring as SQL: beyond it a database takes longer to plan and run the
// expression than it takes to stream the rows through PredictRows. docs/models.md has the measurements.
const MaxSQLNodes = 12_000

// SQL writes the forest's probability as one SQL expression over the given columns, which DuckDB, PostgreSQL and the
// Greenplum family read alike and which gives the same number as Predict. Each column is a SQL expression of type double
// precision in which a missing value is NULL: wrap what may be NaN in SQLValue. It panics on another number of columns
// than the forest has features.
//
// Depths stay far below the databases' limits: a CASE for each level of a tree, and a sum whose depth is the logarithm of
// the number of trees (a flat chain of 1,100 terms is refused by DuckDB).
func (f *Forest) SQL(columns []string) string {
	if len(columns) != f.features {
		panic("forest: another number of columns than the forest has features")
	}
	w := &sqlWriter{columns: columns}
	w.WriteByte('(')
	w.sum(f.trees)
	fmt.Fprintf(w, ") / %s", SQLDouble(float64(len(f.trees))))
	return w.String()
}

// SQLValue makes a column that SQL accepts from an expression of any number type.
func SQLValue(expression string) string {
	return fmt.Sprintf("nullif(cast(%s as double precision), float8 'NaN')", expression)
}

// SQLDouble writes a double precision literal that reads back as exactly v.
func SQLDouble(v float64) string { return sqltext.Double(v) }

type sqlWriter struct {
	strings.Builder
	columns []string
}

// sum halves the trees as predict's sum does.
func (w *sqlWriter) sum(trees []tree) {
	if len(trees) == 1 {
		w.node(trees[0], 0)
		return
	}
	half := len(trees) / 2
	w.WriteByte('(')
	w.sum(trees[:half])
	w.WriteString(" + ")
	w.sum(trees[half:])
	w.WriteByte(')')
}

// node relies on a comparison with NULL not being true, so that a missing value takes the ELSE.
func (w *sqlWriter) node(t tree, i int) {
	n := t.nodes[i]
	if n.kind == leafNode {
		w.WriteString(SQLDouble(n.value))
		return
	}
	column := w.columns[n.feature]
	w.WriteString("case when ")
	switch {
	case !math.IsInf(n.value, 1):
		w.WriteString(column + " <= " + SQLDouble(n.value))
		if n.missingLeft {
			w.WriteString(" or " + column + " is null")
		}
	case n.missingLeft:
		w.WriteString("true")
	default:
		w.WriteString(column + " is not null")
	}
	w.WriteString(" then ")
	w.node(t, i+1)
	w.WriteString(" else ")
	w.node(t, int(n.next))
	w.WriteString(" end")
}
