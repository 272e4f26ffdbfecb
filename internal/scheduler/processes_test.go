package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// shell makes the tasks of a pipeline ones that need no warehouse.
func shell(p *pipeline.Pipeline) *pipeline.Pipeline {
	for _, t := range p.Tasks {
		t.Kind, t.SQL, t.Process = pipeline.ShellTask, nil, &pipeline.Process{Command: "true"}
	}
	return p
}

// never opens no warehouse: another process has it.
func never(ctx context.Context) (engine.Ledger, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// fate is what becomes of a process's access to the store: as it is, gone for good, or stopped for a while.
type fate struct {
	*store.Store
	mu   sync.Mutex
	dead bool
	thaw chan struct{} // not nil: all calls wait for it
}

var errDead = errors.New("the process is dead")

// pass is called before each call.
func (f *fate) pass(ctx context.Context) error {
	f.mu.Lock()
	dead, thaw := f.dead, f.thaw
	f.mu.Unlock()
	if thaw != nil {
		select {
		case <-thaw:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if dead {
		return errDead
	}
	return nil
}

func (f *fate) die() { f.mu.Lock(); f.dead = true; f.mu.Unlock() }

func (f *fate) freeze() (thaw func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{})
	f.thaw = c
	return func() { f.mu.Lock(); f.thaw = nil; f.mu.Unlock(); close(c) }
}

func (f *fate) Commit(ctx context.Context, b store.Batch) error {
	return f.through(ctx, func() error { return f.Store.Commit(ctx, b) })
}

// through makes a call, unless the process is dead.
func (f *fate) through(ctx context.Context, do func() error) error {
	if err := f.pass(ctx); err != nil {
		return err
	}
	return do()
}

func (f *fate) BeatLease(ctx context.Context, l store.Lease) (next store.Lease, err error) {
	if err = f.pass(ctx); err == nil {
		next, err = f.Store.BeatLease(ctx, l)
	}
	return next, err
}

func (f *fate) Lease(ctx context.Context) (l store.Lease, err error) {
	if err = f.pass(ctx); err == nil {
		l, err = f.Store.Lease(ctx)
	}
	return l, err
}

func (f *fate) BeatProcess(ctx context.Context, id string, warehouse bool) error {
	return f.through(ctx, func() error { return f.Store.BeatProcess(ctx, id, warehouse) })
}

func (f *fate) Register(ctx context.Context, p store.Process) error {
	return f.through(ctx, func() error { return f.Store.Register(ctx, p) })
}

func (f *fate) Unregister(ctx context.Context, id string) error {
	return f.through(ctx, func() error { return f.Store.Unregister(ctx, id) })
}

func (f *fate) Resign(ctx context.Context, l store.Lease) error {
	return f.through(ctx, func() error { return f.Store.Resign(ctx, l) })
}

func (f *fate) Send(ctx context.Context, m ...store.Message) error {
	return f.through(ctx, func() error { return f.Store.Send(ctx, m...) })
}

func (f *fate) Receive(ctx context.Context, who string, after int64) (m []store.Message, err error) {
	if err = f.pass(ctx); err == nil {
		m, err = f.Store.Receive(ctx, who, after)
	}
	return m, err
}

// holder waits until a process leads.
func (h *house) leads(process string) {
	h.Helper()
	h.until(process+" leads", func() bool {
		l, err := h.store.Lease(h.Context())
		return err == nil && l.Holder == process
	})
}

// TestWorkersInOtherProcesses: over a second connection to the same file, a process without the warehouse executes what needs
// none, and all that an execution may come to arrives.
func TestWorkersInOtherProcesses(t *testing.T) {
	p := shell(byHand("list", "each", "skip", "flaky", "choose", "left", "right"))
	p.Tasks[1].Map = &pipeline.Map{Items: []any{"x"}}
	p.Tasks[3].Upstream, p.Tasks[3].Retries, p.Tasks[3].RetryDelay = []string{"list"}, 1, time.Second
	p.Tasks[4].Upstream = []string{"list"}
	p.Tasks[4].Kind, p.Tasks[4].Process, p.Tasks[4].Branch = pipeline.BranchTask, nil, &pipeline.Branch{Choose: "x"}
	p.Tasks[5].Upstream, p.Tasks[6].Upstream = []string{"choose"}, []string{"choose"}
	empty := shell(named("web", "none"))
	empty.Tasks[0].Map = &pipeline.Map{Items: []any{}}
	inHouse(t, func(h *house) {
		h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			w.Log.Infof("%s here", w.Claims[0].Task)
			switch {
			case w.Task.Name == "none":
				return engine.Outcome{Items: []any{}}, nil
			case w.Mapped:
				return engine.Outcome{Items: []any{"x", 7.0}}, nil
			case w.Task.Name == "skip":
				return engine.Outcome{Skip: "nothing to do"}, nil
			case w.Task.Name == "flaky" && w.Claims[0].Attempt == 1:
				return engine.Outcome{}, errors.New("broken")
			case w.Task.Name == "choose":
				return engine.Outcome{Choice: &run.Choice{Tasks: []string{"right"}}}, nil
			}
			return engine.Outcome{Result: map[string]int{"rows": 7}}, nil
		})
		h.serve(scheduler.Options{ID: "a", Parallel: -1})
		h.leads("a")
		h.told("geo", "no schedule", false)
		h.ask(now(12))
		h.told(id(12), "no live worker executes tasks", false)
		h.serveOn(h.open(), h.clock, scheduler.Options{ID: "b", Parallel: 2, Open: never})
		h.reach(id(12), run.Success)
		h.told(id(12), "no live worker executes tasks", true)
		h.want("flaky", h.history(id(12), "flaky"), "queued started retried retry_due started succeeded")
		h.want("skip", h.task(id(12), "skip").Reason, "nothing to do")
		h.want("left", h.task(id(12), "left").Reason, "choose chose right")
		h.want("result", string(h.task(id(12), "list").Result), `{"rows":7}`)
		lines, err := h.store.Logs(h.Context(), id(12), "list", 0)
		if err != nil || len(lines) != 1 || lines[0].Text != "list here" {
			t.Errorf("%+v %v", lines, err)
		}
		r := now(12)
		r.Pipeline = "web"
		h.ask(r)
		h.reach("web@2007-04-12", run.Success)
		h.want("none", h.task("web@2007-04-12", "none").Reason, "there are no items")
		if h.by["a"] > 0 {
			t.Errorf("%v", h.by)
		}
	}, p, empty)
}

