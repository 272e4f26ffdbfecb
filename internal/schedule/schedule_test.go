package schedule_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/schedule"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func parse(t testing.TB, expr, zone string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expr, zone)
	if err != nil {
		t.Fatalf("Parse(%q, %q): %v", expr, zone, err)
	}
	return s
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTicks(t *testing.T) {
	t.Parallel()
	const file = "testdata/ticks.txt"
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
		var n int
		if _, err := fmt.Sscan(parts[3], &n); err != nil {
			t.Fatal(err)
		}
		tick := at(t, parts[2]).Add(-1)
		for range n {
			tick = s.Next(tick)
			fmt.Fprintf(&got, "    %s  %s\n", tick.Format(time.RFC3339), tick.In(s.Location()).Format("Mon 2006-01-02 15:04:05 MST"))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got.String() != string(golden) && !*update {
		t.Errorf("ticks differ from %s; now they are:\n%s", file, got.String())
	}
}

// TestNeighbours walks schedules through changes of clocks: Prev undoes Next, intervals meet, and an interval contains
// what it was asked for.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	zones := []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca"}
	exprs := []string{
		"* * * * *", "*/7 * * * *", "30 * * * *", "0 */2 * * *", "30 2 * * *", "*/10 1-3 * * *", "0 0 * * *", "59 23 L * *",
		"0 0 * * MON#1", "15 2 * * 7L", "0 0 29 2 *", "0 0 1W,LW * *", "*/13 * 2 * * *", "0 0 1 */3 *", "every 17m", "36h", "0 0 13 * FRI",
	}
	changes := []string{"2007-03-25T01:00:00Z", "2007-10-28T01:00:00Z", "2007-11-04T06:00:00Z", "2007-03-11T07:00:00Z",
		"2011-12-30T10:00:00Z", "2007-10-14T03:00:00Z", "2007-03-24T15:00:00Z", "2040-12-31T12:00:00Z"}
	for _, zone := range zones {
		for _, expr := range exprs {
			s := parse(t, expr, zone)
			for _, change := range changes {
				base := at(t, change)
				for offset := -3 * time.Hour; offset < 3*time.Hour; offset += 10*time.Minute - 1700*time.Millisecond {
					checkNeighbours(t, s, base.Add(offset))
				}
				checkNeighbours(t, s, base)
			}
		}
	}
}

func checkNeighbours(t *testing.T, s schedule.Schedule, u time.Time) {
	t.Helper()
	start, end := s.IntervalOf(u)
	switch {
	case start.After(u) || !end.After(u):
		t.Fatalf("%s: IntervalOf(%s) = %s, %s does not contain it", s.Describe(), u, start, end)
	case !s.Next(u).Equal(end) || !s.Next(start).Equal(end):
		t.Fatalf("%s: Next(%s) = %s and Next(%s) = %s, want %s", s.Describe(), u, s.Next(u), start, s.Next(start), end)
	case !s.Prev(end).Equal(start):
		t.Fatalf("%s: Prev(%s) = %s, want %s", s.Describe(), end, s.Prev(end), start)
	case u.Equal(start) == s.Prev(u).Equal(start):
		t.Fatalf("%s: Prev(%s) = %s", s.Describe(), u, s.Prev(u))
	case !s.Aligned(start) || s.Aligned(u) != u.Equal(start):
		t.Fatalf("%s: Aligned(%s) = %v, Aligned(%s) = %v", s.Describe(), start, s.Aligned(start), u, s.Aligned(u))
	}
}

