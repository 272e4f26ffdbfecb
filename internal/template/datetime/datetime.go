// Package datetime gives Starlark the dates and times that Airflow's templates know: Python's datetime, date and
// timedelta, dateutil's relativedelta, and the methods of pendulum that scripts use. Its central type is DateTime. They
// print, compare and calculate as Python's do.
//
// The package reads no clock and keeps to the years 1 to 9999; what falls outside is an error. A datetime without a time
// zone (naive) is never mixed with one that has one.
package datetime

import (
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// DateTime is a moment in a time zone, or (naive) a wall clock reading anywhere. It counts microseconds.
type DateTime struct {
	t     time.Time
	naive bool
}

// New gives the datetime of a moment, in the moment's own zone.
func New(t time.Time) DateTime { return DateTime{t: t.Truncate(time.Microsecond).Round(0)} }

// Naive gives a datetime without zone that shows what t's clock shows.
func Naive(t time.Time) DateTime {
	return DateTime{t: time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1000*1000, time.UTC), naive: true}
}

// Time is the moment; a naive datetime counts as UTC.
func (d DateTime) Time() time.Time { return d.t }

// ISOFormat gives 2018-01-01T00:00:00+00:00, with the separator between date and time, and microseconds if there are any.
func (d DateTime) ISOFormat(sep string) string {
	layout := "2006-01-02" + "\x00" + "15:04:05"
	if d.t.Nanosecond() != 0 {
		layout += ".000000"
	}
	if !d.naive {
		layout += "-07:00"
	}
	return strings.Replace(d.t.Format(layout), "\x00", sep, 1)
}

func (d DateTime) String() string       { return d.ISOFormat(" ") }
func (d DateTime) Type() string         { return "datetime" }
func (d DateTime) Freeze()              {}
func (d DateTime) Truth() starlark.Bool { return true }

// Hash follows the moment, so that equal datetimes of different zones are one key.
func (d DateTime) Hash() (uint32, error) {
	return starlark.MakeInt64(d.t.UnixMicro()).Hash()
}

// CompareSameType compares moments. A naive datetime equals no other, and has no order with them.
func (d DateTime) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	e := y.(DateTime)
	if d.naive != e.naive {
		switch op {
		case syntax.EQL:
			return false, nil
		case syntax.NEQ:
			return true, nil
		}
		return false, mixed(d, e)
	}
	return threeway(op, d.t.Compare(e.t))
}

func mixed(d, e DateTime) error {
	if e.naive {
		d, e = e, d
	}
	return fmt.Errorf("%s has no time zone and %s has one; give the first .in_timezone('UTC') or take the other's .naive()", d, e)
}

func threeway(op syntax.Token, c int) (bool, error) {
	switch op {
	case syntax.EQL:
		return c == 0, nil
	case syntax.NEQ:
		return c != 0, nil
	case syntax.LT:
		return c < 0, nil
	case syntax.LE:
		return c <= 0, nil
	case syntax.GT:
		return c > 0, nil
	}
	return c >= 0, nil
}

// Binary adds and subtracts durations, and subtracts datetimes from one another.
func (d DateTime) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	switch y := y.(type) {
	case TimeDelta:
		if op == syntax.PLUS {
			return d.add(y)
		}
		if op == syntax.MINUS && side == starlark.Left {
			return d.add(-y)
		}
	case RelativeDelta:
		if op == syntax.PLUS {
			return d.shift(y)
		}
		if op == syntax.MINUS && side == starlark.Left {
			return d.shift(y.negated())
		}
	case DateTime:
		if op == syntax.MINUS && side == starlark.Left {
			if d.naive != y.naive {
				return nil, mixed(d, y)
			}
			return TimeDelta(d.t.UnixMicro() - y.t.UnixMicro()), nil
		}
	}
	return nil, nil
}

// add moves by a duration as pendulum does: whole days keep the clock time, also where the clocks change; the rest
// elapses.
func (d DateTime) add(td TimeDelta) (starlark.Value, error) {
	days, rest := td.split()
	return d.checked(d.t.AddDate(0, 0, int(days)).Add(time.Duration(rest) * time.Microsecond))
}

// checked gives the datetime at t in the same zone, unless it lies outside the calendar.
func (d DateTime) checked(t time.Time) (starlark.Value, error) {
	if y := t.Year(); y < 1 || y > 9999 {
		return nil, fmt.Errorf("the date lies outside the years 1 to 9999")
	}
	return DateTime{t: t, naive: d.naive}, nil
}

func (d DateTime) shift(r RelativeDelta) (starlark.Value, error) {
	t, err := r.apply(d.t)
	if err != nil {
		return nil, err
	}
	return d.checked(t)
}

// Date is a day of the calendar.
type Date struct{ t time.Time } // midnight UTC

// NewDate gives the day that t's clock shows.
func NewDate(t time.Time) Date {
	return Date{time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)}
}

func (d Date) String() string        { return d.t.Format("2006-01-02") }
func (d Date) Type() string          { return "date" }
func (d Date) Freeze()               {}
func (d Date) Truth() starlark.Bool  { return true }
func (d Date) Hash() (uint32, error) { return starlark.MakeInt64(d.t.Unix()).Hash() }

// CompareSameType orders days.
func (d Date) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	return threeway(op, d.t.Compare(y.(Date).t))
}

// Binary adds and subtracts whole days, months and years, and subtracts days from one another.
func (d Date) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	sign := 1
	if op == syntax.MINUS && side == starlark.Left {
		sign = -1
	} else if op != syntax.PLUS {
		return nil, nil
	}
	switch y := y.(type) {
	case TimeDelta:
		days, _ := y.split()
		return d.checked(d.t.AddDate(0, 0, sign*int(days)))
	case RelativeDelta:
		if sign < 0 {
			y = y.negated()
		}
		t, err := y.apply(d.t)
		if err != nil {
			return nil, err
		}
		return d.checked(t)
	case Date:
		if sign < 0 {
			return TimeDelta(d.t.UnixMicro() - y.t.UnixMicro()), nil
		}
	}
	return nil, nil
}

func (d Date) checked(t time.Time) (starlark.Value, error) {
	if y := t.Year(); y < 1 || y > 9999 {
		return nil, fmt.Errorf("the date lies outside the years 1 to 9999")
	}
	return NewDate(t), nil
}

// IsDate reports whether a value is a datetime or a date.
func IsDate(v starlark.Value) bool {
	switch v.(type) {
	case DateTime, Date:
		return true
	}
	return false
}
