package console

import (
	"fmt"
	"time"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/schedule"
)

// dateForms are the ways a date may be written on the command line.
var dateForms = []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05", time.RFC3339}

// ParseDate reads a date or moment in the pipeline's time zone; today and yesterday are understood.
func (a *App) ParseDate(flag, text, timezone string) (time.Time, error) {
	zone := time.UTC
	if timezone != "" {
		loaded, err := time.LoadLocation(timezone)
		if err != nil {
			return time.Time{}, diag.AsFinding("Unknown time zone", err)
		}
		zone = loaded
	}
	now := a.Clock.Now().In(zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	switch text {
	case "today":
		return today.UTC(), nil
	case "yesterday":
		return today.AddDate(0, 0, -1).UTC(), nil
	}
	for _, form := range dateForms {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, Usage("Unreadable date", fmt.Sprintf("%s %q is not a date.", flag, text),
		"Write it as 2007-04-12, 2007-04-12T05:00, today or yesterday.")
}

// IntervalOf gives the data interval that a manual run is for; command is what was called, for the error without a date.
func (a *App) IntervalOf(p *pipeline.Pipeline, date, command string) (run.Interval, error) {
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err != nil {
		return run.Interval{}, err
	}
	if date == "" {
		if !s.Manual() {
			start, end := s.IntervalOf(a.Clock.Now())
			example := start
			if earlier := s.Prev(start); end.After(a.Clock.Now()) && !earlier.IsZero() {
				example = earlier
			}
			return run.Interval{}, Usage("Which date?", fmt.Sprintf("Pipeline %q runs %s; a run is for one of its data intervals.", p.Name, s.Describe()),
				fmt.Sprintf("Say which: damson %s --date %s", command, example.Format(time.DateOnly)))
		}
		now := a.Clock.Now().Truncate(time.Second).In(s.Location())
		return run.Interval{Start: now, End: now}, nil
	}
	t, err := a.ParseDate("--date", date, p.Timezone)
	if err != nil {
		return run.Interval{}, err
	}
	start, end := s.IntervalOf(t)
	return run.Interval{Start: start.In(s.Location()), End: end.In(s.Location())}, nil
}

// CheckDates refuses dates that no time zone makes readable, or that are in reverse.
func (a *App) CheckDates(from, to string) error {
	var dates [2]time.Time
	for i, text := range []string{from, to} {
		var err error
		if text == "" {
			continue
		}
		if dates[i], err = a.ParseDate([]string{"--from", "--to"}[i], text, ""); err != nil {
			return err
		}
	}
	if from != "" && to != "" && dates[1].Before(dates[0]) {
		return Usage("The dates are in reverse", fmt.Sprintf("--from %s is after --to %s.", from, to), "Swap them.")
	}
	return nil
}

// IntervalsBetween gives the pipeline's data intervals from one date to another, both included, within the pipeline's own
// start and end. An interval that has not ended yet is left out: its data is not complete.
func (a *App) IntervalsBetween(p *pipeline.Pipeline, from, to string) ([]run.Interval, error) {
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err != nil {
		return nil, err
	}
	if s.Manual() {
		return nil, Usage("Nothing to backfill", fmt.Sprintf("Pipeline %q has no schedule, so it has no data intervals.", p.Name),
			fmt.Sprintf("Run it by hand: damson run %s", p.Name))
	}
	first, last := p.Start, p.End
	if from != "" {
		if first, err = a.ParseDate("--from", from, p.Timezone); err != nil {
			return nil, err
		}
	}
	if to != "" {
		if last, err = a.ParseDate("--to", to, p.Timezone); err != nil {
			return nil, err
		}
	}
	now := a.Clock.Now()
	if last.IsZero() {
		last = now
	}
	if last.Before(first) {
		return nil, Usage("The dates are in reverse", fmt.Sprintf("--from %s is after --to %s.", DateText(first), DateText(last)), "Swap them.")
	}
	var intervals []run.Interval
	for start, end := range s.Intervals(first, last) {
		if start.Before(p.Start) || (!p.End.IsZero() && start.After(p.End)) || end.After(now) {
			continue
		}
		intervals = append(intervals, run.Interval{Start: start.In(s.Location()), End: end.In(s.Location())})
	}
	if len(intervals) == 0 {
		bounds := "from " + DateText(p.Start)
		if !p.End.IsZero() {
			bounds += " to " + DateText(p.End)
		}
		return nil, Usage("No data interval in that range", fmt.Sprintf("Pipeline %q runs %s, %s; none of its data intervals that have ended starts between %s and %s.",
			p.Name, s.Describe(), bounds, DateText(first), DateText(last)), "Choose other dates, or change start and end in the pipeline's file.")
	}
	return intervals, nil
}
