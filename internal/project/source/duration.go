package source

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DurationFix shows how durations are written.
const DurationFix = `Write a number and a unit (ms, s, m, h, d, w), for example "30s", "5m" or "1h30m".`

var durationPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)`)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads "30s", "5m", "1h30m", "1d", "2w". A day is 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "0" {
		return 0, nil
	}
	var total float64
	for ok := rest != ""; rest != ""; {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil || !ok {
			return 0, fmt.Errorf("%q is not a duration", text)
		}
		n, _ := strconv.ParseFloat(m[1], 64)
		total += n * float64(durationUnits[m[2]])
		rest = rest[len(m[0]):]
	}
	if strings.TrimSpace(text) == "" || total > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not a duration", text)
	}
	return time.Duration(total), nil
}

var (
	memorySize  = regexp.MustCompile(`^(\d+(?:\.\d+)?)\s*([KMGT]?i?B)$`)
	memoryUnits = map[string]float64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
)

// ParseMemory reads "4GB" or "512MiB" as bytes.
func ParseMemory(text string) (int64, error) {
	m := memorySize.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || memoryUnits[m[2]] == 0 {
		return 0, fmt.Errorf("%q is not an amount of memory", text)
	}
	n, _ := strconv.ParseFloat(m[1], 64)
	bytes := n * memoryUnits[m[2]]
	if bytes < 1 || bytes > 1<<60 {
		return 0, fmt.Errorf("%q is not an amount of memory", text)
	}
	return int64(bytes), nil
}

// DateFix shows how dates are written.
const DateFix = `Write a date such as "2007-04-12", or a time with its zone such as "2007-04-12T06:00:00Z".`

// ParseDate reads a day or an RFC 3339 time; without a zone it is meant in loc.
func ParseDate(text string, loc *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date", text)
}
