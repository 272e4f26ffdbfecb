package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/schedule"
	"damson/internal/store"
)

// look takes in what has happened outside of the loop and gives it what is due.
func (l *leader) look(ctx context.Context) error {
	if l.projects.Current() != l.catalogue {
		l.takeProject()
		if len(l.stuck) > 0 { // the version that they need may be there now
			if err := l.upToDate(ctx); err != nil {
				return err
			}
			if err := l.readOpen(ctx); err != nil {
				return err
			}
		}
	}
	now := l.clock.Now()
	if l.mailed.Swap(false) || !now.Before(l.due) { // a signal that was lost costs a tick, no message
		if err := l.readMail(ctx); err != nil {
			return err
		}
	}
	if !now.Before(l.due) {
		if err := l.lookAround(ctx); err != nil {
			return err
		}
		l.due = now.Add(tick)
	}
	for _, t := range l.tracks {
		if err := l.schedule(ctx, t, now); err != nil {
			return err
		}
	}
	if err := l.advanceBackfills(ctx); err != nil {
		return err
	}
	if l.updated {
		l.updated = false
		return l.readUpdates(ctx)
	}
	return nil
}

// upToDate records what has been decided, before something is read that it may be about.
func (l *leader) upToDate(ctx context.Context) error {
	if !l.loop.Unrecorded() {
		return nil
	}
	return l.loop.Record(ctx)
}

// lookAround looks at what nothing announces: processes, deadlines, reasons.
func (l *leader) lookAround(ctx context.Context) error {
	gone, come, err := l.crew.refresh(ctx, l.clock.Now())
	if err != nil {
		return err
	}
	for _, id := range come {
		l.ask(id)
	}
	l.askAgain()
	if err := l.lose(ctx, gone); err != nil {
		return err
	}
	l.completeCensus(ctx)
	l.loop.Overdue(l.told, func(r run.Run, deadline time.Duration) {
		l.log.Warn("a deadline has passed", "run", r.ID)
		l.loop.Batch().Alerts = append(l.loop.Batch().Alerts, store.Alert{At: l.clock.Now(), Pipeline: r.Pipeline, RunID: r.ID,
			Kind: "deadline", Text: fmt.Sprintf("not done %s after the end of its data interval", deadline)})
	})
	l.explain()
	if now := l.clock.Now(); !now.Before(l.cleaning) {
		l.cleaning = now.Add(time.Minute)
		return l.clean(ctx)
	}
	return nil
}

// lose takes up the work of processes that are gone: what they have told comes first, and what they have not read yet, they
// shall not begin when they come back.
func (l *leader) lose(ctx context.Context, gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	if err := l.readMail(ctx); err != nil {
		return err
	}
	for _, id := range gone {
		l.log.Warn("a process is gone", "process", id)
		if err := l.dropMail(ctx, id); err != nil {
			return err
		}
		l.loop.Lost(ctx, id)
		if err := l.store.Unregister(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// nextTime is when something is due that nothing announces.
func (l *leader) nextTime() time.Time {
	next := l.due
	for _, t := range l.tracks {
		if !t.next.IsZero() && !t.Paused && t.lane.Pending() == 0 && t.next.Before(next) {
			next = t.next
		}
	}
	return next
}

// schedule makes the runs of a pipeline that are due.
func (l *leader) schedule(ctx context.Context, t *track, now time.Time) error {
	if t.pipeline == nil || t.Paused || t.next.IsZero() || now.Before(t.next) || t.lane.Pending() > 0 {
		return nil
	}
	p := t.pipeline
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err != nil || s.Manual() || s.Continuous() && !t.lane.Idle() {
		if t.next = (time.Time{}); err == nil && s.Continuous() {
			t.next = now.Add(tick)
		}
		return nil
	}
	due, cursor, next := schedule.Due(s, schedule.Bounds{Start: p.Start, End: p.End, Catchup: p.Catchup}, t.Cursor, now, batch)
	t.next = next
	if len(due) == 0 && cursor.Equal(t.Cursor) {
		return nil
	}
	if err := l.upToDate(ctx); err != nil {
		return err
	}
	class := engine.Scheduled
	if len(due) > 2 {
		class = engine.CatchUp
	}
	l.loop.Reorder(t.lane, class)
	t.Cursor = cursor
	l.loop.Batch().Pipelines = append(l.loop.Batch().Pipelines, t.PipelineState)
	plan := engine.Plan{Pipeline: p, Trigger: "scheduled", Batch: batch}
	zone := s.Location()
	for _, i := range due {
		plan.Intervals = append(plan.Intervals, run.Interval{Start: i.Start.In(zone), End: i.End.In(zone)})
	}
	return l.loop.Admit(ctx, t.lane, plan)
}

// explain records the reasons that have changed since they were recorded.
func (l *leader) explain() {
	now := maps.Clone(l.stuck)
	l.loop.Explain(func(subject, why string) { now[subject] = why })
	for _, t := range l.tracks {
		if why := l.whyNoRun(t); why != "" {
			now[t.Name] = why
		}
	}
	b := l.loop.Batch()
	at := l.clock.Now()
	for _, subject := range sortedKeys(now) {
		if why := now[subject]; l.recorded[subject] != why {
			b.Reasons = append(b.Reasons, store.Reason{Subject: subject, At: at, Text: why})
			l.recorded[subject] = why
		}
	}
	for _, subject := range sortedKeys(l.recorded) {
		if _, still := now[subject]; !still {
			b.Reasons = append(b.Reasons, store.Reason{Subject: subject, At: at})
			delete(l.recorded, subject)
		}
	}
}

// sortedKeys gives the keys in order, so that the same happenings are always recorded alike.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// whyNoRun says why a pipeline that has nothing open makes no run now.
func (l *leader) whyNoRun(t *track) string {
	switch {
	case t.pipeline == nil:
		return "the project has this pipeline no more"
	case t.Paused:
		return "paused by " + t.PausedBy + " at " + t.PausedAt.UTC().Format(time.DateTime) + " UTC"
	case !t.lane.Idle():
		return ""
	case len(t.pipeline.On) > 0:
		return "waits for a write of " + l.missing(t)
	case t.next.IsZero() && t.pipeline.Schedule == "":
		return "has no schedule: it runs when it is asked to"
	case t.next.IsZero():
		return "its last data interval has been scheduled"
	case t.Cursor.IsZero() && t.pipeline.Start.After(l.clock.Now()):
		return "its first data interval begins at " + t.pipeline.Start.In(location(t.pipeline)).Format(time.RFC3339)
	}
	return "its next data interval ends at " + t.next.In(location(t.pipeline)).Format(time.RFC3339)
}
