package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "simulate only this seed")
	fromFlag  = flag.Uint64("from", 1, "the first of the seeds to simulate")
	seedsFlag = flag.Uint64("seeds", 2000, "simulate this many seeds")
)

// TestSimulation drives random pipelines through crashes, lost answers and interruptions at random store calls, and checks
// the invariants of the package's documentation at every step. Time is the bubble's own: nothing sleeps, and since no two
// executions end at the same instant, a seed always gives the same story.
func TestSimulation(t *testing.T) {
	from, to := *fromFlag, *fromFlag+*seedsFlag-1
	if testing.Short() {
		to = min(to, from+199)
	}
	if *seedFlag > 0 {
		from, to = *seedFlag, *seedFlag
	}
	for seed := from; seed <= to && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
	}
}

// simulate runs one seed's plan undisturbed, then disturbed, and compares how they end.
func simulate(t *testing.T, seed uint64) {
	sc := newScenario(seed)
	calm := newWorld(t, sc)
	if _, err := calm.engine(0).Run(t.Context(), sc.plan); err != nil {
		t.Fatalf("seed %d, undisturbed: %v", seed, err)
	}
	calm.mustHaveEnded()

	w := newWorld(t, sc)
	rng := rand.New(rand.NewPCG(seed, 2))
	for range rng.IntN(5) {
		w.disturb(rng)
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if rng.IntN(3) == 0 {
			w.until = time.Now().Add(time.Duration(rng.Int64N(int64(2 * time.Minute))))
			ctx, cancel = context.WithDeadline(ctx, w.until)
		}
		_, err := w.engine(seed).Run(ctx, sc.plan)
		if err != nil && !w.dead {
			t.Fatalf("seed %d: the engine gave up without a crash: %v", seed, err)
		}
		cancel()
	}
	w.calmDown()
	report, err := w.engine(seed).Run(t.Context(), sc.plan)
	if err != nil || report.Open > 0 || report.Interrupted {
		t.Fatalf("seed %d: the last process: %+v, %v", seed, report, err)
	}
	w.mustHaveEnded()
	if diff := cmp.Diff(calm.store.states(), w.store.states()); diff != "" {
		t.Errorf("seed %d: invariant 7: final states differ from the undisturbed run's (-calm +disturbed):\n%s", seed, diff)
	}
	w.rerunAll(rng)
}

// conduct is what an executor does with a task in an interval, the same in every process.
type conduct struct {
	kind     string // "fine", "flaky", "broken", "panics", "skips", "hangs" (until its timeout)
	failures int    // flaky: failures before it is fine
	lasts    time.Duration
}

// scenario is a plan and what its tasks will do.
type scenario struct {
	seed     uint64
	plan     engine.Plan
	parallel int
	conduct  map[string]conduct // by run and task
}

func newScenario(seed uint64) *scenario {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &pipeline.Pipeline{Name: "p", MaxActiveRuns: rng.IntN(4), MaxActiveTasks: rng.IntN(4)}
	batches := rng.IntN(2) == 0
	for i := range 1 + rng.IntN(7) {
		task := &pipeline.Task{Name: fmt.Sprintf("t%d", i), Kind: pipeline.SQLTask, TriggerRule: string(run.AllSuccess),
			Retries: rng.IntN(3), RetryDelay: time.Duration(rng.IntN(3)) * 10 * time.Second, RetryBackoff: 2,
			Priority: rng.IntN(3), DependsOnPast: rng.IntN(5) == 0, Batch: batches && rng.IntN(2) == 0,
			Timeout: time.Duration(rng.IntN(2)) * time.Minute}
		if rng.IntN(2) == 0 {
			task.TriggerRule = run.TriggerRules()[rng.IntN(12)]
		}
		for j := range i {
			if rng.IntN(i+1) < 2 {
				task.Upstream = append(task.Upstream, fmt.Sprintf("t%d", j))
			}
		}
		p.Tasks = append(p.Tasks, task)
	}
	sc := &scenario{seed: seed, parallel: 1 + rng.IntN(4), conduct: map[string]conduct{},
		plan: engine.Plan{Pipeline: p, Batch: rng.IntN(5), Rerun: engine.RerunNone}}
	day := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	for n := range 1 + rng.IntN(6) {
		if rng.IntN(8) == 0 {
			day = day.AddDate(0, 0, 1)
		}
		next := day.AddDate(0, 0, 1)
		sc.plan.Intervals = append(sc.plan.Intervals, run.Interval{Start: day, End: next})
		for i, task := range p.Tasks {
			c := conduct{kind: "fine", lasts: time.Duration(rng.IntN(20))*time.Second + time.Duration(1+100*n+i)}
			switch rng.IntN(14) {
			case 0:
				c.kind = "broken"
			case 1:
				c.kind = "panics"
			case 2, 3, 4:
				c.kind, c.failures = "flaky", rng.IntN(task.Retries+1)
			case 5:
				if !task.Batch {
					c.kind = "skips"
				}
			case 6:
				if task.Timeout > 0 {
					c.kind = "hangs"
				}
			}
			sc.conduct[run.NewID("p", day)+" "+task.Name] = c
		}
		day = next
	}
	return sc
}

