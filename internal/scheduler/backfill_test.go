package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// wish asks for a backfill of some days.
func wish(from, to int, rerun engine.Rerun) scheduler.Request {
	return scheduler.Request{Kind: scheduler.ReqBackfill, Backfill: &scheduler.Wish{From: day(from), To: day(to), Rerun: rerun}}
}

func (h *house) wishOf(id string) (w scheduler.Wish) {
	h.Helper()
	if err := json.Unmarshal(h.backfill(id).Body, &w); err != nil {
		h.Fatal(err)
	}
	return w
}

func (h *house) ends(backfill, state string) {
	h.Helper()
	h.until("backfill "+state, func() bool { return h.backfill(backfill).State == state })
}

// TestBackfillLetsSchedulesGoFirst: it has one worker less than there are, and what is scheduled starts at once.
func TestBackfillLetsSchedulesGoFirst(t *testing.T) {
	p := daily("fetch")
	p.Start, p.End, p.MaxActiveRuns = day(16), time.Time{}, 0
	inHouse(t, func(h *house) {
		working, most := 0, 0
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Start.Day() == 16 {
				return engine.Outcome{}, nil
			}
			h.mu.Lock()
			working++
			most = max(most, working)
			h.mu.Unlock()
			defer func() { h.mu.Lock(); working--; h.mu.Unlock() }()
			return engine.Outcome{}, shifted{}.Sleep(ctx, 10*time.Second)
		})
		h.serve(scheduler.Options{ID: "a", Parallel: 3})
		b := h.ask(wish(1, 15, engine.RerunNone)).Backfill
		h.becomes(id(1), "fetch", run.Running)
		h.until("the scheduled run", func() bool { return h.state(id(16)) == run.Success })
		at := h.runs(store.RunFilter{IDs: []string{id(16)}})[0]
		if late := at.Ended.Sub(day(17)); late > 2*time.Second {
			t.Errorf("the scheduled run ended %s after it was due", late)
		}
		h.ends(b, scheduler.BackfillDone)
		if w := h.wishOf(b); most != 2 || w.Parallel != 2 || w.Total != 15 || w.Failed != 0 {
			t.Errorf("%d at a time, %+v", most, w)
		}
		if n := len(h.runs(store.RunFilter{States: []run.State{run.Success}})); n != 16 {
			t.Errorf("%d runs", n)
		}
	}, p)
}

// TestBackfillWaitsForItsDates: a run of its dates that somebody asked for is left to itself, and counts in the end.
func TestBackfillWaitsForItsDates(t *testing.T) {
	p := daily("fetch")
	p.Start = day(16)
	inHouse(t, func(h *house) {
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Start.Day() == 3 {
				return engine.Outcome{}, errors.Join(shifted{}.Sleep(ctx, time.Minute), errors.New("no such file"))
			}
			return engine.Outcome{}, nil
		})
		h.serve(scheduler.Options{ID: "a", Parallel: 3})
		h.ask(now(3))
		h.becomes(id(3), "fetch", run.Running)
		b := h.ask(wish(2, 3, engine.RerunNone)).Backfill
		h.until("its own run", func() bool { return h.state(id(2)) == run.Success })
		h.becomes(id(3), "fetch", run.Running)
		if state := h.backfill(b).State; state != scheduler.BackfillOpen {
			t.Errorf("the backfill is %s while a run of its dates is under way", state)
		}
		h.ends(b, scheduler.BackfillFailed)
	}, p)
}

func TestBackfillRunsAgain(t *testing.T) {
	inHouse(t, func(h *house) {
		h.act(fails("clean"))
		h.serve(scheduler.Options{ID: "a"})
		h.reach(id(15), run.Failed)
		h.took()
		b := h.ask(wish(12, 13, engine.RerunNone)).Backfill
		h.ends(b, scheduler.BackfillFailed)
		h.want("executed again: none", h.took(), "")
		if w := h.wishOf(b); w.Failed != 2 || w.Total != 2 {
			t.Errorf("%+v", w)
		}
		h.act(nil)
		h.ends(h.ask(wish(12, 13, engine.RerunFailed)).Backfill, scheduler.BackfillDone)
		h.want("executed again: failed", h.took(), "12 clean, 13 clean")
		h.ends(h.ask(wish(13, 14, engine.RerunAll)).Backfill, scheduler.BackfillDone)
		h.want("executed again: all", h.took(), "13 fetch, 13 clean, 14 fetch, 14 clean")
	}, daily("fetch", "clean"))
}

