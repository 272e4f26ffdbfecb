package airflow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/template/datetime"
	"damson/internal/template/value"
)

var macroNames = []string{"datetime", "datetime_diff_for_humans", "dateutil", "ds_add", "ds_format", "random", "time", "timedelta", "uuid"}

// macros is Airflow's object of that name: functions and libraries.
func (c *Context) macros() *value.Record {
	var seeded *rand.Rand // one sequence for all random values of a rendering
	random := func() *rand.Rand {
		if seeded == nil {
			seeded = c.random()
		}
		return seeded
	}
	return fixed("macros", macroNames, func(name string) starlark.Value {
		switch name {
		case "datetime":
			return datetime.DateTimeClass(c.Now.In(c.Location))
		case "timedelta":
			return datetime.TimeDeltaClass
		case "dateutil":
			return datetime.DateutilModule
		case "time":
			return c.timeModule()
		case "ds_add":
			return datetime.Func("ds_add", dsAdd)
		case "ds_format":
			return datetime.Func("ds_format", dsFormat)
		case "datetime_diff_for_humans":
			return datetime.Func("datetime_diff_for_humans", c.diffForHumans)
		case "random":
			return randomFunction(random())
		case "uuid":
			return uuidModule(random())
		}
		return nil
	})
}

// random is seeded by the run and the task, so that a retry renders the same text.
func (c *Context) random() *rand.Rand {
	sum := sha256.Sum256([]byte(c.Pipeline + "\x00" + c.RunID + "\x00" + c.Task))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}

func dsAdd(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var ds string
	var days int
	if err := starlark.UnpackArgs("ds_add", args, kwargs, "ds", &ds, "days", &days); err != nil {
		return nil, err
	}
	d, err := datetime.Strptime(ds, "%Y-%m-%d")
	if err != nil {
		return nil, err
	}
	if days > 4_000_000 || days < -4_000_000 {
		return nil, fmt.Errorf("%d days lead out of the calendar", days)
	}
	t := d.Time().AddDate(0, 0, days)
	if y := t.Year(); y < 1 || y > 9999 {
		return nil, fmt.Errorf("%d days lead out of the calendar", days)
	}
	return layout(t, dashed), nil
}

func dsFormat(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var ds, from, to string
	if err := starlark.UnpackArgs("ds_format", args, kwargs, "ds", &ds, "input_format", &from, "output_format", &to); err != nil {
		return nil, err
	}
	d, err := datetime.Strptime(ds, from)
	if err != nil {
		return nil, err
	}
	s, err := datetime.Strftime(d, to)
	return starlark.String(s), err
}

// timeModule is the part of Python's module time that makes sense in a template: the moment the attempt began.
func (c *Context) timeModule() starlark.Value {
	now := func(starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		return starlark.Float(float64(c.Now.UnixMicro()) / 1e6), nil
	}
	strftime := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var format string
		if err := starlark.UnpackArgs("strftime", args, kwargs, "format", &format); err != nil {
			return nil, err
		}
		s, err := datetime.Strftime(datetime.New(c.Now.In(c.Location)), format)
		return starlark.String(s), err
	}
	return &datetime.Class{Title: "time", Attrs: map[string]starlark.Value{
		"time":     datetime.Func("time", now),
		"strftime": datetime.Func("strftime", strftime),
	}}
}

// diffForHumans tells the time between two moments in words, as pendulum does: "2 days before", or, measured from now,
// "2 days ago".
func (c *Context) diffForHumans(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var then, since starlark.Value = nil, starlark.None
	if err := starlark.UnpackArgs("datetime_diff_for_humans", args, kwargs, "dt", &then, "since?", &since); err != nil {
		return nil, err
	}
	at, ok := then.(datetime.DateTime)
	if !ok {
		return nil, fmt.Errorf("%s is not a datetime", value.KindOf(then))
	}
	from, before, after := c.Now, "%s ago", "in %s"
	if since != starlark.None {
		other, ok := since.(datetime.DateTime)
		if !ok {
			return nil, fmt.Errorf("%s is not a datetime", value.KindOf(since))
		}
		from, before, after = other.Time(), "%s before", "%s after"
	}
	if at.Time().After(from) {
		return starlark.String(fmt.Sprintf(after, span(from, at.Time()))), nil
	}
	return starlark.String(fmt.Sprintf(before, span(at.Time(), from))), nil
}

