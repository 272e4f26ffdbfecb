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
//  3. Same expression and zone, same ticks: nothing else goes in, but the database of time zones.
//
// How a cron expression meets a change of clocks is told in zone.go.
package schedule

import (
	"iter"
	"math"
	"time"
)

// Schedule is a parsed schedule. The zero Schedule is one that runs only by hand.
type Schedule struct {
	expr  string
	kind  kind
	cron  *cron          // kind byCron
	every int64          // kind byInterval: seconds
	loc   *time.Location // nil is UTC
}

type kind uint8

const (
	byHand kind = iota
	byCron
	byInterval
	once
	continuous
)

// anchor is a tick of every schedule by interval: Monday 1970-01-05 00:00 UTC, so that whole weeks start on Mondays.
const anchor = 4 * secondsPerDay

// Manual reports whether the schedule has no ticks at all: the pipeline runs only by hand.
func (s Schedule) Manual() bool { return s.kind == byHand }

// Once reports whether the schedule is @once: one run, at the pipeline's start date.
func (s Schedule) Once() bool { return s.kind == once }

// Continuous reports whether the schedule is @continuous: the next run starts where the last one ended.
func (s Schedule) Continuous() bool { return s.kind == continuous }

// Location is the time zone that the expression is meant in. Times that the package returns are in UTC all the same.
func (s Schedule) Location() *time.Location {
	if s.loc == nil {
		return time.UTC
	}
	return s.loc
}

// IntervalOf gives the data interval with start ≤ t < end. A schedule without ticks gives (t, t).
func (s Schedule) IntervalOf(t time.Time) (start, end time.Time) {
	if !s.ticks() {
		return t, t
	}
	from := s.floor(t.Unix())
	return utc(from), utc(s.after(from))
}

// Next gives the first tick later than after, or the zero time when the schedule has none.
func (s Schedule) Next(after time.Time) time.Time {
	if !s.ticks() {
		return time.Time{}
	}
	return utc(s.after(after.Unix()))
}

// Prev gives the last tick earlier than before, or the zero time when the schedule has none.
func (s Schedule) Prev(before time.Time) time.Time {
	if !s.ticks() {
		return time.Time{}
	}
	if before.Nanosecond() > 0 {
		return utc(s.floor(before.Unix()))
	}
	return utc(s.floor(before.Unix() - 1))
}

// Intervals gives all data intervals with from ≤ start ≤ to, in order. @once gives one without width at from; @continuous gives
// the one from from to to; a schedule by hand gives none.
func (s Schedule) Intervals(from, to time.Time) iter.Seq2[time.Time, time.Time] {
	return func(yield func(time.Time, time.Time) bool) {
		switch {
		case to.Before(from) || s.kind == byHand:
			return
		case s.kind == once:
			yield(from, from)
			return
		case s.kind == continuous:
			yield(from, to)
			return
		}
		first, last := from.Unix(), to.Unix()
		if from.Nanosecond() > 0 {
			first++
		}
		for start := s.after(first - 1); start <= last; {
			end := s.after(start)
			if !yield(utc(start), utc(end)) {
				return
			}
			start = end
		}
	}
}

// Aligned reports whether t is the start of a data interval. Every time is, for a schedule without ticks.
func (s Schedule) Aligned(t time.Time) bool {
	return !s.ticks() || t.Nanosecond() == 0 && s.floor(t.Unix()) == t.Unix()
}

// String gives the expression as it was written.
func (s Schedule) String() string { return s.expr }

func (s Schedule) ticks() bool { return s.kind == byCron || s.kind == byInterval }

// after gives the first tick later than u, in Unix seconds.
func (s Schedule) after(u int64) int64 {
	if s.kind == byInterval {
		return s.floor(u) + s.every
	}
	if s.cron.everyHour {
		return s.realAfter(u)
	}
	return s.wallAfter(u)
}

// floor gives the last tick that is not later than u, in Unix seconds.
func (s Schedule) floor(u int64) int64 {
	if s.kind == byInterval {
		past := (u - anchor) % s.every
		if past < 0 {
			past += s.every
		}
		return u - past
	}
	if s.cron.everyHour {
		return s.realFloor(u)
	}
	return s.wallFloor(u)
}

func utc(u int64) time.Time { return time.Unix(u, 0).UTC() }

const (
	farPast   = math.MinInt64 / 4
	farFuture = math.MaxInt64 / 4
)
