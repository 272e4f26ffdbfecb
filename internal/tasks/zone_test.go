package tasks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
)

// localDays are the days of a zone from one date, as the schedule gives them: instants in UTC.
func localDays(t *testing.T, zone, from string, n int) []run.Interval {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	start, err := time.ParseInLocation(time.DateOnly, from, loc)
	if err != nil {
		t.Fatal(err)
	}
	var all []run.Interval
	for i := range n {
		all = append(all, run.Interval{Start: start.AddDate(0, 0, i).UTC(), End: start.AddDate(0, 0, i+1).UTC()})
	}
	return all
}

// TestDaysOfTheZone: a run owns the dates of its pipeline's zone, the same that its template tells, also where a day has 23
// or 25 hours, run alone or together with others.
func TestDaysOfTheZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, from string }{
		{"Europe/Berlin", "2007-03-24"}, // 23 hours on the 25th
		{"Europe/Berlin", "2007-10-27"}, // 25 hours on the 28th
		{"America/New_York", "2007-03-10"},
		{"Pacific/Auckland", "2007-09-29"},
	} {
		t.Run(strings.ReplaceAll(c.zone+" "+c.from, "/", "_"), func(t *testing.T) {
			t.Parallel()
			s := open(t, map[string]string{
				"pipelines/p.star": `
p = pipeline(name = "p", schedule = "@daily", start = "2007-01-01", timezone = "` + c.zone + `")
p.sql("days", into = "geo.days", partition_by = "tdate", batch = True)
p.sql("moments", into = "geo.moments", partition_by = "moment", batch = True)
`,
				"sql/days.sql": `SELECT tdate, n FROM points WHERE tdate >= date '{{ data_interval_start | ds }}' AND tdate < date '{{ data_interval_end | ds }}'`,
				"sql/moments.sql": `SELECT moment, n FROM points WHERE moment >= timestamp '{{ data_interval_start.in_timezone("UTC") | ts }}'
					AND moment < timestamp '{{ data_interval_end.in_timezone("UTC") | ts }}'`,
			})
			s.exec(`CREATE TABLE points AS SELECT CAST(m AS date) AS tdate, m AS moment, 1 AS n
				FROM range(TIMESTAMP '2007-01-01', TIMESTAMP '2008-01-01', INTERVAL 1 HOUR) AS r(m)`)
			intervals := localDays(t, c.zone, c.from, 3)
			days := `SELECT tdate, count(*), sum(n) FROM geo.days GROUP BY tdate ORDER BY tdate`
			hours := `SELECT count(*), min(moment) FROM geo.moments`
			s.run("p", engine.Plan{Intervals: intervals})
			first := s.table(days)
			dates := make([]string, len(intervals))
			for i := range dates {
				at, _ := time.Parse(time.DateOnly, c.from)
				dates[i] = at.AddDate(0, 0, i).Format(time.DateOnly) + " 24 24"
			}
			if want := strings.Join(dates, "\n"); first != want {
				t.Errorf("the days are\n%s\nwant\n%s", first, want)
			}
			moments := s.table(hours)
			s.exec(`UPDATE points SET n = 2`)
			s.run("p", engine.Plan{Intervals: intervals[:1], Rerun: engine.RerunAll})
			want := strings.Replace(first, " 24 24", " 24 48", 1)
			if got := s.table(days); got != want {
				t.Errorf("after the first day ran again:\n%s\nwant\n%s", got, want)
			}
			results := s.run("p", engine.Plan{Intervals: intervals, Rerun: engine.RerunAll, Batch: 10})
			if got, want := s.table(days), strings.ReplaceAll(first, " 24 24", " 24 48"); got != want {
				t.Errorf("run together:\n%s\nwant\n%s", got, want)
			}
			for key, result := range results {
				if strings.HasSuffix(key, "days") && !strings.Contains(result, `"rows":24`) {
					t.Errorf("%s reports %s", key, result)
				}
			}
			want = fmt.Sprint(intervals[2].End.Sub(intervals[0].Start).Hours(), " ", intervals[0].Start.Format("2006-01-02 15:04"))
			if moments != want {
				t.Errorf("the moments are %s, want %s", moments, want)
			}
		})
	}
}
