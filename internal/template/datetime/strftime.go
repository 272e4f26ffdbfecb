package datetime

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// Strftime prints a datetime or a date by C's codes, as Python on Linux does: also %-d without leading zero.
func Strftime(v starlark.Value, format string) (string, error) {
	switch v := v.(type) {
	case DateTime:
		return strftime(v.t, v.naive, format)
	case Date:
		return strftime(v.t, true, format)
	case starlark.NoneType:
		return "", fmt.Errorf("there is no date to print: the value is None")
	}
	return "", fmt.Errorf("a %s is not a date", v.Type())
}

func strftime(t time.Time, naive bool, format string) (string, error) {
	if strings.IndexByte(format, '%') < 0 {
		return format, nil
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		flag := byte(0)
		if i < len(format) && strings.IndexByte("-_0:^#", format[i]) >= 0 {
			flag = format[i]
			i++
		}
		if i >= len(format) {
			return "", fmt.Errorf("the format %q ends with a single %%", format)
		}
		if err := appendCode(&b, t, naive, flag, format[i]); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// numeric codes: width and value.
func numericCode(t time.Time, c byte) (width, n int, fill byte, ok bool) {
	hour12 := (t.Hour()+11)%12 + 1
	isoYear, isoWeek := t.ISOWeek()
	weekday := int(t.Weekday())
	switch c {
	case 'd':
		return 2, t.Day(), '0', true
	case 'e':
		return 2, t.Day(), ' ', true
	case 'm':
		return 2, int(t.Month()), '0', true
	case 'y':
		return 2, t.Year() % 100, '0', true
	case 'Y':
		return 1, t.Year(), '0', true
	case 'C':
		return 2, t.Year() / 100, '0', true
	case 'H':
		return 2, t.Hour(), '0', true
	case 'k':
		return 2, t.Hour(), ' ', true
	case 'I':
		return 2, hour12, '0', true
	case 'l':
		return 2, hour12, ' ', true
	case 'M':
		return 2, t.Minute(), '0', true
	case 'S':
		return 2, t.Second(), '0', true
	case 'f':
		return 6, t.Nanosecond() / 1000, '0', true
	case 'j':
		return 3, t.YearDay(), '0', true
	case 'w':
		return 1, weekday, '0', true
	case 'u':
		return 1, (weekday+6)%7 + 1, '0', true
	case 'U':
		return 2, (t.YearDay() + 6 - weekday) / 7, '0', true
	case 'W':
		return 2, (t.YearDay() + 6 - (weekday+6)%7) / 7, '0', true
	case 'V':
		return 2, isoWeek, '0', true
	case 'G':
		return 4, isoYear, '0', true
	case 'g':
		return 2, isoYear % 100, '0', true
	}
	return 0, 0, 0, false
}

var layouts = map[byte]string{'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'p': "PM", 'c': "Mon Jan _2 15:04:05 2006",
	'x': "01/02/06", 'D': "01/02/06", 'X': "15:04:05", 'T': "15:04:05", 'F': "2006-01-02", 'R': "15:04", 'r': "03:04:05 PM"}

func appendCode(b *strings.Builder, t time.Time, naive bool, flag, c byte) error {
	if width, n, fill, ok := numericCode(t, c); ok {
		digits := strconv.Itoa(n)
		switch flag {
		case '-':
			width = 0
		case '_':
			fill = ' '
		case '0':
			fill = '0'
		}
		for i := len(digits); i < width; i++ {
			b.WriteByte(fill)
		}
		b.WriteString(digits)
		return nil
	}
	if layout, ok := layouts[c]; ok {
		s := t.Format(layout)
		if flag == '^' || flag == '#' {
			s = strings.ToUpper(s)
		}
		b.WriteString(s)
		return nil
	}
	switch c {
	case 'P':
		b.WriteString(strings.ToLower(t.Format("PM")))
	case 's':
		b.WriteString(strconv.FormatInt(t.Unix(), 10))
	case 'z':
		switch {
		case naive:
		case flag == ':':
			b.WriteString(t.Format("-07:00"))
		default:
			b.WriteString(t.Format("-0700"))
		}
	case 'Z':
		if !naive {
			b.WriteString(t.Format("MST"))
		}
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case '%':
		b.WriteByte('%')
	default:
		return fmt.Errorf("%%%c is not a code for a part of a date", c)
	}
	return nil
}

// strptime reads a text by C's codes. The result is naive unless the format has %z.
func strptime(s, format string) (DateTime, error) {
	p := &dateParser{rest: s, f: fields{year: 1900, month: 1, day: 1}}
	for i := 0; i < len(format) && p.err == nil; i++ {
		c := format[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n':
			p.rest = strings.TrimLeft(p.rest, " \t\n")
		case c != '%':
			p.literal(string(c))
		case i+1 == len(format):
			p.err = fmt.Errorf("the format ends with a single %%")
		default:
			i++
			if format[i] == '-' && i+1 < len(format) {
				i++
			}
			p.code(format[i])
		}
	}
	if p.err == nil && p.rest != "" {
		p.err = fmt.Errorf("%q is left over", p.rest)
	}
	if p.err != nil {
		return DateTime{}, fmt.Errorf("%q is not a date of the form %q: %w", s, format, p.err)
	}
	return p.date(s, format)
}

// dateParser is what strptime has read so far.
type dateParser struct {
	rest    string
	f       fields
	pm      int // 1 AM, 2 PM, 0 not said
	yearDay int
	zone    *time.Location
	err     error
}

func (p *dateParser) literal(text string) {
	if rest, ok := strings.CutPrefix(p.rest, text); ok {
		p.rest = rest
		return
	}
	p.err = fmt.Errorf("expected %q before %q", text, p.rest)
}

func (p *dateParser) digits(most int) (n, width int) {
	for width < most && width < len(p.rest) && '0' <= p.rest[width] && p.rest[width] <= '9' {
		n = n*10 + int(p.rest[width]-'0')
		width++
	}
	if width == 0 {
		p.err = fmt.Errorf("expected digits before %q", p.rest)
	}
	p.rest = p.rest[width:]
	return n, width
}

func (p *dateParser) code(c byte) {
	number := func(to *int, most int) { *to, _ = p.digits(most) }
	switch c {
	case 'Y':
		number(&p.f.year, 4)
	case 'y':
		number(&p.f.year, 2)
		if p.f.year < 69 {
			p.f.year += 100
		}
		p.f.year += 1900
	case 'm':
		number(&p.f.month, 2)
	case 'd', 'e':
		number(&p.f.day, 2)
	case 'H', 'k', 'I', 'l':
		number(&p.f.hour, 2)
	case 'M':
		number(&p.f.minute, 2)
	case 'S':
		number(&p.f.second, 2)
	case 'j':
		number(&p.yearDay, 3)
	case 'f':
		n, width := p.digits(6)
		for ; width < 6; width++ {
			n *= 10
		}
		p.f.microsecond = n
	case 'p':
		p.pm = p.name([]string{"AM", "PM"}, 0)
	case 'b', 'B', 'h':
		p.f.month = p.name(months, 3)
	case 'a', 'A':
		p.name(weekdays, 3)
	case 'z':
		p.offset()
	case 'Z':
		if p.zone == nil {
			p.zone = time.UTC
		}
		p.name([]string{"UTC", "GMT", "Z"}, 0)
	case 'F':
		p.codes("%Y-%m-%d")
	case 'T':
		p.codes("%H:%M:%S")
	case '%':
		p.literal("%")
	default:
		p.err = fmt.Errorf("%%%c cannot be read", c)
	}
}

func (p *dateParser) codes(format string) {
	for i := 0; i < len(format) && p.err == nil; i++ {
		if format[i] == '%' {
			i++
			p.code(format[i])
		} else {
			p.literal(format[i : i+1])
		}
	}
}

var (
	months = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
		"November", "December"}
	weekdays = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

// name reads one of the words, or its first letters when short > 0, and gives its number from 1.
func (p *dateParser) name(words []string, short int) int {
	for i, w := range words {
		for _, text := range []string{w, w[:max(short, 1)]} {
			if (short > 0 || text == w) && len(p.rest) >= len(text) && strings.EqualFold(p.rest[:len(text)], text) {
				p.rest = p.rest[len(text):]
				return i + 1
			}
		}
	}
	p.err = fmt.Errorf("expected one of %s before %q", strings.Join(words, ", "), p.rest)
	return 0
}

// offset reads Z, +0100 or +01:00.
func (p *dateParser) offset() {
	if rest, ok := strings.CutPrefix(p.rest, "Z"); ok {
		p.rest, p.zone = rest, time.UTC
		return
	}
	sign := 1
	switch {
	case strings.HasPrefix(p.rest, "-"):
		sign = -1
	case !strings.HasPrefix(p.rest, "+"):
		p.err = fmt.Errorf("expected an offset such as +0100 before %q", p.rest)
		return
	}
	p.rest = p.rest[1:]
	hours, _ := p.digits(2)
	p.rest = strings.TrimPrefix(p.rest, ":")
	minutes, _ := p.digits(2)
	p.zone = fixedZone(sign * (hours*60 + minutes))
}

// fixedZone gives the zone so many minutes east of UTC.
func fixedZone(minutes int) *time.Location {
	if minutes == 0 {
		return time.UTC
	}
	sign := '+'
	m := minutes
	if m < 0 {
		sign, m = '-', -m
	}
	return time.FixedZone(fmt.Sprintf("UTC%c%02d:%02d", sign, m/60, m%60), minutes*60)
}

// date puts the parts together.
func (p *dateParser) date(s, format string) (DateTime, error) {
	if p.pm > 0 {
		p.f.hour %= 12
		if p.pm == 2 {
			p.f.hour += 12
		}
	}
	err := p.f.check()
	if p.yearDay > 366 {
		err = fmt.Errorf("a year has no day %d", p.yearDay)
	}
	if err != nil {
		return DateTime{}, fmt.Errorf("%q is not a date of the form %q: %w", s, format, err)
	}
	zone, naive := p.zone, p.zone == nil
	if naive {
		zone = time.UTC
	}
	t := p.f.in(zone)
	if p.yearDay > 0 {
		t = t.AddDate(0, 0, p.yearDay-t.YearDay())
	}
	return DateTime{t: t, naive: naive}, nil
}

// isoForms are the layouts that fromisoformat and dateutil's parser read.
var isoForms = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "20060102T150405Z0700",
	"20060102T150405", "20060102", "2006-01", "2006/01/02", "2006/01/02 15:04:05", "2 Jan 2006", "Jan 2, 2006", "January 2, 2006", "2 January 2006"}

// parseISO reads a date in one of the usual forms; it is naive when the text tells no zone.
func parseISO(s string) (DateTime, error) {
	for _, layout := range isoForms {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			if strings.Contains(layout, "07") {
				if _, offset := t.Zone(); offset == 0 {
					t = t.UTC()
				}
				return New(t), nil
			}
			return Naive(t), nil
		}
	}
	return DateTime{}, fmt.Errorf("%q is not a date that can be recognised; give its form with strptime", s)
}
