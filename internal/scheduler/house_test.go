package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
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
	"damson/internal/scheduler"
	"damson/internal/store"
	"damson/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a store, a warehouse's ledger and a project, and the processes that work on them, in a bubble with a time of its
// own: it begins a minute before the end of April 16th, 2007.
type house struct {
	*testing.T
	store *store.Store
	file  string
	clock shifted

	mu        sync.Mutex
	rows      map[run.Claim]json.RawMessage
	catalogue *scheduler.Catalogue
	versions  map[string]*pipeline.Pipeline // by name and version
	do        func(ctx context.Context, w engine.Work) (engine.Outcome, error)
	executed  []string
	by        map[string]int // executions by process
}

// shifted is the bubble's clock, put to another time.
type shifted struct{ by time.Duration }

func (s shifted) Now() time.Time { return time.Now().UTC().Add(s.by) }

func (shifted) Sleep(ctx context.Context, d time.Duration) error { return clock.System{}.Sleep(ctx, d) }

// inHouse calls f with a house that has these pipelines.
func inHouse(t *testing.T, f func(h *house), pipelines ...*pipeline.Pipeline) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &house{T: t, file: filepath.Join(dir, "store.sqlite"), rows: map[run.Claim]json.RawMessage{},
			versions: map[string]*pipeline.Pipeline{}, by: map[string]int{},
			clock: shifted{time.Until(time.Date(2007, 4, 16, 23, 59, 0, 0, time.UTC))}}
		h.store = h.open()
		h.become(pipelines...)
		f(h)
	})
}

// open opens the store once more, as another process would.
func (h *house) open() *store.Store {
	h.Helper()
	db, err := sqlite.Open(h.Context(), h.file)
	if err != nil {
		h.Fatal(err)
	}
	s, err := store.New(h.Context(), db)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if err := s.Close(); err != nil {
			h.Error(err)
		}
	})
	return s
}

// become makes these the project's pipelines.
func (h *house) become(pipelines ...*pipeline.Pipeline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range pipelines {
		h.versions[p.Name+" "+p.Version] = p
	}
	h.catalogue = &scheduler.Catalogue{Pipelines: pipelines, Pools: map[string]int{"db": 1}}
}

// projects are the house's as one process has them.
type projects struct {
	*house
	process string
}

func (p projects) Current() *scheduler.Catalogue {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.catalogue
}

func (p projects) Changed() <-chan struct{} { return nil } // the leader looks each second

func (p projects) Find(_ context.Context, name, version string) (*pipeline.Pipeline, *scheduler.Catalogue, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &scheduler.Catalogue{Executor: func(pipeline.Kind) engine.Executor { return p }}
	if found := p.versions[name+" "+version]; found != nil {
		return found, c, nil
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

func (h *house) Settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return h.Committed(ctx, claims) // what is settled here has ended: nothing commits late
}

func (h *house) Taken(ctx context.Context, claims []run.Claim) (map[run.Claim]bool, error) {
	found, err := h.Committed(ctx, claims)
	taken := map[run.Claim]bool{}
	for c := range found {
		taken[c] = true
	}
	return taken, err
}

func (p projects) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	h := p.house
	h.mu.Lock()
	h.executed = append(h.executed, w.Claims[0].RunID[strings.LastIndexByte(w.Claims[0].RunID, '-')+1:]+" "+w.Claims[0].Task)
	h.by[p.process]++
	do := h.do
	h.mu.Unlock()
	out := engine.Outcome{Result: map[string]int{"rows": 1}}
	if do != nil {
		var err error
		if out, err = do(ctx, w); err != nil || out.Again > 0 || out.Items != nil || out.Skip != "" {
			return out, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !w.Task.NeedsWarehouse() {
		return out, nil
	}
	for _, c := range w.Claims {
		if _, twice := h.rows[c]; twice {
			h.Errorf("%+v commits twice", c)
		}
		h.rows[c] = json.RawMessage(`{}`)
	}
	return out, nil
}

// act sets what executors do.
func (h *house) act(do func(ctx context.Context, w engine.Work) (engine.Outcome, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.do = do
}

// took gives what was executed since the last call: "13 clean" is task clean of April 13th.
func (h *house) took() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := strings.Join(h.executed, ", ")
	h.executed = nil
	return text
}

// serve starts a process; the function it returns asks it to end and waits for that.
func (h *house) serve(o scheduler.Options) (stop func()) {
	h.Helper()
	return h.serveOn(h.store, h.clock, o)
}

func (h *house) serveOn(s scheduler.Store, clk clock.Clock, o scheduler.Options) (stop func()) {
	h.Helper()
	switch o.Parallel {
	case 0:
		o.Parallel = 2
	case -1: // it does not work
		o.Parallel = 0
	}
	if o.Open == nil {
		o.Open = func(context.Context) (engine.Ledger, error) { return h, nil }
	}
	o.Leads = true
	ctx, cancel := context.WithCancel(h.Context())
	done := make(chan error, 1)
	go func() { done <- scheduler.New(s, projects{h, o.ID}, clk, o).Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				h.Error(err)
			}
		})
	}
	h.Cleanup(stop)
	return stop
}

