package scheduler

import (
	"context"
	"slices"
	"strings"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/store"
)

// readUpdates looks at what was written since each pipeline that waits for datasets looked last.
func (l *leader) readUpdates(ctx context.Context) error {
	if err := l.upToDate(ctx); err != nil {
		return err
	}
	for _, t := range l.tracks {
		if t.pipeline == nil || len(t.pipeline.On) == 0 {
			continue
		}
		if err := l.readUpdatesFor(ctx, t); err != nil {
			return err
		}
		if err := l.runUpdated(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// readUpdatesFor adds what was written to what a pipeline has not run for yet.
func (l *leader) readUpdatesFor(ctx context.Context, t *track) error {
	const most = 1000
	last := max(t.Consumed, t.lastSeen)
	defer func() { t.lastSeen = last }()
	for {
		updates, err := l.store.DatasetUpdates(ctx, last, most)
		if err != nil {
			return err
		}
		for _, u := range updates {
			last = u.ID
			if slices.Contains(t.pipeline.On, u.Dataset) && !strings.HasPrefix(u.RunID, t.Name+"@") {
				t.pending = append(t.pending, u)
			}
		}
		if len(updates) < most {
			return nil
		}
	}
}

// runUpdated makes, or clears, the run of each data interval for which every dataset was written since the last time. An
// interval whose run is under way waits for its end.
func (l *leader) runUpdated(ctx context.Context, t *track) error {
	if t.Paused {
		return nil
	}
	for n := 0; n < len(t.pending); {
		u := t.pending[n]
		used := t.covering(u)
		id := run.NewID(t.Name, u.Start.In(location(t.pipeline)))
		if used == nil || l.loop.Drives(id) {
			n++
			continue
		}
		zone := location(t.pipeline)
		plan := engine.Plan{Pipeline: t.pipeline, Rerun: engine.RerunAll, Trigger: "dataset",
			Intervals: []run.Interval{{Start: u.Start.In(zone), End: u.End.In(zone)}}}
		t.pending = slices.DeleteFunc(t.pending, func(other store.DatasetUpdate) bool { return used[other.ID] })
		t.consume()
		l.loop.Batch().Pipelines = append(l.loop.Batch().Pipelines, t.PipelineState) // with the run, or neither
		if err := l.loop.Admit(ctx, t.lane, plan); err != nil {
			return err
		}
		n = 0
	}
	return nil
}

// covering gives the updates by which every dataset of the pipeline is new for the interval of u, nil while one is not.
func (t *track) covering(u store.DatasetUpdate) map[int64]bool {
	used := map[int64]bool{}
	for _, d := range t.pipeline.On {
		found := false
		for _, other := range t.pending {
			if other.Dataset == d && overlap(other, u) {
				found, used[other.ID] = true, true
			}
		}
		if !found {
			return nil
		}
	}
	return used
}

// overlap reports whether two updates are about the same time; one without width is about all of it.
func overlap(a, b store.DatasetUpdate) bool {
	return !a.Start.Before(a.End) || !b.Start.Before(b.End) || a.Start.Before(b.End) && b.Start.Before(a.End)
}

// consume moves the mark up to where nothing is pending.
func (t *track) consume() {
	if len(t.pending) == 0 {
		t.Consumed = max(t.Consumed, t.lastSeen)
		return
	}
	t.Consumed = max(t.Consumed, t.pending[0].ID-1)
}

// missing names the datasets that a pipeline waits for, with the interval it has others for.
func (l *leader) missing(t *track) string {
	var names []string
	for _, d := range t.pipeline.On {
		if !slices.ContainsFunc(t.pending, func(u store.DatasetUpdate) bool { return u.Dataset == d }) {
			names = append(names, d)
		}
	}
	if len(names) == 0 {
		return strings.Join(t.pipeline.On, " and ") + " for one and the same data interval"
	}
	if len(t.pending) > 0 {
		return strings.Join(names, " and ") + " for " + t.pending[0].Start.In(location(t.pipeline)).Format(time.DateOnly)
	}
	return strings.Join(names, " and ")
}