func TestWithoutTicks(t *testing.T) {
	t.Parallel()
	a, b := at(t, "2007-04-12T00:00:00Z"), at(t, "2007-04-14T00:00:00Z")
	count := func(s schedule.Schedule) (n int, start, end time.Time) {
		for start, end = range s.Intervals(a, b) {
			n++
		}
		return n, start, end
	}
	for _, expr := range []string{"", "none"} {
		s := parse(t, expr, "")
		if n, _, _ := count(s); n != 0 || !s.Manual() || !s.Next(a).IsZero() || !s.Prev(a).IsZero() || !s.Aligned(a) {
			t.Errorf("%q has ticks", expr)
		}
	}
	if s := parse(t, "@once", ""); !s.Once() || s.Manual() {
		t.Error("@once is not once")
	} else if n, start, end := count(s); n != 1 || start != a || end != a {
		t.Errorf("@once has %d intervals, the last %s – %s", n, start, end)
	}
	if s := parse(t, "@continuous", ""); !s.Continuous() {
		t.Error("@continuous is not continuous")
	} else if n, start, end := count(s); n != 1 || start != a || end != b {
		t.Errorf("@continuous has %d intervals, the last %s – %s", n, start, end)
	}
	var zero schedule.Schedule
	if !zero.Manual() || zero.Describe() != "only by hand" {
		t.Error("the zero Schedule is not by hand")
	}
}

func TestIntervalsStartWithinBounds(t *testing.T) {
	t.Parallel()
	s := parse(t, "@daily", "")
	var got []string
	for start, end := range s.Intervals(at(t, "2007-04-12T00:00:00Z"), at(t, "2007-04-14T00:00:00Z")) {
		got = append(got, start.Format(time.DateOnly)+"–"+end.Format(time.DateOnly))
	}
	if want := "[2007-04-12–2007-04-13 2007-04-13–2007-04-14 2007-04-14–2007-04-15]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for start := range s.Intervals(at(t, "2007-04-14T00:00:00Z"), at(t, "2007-04-12T00:00:00Z")) {
		t.Errorf("a reversed stretch has the interval %s", start)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, zone, detail, fix string }{
		{"@dayly", "", `"@dayly" is not a preset`, `Did you mean "@daily"?`},
		{"@x", "", "not a preset", "@hourly"},
		{"0 25 * * *", "", `In "0 25 * * *", the hour field is "25": 25 is not from 0 to 23.`, ""},
		{"60 * * * *", "", "the minute field", ""},
		{"0 0 0 * *", "", "the day-of-month field", ""},
		{"0 0 * 13 *", "", "the month field", ""},
		{"0 0 * JAM *", "", `"JAM" is neither a number nor a name`, `Did you mean "JAN"?`},
		{"0 0 * * MOM", "", "the day-of-week field", `Did you mean "MON"?`},
		{"0 0 * * MON#6", "", "the day-of-week field", ""},
		{"0 0 * * 8", "", "8 is not from 0 to 7", ""},
		{"*/0 * * * *", "", `the step "0"`, ""},
		{"*/x * * * *", "", `the step "x"`, ""},
		{"1,,2 * * * *", "", "a value is missing", ""},
		{"-1 * * * *", "", "a value is missing", ""},
		{"0 22-2 * * *", "", "the range ends (2) before it starts (22)", `"22-23,0-2"`},
		{"0 0 W * *", "", "W stands behind one day, as in 15W", ""},
		{"0 0 1-15W * *", "", "W stands behind one day, as in 15W", ""},
		{"0 0 32W * *", "", "W stands behind one day, as in 15W", ""},
		{"0 0 30 2 *", "", "never comes", `"L"`},
		{"0 0 31 4,6 *", "", "never comes", ""},
		{"* * * *", "", "has 4 fields", "@daily"},
		{"* * * * * * *", "", "has 7 fields", ""},
		{"daily", "", "has 1 field.", "@daily"},
		{"every day", "", `"day" is not a length of time`, "every 15m"},
		{"every 0s", "", "not a whole number of seconds", ""},
		{"every 1500ms", "", "not a whole number of seconds", ""},
		{"every -5m", "", "not a whole number", ""},
		{"@daily", "Europe/Berln", `"Europe/Berln" is no time zone`, `Did you mean "Europe/Berlin"?`},
		{"@daily", "europe/berlin", "no time zone", `"Europe/Berlin"`},
		{"@daily", "Local", "no time zone", "IANA"},
	}
	for _, tt := range tests {
		_, err := schedule.Parse(tt.expr, tt.zone)
		f, ok := err.(diag.Finding)
		if !ok {
			t.Errorf("Parse(%q, %q) gives %v, want a finding", tt.expr, tt.zone, err)
			continue
		}
		if !strings.Contains(f.Detail, tt.detail) || !strings.Contains(f.Fix, tt.fix) {
			t.Errorf("Parse(%q, %q) says\n%v\nwant detail %q and fix %q", tt.expr, tt.zone, f, tt.detail, tt.fix)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, zone, want string }{
		{"@hourly", "", "every hour (UTC)"},
		{"@daily", "", "at 00:00 every day (UTC)"},
		{"@weekly", "", "at 00:00 on Sunday (UTC)"},
		{"@monthly", "", "at 00:00 on day 1 of the month (UTC)"},
		{"@quarterly", "", "at 00:00 on day 1 of the month in January, April, July, October (UTC)"},
		{"30 6 * * MON-FRI", "Europe/Berlin", "at 06:30 on Monday to Friday (Europe/Berlin)"},
		{"0 6,18 * * FRI-SUN", "", "at 06:00, 18:00 on Friday to Sunday (UTC)"},
		{"0 9 * * MON#1,5L", "", "at 09:00 on the first Monday of the month or on the last Friday of the month (UTC)"},
		{"0 0 L * *", "", "at 00:00 on the last day of the month (UTC)"},
		{"0 0 LW * *", "", "at 00:00 on the last working day of the month (UTC)"},
		{"0 0 1,15W * *", "", "at 00:00 on day 1 of the month or on the working day nearest to day 15 of the month (UTC)"},
		{"0 0 13 * FRI", "", "at 00:00 on day 13 of the month or on Friday (UTC)"},
		{"*/15 * * * *", "", "every 15 minutes (UTC)"},
		{"* * * * *", "", "every minute (UTC)"},
		{"5 * * * *", "", "at minute 5, every hour (UTC)"},
		{"0,30 9-17 * * 1-5", "", "at minutes 0, 30, hours 9 to 17 on Monday to Friday (UTC)"},
		{"*/30 * * * * *", "", "at seconds 0, 30, every minute, every hour (UTC)"},
		{"every 15m", "", "every 15 minutes"},
		{"1h", "", "every hour"},
		{"36h", "", "every 36 hours"},
		{"@once", "", "once, at the pipeline's start"},
		{"@continuous", "", "continuously, one run after the other"},
		{"", "", "only by hand"},
	}
	for _, tt := range tests {
		if got := parse(t, tt.expr, tt.zone).Describe(); got != tt.want {
			t.Errorf("%q is described as %q, want %q", tt.expr, got, tt.want)
		}
	}
}