// TestLeaderDies: another process takes over within a lease and the time to notice; what the dead one executed is recovered,
// what its own workshop executes is adopted and not executed again.
func TestLeaderDies(t *testing.T) {
	p := shell(byHand("one", "two", "last"))
	p.Tasks[1].Upstream, p.Tasks[2].Upstream = nil, []string{"one", "two"}
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "last" {
				return engine.Outcome{}, nil
			}
			if w.Claims[0].Attempt > 1 {
				return engine.Outcome{}, nil
			}
			return engine.Outcome{}, shifted{}.Sleep(ctx, 40*time.Second)
		})
		f := &fate{Store: h.store}
		h.serveOn(f, h.clock, scheduler.Options{ID: "a", Parallel: 1})
		h.leads("a")
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 1})
		h.told("geo", "no schedule", false)
		h.wait(2 * time.Second)
		h.ask(now(12))
		h.becomes(id(12), "one", run.Running)
		h.becomes(id(12), "two", run.Running)
		f.die()
		at := time.Now()
		h.leads("b")
		if took := time.Since(at); took > 14*time.Second {
			t.Errorf("it took %s", took)
		}
		h.reach(id(12), run.Success)
		got := []string{h.history(id(12), "one"), h.history(id(12), "two")}
		slices.Sort(got)
		h.want("one and two", strings.Join(got, "; "), "queued started recovered started succeeded; queued started succeeded")
		h.until("the dead process is known to be gone", func() bool { return h.by["b"] == 3 })
	}, p)
}

// TestLeaderIsStopped: one that comes back after its lease finds that it leads no more; what it executes meanwhile has been
// given to another, or is taken over, and is recorded once.
func TestLeaderIsStopped(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, shifted{}.Sleep(ctx, 5*time.Second)
		})
		f := &fate{Store: h.store}
		h.serveOn(f, h.clock, scheduler.Options{ID: "a", Parallel: 2})
		h.leads("a")
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 2})
		h.ask(now(12))
		h.becomes(id(12), "one", run.Running)
		thaw := f.freeze()
		h.leads("b")
		h.wait(time.Second)
		thaw()
		h.reach(id(12), run.Success)
		h.wait(20 * time.Second)
		if l, err := h.store.Lease(h.Context()); err != nil || l.Holder != "b" {
			t.Errorf("%+v %v", l, err)
		}
		if got := h.history(id(12), "one"); strings.Count(got, "succeeded") != 1 {
			t.Errorf("one: %s", got)
		}
		h.ask(now(13)) // both work
		h.reach(id(13), run.Success)
	}, shell(byHand("one", "two")))
}

