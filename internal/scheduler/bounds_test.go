package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
)

// TestDependsOnPastWaits: the run after a failure waits, says so, and goes on once the past was mended: by a clear, or by hand.
func TestDependsOnPastWaits(t *testing.T) {
	for name, mend := range map[string]scheduler.Request{
		"clear": {Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"sum"}},
		"mark":  {Kind: scheduler.ReqMark, Runs: []string{id(12)}, Tasks: []string{"sum"}, State: run.Success},
	} {
		t.Run(name, func(t *testing.T) {
			p := daily("fetch", "sum")
			p.Tasks[1].DependsOnPast = true
			inHouse(t, func(h *house) {
				h.act(fails("sum"))
				h.serve(scheduler.Options{ID: "a"})
				h.becomes(id(13), "fetch", run.Success)
				h.told(id(13)+" sum", "depends_on_past: it is failed in the run before ("+id(12)+")", false)
				h.wait(5 * time.Second)
				h.want("sum of the 13th", string(h.task(id(13), "sum").State), "scheduled")
				h.act(nil)
				h.ask(mend)
				h.reach(id(15), run.Success)
				h.told(id(13)+" sum", "depends_on_past", true)
			}, p)
		})
	}
}

// TestThePastIsTheRunDirectlyBefore: a clear of an old run does not hold up those that have another one between.
func TestThePastIsTheRunDirectlyBefore(t *testing.T) {
	p := daily("sum", "tell")
	p.Tasks[0].DependsOnPast = true
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Start.Day() == 15 && w.Task.Name == "sum" || w.Start.Day() == 12 && w.Task.Name == "tell" && w.Claims[0].Attempt > 1 {
				return engine.Outcome{}, shifted{}.Sleep(ctx, time.Minute)
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a", Parallel: 4})
		h.becomes(id(15), "sum", run.Running)
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}})
		h.becomes(id(12), "tell", run.Running)
		h.reach(id(15), run.Success)
		h.reach(id(12), run.Success)
	}, p)
}

// TestThePastOfRunsThatAreNotStoredYet: a run that is asked for in the same moment in which those around it become due has its
// place between them.
func TestThePastOfRunsThatAreNotStoredYet(t *testing.T) {
	p := daily("sum")
	p.Tasks[0].DependsOnPast = true
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, shifted{}.Sleep(ctx, time.Second)
		})
		if err := h.store.Send(h.Context(), scheduler.NewRequest("", scheduler.Request{Kind: scheduler.ReqRun, Pipeline: "geo", Start: day(14), End: day(15)}, day(16))); err != nil {
			t.Fatal(err)
		}
		h.serve(scheduler.Options{ID: "a", Parallel: 4})
		h.reach(id(15), run.Success)
		h.want("executed", h.took(), "12 sum, 13 sum, 14 sum, 15 sum")
	}, p)
}

func TestWaitForDownstream(t *testing.T) {
	p := daily("fetch", "clean")
	p.MaxActiveRuns = 2
	p.Tasks[0].WaitForDownstream = true
	inHouse(t, func(h *house) {
		h.act(lasts("clean", 10*time.Second))
		h.serve(scheduler.Options{ID: "a", Parallel: 4})
		h.told(id(13)+" fetch", "clean is running in the run before", true)
		h.reach(id(15), run.Success)
		h.want("executed", h.took(), "12 fetch, 12 clean, 13 fetch, 13 clean, 14 fetch, 14 clean, 15 fetch, 15 clean")
	}, p)
}

// TestPools: a pool of one slot is shared by two pipelines; the higher priority takes it first.
func TestPools(t *testing.T) {
	a, b, c := byHand("one"), named("web", "two"), named("wet", "three")
	for _, p := range []*pipeline.Pipeline{a, b, c} {
		p.Tasks[0].Pool, p.Tasks[0].PoolSlots = "db", 1
	}
	c.Tasks[0].Priority = 5
	inHouse(t, func(h *house) {
		working := 0
		h.act(func(ctx context.Context, _ engine.Work) (engine.Outcome, error) {
			h.mu.Lock()
			if working++; working > 1 {
				h.Error("two at a time")
			}
			h.mu.Unlock()
			defer func() { h.mu.Lock(); working--; h.mu.Unlock() }()
			return engine.Outcome{}, shifted{}.Sleep(ctx, 10*time.Second)
		})
		h.serve(scheduler.Options{ID: "a", Parallel: 4})
		for _, name := range []string{"geo", "web", "wet"} {
			r := now(12)
			r.Pipeline = name
			h.ask(r)
		}
		h.told("web@2007-04-12 two", "pool db is full: 1 of 1 slots are taken by "+id(12)+" one", true)
		h.reach("web@2007-04-12", run.Success)
		h.want("executed", h.took(), "12 one, 12 three, 12 two")
	}, a, b, c)
}

