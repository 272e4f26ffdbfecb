package datetime

import (
	"fmt"
	"math"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// TimeDelta is a duration in microseconds, Python's timedelta.
type TimeDelta int64

const (
	second TimeDelta = 1_000_000
	minute           = 60 * second
	hour             = 60 * minute
	day              = 24 * hour
	week             = 7 * day
)

// split gives whole days, rounded down, and the microseconds of the last one.
func (d TimeDelta) split() (days, rest int64) {
	days, rest = int64(d/day), int64(d%day)
	if rest < 0 {
		days, rest = days-1, rest+int64(day)
	}
	return days, rest
}

// String prints as Python: "1 day, 2:03:04.000005".
func (d TimeDelta) String() string {
	days, rest := d.split()
	s := fmt.Sprintf("%d:%02d:%02d", rest/int64(hour), rest%int64(hour)/int64(minute), rest%int64(minute)/int64(second))
	if us := rest % int64(second); us != 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	switch days {
	case 0:
		return s
	case 1, -1:
		return fmt.Sprintf("%d day, %s", days, s)
	}
	return fmt.Sprintf("%d days, %s", days, s)
}

func (d TimeDelta) Type() string          { return "timedelta" }
func (d TimeDelta) Freeze()               {}
func (d TimeDelta) Truth() starlark.Bool  { return d != 0 }
func (d TimeDelta) Hash() (uint32, error) { return starlark.MakeInt64(int64(d)).Hash() }

// Abs is the duration without its sign.
func (d TimeDelta) Abs() TimeDelta { return max(d, -d) }

// CompareSameType orders durations.
func (d TimeDelta) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	e := y.(TimeDelta)
	c := 0
	if d < e {
		c = -1
	} else if d > e {
		c = 1
	}
	return threeway(op, c)
}

// Unary gives -d and +d.
func (d TimeDelta) Unary(op syntax.Token) (starlark.Value, error) {
	switch op {
	case syntax.MINUS:
		return -d, nil
	case syntax.PLUS:
		return d, nil
	}
	return nil, nil
}

var errTooLong = fmt.Errorf("the duration is too long")

// maxDelta is what separates the first and the last moment of the calendar, and some.
const maxDelta = float64(10_000 * 366 * day)

func fromFloat(us float64) (starlark.Value, error) {
	if math.IsNaN(us) || math.Abs(us) > maxDelta {
		return nil, errTooLong
	}
	return TimeDelta(math.RoundToEven(us)), nil
}

// Binary adds, subtracts and divides durations, and multiplies and divides them by numbers.
func (d TimeDelta) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	if e, ok := y.(TimeDelta); ok && side == starlark.Left {
		return d.combine(op, e)
	}
	f, ok := starlark.AsFloat(y)
	switch {
	case !ok:
		return nil, nil
	case op == syntax.STAR:
		return fromFloat(float64(d) * f)
	case side == starlark.Right:
		return nil, nil
	case f == 0 && (op == syntax.SLASH || op == syntax.SLASHSLASH):
		return nil, fmt.Errorf("a duration is divided by zero")
	case op == syntax.SLASH:
		return fromFloat(float64(d) / f)
	case op == syntax.SLASHSLASH:
		return fromFloat(math.Floor(float64(d) / f))
	}
	return nil, nil
}

func (d TimeDelta) combine(op syntax.Token, e TimeDelta) (starlark.Value, error) {
	switch op {
	case syntax.PLUS:
		return fromFloat(float64(d) + float64(e))
	case syntax.MINUS:
		return fromFloat(float64(d) - float64(e))
	case syntax.SLASH, syntax.SLASHSLASH, syntax.PERCENT:
		if e == 0 {
			return nil, fmt.Errorf("a duration is divided by zero")
		}
	}
	quotient := math.Floor(float64(d) / float64(e))
	switch op {
	case syntax.SLASH:
		return starlark.Float(float64(d) / float64(e)), nil
	case syntax.SLASHSLASH:
		return starlark.MakeInt64(int64(quotient)), nil
	case syntax.PERCENT:
		return fromFloat(float64(d) - quotient*float64(e))
	}
	return nil, nil
}

// RelativeDelta is dateutil's relativedelta: fields of the calendar to replace and to move by. Months keep the day, or
// take the month's last.
type RelativeDelta struct {
	years, months, days int64
	rest                TimeDelta
	set                 fields // 0 in year, month and day, -1 in the others: not set
}

// fields are the parts of a date and time.
type fields struct{ year, month, day, hour, minute, second, microsecond int }

var unset = fields{hour: -1, minute: -1, second: -1, microsecond: -1}

func (r RelativeDelta) Type() string          { return "relativedelta" }
func (r RelativeDelta) Freeze()               {}
func (r RelativeDelta) Truth() starlark.Bool  { return r != RelativeDelta{set: unset} }
func (r RelativeDelta) Hash() (uint32, error) { return 0, fmt.Errorf("a relativedelta is no key") }

