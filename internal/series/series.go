// Package series turns rows into features of time series. Its central function is Extract: from a stream of rows, in which
// those of a series stand together and in their order, it makes a stream with one row for each series. Select writes the SQL
// that puts rows in that order; the database sorts, so that memory holds a few series and never all.
//
// Invariants:
//  1. The same set of rows gives the same features, whatever order the database keeps them in: rows that are equal in id and
//     sort are ordered by the columns that are kept and by the values.
//  2. A series' row comes out in the order of the ids, whichever thread computed it.
//  3. Memory is bounded by batchSeries, batchValues and the longest series.
//
// It computes nothing itself (package feature does) and writes no table.
package series

import (
	"fmt"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// Plan is a features task whose columns have been found in its source.
type Plan struct {
	features []feature.Feature
	task     pipeline.Features
	carried  []driver.Column // id first; the names are the source's
	sort     []driver.Column
	values   []driver.Column
	at       diag.Pos
}

// NewPlan finds the task's columns among those of its source, as the warehouse describes them. at is the place of the
// source. What is missing or no number comes back as findings.
func NewPlan(f pipeline.Features, source []driver.Column, at diag.Pos) (*Plan, error) {
	features, err := feature.Select(f.Calculators)
	if err != nil {
		return nil, err
	}
	p := &Plan{features: features, task: f, at: at}
	var all diag.Findings
	find := func(names []string, part string, fits func(driver.Column) string) (found []driver.Column) {
		for _, name := range names {
			c, ok := columnNamed(source, name)
			if !ok {
				all = append(all, missing(at, name, part, source))
				continue
			}
			if fix := fits(c); fix != "" {
				all = append(all, diag.Finding{At: at, Severity: diag.Error, Summary: "No numbers",
					Detail: fmt.Sprintf("%s names the column %q, which is %s.", part, c.Name, c.Native), Fix: fix})
			}
			found = append(found, c)
		}
		return found
	}
	any := func(driver.Column) string { return "" }
	p.carried = find(f.Carried(), "id, keep or partition_by", any)
	p.sort = find(f.Sort, "sort", any)
	p.values = find(f.Values, "values", func(c driver.Column) string {
		switch c.Type {
		case driver.Bigint, driver.Double:
			return ""
		case driver.Boolean:
			return fmt.Sprintf("Make a number of it in the source's SELECT: cast(%s as integer).", c.Name)
		}
		return "Name columns of numbers, or make a number of it in the source's SELECT."
	})
	return p, all.Err()
}

func columnNamed(columns []driver.Column, name string) (driver.Column, bool) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		if i := slices.IndexFunc(columns, func(c driver.Column) bool { return same(c.Name, name) }); i >= 0 {
			return columns[i], true
		}
	}
	return driver.Column{}, false
}

func missing(at diag.Pos, name, part string, source []driver.Column) diag.Finding {
	names := make([]string, len(source))
	for i, c := range source {
		names[i] = c.Name
	}
	fix := diag.DidYouMean(name, names)
	if fix == "" {
		fix = "Add it to the source's SELECT."
	}
	return diag.Finding{At: at, Severity: diag.Error, Summary: "Column missing",
		Detail: fmt.Sprintf("%s names the column %q, and the source gives %s.", part, name, strings.Join(names, ", ")), Fix: fix}
}

// Select gives the rows of source in the order that Extract needs, with the columns that the plan reads and no others.
func (p *Plan) Select(source sqltext.Text) sqltext.Text {
	order := func(columns ...[]driver.Column) []string {
		var names []string
		for _, c := range slices.Concat(columns...) {
			if name := sqltext.QuoteIdent(c.Name); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names
	}
	if statements := source.Split(); len(statements) == 1 {
		source = statements[0] // without a semicolon at its end
	}
	id := p.carried[:len(p.task.ID)]
	var b sqltext.Builder
	b.Add("select " + strings.Join(order(p.carried, p.sort, p.values), ", ") + "\nfrom (\n")
	b.Append(source)
	b.Add("\n) as source\norder by " + strings.Join(order(id, p.sort, p.carried, p.values), ", "))
	return b.Text()
}

// Columns are those of the result: the carried ones, with the source's types, and the features of each value in their order.
func (p *Plan) Columns() []driver.Column {
	columns := slices.Clone(p.carried)
	for _, v := range p.task.Values {
		for _, f := range p.features {
			columns = append(columns, driver.Column{Name: f.Column(v), Type: driver.Double})
		}
	}
	return columns
}