// span gives the time from a to b, a first, rounded to its largest unit by pendulum's rules.
func span(a, b time.Time) string {
	a, b = a.UTC(), b.UTC()
	months := (b.Year()-a.Year())*12 + int(b.Month()-a.Month())
	for months > 0 && addMonths(a, months).After(b) {
		months--
	}
	rest := b.Sub(addMonths(a, months))
	days, years := int(rest/(24*time.Hour)), months/12
	months %= 12
	hours, minutes, seconds := int(rest.Hours())%24, int(rest.Minutes())%60, int(rest.Seconds())%60
	up := func(n int, more bool) int {
		if more {
			return n + 1
		}
		return n
	}
	switch {
	case years > 0:
		return plural(up(years, months > 6), "year")
	case months == 11 && days > 15:
		return plural(1, "year")
	case months > 0:
		return plural(up(months, days >= 27), "month")
	case days >= 7:
		return plural(up(days/7, days%7 > 3), "week")
	case days > 0:
		return plural(up(days, hours >= 22), "day")
	case hours > 0:
		return plural(hours, "hour")
	case minutes > 0:
		return plural(minutes, "minute")
	case seconds > 10:
		return plural(seconds, "second")
	}
	return "a few seconds"
}

// addMonths keeps the day, or takes the month's last.
func addMonths(t time.Time, months int) time.Time {
	moved := t.AddDate(0, months, 0)
	if moved.Day() != t.Day() {
		return moved.AddDate(0, 0, -moved.Day())
	}
	return moved
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// randomFunction is Python's random.random, with the module's simplest functions as attributes.
func randomFunction(r *rand.Rand) starlark.Value {
	random := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args)+len(kwargs) > 0 {
			return nil, fmt.Errorf("it takes no arguments")
		}
		return starlark.Float(r.Float64()), nil
	}
	randint := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var low, high int
		if err := starlark.UnpackArgs("randint", args, kwargs, "a", &low, "b", &high); err != nil {
			return nil, err
		}
		if high < low || high > math.MaxInt32 || low < math.MinInt32 {
			return nil, fmt.Errorf("there is no number from %d to %d", low, high)
		}
		return starlark.MakeInt(low + r.IntN(high-low+1)), nil
	}
	choice := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var seq starlark.Indexable
		if err := starlark.UnpackArgs("choice", args, kwargs, "seq", &seq); err != nil {
			return nil, err
		}
		if seq.Len() == 0 {
			return nil, fmt.Errorf("an empty list has nothing to choose")
		}
		return seq.Index(r.IntN(seq.Len())), nil
	}
	return &datetime.Class{Title: "random", Call: random, Attrs: map[string]starlark.Value{
		"random": datetime.Func("random", random), "randint": datetime.Func("randint", randint), "choice": datetime.Func("choice", choice),
	}}
}

// uuidModule makes identifiers from the run's random numbers.
func uuidModule(r *rand.Rand) starlark.Value {
	make4 := func(starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], r.Uint64())
		binary.BigEndian.PutUint64(b[8:], r.Uint64())
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4, RFC 9562
		return uuid(b), nil
	}
	return &datetime.Class{Title: "uuid", Attrs: map[string]starlark.Value{"uuid1": datetime.Func("uuid1", make4), "uuid4": datetime.Func("uuid4", make4)}}
}

// uuid prints with dashes and has its digits as .hex.
type uuid [16]byte

func (u uuid) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
func (u uuid) Type() string          { return "uuid" }
func (u uuid) Freeze()               {}
func (u uuid) Truth() starlark.Bool  { return true }
func (u uuid) Hash() (uint32, error) { return binary.BigEndian.Uint32(u[:4]), nil }
func (u uuid) AttrNames() []string   { return []string{"hex"} }

// Attr gives hex, the digits without dashes.
func (u uuid) Attr(name string) (starlark.Value, error) {
	if name == "hex" {
		return starlark.String(hex.EncodeToString(u[:])), nil
	}
	return nil, nil
}