// TestBackfillIsCancelled: what has begun ends, what waits is failed and nobody runs it, not the next leader either; another
// backfill takes it up.
func TestBackfillIsCancelled(t *testing.T) {
	p := daily("fetch", "clean")
	p.Start, p.End = day(16), day(16)
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", 10*time.Second))
		stop := h.serve(scheduler.Options{ID: "a"})
		b := h.ask(wish(1, 15, engine.RerunNone)).Backfill
		h.becomes(id(1), "fetch", run.Running)
		h.ask(scheduler.Request{Kind: scheduler.ReqCancel, ID: b})
		h.ends(b, scheduler.BackfillCancelled)
		if r := h.runs(store.RunFilter{IDs: []string{id(2)}})[0]; r.State != run.Failed || !strings.Contains(r.Reason, "was cancelled by ann") {
			t.Errorf("%+v", r)
		}
		h.reach(id(1), run.Success)
		stop()
		h.serve(scheduler.Options{ID: "b"})
		h.wait(10 * time.Second)
		h.want("executed", h.took(), "01 fetch, 01 clean")
		if _, err := h.tryTo(scheduler.Request{Kind: scheduler.ReqCancel, ID: b}); err == nil || !strings.Contains(err.Error(), "No such backfill") {
			t.Errorf("a second time: %v", err)
		}
		h.act(nil)
		h.ends(h.ask(wish(1, 3, engine.RerunFailed)).Backfill, scheduler.BackfillDone)
		h.want("executed", h.took(), "02 fetch, 02 clean, 03 fetch, 03 clean")
		if len(h.runs(store.RunFilter{States: []run.State{run.Queued, run.Running}})) > 0 {
			t.Error("runs are open")
		}
		if alerts, err := h.store.Alerts(h.Context(), 0); err != nil || len(alerts) > 0 {
			t.Errorf("%+v %v", alerts, err)
		}
	}, p)
}

func TestBackfillGoesOnWithANewLeader(t *testing.T) {
	p := daily("fetch", "clean")
	p.Start, p.End = day(16), day(16)
	inHouse(t, func(h *house) {
		h.act(lasts("fetch", 2*time.Second))
		stop := h.serve(scheduler.Options{ID: "a"})
		b := h.ask(wish(1, 6, engine.RerunNone)).Backfill
		h.reach(id(2), run.Success)
		stop()
		h.serve(scheduler.Options{ID: "b"})
		h.ends(b, scheduler.BackfillDone)
		for d := 1; d <= 6; d++ {
			if s := h.task(id(d), "clean"); s.State != run.Success || s.Attempt != 1 {
				t.Errorf("%+v", s)
			}
		}
		h.until("the reasons' end", func() bool { r := h.reasons(id(5)); return len(r) > 1 && r[len(r)-1] == "" })
	}, p)
}

// TestBackfillKeepsItsBatch: days that a person asked to be executed alone are so under the next leader as well.
func TestBackfillKeepsItsBatch(t *testing.T) {
	p := daily("fetch", "clean")
	p.Start, p.End, p.MaxActiveRuns = day(16), day(16), 0
	p.Tasks[1].Batch = true
	inHouse(t, func(h *house) {
		most := 0
		h.act(func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			h.mu.Lock()
			most = max(most, len(w.Runs))
			h.mu.Unlock()
			return engine.Outcome{}, shifted{}.Sleep(ctx, 2*time.Second)
		})
		r := wish(1, 6, engine.RerunNone)
		r.Backfill.Batch = 1
		stop := h.serve(scheduler.Options{ID: "a"})
		b := h.ask(r).Backfill
		h.becomes(id(1), "fetch", run.Running)
		stop()
		h.serve(scheduler.Options{ID: "b"})
		h.ends(b, scheduler.BackfillDone)
		if most != 1 {
			t.Errorf("%d days were executed at once", most)
		}
	}, p)
}
