package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "simulate only this seed")
	seedsFlag = flag.Uint64("seeds", 500, "simulate this many seeds")
)

// TestSimulation has one to three processes, whose clocks differ by minutes, drive random pipelines while they crash at any
// call of the store, are stopped past their lease, lose answers and get requests. It checks, as things happen and when they
// have calmed down:
//
//  1. Only the leader changes runs, and what a deposed one writes is refused.
//  2. Every change is one that run.Next allows, from the state that is stored.
//  3. Every data interval that is due has one run.
//  4. A task starts only when its trigger rule holds over the recorded states, and, while nobody asks for anything, when its
//     past lets it.
//  5. What is executed is recorded as running, and an attempt that has committed is never executed again.
//  6. A task run commits at most once between two clears.
//  7. Pools and max_active_tasks hold over what is recorded as running.
//  8. Once nothing goes wrong any more, every run ends.
//
// The warehouse of the simulation is one that all processes write, however late they are.
func TestSimulation(t *testing.T) {
	from, to := uint64(1), *seedsFlag
	if testing.Short() {
		to = min(to, 100)
	}
	if *seedFlag > 0 {
		from, to = *seedFlag, *seedFlag
	}
	for seed := from; seed <= to && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
	}
}

func simulate(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	w.start()
	for range 2 + w.rng.IntN(8) {
		w.wait(time.Duration(w.rng.Int64N(int64(15 * time.Second))))
		w.something()
	}
	w.calmDown()
	w.mustHaveEnded()
	if t.Failed() {
		t.Logf("replay with -run Simulation -seed %d:\n%s", seed, strings.Join(w.store.story, "\n"))
	}
}

// begin is when a world begins: minutely intervals from three minutes before to two minutes after.
var begin = time.Date(2007, 4, 16, 12, 0, 0, 0, time.UTC)

// world is what outlives processes: the store, the warehouse with its ledger, and what tasks do.
type world struct {
	*testing.T
	seed      uint64
	rng       *rand.Rand
	store     *memory
	catalogue *scheduler.Catalogue
	pipelines map[string]*pipeline.Pipeline
	asks      bool // there are requests
	offset    time.Duration
	processes []*process
	made      int
	running   sync.WaitGroup

	mu      sync.Mutex
	calm    bool
	rows    map[run.Claim]json.RawMessage
	sealed  map[run.Claim]bool
	commits map[string]int // by run, task and number of clears
	tries   map[string]int
}

// process is one of the simulated ones.
type process struct {
	*world
	*gate
	name string
	stop context.CancelFunc
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{T: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), pipelines: map[string]*pipeline.Pipeline{},
		rows: map[run.Claim]json.RawMessage{}, sealed: map[run.Claim]bool{}, commits: map[string]int{}, tries: map[string]int{}, offset: time.Until(begin)}
	w.asks = w.rng.IntN(2) == 0
	w.store = newMemory(w.wrong)
	w.store.check = w.mayStart
	w.catalogue = &scheduler.Catalogue{Pools: map[string]int{"db": 1 + w.rng.IntN(2)}}
	for n := range 1 + w.rng.IntN(2) {
		p := w.newPipeline(fmt.Sprintf("p%d", n))
		w.pipelines[p.Name] = p
		w.catalogue.Pipelines = append(w.catalogue.Pipelines, p)
	}
	if w.rng.IntN(3) == 0 {
		p := &pipeline.Pipeline{Name: "q", Version: "v", Timezone: "UTC", On: []string{"p0.t0"}}
		p.Tasks = []*pipeline.Task{{Name: "t0", Kind: pipeline.SQLTask, SQL: &pipeline.SQL{}}}
		w.pipelines["q"] = p
		w.catalogue.Pipelines = append(w.catalogue.Pipelines, p)
	}
	return w
}

func (w *world) wrong(format string, args ...any) {
	w.Errorf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *world) wait(d time.Duration) { time.Sleep(d) }

