package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
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
	fromFlag  = flag.Uint64("from", 1, "the first of the seeds to simulate")
	seedsFlag = flag.Uint64("seeds", 2000, "simulate this many seeds")
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
//  5. What is executed was recorded as running before, and what commits still is. A process that has told a leader what it
//     executes begins nothing more that an earlier one has given it.
//  6. A claim (run, task, attempt) is executed once, whichever process does, and whatever becomes of it or of the process. Only
//     what was deferred looks again under the claim that it has.
//  7. A task run commits at most once between two clears.
//  8. Pools and max_active_tasks hold over what is recorded as running.
//  9. Once nothing goes wrong any more, every run ends.
//
// The warehouse of the simulation is one that all processes write, however late they are; it refuses what was settled before.
func TestSimulation(t *testing.T) {
	if *seedFlag > 0 {
		synctest.Test(t, func(t *testing.T) { simulate(t, *seedFlag) })
		return
	}
	n := *seedsFlag
	if testing.Short() {
		n = min(n, 100)
	}
	const parts = 8 // that share the processors
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := *fromFlag + part; seed < *fromFlag+n && !t.Failed(); seed += parts {
				synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
			}
		})
	}
}

func simulate(t *testing.T, seed uint64) { newWorld(t, seed).live() }

// TestSimulationReplays has worlds come to be twice and compares them call by call. What happens at different times does so in
// the same order; what several goroutines of one process do at one instant may not, which shows in a seed of some hundreds.
func TestSimulationReplays(t *testing.T) {
	t.Parallel()
	const seeds, most = 100, 3
	var differ []string
	for seed := range uint64(seeds) {
		var traces [2][]string
		for i := range traces {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				w.store.trace = []string{}
				w.live()
				traces[i] = w.store.trace
			})
		}
		if !slices.Equal(traces[0], traces[1]) {
			differ = append(differ, fmt.Sprintf("seed %d: %s", seed, firstDifference(traces[0], traces[1])))
		}
	}
	if len(differ) > most {
		t.Errorf("%d of %d seeds do not replay:\n%s", len(differ), seeds, strings.Join(differ, "\n"))
	}
}

// firstDifference shows where two traces part.
func firstDifference(a, b []string) string {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	return strings.Join(slices.Concat(a[max(0, at-3):at], []string{"then one has"}, a[at:min(len(a), at+1)], []string{"and one"}, b[at:min(len(b), at+1)]), "\n")
}

// live lets the world go its way, and tells it when something was wrong.
func (w *world) live() {
	for range 1 + w.rng.IntN(3) {
		w.start()
	}
	for range 2 + w.rng.IntN(8) {
		w.wait(time.Duration(w.rng.Int64N(int64(15 * time.Second))))
		w.something()
	}
	w.calmDown()
	w.mustHaveEnded()
	if w.Failed() {
		w.Logf("replay with -run Simulation -seed %d:\n%s", w.seed, strings.Join(w.store.story, "\n"))
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

	mu       sync.Mutex
	calm     bool
	executed map[run.Claim]string // by which process
	rows     map[run.Claim]json.RawMessage
	closed   map[run.Claim]bool // what cannot commit any more
	commits  map[string]int     // by run, task and number of clears
	tries    map[string]int
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
		executed: map[run.Claim]string{}, rows: map[run.Claim]json.RawMessage{}, closed: map[run.Claim]bool{}, commits: map[string]int{}, tries: map[string]int{}, offset: time.Until(begin)}
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
	p.gate.name = p.name
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
	w.wait(time.Microsecond)
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
		p.gate.freeze(time.Duration(w.rng.Int64N(int64(25 * time.Second))))
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
	w.store.tell("request: %s %v %v %s", r.Kind, r.Runs, r.Tasks, r.State)
	_ = w.store.Send(context.Background(), scheduler.NewRequest("", r, begin))
	w.wait(time.Millisecond) // no two at the same instant
}

// calmDown lets nothing more go wrong, and tasks do well.
func (w *world) calmDown() {
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	for _, p := range w.alive() {
		p.gate.calmDown()
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
		if len(w.alive()) == 0 { // the last one could not begin
			w.start()
		}
		if n == 120 {
			w.wrong("invariant 9: after 20 minutes without trouble these have not ended: %s", strings.Join(open, ", "))
			break
		}
		if n%6 == 0 {
			for _, id := range slices.Sorted(maps.Keys(failed)) {
				name, _, _ := strings.Cut(id, "@")
				w.send(scheduler.Request{Kind: scheduler.ReqClear, Pipeline: name, Runs: []string{id}, Tasks: slices.Sorted(slices.Values(failed[id]))})
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

func (p *process) Current() *scheduler.Catalogue          { return p.catalogue }
func (p *process) Changed() <-chan struct{}               { return nil }
func (p *process) executor(pipeline.Kind) engine.Executor { return p }

func (p *process) Find(_ context.Context, name, _ string) (*pipeline.Pipeline, *scheduler.Catalogue, error) {
	return p.world.pipelines[name], &scheduler.Catalogue{Executor: p.executor}, nil
}

// Execute checks that this execution may be, and then behaves as the seed says, in each process alike.
func (p *process) Execute(ctx context.Context, work engine.Work) (engine.Outcome, error) {
	w := p.world
	turn := time.Duration(hash(fmt.Sprint(p.name, work.Claims))%1e6) + 1 // what begins or is cancelled together does so one by one
	p.gate.take(turn)
	if p.gate.isDead() {
		return engine.Outcome{}, errGone
	}
	w.mayExecute(p, work)
	defer time.Sleep(turn)
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
	p.gate.take(turn)
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
		return w.commit(p, work, engine.Outcome{Choice: &run.Choice{Tasks: []string{fmt.Sprintf("t%d", rng.IntN(4))}}})
	case kind == 4:
		_, err := w.commit(p, work, engine.Outcome{})
		return engine.Outcome{}, errors.Join(errors.New("the connection broke after the commit"), err)
	}
	return w.commit(p, work, engine.Outcome{Result: map[string]int{"rows": 1}})
}

func hash(text string) (h uint64) {
	for _, c := range text {
		h = h*1099511628211 + uint64(c)
	}
	return h
}
