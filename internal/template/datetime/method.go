package datetime

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// method is a method of a value of type T.
type method[T any] func(x T, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

func bind[T starlark.Value](x T, name string, m method[T]) starlark.Value {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return m(x, args, kwargs)
	}).BindReceiver(x)
}

// plain makes a method without arguments.
func plain[T any](f func(x T) (starlark.Value, error)) method[T] {
	return func(x T, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args)+len(kwargs) > 0 {
			return nil, fmt.Errorf("it takes no arguments")
		}
		return f(x)
	}
}

// as makes a method that prints by a layout of package time.
func as(layout string) method[DateTime] {
	return plain(func(d DateTime) (starlark.Value, error) { return starlark.String(d.t.Format(layout)), nil })
}

func names[T any](methods map[string]method[T], attributes ...string) []string {
	all := slices.Clone(attributes)
	for name := range methods {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}

var dateTimeMethods map[string]method[DateTime]

func init() {
	dateTimeMethods = map[string]method[DateTime]{
		"strftime":  strftimeMethod[DateTime],
		"isoformat": isoformat,
		"date":      plain(func(d DateTime) (starlark.Value, error) { return NewDate(d.t), nil }),
		"timestamp": plain(func(d DateTime) (starlark.Value, error) { return starlark.Float(float64(d.t.UnixMicro()) / 1e6), nil }),
		"weekday":   plain(func(d DateTime) (starlark.Value, error) { return weekday(d.t, 0), nil }),
		"isoweekday": plain(func(d DateTime) (starlark.Value, error) {
			return weekday(d.t, 1), nil
		}),
		"isocalendar": plain(func(d DateTime) (starlark.Value, error) { return isocalendar(d.t), nil }),
		"toordinal":   plain(func(d DateTime) (starlark.Value, error) { return ordinal(d.t), nil }),
		"replace":     replace,
		"astimezone":  inTimezone, "in_timezone": inTimezone, "in_tz": inTimezone,
		"naive":              plain(func(d DateTime) (starlark.Value, error) { return Naive(d.t), nil }),
		"tzname":             plain(func(d DateTime) (starlark.Value, error) { return d.zoneName(), nil }),
		"utcoffset":          plain(utcoffset),
		"add":                moveBy(1),
		"subtract":           moveBy(-1),
		"start_of":           startOf,
		"end_of":             endOf,
		"first_of":           edgeOfMonth(true),
		"last_of":            edgeOfMonth(false),
		"format":             pendulumFormat,
		"to_date_string":     as("2006-01-02"),
		"to_time_string":     as("15:04:05"),
		"to_datetime_string": as("2006-01-02 15:04:05"),
		"to_iso8601_string":  as("2006-01-02T15:04:05Z07:00"),
	}
}

var dateTimeFields = []string{"year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "timezone_name",
	"int_timestamp", "float_timestamp", "day_of_week", "day_of_year", "week_of_year", "quarter", "days_in_month"}

// Attr gives a field or a method.
func (d DateTime) Attr(name string) (starlark.Value, error) {
	if m := dateTimeMethods[name]; m != nil {
		return bind(d, name, m), nil
	}
	switch name {
	case "hour":
		return starlark.MakeInt(d.t.Hour()), nil
	case "minute":
		return starlark.MakeInt(d.t.Minute()), nil
	case "second":
		return starlark.MakeInt(d.t.Second()), nil
	case "microsecond":
		return starlark.MakeInt(d.t.Nanosecond() / 1000), nil
	case "tzinfo", "timezone_name":
		return d.zoneName(), nil
	case "int_timestamp":
		return starlark.MakeInt64(d.t.Unix()), nil
	case "float_timestamp":
		return starlark.Float(float64(d.t.UnixMicro()) / 1e6), nil
	}
	return calendarField(d.t, name), nil
}

// AttrNames lists the fields and methods.
func (d DateTime) AttrNames() []string { return names(dateTimeMethods, dateTimeFields...) }

// calendarField gives what a date tells of its day, or nil.
func calendarField(t time.Time, name string) starlark.Value {
	switch name {
	case "year":
		return starlark.MakeInt(t.Year())
	case "month":
		return starlark.MakeInt(int(t.Month()))
	case "day":
		return starlark.MakeInt(t.Day())
	case "day_of_week": // pendulum 3: Monday is 0
		return weekday(t, 0)
	case "day_of_year":
		return starlark.MakeInt(t.YearDay())
	case "week_of_year":
		_, week := t.ISOWeek()
		return starlark.MakeInt(week)
	case "quarter":
		return starlark.MakeInt((int(t.Month())-1)/3 + 1)
	case "days_in_month":
		return starlark.MakeInt(daysIn(t.Year(), int(t.Month())))
	}
	return nil
}

func (d DateTime) zoneName() starlark.Value {
	if d.naive {
		return starlark.None
	}
	return starlark.String(d.t.Location().String())
}

func weekday(t time.Time, first int) starlark.Value {
	return starlark.MakeInt((int(t.Weekday())+6)%7 + first)
}

func isocalendar(t time.Time) starlark.Value {
	year, week := t.ISOWeek()
	return starlark.Tuple{starlark.MakeInt(year), starlark.MakeInt(week), weekday(t, 1)}
}

// ordinal counts days; the first of January of year 1 is day 1.
func ordinal(t time.Time) starlark.Value {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return starlark.MakeInt64(day.Unix()/86400 + 719163)
}

func strftimeMethod[T starlark.Value](x T, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var format string
	if err := starlark.UnpackArgs("strftime", args, kwargs, "format", &format); err != nil {
		return nil, err
	}
	s, err := Strftime(x, format)
	return starlark.String(s), err
}

func isoformat(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sep, spec := "T", "auto"
	if err := starlark.UnpackArgs("isoformat", args, kwargs, "sep?", &sep, "timespec?", &spec); err != nil {
		return nil, err
	}
	layout, ok := map[string]string{"hours": "15", "minutes": "15:04", "seconds": "15:04:05", "milliseconds": "15:04:05.000", "microseconds": "15:04:05.000000"}[spec]
	switch {
	case spec == "auto":
		return starlark.String(d.ISOFormat(sep)), nil
	case !ok:
		return nil, fmt.Errorf("timespec %q is none of auto, hours, minutes, seconds, milliseconds, microseconds", spec)
	}
	zone := ""
	if !d.naive {
		zone = d.t.Format("-07:00")
	}
	return starlark.String(d.t.Format("2006-01-02") + sep + d.t.Format(layout) + zone), nil
}

// replace gives the datetime with other fields; tzinfo is None (naive) or the name of a zone.
func replace(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	f := fieldsOf(d.t)
	zone := starlark.Value(starlark.String(""))
	if err := starlark.UnpackArgs("replace", args, kwargs, "year?", &f.year, "month?", &f.month, "day?", &f.day, "hour?", &f.hour,
		"minute?", &f.minute, "second?", &f.second, "microsecond?", &f.microsecond, "tzinfo?", &zone); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	switch zone {
	case starlark.String(""):
		return DateTime{t: f.in(d.t.Location()), naive: d.naive}, nil
	case starlark.None:
		return Naive(f.in(time.UTC)), nil
	}
	loc, err := location(zone)
	if err != nil {
		return nil, err
	}
	return New(f.in(loc)), nil
}

// location finds a zone by its name.
func location(v starlark.Value) (*time.Location, error) {
	name, ok := starlark.AsString(v)
	if !ok {
		return nil, fmt.Errorf("a time zone is a name such as 'Europe/Berlin', not a %s", v.Type())
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		return nil, fmt.Errorf("%q is not a time zone; zones have names such as UTC or Europe/Berlin", name)
	}
	return loc, nil
}

func inTimezone(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var zone starlark.Value = starlark.String("UTC")
	if err := starlark.UnpackArgs("in_timezone", args, kwargs, "tz?", &zone); err != nil {
		return nil, err
	}
	loc, err := location(zone)
	if err != nil {
		return nil, err
	}
	return New(d.t.In(loc)), nil
}

func utcoffset(d DateTime) (starlark.Value, error) {
	if d.naive {
		return starlark.None, nil
	}
	_, offset := d.t.Zone()
	return TimeDelta(offset) * second, nil
}

// moveBy is pendulum's add and subtract.
func moveBy(sign int64) method[DateTime] {
	return func(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		v, err := newRelativeDelta(args, kwargs)
		if err != nil {
			return nil, err
		}
		r := v.(RelativeDelta)
		if sign < 0 {
			r = r.negated()
		}
		return d.shift(r)
	}
}

// startOf gives the first moment of the unit that d lies in.
func startOf(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	unit := ""
	if err := starlark.UnpackArgs("start_of", args, kwargs, "unit", &unit); err != nil {
		return nil, err
	}
	t, err := floor(d.t, unit)
	return DateTime{t: t, naive: d.naive}, err
}

func floor(t time.Time, unit string) (time.Time, error) {
	f := fieldsOf(t)
	f.microsecond = 0
	switch unit {
	case "second":
	case "minute":
		f.second = 0
	case "hour":
		f.minute, f.second = 0, 0
	case "day", "week", "month", "quarter", "year", "decade", "century":
		f.hour, f.minute, f.second = 0, 0, 0
	default:
		return t, fmt.Errorf("%q is none of second, minute, hour, day, week, month, quarter, year, decade, century", unit)
	}
	switch unit {
	case "week":
		return f.in(t.Location()).AddDate(0, 0, -(int(t.Weekday())+6)%7), nil
	case "month":
		f.day = 1
	case "quarter":
		f.day, f.month = 1, (f.month-1)/3*3+1
	case "year":
		f.day, f.month = 1, 1
	case "decade":
		f.day, f.month, f.year = 1, 1, f.year/10*10
	case "century":
		f.day, f.month, f.year = 1, 1, (f.year-1)/100*100+1
	}
	return f.in(t.Location()), nil
}

// endOf gives the last microsecond of the unit that d lies in.
func endOf(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	unit := ""
	if err := starlark.UnpackArgs("end_of", args, kwargs, "unit", &unit); err != nil {
		return nil, err
	}
	t, err := floor(d.t, unit)
	if err != nil {
		return nil, err
	}
	next := map[string][3]int{"day": {0, 0, 1}, "week": {0, 0, 7}, "month": {0, 1, 0}, "quarter": {0, 3, 0}, "year": {1, 0, 0}, "decade": {10, 0, 0}, "century": {100, 0, 0}}
	if n, ok := next[unit]; ok {
		t = t.AddDate(n[0], n[1], n[2])
	} else {
		t = t.Add(map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour}[unit])
	}
	return d.checked(t.Add(-time.Microsecond))
}