// newPipeline makes a small one of all that a pipeline may have.
func (w *world) newPipeline(name string) *pipeline.Pipeline {
	rng := w.rng
	p := &pipeline.Pipeline{Name: name, Version: "v", Schedule: "* * * * *", Timezone: "UTC", Catchup: true, Start: begin.Add(-3 * time.Minute),
		End: begin.Add(time.Minute), MaxActiveRuns: rng.IntN(4), MaxActiveTasks: rng.IntN(4)}
	if rng.IntN(6) == 0 {
		p.RunTimeout = 40 * time.Second
	}
	for i := range 1 + rng.IntN(4) {
		task := &pipeline.Task{Name: fmt.Sprintf("t%d", i), Kind: pipeline.SQLTask, TriggerRule: "all_success", Retries: rng.IntN(3),
			RetryDelay: time.Duration(rng.IntN(3)) * 3 * time.Second, Priority: rng.IntN(3), DependsOnPast: rng.IntN(6) == 0,
			Batch: rng.IntN(3) == 0, SQL: &pipeline.SQL{Target: &pipeline.Target{Into: fmt.Sprintf("%s.t%d", name, i)}}}
		if rng.IntN(3) == 0 {
			task.TriggerRule = run.TriggerRules()[rng.IntN(12)]
		}
		switch rng.IntN(8) {
		case 0:
			task.Kind, task.SQL, task.Process = pipeline.ShellTask, nil, &pipeline.Process{Command: "true"}
		case 1:
			task.Kind, task.SQL, task.Sensor, task.Batch = pipeline.SensorTask, nil, &pipeline.Sensor{Files: "x"}, false
		case 2:
			task.Map, task.Batch = &pipeline.Map{}, false
		case 3:
			task.Kind, task.SQL, task.Branch, task.Batch = pipeline.BranchTask, nil, &pipeline.Branch{Choose: "x"}, false
		case 4:
			task.Pool, task.PoolSlots = "db", 1
		case 5:
			task.Timeout = 10 * time.Second
		}
		for j := range i {
			if rng.IntN(i+1) < 2 {
				task.Upstream = append(task.Upstream, fmt.Sprintf("t%d", j))
			}
		}
		p.Tasks = append(p.Tasks, task)
	}
	return p
}

// start starts a process with a clock of its own.
func (w *world) start() {
	w.made++
	p := &process{world: w, name: fmt.Sprintf("s%d", w.made), gate: &gate{memory: w.store, seed: w.seed}}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.gate.kill = cancel, cancel
	if !w.calm {
		p.gate.disturb(w.rng)
	}
	skew := time.Duration(w.rng.Int64N(int64(10*time.Minute))) - 5*time.Minute
	o := scheduler.Options{ID: p.name, Parallel: 1 + w.rng.IntN(3), Leads: true, Drain: time.Duration(w.rng.IntN(2)) * 5 * time.Second, Seed: w.seed,
		Open: func(context.Context) (engine.Ledger, error) { return p, nil }}
	w.processes = append(w.processes, p)
	w.running.Go(func() {
		err := scheduler.New(p.gate, p, shifted{w.offset + skew}, o).Run(ctx)
		if err != nil {
			p.gate.crash() // it could not begin
		}
	})
}

// alive lists the processes that have not crashed.
func (w *world) alive() []*process {
	w.processes = slices.DeleteFunc(w.processes, func(p *process) bool { return p.gate.isDead() })
	return w.processes
}

// something happens.
func (w *world) something() {
	alive := w.alive()
	if len(alive) == 0 || len(alive) < 3 && w.rng.IntN(4) == 0 {
		w.start()
		return
	}
	p := alive[w.rng.IntN(len(alive))]
	switch w.rng.IntN(6) {
	case 0:
		p.gate.crash()
	case 1:
		p.gate.mu.Lock()
		p.gate.frozen = time.Now().Add(time.Duration(w.rng.Int64N(int64(25 * time.Second))))
		p.gate.mu.Unlock()
	case 2:
		p.stop()
		w.processes = slices.DeleteFunc(w.processes, func(other *process) bool { return other == p })
	default:
		if w.asks {
			w.ask()
		}
	}
}

