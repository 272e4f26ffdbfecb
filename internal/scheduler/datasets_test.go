package scheduler_test

import (
	"testing"
	"time"

	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/scheduler"
)

// on is a pipeline that runs when datasets were written.
func on(name string, datasets ...string) *pipeline.Pipeline {
	p := byHand("sum")
	p.Name, p.On = name, datasets
	p.Tasks[0].SQL.Target.Into = name + ".sum"
	return p
}

func TestDatasets(t *testing.T) {
	inHouse(t, func(h *house) {
		h.serve(scheduler.Options{ID: "a"})
		h.told("stat", "waits for a write of geo.clean", false)
		h.ask(now(12))
		h.reach("stat@2007-04-12", run.Success)
		if r := h.state("both@2007-04-12"); r != "" {
			t.Errorf("both runs although one was not written: %s", r)
		}
		h.told("both", "waits for a write of web.load for 2007-04-12", false)
		r := now(12)
		r.Pipeline = "web"
		h.ask(r)
		h.reach("both@2007-04-12", run.Success)
		h.want("executed", h.took(), "12 clean, 12 sum, 12 load, 12 sum")
		h.ask(now(12)) // the partition is written again
		h.until("stat again", func() bool {
			return h.task("stat@2007-04-12", "sum").Attempt == 2 && h.state("stat@2007-04-12") == run.Success
		})
		h.wait(5 * time.Second)
		h.want("executed", h.took(), "12 clean, 12 sum")
	}, byHand("clean"), named("web", "load"), on("stat", "geo.clean"), on("both", "geo.clean", "web.load"))
}

func named(name, task string) *pipeline.Pipeline {
	p := byHand(task)
	p.Name = name
	p.Tasks[0].SQL.Target.Into = name + "." + task
	return p
}

// TestDatasetsAcrossLeaders: with leaders that change at any time, each write makes one run, and none is lost.
func TestDatasetsAcrossLeaders(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(lasts("clean", 2*time.Second))
		stop := h.serve(scheduler.Options{ID: "a0"})
		b := h.ask(wish(1, 8, "")).Backfill
		for n := 1; n < 12; n++ {
			h.wait(time.Duration(1100+170*n) * time.Millisecond)
			stop()
			stop = h.serve(scheduler.Options{ID: "a" + string(rune('0'+n))})
		}
		h.ends(b, scheduler.BackfillDone)
		h.reach("stat@2007-04-08", run.Success)
		h.wait(5 * time.Second)
		for d := 1; d <= 8; d++ {
			name := "stat@" + day(d).Format(time.DateOnly)
			if s := h.task(name, "sum"); s.State != run.Success {
				t.Errorf("%s: %+v", name, s)
			}
			if got := h.history(name, ""); got != "started succeeded" {
				t.Errorf("%s: %s", name, got)
			}
		}
	}, func() *pipeline.Pipeline { p := daily("clean"); p.Start, p.End = day(16), day(16); return p }(), on("stat", "geo.clean"))
}

func TestDatasetsOfAPausedPipeline(t *testing.T) {
	inHouse(t, func(h *house) {
		h.serve(scheduler.Options{ID: "a"})
		h.ask(scheduler.Request{Kind: scheduler.ReqPause, Pipeline: "stat"})
		h.ask(now(12))
		h.reach(id(12), run.Success)
		h.wait(3 * time.Second)
		if s := h.state("stat@2007-04-12"); s != "" {
			t.Errorf("it is %s", s)
		}
		h.ask(scheduler.Request{Kind: scheduler.ReqUnpause, Pipeline: "stat"})
		h.reach("stat@2007-04-12", run.Success)
	}, byHand("clean"), on("stat", "geo.clean"))
}
