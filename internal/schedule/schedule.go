// Package schedule says when a pipeline runs: which data intervals it has and when each ends. Its central type is
// Schedule, parsed from a cron expression, a preset, or an interval of time, in a time zone.
//
// The package is pure: it never asks what time it is. It knows no start or end date of a pipeline, no runs and no
// catch-up: callers give it the stretch of time they mean.
//
// Invariants:
//
//  1. Ticks are whole seconds, and each is later than the one before it.
//  2. The data intervals are the stretches between neighbouring ticks: they leave no gap and never overlap, also on the days
//     when clocks change (Airflow 2: CronDataIntervalTimetable). A run is due when its interval has ended.
//  3. Same expression and zone, same ticks: nothing else goes in, but the time-zone database compiled into the program.
package schedule

import (
	"iter"
	"time"
)

// Schedule is a parsed schedule. The zero Schedule is one that runs only by hand.
type Schedule struct {
	expr string
}

// Parse reads a schedule: "" or "none" (only by hand), a preset ("@daily"), a cron expression of five fields or of six
// with seconds first, or an interval ("every 15m", "90s"). timezone is an IANA name; "" is UTC. The error is a
// diag.Finding.
func Parse(expr, timezone string) (Schedule, error) { return Schedule{expr: expr}, nil }

// Manual reports whether the schedule has no ticks at all: the pipeline runs only by hand.
func (s Schedule) Manual() bool { return s.expr == "" }

// Once reports whether the schedule is @once: one run, at the pipeline's start date.
func (s Schedule) Once() bool { return false }

// Continuous reports whether the schedule is @continuous: the next run starts where the last one ended.
func (s Schedule) Continuous() bool { return false }

// IntervalOf gives the data interval with start ≤ t < end. A schedule without ticks gives (t, t).
func (s Schedule) IntervalOf(t time.Time) (start, end time.Time) { return t, t }

// Next gives the first tick later than after, or the zero time when there is none.
func (s Schedule) Next(after time.Time) time.Time { return time.Time{} }

// Prev gives the last tick earlier than before, or the zero time when there is none.
func (s Schedule) Prev(before time.Time) time.Time { return time.Time{} }

// Intervals gives all data intervals with from ≤ start ≤ to, in order. @once gives one without width at from; @continuous gives
// the one from from to to; a schedule by hand gives none.
func (s Schedule) Intervals(from, to time.Time) iter.Seq2[time.Time, time.Time] {
	return func(yield func(time.Time, time.Time) bool) {}
}

// Aligned reports whether t is the start of a data interval. Every time is, for a schedule without ticks.
func (s Schedule) Aligned(t time.Time) bool { return true }

// String gives the expression as it was written.
func (s Schedule) String() string { return s.expr }

// Describe says the schedule in words: "at 06:30 on Monday to Friday (Europe/Berlin)".
func (s Schedule) Describe() string { return s.expr }
