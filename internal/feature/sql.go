package feature

import (
	"fmt"
	"strconv"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// SQL gives SELECT items that compute the features of a column of numbers over the rows of a group, in SQL that DuckDB,
// PostgreSQL and the Greenplum family read alike: `avg(…) as "speed__mean"`. Features that need the order of the rows have
// no such form; the error holds a finding for each.
func SQL(column string, features []Feature) ([]string, error) {
	var wrong diag.Findings
	items := make([]string, 0, len(features))
	v := finite(column)
	for _, f := range features {
		if f.calculator.sql == nil {
			wrong = append(wrong, diag.Finding{Severity: diag.Error, Summary: "No aggregate of SQL", Detail: fmt.Sprintf("%s cannot be computed by GROUP BY.", f.name),
				Fix: "Compute it in a features task: p.features(…). docs/features.md says which calculators there are in SQL."})
			continue
		}
		items = append(items, f.calculator.sql(v, f.args)+" as "+sqltext.QuoteIdent(f.Column(column)))
	}
	return items, wrong.Err()
}

// finite is a column's value as a double precision, NULL unless it is finite: NaN and the infinities less themselves are NaN.
func finite(column string) string {
	name := sqltext.QuoteIdent(column)
	return "case when " + name + " - " + name + " = 0 then cast(" + name + " as double precision) end"
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