// ask sends a request that nobody waits for.
func (w *world) ask() {
	p := w.catalogue.Pipelines[w.rng.IntN(len(w.catalogue.Pipelines))]
	minute := func() time.Time { return begin.Add(time.Duration(w.rng.IntN(5)-4) * time.Minute) }
	at := minute()
	r := scheduler.Request{Pipeline: p.Name, Start: at, End: at.Add(time.Minute), Runs: []string{run.NewID(p.Name, at)}}
	if w.rng.IntN(2) == 0 {
		r.Tasks = []string{p.Tasks[w.rng.IntN(len(p.Tasks))].Name}
	}
	r.Kind = []string{scheduler.ReqRun, scheduler.ReqClear, scheduler.ReqClear, scheduler.ReqMark, scheduler.ReqPause, scheduler.ReqUnpause,
		scheduler.ReqBackfill, scheduler.ReqCancel}[w.rng.IntN(8)]
	switch r.Kind {
	case scheduler.ReqRun:
		r.Tasks = nil
	case scheduler.ReqMark:
		r.State = []run.State{run.Success, run.Failed, run.Skipped}[w.rng.IntN(3)]
	case scheduler.ReqBackfill:
		if p.Schedule == "" {
			return
		}
		to := minute()
		if to.Before(at) {
			at, to = to, at
		}
		r.Backfill = &scheduler.Wish{From: at, To: to, Rerun: []engine.Rerun{engine.RerunNone, engine.RerunFailed, engine.RerunAll}[w.rng.IntN(3)]}
	case scheduler.ReqCancel:
		open, _ := w.store.Backfills(context.Background(), true)
		if len(open) == 0 {
			return
		}
		r.ID = open[w.rng.IntN(len(open))].ID
	}
	w.send(r)
}

func (w *world) send(r scheduler.Request) {
	w.store.mu.Lock()
	w.store.story = append(w.store.story, fmt.Sprintf("request: %s %v %v %s", r.Kind, r.Runs, r.Tasks, r.State))
	w.store.mu.Unlock()
	_ = w.store.Send(context.Background(), scheduler.NewRequest("", r, begin))
}

// calmDown lets nothing more go wrong, and tasks do well.
func (w *world) calmDown() {
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for _, p := range w.alive() {
		p.gate.mu.Lock()
		p.gate.plan, p.gate.lies = crash{}, 0
		p.gate.mu.Unlock()
	}
	if len(w.alive()) == 0 {
		w.start()
	}
	for _, p := range w.catalogue.Pipelines {
		w.send(scheduler.Request{Kind: scheduler.ReqUnpause, Pipeline: p.Name})
	}
}

// mustHaveEnded waits for the end of all runs. What has failed is cleared meanwhile, because later runs may depend on it.
func (w *world) mustHaveEnded() {
	for n := 0; ; n++ {
		w.wait(10 * time.Second)
		open, failed := w.standing()
		if len(open) == 0 && len(failed) == 0 {
			break
		}
		if n == 120 {
			w.wrong("invariant 8: after 20 minutes without trouble these have not ended: %s", strings.Join(open, ", "))
			break
		}
		if n%6 == 0 {
			for id, tasks := range failed {
				name, _, _ := strings.Cut(id, "@")
				w.send(scheduler.Request{Kind: scheduler.ReqClear, Pipeline: name, Runs: []string{id}, Tasks: tasks})
			}
		}
	}
	for _, p := range w.processes {
		p.stop()
	}
	w.running.Wait()
}

// standing gives what is open or missing, and the failed tasks by run.
func (w *world) standing() (open []string, failed map[string][]string) {
	m := w.store
	m.mu.Lock()
	defer m.mu.Unlock()
	failed = map[string][]string{}
	for _, p := range w.catalogue.Pipelines {
		for at := p.Start; p.Schedule != "" && !at.After(p.End); at = at.Add(time.Minute) {
			if id := run.NewID(p.Name, at); m.runs[id] == nil {
				open = append(open, "(invariant 3) no run "+id)
			}
		}
	}
	for id, r := range m.runs {
		if !r.State.Ended() {
			open = append(open, fmt.Sprintf("%s is %s: %s", id, r.State, m.reasons[id].Text))
		}
		for name, t := range m.tasks[id] {
			switch {
			case !t.State.Ended():
				open = append(open, fmt.Sprintf("%s %s is %s: %s", id, name, t.State, m.reasons[id+" "+name].Text))
			case r.State.Ended() && (t.State == run.Failed || t.State == run.UpstreamFailed) && engine.MappedTask(name) == name && w.wantsClear(id):
				failed[id] = append(failed[id], name)
			}
		}
	}
	for id, b := range m.backfills {
		if b.State == scheduler.BackfillOpen {
			open = append(open, "backfill "+id)
		}
	}
	slices.Sort(open)
	return open, failed
}

