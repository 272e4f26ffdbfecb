// Package literal reads values as files write them: numbers, booleans, dates and times, and the places where JSON values end. It works
// on bytes without copying them, never guesses, and says of what it does not read whether the form is wrong or the value too large
// (Verdict).
package literal

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"
)

// Verdict says whether a text is a value of a type.
type Verdict uint8

const (
	Good       Verdict = iota
	Malformed          // not of that form
	OutOfRange         // of that form, but the type cannot hold it
)

// view gives b as a string without a copy; the string must not outlive b's content.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// ParseBigint reads an optional sign and decimal digits.
func ParseBigint(b []byte) (int64, Verdict) {
	digits, negative := b, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		digits, negative = b[1:], b[0] == '-'
	}
	if len(digits) == 0 {
		return 0, Malformed
	}
	var n uint64
	over := false
	for _, c := range digits {
		d := uint64(c - '0')
		if d > 9 {
			return 0, Malformed
		}
		over = over || n > (math.MaxUint64-d)/10
		n = n*10 + d
	}
	switch {
	case over || n > math.MaxInt64+1 || n == math.MaxInt64+1 && !negative:
		return 0, OutOfRange
	case negative:
		return -int64(n), Good
	}
	return int64(n), Good
}

// tens holds the powers of ten that a float64 holds exactly.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
	1e18, 1e19, 1e20, 1e21, 1e22}

// ParseDouble reads a decimal number, correctly rounded. A decimal whose digits fit 53 bits and whose power of ten is at
// most 22 is one exact multiplication or division away from the nearest float64 (W. Clinger 1990); the rest goes to
// strconv, as do exponents, nan and inf.
func ParseDouble(b []byte) (float64, Verdict) {
	i, negative := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		i, negative = 1, b[0] == '-'
	}
	first := i
	var mantissa uint64
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		mantissa = mantissa*10 + uint64(b[i]-'0')
	}
	digits, fraction := i-first, 0
	if i < len(b) && b[i] == '.' {
		i++
		dot := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			mantissa = mantissa*10 + uint64(b[i]-'0')
		}
		fraction = i - dot
		digits += fraction
	}
	if i != len(b) || digits == 0 || digits > 19 || mantissa > 1<<53 {
		return parseDoubleSlowly(b)
	}
	f := float64(mantissa) / tens[fraction]
	if negative {
		f = -f
	}
	return f, Good
}

// parseDoubleSlowly reads what parseDouble has no quick way for. It refuses the hexadecimal numbers and underscores of Go.
func parseDoubleSlowly(b []byte) (float64, Verdict) {
	if bytes.ContainsAny(b, "xX_") {
		return 0, Malformed
	}
	f, err := strconv.ParseFloat(view(b), 64)
	switch {
	case err == nil:
		return f, Good
	case math.IsInf(f, 0):
		return 0, OutOfRange
	}
	return 0, Malformed
}

// ParseBoolean reads true/false, t/f, yes/no, y/n and 1/0 in any letter case.
func ParseBoolean(b []byte) (bool, Verdict) {
	if len(b) > 5 {
		return false, Malformed
	}
	var lower [5]byte
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(b)]) {
	case "true", "t", "yes", "y", "1":
		return true, Good
	case "false", "f", "no", "n", "0":
		return false, Good
	}
	return false, Malformed
}

// twoDigits reads b[at] and b[at+1], or gives -1.
func twoDigits(b []byte, at int) int {
	hi, lo := b[at]-'0', b[at+1]-'0'
	if hi > 9 || lo > 9 {
		return -1
	}
	return int(hi)*10 + int(lo)
}

var monthDays = [...]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// ParseDate reads 2007-06-26 or 2007/06/26 as days since 1970-01-01.
func ParseDate(b []byte) (int32, Verdict) {
	if len(b) != 10 || b[4] != b[7] || b[4] != '-' && b[4] != '/' {
		return 0, Malformed
	}
	century, rest, month, day := twoDigits(b, 0), twoDigits(b, 2), twoDigits(b, 5), twoDigits(b, 8)
	if century < 0 || rest < 0 || month < 0 || day < 0 {
		return 0, Malformed
	}
	year := century*100 + rest
	leap := year%4 == 0 && (year%100 != 0 || year%400 == 0)
	if year < 1 || month < 1 || month > 12 || day < 1 {
		return 0, OutOfRange
	}
	if day > monthDays[month] && !(leap && month == 2 && day == 29) {
		return 0, OutOfRange
	}
	return civilDays(year, month, day), Good
}

