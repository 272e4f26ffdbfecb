package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
)

// mapped is a pipeline whose task "each" is mapped, with a task before and one after.
func mapped() *pipeline.Pipeline {
	p := byHand("list", "each", "sum")
	p.Tasks[1].Map = &pipeline.Map{Items: []any{"a", "b", "c"}}
	return p
}

// items answers for a mapped task; item says what is done for one.
func items(list []any, item func(ctx context.Context, w engine.Work) error) func(context.Context, engine.Work) (engine.Outcome, error) {
	return func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
		switch {
		case w.Mapped:
			return engine.Outcome{Items: list}, nil
		case w.Item != nil && item != nil:
			return engine.Outcome{}, item(ctx, w)
		}
		return engine.Outcome{}, nil
	}
}

func TestMappedTask(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(items([]any{"a", "b", "c"}, func(_ context.Context, w engine.Work) error {
			if want := string(rune('a' + w.Item.Index)); w.Item.Value != want {
				h.Errorf("item %d is %v", w.Item.Index, w.Item.Value)
			}
			return nil
		}))
		h.serve(scheduler.Options{ID: "a", Parallel: 1})
		h.ask(now(12))
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 list, 12 each, 12 each[0], 12 each[1], 12 each[2], 12 sum")
		h.act(items([]any{"a", "b"}, nil)) // fewer than before
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"each", "sum"}})
		h.until("the second attempt", func() bool { return h.task(id(12), "sum").Attempt == 2 && h.state(id(12)) == run.Success })
		h.want("executed", h.took(), "12 each, 12 each[0], 12 each[1], 12 sum")
		h.act(items([]any{"a", "b", "c", "d"}, nil)) // more
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"each"}})
		h.until("the third attempt", func() bool { return h.task(id(12), "each").Attempt == 3 && h.state(id(12)) == run.Success })
		h.want("executed", h.took(), "12 each, 12 each[0], 12 each[1], 12 each[2], 12 each[3]")
	}, mapped())
}

func TestMappedTaskWithoutItems(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(items([]any{}, nil))
		h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 list, 12 each")
		h.want("each", string(h.task(id(12), "each").State)+": "+h.task(id(12), "each").Reason, "skipped: there are no items")
	}, mapped())
}

// TestMappedTaskFails: an item is tried again by itself, and one that fails for good fails the task.
func TestMappedTaskFails(t *testing.T) {
	p := mapped()
	p.Tasks[1].Retries, p.Tasks[1].RetryDelay = 1, time.Second
	inHouse(t, func(h *house) {
		h.act(items([]any{"a", "b", "c"}, func(_ context.Context, w engine.Work) error {
			if w.Item.Index == 0 && w.Claims[0].Attempt == 1 || w.Item.Index == 2 {
				return errors.New("broken")
			}
			return nil
		}))
		h.serve(scheduler.Options{ID: "a", Parallel: 1})
		h.ask(now(12))
		h.reach(id(12), run.Failed)
		h.want("each", string(h.task(id(12), "each").State)+": "+h.task(id(12), "each").Reason, "failed: 1 of its items failed: each[2]")
		h.want("each[0]", h.history(id(12), "each[0]"), "queued started retried retry_due started succeeded")
		if n := strings.Count(h.took(), "each[1]"); n != 1 {
			t.Errorf("each[1] is executed %d times", n)
		}
		h.act(items([]any{"a", "b", "c"}, nil))
		h.ask(now(12))
		h.reach(id(12), run.Success)
	}, p)
}

// TestMappedTaskAcrossLeaders: items that have ended are not executed again.
func TestMappedTaskAcrossLeaders(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(items([]any{"a", "b", "c", "d", "e"}, func(ctx context.Context, w engine.Work) error {
			return shifted{}.Sleep(ctx, time.Duration(5*w.Item.Index)*time.Second)
		}))
		stop := h.serve(scheduler.Options{ID: "a", Parallel: 2})
		h.ask(now(12))
		for n := range 4 {
			h.becomes(id(12), engine.ItemName("each", n), run.Success)
			stop()
			stop = h.serve(scheduler.Options{ID: fmt.Sprint("b", n), Parallel: 2})
		}
		h.reach(id(12), run.Success)
		for n := range 5 {
			if got := h.history(id(12), engine.ItemName("each", n)); strings.Count(got, "succeeded") != 1 {
				t.Errorf("each[%d]: %s", n, got)
			}
		}
		h.want("each", h.history(id(12), "each"), "queued started deferred succeeded")
	}, mapped())
}

// TestClearOfAMappedTask: items that are executed are cancelled and end before the task tells its items anew.
func TestClearOfAMappedTask(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(items([]any{"a", "b", "c"}, func(ctx context.Context, w engine.Work) error {
			if w.Item.Index == 1 && w.Claims[0].Attempt == 1 {
				<-ctx.Done()
				h.wait(3 * time.Second) // it takes its time
				return ctx.Err()
			}
			return nil
		}))
		h.serve(scheduler.Options{ID: "a", Parallel: 1})
		h.ask(now(12))
		h.becomes(id(12), "each[1]", run.Running)
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"each"}})
		h.reach(id(12), run.Success)
		h.want("executed", h.took(), "12 list, 12 each, 12 each[0], 12 each[1], 12 each, 12 each[0], 12 each[1], 12 each[2], 12 sum")
		h.want("each[1]", h.history(id(12), "each[1]"), "queued started marked_skipped cleared queued started succeeded")
	}, mapped())
}

// TestMarkOfAMappedTask: items that wait or are executed end with it.
func TestMarkOfAMappedTask(t *testing.T) {
	for _, state := range []run.State{run.Success, run.Failed} {
		t.Run(string(state), func(t *testing.T) {
			p := mapped()
			p.Tasks[1].Pool, p.Tasks[1].PoolSlots = "nil", 1
			inHouse(t, func(h *house) {
				h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
					if w.Mapped {
						return engine.Outcome{Items: []any{"a", "b"}}, nil
					}
					return engine.Outcome{Again: time.Hour, Waits: "for ever"}, nil
				})
				p.Tasks[0].Upstream, p.Tasks[1].Upstream, p.Tasks[2].Upstream = nil, nil, []string{"each"}
				h.serve(scheduler.Options{ID: "a"})
				h.ask(now(12))
				h.becomes(id(12), "each[1]", run.Deferred)
				h.ask(scheduler.Request{Kind: scheduler.ReqMark, Runs: []string{id(12)}, Tasks: []string{"each"}, State: state})
				h.becomes(id(12), "each", state)
				h.want("each[0]", string(h.task(id(12), "each[0]").State), "skipped")
			}, p)
		})
	}
}
