package scheduler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
	"damson/internal/store/sqlite"
)

// house is a store, a warehouse's ledger and a project, and the processes that work on them.
type house struct {
	*testing.T
	store *store.Store

	mu        sync.Mutex
	rows      map[run.Claim]json.RawMessage
	catalogue *scheduler.Catalogue
	changed   chan struct{}
	do        func(ctx context.Context, w engine.Work) (engine.Outcome, error)
	executed  []string
}

func newHouse(t *testing.T, pipelines ...*pipeline.Pipeline) *house {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, store: s, rows: map[run.Claim]json.RawMessage{}, changed: make(chan struct{}, 1)}
	h.become(pipelines...)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// become makes these the project's pipelines.
func (h *house) become(pipelines ...*pipeline.Pipeline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.catalogue = &scheduler.Catalogue{Pipelines: pipelines, Pools: map[string]int{"db": 1},
		Executor: func(pipeline.Kind) engine.Executor { return h }}
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func (h *house) Current() *scheduler.Catalogue {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.catalogue
}

func (h *house) Changed() <-chan struct{} { return h.changed }

func (h *house) Find(_ context.Context, name, version string) (*pipeline.Pipeline, *scheduler.Catalogue, error) {
	c := h.Current()
	for _, p := range c.Pipelines {
		if p.Name == name {
			return p, c, nil
		}
	}
	return nil, nil, fmt.Errorf("no version %s of %s", version, name)
}

func (h *house) Committed(_ context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := map[run.Claim]json.RawMessage{}
	for _, c := range claims {
		if row, ok := h.rows[c]; ok {
			found[c] = row
		}
	}
	return found, nil
}

func (h *house) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	h.mu.Lock()
	h.executed = append(h.executed, w.Runs[0].ID+" "+w.Task.Name)
	do := h.do
	h.mu.Unlock()
	out := engine.Outcome{Result: map[string]int{"rows": 1}}
	if do != nil {
		var err error
		if out, err = do(ctx, w); err != nil {
			return out, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range w.Claims {
		h.rows[c] = json.RawMessage(`{}`)
	}
	return out, nil
}

// serve starts a process; the function it returns asks it to end and waits for that.
func (h *house) serve(o scheduler.Options) (stop func()) {
	h.Helper()
	if o.Parallel == 0 {
		o.Parallel = 2
	}
	if o.Open == nil {
		o.Open = func(context.Context) (engine.Ledger, error) { return h, nil }
	}
	o.Leads = true
	ctx, cancel := context.WithCancel(h.Context())
	done := make(chan error, 1)
	go func() { done <- scheduler.New(h.store, h, clock.System{}, o).Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				h.Error(err)
			}
		})
	}
	h.Cleanup(stop)
	return stop
}

// until waits for something to hold, looking whenever something was written.
func (h *house) until(what string, holds func() bool) {
	h.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			h.Fatalf("%s does not come about", what)
		}
		_ = clock.System{}.Sleep(h.Context(), 5*time.Millisecond)
	}
}

func (h *house) runs(f store.RunFilter) []run.Run {
	h.Helper()
	runs, err := h.store.Runs(h.Context(), f)
	if err != nil {
		h.Fatal(err)
	}
	return runs
}

func (h *house) state(id string) run.State {
	h.Helper()
	for _, r := range h.runs(store.RunFilter{IDs: []string{id}}) {
		return r.State
	}
	return ""
}

// ask sends a request and waits for its answer.
func (h *house) ask(r scheduler.Request) scheduler.Answer {
	h.Helper()
	a, err := scheduler.Ask(h.Context(), h.store, clock.System{}, r, 10*time.Second)
	if err != nil {
		h.Fatal(err)
	}
	return a
}

func daily(names ...string) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Name: "geo", Version: "v1", Schedule: "@daily", Timezone: "UTC", Catchup: true, MaxActiveRuns: 1,
		Start: time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC), End: time.Date(2007, 4, 15, 0, 0, 0, 0, time.UTC)}
	for i, name := range names {
		t := &pipeline.Task{Name: name, Kind: pipeline.SQLTask, TriggerRule: "all_success", SQL: &pipeline.SQL{Target: &pipeline.Target{Into: "geo." + name}}}
		if i > 0 {
			t.Upstream = []string{names[i-1]}
		}
		p.Tasks = append(p.Tasks, t)
	}
	return p
}

func TestCatchesUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, daily("fetch", "clean"))
	stop := h.serve(scheduler.Options{ID: "a"})
	h.until("the last run", func() bool { return h.state("geo@2007-04-15") == run.Success })
	stop()
	if n := len(h.runs(store.RunFilter{States: []run.State{run.Success}})); n != 4 || len(h.executed) != 8 {
		t.Errorf("%d runs, %d executions", n, len(h.executed))
	}
	l, err := h.store.Lease(t.Context())
	if err != nil || l.Holder != "" {
		t.Errorf("the lease is not given back: %+v %v", l, err)
	}
	if p, err := h.store.Processes(t.Context()); err != nil || len(p) > 0 {
		t.Errorf("still registered: %+v %v", p, err)
	}
}