// slow is access to a store whose writes of a start can be held up, before or after their effect, while all else goes on.
type slow struct {
	*store.Store
	before, after chan struct{} // not nil: a write that starts a task waits for it
	waits         chan struct{} // told of one that waits
}

func (s *slow) Commit(ctx context.Context, b store.Batch) error {
	starts := slices.ContainsFunc(b.Changes, func(c run.Change) bool { return c.Task != "" && c.Event == run.EventStarted })
	hold := func(until chan struct{}) {
		if starts && until != nil {
			close(s.waits)
			<-until
		}
	}
	hold(s.before)
	err := s.Store.Commit(ctx, b)
	hold(s.after)
	return err
}

// BeatLease is not heard: the leader is deposed although the others see that its process lives.
func (s *slow) BeatLease(context.Context, store.Lease) (store.Lease, error) {
	return store.Lease{}, errDead
}

// TestDeposedLeaderBeginsNothing: the next leader comes to the same decision as the one whose write is held up, with the same
// number of the attempt. What stands in the store then is not the earlier one's to execute.
func TestDeposedLeaderBeginsNothing(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, shifted{}.Sleep(ctx, 20*time.Second)
		})
		s := &slow{Store: h.store, before: make(chan struct{}), waits: make(chan struct{})}
		h.serveOn(s, h.clock, scheduler.Options{ID: "a", Parallel: 1})
		h.leads("a")
		h.wait(2 * time.Second)
		done := make(chan struct{})
		go func() { defer close(done); h.ask(now(12)) }()
		<-s.waits
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 1})
		h.becomes(id(12), "one", run.Running)
		<-done
		close(s.before)
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 one")
		h.want("one", h.history(id(12), "one"), "queued started succeeded")
	}, shell(byHand("one")))
}

// TestStartThatIsHeardOfTooLate: the answer to the write of a start comes when the next leader has asked what is executed, and
// has given the attempt up: it is not begun any more.
func TestStartThatIsHeardOfTooLate(t *testing.T) {
	inHouse(t, func(h *house) {
		s := &slow{Store: h.store, after: make(chan struct{}), waits: make(chan struct{})}
		h.serveOn(s, h.clock, scheduler.Options{ID: "a", Parallel: 1})
		h.leads("a")
		h.wait(2 * time.Second)
		done := make(chan struct{})
		go func() { defer close(done); h.ask(now(12)) }()
		<-s.waits
		<-done
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 1})
		h.reach(id(12), run.Success)
		close(s.after)
		h.wait(10 * time.Second)
		h.want("executed", h.took(), "12 one")
		h.want("one", h.history(id(12), "one"), "queued started recovered started succeeded")
	}, shell(byHand("one")))
}

// TestHandOver: a leader that is asked to end gives the lease back, and what other processes execute goes on.
func TestHandOver(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, shifted{}.Sleep(ctx, 20*time.Second)
		})
		stop := h.serve(scheduler.Options{ID: "a", Parallel: -1})
		h.leads("a")
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 1})
		h.wait(2 * time.Second)
		h.ask(now(12))
		h.becomes(id(12), "one", run.Running)
		at := time.Now()
		stop()
		h.leads("b")
		if took := time.Since(at); took > 4*time.Second {
			t.Errorf("it took %s", took)
		}
		h.reach(id(12), run.Success)
		h.want("one", h.history(id(12), "one"), "queued started succeeded")
	}, shell(byHand("one")))
}

// TestDrain: what runs when the process is asked to end may go on for a while; what takes longer is interrupted, and counts as
// no failure.
func TestDrain(t *testing.T) {
	p := byHand("short", "long")
	p.Tasks[1].Upstream = nil
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			d := 5 * time.Second
			if w.Task.Name == "long" && w.Claims[0].Attempt == 1 {
				d = time.Hour
			}
			return engine.Outcome{}, shifted{}.Sleep(ctx, d)
		})
		stop := h.serve(scheduler.Options{ID: "a", Drain: 10 * time.Second})
		h.ask(now(12))
		h.becomes(id(12), "long", run.Running)
		at := time.Now()
		stop()
		if took := time.Since(at).Round(time.Second); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		h.want("short", h.history(id(12), "short"), "queued started succeeded")
		h.want("long", h.history(id(12), "long"), "queued started interrupted")
		h.serve(scheduler.Options{ID: "b"})
		h.reach(id(12), run.Success)
		if long := h.task(id(12), "long"); long.Failures != 0 || long.Attempt != 2 {
			t.Errorf("%+v", long)
		}
	}, p)
}

