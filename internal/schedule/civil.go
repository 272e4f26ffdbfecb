package schedule

import "math/bits"

// This file is the civil-date layer: dates and times as a wall calendar and a wall clock without a zone show them. A civil
// time is the number of seconds since 1970-01-01 00:00 on that wall; every day has 86,400 of them.

const secondsPerDay = 86_400

// civilDate gives the date that is days after 1970-01-01 in the Gregorian calendar, for any number of days (H. Hinnant,
// "chrono-Compatible Low-Level Date Algorithms").
func civilDate(days int64) (year int64, month, day int) {
	days += 719_468 // since 0000-03-01
	era := floorDiv(days, 146_097)
	doe := days - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp + 3)
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// civilDays is the inverse of civilDate.
func civilDays(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := int64(153*(month-3)+2)/5 + int64(day) - 1
	return era*146_097 + yoe*365 + yoe/4 - yoe/100 + doy - 719_468
}

// monthDays is the number of days of a month.
func monthDays(year int64, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// weekday is 0 for Sunday; 1970-01-01 was a Thursday.
func weekday(days int64) int { return int(days + 4 - floorDiv(days+4, 7)*7) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// searchMonths bounds the search for a date: the Gregorian calendar repeats after 400 years.
const searchMonths = 400*12 + 1

// ceil gives the first civil time ≥ c that the expression names.
func (e *cron) ceil(c int64) int64 {
	days := floorDiv(c, secondsPerDay)
	year, month, day := civilDate(days)
	mask := e.days(year, month)
	if mask>>day&1 != 0 {
		if t := e.timeCeil(int(c - days*secondsPerDay)); t >= 0 {
			return days*secondsPerDay + int64(t)
		}
	}
	day = nextBit(uint64(mask), day+1)
	for range searchMonths {
		if day >= 0 {
			return civilDays(year, month, day)*secondsPerDay + int64(e.timeCeil(0))
		}
		if month++; month > 12 {
			year, month = year+1, 1
		}
		day = nextBit(uint64(e.days(year, month)), 1)
	}
	panic("schedule: an expression that Parse accepted names no date in 400 years")
}

// floor gives the last civil time ≤ c that the expression names.
func (e *cron) floor(c int64) int64 {
	days := floorDiv(c, secondsPerDay)
	year, month, day := civilDate(days)
	mask := e.days(year, month)
	if mask>>day&1 != 0 {
		if t := e.timeFloor(int(c - days*secondsPerDay)); t >= 0 {
			return days*secondsPerDay + int64(t)
		}
	}
	day = prevBit(uint64(mask), day-1)
	for range searchMonths {
		if day >= 1 {
			return civilDays(year, month, day)*secondsPerDay + int64(e.timeFloor(secondsPerDay-1))
		}
		if month--; month < 1 {
			year, month = year-1, 12
		}
		day = prevBit(uint64(e.days(year, month)), 31)
	}
	panic("schedule: an expression that Parse accepted names no date in 400 years")
}

// days gives the days of the month that the expression names, day d as bit d. As in cron, a day needs to fit only one of
// day-of-month and day-of-week when both are restricted.
func (e *cron) days(year int64, month int) uint32 {
	if e.month>>month&1 == 0 {
		return 0
	}
	last := monthDays(year, month)
	all := uint32(1)<<(last+1) - 2
	if e.anyDay && e.anyWeekday {
		return all
	}
	var mask uint32
	if !e.anyDay {
		mask = e.day & all
		if e.lastDay {
			mask |= 1 << last
		}
		if e.nearest != 0 || e.lastWorking {
			mask |= e.workingDays(weekday(civilDays(year, month, 1)), last)
		}
	}
	if !e.anyWeekday {
		mask |= e.weekdays(weekday(civilDays(year, month, 1)), last)
	}
	return mask
}

// weekdays gives the days that the day-of-week field names, in a month of last days whose first day is the weekday first.
func (e *cron) weekdays(first, last int) uint32 {
	var mask uint32
	for d := 1; d <= last; d++ {
		w := (first + d - 1) % 7
		if e.weekday>>w&1 != 0 || e.nth[w]>>((d+6)/7)&1 != 0 || d+7 > last && e.lastWeekday>>w&1 != 0 {
			mask |= 1 << d
		}
	}
	return mask
}

// workingDays gives the days that "15W" and "LW" name, in a month of last days whose first day is the weekday first: the
// Friday before a Saturday and the Monday after a Sunday, but never a day of another month. "31W" is the last working day of
// a shorter month, as croniter has it.
func (e *cron) workingDays(first, last int) uint32 {
	var mask uint32
	near := func(day int) {
		switch w := (first + day - 1) % 7; {
		case w == 6 && day == 1:
			day += 2
		case w == 6:
			day--
		case w == 0 && day == last:
			day -= 2
		case w == 0:
			day++
		}
		mask |= 1 << day
	}
	for day := nextBit(uint64(e.nearest), 0); day >= 0; day = nextBit(uint64(e.nearest), day+1) {
		near(min(day, last))
	}
	if e.lastWorking { // a Saturday or Sunday at the end of a month has its Friday before it
		near(last)
	}
	return mask
}

// timeCeil gives the first second of a day ≥ t that the expression names, or -1.
func (e *cron) timeCeil(t int) int {
	h, m, s := t/3600, t/60%60, t%60
	firstMinute, firstSecond := nextBit(e.minute, 0), nextBit(e.second, 0)
	if e.hour>>h&1 != 0 {
		if e.minute>>m&1 != 0 {
			if s := nextBit(e.second, s); s >= 0 {
				return h*3600 + m*60 + s
			}
		}
		if m := nextBit(e.minute, m+1); m >= 0 {
			return h*3600 + m*60 + firstSecond
		}
	}
	if h := nextBit(e.hour, h+1); h >= 0 {
		return h*3600 + firstMinute*60 + firstSecond
	}
	return -1
}

// timeFloor gives the last second of a day ≤ t that the expression names, or -1.
func (e *cron) timeFloor(t int) int {
	h, m, s := t/3600, t/60%60, t%60
	lastMinute, lastSecond := prevBit(e.minute, 59), prevBit(e.second, 59)
	if e.hour>>h&1 != 0 {
		if e.minute>>m&1 != 0 {
			if s := prevBit(e.second, s); s >= 0 {
				return h*3600 + m*60 + s
			}
		}
		if m := prevBit(e.minute, m-1); m >= 0 {
			return h*3600 + m*60 + lastSecond
		}
	}
	if h := prevBit(e.hour, h-1); h >= 0 {
		return h*3600 + lastMinute*60 + lastSecond
	}
	return -1
}

// nextBit gives the lowest set bit ≥ from, or -1.
func nextBit(mask uint64, from int) int {
	mask = mask >> from << from
	if mask == 0 {
		return -1
	}
	return bits.TrailingZeros64(mask)
}

// prevBit gives the highest set bit ≤ to, or -1.
func prevBit(mask uint64, to int) int {
	if to < 0 {
		return -1
	}
	return bits.Len64(mask<<(63-to)>>(63-to)) - 1
}