func TestMaxActive(t *testing.T) {
	p := daily("one", "two", "three")
	p.MaxActiveTasks = 1
	for _, task := range p.Tasks {
		task.Upstream = nil
	}
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, _ engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, shifted{}.Sleep(ctx, 2*time.Second)
		})
		h.serve(scheduler.Options{ID: "a", Parallel: 4})
		h.told(id(12)+" two", "max_active_tasks of pipeline geo: 1 of 1 are running", true)
		h.told(id(13), "max_active_runs of pipeline geo: 1 of 1 are running ("+id(12)+")", true)
		h.told(id(12)+" three", "max_active_tasks", true)
		h.reach(id(15), run.Success)
	}, p)
}

// TestBranches: what a branch chose stays, so that a task that is cleared later meets the same decision.
func TestBranches(t *testing.T) {
	p := byHand("choose", "left", "right", "join", "gate", "after")
	p.Tasks[0].Kind, p.Tasks[0].Branch, p.Tasks[0].SQL = pipeline.BranchTask, &pipeline.Branch{Choose: "left"}, nil
	p.Tasks[1].Upstream, p.Tasks[2].Upstream = []string{"choose"}, []string{"choose"}
	p.Tasks[3].Upstream, p.Tasks[3].TriggerRule = []string{"left", "right"}, "none_failed_min_one_success"
	p.Tasks[4].Upstream = nil
	p.Tasks[4].Kind, p.Tasks[4].Condition, p.Tasks[4].SQL = pipeline.ShortCircuitTask, &pipeline.Condition{When: "no"}, nil
	inHouse(t, func(h *house) {
		h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			switch w.Task.Name {
			case "choose":
				return engine.Outcome{Choice: &run.Choice{Tasks: []string{"left"}}}, nil
			case "gate":
				return engine.Outcome{Choice: &run.Choice{Stop: "no"}}, nil
			}
			return engine.Outcome{}, nil
		})
		stop := h.serve(scheduler.Options{ID: "a", Parallel: 1})
		h.ask(now(12))
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 choose, 12 left, 12 join, 12 gate")
		h.want("right", h.task(id(12), "right").Reason, "choose chose left")
		h.want("after", h.task(id(12), "after").Reason, "gate stopped here: no")
		stop()
		h.serve(scheduler.Options{ID: "b", Parallel: 1})
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"left", "right", "after"}})
		h.until("the second attempt", func() bool { return h.task(id(12), "left").Attempt == 2 && h.state(id(12)) == run.Success })
		h.want("executed", h.took(), "12 left")
		h.want("right", string(h.task(id(12), "right").State)+" "+h.task(id(12), "after").Reason, "skipped gate stopped here: no")
	}, p)
}

// TestTriggerRulesOverALeader: a decision that an earlier leader's states lead to is the same with the next one.
func TestTriggerRulesOverALeader(t *testing.T) {
	p := byHand("broken", "slow", "cleanup", "never")
	p.Tasks[1].Upstream = nil
	p.Tasks[2].Upstream, p.Tasks[2].TriggerRule = []string{"broken", "slow"}, "all_done"
	p.Tasks[3].Upstream = []string{"broken", "slow"}
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			switch w.Task.Name {
			case "broken":
				return engine.Outcome{}, errors.New("broken")
			case "slow":
				return engine.Outcome{}, shifted{}.Sleep(ctx, 5*time.Second)
			}
			return engine.Outcome{}, nil
		})
		stop := h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "never", run.UpstreamFailed)
		h.told(id(12)+" cleanup", "upstream: slow is running", false)
		stop() // slow is interrupted
		h.serve(scheduler.Options{ID: "b"})
		h.reach(id(12), run.Failed)
		h.want("cleanup", string(h.task(id(12), "cleanup").State), "success")
		h.want("slow", h.history(id(12), "slow"), "queued started interrupted queued started succeeded")
	}, p)
}
