package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/store"
)

// record writes what was decided since the last time, in one transaction after the lines of the tasks it is about, and
// then tells the observer.
func (d *drive) record(ctx context.Context) error {
	if d.broken {
		return d.stopped
	}
	if len(d.changes) > 0 || d.lines.due {
		d.lines.due = false
		if err := d.write(ctx, d.lines.take()); err != nil {
			return err
		}
		d.changes = d.changes[:0]
	}
	for _, event := range d.events {
		d.opts.Observer.Observe(event)
	}
	d.events = d.events[:0]
	return nil
}

// write hands lines and changes to the store, together where it can.
func (d *drive) write(ctx context.Context, lines []run.LogLine) error {
	recorder, together := d.opts.Logs.(Recorder)
	if together && len(lines) > 0 && len(d.changes) > 0 {
		return d.persist(ctx, "states and logs", func() error { return recorder.Record(ctx, lines, d.changes) },
			func() bool { return d.applied(ctx, d.changes) })
	}
	if len(lines) > 0 {
		if err := d.persist(ctx, "logs", func() error { return d.opts.Logs.AddLogs(ctx, lines) }, nil); err != nil {
			return err
		}
	}
	return d.apply(ctx, d.changes)
}

// apply hands changes to the store.
func (d *drive) apply(ctx context.Context, changes []run.Change) error {
	if len(changes) == 0 {
		return nil
	}
	return d.persist(ctx, "states", func() error { return d.store.Apply(ctx, changes) },
		func() bool { return d.applied(ctx, changes) })
}

// persist writes to the store and tries again when that fails. A write may have happened although it was reported as
// failed: done, when given, looks.
func (d *drive) persist(ctx context.Context, what string, write func() error, done func() bool) error {
	for delay := 50 * time.Millisecond; ; delay *= 3 {
		err := write()
		if err == nil || done != nil && done() {
			return nil
		}
		var stale *store.StaleError
		if errors.As(err, &stale) || delay > time.Second || d.clock.Sleep(ctx, delay) != nil {
			if told := (diag.Finding{}); errors.As(err, &told) {
				return told
			}
			return diag.Finding{Summary: "The store does not take the " + what + " of runs", Detail: err.Error(), Cause: err,
				Fix: "Nothing is lost: mend the cause and run the same command again, it continues where this one stopped."}
		}
	}
}

// applied reports whether the store has come to where the changes lead.
func (d *drive) applied(ctx context.Context, changes []run.Change) bool {
	type key struct{ runID, task string }
	want := map[key]run.Change{}
	var ids []string
	for _, c := range changes {
		want[key{c.RunID, c.Task}] = c
		ids = append(ids, c.RunID)
	}
	ids = unique(ids)
	runs, err := d.store.Runs(ctx, store.RunFilter{IDs: ids})
	if err != nil {
		return false
	}
	tasks, err := d.store.TaskRuns(ctx, ids...)
	if err != nil {
		return false
	}
	found := 0
	for _, r := range runs {
		if c, ok := want[key{r.ID, ""}]; ok && c.To == r.State {
			found++
		}
	}
	for _, t := range tasks {
		c, ok := want[key{t.RunID, t.Task}]
		if ok && c.To == t.State && c.Attempt == t.Attempt && c.Token == t.Token && c.Failures == t.Failures {
			found++
		}
	}
	return found == len(want)
}

// unique gives the names without repetition, in order.
func unique(names []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// tell keeps an event of a task run for the observer.
func (d *drive) tell(r *runState, i int, event run.Event, to run.State) {
	if d.opts.Observer == nil {
		return
	}
	kind := TaskEnded
	switch {
	case event == run.EventStarted:
		kind = TaskStarted
	case event == run.EventRetried:
		kind = TaskRetried
	case !to.Ended():
		return
	}
	d.events = append(d.events, Event{Kind: kind, At: d.now, Run: r.Run, Task: r.cells[i].TaskRun, Progress: d.progress})
}

// tellRun keeps an event of a run for the observer.
func (d *drive) tellRun(kind EventKind, r *runState) {
	if d.opts.Observer != nil {
		d.events = append(d.events, Event{Kind: kind, At: d.now, Run: r.Run, Progress: d.progress})
	}
}

// lineBuffer collects log lines from all workers until the loop writes them.
type lineBuffer struct {
	written chan struct{} // a line came into the empty buffer
	drop    bool
	due     bool // of the loop: write even when there are no changes

	mu    sync.Mutex
	lines []run.LogLine
}

func (b *lineBuffer) add(line run.LogLine) {
	if b.drop {
		return
	}
	b.mu.Lock()
	b.lines = append(b.lines, line)
	first := len(b.lines) == 1
	b.mu.Unlock()
	if first {
		select {
		case b.written <- struct{}{}:
		default:
		}
	}
}

func (b *lineBuffer) take() []run.LogLine {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines
	b.lines = nil
	return lines
}

// logger writes the lines of one attempt.
type logger struct {
	lines *lineBuffer
	claim run.Claim
	clock clock.Clock
}

func (l *logger) Infof(format string, args ...any)  { l.add("info", format, args) }
func (l *logger) Warnf(format string, args ...any)  { l.add("warn", format, args) }
func (l *logger) Errorf(format string, args ...any) { l.add("error", format, args) }

func (l *logger) add(level, format string, args []any) {
	l.lines.add(run.LogLine{Claim: l.claim, At: l.clock.Now(), Level: level, Text: fmt.Sprintf(format, args...)})
}
