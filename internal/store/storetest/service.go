package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"damson/internal/model"
	"damson/internal/run"
	"damson/internal/store"
)

func commit(t *testing.T, s *store.Store, b store.Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// got gives a result without its error.
func got[T any](t *testing.T) func(result T, err error) T {
	return func(result T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

func testUnfitText(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	const bad, good = "a\x00b\xffc", "a␀b\uFFFDc"
	c := run.Change{RunID: r[0].ID, Task: "x", From: run.Scheduled, To: run.Failed, At: clock, Reason: bad, Result: json.RawMessage(`"` + bad + `"`)}
	line := run.LogLine{Claim: run.Claim{RunID: r[0].ID, Task: "x", Attempt: 1}, At: clock, Level: "info", Text: bad}
	commit(t, s, store.Batch{Lines: []run.LogLine{line}, Changes: []run.Change{c}, Reasons: []store.Reason{{Subject: "p", At: clock, Text: bad}},
		Alerts: []store.Alert{{Pipeline: "p", At: clock, Kind: "failed", Text: bad}}})
	equal(t, "reason of the task", taskRun(t, s, r[0].ID, "x").Reason, good)
	equal(t, "line", got[[]run.LogLine](t)(s.Logs(t.Context(), r[0].ID, "x", 0))[0].Text, good)
	equal(t, "reason", got[[]store.Reason](t)(s.Reasons(t.Context(), "p"))[0].Text, good)
	equal(t, "alert", got[[]store.Alert](t)(s.Alerts(t.Context(), 0))[0].Text, good)
}

// fullBatch has something in every field; the message number done is dealt with.
func fullBatch(id string, done int64) store.Batch {
	at := func(n int) time.Time { return clock.Add(time.Duration(n) * time.Second) }
	r := daily("made", 2)
	return store.Batch{
		Lines: []run.LogLine{{Claim: run.Claim{RunID: id, Task: "x", Attempt: 1}, At: clock, Level: "info", Text: "begun"}},
		Runs:  []store.NewRun{{Run: r[0], Tasks: []string{"a", "b"}}, {Run: r[1]}},
		Tasks: []store.NewTasks{{RunID: r[1].ID, Tasks: []string{"c"}}, {RunID: id, Tasks: []string{"y"}}},
		Changes: []run.Change{
			{RunID: id, From: run.Queued, To: run.Running, At: clock},
			{RunID: id, Task: "x", From: run.Scheduled, To: run.Queued, At: clock},
			{RunID: id, Task: "y", From: run.Scheduled, To: run.Skipped, At: clock},
			{RunID: r[0].ID, Task: "a", From: run.Scheduled, To: run.Queued, At: clock},
		},
		Pipelines: []store.PipelineState{{Name: "p", Paused: true, PausedBy: "lee", PausedAt: clock, Cursor: day0, Consumed: 7}, {Name: "a"}},
		Backfills: []store.Backfill{{ID: "b2", Pipeline: "p", State: "open", Body: []byte(`{}`), Created: at(1)},
			{ID: "b1", Pipeline: "p", State: "done", Body: []byte(`{"n":1}`), Created: clock, Ended: at(2)}},
		Updates: []store.DatasetUpdate{{Dataset: "s.t", RunID: id, Task: "x", Start: day0, End: day0.AddDate(0, 0, 1), At: clock},
			{Dataset: "s.u", RunID: id, Task: "y", Start: day0, End: day0, At: at(1)}},
		Reasons: []store.Reason{{Subject: id, At: clock, Text: "waits"}, {Subject: id + " x", At: at(1), Text: "no slot"},
			{Subject: id + "2 x", At: at(1), Text: "another run's"}, {Subject: id + " x", At: at(2), Text: ""}},
		Alerts: []store.Alert{{At: clock, Pipeline: "p", RunID: id, Kind: "deadline", Text: "late"}, {At: at(1), Pipeline: "p", Kind: "project", Text: "bad"}},
		Done:   []int64{done},
		Send:   []store.Message{{Recipient: "w", Sender: "l", Kind: "assign", Body: []byte(`{"t":1}`), At: clock}},
	}
}

func testBatch(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	if err := s.Send(t.Context(), store.Message{Recipient: "leader", At: clock}); err != nil {
		t.Fatal(err)
	}
	done := got[[]store.Message](t)(s.Receive(t.Context(), "leader", 0))[0].ID
	b := fullBatch(r[0].ID, done)
	commit(t, s, b)

	id, made := r[0].ID, b.Runs[0].ID
	equal(t, "lines", got[[]run.LogLine](t)(s.Logs(t.Context(), id, "x", 1)), b.Lines)
	equal(t, "task runs", got[[]run.TaskRun](t)(s.TaskRuns(t.Context(), id, made, b.Runs[1].ID)), []run.TaskRun{
		{RunID: made, Task: "a", State: run.Queued, Queued: clock}, {RunID: made, Task: "b", State: run.Scheduled},
		{RunID: id, Task: "x", State: run.Queued, Queued: clock}, {RunID: id, Task: "y", State: run.Skipped, Ended: clock},
		{RunID: b.Runs[1].ID, Task: "c", State: run.Scheduled},
	})
	equal(t, "state of the run", listRuns(t, s, store.RunFilter{Pipeline: "p"})[0].State, run.Running)
	equal(t, "pipelines", got[[]store.PipelineState](t)(s.PipelineStates(t.Context())), []store.PipelineState{b.Pipelines[1], b.Pipelines[0]})
	equal(t, "backfills", got[[]store.Backfill](t)(s.Backfills(t.Context(), false)), []store.Backfill{b.Backfills[1], b.Backfills[0]})
	equal(t, "open backfills", got[[]store.Backfill](t)(s.Backfills(t.Context(), true)), b.Backfills[:1])
	equal(t, "left messages", got[[]store.Message](t)(s.Receive(t.Context(), "leader", 0)), []store.Message(nil))
	sent := got[[]store.Message](t)(s.Receive(t.Context(), "w", 0))
	b.Send[0].ID = sent[0].ID
	equal(t, "messages", sent, b.Send)
	checkRecords(t, s, b)

	commit(t, s, store.Batch{Pipelines: []store.PipelineState{{Name: "p"}}, Backfills: []store.Backfill{{ID: "b2", State: "cancelled", Created: clock}},
		Runs: []store.NewRun{{Run: b.Runs[0].Run, Tasks: []string{"z"}}}})
	equal(t, "all fields of a pipeline are written", got[[]store.PipelineState](t)(s.PipelineStates(t.Context()))[1], store.PipelineState{Name: "p"})
	equal(t, "all fields of a backfill are written", got[[]store.Backfill](t)(s.Backfills(t.Context(), false))[1],
		store.Backfill{ID: "b2", State: "cancelled", Created: clock})
	equal(t, "tasks of a run that was there", len(got[[]run.TaskRun](t)(s.TaskRuns(t.Context(), made))), 2)
}

// checkRecords compares updates, reasons and alerts of fullBatch.
func checkRecords(t *testing.T, s *store.Store, b store.Batch) {
	t.Helper()
	updates := got[[]store.DatasetUpdate](t)(s.DatasetUpdates(t.Context(), 0, 0))
	for i := range updates {
		b.Updates[i].ID = updates[i].ID
	}
	equal(t, "updates", updates, b.Updates)
	equal(t, "first update", got[[]store.DatasetUpdate](t)(s.DatasetUpdates(t.Context(), 0, 1)), b.Updates[:1])
	equal(t, "later updates", got[[]store.DatasetUpdate](t)(s.DatasetUpdates(t.Context(), updates[0].ID, 10)), b.Updates[1:])

	id := b.Lines[0].RunID
	equal(t, "reasons", got[[]store.Reason](t)(s.Reasons(t.Context(), id+" x", id, id)), []store.Reason{b.Reasons[0], b.Reasons[1], b.Reasons[3]})
	equal(t, "no reasons", len(got[[]store.Reason](t)(s.Reasons(t.Context(), "none"))), 0)
	equal(t, "latest reasons", got[[]store.Reason](t)(s.ReasonsOf(t.Context(), id)), []store.Reason{b.Reasons[0], b.Reasons[3]})
	latest := map[string]store.Reason{}
	for _, r := range b.Reasons {
		latest[r.Subject] = r
	}
	var standing []store.Reason
	for _, subject := range slices.Sorted(maps.Keys(latest)) {
		if latest[subject].Text != "" {
			standing = append(standing, latest[subject])
		}
	}
	equal(t, "standing reasons", got[[]store.Reason](t)(s.StandingReasons(t.Context())), standing)

	alerts := got[[]store.Alert](t)(s.Alerts(t.Context(), 0))
	if len(alerts) != 2 || alerts[0].ID <= alerts[1].ID {
		t.Fatalf("alerts are %+v, want two, the newest first", alerts)
	}
	b.Alerts[0].ID, b.Alerts[1].ID = alerts[1].ID, alerts[0].ID
	equal(t, "alerts", alerts, []store.Alert{b.Alerts[1], b.Alerts[0]})
	equal(t, "latest alert", got[[]store.Alert](t)(s.Alerts(t.Context(), 1)), b.Alerts[1:])
}

// nothing reports what a batch has left though it was refused.
func nothing(t *testing.T, s *store.Store, id string) {
	t.Helper()
	ctx := t.Context()
	counts := map[string]int{
		"runs":      len(got[[]run.Run](t)(s.Runs(ctx, store.RunFilter{Pipeline: "made"}))),
		"lines":     len(got[[]run.LogLine](t)(s.Logs(ctx, id, "x", 0))),
		"changes":   len(got[[]run.Change](t)(s.History(ctx, id, "x"))),
		"pipelines": len(got[[]store.PipelineState](t)(s.PipelineStates(ctx))),
		"backfills": len(got[[]store.Backfill](t)(s.Backfills(ctx, false))),
		"updates":   len(got[[]store.DatasetUpdate](t)(s.DatasetUpdates(ctx, 0, 0))),
		"reasons":   len(got[[]store.Reason](t)(s.ReasonsOf(ctx, id))),
		"alerts":    len(got[[]store.Alert](t)(s.Alerts(ctx, 0))),
		"messages":  len(got[[]store.Message](t)(s.Receive(ctx, "w", 0))),
		"tasks":     len(got[[]run.TaskRun](t)(s.TaskRuns(ctx, id))) - 1,
	}
	for what, n := range counts {
		if n != 0 {
			t.Errorf("a refused batch has left %d %s", n, what)
		}
	}
	equal(t, "state", taskRun(t, s, id, "x").State, run.Scheduled)
}

func testBatchRefused(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	late := fullBatch(r[0].ID, 0)
	bad := run.Change{RunID: r[0].ID, Task: "x", From: run.Running, To: run.Success, At: clock}
	late.Changes = append(late.Changes, bad, run.Change{RunID: r[0].ID, Task: "x", From: run.Queued, To: run.Running, At: clock})
	var stale *store.StaleError
	if err := s.Commit(t.Context(), late); !errors.As(err, &stale) {
		t.Fatalf("a change that does not fit gives %v", err)
	}
	equal(t, "what it met", *stale, store.StaleError{Change: bad, State: run.Queued}) // what follows it was not done
	nothing(t, s, r[0].ID)

	missing := fullBatch(r[0].ID, 0)
	missing.Tasks = []store.NewTasks{{RunID: "none", Tasks: []string{"x"}}}
	if err := s.Commit(t.Context(), missing); err == nil {
		t.Error("a run that does not exist gained a task")
	}
	nothing(t, s, r[0].ID)
}

func lead(t *testing.T, s *store.Store, holder string) store.Lease {
	t.Helper()
	l, took, err := s.Lead(t.Context(), got[store.Lease](t)(s.Lease(t.Context())), holder)
	if err != nil || !took {
		t.Fatalf("%s does not lead: %+v, %v", holder, l, err)
	}
	return l
}

func testFence(t *testing.T, open Open) {
	one, two := start(t, open), start(t, open)
	r := daily("p", 1)
	create(t, one, r, "x")
	first := lead(t, one, "one")
	second := lead(t, two, "two")
	for _, fence := range []int64{first.Token, second.Token + 1} {
		b := fullBatch(r[0].ID, 0)
		b.Fence = fence
		if err := one.Commit(t.Context(), b); !errors.Is(err, store.ErrDeposed) {
			t.Errorf("with token %d of %d: %v, want ErrDeposed", fence, second.Token, err)
		}
		nothing(t, one, r[0].ID)
	}
	b := fullBatch(r[0].ID, 0)
	b.Fence = second.Token
	commit(t, two, b)
	commit(t, one, store.Batch{Alerts: []store.Alert{{At: clock}}}) // without a fence anybody may
	equal(t, "alerts", len(got[[]store.Alert](t)(two.Alerts(t.Context(), 0))), 3)
}

func testContenders(t *testing.T, open Open) {
	stores := []*store.Store{start(t, open), start(t, open)}
	const contenders, rounds = 8, 5
	for range rounds {
		seen := got[store.Lease](t)(stores[0].Lease(t.Context()))
		var wg sync.WaitGroup
		leases := make([]store.Lease, contenders)
		took := make([]bool, contenders)
		errs := make([]error, contenders)
		for i := range contenders {
			wg.Go(func() {
				leases[i], took[i], errs[i] = stores[i%2].Lead(context.Background(), seen, fmt.Sprint("process ", i))
			})
		}
		wg.Wait()
		now := got[store.Lease](t)(stores[1].Lease(t.Context()))
		winners := 0
		for i := range contenders {
			if errs[i] != nil {
				t.Error(errs[i])
			}
			if took[i] {
				winners++
				equal(t, "the winner's lease", now, store.Lease{Holder: fmt.Sprint("process ", i), Token: seen.Token + 1, Beat: seen.Beat + 1})
			}
			equal(t, "lease", leases[i], now)
		}
		equal(t, "winners", winners, 1)
	}
}

func testLease(t *testing.T, open Open) {
	s := start(t, open)
	ctx := t.Context()
	equal(t, "at first", got[store.Lease](t)(s.Lease(ctx)), store.Lease{})
	one := lead(t, s, "one")
	equal(t, "taken", one, store.Lease{Holder: "one", Token: 1, Beat: 1})
	next := got[store.Lease](t)(s.BeatLease(ctx, one))
	equal(t, "kept", next, store.Lease{Holder: "one", Token: 1, Beat: 2})
	if l, took, err := s.Lead(ctx, one, "two"); err != nil || took || l != next {
		t.Errorf("a lease that has beaten since was taken: %+v, %v, %v", l, took, err)
	}
	two := lead(t, s, "two")
	if _, err := s.BeatLease(ctx, next); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("the old leader kept its lease: %v", err)
	}
	if err := s.Resign(ctx, next); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("the old leader gave up another's lease: %v", err)
	}
	if err := s.Resign(ctx, two); err != nil {
		t.Fatal(err)
	}
	equal(t, "given up", got[store.Lease](t)(s.Lease(ctx)), store.Lease{Token: 3, Beat: two.Beat})
	if err := s.Commit(ctx, store.Batch{Fence: two.Token, Alerts: []store.Alert{{At: clock}}}); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("a leader that resigned writes: %v", err)
	}
	equal(t, "taken again", lead(t, s, "one"), store.Lease{Holder: "one", Token: 4, Beat: two.Beat + 1})
}