// edgeOfMonth is pendulum's first_of and last_of: midnight of the first or last day of the month, quarter or year.
func edgeOfMonth(first bool) method[DateTime] {
	return func(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		unit := ""
		if err := starlark.UnpackArgs("first_of", args, kwargs, "unit", &unit); err != nil {
			return nil, err
		}
		months := map[string]int{"month": 1, "quarter": 3, "year": 12}[unit]
		if months == 0 {
			return nil, fmt.Errorf("%q is none of month, quarter, year", unit)
		}
		t, err := floor(d.t, unit)
		if !first {
			t = t.AddDate(0, months, -1)
		}
		return DateTime{t: t, naive: d.naive}, err
	}
}

// pendulumTokens are pendulum's letters for the parts of a date, longest first, with C's codes.
var pendulumTokens = []struct{ token, code string }{
	{"YYYY", "%Y"}, {"YY", "%y"}, {"MMMM", "%B"}, {"MMM", "%b"}, {"MM", "%m"}, {"M", "%-m"}, {"DDDD", "%j"}, {"DDD", "%-j"},
	{"DD", "%d"}, {"D", "%-d"}, {"dddd", "%A"}, {"ddd", "%a"}, {"HH", "%H"}, {"H", "%-H"}, {"hh", "%I"}, {"h", "%-I"}, {"mm", "%M"},
	{"m", "%-M"}, {"ss", "%S"}, {"s", "%-S"}, {"SSSSSS", "%f"}, {"A", "%p"}, {"ZZ", "%z"}, {"Z", "%:z"}, {"X", "%s"}, {"WW", "%V"}, {"W", "%-V"},
}