// TestZoneNames proves that every zone offered as a correction can be loaded.
func TestZoneNames(t *testing.T) {
	t.Parallel()
	names, err := os.ReadFile("zones.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(names)) {
		if _, err := time.LoadLocation(name); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"@daily", "*/5 1-3,L * MON#1 5L", "0 0 30 2 *", "every 15m", "1 2 3 4 5 6", "FRI-MON/2 * * * *", "L-1 * * * *", "0 0 31W,LW * *", "1h30m"} {
		f.Add(seed, "Europe/Berlin")
	}
	base := at(f, "2007-03-25T00:30:00Z")
	f.Fuzz(func(t *testing.T, expr, zone string) {
		s, err := schedule.Parse(expr, zone)
		if err != nil {
			if _, ok := err.(diag.Finding); !ok {
				t.Errorf("Parse(%q, %q) gives %T", expr, zone, err)
			}
			return
		}
		s.Describe()
		if next := s.Next(base); !next.IsZero() && (!next.After(base) || !s.Aligned(next)) {
			t.Errorf("%q: Next(%s) = %s", expr, base, next)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := schedule.Parse("*/15 6-18 * JAN-JUN MON-FRI", "Europe/Berlin"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s := parse(b, "30 2 * * *", "Europe/Berlin")
	t := at(b, "2007-01-01T00:00:00Z")
	for b.Loop() {
		t = s.Next(t)
	}
}