func (r RelativeDelta) String() string {
	var parts []string
	part := func(name string, n int64) {
		if n != 0 {
			parts = append(parts, fmt.Sprintf("%s=%+d", name, n))
		}
	}
	part("years", r.years)
	part("months", r.months)
	part("days", r.days)
	part("hours", int64(r.rest/hour))
	part("minutes", int64(r.rest%hour/minute))
	part("seconds", int64(r.rest%minute/second))
	part("microseconds", int64(r.rest%second))
	for _, f := range []struct {
		name     string
		n, empty int
	}{{"year", r.set.year, 0}, {"month", r.set.month, 0}, {"day", r.set.day, 0}, {"hour", r.set.hour, -1},
		{"minute", r.set.minute, -1}, {"second", r.set.second, -1}, {"microsecond", r.set.microsecond, -1}} {
		if f.n != f.empty {
			parts = append(parts, fmt.Sprintf("%s=%d", f.name, f.n))
		}
	}
	return "relativedelta(" + strings.Join(parts, ", ") + ")"
}

func (r RelativeDelta) negated() RelativeDelta {
	r.years, r.months, r.days, r.rest = -r.years, -r.months, -r.days, -r.rest
	return r
}

// Unary gives -r.
func (r RelativeDelta) Unary(op syntax.Token) (starlark.Value, error) {
	if op == syntax.MINUS {
		return r.negated(), nil
	}
	return nil, nil
}

// maxTimes is a factor that no relativedelta but the empty one survives within the calendar.
const maxTimes = 10_000_000

// Binary adds and subtracts relativedeltas and multiplies them by integers.
func (r RelativeDelta) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	switch y := y.(type) {
	case RelativeDelta:
		if op == syntax.MINUS {
			y = y.negated()
		}
		if side == starlark.Left && (op == syntax.PLUS || op == syntax.MINUS) {
			return bounded(r.years+y.years, r.months+y.months, r.days+y.days, r.rest+y.rest, r.set)
		}
	case starlark.Int:
		if n, ok := y.Int64(); ok && op == syntax.STAR {
			if n = max(-maxTimes, min(n, maxTimes)); float64(r.rest.Abs())*math.Abs(float64(n)) > maxDelta {
				return nil, errTooLong
			}
			return bounded(r.years*n, r.months*n, r.days*n, r.rest*TimeDelta(n), r.set)
		}
	}
	return nil, nil
}

// bounded makes a relativedelta whose parts stay far from overflow.
func bounded(years, months, days int64, rest TimeDelta, set fields) (starlark.Value, error) {
	for _, n := range []int64{years / 10_000, months / 120_000, days / 4_000_000, int64(float64(rest) / maxDelta)} {
		if n != 0 {
			return nil, errTooLong
		}
	}
	return RelativeDelta{years: years, months: months, days: days, rest: rest, set: set}, nil
}

// apply moves a date: fields are replaced, years and months added (the day is cut to the month's length), then the rest.
func (r RelativeDelta) apply(t time.Time) (time.Time, error) {
	f := fieldsOf(t)
	f.replace(r.set)
	months := int64(f.year)*12 + int64(f.month-1) + r.years*12 + r.months
	if months < 12 || months >= 10_000*12 {
		return t, fmt.Errorf("the date lies outside the years 1 to 9999")
	}
	f.year, f.month = int(months/12), int(months%12)+1
	f.day = min(f.day, daysIn(f.year, f.month))
	if err := f.check(); err != nil {
		return t, err
	}
	days, rest := r.rest.split()
	return f.in(t.Location()).AddDate(0, 0, int(r.days+days)).Add(time.Duration(rest) * time.Microsecond), nil
}

func fieldsOf(t time.Time) fields {
	return fields{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond() / 1000}
}

// replace takes over the fields that are set in other.
func (f *fields) replace(other fields) {
	for _, p := range []struct {
		to    *int
		v     int
		empty int
	}{{&f.year, other.year, 0}, {&f.month, other.month, 0}, {&f.day, other.day, 0}, {&f.hour, other.hour, -1},
		{&f.minute, other.minute, -1}, {&f.second, other.second, -1}, {&f.microsecond, other.microsecond, -1}} {
		if p.v != p.empty {
			*p.to = p.v
		}
	}
}

// check reports a field outside its range.
func (f fields) check() error {
	within := func(name string, n, low, high int) error {
		if n < low || n > high {
			return fmt.Errorf("the %s is %d, and must lie between %d and %d", name, n, low, high)
		}
		return nil
	}
	if err := within("year", f.year, 1, 9999); err != nil {
		return err
	}
	if err := within("month", f.month, 1, 12); err != nil {
		return err
	}
	for _, err := range []error{within("day", f.day, 1, daysIn(f.year, f.month)), within("hour", f.hour, 0, 23),
		within("minute", f.minute, 0, 59), within("second", f.second, 0, 59), within("microsecond", f.microsecond, 0, 999_999)} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f fields) in(loc *time.Location) time.Time {
	return time.Date(f.year, time.Month(f.month), f.day, f.hour, f.minute, f.second, f.microsecond*1000, loc)
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
