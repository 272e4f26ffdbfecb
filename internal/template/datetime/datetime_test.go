package datetime_test

import (
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/template/datetime"
)

// eval evaluates a Starlark expression and gives what str() prints, or the error.
func eval(t *testing.T, expr string) (string, error) {
	t.Helper()
	now := time.Date(2018, 3, 2, 0, 5, 0, 0, time.UTC)
	env := starlark.StringDict{
		"t":         datetime.New(time.Date(2018, 3, 31, 13, 45, 10, 500_000_000, time.UTC)),
		"datetime":  datetime.DateTimeClass(now),
		"timedelta": datetime.TimeDeltaClass,
		"dateutil":  datetime.DateutilModule,
		"delta":     datetime.DateutilModule.Attrs["relativedelta"],
	}
	v, err := starlark.EvalOptions(&syntax.FileOptions{}, new(starlark.Thread), "x.star", "str("+expr+")", env)
	if err != nil {
		return "", err
	}
	return string(v.(starlark.String)), nil
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		// dateutil
		"t + delta(months=-1)":                                        "2018-02-28 13:45:10.500000+00:00",
		"t - delta.relativedelta(months=1, days=1)":                   "2018-02-27 13:45:10.500000+00:00",
		"delta(years=1) + t":                                          "2019-03-31 13:45:10.500000+00:00",
		"t + delta(day=1, hour=0, minute=0, second=0, microsecond=0)": "2018-03-01 00:00:00+00:00",
		"t + delta(day=31, months=-1)":                                "2018-02-28 13:45:10.500000+00:00",
		"t + delta(weeks=1, hours=12)":                                "2018-04-08 01:45:10.500000+00:00",
		"t.date() + delta(months=1)":                                  "2018-04-30",
		"t.date() - t.date().replace(day=1)":                          "30 days, 0:00:00",
		"delta(months=1) * 3":                                         "relativedelta(months=+3)",
		"-delta(months=1, hours=2) - delta(days=1)":                   "relativedelta(months=-1, days=-1, hours=-2)",
		"dateutil.parser.parse('2018-01-02T03:04:05Z')":               "2018-01-02 03:04:05+00:00",
		"dateutil.parser.isoparse('20180102')":                        "2018-01-02 00:00:00",
		// pendulum
		"t.add(days=1, months=1)":                          "2018-05-01 13:45:10.500000+00:00",
		"t.subtract(months=1)":                             "2018-02-28 13:45:10.500000+00:00",
		"t.start_of('month')":                              "2018-03-01 00:00:00+00:00",
		"t.start_of('week')":                               "2018-03-26 00:00:00+00:00",
		"t.start_of('quarter')":                            "2018-01-01 00:00:00+00:00",
		"t.start_of('hour')":                               "2018-03-31 13:00:00+00:00",
		"t.end_of('month')":                                "2018-03-31 23:59:59.999999+00:00",
		"t.end_of('minute')":                               "2018-03-31 13:45:59.999999+00:00",
		"t.end_of('year')":                                 "2018-12-31 23:59:59.999999+00:00",
		"t.first_of('month')":                              "2018-03-01 00:00:00+00:00",
		"t.last_of('quarter')":                             "2018-03-31 00:00:00+00:00",
		"t.format('YYYY-MM-DD HH:mm:ss [at] D/M/YY dddd')": "2018-03-31 13:45:10 at 31/3/18 Saturday",
		"t.to_date_string() + t.to_time_string()":          "2018-03-3113:45:10",
		"t.to_datetime_string()":                           "2018-03-31 13:45:10",
		"t.to_iso8601_string()":                            "2018-03-31T13:45:10Z",
		"t.in_timezone('Europe/Berlin')":                   "2018-03-31 15:45:10.500000+02:00",
		"t.in_tz('UTC').timezone_name":                     "UTC",
		"t.naive()":                                        "2018-03-31 13:45:10.500000",
		"t.int_timestamp":                                  "1522503910",
		"[t.day_of_year, t.week_of_year, t.quarter, t.days_in_month]": "[90, 13, 1, 31]",
		"(t - t.start_of('day')).in_hours()":                          "13",
		// Python
		"t.isoformat(sep=' ', timespec='minutes')":                      "2018-03-31 13:45+00:00",
		"t.replace(tzinfo='Europe/Berlin')":                             "2018-03-31 13:45:10.500000+02:00",
		"t.astimezone('Europe/Berlin').utcoffset()":                     "2:00:00",
		"datetime.now()":                                                "2018-03-02 00:05:00",
		"datetime.now('UTC').tzname()":                                  "UTC",
		"datetime.utcfromtimestamp(1.5)":                                "1970-01-01 00:00:01.500000",
		"datetime.strptime('12:30 PM, Mar 5 18', '%I:%M %p, %b %d %y')": "2018-03-05 12:30:00",
		"datetime.strptime('2018 060 .25', '%Y %j .%f')":                "2018-03-01 00:00:00.250000",
		"timedelta(days=1.5)":                                           "1 day, 12:00:00",
		"timedelta(days=1) % timedelta(hours=7)":                        "3:00:00",
		"timedelta(days=1) / timedelta(hours=6)":                        "4.0",
		"2 * timedelta(hours=1)":                                        "2:00:00",
		"timedelta(minutes=-1)":                                         "-1 day, 23:59:00",
		"{t: 1}[t.in_timezone('Europe/Berlin')]":                        "1",
		"datetime.strptime('2018-03-25 00:30 +0100', '%Y-%m-%d %H:%M %z').in_timezone('Europe/Berlin') + timedelta(days=1)": "2018-03-26 00:30:00+02:00",
	} {
		if got, err := eval(t, expr); err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", expr, got, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"datetime(2018, 2, 29)":                    "day is 29",
		"datetime(10000, 1, 1)":                    "year is 10000",
		"t + timedelta(days=3000000)":              "years 1 to 9999",
		"t + delta(years=8000)":                    "years 1 to 9999",
		"t - delta(months=30000)":                  "years 1 to 9999",
		"timedelta(days=1e30)":                     "too long",
		"timedelta(days=1) * 1e30":                 "too long",
		"delta(days=1) * 9223372036854775807":      "too long",
		"delta(1)":                                 "named parts",
		"t < t.naive()":                            "has no time zone",
		"t - t.naive()":                            "has no time zone",
		"t.in_timezone('Mars/Olympus')":            "not a time zone",
		"t.start_of('eon')":                        "none of second",
		"t.strftime('%Q')":                         "%Q",
		"t.strftime('%')":                          "single %",
		"datetime.strptime('2018', '%Y-%m')":       "expected",
		"datetime.strptime('2018-13', '%Y-%m')":    "month is 13",
		"datetime.strptime('20180101x', '%Y%m%d')": "left over",
		"datetime.fromisoformat('soon')":           "recognised",
		"datetime.fromtimestamp(1e300)":            "within the calendar",
		"timedelta(1) / 0":                         "divided by zero",
		"timedelta(1) // timedelta(0)":             "divided by zero",
		"t + 1":                                    "unknown binary op",
		"dateutil.parser()":                        "cannot be called",
	} {
		if got, err := eval(t, expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %q, %v; want an error with %q", expr, got, err, want)
		}
	}
}

func FuzzStrptime(f *testing.F) {
	f.Add("2018-01-01", "%Y-%m-%d")
	f.Add("12:30 PM +01:00", "%I:%M %p %z")
	f.Add("060", "%j%%%F %T")
	f.Fuzz(func(t *testing.T, s, format string) {
		d, err := datetime.Strptime(s, format)
		if err != nil {
			return
		}
		if _, err := datetime.Strftime(d, "%Y-%m-%d %H:%M:%S.%f%z %j %U %W %G-%V"); err != nil {
			t.Error(err)
		}
	})
}
