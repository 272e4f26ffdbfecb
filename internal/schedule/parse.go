package schedule

import (
	"fmt"
	"strings"
	"time"

	"damson/internal/diag"
)

// presets are Airflow's. @once and @continuous have no cron expression.
var presets = map[string]string{
	"@once":       "",
	"@continuous": "",
	"@hourly":     "0 * * * *",
	"@daily":      "0 0 * * *",
	"@midnight":   "0 0 * * *",
	"@weekly":     "0 0 * * 0",
	"@monthly":    "0 0 1 * *",
	"@quarterly":  "0 0 1 */3 *",
	"@yearly":     "0 0 1 1 *",
	"@annually":   "0 0 1 1 *",
}

var presetNames = []string{"@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@annually", "@midnight"}

// Parse reads a schedule: "" or "none" (only by hand), a preset ("@daily"), a cron expression of five fields or of six
// with seconds first, or an interval ("every 15m", "90s"). timezone is an IANA name; "" is UTC. The error is a
// diag.Finding.
func Parse(expr, timezone string) (Schedule, error) {
	loc, err := location(timezone)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{expr: strings.TrimSpace(expr), loc: loc}
	text := s.expr
	if text == "" || text == "none" {
		return s, nil
	}
	if every, ok := intervalText(text); ok {
		s.kind = byInterval
		s.every, err = parseInterval(text, every)
		return orNone(s, err)
	}
	if text[0] == '@' {
		switch preset, known := presets[text]; {
		case !known:
			return Schedule{}, unknownPreset(text)
		case text == "@once":
			s.kind = once
			return s, nil
		case text == "@continuous":
			s.kind = continuous
			return s, nil
		default:
			text = preset
		}
	}
	s.kind = byCron
	s.cron, err = parseCron(text)
	return orNone(s, err)
}

func orNone(s Schedule, err error) (Schedule, error) {
	if err != nil {
		return Schedule{}, err
	}
	return s, nil
}

// intervalText gives the duration in "every 15m", "@every 15m" or "15m".
func intervalText(text string) (string, bool) {
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "@"), "every "); ok {
		return strings.TrimSpace(rest), true
	}
	last := text[len(text)-1]
	return text, text[0] >= '0' && text[0] <= '9' && last >= 'a' && last <= 'z' && !strings.ContainsAny(text, " \t")
}

// parseInterval reads a Go duration ("1h30m") or whole days and weeks ("2d", "1w") of 24 and 168 hours, in seconds.
func parseInterval(expr, text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if n := len(text); err != nil && n > 1 {
		count, ok := number(text[:n-1])
		switch {
		case ok && text[n-1] == 'd':
			d, err = time.Duration(count)*24*time.Hour, nil
		case ok && text[n-1] == 'w':
			d, err = time.Duration(count)*7*24*time.Hour, nil
		}
	}
	switch {
	case err != nil:
		return 0, diag.Finding{
			Summary: "Bad schedule",
			Detail:  fmt.Sprintf("In %q, %q is not a length of time.", expr, text),
			Fix:     `Write numbers with units s, m, h, d or w, such as "every 15m" or "every 1h30m".`,
		}
	case d < time.Second || d%time.Second != 0:
		return 0, diag.Finding{
			Summary: "Bad schedule",
			Detail:  fmt.Sprintf("In %q, the interval %s is not a whole number of seconds, at least one.", expr, d),
		}
	}
	return int64(d / time.Second), nil
}

func unknownPreset(text string) error {
	fix := diag.DidYouMean(text, presetNames)
	if fix == "" {
		fix = "The presets are " + strings.Join(presetNames[:8], ", ") + "."
	}
	return diag.Finding{Summary: "Bad schedule", Detail: fmt.Sprintf("%q is not a preset.", text), Fix: fix}
}
