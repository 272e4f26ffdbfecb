package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a place to try pipelines: a store, a ledger, and an executor that notes what it is asked to do.
type bench struct {
	*testing.T
	*memory
	*books
	parallel int
	observer engine.Observer
	do       func(ctx context.Context, w engine.Work) (engine.Outcome, error) // nil: all is well

	mu   sync.Mutex
	done []string // "task@first" or "task@first..last", in the order in which they started; days of April 2007
}

// try calls f in a bubble with a time of its own.
func try(t *testing.T, f func(b *bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f(&bench{T: t, memory: newMemory(t.Errorf), books: newBooks(), parallel: 1})
	})
}

func (b *bench) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	b.mu.Lock()
	text := fmt.Sprintf("%s@%d", w.Task.Name, w.Start.Day())
	if n := len(w.Runs); n > 1 {
		text += fmt.Sprintf("..%d", w.Runs[n-1].Start.Day())
	}
	b.done = append(b.done, text)
	b.mu.Unlock()
	if b.do != nil {
		if out, err := b.do(ctx, w); err != nil || out.Skip != "" || out.Items != nil || out.Again > 0 || out.Choice != nil {
			return out, err
		}
	}
	b.commit(w.Claims)
	return engine.Outcome{Result: map[string]int{"rows": 7}}, nil
}

// took gives what was executed since the last call.
func (b *bench) took() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := strings.Join(b.done, " ")
	b.done = nil
	return text
}

func (b *bench) run(plan engine.Plan) (engine.Report, error) {
	return b.runUntil(b.Context(), plan)
}

func (b *bench) runUntil(ctx context.Context, plan engine.Plan) (engine.Report, error) {
	e := engine.New(b.memory, b.books, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: b}, clock.System{},
		engine.Options{Parallel: b.parallel, Observer: b.observer})
	return e.Run(ctx, plan)
}

// must runs a plan that the engine should bring to its end.
func (b *bench) must(plan engine.Plan) engine.Report {
	b.Helper()
	r, err := b.run(plan)
	if err != nil || r.Open > 0 {
		b.Fatalf("%+v, %v", r, err)
	}
	return r
}

func (b *bench) want(what, got, want string) {
	b.Helper()
	if got != want {
		b.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// logs gives the lines of a level.
func (b *bench) logs(level string) string {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	var texts []string
	for _, l := range b.lines {
		if l.Level == level {
			texts = append(texts, l.Text)
		}
	}
	return strings.Join(texts, "\n")
}

// chain is a pipeline whose tasks come one after the other.
func chain(names ...string) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Name: "geo", Version: "v1"}
	for i, name := range names {
		task := &pipeline.Task{Name: name, Kind: pipeline.SQLTask, TriggerRule: "all_success"}
		if i > 0 {
			task.Upstream = []string{names[i-1]}
		}
		p.Tasks = append(p.Tasks, task)
	}
	return p
}

// days are the intervals of these days of April 2007.
func days(from, to int) []run.Interval {
	var all []run.Interval
	for d := from; d <= to; d++ {
		start := time.Date(2007, 4, d, 0, 0, 0, 0, time.UTC)
		all = append(all, run.Interval{Start: start, End: start.AddDate(0, 0, 1)})
	}
	return all
}

func id(day int) string { return fmt.Sprintf("geo@2007-04-%02d", day) }

type executorFunc func(context.Context, engine.Work) (engine.Outcome, error)

func (f executorFunc) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	return f(ctx, w)
}

// hang waits until the work is cancelled.
func hang(ctx context.Context, _ engine.Work) (engine.Outcome, error) {
	<-ctx.Done()
	return engine.Outcome{}, ctx.Err()
}

// deaf is a ledger that answers a number of questions and then no more.
type deaf struct{ hears int }

func (d *deaf) Committed(context.Context, []run.Claim) (map[run.Claim]json.RawMessage, error) {
	if d.hears--; d.hears >= 0 {
		return nil, nil
	}
	return nil, errors.New("no route to host")
}

func (d *deaf) Settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return d.Committed(ctx, claims)
}

func (d *deaf) Taken(ctx context.Context, claims []run.Claim) (map[run.Claim]bool, error) {
	_, err := d.Committed(ctx, claims)
	return nil, err
}

// change applies what Clear or Mark proposed.
func (b *bench) change(changes []run.Change, err error) {
	b.Helper()
	if err != nil || len(changes) == 0 {
		b.Fatalf("%d changes, %v", len(changes), err)
	}
	if err := b.Apply(b.Context(), changes); err != nil {
		b.Fatal(err)
	}
}

// watcher notes events.
type watcher struct {
	texts []string
	last  engine.Progress
}

func (w *watcher) Observe(e engine.Event) {
	w.texts = append(w.texts, strings.TrimSpace(fmt.Sprintf("%s %s", e.Kind, e.Task.Task)))
	w.last = e.Progress
}

// recording is a store that takes lines and changes together.
type recording struct {
	*memory
	records []string
}

func (r *recording) Commit(ctx context.Context, b store.Batch) error {
	text := ""
	for _, l := range b.Lines {
		text += l.Text + " "
	}
	for _, c := range b.Changes {
		text += c.Task + ":" + string(c.Event) + " "
	}
	r.records = append(r.records, strings.TrimSpace(text))
	return r.memory.Commit(ctx, b)
}

// fullDisk takes some changes and then none.
type fullDisk struct {
	*memory
	after int
}

func (f *fullDisk) Commit(ctx context.Context, b store.Batch) error {
	if f.after--; f.after < 0 {
		return errors.New("database or disk is full")
	}
	return f.memory.Commit(ctx, b)
}
