package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/schedule"
	"damson/internal/store"
)

// Wish is what a backfill is to do, and where it stands. It is kept in the store as JSON.
type Wish struct {
	From          time.Time    `json:"from"` // first and last logical date, both included
	To            time.Time    `json:"to"`
	Tasks         []string     `json:"tasks,omitempty"`
	Rerun         engine.Rerun `json:"rerun,omitempty"`
	Batch         int          `json:"batch,omitempty"`
	Parallel      int          `json:"parallel,omitempty"`        // 0 = one less than there are, at least one
	MaxActiveRuns int          `json:"max_active_runs,omitempty"` // 0 = as the pipeline says
	By            string       `json:"by,omitempty"`
	Total         int          `json:"total"`            // data intervals
	Cursor        time.Time    `json:"cursor,omitzero"`  // those before it have been given to the engine
	Failed        int          `json:"failed,omitempty"` // when it has ended: runs of its dates that are failed; of a cancelled one, those that did not begin
}

// backfill is an open backfill.
type backfill struct {
	store.Backfill
	Wish
	track *track
	lane  *engine.Lane
}

// States of a backfill.
const (
	BackfillOpen      = "open"
	BackfillDone      = "done"
	BackfillFailed    = "failed"
	BackfillCancelled = "cancelled"
)

// readBackfills takes up the backfills that are open.
func (l *leader) readBackfills(ctx context.Context) error {
	open, err := l.store.Backfills(ctx, true)
	if err != nil {
		return err
	}
	for _, stored := range open {
		b := &backfill{Backfill: stored}
		if err := json.Unmarshal(stored.Body, &b.Wish); err != nil {
			l.log.Warn("a backfill cannot be read", "backfill", stored.ID, "error", err)
			continue
		}
		l.takeUp(b)
	}
	return nil
}

// takeUp gives a backfill its lane.
func (l *leader) takeUp(b *backfill) {
	b.track = l.follow(b.Pipeline)
	b.lane = l.loop.AddLane(engine.LaneOptions{Name: "backfill " + b.ID, Class: engine.Backfill, MaxActiveRuns: b.MaxActiveRuns, Parallel: b.Parallel})
	l.backfills[b.ID] = b
}

// backfillOf gives the open backfill that a run belongs to: one that it made, or one that was there, whatever made
// it, and that it runs again. Of several the first.
func (l *leader) backfillOf(r run.Run) *backfill {
	for _, b := range l.inOrder() {
		if b.Pipeline == r.Pipeline && !r.Start.Before(b.From) && r.Start.Before(b.Cursor) {
			return b
		}
	}
	return nil
}

// inOrder lists the open backfills, first made first.
func (l *leader) inOrder() []*backfill {
	return slices.SortedFunc(maps.Values(l.backfills), func(a, b *backfill) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Backfill.ID, b.Backfill.ID))
	})
}

// newBackfill takes a wish.
func (l *leader) newBackfill(ctx context.Context, r Request) (a Answer, after func() error, err error) {
	t, err := l.tracked(r.Pipeline)
	if err != nil {
		return a, nil, err
	}
	if r.Backfill == nil {
		return a, nil, diag.Finding{Summary: "Nothing to backfill", Detail: "The request says no dates.", Fix: "Give --from and --to."}
	}
	now := l.clock.Now()
	b := &backfill{Wish: *r.Backfill}
	b.By = r.By
	if b.MaxActiveRuns == 0 {
		b.MaxActiveRuns = t.pipeline.MaxActiveRuns
	}
	if b.Parallel == 0 {
		slots := 0
		for _, m := range l.crew.members {
			if !m.gone {
				slots += m.Slots
			}
		}
		b.Parallel = max(1, slots-1)
	}
	s, err := schedule.Parse(t.pipeline.Schedule, t.pipeline.Timezone)
	if err != nil {
		return a, nil, err
	}
	for range s.Intervals(b.From, b.To) {
		b.Total++
	}
	id, err := l.freeID(ctx, r.Pipeline, now)
	if err != nil {
		return a, nil, err
	}
	b.Backfill = store.Backfill{ID: id, Pipeline: r.Pipeline, State: BackfillOpen, Created: now}
	l.takeUp(b)
	l.keep(b)
	return Answer{Backfill: b.ID}, nil, nil
}

