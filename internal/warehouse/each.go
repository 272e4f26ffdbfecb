package warehouse

import (
	"context"
	"sort"
	"time"

	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// Each is a result of Do's function that has one for each claim, in their order, instead of one for all.
type Each []any

// IntoEach is Into for several adjacent intervals at once, in time order. Beside the sum it gives the number of rows that
// were written for each interval, where that takes no more than a look at the dates of the table: with Replace, partitioned
// by a date column, and with no two intervals on one day. Else each is nil.
func (tx *Tx) IntoEach(ctx context.Context, sel sqltext.Text, target pipeline.Target, intervals []Interval) (all Written, each []int64, err error) {
	in, err := tx.prepareInto(ctx, sel, target, Interval{Start: intervals[0].Start, End: intervals[len(intervals)-1].End})
	if err != nil {
		return Written{}, nil, err
	}
	if err := in.write(ctx); err != nil || !in.tellsDays(intervals) {
		return in.written, nil, err
	}
	each, err = in.countDays(ctx, intervals)
	return in.written, each, err
}

// tellsDays reports whether the day of a row tells its interval.
func (in *into) tellsDays(intervals []Interval) bool {
	if len(intervals) < 2 || in.part == nil || in.part.column.Type != driver.Date {
		return false
	}
	for i := range intervals[1:] {
		if !day(intervals[i].Start).Before(day(intervals[i+1].Start)) {
			return false
		}
	}
	return true
}

// countDays counts the table's rows in the partition by interval: a day belongs to the last one that has begun by then.
func (in *into) countDays(ctx context.Context, intervals []Interval) ([]int64, error) {
	name := sqltext.QuoteIdent(in.inTable(in.part.column.Name))
	r, err := in.tx.tx.Query(ctx, "SELECT "+name+", count(*) FROM "+quoted(in.name)+" WHERE "+in.insideTable()+" GROUP BY "+name)
	if err != nil {
		return nil, in.own(err)
	}
	days, err := rows.ReadAll(r)
	if err != nil {
		return nil, in.own(err)
	}
	each := make([]int64, len(intervals))
	for _, row := range days {
		date, n := row[0].(time.Time), row[1].(int64)
		i := sort.Search(len(intervals), func(i int) bool { return day(intervals[i].Start).After(date) }) - 1
		each[max(i, 0)] += n
	}
	return each, nil
}
