package pushdown

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/leak"
	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// grouping is a column that keeps rows together, and its name in the source.
type grouping struct{ column, name string }

// straddling finds the groups with rows on both sides.
func (r *Rows) straddling(ctx context.Context, of grouping) (leak.Straddle, error) {
	out := leak.Straddle{Column: of.name, Of: r.out}
	both := fmt.Sprintf("(select name, out from (select %s as name, sum(case when %s then 1 else 0 end) as out, count(*) as n from %s group by %s) as counted where out > 0 and out < n) as both_sides", of.column, r.held, rowsTable, of.column)
	err := r.each(ctx, "select count(*), cast(coalesce(sum(out), 0) as bigint) from "+both, func(row []int64) error {
		out.Groups, out.Rows = row[0], row[1]
		return nil
	})
	if err != nil || out.Groups == 0 {
		return out, err
	}
	names, err := r.all(ctx, fmt.Sprintf("select name from %s order by name%s limit %d", both, r.dialect.binary, leak.Examples))
	for _, row := range names {
		out.Examples = append(out.Examples, row[0].(string))
	}
	return out, err
}

// overlap finds training rows that are later than the first held-out one.
func (r *Rows) overlap(ctx context.Context) (leak.Overlap, error) {
	out := leak.Overlap{Of: r.training, From: math.Inf(1), To: math.Inf(-1)}
	seconds := "case when moment > float8 '-Infinity' then moment end" // NaN is there as the least
	if t := r.columns.Time.Type; arrow.TypeEqual(t, rows.DateType) || arrow.TypeEqual(t, rows.TimestampType) {
		seconds = "cast(extract(epoch from moment) as double precision)"
	}
	from := fmt.Sprintf(" from (select %s as seconds, case when %s then 1 else 0 end as out from %s) as timed", seconds, r.held, rowsTable)
	found, err := r.all(ctx, "select min(case when out = 1 then seconds end), max(case when out = 0 then seconds end)"+from)
	if err != nil {
		return out, err
	}
	if first, ok := found[0][0].(float64); ok {
		out.From = first
	}
	if last, ok := found[0][1].(float64); ok {
		out.To = last
	}
	if !(out.To > out.From) {
		return out, nil
	}
	err = r.each(ctx, "select count(*)"+from+" where out = 0 and seconds > "+sqltext.Double(out.From), func(row []int64) error {
		out.Rows = row[0]
		return nil
	})
	return out, err
}

// repeats finds held-out rows that are training rows, too, by the database's hashes of 64 bits or more.
func (r *Rows) repeats(ctx context.Context) (leak.Repeats, error) {
	out := leak.Repeats{Of: r.out, All: r.training + r.out}
	columns := []string{oneZero("label")}
	if isText(r.columns.Target) {
		columns[0] = "label"
	}
	for f, name := range r.FeatureNames() {
		if !r.IsText(f) {
			name = oneZero(name)
		}
		columns = append(columns, name)
	}
	err := r.each(ctx, fmt.Sprintf(`select cast(sum(case when trained > 0 then out else 0 end) as bigint), cast(sum(case when trained > 0 then 1 else out end) as bigint)
from (select h, sum(out) as out, sum(1 - out) as trained from (select %s as h, case when %s then 1 else 0 end as out from %s) as hashed group by h) as kinds`,
		r.dialect.rowHash(columns), r.held, rowsTable), func(row []int64) error {
		out.Rows, out.Distinct = row[0], row[1]
		return nil
	})
	return out, err
}

// oneZero makes one value of both zeros.
func oneZero(column string) string {
	return fmt.Sprintf("case when %s = float8 '0' then float8 '0' else %s end", column, column)
}
