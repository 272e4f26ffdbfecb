package literal

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzValues compares the parsers of single values with the standard library's.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{
		"0", "-0.0", "39744.1201851852", "9007199254740993", "123456789012345678901234567890", ".5", "5.", "1e22", "1e-400", "-9223372036854775808",
		"2007-02-29", "2000/02/29", "23:59:59.999999", "2007-06-26T11:32:29.5+08:00", "2007-06-26 11:32 UTC", "inf", "NaN",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := []byte(s)
		want, err := strconv.ParseFloat(s, 64)
		if x, v := ParseDouble(b); !strings.ContainsAny(s, "xX_") && (v == Good) != (err == nil) || v == Good && math.Float64bits(x) != math.Float64bits(want) && x == x {
			t.Errorf("ParseDouble(%q) = %v, %v; strconv has %v, %v", s, x, v, want, err)
		}
		whole, err := strconv.ParseInt(s, 10, 64)
		if n, v := ParseBigint(b); (v == Good) != (err == nil) || v == Good && n != whole {
			t.Errorf("ParseBigint(%q) = %v, %v; strconv has %v, %v", s, n, v, whole, err)
		}
		date, err := time.Parse(time.DateOnly, strings.ReplaceAll(s, "/", "-"))
		if d, v := ParseDate(b); v == Good && (err != nil || int64(d)*86400 != date.Unix()) {
			t.Errorf("ParseDate(%q) = %v; time has %v, %v", s, d, date, err)
		}
		if !strings.Contains(s, "/") && err == nil && date.Year() > 0 {
			if _, v := ParseDate(b); v != Good {
				t.Errorf("ParseDate(%q) refuses %v", s, date)
			}
		}
		if ts, v := ParseTimestamp(b); v == Good && len(s) > 19 {
			if want, err := time.Parse(time.RFC3339Nano, s); err == nil && want.UTC().Truncate(time.Microsecond).UnixMicro() != ts {
				t.Errorf("ParseTimestamp(%q) = %v; time has %v", s, time.UnixMicro(ts).UTC(), want)
			}
		}
	})
}