// pendulumFormat prints by pendulum's letters, for example YYYY-MM-DD; text in [brackets] stays as it is.
func pendulumFormat(d DateTime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	format := ""
	if err := starlark.UnpackArgs("format", args, kwargs, "fmt", &format); err != nil {
		return nil, err
	}
	var codes strings.Builder
scan:
	for format != "" {
		if inner, after, ok := strings.Cut(format[1:], "]"); ok && format[0] == '[' {
			codes.WriteString(strings.ReplaceAll(inner, "%", "%%"))
			format = after
			continue
		}
		for _, t := range pendulumTokens {
			if rest, ok := strings.CutPrefix(format, t.token); ok {
				codes.WriteString(t.code)
				format = rest
				continue scan
			}
		}
		codes.WriteString(strings.ReplaceAll(format[:1], "%", "%%"))
		format = format[1:]
	}
	s, err := Strftime(d, codes.String())
	return starlark.String(s), err
}

var dateMethods = map[string]method[Date]{
	"strftime":    strftimeMethod[Date],
	"isoformat":   plain(func(d Date) (starlark.Value, error) { return starlark.String(d.String()), nil }),
	"weekday":     plain(func(d Date) (starlark.Value, error) { return weekday(d.t, 0), nil }),
	"isoweekday":  plain(func(d Date) (starlark.Value, error) { return weekday(d.t, 1), nil }),
	"isocalendar": plain(func(d Date) (starlark.Value, error) { return isocalendar(d.t), nil }),
	"toordinal":   plain(func(d Date) (starlark.Value, error) { return ordinal(d.t), nil }),
	"replace": func(d Date, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		f := fieldsOf(d.t)
		if err := starlark.UnpackArgs("replace", args, kwargs, "year?", &f.year, "month?", &f.month, "day?", &f.day); err != nil {
			return nil, err
		}
		return NewDate(f.in(time.UTC)), f.check()
	},
}

