package engine

import (
	"fmt"
	"slices"
	"time"

	"damson/internal/run"
)

// Explain tells, for each run that waits and each task run of an open run that is neither running nor ended, what the loop
// knows to hold it up: by the same judgement by which it starts them. Of the runs that a lane has not opened it tells the
// first hundred.
func (l *Loop) Explain(tell func(subject, why string)) {
	ready := map[place]string{}
	for k, h := range l.ready.heaps {
		why := ""
		for n, u := range *h {
			if n == 0 {
				if _, why = l.room(u); why == "" {
					continue
				}
			}
			for _, r := range u.runs {
				ready[place{r, u.node.index}] = orBehind(why, k)
			}
		}
	}
	for _, lane := range l.lanes {
		for n, g := range lane.groups {
			if n == 100 {
				break
			}
			for _, r := range g.runs {
				tell(r.ID, l.whyClosed(lane, r))
			}
		}
		for _, r := range lane.runs {
			if r.opened && !r.State.Ended() {
				l.explainRun(r, ready, tell)
			}
		}
	}
}

func orBehind(why string, k kindOfUnit) string {
	if why == "" {
		return "others of " + k.lane.Name + " are before it"
	}
	return why
}

// whyClosed says why a run has not been opened.
func (l *Loop) whyClosed(lane *Lane, r *runState) string {
	switch {
	case lane.paused(r.Pipeline):
		return "pipeline " + r.Pipeline + " is paused"
	case lane.active >= lane.limit():
		var open []string
		for _, other := range lane.runs {
			if other.opened && !other.State.Ended() {
				open = append(open, other.ID)
			}
		}
		return fmt.Sprintf("max_active_runs of %s: %d of %d are running (%s)", lane.Name, lane.active, lane.limit(), list(open, 3))
	case !l.crew.Idle() && len(r.flow.nodes) > 0:
		_, why := l.crew.Place(r.flow.nodes[0].task)
		return why
	}
	return "earlier work of " + lane.Name + " is before it"
}

// explainRun tells what holds up the task runs of an open run.
func (l *Loop) explainRun(r *runState, ready map[place]string, tell func(subject, why string)) {
	for i, n := range r.nodes {
		c := &r.cells[i]
		if !n.selected || !c.present || c.State.Ended() || c.State == run.Running {
			continue
		}
		if why := l.whyWaiting(r, i, ready[place{r, i}]); why != "" {
			tell(r.ID+" "+n.name, why)
		}
	}
}

// whyWaiting says what holds up a task run; room is what the bounds say of it, when it is ready.
func (l *Loop) whyWaiting(r *runState, i int, room string) string {
	n, c := r.nodes[i], &r.cells[i]
	switch c.State {
	case run.UpForRetry:
		return fmt.Sprintf("failed %d times, the next attempt is due at %s: %s", c.Failures, c.NotBefore.UTC().Format(time.DateTime), c.Reason)
	case run.Deferred:
		return c.Reason
	case run.Queued:
		if room == "" && n.batch && !c.alone && slices.Contains(r.group.waiting[i], r) {
			return "it is executed together with the other intervals of its batch, which are not ready yet"
		}
		if room == "" && r.group.ordered && i < len(r.group.turn) && r.group.turn[i] != r.position {
			return "the interval before it, " + r.group.runs[r.group.turn[i]].ID + ", comes first"
		}
		return room
	}
	if past := l.pastOf(r, i); past.Verdict == run.VerdictWait && c.tally.Verdict(rule(n)) == run.VerdictRun {
		return past.Reason
	}
	var waits []string
	for _, j := range n.up {
		if s := r.cells[j].State; !s.Ended() {
			waits = append(waits, fmt.Sprintf("%s is %s", r.nodes[j].name, s))
		}
	}
	return "upstream: " + list(waits, 3)
}

// Overdue tells of the driven runs by schedule whose deadline has passed and that were not told of before. For a run that was
// made later than its data interval ended, as catch-up does, the time counts from there.
func (l *Loop) Overdue(told map[string]bool, tell func(r run.Run, deadline time.Duration)) {
	for _, r := range l.driven() {
		d, from := r.flow.pipeline.Deadline, r.End
		if r.Created.After(from) {
			from = r.Created
		}
		if d <= 0 || told[r.ID] || r.lane.Class == Manual || r.lane.Class == Backfill || !l.now.After(from.Add(d)) {
			continue
		}
		told[r.ID] = true
		tell(r.Run, d)
	}
}
