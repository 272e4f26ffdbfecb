package schedule_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"damson/internal/schedule"
)

// TestIntervals is the truth table of data intervals.
func TestIntervals(t *testing.T) {
	t.Parallel()
	const file = "testdata/intervals.txt"
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(string(golden), "\n"), "\n") {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		got.WriteString(line + "\n")
		parts := strings.Split(line, " | ")
		if strings.HasPrefix(line, "#") || len(parts) != 4 {
			continue
		}
		s := parse(t, parts[0], parts[1])
		const form = "Mon 2006-01-02 15:04:05 -07:00"
		for start, end := range s.Intervals(at(t, parts[2]), at(t, parts[3])) {
			fmt.Fprintf(&got, "    %s .. %s  %s\n", start.In(s.Location()).Format(form), end.In(s.Location()).Format(form), length(end.Sub(start)))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != string(golden) && !*update {
		t.Errorf("intervals differ from %s (-file +now):\n%s", file, cmp.Diff(string(golden), got.String()))
	}
}

// length writes days of 24 hours and the rest.
func length(d time.Duration) string {
	const day = 24 * time.Hour
	text := ""
	if d >= day {
		text = fmt.Sprintf("%dd", d/day)
	}
	if rest := d % day; rest > 0 || text == "" {
		text += rest.String()
	}
	return text
}

// TestAgainstCroniter compares with the library behind Airflow's cron timetables, in UTC. testdata/cron_ticks.py wrote its ticks.
func TestAgainstCroniter(t *testing.T) {
	t.Parallel()
	lines, err := os.ReadFile("testdata/cron_ticks.txt")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(string(lines), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		s := parse(t, parts[0], "")
		tick := shortTime(t, parts[1])
		var got []string
		for range strings.Fields(parts[2]) {
			tick = s.Next(tick)
			got = append(got, tick.Format("2006-01-02T15:04:05"))
		}
		if strings.Join(got, " ") != parts[2] {
			t.Errorf("%s from %s:\nhas      %s\ncroniter %s", parts[0], parts[1], strings.Join(got, " "), parts[2])
		}
		compared++
	}
	if compared < 300 {
		t.Errorf("%d lines compared", compared)
	}
}

// TestAgainstReference draws expressions, zones and times, and compares with a reference that shares nothing with the package:
// it reads the fields by itself and looks at the wall once a minute.
func TestAgainstReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr := strings.Join([]string{
			drawField(t, "minute", 0, 59), drawField(t, "hour", 0, 23), drawDays(t), drawField(t, "month", 1, 12), drawWeekdays(t),
		}, " ")
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo",
			"Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns", "Asia/Tehran", "Antarctica/Troll"}).Draw(t, "zone")
		s, err := schedule.Parse(expr, zone)
		if err != nil {
			t.Skip(err) // a date that never comes
		}
		from := drawStart(t, s.Location())
		to := from.AddDate(0, 0, rapid.IntRange(1, 12).Draw(t, "days"))
		var got []time.Time
		end := time.Time{}
		for start, stop := range s.Intervals(from, to) {
			if !end.IsZero() && !start.Equal(end) {
				t.Fatalf("%s in %s: an interval ends at %s, the next begins at %s", expr, zone, end, start)
			}
			got, end = append(got, start), stop
		}
		if d := cmp.Diff(wallTicks(expr, s.Location(), from, to), got); d != "" {
			t.Fatalf("%s in %s from %s to %s (-reference +ticks):\n%s", expr, zone, from, to, d)
		}
	})
}

// drawStart draws a time from 1995 to 2036, a minute's beginning; half of them shortly before clocks change.
func drawStart(t *rapid.T, loc *time.Location) time.Time {
	u := time.Unix(rapid.Int64Range(788918400, 2082758400).Draw(t, "from")/60*60, 0).UTC()
	if !rapid.Bool().Draw(t, "near a change") {
		return u
	}
	if _, change := u.In(loc).ZoneBounds(); !change.IsZero() && change.Year() < 2037 {
		u = change.Add(-time.Duration(rapid.IntRange(-90, 2880).Draw(t, "minutes before")) * time.Minute).UTC()
	}
	return u
}

func drawField(t *rapid.T, name string, low, high int) string {
	v := func(label string) int { return rapid.IntRange(low, high).Draw(t, name+" "+label) }
	switch a, b := v("a"), v("b"); rapid.IntRange(0, 9).Draw(t, name+" form") {
	case 0, 1, 2, 3:
		return "*"
	case 4, 5:
		return strconv.Itoa(a)
	case 6:
		return fmt.Sprintf("%d,%d", a, b)
	case 7:
		return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
	case 8:
		return fmt.Sprintf("*/%d", 1+b%(high/2))
	default:
		return fmt.Sprintf("%d-%d/%d", min(a, b), max(a, b), 1+b%5)
	}
}

