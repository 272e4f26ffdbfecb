package scheduler_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// TestProjectChangesWhileRunning: runs under way keep their version, with a new leader too; new runs have the new one.
func TestProjectChangesWhileRunning(t *testing.T) {
	old := daily("fetch", "clean")
	changed := daily("fetch", "wash", "clean")
	changed.Version = "v2"
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", 5*time.Second))
		stop := h.serve(scheduler.Options{ID: "a"})
		h.becomes(id(12), "fetch", run.Running)
		h.become(changed)
		h.wait(2 * time.Second)
		stop()
		h.serve(scheduler.Options{ID: "b"})
		h.reach(id(15), run.Success)
		h.ask(now(3))
		h.reach(id(3), run.Success)
		for d, want := range map[int]string{12: "v1", 14: "v1", 3: "v2"} {
			if got := h.runs(store.RunFilter{IDs: []string{id(d)}})[0].Version; got != want {
				t.Errorf("%s ran version %s", id(d), got)
			}
		}
		h.want("wash of the 12th", string(h.task(id(12), "wash").State), "")
		h.want("wash of the 3rd", string(h.task(id(3), "wash").State), "success")
		h.ask(scheduler.Request{Kind: scheduler.ReqClear, Runs: []string{id(12)}, Tasks: []string{"clean"}, SameCode: true})
		h.until("clean again", func() bool { return h.task(id(12), "clean").Attempt == 2 && h.state(id(12)) == run.Success })
		if got := h.runs(store.RunFilter{IDs: []string{id(12)}})[0].Version; got != "v1" {
			t.Errorf("it was cleared for the same code and ran %s", got)
		}
	}, old)
}

// TestPipelineIsRemoved: what is under way ends, nothing new is made, and one that comes back goes on where it was.
func TestPipelineIsRemoved(t *testing.T) {
	p := daily("fetch", "clean")
	p.Deadline = time.Second
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", 5*time.Second))
		h.serve(scheduler.Options{ID: "a"})
		h.becomes(id(12), "fetch", run.Running)
		h.become(named("web", "load"))
		h.told("geo", "the project has this pipeline no more", false)
		if _, err := h.tryTo(now(3)); err == nil {
			t.Error("a pipeline that is not there cannot be run")
		}
		h.reach(id(12), run.Success)
		h.become(p, named("web", "load"))
		h.reach(id(15), run.Success)
		h.told("geo", "the project has this pipeline no more", true)
		for d := 12; d <= 15; d++ {
			h.want("history of "+id(d), h.history(id(d), ""), "started succeeded")
		}
	}, p)
}

// TestVersionIsNotToBeHad: the run waits, says why, and goes on when the version is there again.
func TestVersionIsNotToBeHad(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", 5*time.Second))
		stop := h.serve(scheduler.Options{ID: "a"})
		h.ask(now(12))
		h.becomes(id(12), "fetch", run.Running)
		stop()
		p := byHand("fetch", "clean")
		p.Version = "v2"
		h.mu.Lock()
		h.versions = map[string]*pipeline.Pipeline{}
		h.mu.Unlock()
		h.become(p)
		h.serve(scheduler.Options{ID: "b"})
		h.told(id(12), "version v1 of pipeline geo cannot be read", false)
		h.become(p, byHand("fetch", "clean"))
		h.become(p)
		h.reach(id(12), run.Success)
		h.told(id(12), "version v1 of pipeline geo cannot be read", true)
	}, byHand("fetch", "clean"))
}

// TestDeadlineIsToldOnce, by whichever leader; a run that failed is told as well.
func TestDeadlineIsToldOnce(t *testing.T) {
	p := daily("fetch")
	p.Start, p.End, p.Deadline = day(16), day(16), 10*time.Second
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Claims[0].Attempt < 2 {
				return hang(ctx, w)
			}
			return engine.Outcome{}, engine.GiveUp(context.DeadlineExceeded)
		})
		stop := h.serve(scheduler.Options{ID: "a"})
		alerts := func() string {
			all, err := h.store.Alerts(h.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, a := range all {
				texts = append(texts, a.RunID+" "+a.Kind)
			}
			return strings.Join(texts, ", ")
		}
		h.until("the alert", func() bool { return alerts() == id(16)+" deadline" })
		h.wait(5 * time.Second)
		stop()
		h.serve(scheduler.Options{ID: "b"})
		h.reach(id(16), run.Failed)
		h.want("alerts", alerts(), id(16)+" failed, "+id(16)+" deadline")
	}, p)
}