// world is what outlives a process: the store, the warehouse with its ledger, and the conduct of the tasks. It is also
// what goes wrong with them.
type world struct {
	*testing.T
	sc    *scenario
	store *memory
	books *books

	mu        sync.Mutex
	rng       *rand.Rand
	calls     int  // of the store, until the crash; negative = no crash
	effect    bool // the call that crashes has its effect
	dead      bool
	lies      float64 // chance that a call that worked reports an error
	failed    map[string]int
	commits   map[string]int // by run, task and number of clears
	executing int
	until     time.Time // when the process is asked to end
}

func newWorld(t *testing.T, sc *scenario) *world {
	w := &world{T: t, sc: sc, books: newBooks(), failed: map[string]int{}, commits: map[string]int{}, calls: -1}
	w.store = newMemory(func(format string, args ...any) {
		t.Errorf("seed %d: %s", sc.seed, fmt.Sprintf(format, args...))
	})
	return w
}

func (w *world) engine(seed uint64) *engine.Engine {
	return engine.New(w, w, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: w}, clock.System{},
		engine.Options{Parallel: w.sc.parallel, Seed: seed})
}

// disturb arms the next process's troubles.
func (w *world) disturb(rng *rand.Rand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rng, w.dead, w.executing, w.until = rng, false, 0, time.Time{}
	w.calls, w.effect = rng.IntN(60), rng.IntN(2) == 0
	w.lies = []float64{0, 0, 0.05}[rng.IntN(3)]
}

func (w *world) calmDown() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.dead, w.lies, w.executing, w.until = -1, false, 0, 0, time.Time{}
}

var errDead = errors.New("the process is dead")

// call stands between the engine and the store or ledger.
func (w *world) call(do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errDead
	}
	if w.calls--; w.calls == -1 {
		w.dead = true
		if w.effect {
			return errors.Join(do(), errDead)
		}
		return errDead
	}
	w.calls = max(w.calls, -2)
	if err := do(); err != nil {
		return err
	}
	if w.lies > 0 && w.rng.Float64() < w.lies {
		return errors.New("the answer got lost")
	}
	return nil
}

func (w *world) Commit(ctx context.Context, b store.Batch) error {
	return w.call(func() error { return w.store.Commit(ctx, b) })
}

// Reads do not lie, since they change nothing, but they fail in a dead process.
func (w *world) Runs(ctx context.Context, f store.RunFilter) ([]run.Run, error) {
	if w.isDead() {
		return nil, errDead
	}
	return w.store.Runs(ctx, f)
}

func (w *world) TaskRuns(ctx context.Context, runIDs ...string) ([]run.TaskRun, error) {
	if w.isDead() {
		return nil, errDead
	}
	return w.store.TaskRuns(ctx, runIDs...)
}

func (w *world) Committed(ctx context.Context, claims []run.Claim) (rows map[run.Claim]json.RawMessage, err error) {
	err = w.call(func() (err error) { rows, err = w.books.Committed(ctx, claims); return err })
	return rows, err
}

func (w *world) Settle(ctx context.Context, claims []run.Claim) (rows map[run.Claim]json.RawMessage, err error) {
	err = w.call(func() (err error) { rows, err = w.books.Settle(ctx, claims); return err })
	return rows, err
}

func (w *world) Taken(ctx context.Context, claims []run.Claim) (taken map[run.Claim]bool, err error) {
	err = w.call(func() (err error) { taken, err = w.books.Taken(ctx, claims); return err })
	return taken, err
}