// wantsClear reports whether a later run may wait for this one to be mended.
func (w *world) wantsClear(id string) bool {
	pipe, _, _ := strings.Cut(id, "@")
	past := slices.ContainsFunc(w.pipelines[pipe].Tasks, func(t *pipeline.Task) bool { return t.DependsOnPast })
	return past && len(w.openAfter(id, pipe)) > 0
}

// openAfter lists open runs of a pipeline after one.
func (w *world) openAfter(id, pipe string) (ids []string) {
	for other, r := range w.store.runs {
		if r.Pipeline == pipe && r.Start.After(w.store.runs[id].Start) && !r.State.Ended() {
			ids = append(ids, other)
		}
	}
	return ids
}

// mayStart checks invariants 4 and 7 for a task run that starts; the store's lock is held.
func (w *world) mayStart(c run.Change) {
	m, r := w.store, w.store.runs[c.RunID]
	p := w.pipelines[r.Pipeline]
	task := p.Task(engine.MappedTask(c.Task))
	if task.Name == c.Task {
		var upstream []run.State
		for _, u := range task.Upstream {
			if t := m.tasks[c.RunID][u]; t != nil {
				upstream = append(upstream, t.State)
			}
		}
		if d := run.Decide(run.TriggerRule(task.TriggerRule), upstream); d.Verdict != run.VerdictRun && len(upstream) == len(task.Upstream) {
			w.wrong("invariant 4: %s of %s starts although %s", c.Task, c.RunID, d.Reason)
		}
	}
	if before := m.runs[run.NewID(r.Pipeline, r.Start.Add(-time.Minute))]; task.DependsOnPast && before != nil && !w.asks && !w.isCalm() {
		if d := run.CanRun(true, m.tasks[before.ID][task.Name].State); d.Verdict != run.VerdictRun && task.Name == c.Task {
			w.wrong("invariant 4: %s of %s starts although %s", c.Task, c.RunID, d.Reason)
		}
	}
	pool, active := 0, map[string]bool{}
	for id, tasks := range m.tasks {
		for name, t := range tasks {
			if t.State != run.Running {
				continue
			}
			other := w.pipelines[m.runs[id].Pipeline]
			if other.Task(engine.MappedTask(name)).Pool != "" {
				pool++
			}
			if other == p {
				key := id + " " + name
				if other.Task(engine.MappedTask(name)).Batch { // several intervals may be one execution
					key = name
				}
				active[key] = true
			}
		}
	}
	if task.Pool != "" && !task.Batch && pool > w.catalogue.Pools["db"] && !w.anyBatchInPool() {
		w.wrong("invariant 7: %d slots of the pool are taken", pool)
	}
	if p.MaxActiveTasks > 0 && len(active) > p.MaxActiveTasks {
		w.wrong("invariant 7: %d tasks of %s are running", len(active), p.Name)
	}
}

func (w *world) anyBatchInPool() bool {
	for _, p := range w.pipelines {
		for _, t := range p.Tasks {
			if t.Pool != "" && t.Batch {
				return true
			}
		}
	}
	return false
}

func (w *world) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

func (p *process) Current() *scheduler.Catalogue          { return p.catalogue }
func (p *process) Changed() <-chan struct{}               { return nil }
func (p *process) executor(pipeline.Kind) engine.Executor { return p }

func (p *process) Find(_ context.Context, name, _ string) (*pipeline.Pipeline, *scheduler.Catalogue, error) {
	return p.world.pipelines[name], &scheduler.Catalogue{Executor: p.executor}, nil
}

func (p *process) Committed(_ context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	p.gate.thaw()
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[run.Claim]json.RawMessage{}
	for _, c := range claims {
		if row, ok := w.rows[c]; ok {
			found[c] = row
		}
	}
	return found, nil
}

func (p *process) Settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	found, err := p.Committed(ctx, claims)
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range claims {
		if _, ok := w.rows[c]; !ok {
			w.sealed[c] = true
			delete(found, c)
		} else {
			found[c] = w.rows[c]
		}
	}
	return found, err
}