// until waits for something to hold.
func (h *house) until(what string, holds func() bool) {
	h.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			for _, r := range h.runs(store.RunFilter{}) {
				h.Logf("%s %s (%s)", r.ID, r.State, r.Reason)
				for _, task := range h.tasks(r.ID) {
					h.Logf("    %s %s attempt %d (%s)", task.Task, task.State, task.Attempt, task.Reason)
				}
			}
			h.Fatalf("%s does not come about; executed: %s", what, h.took())
		}
		h.wait(50 * time.Millisecond)
	}
}

// wait lets time pass.
func (h *house) wait(d time.Duration) { _ = clock.System{}.Sleep(h.Context(), d) }

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

// reach waits for a run's state.
func (h *house) reach(id string, state run.State) {
	h.Helper()
	h.until(fmt.Sprintf("%s %s", id, state), func() bool { return h.state(id) == state })
}

func (h *house) tasks(id string) []run.TaskRun {
	h.Helper()
	tasks, err := h.store.TaskRuns(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	return tasks
}

func (h *house) task(id, name string) run.TaskRun {
	h.Helper()
	for _, t := range h.tasks(id) {
		if t.Task == name {
			return t
		}
	}
	return run.TaskRun{}
}

// becomes waits for a task run's state.
func (h *house) becomes(id, name string, state run.State) {
	h.Helper()
	h.until(fmt.Sprintf("%s of %s %s", name, id, state), func() bool { return h.task(id, name).State == state })
}

// history tells a task run's events in words.
func (h *house) history(id, name string) string {
	h.Helper()
	changes, err := h.store.History(h.Context(), id, name)
	if err != nil {
		h.Fatal(err)
	}
	var texts []string
	for _, c := range changes {
		texts = append(texts, string(c.Event))
	}
	return strings.Join(texts, " ")
}

// reasons gives the texts recorded of a subject, "" where it was held up no more.
func (h *house) reasons(subject string) []string {
	h.Helper()
	all, err := h.store.Reasons(h.Context(), subject)
	if err != nil {
		h.Fatal(err)
	}
	var texts []string
	for _, r := range all {
		texts = append(texts, r.Text)
	}
	return texts
}

// told waits until a reason that holds the text was recorded, and then its end.
func (h *house) told(subject, text string, ends bool) {
	h.Helper()
	h.until(fmt.Sprintf("a reason of %s like %q", subject, text), func() bool {
		all := h.reasons(subject)
		at := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, text) })
		return at >= 0 && (!ends || slices.Contains(all[at:], ""))
	})
}

// ask sends a request and waits for its answer.
func (h *house) ask(r scheduler.Request) scheduler.Answer {
	h.Helper()
	a, err := h.tryTo(r)
	if err != nil {
		h.Fatal(err)
	}
	return a
}

func (h *house) tryTo(r scheduler.Request) (scheduler.Answer, error) {
	if r.Pipeline == "" {
		r.Pipeline = "geo"
	}
	r.By = "ann"
	return scheduler.Ask(h.Context(), h.store, h.clock, r, time.Minute)
}

func (h *house) want(what, got, want string) {
	h.Helper()
	if got != want {
		h.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func (h *house) backfill(id string) store.Backfill {
	h.Helper()
	all, err := h.store.Backfills(h.Context(), false)
	if err != nil {
		h.Fatal(err)
	}
	for _, b := range all {
		if b.ID == id {
			return b
		}
	}
	return store.Backfill{}
}

func day(d int) time.Time { return time.Date(2007, 4, d, 0, 0, 0, 0, time.UTC) }

func id(d int) string { return fmt.Sprintf("geo@2007-04-%02d", d) }

// daily is a pipeline of April 12th to 15th whose tasks come one after the other.
func daily(names ...string) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Name: "geo", Version: "v1", Schedule: "@daily", Timezone: "UTC", Catchup: true, MaxActiveRuns: 1,
		Start: day(12), End: day(15)}
	for i, name := range names {
		t := &pipeline.Task{Name: name, Kind: pipeline.SQLTask, TriggerRule: "all_success", SQL: &pipeline.SQL{Target: &pipeline.Target{Into: "geo." + name}}}
		if i > 0 {
			t.Upstream = []string{names[i-1]}
		}
		p.Tasks = append(p.Tasks, t)
	}
	return p
}

// byHand is daily without a schedule of its own.
func byHand(names ...string) *pipeline.Pipeline {
	p := daily(names...)
	p.Schedule, p.Start, p.End = "", time.Time{}, time.Time{}
	return p
}

// now asks for a run of a day by hand.
func now(d int) scheduler.Request {
	return scheduler.Request{Kind: scheduler.ReqRun, Start: day(d), End: day(d + 1)}
}
