package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"damson/internal/pipeline"
	"damson/internal/run"
)

// starter starts runs as a scheduler does: once for each claim.
type starter struct {
	*past
	now   func() time.Time
	asked []string
	known map[run.Claim]string
	err   error
}

func (s *starter) Start(_ context.Context, name string, date time.Time, params map[string]any, by run.Claim) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	if id := s.known[by]; id != "" {
		return id, nil
	}
	id := run.NewID(name, date)
	s.asked = append(s.asked, fmt.Sprintf("%s %v by attempt %d", id, params, by.Attempt))
	s.runs = []run.Run{{ID: id, Pipeline: name, Start: date, State: run.Queued}}
	s.known[by] = id
	return id, nil
}

func openTrigger(t *testing.T) (*shop, *starter, *stopped) {
	s := openKinds(t, nil)
	clk := &stopped{time.Date(2007, 4, 13, 5, 0, 0, 0, time.UTC)}
	st := &starter{past: &past{}, now: clk.Now, known: map[run.Claim]string{}}
	s.of.Clock, s.of.Past, s.of.Starter = clk, st.past, st
	return s, st, clk
}

// TestTrigger starts the run whose data interval holds this run's start, or the date, with parameters of the declared kinds.
func TestTrigger(t *testing.T) {
	t.Parallel()
	s, st, _ := openTrigger(t)
	for _, c := range []struct {
		trigger      pipeline.Trigger
		asked, wants string
	}{
		{pipeline.Trigger{Pipeline: "weekly"}, "weekly@2007-04-08 map[] by attempt 1", `{"run_id":"weekly@2007-04-08"}`},
		{pipeline.Trigger{Pipeline: "weekly", Date: "{{ macros.ds_add(ds, -7) }}", Params: map[string]string{"n": "{{ 3 + 4 }}", "text": "7", "full": "True"}},
			"weekly@2007-04-01 map[full:true n:7 text:7] by attempt 2", `{"run_id":"weekly@2007-04-01"}`},
		{pipeline.Trigger{Pipeline: "byhand", Date: "2007-04-12 06:30"}, "byhand@2007-04-12T06:30:00 map[] by attempt 3", `{"run_id":"byhand@2007-04-12T06:30:00"}`},
	} {
		w, _ := work(&pipeline.Task{Kind: pipeline.TriggerTask, Trigger: &c.trigger})
		w.Claims[0].Attempt = len(st.asked) + 1
		if got := s.result(w); got != c.wants || st.asked[len(st.asked)-1] != c.asked {
			t.Errorf("%s, asked %s; want %s, %s", got, st.asked, c.wants, c.asked)
		}
	}
	w, _ := work(&pipeline.Task{Kind: pipeline.TriggerTask, Trigger: &pipeline.Trigger{Pipeline: "weekley"}})
	s.fails(w, true, "Unknown pipeline", "weekly")
	w, _ = work(&pipeline.Task{Kind: pipeline.TriggerTask, Trigger: &pipeline.Trigger{Pipeline: "weekly", Date: "soon"}})
	s.fails(w, true, `"soon"`)
	s.of.Starter = nil
	w, _ = work(&pipeline.Task{Kind: pipeline.TriggerTask, Trigger: &pipeline.Trigger{Pipeline: "weekly"}})
	s.fails(w, true, "damson serve")
}

// TestTriggerThatWaits ends as the run ends that it asked for, not as one that had ended before.
func TestTriggerThatWaits(t *testing.T) {
	t.Parallel()
	s, st, clk := openTrigger(t)
	w, _ := work(&pipeline.Task{Kind: pipeline.TriggerTask, Trigger: &pipeline.Trigger{Pipeline: "weekly", Wait: true}})
	w.Since = clk.now
	start := time.Date(2007, 4, 8, 0, 0, 0, 0, time.UTC)
	st.runs = []run.Run{{ID: "weekly@2007-04-08", Pipeline: "weekly", Start: start, State: run.Success, Ended: clk.now.Add(-time.Hour)}}
	look := func(state run.State, want string) {
		t.Helper()
		if state != "" {
			st.runs[0].State = state
		}
		o, err := s.execute(w)
		if got := fmt.Sprint(o.Again, " ", o.Waits, " ", o.Result, " ", err); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	look("", "100ms run weekly@2007-04-08 is queued <nil> <nil>")
	look(run.Running, "100ms run weekly@2007-04-08 is running <nil> <nil>")
	st.runs[0].Ended = clk.now.Add(-time.Hour) // of a leader whose clock is late
	look(run.Success, "0s  {weekly@2007-04-08} <nil>")
	st.runs[0].Ended = clk.now.Add(time.Minute)
	look(run.Success, "0s  {weekly@2007-04-08} <nil>")
	if len(st.asked) != 1 {
		t.Errorf("it asked %v", st.asked)
	}
	st.runs[0].State, st.runs[0].Reason = run.Failed, "1 task failed"
	s.fails(w, false, "Run weekly@2007-04-08 is failed: 1 task failed.", "damson why weekly@2007-04-08")
	w.Claims[0].Attempt, w.Since = 2, clk.now.Add(time.Hour)
	look("", "100ms run weekly@2007-04-08 is queued <nil> <nil>")
	st.err = errors.New("no leader")
	look("", "0s  <nil> no leader")
}