func (p *process) Taken(ctx context.Context, claims []run.Claim) (map[run.Claim]bool, error) {
	found, err := p.Committed(ctx, claims)
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := map[run.Claim]bool{}
	for _, c := range claims {
		_, committed := found[c]
		taken[c] = committed || w.sealed[c]
	}
	return taken, err
}

// Execute checks that this execution may be, and then behaves as the seed says, in each process alike.
func (p *process) Execute(ctx context.Context, work engine.Work) (engine.Outcome, error) {
	w := p.world
	if p.gate.isDead() {
		return engine.Outcome{}, errGone
	}
	w.mayExecute(p, work)
	key := work.Claims[0].RunID + " " + work.Claims[0].Task
	rng := rand.New(rand.NewPCG(w.seed, hash(key)))
	lasts := time.Duration(rng.Int64N(int64(12*time.Second))) + 1
	kind := rng.IntN(12)
	w.mu.Lock()
	w.tries[key]++
	tries, calm := w.tries[key], w.calm
	w.mu.Unlock()
	if calm {
		kind, lasts = 11, lasts/3
	}
	if kind == 0 && work.Task.Timeout > 0 {
		lasts = time.Hour
	}
	err := shifted{}.Sleep(ctx, lasts)
	p.gate.thaw()
	switch {
	case p.gate.isDead():
		return engine.Outcome{}, errGone
	case err != nil:
		return engine.Outcome{}, err
	case kind == 1 && len(work.Runs) == 1:
		return engine.Outcome{}, errors.New("broken")
	case kind == 2 && tries%2 == 1:
		return engine.Outcome{}, errors.New("flaky")
	case kind == 3 && len(work.Runs) == 1:
		return engine.Outcome{Skip: "nothing to do"}, nil
	case work.Task.Sensor != nil && kind < 9 && tries < 4:
		return engine.Outcome{Again: 3 * time.Second, Waits: "not yet"}, nil
	case work.Mapped:
		return engine.Outcome{Items: []any{"a", "b", "c"}[:rng.IntN(4)]}, nil
	case work.Task.Branch != nil:
		return w.commit(work, engine.Outcome{Choice: &run.Choice{Tasks: []string{fmt.Sprintf("t%d", rng.IntN(4))}}})
	case kind == 4:
		_, err := w.commit(work, engine.Outcome{})
		return engine.Outcome{}, errors.Join(errors.New("the connection broke after the commit"), err)
	}
	return w.commit(work, engine.Outcome{Result: map[string]int{"rows": 1}})
}

func hash(text string) (h uint64) {
	for _, c := range text {
		h = h*1099511628211 + uint64(c)
	}
	return h
}

// commit writes the ledger, which refuses attempts that were settled before.
func (w *world) commit(work engine.Work, o engine.Outcome) (engine.Outcome, error) {
	if !work.Task.NeedsWarehouse() {
		return o, nil
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range work.Claims {
		if w.sealed[c] {
			return o, errors.New("this attempt was given up")
		}
		if _, there := w.rows[c]; there { // the ledger's primary key refuses it
			return o, errors.New("this attempt has already committed to the warehouse")
		}
	}
	for _, c := range work.Claims {
		k := fmt.Sprintf("%s %s %d", c.RunID, c.Task, w.store.clears[c.RunID+" "+c.Task])
		if w.commits[k]++; w.commits[k] > 1 {
			w.wrong("invariant 6: %+v commits again", c)
		}
		w.rows[c] = json.RawMessage(`{}`)
	}
	return o, nil
}

// mayExecute checks invariant 5.
func (w *world) mayExecute(p *process, work engine.Work) {
	for _, c := range work.Claims {
		w.store.mu.Lock()
		t := *w.store.tasks[c.RunID][c.Task]
		w.store.mu.Unlock()
		late := t.Attempt > c.Attempt || t.Attempt == c.Attempt && t.State != run.Running // it was given up before it began: a message came late
		if t.Attempt < c.Attempt {
			w.wrong("invariant 5: %+v executes while attempt %d is recorded", c, t.Attempt)
		}
		w.mu.Lock()
		_, committed := w.rows[c]
		w.mu.Unlock()
		if committed && !late {
			w.wrong("invariant 5: %+v executes again in %s", c, p.name)
		}
	}
}
