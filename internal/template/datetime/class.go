package datetime

import (
	"fmt"
	"sort"
	"time"

	"go.starlark.net/starlark"
)

// Class is a callable value with attributes, such as Python's class datetime with its strptime. Call may be nil: the
// value is then a module.
type Class struct {
	Title string
	Call  func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)
	Attrs map[string]starlark.Value
}

func (c *Class) String() string        { return "<" + c.Title + ">" }
func (c *Class) Name() string          { return c.Title }
func (c *Class) Type() string          { return c.Title }
func (c *Class) Freeze()               {}
func (c *Class) Truth() starlark.Bool  { return true }
func (c *Class) Hash() (uint32, error) { return 0, fmt.Errorf("%s is no key", c.Title) }

// Attr gives an attribute, or nil.
func (c *Class) Attr(name string) (starlark.Value, error) { return c.Attrs[name], nil }

// AttrNames lists the attributes.
func (c *Class) AttrNames() []string {
	var names []string
	for name := range c.Attrs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// CallInternal calls the class.
func (c *Class) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if c.Call == nil {
		return nil, fmt.Errorf("%s is a module and cannot be called", c.Title)
	}
	return c.Call(args, kwargs)
}

// Func makes a Starlark function.
func Func(name string, f func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)) starlark.Value {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return f(args, kwargs)
	})
}

// DateTimeClass is Python's class datetime, whose now() is the given moment.
func DateTimeClass(now time.Time) *Class {
	current := func(zone *time.Location) starlark.Value {
		if zone == nil {
			return Naive(now)
		}
		return New(now.In(zone))
	}
	nowIn := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var zone starlark.Value = starlark.None
		if err := starlark.UnpackArgs("now", args, kwargs, "tz?", &zone); err != nil || zone == starlark.None {
			return current(nil), err
		}
		loc, err := location(zone)
		return current(loc), err
	}
	naiveNow := func(starlark.Tuple, []starlark.Tuple) (starlark.Value, error) { return Naive(now.UTC()), nil }
	return &Class{Title: "datetime", Call: newDateTime, Attrs: map[string]starlark.Value{
		"now":              Func("now", nowIn),
		"today":            Func("today", naiveNow),
		"utcnow":           Func("utcnow", naiveNow),
		"strptime":         Func("strptime", strptimeOf),
		"fromisoformat":    Func("fromisoformat", parse),
		"fromtimestamp":    Func("fromtimestamp", fromTimestamp),
		"utcfromtimestamp": Func("utcfromtimestamp", fromTimestamp),
	}}
}

// newDateTime is datetime(year, month, day, …, tzinfo): naive without tzinfo.
func newDateTime(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var f fields
	var zone starlark.Value = starlark.None
	if err := starlark.UnpackArgs("datetime", args, kwargs, "year", &f.year, "month", &f.month, "day", &f.day, "hour?", &f.hour,
		"minute?", &f.minute, "second?", &f.second, "microsecond?", &f.microsecond, "tzinfo?", &zone); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if zone == starlark.None {
		return Naive(f.in(time.UTC)), nil
	}
	loc, err := location(zone)
	if err != nil {
		return nil, err
	}
	return New(f.in(loc)), nil
}

func strptimeOf(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var s, format string
	if err := starlark.UnpackArgs("strptime", args, kwargs, "date_string", &s, "format", &format); err != nil {
		return nil, err
	}
	return Strptime(s, format)
}

// Strptime reads a text by C's codes; the result has no zone unless the format has %z or %Z.
func Strptime(s, format string) (DateTime, error) { return strptime(s, format) }

func parse(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var s string
	if err := starlark.UnpackArgs("parse", args, kwargs, "timestr", &s); err != nil {
		return nil, err
	}
	return parseISO(s)
}

// fromTimestamp reads seconds since 1970 as a naive datetime in UTC, or in the zone given.
func fromTimestamp(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var seconds, zone starlark.Value = nil, starlark.None
	if err := starlark.UnpackArgs("fromtimestamp", args, kwargs, "timestamp", &seconds, "tz?", &zone); err != nil {
		return nil, err
	}
	f, ok := starlark.AsFloat(seconds)
	if !ok || !(f > -62e9 && f < 253e9) {
		return nil, fmt.Errorf("%s is not a number of seconds within the calendar", seconds)
	}
	t := time.UnixMicro(int64(f * 1e6)).UTC()
	if zone == starlark.None {
		return Naive(t), nil
	}
	loc, err := location(zone)
	if err != nil {
		return nil, err
	}
	return New(t.In(loc)), nil
}

// TimeDeltaClass is Python's class timedelta.
var TimeDeltaClass = &Class{Title: "timedelta", Call: newTimeDelta}

func newTimeDelta(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v [7]starlark.Value
	if err := starlark.UnpackArgs("timedelta", args, kwargs, "days?", &v[0], "seconds?", &v[1], "microseconds?", &v[2],
		"milliseconds?", &v[3], "minutes?", &v[4], "hours?", &v[5], "weeks?", &v[6]); err != nil {
		return nil, err
	}
	total := 0.0
	for i, unit := range []TimeDelta{day, second, 1, 1000, minute, hour, week} {
		if v[i] == nil {
			continue
		}
		f, ok := starlark.AsFloat(v[i])
		if !ok {
			return nil, fmt.Errorf("a duration is made of numbers, not of a %s", v[i].Type())
		}
		total += f * float64(unit)
	}
	return fromFloat(total)
}

// DateutilModule is the part of the package dateutil that SQL scripts use: relativedelta and parser.
var DateutilModule = dateutil()

func dateutil() *Class {
	delta := Func("relativedelta", newRelativeDelta)
	read := Func("parse", parse)
	return &Class{Title: "dateutil", Attrs: map[string]starlark.Value{
		"relativedelta": &Class{Title: "relativedelta", Call: newRelativeDelta, Attrs: map[string]starlark.Value{"relativedelta": delta}},
		"parser":        &Class{Title: "parser", Attrs: map[string]starlark.Value{"parse": read, "isoparse": read}},
	}}
}

func newRelativeDelta(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("it takes named parts only, such as months=1; subtract two datetimes for the time between them")
	}
	var years, months, days, weeks, hours, minutes, seconds, micros int64
	set := unset
	if err := starlark.UnpackArgs("relativedelta", nil, kwargs, "years?", &years, "months?", &months, "weeks?", &weeks, "days?", &days,
		"hours?", &hours, "minutes?", &minutes, "seconds?", &seconds, "microseconds?", &micros, "year?", &set.year, "month?", &set.month,
		"day?", &set.day, "hour?", &set.hour, "minute?", &set.minute, "second?", &set.second, "microsecond?", &set.microsecond); err != nil {
		return nil, err
	}
	rest := float64(hours)*float64(hour) + float64(minutes)*float64(minute) + float64(seconds)*float64(second) + float64(micros)
	if rest > maxDelta || rest < -maxDelta || weeks > 1e6 || weeks < -1e6 || days > 1e7 || days < -1e7 {
		return nil, errTooLong
	}
	return bounded(years, months, days+7*weeks, TimeDelta(rest), set)
}