// TestWorkerLeaves: what a worker executes may go on while it drains, without being taken for lost; nothing new is given to it.
func TestWorkerLeaves(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, shifted{}.Sleep(ctx, 30*time.Second)
		})
		h.serve(scheduler.Options{ID: "a", Parallel: -1})
		h.leads("a")
		stop := h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 1, Drain: time.Minute, Open: never})
		h.ask(now(12))
		h.becomes(id(12), "one", run.Running)
		stop()
		h.becomes(id(12), "one", run.Success)
		h.told(id(12)+" two", "no live worker executes tasks", false)
		h.want("one", h.history(id(12), "one"), "queued started succeeded")
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "c", Parallel: 1, Open: never})
		h.reach(id(12), run.Success)
	}, shell(byHand("one", "two")))
}

// TestWorkerIsInterrupted: a worker that ends at once gives its task back, and another takes it.
func TestWorkerIsInterrupted(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Claims[0].Attempt == 1 {
				return hang(ctx, w)
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a", Parallel: -1})
		h.leads("a")
		stop := h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Parallel: 1, Open: never})
		h.ask(now(12))
		h.becomes(id(12), "one", run.Running)
		stop()
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "c", Parallel: 1, Open: never})
		h.reach(id(12), run.Success)
		h.want("one", h.history(id(12), "one"), "queued started interrupted queued started succeeded")
	}, shell(byHand("one")))
}

// TestWarehouseMoves: a process that waits for the warehouse leads and works once it has it.
func TestWarehouseMoves(t *testing.T) {
	inHouse(t, func(h *house) {
		lock := make(chan struct{}, 1)
		open := func(ctx context.Context) (engine.Ledger, error) {
			select {
			case lock <- struct{}{}:
				return h, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		stop := h.serve(scheduler.Options{ID: "a", Open: open, Alone: true})
		h.leads("a")
		h.serveOn(h.store, h.clock, scheduler.Options{ID: "b", Open: open, Alone: true})
		h.ask(now(12))
		h.reach(id(12), run.Success)
		stop()
		<-lock
		h.ask(now(13))
		h.reach(id(13), run.Success)
		if h.by["a"] != 1 || h.by["b"] != 1 {
			t.Errorf("%v", h.by)
		}
	}, byHand("one"))
}

// deaf is access to a store that takes no lines while it is deaf.
type deaf struct {
	*store.Store
	now atomic.Bool
}

func (d *deaf) Commit(ctx context.Context, b store.Batch) error {
	if d.now.Load() && len(b.Lines) > 0 {
		return errors.New("the store is away")
	}
	return d.Store.Commit(ctx, b)
}

// TestLastLinesAreKept has the store away when a task of a worker in another process ends.
func TestLastLinesAreKept(t *testing.T) {
	inHouse(t, func(h *house) {
		d := &deaf{Store: h.store}
		h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			d.now.Store(true)
			w.Log.Infof("the last line")
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a", Parallel: -1})
		h.leads("a")
		h.serveOn(d, h.clock, scheduler.Options{ID: "b", Open: never})
		h.ask(now(12))
		h.reach(id(12), run.Success)
		d.now.Store(false)
		h.until("the last line", func() bool {
			lines, err := h.store.Logs(h.Context(), id(12), "one", 0)
			return err == nil && slices.ContainsFunc(lines, func(l run.LogLine) bool { return l.Text == "the last line" })
		})
	}, shell(byHand("one")))
}

// TestMailForTheDeadIsDropped, some time after it was seen.
func TestMailForTheDeadIsDropped(t *testing.T) {
	inHouse(t, func(h *house) {
		h.serve(scheduler.Options{ID: "a"})
		if err := h.store.Send(h.Context(), store.Message{Recipient: "command-gone", Kind: "answer", Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if err := h.store.Register(h.Context(), store.Process{ID: "gone", Slots: 0}); err != nil {
			t.Fatal(err)
		}
		h.wait(5 * time.Minute)
		names, err := h.store.Recipients(h.Context())
		if err != nil || !slices.Contains(names, "command-gone") {
			t.Errorf("%v %v", names, err)
		}
		h.wait(8 * time.Minute)
		names, err = h.store.Recipients(h.Context())
		if err != nil || len(names) > 0 {
			t.Errorf("%v %v", names, err)
		}
		if p, err := h.store.Processes(h.Context()); err != nil || len(p) != 1 {
			t.Errorf("%+v %v", p, err)
		}
	}, byHand("one"))
}
