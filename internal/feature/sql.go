package feature

import (
	"fmt"
	"strconv"

	"damson/internal/diag"
)

// SQL gives for each feature an expression that computes it of a column of numbers over the rows of a group, in SQL that
// DuckDB, PostgreSQL and the Greenplum family read alike: avg(…). column is the column as SQL writes it, in quotes where
// needed. Features that need the order of the rows have no such form; the error holds a finding for each.
func SQL(column string, features []Feature) ([]string, error) {
	var wrong diag.Findings
	expressions := make([]string, 0, len(features))
	v := "case when " + column + " - " + column + " = 0 then cast(" + column + " as double precision) end" // NULL unless finite: NaN and ∞ − ∞ are NaN
	for _, f := range features {
		if f.calculator.sql == nil {
			wrong = append(wrong, diag.Finding{Severity: diag.Error, Summary: "No aggregate of SQL", Detail: fmt.Sprintf("%s cannot be computed by GROUP BY.", f.name),
				Fix: "Compute it in a features task: p.features(…). docs/features.md says which calculators there are in SQL."})
			continue
		}
		expressions = append(expressions, f.calculator.sql(v, f.args))
	}
	return expressions, wrong.Err()
}

func sqlQuantile(v, q string) string {
	return "percentile_cont(" + q + ") within group (order by " + v + ")"
}

func sqlCount(of string) string { return "cast(count(" + of + ") as double precision)" }

// sqlTruth is 1 or 0, and NULL where a side is.
func sqlTruth(a, operator, b string) string {
	return fmt.Sprintf("case when %s %s %s then float8 '1' when not %s %s %s then float8 '0' end", a, operator, b, a, operator, b)
}

// sqlNumber writes a literal of double precision that reads back as exactly the argument.
func sqlNumber(a argument) string {
	return "float8 '" + strconv.FormatFloat(a.number, 'g', -1, 64) + "'"
}
