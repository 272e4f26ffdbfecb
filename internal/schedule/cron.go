package schedule

import (
	"fmt"
	"strconv"
	"strings"

	"damson/internal/diag"
)

// cron is a parsed cron expression: a set for each field, value v as bit v.
type cron struct {
	second, minute, hour uint64
	day                  uint32 // of the month, 1–31
	month                uint16 // 1–12
	weekday              uint8  // 0 Sunday – 6
	nth                  [7]uint8
	lastWeekday          uint8  // the month's last such weekday
	lastDay              bool   // the month's last day
	nearest              uint32 // 15W: the working day nearest to the 15th, in its month
	lastWorking          bool   // LW: the month's last working day
	anyDay, anyWeekday   bool   // the field is * or ?
	everyHour            bool   // ticks by elapsed time when clocks change; see zone.go
}

// field says what one place of the expression allows.
type field struct {
	name     string
	min, max int
	names    []string // names[i] stands for min+i
}

var (
	months   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

	secondField  = field{name: "second", max: 59}
	minuteField  = field{name: "minute", max: 59}
	hourField    = field{name: "hour", max: 23}
	dayField     = field{name: "day-of-month", min: 1, max: 31}
	monthField   = field{name: "month", min: 1, max: 12, names: months}
	weekdayField = field{name: "day-of-week", max: 7, names: weekdays} // 7 is Sunday too
)

// parseCron reads five fields (minute, hour, day of month, month, day of week) or six (second first).
func parseCron(expr string) (*cron, error) {
	var texts [6]string
	n := 0
	for text := range strings.FieldsSeq(expr) {
		if n == len(texts) {
			return nil, fieldCount(expr, len(strings.Fields(expr)))
		}
		texts[n] = text
		n++
	}
	switch n {
	case 5:
		copy(texts[1:], texts[:5])
		texts[0] = "0"
	case 6:
	default:
		return nil, fieldCount(expr, n)
	}
	e := &cron{anyDay: isAny(texts[3]), anyWeekday: isAny(texts[5])}
	p := parser{expr: expr}
	e.second = p.set(secondField, texts[0], nil)
	e.minute = p.set(minuteField, texts[1], nil)
	e.hour = p.set(hourField, texts[2], nil)
	e.day = uint32(p.set(dayField, texts[3], e.dayWord))
	e.month = uint16(p.set(monthField, texts[4], nil))
	week := p.set(weekdayField, texts[5], e.weekdayWord)
	e.weekday = uint8(week&0x7f | week>>7)
	e.everyHour = e.hour == 1<<24-1
	if p.err == nil && !e.possible() {
		p.err = never(expr, texts[3], texts[4])
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

// possible reports whether any month has a day that the expression names.
func (e *cron) possible() bool {
	if e.anyDay || !e.anyWeekday || e.lastDay {
		return true
	}
	for month := 1; month <= 12; month++ {
		if e.days(2000, month) != 0 { // a leap year
			return true
		}
	}
	return false
}

// parser reads the fields of one expression and keeps the first mistake.
type parser struct {
	expr string
	err  error
}

func (p *parser) fail(f field, text, why, fix string) {
	if p.err == nil {
		p.err = diag.Finding{
			Summary: "Bad schedule",
			Detail:  fmt.Sprintf("In %q, the %s field is %q: %s", p.expr, f.name, text, why),
			Fix:     fix,
		}
	}
}

// set reads one field. word, if any, takes a list item that only this field knows, and says whether it did.
func (p *parser) set(f field, text string, word func(item string) bool) uint64 {
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		if word != nil && word(item) {
			continue
		}
		set |= p.item(f, text, item)
	}
	return set
}

// item reads "*", "a", "a-b", each with "/step".
func (p *parser) item(f field, text, item string) uint64 {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var ok bool
		if step, ok = number(stepText); !ok || step < 1 || step > f.max {
			p.fail(f, text, fmt.Sprintf("the step %q is not a number from 1 to %d.", stepText, f.max), "")
			return 0
		}
	}
	from, to := f.min, f.max
	if f.max == 7 {
		to = 6 // as a bound 7 is Sunday again
	}
	if !isAny(span) {
		first, last, ranged := strings.Cut(span, "-")
		from = p.value(f, text, first)
		if ranged {
			to = p.value(f, text, last)
		} else if !stepped {
			to = from
		}
	}
	if p.err != nil {
		return 0
	}
	if from > to {
		return p.backwards(f, text, from, to, step)
	}
	return bitRange(from, to, step)
}