// freeID names a backfill by its pipeline and second, as no other is named that is open or has ended.
func (l *leader) freeID(ctx context.Context, name string, now time.Time) (string, error) {
	if err := l.upToDate(ctx); err != nil {
		return "", err
	}
	all, err := l.store.Backfills(ctx, false)
	if err != nil {
		return "", err
	}
	first := name + "-" + now.UTC().Format("20060102T150405")
	id := first
	for n := 1; l.backfills[id] != nil || slices.ContainsFunc(all, func(b store.Backfill) bool { return b.ID == id }); n++ {
		id = fmt.Sprintf("%s-%d", first, n)
	}
	return id, nil
}

// keep records where a backfill stands.
func (l *leader) keep(b *backfill) {
	body, err := json.Marshal(b.Wish)
	if err != nil {
		panic(fmt.Sprintf("scheduler: a backfill that JSON cannot hold: %v", err))
	}
	b.Body = body
	l.loop.Batch().Backfills = append(l.loop.Batch().Backfills, b.Backfill)
}

// cancelBackfill lets a backfill open no further runs: those that wait to begin are failed, so that another backfill with rerun
// failed takes them up. What is under way ends.
func (l *leader) cancelBackfill(_ context.Context, r Request) (a Answer, after func() error, err error) {
	b := l.backfills[r.ID]
	if b == nil {
		var open []string
		for id := range l.backfills {
			open = append(open, id)
		}
		return a, nil, diag.Finding{Summary: "No such backfill", Detail: fmt.Sprintf("No backfill %q is open.", r.ID), Fix: diag.DidYouMean(r.ID, open)}
	}
	n := l.loop.Empty(b.lane, "backfill "+b.ID+" was cancelled by "+cmp.Or(r.By, "somebody"))
	b.State, b.Ended, b.Failed = BackfillCancelled, l.clock.Now(), n
	l.keep(b)
	l.retire(b)
	return Answer{Backfill: b.ID}, nil, nil
}

// retire lets go of a backfill; its lane goes when it is idle.
func (l *leader) retire(b *backfill) {
	delete(l.backfills, b.ID)
	l.retired = append(l.retired, b.lane)
}

// advanceBackfills gives each backfill's lane its next part when it has nothing pending, and ends what is done.
func (l *leader) advanceBackfills(ctx context.Context) error {
	l.retired = slices.DeleteFunc(l.retired, func(lane *engine.Lane) bool {
		if lane.Idle() {
			l.loop.Remove(lane)
		}
		return lane.Idle()
	})
	for _, b := range l.inOrder() {
		if b.lane.Pending() > 0 || b.track.pipeline == nil {
			continue
		}
		part, cursor, err := b.next()
		if err == nil {
			err = l.upToDate(ctx)
		}
		switch {
		case err != nil:
			return err
		case len(part) == 0 && b.lane.Idle() && !l.loop.DrivesWithin(b.Pipeline, b.From, b.To):
			if err := l.endBackfill(ctx, b); err != nil {
				return err
			}
			continue
		case len(part) == 0: // something of its dates is under way, be it in another lane
			continue
		}
		plan := engine.Plan{Pipeline: b.track.pipeline, Intervals: part, Tasks: b.Tasks, Rerun: b.Rerun, Trigger: "backfill", Batch: b.Batch}
		b.Cursor = cursor
		l.keep(b)
		if err := l.loop.Admit(ctx, b.lane, plan); err != nil {
			return err
		}
	}
	return nil
}

// next gives the data intervals that follow the cursor, and the cursor after them.
func (b *backfill) next() (part []run.Interval, cursor time.Time, err error) {
	p := b.track.pipeline
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err != nil {
		return nil, cursor, err
	}
	from := b.From
	if b.Cursor.After(from) {
		from = b.Cursor
	}
	for start, end := range s.Intervals(from, b.To) {
		if len(part) == batch {
			break
		}
		part = append(part, run.Interval{Start: start.In(s.Location()), End: end.In(s.Location())})
		cursor = end
	}
	return part, cursor, nil
}

// endBackfill records how a backfill ended.
func (l *leader) endBackfill(ctx context.Context, b *backfill) error {
	if err := l.loop.Record(ctx); err != nil { // the end of its last run may not be in the store yet
		return err
	}
	failed, err := l.store.Runs(ctx, store.RunFilter{Pipeline: b.Pipeline, From: b.From, To: b.To, States: []run.State{run.Failed}})
	if err != nil {
		return err
	}
	b.State, b.Ended, b.Failed = BackfillDone, l.clock.Now(), len(failed)
	if b.Failed > 0 {
		b.State = BackfillFailed
	}
	l.keep(b)
	l.retire(b)
	l.log.Info("a backfill has ended", "backfill", b.ID, "state", b.State, "failed", b.Failed)
	return nil
}