// testDeposedWhileWriting has leaders that write as fast as they can while they depose one another: each alert says which
// token wrote it, and none may stand behind one of a later token.
func testDeposedWhileWriting(t *testing.T, open Open) {
	stores := []*store.Store{start(t, open), start(t, open)}
	const turns = 15
	done := make(chan error, 2)
	for i, s := range stores {
		go func() {
			done <- func() error {
				ctx := context.Background()
				for range turns {
					seen, err := s.Lease(ctx)
					if err != nil {
						return err
					}
					l, took, err := s.Lead(ctx, seen, fmt.Sprint("process ", i))
					if err != nil {
						return err
					}
					for n := 0; took && n < 20; n++ {
						err := s.Commit(ctx, store.Batch{Fence: l.Token, Alerts: []store.Alert{{At: clock.Add(time.Duration(l.Token) * time.Second)}}})
						if errors.Is(err, store.ErrDeposed) {
							break
						}
						if err != nil {
							return err
						}
					}
				}
				return nil
			}()
		}()
	}
	for range stores {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	alerts := got[[]store.Alert](t)(stores[0].Alerts(t.Context(), 0))
	for i := 1; i < len(alerts); i++ { // newest first
		if alerts[i].At.After(alerts[i-1].At) {
			t.Fatalf("alert %d was written by a leader that had been deposed before alert %d", alerts[i-1].ID, alerts[i].ID)
		}
	}
	if len(alerts) == 0 {
		t.Error("nobody has written")
	}
}

func testProcesses(t *testing.T, open Open) {
	s, other := start(t, open), start(t, open)
	ctx := t.Context()
	a := store.Process{ID: "a", Host: "h", PID: 12, Started: clock.Add(time.Second), Beat: 1, Slots: 4, Leads: true, Address: "1.2.3.4:80", Version: "v1"}
	b := store.Process{ID: "b", Started: clock, Beat: 1, Warehouse: true}
	for _, p := range []store.Process{a, b} {
		if err := s.Register(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "processes", got[[]store.Process](t)(other.Processes(ctx)), []store.Process{b, a})
	if err := s.BeatProcess(ctx, "a", true); err != nil {
		t.Fatal(err)
	}
	a.Beat, a.Warehouse = 2, true
	equal(t, "after a beat", got[[]store.Process](t)(other.Processes(ctx)), []store.Process{b, a})
	a.Slots, a.Warehouse = 0, false
	if err := s.Register(ctx, a); err != nil {
		t.Fatal(err)
	}
	a.Beat = 3
	equal(t, "registered again", got[[]store.Process](t)(other.Processes(ctx)), []store.Process{b, a})
	for range 2 {
		if err := other.Unregister(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.BeatProcess(ctx, "a", false); !errors.Is(err, store.ErrUnregistered) {
		t.Errorf("a removed process beats: %v", err)
	}
	equal(t, "left", got[[]store.Process](t)(s.Processes(ctx)), []store.Process{b})
}

func testMessages(t *testing.T, open Open) {
	s, other := start(t, open), start(t, open)
	ctx := t.Context()
	want := map[string][]string{}
	for i := range 40 {
		from, to := s, fmt.Sprint("w", i%2)
		if i%3 == 0 {
			from = other
		}
		kind := fmt.Sprint(i)
		if err := from.Send(ctx, store.Message{Recipient: to, Sender: "x", Kind: kind, Body: []byte(kind), At: clock},
			store.Message{Recipient: to, Kind: kind + "b", At: clock}); err != nil {
			t.Fatal(err)
		}
		want[to] = append(want[to], kind, kind+"b")
	}
	equal(t, "recipients", got[[]string](t)(other.Recipients(ctx)), []string{"w0", "w1"})
	for to, kinds := range want {
		messages := got[[]store.Message](t)(other.Receive(ctx, to, 0))
		var have []string
		for _, m := range messages {
			have = append(have, m.Kind)
		}
		equal(t, "messages of "+to, have, kinds)
		equal(t, "first", messages[0], store.Message{ID: messages[0].ID, Recipient: to, Sender: "x", Kind: kinds[0], Body: []byte(kinds[0]), At: clock})
		equal(t, "after the third", len(got[[]store.Message](t)(s.Receive(ctx, to, messages[2].ID))), len(kinds)-3)
	}
	var ids []int64
	for _, m := range got[[]store.Message](t)(s.Receive(ctx, "w0", 0)) {
		ids = append(ids, m.ID)
	}
	all := append(got[[]store.Message](t)(s.Receive(ctx, "w1", 0)), store.Message{ID: ids[0]})
	if err := s.Drop(ctx, append(ids, ids[0], 1<<40)...); err != nil {
		t.Fatal(err)
	}
	equal(t, "after dropping", len(got[[]store.Message](t)(other.Receive(ctx, "w0", 0))), 0)
	for _, m := range all {
		if err := s.Drop(ctx, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Send(ctx, store.Message{Recipient: "w0", At: clock}); err != nil {
		t.Fatal(err)
	}
	if m := got[[]store.Message](t)(s.Receive(ctx, "w0", 0)); len(m) != 1 || m[0].ID <= all[len(all)-2].ID {
		t.Errorf("the next message is %+v: its ID was given before", m)
	}
	for range 3 {
		if err := s.Send(ctx, make([]store.Message, 400)...); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "received at once", len(got[[]store.Message](t)(s.Receive(ctx, "", 0))), 1000)
}

func testWake(t *testing.T, open Open) {
	s, other := start(t, open), start(t, open)
	woken := got[<-chan struct{}](t)(s.Wake(t.Context()))
	seen := int64(0)
	for i := range 6 {
		from := s
		if i%2 == 1 {
			from = other
		}
		m := store.Message{Recipient: "w", At: clock}
		var err error
		if i < 3 {
			err = from.Send(t.Context(), m)
		} else {
			err = from.Commit(t.Context(), store.Batch{Send: []store.Message{m}})
		}
		if err != nil {
			t.Fatal(err)
		}
		for { // there may be signals without a message
			<-woken
			if messages := got[[]store.Message](t)(s.Receive(t.Context(), "w", seen)); len(messages) > 0 {
				seen = messages[0].ID
				break
			}
		}
	}
}

func testWakeEnds(t *testing.T, open Open) {
	s := start(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	one, two := got[<-chan struct{}](t)(s.Wake(ctx)), got[<-chan struct{}](t)(s.Wake(t.Context()))
	cancel()
	for range one {
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range two {
	}
	if _, err := s.Wake(t.Context()); err == nil {
		t.Error("a closed store waits")
	}
}

func testSnapshots(t *testing.T, open Open) {
	s := start(t, open)
	archive := []byte{0, 1, 2, 255}
	for _, a := range [][]byte{archive, []byte("other")} {
		if err := s.SaveSnapshot(t.Context(), "v1", a); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "snapshot", got[[]byte](t)(start(t, open).Snapshot(t.Context(), "v1")), archive)
	equal(t, "none", got[[]byte](t)(s.Snapshot(t.Context(), "v2")), []byte(nil))
}

func testVersionsOfTwo(t *testing.T, open Open) {
	stores := []*store.Store{start(t, open), start(t, open)}
	const each = 8
	var wg sync.WaitGroup
	for i := range 2 * each {
		wg.Go(func() {
			s := stores[i%2]
			for added := false; !added; { // until no other has become champion in between
				before, err := s.Version(context.Background(), "walk", 0)
				champion := 0
				if before != nil {
					champion = before.Number
				}
				if err == nil {
					_, added, err = s.AddVersion(context.Background(), model.Version{Model: "walk", State: model.Champion, Created: clock}, champion)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	versions := got[[]model.Version](t)(stores[0].Versions(t.Context(), "walk"))
	champions := 0
	for i, v := range versions {
		equal(t, "number", v.Number, 2*each-i)
		if v.State == model.Champion {
			champions++
		}
	}
	equal(t, "versions", len(versions), 2*each)
	equal(t, "champions", champions, 1)
}
