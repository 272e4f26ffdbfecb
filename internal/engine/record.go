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

// record writes what was decided since the last time, in one transaction with the lines of the tasks, and then tells those
// who want to know.
func (l *Loop) record(ctx context.Context) error {
	if l.broken {
		return l.stopped
	}
	b := &l.batch
	if l.lines.due || len(b.Changes) > 0 {
		l.lines.due = false
		b.Lines = l.lines.take()
	}
	if !empty(b) {
		if l.o.Fence != nil {
			b.Fence = l.o.Fence()
		}
		if err := l.persist(ctx, *b); err != nil {
			return err
		}
		l.batch = store.Batch{Changes: b.Changes[:0]}
	}
	for _, event := range l.events {
		l.opts.Observer.Observe(event)
	}
	l.events = l.events[:0]
	return nil
}

// Unrecorded reports whether changes have been decided that are not in the store yet.
func (l *Loop) Unrecorded() bool { return len(l.batch.Changes) > 0 }

// Batch is what the next record writes: a scheduler adds its own parts.
func (l *Loop) Batch() *store.Batch { return &l.batch }

// Record writes what has been decided so far.
func (l *Loop) Record(ctx context.Context) error {
	err := l.record(ctx)
	if err != nil {
		l.fall(err)
	}
	return err
}

func empty(b *store.Batch) bool {
	return len(b.Lines)+len(b.Runs)+len(b.Tasks)+len(b.Changes)+len(b.Pipelines)+len(b.Backfills)+len(b.Updates)+len(b.Reasons)+
		len(b.Alerts)+len(b.Done)+len(b.Send) == 0
}

// persist writes to the store and tries again when that fails, without end for a loop that serves. A write may have happened
// although it was reported as failed. What the store has tells so only as long as nobody else can have written it: another
// leader comes to the same decisions, with the same numbers of attempts. A loop with a fence therefore makes the write again
// first: refused as deposed it is lost, whoever wrote what is there; refused as stale, under a fence that holds, it had
// happened.
func (l *Loop) persist(ctx context.Context, b store.Batch) error {
	again := false
	for delay := 50 * time.Millisecond; ; delay *= 3 {
		err := l.store.Commit(ctx, b)
		var stale *store.StaleError
		unfit := errors.As(err, &stale)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, store.ErrDeposed):
			return err
		case (b.Fence == 0 || again && unfit) && len(b.Changes) > 0 && l.applied(ctx, b.Changes):
			return nil
		}
		again = true
		if l.o.Serves && !unfit {
			delay = min(delay, 300*time.Millisecond)
		}
		if unfit || delay > time.Second || l.clock.Sleep(ctx, delay) != nil {
			if told := (diag.Finding{}); errors.As(err, &told) {
				return told
			}
			return diag.Finding{Summary: "The store does not take the states of runs", Detail: err.Error(), Cause: err,
				Fix: "Nothing is lost: mend the cause and run the same command again, it continues where this one stopped."}
		}
	}
}

// applied reports whether the store has come to where the changes lead.
func (l *Loop) applied(ctx context.Context, changes []run.Change) bool {
	type key struct{ runID, task string }
	want, from := map[key]run.Change{}, map[key]run.State{}
	telling := false // what ends where it began, under the same claim, does not tell
	var ids []string
	for _, c := range changes {
		telling = telling || c.Event == run.EventStarted
		k := key{c.RunID, c.Task}
		if _, seen := from[k]; !seen {
			from[k] = c.From
		}
		want[k] = c
		ids = append(ids, c.RunID)
	}
	for k, c := range want {
		telling = telling || c.To != from[k]
	}
	if !telling {
		return false
	}
	ids = unique(ids)
	runs, err := l.store.Runs(ctx, store.RunFilter{IDs: ids})
	if err != nil {
		return false
	}
	tasks, err := l.store.TaskRuns(ctx, ids...)
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
func (l *Loop) tell(r *runState, i int, event run.Event, to run.State) {
	if l.opts.Observer == nil {
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
	l.events = append(l.events, Event{Kind: kind, At: l.now, Run: r.Run, Task: r.cells[i].TaskRun, Progress: r.lane.progress})
}

// tellRun keeps an event of a run for the observer.
func (l *Loop) tellRun(kind EventKind, r *runState) {
	if l.opts.Observer != nil {
		l.events = append(l.events, Event{Kind: kind, At: l.now, Run: r.Run, Progress: r.lane.progress})
	}
}

// lineBuffer collects log lines from all workers until the loop writes them.
type lineBuffer struct {
	written chan struct{} // a line came into the empty buffer
	due     bool          // of the loop: write even when there are no changes

	mu    sync.Mutex
	lines []run.LogLine
	stray func(run.LogLine) // takes them once the loop is closed
}

// leave gives what is left, and all that comes later, to stray.
func (b *lineBuffer) leave(stray func(run.LogLine)) {
	if stray == nil {
		stray = func(run.LogLine) {}
	}
	left := b.take()
	b.mu.Lock()
	b.stray = stray
	b.mu.Unlock()
	for _, line := range left {
		stray(line)
	}
}

func (b *lineBuffer) add(line run.LogLine) {
	b.mu.Lock()
	if b.stray != nil {
		defer b.mu.Unlock()
		b.stray(line)
		return
	}
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
