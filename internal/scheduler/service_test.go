package scheduler_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

func TestCatchesUp(t *testing.T) {
	inHouse(t, func(h *house) {
		stop := h.serve(scheduler.Options{ID: "a"})
		h.reach(id(15), run.Success)
		stop()
		h.want("executed", h.took(), "12 fetch, 12 clean, 13 fetch, 13 clean, 14 fetch, 14 clean, 15 fetch, 15 clean")
		if n := len(h.runs(store.RunFilter{States: []run.State{run.Success}})); n != 4 {
			t.Errorf("%d runs", n)
		}
		l, err := h.store.Lease(h.Context())
		if err != nil || l.Holder != "" {
			t.Errorf("the lease is not given back: %+v %v", l, err)
		}
		if p, err := h.store.Processes(h.Context()); err != nil || len(p) > 0 {
			t.Errorf("still registered: %+v %v", p, err)
		}
	}, daily("fetch", "clean"))
}

func TestRunsOnlyTheLatestWithoutCatchUp(t *testing.T) {
	p := daily("fetch")
	p.Catchup, p.End = false, time.Time{}
	inHouse(t, func(h *house) {
		h.serve(scheduler.Options{ID: "a"})
		h.reach(id(15), run.Success)
		h.reach(id(16), run.Success)
		h.want("executed", h.took(), "15 fetch, 16 fetch")
	}, p)
}

func TestPausedPipelinesRunWhatIsAskedFor(t *testing.T) {
	p := daily("fetch")
	p.End = time.Time{}
	inHouse(t, func(h *house) {
		h.serve(scheduler.Options{ID: "a"})
		h.reach(id(15), run.Success)
		h.ask(scheduler.Request{Kind: scheduler.ReqPause})
		h.took()
		h.told("geo", "paused by ann", false)
		h.wait(2 * time.Minute)
		h.want("executed while paused", h.took(), "")
		h.ask(now(3))
		h.reach(id(3), run.Success)
		h.want("executed by hand", h.took(), "03 fetch")
		h.ask(scheduler.Request{Kind: scheduler.ReqUnpause})
		h.reach(id(16), run.Success)
		h.want("executed after", h.took(), "16 fetch")
	}, p)
}

// TestPauseHoldsRunsUnderWay: what waits of a run under way waits on, and a new leader knows of the pause.
func TestPauseHoldsRunsUnderWay(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", time.Minute))
		stop := h.serve(scheduler.Options{ID: "a"})
		h.becomes(id(12), "fetch", run.Running)
		h.ask(scheduler.Request{Kind: scheduler.ReqPause})
		h.becomes(id(12), "fetch", run.Success)
		h.told(id(12)+" clean", "pipeline geo is paused", false)
		stop()
		h.serve(scheduler.Options{ID: "b"})
		h.wait(10 * time.Second)
		h.want("executed", h.took(), "12 fetch")
		h.ask(scheduler.Request{Kind: scheduler.ReqUnpause})
		h.reach(id(15), run.Success)
	}, daily("fetch", "clean"))
}

func TestRunByHand(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", time.Minute))
		h.serve(scheduler.Options{ID: "a"})
		h.want("run", strings.Join(h.ask(now(3)).Runs, " "), id(3))
		h.becomes(id(3), "fetch", run.Running)
		if _, err := h.tryTo(now(3)); err == nil || !strings.Contains(err.Error(), "under way") {
			t.Errorf("a run under way: %v", err)
		}
		h.reach(id(3), run.Success)
		h.ask(now(3))
		h.until("both runs", func() bool { return h.task(id(3), "clean").Attempt == 2 && h.state(id(3)) == run.Success })
		h.want("executed", h.took(), "03 fetch, 03 clean, 03 fetch, 03 clean")
		if _, err := h.tryTo(scheduler.Request{Kind: scheduler.ReqRun, Pipeline: "goe"}); err == nil || !strings.Contains(err.Error(), `"geo"`) {
			t.Errorf("an unknown pipeline: %v", err)
		}
		if _, err := h.tryTo(scheduler.Request{Kind: "dance"}); err == nil || !strings.Contains(err.Error(), "does not understand") {
			t.Errorf("an unknown request: %v", err)
		}
	}, byHand("fetch", "clean"))
}

// lasts has a task take some time, or less when it is cancelled.
func lasts(task string, d time.Duration) func(context.Context, engine.Work) (engine.Outcome, error) {
	return func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
		if w.Task.Name == task {
			return engine.Outcome{}, shifted{}.Sleep(ctx, d)
		}
		return engine.Outcome{}, nil
	}
}
