package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// partition is the part of a table that a data interval owns.
type partition struct {
	column     driver.Column
	start, end time.Time // dates, or moments in UTC
	from, to   string    // the same as SQL literals; from belongs to it, to does not
	people     string    // the part in words
	example    string    // a condition that keeps a SELECT inside, as a template for one interval or many
}

// newPartition gives the interval's part of a table that is partitioned by the column: the dates as the interval's zone has
// them, or the moments in UTC, since a timestamp is without zone and a clock that is set back shows an hour twice.
func newPartition(column driver.Column, interval Interval) (*partition, error) {
	start, end := interval.Start, interval.End.In(interval.Start.Location())
	if end.Before(start) {
		return nil, fmt.Errorf("the data interval ends at %s, before it starts at %s", end.Format(time.RFC3339), start.Format(time.RFC3339))
	}
	p := &partition{column: column}
	condition := func(operator, literal, name, filter string) string {
		return fmt.Sprintf("%s %s %s '{{ %s | %s }}'", column.Name, operator, literal, name, filter)
	}
	switch column.Type {
	case driver.Date:
		from, to := day(start), day(end)
		p.example = condition(">=", "date", "data_interval_start", "ds") + " AND " + condition("<", "date", "data_interval_end", "ds")
		if from.Equal(to) {
			to = from.AddDate(0, 0, 1)
			p.example = condition("=", "date", "data_interval_start", "ds")
		}
		p.start, p.end = from, to
		p.bound("DATE", from.Format(time.DateOnly), to.Format(time.DateOnly))
	case driver.Timestamp:
		if !start.Before(end) {
			return nil, fmt.Errorf("column %q is a timestamp, and the data interval at %s has no width to replace", column.Name, start.Format(time.RFC3339))
		}
		const layout = "2006-01-02 15:04:05.999999"
		p.start, p.end = start.UTC(), end.UTC()
		p.bound("TIMESTAMP", start.UTC().Format(layout), end.UTC().Format(layout))
		inUTC := ""
		if start.Location() != time.UTC {
			inUTC = ".in_timezone('UTC')"
		}
		p.example = condition(">=", "timestamp", "data_interval_start"+inUTC, "ts") + " AND " + condition("<", "timestamp", "data_interval_end"+inUTC, "ts")
	default:
		return nil, fmt.Errorf("column %q is of type %s; a table is partitioned by a date or a timestamp", column.Name, column.Type)
	}
	return p, nil
}

// bound sets where the partition begins and ends.
func (p *partition) bound(literal, from, to string) {
	p.from, p.to = literal+" '"+from+"'", literal+" '"+to+"'"
	p.people = "from " + from + " to before " + to
}

// day is the date of a moment in its zone, as the database has dates.
func day(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// inside is the condition that a row belongs to the partition, whose column has a name there; it is NULL for a NULL.
func (p *partition) inside(column string) string {
	name := sqltext.QuoteIdent(column)
	return name + " >= " + p.from + " AND " + name + " < " + p.to
}

// outsideMark opens the text by which guard makes a statement fail.
const outsideMark = "damson: outside the data interval: "

// guard is the partition column's value, computed so that the statement fails on a row outside: the value is then made from
// a text that is no date, which every database refuses and quotes. This costs one comparison a row; looking for such rows
// before or after the INSERT would cost another pass over them.
func (p *partition) guard() string {
	name := sqltext.QuoteIdent(p.column.Name)
	return "CASE WHEN " + p.inside(p.column.Name) + " THEN " + name +
		" ELSE CAST(" + sqltext.QuoteLiteral(outsideMark) + " || COALESCE(CAST(" + name + " AS text), 'NULL') AS " + sqlTypes[p.column.Type] + ") END"
}

// isOutside reports whether it was guard that made the statement fail.
func (p *partition) isOutside(err error) bool { return strings.Contains(err.Error(), outsideMark) }

// outside tells which rows of the SELECT lie outside the partition. The transaction has failed by now, so the question goes
// past it; when that gives no answer, because the SELECT reads what the transaction itself had written, the guard's one
// value must do.
func (in *into) outside(ctx context.Context, cause error) error {
	p := in.part
	name := sqltext.QuoteIdent(p.column.Name)
	count, example, err := in.ask(ctx, in.tx.w.driver, "SELECT count(*), COALESCE(min(CAST("+name+" AS text)), 'NULL') FROM (\n"+in.sel.SQL()+
		"\n) AS damson_source WHERE "+name+" IS NULL OR NOT ("+p.inside(p.column.Name)+")")
	detail := fmt.Sprintf("%s of the SELECT %s a %s outside of it, for example %s.", plural(count, "row"), have(count), p.column.Name, example)
	if err != nil || count == 0 {
		_, value, _ := strings.Cut(cause.Error(), outsideMark)
		value, _, _ = strings.Cut(value, `"`)
		detail = fmt.Sprintf("The SELECT gives a row whose %s is %s.", p.column.Name, value)
	}
	f := in.finding("Rows outside the data interval",
		fmt.Sprintf("This run replaces the rows %s in %s. %s Nothing was written.", p.people, in.name, detail),
		"Let the SELECT keep the interval's rows only: WHERE "+p.example)
	f.Cause = cause
	return f
}

// ask runs a query that gives one row: a count and an example.
func (in *into) ask(ctx context.Context, q driver.Querier, sql string) (count int64, example string, err error) {
	r, err := q.Query(ctx, sql)
	if err != nil {
		return 0, "", in.own(err)
	}
	row, err := rows.ReadOne(r)
	if err != nil {
		return 0, "", in.own(err)
	}
	count, _ = row[0].(int64)
	example, _ = row[1].(string)
	return count, example, nil
}

// plural gives "1 row" or "3 rows".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// have gives the verb that goes with a number of rows.
func have(n int64) string {
	if n == 1 {
		return "has"
	}
	return "have"
}
