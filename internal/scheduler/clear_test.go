package scheduler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/scheduler"
)

func TestClearOfAnEndedRun(t *testing.T) {
	inHouse(t, func(h *house) {
		stop := h.serve(scheduler.Options{ID: "a"})
		h.reach(id(15), run.Success)
		h.took()
		if a := h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(13)}, Tasks: []string{"clean"}}); a.Changed != 1 {
			t.Errorf("%+v", a)
		}
		h.until("the second attempt", func() bool { return h.task(id(13), "clean").Attempt == 2 && h.state(id(13)) == run.Success })
		h.want("executed", h.took(), "13 clean")
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(13), id(14)}, Tasks: []string{"clean", "score"}})
		h.until("the third attempt", func() bool { return h.task(id(13), "clean").Attempt == 3 && h.state(id(13)) == run.Success })
		h.until("the other run", func() bool { return h.task(id(14), "score").Attempt == 2 && h.state(id(14)) == run.Success })
		stop()
		h.want("executed", h.took(), "13 clean, 13 score, 14 clean, 14 score")
	}, daily("fetch", "clean", "score"))
}

// TestClearOfWhatIsExecuted: the execution is cancelled and the task begins anew; its failures are forgotten.
func TestClearOfWhatIsExecuted(t *testing.T) {
	inHouse(t, func(h *house) {
		first := true
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "clean" && first {
				first = false
				return hang(ctx, w)
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "clean", run.Running)
		if a := h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"fetch", "clean"}}); a.Changed != 2 {
			t.Errorf("%+v", a)
		}
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 fetch, 12 clean, 12 fetch, 12 clean, 12 score")
		h.want("history", h.history(id(12), "clean"), "queued started cleared queued started succeeded")
		if c := h.task(id(12), "clean"); c.Failures != 0 || c.Attempt != 2 {
			t.Errorf("%+v", c)
		}
		if _, err := h.tryTo(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"sing"}}); err == nil {
			t.Error("an unknown task should be refused")
		}
		if _, err := h.tryTo(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(19)}}); err == nil {
			t.Error("an unknown run should be refused")
		}
	}, byHand("fetch", "clean", "score"))
}

// TestClearBeforeWhatWaits: a task that is ready, or waits for its retry, waits for what was cleared before it.
func TestClearBeforeWhatWaits(t *testing.T) {
	p := byHand("fetch", "clean")
	p.Tasks[1].Retries, p.Tasks[1].RetryDelay = 1, 30*time.Second
	inHouse(t, func(h *house) {
		h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "clean" && w.Claims[0].Attempt == 1 {
				return engine.Outcome{}, errors.New("flaky")
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "clean", run.UpForRetry)
		h.told(id(12)+" clean", "the next attempt is due", false)
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"fetch"}})
		h.reach(id(12), run.Success)
		h.want("history", h.history(id(12), "clean"), "queued started retried interrupted queued started succeeded")
	}, p)
}

func TestMarkInAnEndedRun(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(fails("clean"))
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.reach(id(12), run.Failed)
		mark := func(task string, s run.State) {
			h.ask(scheduler.Request{Kind: scheduler.ReqMark, Runs: []string{id(12)}, Tasks: []string{task}, State: s})
		}
		mark("clean", run.Success)
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 fetch, 12 clean, 12 score")
		mark("score", run.Failed)
		h.reach(id(12), run.Failed)
		mark("score", run.Skipped)
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "")
		if _, err := h.tryTo(scheduler.Request{Kind: scheduler.ReqMark, Runs: []string{id(12)}, State: run.Queued}); err == nil {
			t.Error("nobody can mark a task queued")
		}
	}, byHand("fetch", "clean", "score"))
}

func TestMarkInARunUnderWay(t *testing.T) {
	p := byHand("fetch", "clean", "score", "tell")
	p.Tasks[3].Upstream = nil
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			switch w.Task.Name {
			case "tell":
				return hang(ctx, w)
			case "clean":
				return engine.Outcome{}, errors.New("broken")
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "score", run.UpstreamFailed)
		h.becomes(id(12), "tell", run.Running)
		a := h.ask(scheduler.Request{Kind: scheduler.ReqMark, Runs: []string{id(12)}, Tasks: []string{"clean", "tell"}, State: run.Success})
		h.reach(id(12), run.Success)
		if a.Changed != 2 {
			t.Errorf("%+v", a)
		}
		h.want("clean", h.history(id(12), "clean"), "queued started failed marked_success")
		h.want("score", h.history(id(12), "score"), "upstream_failed cleared queued started succeeded")
		h.want("tell", h.history(id(12), "tell"), "queued started marked_success")
	}, p)
}

// TestMarkOfAllThatIsOpen: the run ends with what was marked, and what failed because of it runs first.
func TestMarkOfAllThatIsOpen(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) { return hang(ctx, w) })
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "fetch", run.Running)
		h.ask(scheduler.Request{Kind: scheduler.ReqMark, Runs: []string{id(12)}, State: run.Failed})
		h.reach(id(12), run.Failed)
		h.want("fetch", h.history(id(12), "fetch"), "queued started marked_failed")
		h.want("clean", h.history(id(12), "clean"), "marked_failed")
	}, byHand("fetch", "clean"))
}

// TestClearOfARunThatTimedOut: it has its time once more.
func TestClearOfARunThatTimedOut(t *testing.T) {
	p := byHand("fetch")
	p.RunTimeout = 10 * time.Second
	inHouse(t, func(h *house) {
		attempts := 0
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if attempts++; attempts > 1 {
				return engine.Outcome{}, nil
			}
			<-ctx.Done()
			h.wait(5 * time.Second)
			return engine.Outcome{}, ctx.Err()
		})
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "fetch", run.Running)
		h.wait(11 * time.Second)
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}})
		h.reach(id(12), run.Success)
	}, p)
}

func TestTimeOutOfAttemptAndRun(t *testing.T) {
	p := byHand("fetch", "clean")
	p.Tasks[0].Timeout = 5 * time.Second
	p.Tasks[1].Upstream = nil
	p.RunTimeout = 20 * time.Second
	inHouse(t, func(h *house) {
		h.act(hang)
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.reach(id(12), run.Failed)
		if r := h.task(id(12), "fetch").Reason; !strings.Contains(r, "timed out after 5s") {
			t.Errorf("fetch: %s", r)
		}
		if r := h.task(id(12), "clean").Reason; !strings.Contains(r, "the run timed out after 20s") {
			t.Errorf("clean: %s", r)
		}
	}, p)
}

// hang waits until it is cancelled.
func hang(ctx context.Context, _ engine.Work) (engine.Outcome, error) {
	<-ctx.Done()
	return engine.Outcome{}, ctx.Err()
}

// fails has a task fail.
func fails(task string) func(context.Context, engine.Work) (engine.Outcome, error) {
	return func(_ context.Context, w engine.Work) (engine.Outcome, error) {
		if w.Task.Name == task {
			return engine.Outcome{}, errors.New("broken")
		}
		return engine.Outcome{}, nil
	}
}