// Attr gives a field or a method.
func (d Date) Attr(name string) (starlark.Value, error) {
	if m := dateMethods[name]; m != nil {
		return bind(d, name, m), nil
	}
	return calendarField(d.t, name), nil
}

// AttrNames lists the fields and methods.
func (d Date) AttrNames() []string {
	return names(dateMethods, "year", "month", "day", "day_of_week", "day_of_year", "week_of_year", "quarter", "days_in_month")
}

var deltaMethods = map[string]method[TimeDelta]{
	"total_seconds": plain(func(d TimeDelta) (starlark.Value, error) { return starlark.Float(float64(d) / 1e6), nil }),
	"in_weeks":      whole(week), "in_days": whole(day), "in_hours": whole(hour), "in_minutes": whole(minute), "in_seconds": whole(second),
}

// whole counts how often a unit fits, as pendulum's in_days does.
func whole(unit TimeDelta) method[TimeDelta] {
	return plain(func(d TimeDelta) (starlark.Value, error) { return starlark.MakeInt64(int64(d / unit)), nil })
}

// Attr gives a field or a method.
func (d TimeDelta) Attr(name string) (starlark.Value, error) {
	if m := deltaMethods[name]; m != nil {
		return bind(d, name, m), nil
	}
	days, rest := d.split()
	switch name {
	case "days":
		return starlark.MakeInt64(days), nil
	case "seconds":
		return starlark.MakeInt64(rest / int64(second)), nil
	case "microseconds":
		return starlark.MakeInt64(rest % int64(second)), nil
	}
	return nil, nil
}

// AttrNames lists the fields and methods.
func (d TimeDelta) AttrNames() []string {
	return names(deltaMethods, "days", "seconds", "microseconds")
}

// Attr gives a field.
func (r RelativeDelta) Attr(name string) (starlark.Value, error) {
	switch name {
	case "years":
		return starlark.MakeInt64(r.years), nil
	case "months":
		return starlark.MakeInt64(r.months), nil
	case "days":
		return starlark.MakeInt64(r.days), nil
	}
	return nil, nil
}

// AttrNames lists the fields.
func (r RelativeDelta) AttrNames() []string { return []string{"days", "months", "years"} }