func drawDays(t *rapid.T) string {
	if rapid.IntRange(0, 2).Draw(t, "day word") > 0 {
		return drawField(t, "day", 1, 31)
	}
	n := rapid.IntRange(1, 31).Draw(t, "day")
	return rapid.SampledFrom([]string{"L", "LW", fmt.Sprintf("%dW", n), fmt.Sprintf("%d,L", n), fmt.Sprintf("%dW,LW", n)}).Draw(t, "days")
}

func drawWeekdays(t *rapid.T) string {
	if rapid.IntRange(0, 2).Draw(t, "weekday word") > 0 {
		return drawField(t, "weekday", 0, 6)
	}
	w, n := rapid.IntRange(0, 6).Draw(t, "weekday"), rapid.IntRange(1, 5).Draw(t, "nth")
	return rapid.SampledFrom([]string{fmt.Sprintf("%d#%d", w, n), fmt.Sprintf("%dL", w), fmt.Sprintf("%d#%d,%d", w, n, (w+2)%7)}).Draw(t, "weekdays")
}

// wallTicks lists the ticks with from ≤ tick ≤ to. It starts two days early, to know what the wall has shown before.
func wallTicks(expr string, loc *time.Location, from, to time.Time) []time.Time {
	fields := strings.Fields(expr)
	everyHour := true
	for h := range 24 {
		everyHour = everyHour && inField(fields[1], h, 0, 23)
	}
	wallOf := func(u time.Time) time.Time {
		l := u.In(loc)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
	}
	var ticks []time.Time
	u := from.AddDate(0, 0, -2)
	for shown := wallOf(u); !u.After(to); u = u.Add(time.Minute) {
		wall := wallOf(u)
		tick := everyHour && wallMatches(fields, wall)
		for !everyHour && shown.Before(wall) { // also the minutes that the wall has skipped
			shown = shown.Add(time.Minute)
			tick = tick || wallMatches(fields, shown)
		}
		if tick && !u.Before(from) {
			ticks = append(ticks, u)
		}
	}
	return ticks
}

func wallMatches(fields []string, wall time.Time) bool {
	if !inField(fields[0], wall.Minute(), 0, 59) || !inField(fields[1], wall.Hour(), 0, 23) || !inField(fields[3], int(wall.Month()), 1, 12) {
		return false
	}
	day, week := dayFits(fields[2], wall), weekdayFits(fields[4], wall)
	switch {
	case fields[2] == "*":
		return week
	case fields[4] == "*":
		return day
	}
	return day || week
}

func dayFits(text string, wall time.Time) bool {
	last := time.Date(wall.Year(), wall.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	for item := range strings.SplitSeq(text, ",") {
		name, working := strings.CutSuffix(item, "W")
		day := last
		if name != "L" {
			if !working {
				if inField(item, wall.Day(), 1, 31) {
					return true
				}
				continue
			}
			day, _ = strconv.Atoi(name)
			day = min(day, last)
		}
		if working {
			day = nearestWorking(wall.Year(), wall.Month(), day)
		}
		if day == wall.Day() {
			return true
		}
	}
	return false
}

// nearestWorking looks around the day, a step further each time, the day before first.
func nearestWorking(year int, month time.Month, day int) int {
	for _, step := range []int{0, -1, 1, -2, 2} {
		d := time.Date(year, month, day+step, 0, 0, 0, 0, time.UTC)
		if d.Month() == month && d.Weekday() != time.Saturday && d.Weekday() != time.Sunday {
			return d.Day()
		}
	}
	return 0
}

func weekdayFits(text string, wall time.Time) bool {
	w := int(wall.Weekday())
	return slices.ContainsFunc(strings.Split(text, ","), func(item string) bool {
		day, nth, ok := strings.Cut(item, "#")
		if ok {
			return day == strconv.Itoa(w) && nth == strconv.Itoa((wall.Day()+6)/7)
		}
		if day, ok := strings.CutSuffix(item, "L"); ok {
			return day == strconv.Itoa(w) && wall.AddDate(0, 0, 7).Month() != wall.Month()
		}
		return inField(item, w, 0, 6)
	})
}

// inField reports whether "*", "5", "1,2", "1-5", each with a step, has v.
func inField(text string, v, low, high int) bool {
	for item := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		from, to, step := low, high, 1
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			from, _ = strconv.Atoi(first)
			if to = from; ranged {
				to, _ = strconv.Atoi(last)
			}
		}
		if v >= from && v <= to && (v-from)%step == 0 {
			return true
		}
	}
	return false
}