// backwards reads a range whose end stands before its start: "FRI-MON" wraps around the week; elsewhere it is a mistake.
func (p *parser) backwards(f field, text string, from, to, step int) uint64 {
	if f.max == 7 {
		var set uint64
		for v := from; v <= to+7; v += step {
			set |= 1 << (v % 7)
		}
		return set
	}
	p.fail(f, text, fmt.Sprintf("the range ends (%d) before it starts (%d).", to, from),
		fmt.Sprintf("Write \"%d-%d,%d-%d\".", from, f.max, f.min, to))
	return 0
}

func (p *parser) value(f field, text, word string) int {
	if v, ok := number(word); ok {
		if v < f.min || v > f.max {
			p.fail(f, text, fmt.Sprintf("%s is not from %d to %d.", word, f.min, f.max), "")
		}
		return v
	}
	for i, name := range f.names {
		if strings.EqualFold(name, word) {
			return f.min + i
		}
	}
	p.fail(f, text, p.wordMistake(f, word), diag.DidYouMean(word, f.names))
	return 0
}

// wordMistake says what is wrong with a word that is neither a number nor a name of the field.
func (p *parser) wordMistake(f field, word string) string {
	switch {
	case word == "":
		return "a value is missing."
	case strings.ContainsAny(word, "Ww") && f.name == dayField.name:
		return fmt.Sprintf("%q is no working day: W stands behind one day, as in 15W, or behind L.", word)
	case len(f.names) > 0:
		return fmt.Sprintf("%q is neither a number nor a name such as %s.", word, f.names[1])
	}
	return fmt.Sprintf("%q is not a number.", word)
}

// dayWord reads in the day-of-month field "L", the month's last day, "LW", its last working day, and "15W", the working day
// nearest to the 15th.
func (e *cron) dayWord(item string) bool {
	day, working := item, false
	if n := len(item) - 1; n > 0 && (item[n] == 'W' || item[n] == 'w') {
		day, working = item[:n], true
	}
	switch v, ok := number(day); {
	case day == "L" || day == "l":
		e.lastDay, e.lastWorking = e.lastDay || !working, e.lastWorking || working
		return true
	case working && ok && v >= dayField.min && v <= dayField.max:
		e.nearest |= 1 << v
		return true
	}
	return false
}

// weekdayWord reads "MON#1", the month's first Monday, and "5L", "FRIL" or "L5", its last Friday.
func (e *cron) weekdayWord(item string) bool {
	if day, nth, ok := strings.Cut(item, "#"); ok {
		w, n := weekdayOf(day), 0
		if len(nth) == 1 {
			n = int(nth[0] - '0')
		}
		if w < 0 || n < 1 || n > 5 {
			return false
		}
		e.nth[w] |= 1 << n
		return true
	}
	w := -1
	if n := len(item); n > 1 && (item[n-1] == 'L' || item[n-1] == 'l') {
		w = weekdayOf(item[:n-1])
	} else if n > 1 && (item[0] == 'L' || item[0] == 'l') {
		w = weekdayOf(item[1:])
	}
	if w < 0 {
		return false
	}
	e.lastWeekday |= 1 << w
	return true
}

// weekdayOf gives 0–6 for "SUN", "0", "7" …, or -1.
func weekdayOf(word string) int {
	if len(word) == 1 && word[0] >= '0' && word[0] <= '7' {
		return int(word[0]-'0') % 7
	}
	for i, name := range weekdays {
		if strings.EqualFold(name, word) {
			return i
		}
	}
	return -1
}

func isAny(text string) bool { return text == "*" || text == "?" }

// number reads a decimal number of at most four digits.
func number(text string) (int, bool) {
	if text == "" || len(text) > 4 {
		return 0, false
	}
	n := 0
	for i := range len(text) {
		d := text[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int(d)
	}
	return n, true
}

func bitRange(from, to, step int) uint64 {
	if step == 1 {
		return (1<<(to+1) - 1) >> from << from
	}
	var set uint64
	for v := from; v <= to; v += step {
		set |= 1 << v
	}
	return set
}

func fieldCount(expr string, n int) error {
	return diag.Finding{
		Summary: "Bad schedule",
		Detail:  fmt.Sprintf("%q has %s. A cron expression has five: minute, hour, day of month, month, day of week; or six, with seconds first.", expr, countOf(n, "field")),
		Fix:     `Write, for example, "30 6 * * MON-FRI", a preset such as "@daily", or an interval such as "every 15m".`,
	}
}

func never(expr, day, month string) error {
	return diag.Finding{
		Summary: "Bad schedule",
		Detail:  fmt.Sprintf("%q never comes: no month that %q allows has a day that %q names.", expr, month, day),
		Fix:     `Write "L" for the last day of a month.`,
	}
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
