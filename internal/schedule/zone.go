package schedule

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // so that a machine without a database of time zones has the same ticks

	"damson/internal/diag"
)

// When clocks change, a cron expression meets local times that do not exist and local times that come twice:
//
//	skipped   a time in the gap ticks once, at the first instant after the gap (02:30 becomes 03:00). Several times in one
//	          gap are one tick.
//	doubled   a time that comes twice ticks the first time only.
//	real time an expression whose hour field allows every hour ("*") means elapsed time: it ticks in each hour that really
//	          passes, twice in a doubled one, never in a skipped one.
//
// So a daily pipeline has one run for each date, whichever hour it names, and an hourly pipeline one for each real hour.
// Zones are seen as segments of constant offset: the instants start ≤ u < end with civil time u + offset.

// segment gives the segment that contains u.
func (s Schedule) segment(u int64) (start, end, offset int64) {
	if s.loc == nil {
		return farPast, farFuture, 0
	}
	t := time.Unix(u, 0).In(s.loc)
	_, seconds := t.Zone()
	from, to := t.ZoneBounds()
	start, end = farPast, farFuture
	if !from.IsZero() {
		start = from.Unix()
	}
	if !to.IsZero() {
		end = to.Unix()
	}
	if end <= u { // time.ZoneBounds ends the last segment of a leap year beyond the zone's table a day too early
		end = u + secondsPerDay
	}
	return start, end, int64(seconds)
}

// resolve gives the instant of a civil time: the first of two, or the end of the gap that skips it.
func (s Schedule) resolve(c int64) int64 {
	if s.loc == nil {
		return c
	}
	start, end, offset := s.segment(c - secondsPerDay) // no offset is as long as a day
	for {
		switch {
		case c-offset < start:
			return start
		case c-offset < end:
			return c - offset
		}
		start, end, offset = s.segment(end)
	}
}

// wallAfter gives the first tick later than u of an expression that means times of day. resolve never decreases, and
// maps no civil time ≤ the one at u to an instant later than u: the search starts there.
func (s Schedule) wallAfter(u int64) int64 {
	_, _, offset := s.segment(u)
	for c := u + offset; ; {
		c = s.cron.ceil(c + 1)
		if tick := s.resolve(c); tick > u {
			return tick
		}
	}
}

// wallFloor is the mirror of wallAfter. In the second pass of a doubled hour the wall has shown later times already: the
// search starts at the latest.
func (s Schedule) wallFloor(u int64) int64 {
	start, _, offset := s.segment(u)
	c := u + offset
	if start > farPast {
		_, _, before := s.segment(start - 1)
		c = max(c, start-1+before)
	}
	for ; ; c-- {
		c = s.cron.floor(c)
		if tick := s.resolve(c); tick <= u {
			return tick
		}
	}
}

// realAfter gives the first tick later than u of an expression that means elapsed time.
func (s Schedule) realAfter(u int64) int64 {
	for u++; ; {
		_, end, offset := s.segment(u)
		if tick := s.cron.ceil(u+offset) - offset; tick < end {
			return tick
		}
		u = end
	}
}

// realFloor is the mirror of realAfter.
func (s Schedule) realFloor(u int64) int64 {
	for {
		start, _, offset := s.segment(u)
		if tick := s.cron.floor(u+offset) - offset; tick >= start {
			return tick
		}
		u = start - 1
	}
}

// zoneNames are the names of the IANA database, one a line, to find the one that was meant.
//
//go:embed zones.txt
var zoneNames string

var loaded sync.Map // name → *time.Location: reading one takes far longer than parsing an expression

// location gives the zone of that name, nil for UTC.
func location(name string) (*time.Location, error) {
	if name == "" || name == "UTC" || name == "Etc/UTC" {
		return nil, nil
	}
	if loc, ok := loaded.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // Local is another zone on another machine
		fix := diag.DidYouMean(name, strings.Fields(zoneNames))
		if fix == "" {
			fix = `Write a name of the IANA database, such as "Europe/Berlin" or "UTC".`
		}
		return nil, diag.Finding{Summary: "Unknown time zone", Detail: fmt.Sprintf("%q is no time zone.", name), Fix: fix}
	}
	loaded.Store(name, loc)
	return loc, nil
}
