package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"damson/internal/schedule"
)

// shortTime reads "2007-04-12" and "2007-04-12T06:30" in UTC; "" is the zero time.
func shortTime(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if v, err := time.Parse(form, text); err == nil {
			return v
		}
	}
	t.Fatalf("%q is no time", text)
	return time.Time{}
}

func showTime(v time.Time) string {
	switch {
	case v.IsZero():
		return "-"
	case v.Equal(v.Truncate(24 * time.Hour)):
		return v.Format(time.DateOnly)
	}
	return strings.TrimSuffix(v.Format("2006-01-02T15:04:05"), ":00")
}

func showDue(intervals []schedule.Interval, next, nextDue time.Time) string {
	var b strings.Builder
	for _, i := range intervals {
		fmt.Fprintf(&b, "%s..%s ", showTime(i.Start), showTime(i.End))
	}
	return b.String() + "next " + showTime(next) + " due " + showTime(nextDue)
}

func TestDue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, expr, zone string
		start, end       string
		catchup          bool
		cursor, now      string
		most             int
		want             string
	}{
		// Catch-up: everything from the start, or from the cursor.
		{"nothing has ended yet", "@daily", "", "2007-04-12", "", true, "", "2007-04-12T23:59:59", 9, "next - due 2007-04-13"},
		{"the first interval ends at now", "@daily", "", "2007-04-12", "", true, "", "2007-04-13", 9, "2007-04-12..2007-04-13 next 2007-04-13 due 2007-04-14"},
		{"from the start", "@daily", "", "2007-04-12", "", true, "", "2007-04-15T06:00", 9,
			"2007-04-12..2007-04-13 2007-04-13..2007-04-14 2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"from the cursor", "@daily", "", "2007-04-12", "", true, "2007-04-14", "2007-04-15T06:00", 9, "2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"in portions", "@daily", "", "2007-04-12", "", true, "", "2007-04-15T06:00", 2,
			"2007-04-12..2007-04-13 2007-04-13..2007-04-14 next 2007-04-14 due 2007-04-15"},
		{"none wanted", "@daily", "", "2007-04-12", "", true, "", "2007-04-15T06:00", 0, "next - due 2007-04-13"},
		{"start between two ticks", "@daily", "", "2007-04-12T08:00", "", true, "", "2007-04-14T06:00", 9, "2007-04-13..2007-04-14 next 2007-04-14 due 2007-04-15"},
		{"start moved behind the cursor", "@daily", "", "2007-04-14", "", true, "2007-04-12", "2007-04-15", 9, "2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"start moved before the cursor", "@daily", "", "2007-04-01", "", true, "2007-04-14", "2007-04-15", 9, "2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"the expression was changed: a cursor between ticks", "@hourly", "", "2007-04-12", "", true, "2007-04-14T02:30", "2007-04-14T04:00", 9, "2007-04-14T03:00..2007-04-14T04:00 next 2007-04-14T04:00 due 2007-04-14T05:00"},
		{"future start", "@daily", "", "2007-05-01", "", true, "", "2007-04-15", 9, "next - due 2007-05-02"},
		{"no start: the latest only", "@daily", "", "", "", true, "", "2007-04-15T06:00", 9, "2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"now is before the cursor", "@daily", "", "2007-04-12", "", true, "2007-04-15", "2007-04-13T06:00", 9, "next 2007-04-15 due 2007-04-16"},

		// End: the last logical date, itself included.
		{"the last interval is due", "@daily", "", "2007-04-12", "2007-04-13", true, "2007-04-13", "2007-04-20", 9, "2007-04-13..2007-04-14 next 2007-04-14 due -"},
		{"after the end", "@daily", "", "2007-04-12", "2007-04-13", true, "2007-04-14", "2007-04-20", 9, "next 2007-04-14 due -"},
		{"before the end", "@daily", "", "2007-04-12", "2007-04-13", true, "2007-04-13", "2007-04-13T06:00", 9, "next 2007-04-13 due 2007-04-14"},
		{"an end between two ticks", "@daily", "", "2007-04-12", "2007-04-13T12:00", true, "", "2007-04-20", 9, "2007-04-12..2007-04-13 2007-04-13..2007-04-14 next 2007-04-14 due -"},
		{"end before start", "@daily", "", "2007-04-12", "2007-04-11", true, "", "2007-04-20", 9, "next - due -"},
		{"the end held back", "@daily", "", "2007-04-12", "2007-04-13", true, "", "2007-04-20", 1, "2007-04-12..2007-04-13 next 2007-04-13 due 2007-04-14"},

		// Without catch-up: the latest that has ended.
		{"the latest only", "@daily", "", "2007-04-01", "", false, "", "2007-04-15T06:00", 9, "2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"the next day", "@daily", "", "2007-04-01", "", false, "2007-04-15", "2007-04-16", 9, "2007-04-15..2007-04-16 next 2007-04-16 due 2007-04-17"},
		{"nothing new", "@daily", "", "2007-04-01", "", false, "2007-04-15", "2007-04-15T12:00", 9, "next 2007-04-15 due 2007-04-16"},
		{"unpaused after a month", "@daily", "", "2007-04-01", "", false, "2007-04-15", "2007-05-15T12:00", 9, "2007-05-14..2007-05-15 next 2007-05-15 due 2007-05-16"},
		{"unpaused after a month with catch-up", "@weekly", "", "2007-04-01", "", true, "2007-04-15", "2007-05-15T12:00", 9,
			"2007-04-15..2007-04-22 2007-04-22..2007-04-29 2007-04-29..2007-05-06 2007-05-06..2007-05-13 next 2007-05-13 due 2007-05-20"},
		{"future start without catch-up", "@daily", "", "2007-05-01", "", false, "", "2007-04-15", 9, "next - due 2007-05-02"},
		{"the start is the latest", "@daily", "", "2007-04-14", "", false, "", "2007-04-15", 9, "2007-04-14..2007-04-15 next 2007-04-15 due 2007-04-16"},
		{"started today", "@daily", "", "2007-04-15", "", false, "", "2007-04-15T12:00", 9, "next - due 2007-04-16"},
		{"ended long ago: its last interval", "@daily", "", "2007-04-01", "2007-04-03", false, "", "2007-04-15", 9, "2007-04-03..2007-04-04 next 2007-04-04 due -"},
		{"ended long ago and done", "@daily", "", "2007-04-01", "2007-04-03", false, "2007-04-04", "2007-04-15", 9, "next 2007-04-04 due -"},
		{"none wanted without catch-up", "@daily", "", "2007-04-01", "", false, "", "2007-04-15", 0, "next - due 2007-04-15"},

		// Changes of clocks: days of 23 and 25 hours, an hour twice, a day that never was.
		{"23 hours", "@daily", "Europe/Berlin", "2007-03-24T23:00", "", true, "", "2007-03-25T22:00", 9, "2007-03-24T23:00..2007-03-25T22:00 next 2007-03-25T22:00 due 2007-03-26T22:00"},
		{"25 hours", "@daily", "Europe/Berlin", "2007-10-27T22:00", "", true, "", "2007-10-28T22:59", 9, "next - due 2007-10-28T23:00"},
		{"an hour that comes twice", "@hourly", "Europe/Berlin", "2007-10-28T00:00", "", true, "", "2007-10-28T02:00", 9,
			"2007-10-28..2007-10-28T01:00 2007-10-28T01:00..2007-10-28T02:00 next 2007-10-28T02:00 due 2007-10-28T03:00"},
		{"a day that never was", "@daily", "Pacific/Apia", "2011-12-29T10:00", "", true, "", "2011-12-31T10:00", 9,
			"2011-12-29T10:00..2011-12-30T10:00 2011-12-30T10:00..2011-12-31T10:00 next 2011-12-31T10:00 due 2012-01-01T10:00"},

		// Intervals of fixed length.
		{"every 15 minutes", "every 15m", "", "2007-04-12T00:07", "", true, "", "2007-04-12T00:44", 9, "2007-04-12T00:15..2007-04-12T00:30 next 2007-04-12T00:30 due 2007-04-12T00:45"},

		// @once: at the start, one time.
		{"once before its start", "@once", "", "2007-04-12", "", true, "", "2007-04-11", 9, "next - due 2007-04-12"},
		{"once at its start", "@once", "", "2007-04-12", "", false, "", "2007-04-12", 9, "2007-04-12..2007-04-12 next 2007-04-12 due -"},
		{"once, long after", "@once", "", "2007-04-12", "", false, "", "2009-01-01", 9, "2007-04-12..2007-04-12 next 2007-04-12 due -"},
		{"once, done", "@once", "", "2007-04-12", "", true, "2007-04-12", "2009-01-01", 9, "next 2007-04-12 due -"},
		{"once without a start", "@once", "", "", "", true, "", "2009-01-01", 9, "2009-01-01..2009-01-01 next 2009-01-01 due -"},
		{"once, none wanted", "@once", "", "2007-04-12", "", true, "", "2009-01-01", 0, "next - due 2007-04-12"},
		{"once after its end", "@once", "", "2007-04-12", "2007-04-11", true, "", "2009-01-01", 9, "next - due -"},

		// @continuous: from where the last one ended to now.
		{"continuous at first", "@continuous", "", "2007-04-12", "", false, "", "2007-04-12T06:00", 9, "2007-04-12..2007-04-12T06:00 next 2007-04-12T06:00 due 2007-04-12T06:00:01"},
		{"continuous later", "@continuous", "", "2007-04-12", "", false, "2007-04-12T06:00", "2007-04-12T06:00:07", 9, "2007-04-12T06:00..2007-04-12T06:00:07 next 2007-04-12T06:00:07 due 2007-04-12T06:00:08"},
		{"continuous in the same second", "@continuous", "", "2007-04-12", "", false, "2007-04-12T06:00", "2007-04-12T06:00", 9, "next 2007-04-12T06:00 due 2007-04-12T06:00:01"},
		{"continuous before its start", "@continuous", "", "2007-04-12", "", true, "", "2007-04-11", 9, "next - due 2007-04-12T00:00:01"},
		{"continuous past its end", "@continuous", "", "2007-04-12", "2007-04-13", true, "2007-04-12", "2007-04-14", 9, "2007-04-12..2007-04-14 next 2007-04-14 due -"},
		{"continuous after its end", "@continuous", "", "2007-04-12", "2007-04-13", true, "2007-04-14", "2007-04-15", 9, "next 2007-04-14 due -"},
		{"continuous without a start", "@continuous", "", "", "", true, "", "2007-04-12", 9, "2007-04-11T23:59:59..2007-04-12 next 2007-04-12 due 2007-04-12T00:00:01"},

		{"by hand", "none", "", "2007-04-12", "", true, "", "2009-01-01", 9, "next - due -"},
		{"by hand since a change", "", "", "2007-04-12", "", true, "2007-04-13", "2009-01-01", 9, "next 2007-04-13 due -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := schedule.Bounds{Start: shortTime(t, tt.start), End: shortTime(t, tt.end), Catchup: tt.catchup}
			got := showDue(schedule.Due(parse(t, tt.expr, tt.zone), b, shortTime(t, tt.cursor), shortTime(t, tt.now), tt.most))
			if got != tt.want {
				t.Errorf("Due gives\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestDueOverTime lets a clock go on in leaps, as a server that is stopped and started sees it: with catch-up every interval is
// given once and in order, without it none twice; and nextDue tells the very second at which something changes.
func TestDueOverTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, err := schedule.Parse(rapid.SampledFrom([]string{"@hourly", "@daily", "30 2 * * *", "0 */2 * * *", "0 9 * * MON#1", "every 90m", "0 0 L * *"}).Draw(t, "expr"),
			rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1173000000, 1325500000).Draw(t, "from"), 0).UTC()
		b := schedule.Bounds{Start: now, Catchup: rapid.Bool().Draw(t, "catchup")}
		if rapid.Bool().Draw(t, "ends") {
			b.End = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "days")) * 24 * time.Hour)
		}
		var cursor time.Time
		var all []schedule.Interval
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 300_000).Draw(t, "seconds")) * time.Second)
			most := rapid.IntRange(0, 100).Draw(t, "most")
			due, next, nextDue := schedule.Due(s, b, cursor, now, most)
			all, cursor = append(all, due...), next
			if len(due) > most || !b.Catchup && len(due) > 1 {
				t.Fatalf("%d intervals at once", len(due))
			}
			checkNextDue(t, s, b, cursor, now, nextDue)
		}
		for i, d := range all {
			if d.End.After(now) || d.Start.Before(b.Start) || !b.End.IsZero() && d.Start.After(b.End) || i > 0 && d.Start.Before(all[i-1].End) {
				t.Fatalf("interval %v does not belong here", d)
			}
		}
		if b.Catchup && len(all) > 0 {
			i := 0
			for start, end := range s.Intervals(b.Start, all[len(all)-1].Start) {
				if all[i].Start != start || all[i].End != end {
					t.Fatalf("interval %d is %v, want %s – %s", i, all[i], start, end)
				}
				i++
			}
			if i != len(all) {
				t.Fatalf("%d intervals, want %d", len(all), i)
			}
		}
	})
}

func checkNextDue(t *rapid.T, s schedule.Schedule, b schedule.Bounds, cursor, now, nextDue time.Time) {
	if nextDue.IsZero() {
		if due, _, _ := schedule.Due(s, b, cursor, now.AddDate(1, 0, 0), 1); len(due) > 0 {
			t.Fatalf("never due again, but %v is", due)
		}
		return
	}
	if due, _, _ := schedule.Due(s, b, cursor, nextDue, 1); len(due) != 1 || b.Catchup && !due[0].End.Equal(nextDue) {
		t.Fatalf("at %s, said to be the next, %v is due", nextDue, due)
	}
	if before := nextDue.Add(-time.Second); nextDue.After(now) {
		if due, _, _ := schedule.Due(s, b, cursor, before, 1); len(due) != 0 {
			t.Fatalf("%v is due before %s", due, nextDue)
		}
	}
}
