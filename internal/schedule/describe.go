package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

var (
	monthWords   = []string{"", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	weekdayWords = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	nthWords     = []string{"", "first", "second", "third", "fourth", "fifth"}
)

// Describe says the schedule in words: "at 06:30 on Monday to Friday (Europe/Berlin)".
func (s Schedule) Describe() string {
	switch s.kind {
	case byHand:
		return "only by hand"
	case once:
		return "once, at the pipeline's start"
	case continuous:
		return "continuously, one run after the other"
	case byInterval:
		return "every " + intervalWords(s.every)
	}
	when := s.cron.timeWords()
	if date := s.cron.dateWords(); date != "" {
		when += " " + date
	}
	return when + " (" + s.Location().String() + ")"
}

func intervalWords(seconds int64) string {
	for _, unit := range []struct {
		seconds int64
		noun    string
	}{{7 * secondsPerDay, "week"}, {secondsPerDay, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		switch {
		case seconds == unit.seconds:
			return unit.noun
		case seconds%unit.seconds == 0:
			return fmt.Sprintf("%d %ss", seconds/unit.seconds, unit.noun)
		}
	}
	return (time.Duration(seconds) * time.Second).String()
}

// timeWords says the times of day.
func (e *cron) timeWords() string {
	hours, minutes := bits.OnesCount64(e.hour), bits.OnesCount64(e.minute)
	switch {
	case e.second != 1:
		return "at " + unitWords("second", e.second, 59) + ", " + unitWords("minute", e.minute, 59) + ", " + unitWords("hour", e.hour, 23)
	case minutes == 1 && hours <= 6:
		var times []string
		for h := nextBit(e.hour, 0); h >= 0; h = nextBit(e.hour, h+1) {
			times = append(times, fmt.Sprintf("%02d:%02d", h, nextBit(e.minute, 0)))
		}
		return "at " + strings.Join(times, ", ")
	case hours == 24 && e.minute == 1:
		return "every hour"
	case hours == 24 && evenSteps(e.minute, minutes) == 1:
		return "every minute"
	case hours == 24 && evenSteps(e.minute, minutes) > 0:
		return fmt.Sprintf("every %d minutes", evenSteps(e.minute, minutes))
	}
	return "at " + unitWords("minute", e.minute, 59) + ", " + unitWords("hour", e.hour, 23)
}

// evenSteps gives n when the set of count minutes is every nth minute of the hour from 0, or 0.
func evenSteps(set uint64, count int) int {
	if step := 60 / count; 60%count == 0 && set == bitRange(0, 59, step) {
		return step
	}
	return 0
}

func unitWords(noun string, set uint64, last int) string {
	if bits.OnesCount64(set) == last+1 {
		return "every " + noun
	}
	words := spans(set, strconv.Itoa)
	if bits.OnesCount64(set) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(words, ", ")
}

// spans writes a set as single values and ranges of three or more.
func spans(set uint64, word func(int) string) []string {
	var words []string
	for v := nextBit(set, 0); v >= 0; v = nextBit(set, v+1) {
		end := v
		for set>>(end+1)&1 != 0 {
			end++
		}
		if end-v < 2 {
			words = append(words, word(v))
			continue
		}
		words = append(words, word(v)+" to "+word(end))
		v = end
	}
	return words
}

// dateWords says the dates; "" when every day is one.
func (e *cron) dateWords() string {
	var days []string
	if !e.anyDay {
		if e.day != 0 {
			days = append(days, "on day "+strings.Join(spans(uint64(e.day), strconv.Itoa), ", ")+" of the month")
		}
		if e.lastDay {
			days = append(days, "on the last day of the month")
		}
		for d := nextBit(uint64(e.nearest), 0); d >= 0; d = nextBit(uint64(e.nearest), d+1) {
			days = append(days, fmt.Sprintf("on the working day nearest to day %d of the month", d))
		}
		if e.lastWorking {
			days = append(days, "on the last working day of the month")
		}
	}
	if !e.anyWeekday {
		days = append(days, e.weekdayWords()...)
	}
	words := strings.Join(days, " or ")
	if e.month != 0x1ffe {
		months := "in " + strings.Join(spans(uint64(e.month), func(m int) string { return monthWords[m] }), ", ")
		words = strings.TrimSpace(words + " " + months)
	}
	if words == "" && !e.everyHour {
		return "every day"
	}
	return words
}

func (e *cron) weekdayWords() []string {
	var days []string
	if e.weekday != 0 {
		// Sunday stands last in words: "Friday to Sunday".
		set := uint64(e.weekday)
		if set&1 != 0 && set>>6&1 != 0 {
			set = set&^1 | 1<<7
		}
		days = append(days, "on "+strings.Join(spans(set, func(w int) string { return weekdayWords[w%7] }), ", "))
	}
	for w, set := range e.nth {
		for n := nextBit(uint64(set), 0); n >= 0; n = nextBit(uint64(set), n+1) {
			days = append(days, fmt.Sprintf("on the %s %s of the month", nthWords[n], weekdayWords[w]))
		}
	}
	for w := range weekdayWords {
		if e.lastWeekday>>w&1 != 0 {
			days = append(days, "on the last "+weekdayWords[w]+" of the month")
		}
	}
	return days
}
