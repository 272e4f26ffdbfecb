package source_test

import (
	"testing"
	"time"

	"damson/internal/project/source"
)

// TestParseDuration reads durations as damson.yaml and Starlark files have them.
func TestParseDuration(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want time.Duration // -1 = none
	}{
		{"0", 0}, {"0s", 0}, {"30s", 30 * time.Second}, {" 1h30m ", 90 * time.Minute}, {"1.5h", 90 * time.Minute}, {"2w", 14 * 24 * time.Hour},
		{"250ms", 250 * time.Millisecond}, {"", -1}, {"30", -1}, {"s", -1}, {"-1d", -1}, {"1h x", -1}, {"999999999w", -1},
	}
	for _, test := range tests {
		got, err := source.ParseDuration(test.text)
		if err != nil {
			got = -1
		}
		if got != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", test.text, got, err, test.want)
		}
	}
}

// TestParseDate means days and hours in the zone given, unless they bring their own.
func TestParseDate(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 8*3600)
	tests := []struct{ text, want string }{
		{"2007-04-12", "2007-04-12T00:00:00+08:00"}, {"2007-04-12 06:30", "2007-04-12T06:30:00+08:00"},
		{"2007-04-12T06:00:00", "2007-04-12T06:00:00+08:00"}, {"2007-04-12T06:00:00Z", "2007-04-12T06:00:00Z"},
		{"12.04.2007", ""}, {"2007-02-30", ""}, {"noon", ""}, {"", ""},
	}
	for _, test := range tests {
		got := ""
		if at, err := source.ParseDate(test.text, zone); err == nil {
			got = at.Format(time.RFC3339)
		}
		if got != test.want {
			t.Errorf("ParseDate(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

// TestParseMemory knows the units of ten and of two.
func TestParseMemory(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"4GB": 4e9, "512 MiB": 512 << 20, "1.5KiB": 1536, "4": 0, "4XB": 0, "0.1B": 0, "9999999TB": 0} {
		got, err := source.ParseMemory(text)
		if (err == nil) != (want > 0) || got != want {
			t.Errorf("ParseMemory(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}
