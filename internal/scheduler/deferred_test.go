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

// sensing is a pipeline whose first task waits for something.
func sensing() *pipeline.Pipeline {
	p := byHand("file", "clean")
	p.Tasks[0].Kind, p.Tasks[0].SQL = pipeline.SensorTask, nil
	p.Tasks[0].Sensor = &pipeline.Sensor{Files: "x", Every: 5 * time.Second}
	return p
}

// TestDeferredTasks hold no worker, and wait on with the next leader, counted from when they began to.
func TestDeferredTasks(t *testing.T) {
	inHouse(t, func(h *house) {
		var since []time.Duration
		h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name != "file" {
				return engine.Outcome{}, nil
			}
			waited := h.clock.Now().Sub(w.Since).Round(time.Second)
			since = append(since, waited)
			if waited < 25*time.Second {
				return engine.Outcome{Again: 5 * time.Second, Waits: "no file x yet"}, nil
			}
			return engine.Outcome{}, nil
		})
		stop := h.serve(scheduler.Options{ID: "a", Parallel: 1})
		h.ask(now(12))
		h.becomes(id(12), "file", run.Deferred)
		h.told(id(12)+" file", "no file x yet", false)
		r := now(12)
		r.Pipeline = "web"
		h.ask(r)
		h.reach("web@2007-04-12", run.Success) // by the one worker there is
		stop()
		h.serve(scheduler.Options{ID: "b", Parallel: 1})
		h.reach(id(12), run.Success)
		h.want("history", h.history(id(12), "file"), "queued started deferred succeeded")
		if len(since) < 6 || since[len(since)-1] > 31*time.Second {
			t.Errorf("it looked after %v", since)
		}
		h.told(id(12)+" file", "no file x yet", true)
	}, sensing(), named("web", "load"))
}

// TestPatience: the executor's error fails the task, or it says that the task is skipped.
func TestPatience(t *testing.T) {
	for _, soft := range []bool{false, true} {
		t.Run(map[bool]string{false: "hard", true: "soft"}[soft], func(t *testing.T) {
			inHouse(t, func(h *house) {
				h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
					switch {
					case w.Task.Name != "file":
						return engine.Outcome{}, nil
					case h.clock.Now().Sub(w.Since) < 20*time.Second:
						return engine.Outcome{Again: 5 * time.Second, Waits: "no file x yet"}, nil
					case soft:
						return engine.Outcome{Skip: "no file x within 20s"}, nil
					}
					return engine.Outcome{}, engine.GiveUp(errors.New("no file x within 20s"))
				})
				h.serve(scheduler.Options{ID: "a", Parallel: 1})
				h.ask(now(12))
				if soft {
					h.reach(id(12), run.Success)
					h.want("file", string(h.task(id(12), "file").State), "skipped")
				} else {
					h.reach(id(12), run.Failed)
					h.want("file", string(h.task(id(12), "file").State), "failed")
				}
				h.want("reason", h.task(id(12), "file").Reason, "no file x within 20s")
			}, sensing())
		})
	}
}

func TestClearOfADeferredTask(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "file" && w.Claims[0].Attempt == 1 {
				return engine.Outcome{Again: time.Minute, Waits: "no file x yet"}, nil
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a", Parallel: 1})
		h.ask(now(12))
		h.becomes(id(12), "file", run.Deferred)
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"file"}})
		h.reach(id(12), run.Success)
		h.want("history", h.history(id(12), "file"), "queued started deferred cleared queued started succeeded")
	}, sensing())
}
