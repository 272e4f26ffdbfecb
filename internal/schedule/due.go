package schedule

import "time"

// Interval is one data interval, Start ≤ t < End; @once has one without width.
type Interval struct {
	Start, End time.Time
}

// Bounds say which of a schedule's data intervals a pipeline has.
type Bounds struct {
	Start   time.Time // first logical date; zero leaves it open
	End     time.Time // last logical date, itself included; zero leaves it open
	Catchup bool      // false: of several intervals that have ended, only the latest is wanted
}

// Due says which data intervals want a run at now: those that have ended, not before cursor, within b, the earliest first,
// at most most of them.
//
// cursor is where the pipeline stands: the start of its next interval, and zero as long as it has none. Without catch-up,
// what lies between cursor and the latest interval that has ended is jumped over, and never wanted again. A pipeline
// without Start is not caught up from the beginning of time: it begins with the latest interval.
//
// next is the cursor to keep once the runs of these intervals are made, in one transaction with them. It is cursor itself
// when nothing is due, so that a pipeline that has no interval yet follows a change of its Start.
//
// nextDue is when the interval after these will be due. It is not later than now when most held intervals back, and zero
// when there is none: after b.End, and for a schedule by hand.
//
//   - @once is due at b.Start, and at no time once there is a cursor.
//   - @continuous is due from cursor (at first from b.Start) to now, in whole seconds. It is to be asked only while the
//     pipeline has no active run: each answer would otherwise be one more run beside the others.
func Due(s Schedule, b Bounds, cursor, now time.Time, most int) (intervals []Interval, next, nextDue time.Time) {
	switch s.kind {
	case byHand:
		return nil, cursor, time.Time{}
	case once:
		return dueOnce(b, cursor, now, most)
	case continuous:
		return dueContinuous(b, cursor, now, most)
	}
	next = cursor
	last := utc(farFuture)
	if !b.End.IsZero() {
		last = b.End
	}
	from := latest(cursor, b.Start)
	if !b.Catchup || from.IsZero() {
		ended := s.Prev(s.floorTime(now))
		if ended.After(last) {
			ended, _ = s.IntervalOf(last)
		}
		from = latest(from, ended)
	}
	for start, end := range s.Intervals(from, last) {
		if end.After(now) || len(intervals) >= most {
			return intervals, next, end
		}
		intervals, next = append(intervals, Interval{start, end}), end
	}
	return intervals, next, time.Time{}
}

// dueOnce keeps the pipeline's start as cursor: any cursor means that the one run was made.
func dueOnce(b Bounds, cursor, now time.Time, most int) ([]Interval, time.Time, time.Time) {
	at := b.Start
	if at.IsZero() {
		at = now.Truncate(time.Second)
	}
	switch {
	case !cursor.IsZero() || !b.End.IsZero() && at.After(b.End):
		return nil, cursor, time.Time{}
	case at.After(now) || most < 1:
		return nil, cursor, at
	}
	return []Interval{{at, at}}, at, time.Time{}
}

// dueContinuous never gives an interval without width: at least a second lies between two runs.
func dueContinuous(b Bounds, cursor, now time.Time, most int) ([]Interval, time.Time, time.Time) {
	from, to := latest(cursor, b.Start), now.Truncate(time.Second)
	if from.IsZero() {
		from = to.Add(-time.Second)
	}
	over := func(start time.Time) bool { return !b.End.IsZero() && start.After(b.End) }
	switch {
	case over(from):
		return nil, cursor, time.Time{}
	case !from.Before(to) || most < 1:
		return nil, cursor, from.Add(time.Second)
	case over(to):
		return []Interval{{from, to}}, to, time.Time{}
	}
	return []Interval{{from, to}}, to, to.Add(time.Second)
}

// floorTime gives the last tick that is not later than t.
func (s Schedule) floorTime(t time.Time) time.Time { return utc(s.floor(t.Unix())) }

// latest gives the later of two times; the zero time is earlier than any.
func latest(a, b time.Time) time.Time {
	if a.IsZero() || b.After(a) && !b.IsZero() {
		return b
	}
	return a
}