func (w *world) isDead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// Execute checks that this execution may be, and then behaves as the scenario says.
func (w *world) Execute(ctx context.Context, work engine.Work) (engine.Outcome, error) {
	w.mustBeAllowed(work)
	defer w.leave()
	key := work.Runs[0].ID + " " + work.Task.Name
	c := w.sc.conduct[key]
	if len(work.Runs) > 1 {
		c = w.together(work)
	}
	if c.kind == "hangs" {
		<-ctx.Done()
		return engine.Outcome{}, ctx.Err()
	}
	if err := (clock.System{}).Sleep(ctx, c.lasts); err != nil {
		return engine.Outcome{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.dead:
		return engine.Outcome{}, errDead
	case c.kind == "panics":
		panic("out of luck")
	case c.kind == "broken":
		return engine.Outcome{}, errors.New("broken")
	case c.kind == "flaky" && w.failed[key] < c.failures:
		w.failed[key]++
		return engine.Outcome{}, errors.New("flaky")
	case c.kind == "skips":
		return engine.Outcome{Skip: "nothing to do"}, nil
	}
	for _, claim := range work.Claims {
		k := fmt.Sprintf("%s %s %d", claim.RunID, claim.Task, w.store.cleared(claim.RunID, claim.Task))
		if w.commits[k]++; w.commits[k] > 1 {
			w.Errorf("seed %d: invariant 5: %+v commits again", w.sc.seed, claim)
		}
	}
	w.books.commit(work.Claims)
	if w.lies > 0 && w.rng.Float64() < 0.2 {
		return engine.Outcome{}, errors.New("the connection broke after the commit")
	}
	return engine.Outcome{Result: map[string]int{"rows": 1}}, nil
}

// together is the conduct of several intervals in one execution: it fails when one of them would.
func (w *world) together(work engine.Work) conduct {
	all := conduct{kind: "fine"}
	for _, r := range work.Runs {
		c := w.sc.conduct[r.ID+" "+work.Task.Name]
		all.lasts = max(all.lasts, c.lasts)
		if c.kind != "fine" && c.kind != "flaky" || c.failures > 0 {
			all.kind = "broken"
		}
	}
	return all
}

func (w *world) leave() {
	w.mu.Lock()
	w.executing--
	w.mu.Unlock()
}

// mustBeAllowed checks invariants 2, 3, 4 and 8 against what the store has at this moment.
func (w *world) mustBeAllowed(work engine.Work) {
	p, plan := work.Pipeline, w.sc.plan
	w.mu.Lock()
	w.executing++
	executing := w.executing
	w.mu.Unlock()
	if executing > w.sc.parallel || p.MaxActiveTasks > 0 && executing > p.MaxActiveTasks {
		w.Errorf("seed %d: invariant 8: %d executions at a time", w.sc.seed, executing)
	}
	if n := len(work.Runs); n > max(plan.Batch, 1) || n > 1 && (work.Task.DependsOnPast || !work.Task.Batch) {
		w.Errorf("seed %d: invariant 8: %s of %d runs in one execution", w.sc.seed, work.Task.Name, n)
	}
	for k, r := range work.Runs {
		if k > 0 && !work.Runs[k-1].End.Equal(r.Start) {
			w.Errorf("seed %d: invariant 8: %s is not adjacent to the run before", w.sc.seed, r.ID)
		}
		claim := work.Claims[k]
		if t := w.store.task(r.ID, work.Task.Name); t.State != run.Running || t.Attempt != claim.Attempt {
			w.Errorf("seed %d: invariant 2: %+v executes while the store has %s, attempt %d", w.sc.seed, claim, t.State, t.Attempt)
		}
		if rows, _ := w.books.Committed(context.Background(), []run.Claim{claim}); len(rows) > 0 {
			w.Errorf("seed %d: invariant 4: %+v executes again", w.sc.seed, claim)
		}
		var upstream []run.State
		for _, u := range work.Task.Upstream {
			upstream = append(upstream, w.store.task(r.ID, u).State)
		}
		if d := run.Decide(run.TriggerRule(work.Task.TriggerRule), upstream); d.Verdict != run.VerdictRun {
			w.Errorf("seed %d: invariant 3: %+v executes after %v (%s)", w.sc.seed, claim, upstream, d.Reason)
		}
		index := slices.IndexFunc(plan.Intervals, func(i run.Interval) bool { return i.Start.Equal(r.Start) })
		if index > 0 {
			before := w.store.task(run.NewID("p", plan.Intervals[index-1].Start), work.Task.Name).State
			if d := run.CanRun(work.Task.DependsOnPast, before); d.Verdict != run.VerdictRun {
				w.Errorf("seed %d: invariant 3: %+v executes although %s", w.sc.seed, claim, d.Reason)
			}
		}
		for k := range max(index, 0) {
			before := run.NewID("p", plan.Intervals[k].Start)
			if p.MaxActiveRuns == 1 && !work.Task.Batch && !w.store.task(before, work.Task.Name).State.Ended() {
				w.Errorf("seed %d: invariant 8: %+v executes before %s has ended", w.sc.seed, claim, before)
			}
		}
	}
	if w.until != (time.Time{}) && time.Now().After(w.until) {
		w.Errorf("seed %d: invariant 2: %+v executes after the process was asked to end", w.sc.seed, work.Claims[0])
	}
}

// mustHaveEnded checks invariant 6.
func (w *world) mustHaveEnded() {
	for name, state := range w.store.states() {
		if !state.Ended() {
			w.Errorf("seed %d: invariant 6: %s is %s", w.sc.seed, name, state)
		}
	}
}

// rerunAll clears everything in a disturbed process, with tasks that do well now: all that has executed commits once more.
func (w *world) rerunAll(rng *rand.Rand) {
	for key, c := range w.sc.conduct {
		w.sc.conduct[key] = conduct{kind: "fine", lasts: c.lasts}
	}
	plan := w.sc.plan
	plan.Rerun = engine.RerunAll
	w.disturb(rng)
	if _, err := w.engine(w.sc.seed).Run(w.Context(), plan); err != nil && !w.dead {
		w.Fatalf("seed %d: the engine gave up without a crash: %v", w.sc.seed, err)
	}
	w.calmDown()
	plan.Rerun = engine.RerunNone
	if _, err := w.engine(w.sc.seed).Run(w.Context(), plan); err != nil {
		w.Fatalf("seed %d: the last process: %v", w.sc.seed, err)
	}
	w.mustHaveEnded()
}