// civilDays counts the days from 1970-01-01 to a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level
// date algorithms"): years begin in March, so that a leap day is a year's last.
func civilDays(year, month, day int) int32 {
	if month <= 2 {
		year--
		month += 12
	}
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int32(year*365 + year/4 - year/100 + year/400 + ofYear - 719468)
}

const (
	Second = int64(1e6) // all times are in microseconds
	minute = 60 * Second
	hour   = 60 * minute
	Day    = 24 * hour
)

// ParseTime reads 23:59, 23:59:58 or 23:59:58.123456 as microseconds since midnight. Digits after the sixth of a fraction
// are cut.
func ParseTime(b []byte) (int64, Verdict) {
	t, rest, v := parseClock(b)
	if v == Good && len(rest) > 0 {
		return 0, Malformed
	}
	return t, v
}

// parseClock reads a time of day and gives what follows it.
func parseClock(b []byte) (t int64, rest []byte, v Verdict) {
	if len(b) < 5 || b[2] != ':' {
		return 0, nil, Malformed
	}
	h, m, s := twoDigits(b, 0), twoDigits(b, 3), 0
	rest = b[5:]
	if len(rest) >= 3 && rest[0] == ':' {
		s = twoDigits(rest, 1)
		rest = rest[3:]
	}
	if h < 0 || m < 0 || s < 0 {
		return 0, nil, Malformed
	}
	if h > 23 || m > 59 || s > 59 {
		return 0, nil, OutOfRange
	}
	t = int64(h)*hour + int64(m)*minute + int64(s)*Second
	if len(rest) > 0 && rest[0] == '.' && len(b)-len(rest) == 8 {
		n := 1
		for unit := Second / 10; n < len(rest) && rest[n]-'0' <= 9; n++ {
			t += unit * int64(rest[n]-'0')
			unit /= 10
		}
		if n == 1 {
			return 0, nil, Malformed
		}
		rest = rest[n:]
	}
	return t, rest, Good
}

// ParseTimestamp reads a date, or a date and a time of day with 'T' or a blank between and perhaps a zone after (Z, UTC,
// +08, +0800, +08:00), as microseconds since 1970-01-01 in UTC. Without a zone the text is taken as UTC.
func ParseTimestamp(b []byte) (int64, Verdict) {
	if len(b) < 10 {
		return 0, Malformed
	}
	date, v := ParseDate(b[:10])
	if v != Good || len(b) == 10 {
		return int64(date) * Day, v
	}
	if b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return 0, Malformed
	}
	t, zone, v := parseClock(b[11:])
	if v != Good {
		return 0, v
	}
	offset, v := parseZone(zone)
	return int64(date)*Day + t - offset, v
}

// parseZone reads the offset of a zone east of Greenwich.
func parseZone(b []byte) (int64, Verdict) {
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
		if len(b) == 0 {
			return 0, Malformed
		}
	}
	if len(b) == 0 || string(b) == "Z" || string(b) == "z" || string(b) == "UTC" {
		return 0, Good
	}
	var h, m int
	switch {
	case b[0] != '+' && b[0] != '-':
		return 0, Malformed
	case len(b) == 3:
		h = twoDigits(b, 1)
	case len(b) == 5:
		h, m = twoDigits(b, 1), twoDigits(b, 3)
	case len(b) == 6 && b[3] == ':':
		h, m = twoDigits(b, 1), twoDigits(b, 4)
	default:
		return 0, Malformed
	}
	if h < 0 || m < 0 {
		return 0, Malformed
	}
	if h > 15 || m > 59 {
		return 0, OutOfRange
	}
	offset := int64(h)*hour + int64(m)*minute
	if b[0] == '-' {
		offset = -offset
	}
	return offset, Good
}

// Trim cuts blanks and tabs from both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
