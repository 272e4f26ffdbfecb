// Package storetest is the conformance suite of the stores: what package store promises, proved on a database. Its central
// function is Run; every driver's tests call it. It tests through store.Store only and knows no database.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/driver"
)

// Open opens one database, the same one each time; the first time it is empty.
type Open func(t *testing.T) driver.DB

// Run tests a driver. fresh makes a new empty database for each test.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	tests := []struct {
		name string
		test func(t *testing.T, open Open)
	}{
		{"runs are made once for a data interval", testCreateRuns},
		{"runs are found by every part of a filter", testRunFilter},
		{"params keep their types", testParams},
		{"a task run's times follow from its states", testTimes},
		{"a run's times follow from its states", testRunTimes},
		{"changes that do not fit change nothing", testStale},
		{"an older claim cannot write", testToken},
		{"every change is in the history", testHistory},
		{"one changes after another in one call", testChain},
		{"a run gains tasks", testAddTasks},
		{"lines come back in order", testLogs},
		{"lines and changes are recorded together or not at all", testRecord},
		{"a cleared run takes the version it is given", testClearedVersion},
		{"thousands of runs at once", testMany},
		{"callers have their own errors", testConcurrent},
		{"a call that was given up writes nothing", testCancelled},
		{"everything is there after reopening", testReopen},
		{"a newer schema is refused", testNewerSchema},
		{"a closed store says so", testClosed},
		{"versions are numbered and kept", testVersions},
		{"there is one champion", testChampion},
		{"an alias names one version", testAliases},
		{"aliases are set by many at once", testAliasesOfMany},
		{"text that a database may refuse", testUnfitText},
		{"all parts of a batch are written", testBatch},
		{"a batch is written together or not at all", testBatchRefused},
		{"a batch is written while its fence holds", testFence},
		{"one of many takes the lease", testContenders},
		{"a lease is kept, given up and taken", testLease},
		{"no batch of a deposed leader slips through", testDeposedWhileWriting},
		{"processes beat until they are removed", testProcesses},
		{"messages come in order", testMessages},
		{"who waits is woken", testWake},
		{"waiting ends", testWakeEnds},
		{"snapshots are kept once", testSnapshots},
		{"two processes number versions", testVersionsOfTwo},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, fresh(t))
		})
	}
}

// start opens a store that is closed at the end of the test.
func start(t *testing.T, open Open) *store.Store {
	t.Helper()
	s, err := store.New(t.Context(), open(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var (
	day0  = time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	clock = time.Date(2026, 1, 2, 3, 4, 5, 6_000, time.UTC) // with microseconds
)

// daily makes n runs of a pipeline, one a day from day0.
func daily(pipeline string, n int) []run.Run {
	runs := make([]run.Run, n)
	for i := range runs {
		at := day0.AddDate(0, 0, i)
		runs[i] = run.Run{ID: run.NewID(pipeline, at), Pipeline: pipeline, Trigger: "backfill", Start: at, End: at.AddDate(0, 0, 1),
			State: run.Queued, Version: "v1", Created: clock}
	}
	return runs
}

func create(t *testing.T, s *store.Store, runs []run.Run, tasks ...string) {
	t.Helper()
	if n, err := s.CreateRuns(t.Context(), runs, tasks); err != nil || n != len(runs) {
		t.Fatalf("CreateRuns made %d of %d runs: %v", n, len(runs), err)
	}
}

func apply(t *testing.T, s *store.Store, changes ...run.Change) {
	t.Helper()
	if err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
}

func listRuns(t *testing.T, s *store.Store, f store.RunFilter) []run.Run {
	t.Helper()
	runs, err := s.Runs(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func taskRun(t *testing.T, s *store.Store, runID, task string) run.TaskRun {
	t.Helper()
	tasks, err := s.TaskRuns(t.Context(), runID)
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range tasks {
		if tr.Task == task {
			return tr
		}
	}
	t.Fatalf("run %s has no task %s", runID, task)
	return run.TaskRun{}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func testCreateRuns(t *testing.T, open Open) {
	s := start(t, open)
	runs := daily("geolife", 3)
	create(t, s, runs[:2], "clean", "fetch")
	equal(t, "runs", listRuns(t, s, store.RunFilter{}), runs[:2])
	apply(t, s, run.Change{RunID: runs[0].ID, Task: "fetch", From: run.Scheduled, To: run.Queued, At: clock})

	again := daily("geolife", 3)
	again[0].Version, again[0].ID = "v2", "another-id"
	if n, err := s.CreateRuns(t.Context(), again, []string{"fetch"}); err != nil || n != 1 {
		t.Errorf("CreateRuns made %d runs (%v), want the one that is new", n, err)
	}
	equal(t, "runs", listRuns(t, s, store.RunFilter{}), runs)
	tasks, err := s.TaskRuns(t.Context(), runs[2].ID, runs[0].ID, runs[1].ID, runs[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "task runs", tasks, []run.TaskRun{
		{RunID: runs[0].ID, Task: "clean", State: run.Scheduled}, {RunID: runs[0].ID, Task: "fetch", State: run.Queued, Queued: clock},
		{RunID: runs[1].ID, Task: "clean", State: run.Scheduled}, {RunID: runs[1].ID, Task: "fetch", State: run.Scheduled},
		{RunID: runs[2].ID, Task: "fetch", State: run.Scheduled},
	})

	clash := daily("other", 1)
	clash[0].ID = runs[0].ID
	more := append(daily("third", 1), clash...)
	if n, err := s.CreateRuns(t.Context(), more, nil); err == nil || n != 0 {
		t.Errorf("a second run with the id of another was taken (%d made)", n)
	}
	if got := listRuns(t, s, store.RunFilter{Pipeline: "third"}); len(got) != 0 {
		t.Errorf("half of a refused call is stored: %v", got)
	}
}

func testRunFilter(t *testing.T, open Open) {
	s := start(t, open)
	a, b := daily("a", 4), daily("b", 2)
	create(t, s, a, "x")
	create(t, s, b, "x")
	apply(t, s, run.Change{RunID: a[1].ID, From: run.Queued, To: run.Running, At: clock})
	names := func(runs []run.Run) (ids []string) {
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		return ids
	}
	tests := []struct {
		name   string
		filter store.RunFilter
		want   []run.Run
	}{
		{"all", store.RunFilter{}, []run.Run{a[0], b[0], a[1], b[1], a[2], a[3]}},
		{"newest", store.RunFilter{Newest: true, Limit: 3}, []run.Run{a[3], a[2], b[1]}},
		{"pipeline", store.RunFilter{Pipeline: "b"}, b},
		{"states", store.RunFilter{States: []run.State{run.Running, run.Failed}}, a[1:2]},
		{"bounds are included", store.RunFilter{Pipeline: "a", From: a[1].Start, To: a[2].Start}, a[1:3]},
		{"ids", store.RunFilter{IDs: []string{a[3].ID, b[0].ID, b[0].ID, "none"}}, []run.Run{b[0], a[3]}},
		{"no ids", store.RunFilter{IDs: []string{}}, nil},
		{"limit", store.RunFilter{Limit: 1}, a[:1]},
		{"unknown", store.RunFilter{Pipeline: "c"}, nil},
	}
	for _, tt := range tests {
		equal(t, tt.name, names(listRuns(t, s, tt.filter)), names(tt.want))
	}
}

func testParams(t *testing.T, open Open) {
	s := start(t, open)
	runs := daily("p", 1)
	runs[0].Params = map[string]any{"n": int64(5), "x": 2.5, "s": "text", "b": true, "l": []any{int64(1), "two"}, "o": map[string]any{"k": nil}}
	runs[0].Reason = "asked for by hand"
	create(t, s, runs)
	equal(t, "run", listRuns(t, s, store.RunFilter{}), runs)
}

func testTimes(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	at := func(n int) time.Time { return clock.Add(time.Duration(n) * time.Minute) }
	base := run.TaskRun{RunID: r[0].ID, Task: "x"}
	steps := []struct {
		to   run.State
		want func(tr *run.TaskRun)
	}{
		{run.Queued, func(tr *run.TaskRun) { tr.Queued = at(1) }},
		{run.Running, func(tr *run.TaskRun) { tr.Queued, tr.Started = at(1), at(2) }},
		{run.UpForRetry, func(tr *run.TaskRun) { tr.Queued, tr.Started, tr.Ended = at(1), at(2), at(3) }},
		{run.Queued, func(tr *run.TaskRun) { tr.Queued = at(4) }},
		{run.Running, func(tr *run.TaskRun) { tr.Queued, tr.Started = at(4), at(5) }},
		{run.Deferred, func(tr *run.TaskRun) { tr.Queued, tr.Started = at(4), at(5) }},
		{run.Success, func(tr *run.TaskRun) { tr.Queued, tr.Started, tr.Ended = at(4), at(5), at(7) }},
		{run.Scheduled, func(tr *run.TaskRun) {}},
		{run.Skipped, func(tr *run.TaskRun) { tr.Ended = at(9) }},
	}
	from := run.Scheduled
	for i, step := range steps {
		c := run.Change{RunID: r[0].ID, Task: "x", From: from, To: step.to, At: at(i + 1), Attempt: i, Failures: i / 2, Token: int64(i),
			Reason: fmt.Sprint("step ", i), Result: json.RawMessage(fmt.Sprintf(`{"rows": %d}`, i))}
		if i%2 == 0 {
			c.NotBefore = at(100 + i)
			c.Result = nil
		}
		apply(t, s, c)
		want := base
		want.State, want.Attempt, want.Failures, want.Token, want.NotBefore, want.Reason, want.Result = c.To, c.Attempt, c.Failures, c.Token, c.NotBefore, c.Reason, c.Result
		step.want(&want)
		equal(t, fmt.Sprintf("after step %d, %s", i, step.to), taskRun(t, s, r[0].ID, "x"), want)
		from = step.to
	}
}

func testRunTimes(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r)
	want := r[0]
	step := func(to run.State, minute int, started, ended time.Time) {
		t.Helper()
		apply(t, s, run.Change{RunID: want.ID, From: want.State, To: to, At: clock.Add(time.Duration(minute) * time.Minute), Reason: "because"})
		want.State, want.Started, want.Ended, want.Reason = to, started, ended, "because"
		equal(t, string(to), listRuns(t, s, store.RunFilter{}), []run.Run{want})
	}
	one, two := clock.Add(time.Minute), clock.Add(2*time.Minute)
	step(run.Running, 1, one, time.Time{})
	step(run.Failed, 2, one, two)
	step(run.Queued, 3, time.Time{}, time.Time{})
	step(run.Success, 2, time.Time{}, two)
}

func testStale(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x", "y")
	good := run.Change{RunID: r[0].ID, Task: "x", From: run.Scheduled, To: run.Queued, At: clock}
	tests := []struct {
		name string
		bad  run.Change
		want store.StaleError
	}{
		{"another state", run.Change{RunID: r[0].ID, Task: "y", From: run.Running, To: run.Success, At: clock}, store.StaleError{State: run.Scheduled}},
		{"another state of the run", run.Change{RunID: r[0].ID, From: run.Running, To: run.Success, At: clock}, store.StaleError{State: run.Queued}},
		{"no such task", run.Change{RunID: r[0].ID, Task: "z", From: run.Scheduled, To: run.Queued, At: clock}, store.StaleError{Missing: true}},
		{"no such run", run.Change{RunID: "none", From: run.Queued, To: run.Running, At: clock}, store.StaleError{Missing: true}},
	}
	for _, tt := range tests {
		err := s.Apply(t.Context(), []run.Change{good, tt.bad, good})
		var stale *store.StaleError
		if !errors.As(err, &stale) {
			t.Errorf("%s: Apply gives %v, want a StaleError", tt.name, err)
			continue
		}
		tt.want.Change = tt.bad
		equal(t, tt.name, *stale, tt.want)
	}
	equal(t, "task run", taskRun(t, s, r[0].ID, "x"), run.TaskRun{RunID: r[0].ID, Task: "x", State: run.Scheduled})
	if h, err := s.History(t.Context(), r[0].ID, "x"); err != nil || len(h) != 0 {
		t.Errorf("refused changes are in the history: %v, %v", h, err)
	}
	if err := s.Apply(t.Context(), nil); err != nil {
		t.Errorf("no changes: %v", err)
	}
}

func testToken(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	step := func(from, to run.State, token int64) run.Change {
		return run.Change{RunID: r[0].ID, Task: "x", From: from, To: to, At: clock, Attempt: 1, Token: token}
	}
	apply(t, s, step(run.Scheduled, run.Queued, 0), step(run.Queued, run.Running, 7))
	var stale *store.StaleError
	if err := s.Apply(t.Context(), []run.Change{step(run.Running, run.Success, 6)}); !errors.As(err, &stale) || stale.Token != 7 || stale.State != run.Running {
		t.Errorf("an older claim: %v, want a StaleError with claim 7", err)
	}
	apply(t, s, step(run.Running, run.Success, 7))
}

func testHistory(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 2)
	create(t, s, r, "x")
	var want []run.Change
	from := run.Scheduled
	for i, to := range []run.State{run.Queued, run.Running, run.UpForRetry, run.Queued, run.Running, run.Success} {
		c := run.Change{RunID: r[0].ID, Task: "x", From: from, To: to, Event: run.EventStarted, At: clock.Add(time.Duration(i) * time.Second), Attempt: i,
			Failures: i, Token: int64(i), Reason: "so", NotBefore: clock, Result: json.RawMessage(`{"rows": 3}`)}
		apply(t, s, run.Change{RunID: r[1].ID, Task: "x", From: from, To: to, At: clock}, c)
		want, from = append(want, c), to
	}
	got, err := s.History(t.Context(), r[0].ID, "x")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "history", got, want)
	started := run.Change{RunID: r[0].ID, From: run.Queued, To: run.Running, Event: run.EventStarted, At: clock}
	apply(t, s, started)
	if got, err = s.History(t.Context(), r[0].ID, ""); err != nil {
		t.Fatal(err)
	}
	equal(t, "the run's own history", got, []run.Change{started})
}

func testChain(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	id := r[0].ID
	apply(t, s,
		run.Change{RunID: id, From: run.Queued, To: run.Running, At: clock},
		run.Change{RunID: id, Task: "x", From: run.Scheduled, To: run.Queued, At: clock},
		run.Change{RunID: id, Task: "x", From: run.Queued, To: run.Running, At: clock, Attempt: 1, Token: 1},
		run.Change{RunID: id, Task: "x", From: run.Running, To: run.Success, At: clock, Attempt: 1, Token: 1})
	equal(t, "task run", taskRun(t, s, id, "x"), run.TaskRun{RunID: id, Task: "x", State: run.Success, Attempt: 1, Token: 1,
		Queued: clock, Started: clock, Ended: clock})
}

func testAddTasks(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	apply(t, s, run.Change{RunID: r[0].ID, Task: "x", From: run.Scheduled, To: run.Skipped, At: clock})
	if err := s.AddTasks(t.Context(), r[0].ID, []string{"y", "x", "z"}); err != nil {
		t.Fatal(err)
	}
	tasks, err := s.TaskRuns(t.Context(), r[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "task runs", tasks, []run.TaskRun{{RunID: r[0].ID, Task: "x", State: run.Skipped, Ended: clock},
		{RunID: r[0].ID, Task: "y", State: run.Scheduled}, {RunID: r[0].ID, Task: "z", State: run.Scheduled}})
	if err := s.AddTasks(t.Context(), "none", []string{"y"}); err == nil {
		t.Error("a run that does not exist gained a task")
	}
}

func testLogs(t *testing.T, open Open) {
	s := start(t, open)
	line := func(task string, attempt int, text string) run.LogLine {
		return run.LogLine{Claim: run.Claim{RunID: "r", Task: task, Attempt: attempt}, At: clock, Level: "info", Text: text}
	}
	a, b, c, d := line("x", 1, "one"), line("x", 2, "two"), line("y", 1, "other"), line("x", 1, "three\nlines ü")
	for _, lines := range [][]run.LogLine{{a, b}, nil, {c, d}} {
		if err := s.AddLogs(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
	}
	for attempt, want := range [][]run.LogLine{{a, b, d}, {a, d}, {b}, nil} {
		got, err := s.Logs(t.Context(), "r", "x", attempt)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("attempt %d", attempt), got, want)
	}
}

func testRecord(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	line := run.LogLine{Claim: run.Claim{RunID: r[0].ID, Task: "x", Attempt: 1}, At: clock, Level: "info", Text: "begun"}
	queued := run.Change{RunID: r[0].ID, Task: "x", From: run.Scheduled, To: run.Queued, At: clock}
	if err := s.Record(t.Context(), []run.LogLine{line}, []run.Change{queued}); err != nil {
		t.Fatal(err)
	}
	var stale *store.StaleError
	if err := s.Record(t.Context(), []run.LogLine{line}, []run.Change{queued}); !errors.As(err, &stale) {
		t.Errorf("the same change again gave %v", err)
	}
	lines, err := s.Logs(t.Context(), r[0].ID, "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "lines", lines, []run.LogLine{line})
	equal(t, "state", taskRun(t, s, r[0].ID, "x").State, run.Queued)
}

func testClearedVersion(t *testing.T, open Open) {
	s := start(t, open)
	r := daily("p", 1)
	create(t, s, r, "x")
	apply(t, s, run.Change{RunID: r[0].ID, From: run.Queued, To: run.Running, At: clock})
	before := listRuns(t, s, store.RunFilter{})[0].Version
	apply(t, s, run.Change{RunID: r[0].ID, From: run.Running, To: run.Queued, At: clock})
	equal(t, "without a version", listRuns(t, s, store.RunFilter{})[0].Version, before)
	apply(t, s, run.Change{RunID: r[0].ID, From: run.Queued, To: run.Running, At: clock}, run.Change{RunID: r[0].ID, From: run.Running, To: run.Queued, At: clock, Version: "new"})
	equal(t, "with a version", listRuns(t, s, store.RunFilter{})[0].Version, "new")
	params := map[string]any{"days": int64(7)}
	apply(t, s, run.Change{RunID: r[0].ID, From: run.Queued, To: run.Running, At: clock}, run.Change{RunID: r[0].ID, From: run.Running, To: run.Queued, At: clock, Params: params})
	equal(t, "with parameters", listRuns(t, s, store.RunFilter{})[0].Params, params)
	apply(t, s, run.Change{RunID: r[0].ID, From: run.Queued, To: run.Running, At: clock}, run.Change{RunID: r[0].ID, From: run.Running, To: run.Queued, At: clock})
	equal(t, "without", listRuns(t, s, store.RunFilter{})[0].Params, params)
}

func testMany(t *testing.T, open Open) {
	s := start(t, open)
	runs := daily("p", 1800)
	tasks := []string{"a", "b", "c", "d"}
	create(t, s, runs, tasks...)
	var ids []string
	var changes []run.Change
	for _, r := range runs {
		ids = append(ids, r.ID)
		changes = append(changes, run.Change{RunID: r.ID, Task: "c", From: run.Scheduled, To: run.Skipped, At: clock})
	}
	apply(t, s, changes...)
	got, err := s.TaskRuns(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	var want []run.TaskRun
	for _, id := range ids {
		for _, task := range tasks {
			tr := run.TaskRun{RunID: id, Task: task, State: run.Scheduled}
			if task == "c" {
				tr.State, tr.Ended = run.Skipped, clock
			}
			want = append(want, tr)
		}
	}
	equal(t, "task runs", got, want)
	equal(t, "runs by id", listRuns(t, s, store.RunFilter{IDs: ids}), runs)
	newest := listRuns(t, s, store.RunFilter{IDs: ids, Newest: true, Limit: 2})
	equal(t, "newest runs by id", newest, []run.Run{runs[1799], runs[1798]})
}

// testConcurrent has callers whose calls are committed together; every second call is refused half way.
func testConcurrent(t *testing.T, open Open) {
	s := start(t, open)
	const callers, rounds = 16, 20
	r := daily("p", 1)
	var tasks []string
	for i := range callers {
		tasks = append(tasks, fmt.Sprintf("t%02d", i))
	}
	create(t, s, r, tasks...)
	results := make(chan error, callers)
	for i := range callers {
		go func() {
			results <- func() error {
				for n := range rounds {
					from, to := run.Scheduled, run.Queued
					if n%2 == 1 {
						from, to = to, from
					}
					if err := s.Apply(context.Background(), []run.Change{{RunID: r[0].ID, Task: tasks[i], From: from, To: to, At: clock}}); err != nil {
						return err
					}
					var stale *store.StaleError
					back := run.Change{RunID: r[0].ID, Task: tasks[i], From: to, To: from, At: clock} // fits, but must not stay
					if err := s.Apply(context.Background(), []run.Change{back, back}); !errors.As(err, &stale) {
						return fmt.Errorf("%s: a stale change gives %v", tasks[i], err)
					}
				}
				return nil
			}()
		}()
	}
	for range callers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for _, task := range tasks {
		if h, err := s.History(t.Context(), r[0].ID, task); err != nil || len(h) != rounds {
			t.Errorf("%s has %d changes (%v), want %d", task, len(h), err, rounds)
		}
	}
}

func testCancelled(t *testing.T, open Open) {
	s := start(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.CreateRuns(ctx, daily("p", 1), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("CreateRuns gives %v, want context.Canceled", err)
	}
	if got := listRuns(t, s, store.RunFilter{}); len(got) != 0 {
		t.Errorf("a call given up has made %v", got)
	}
}

func testReopen(t *testing.T, open Open) {
	s, err := store.New(t.Context(), open(t))
	if err != nil {
		t.Fatal(err)
	}
	runs := daily("p", 3)
	create(t, s, runs, "x")
	apply(t, s, run.Change{RunID: runs[0].ID, Task: "x", From: run.Scheduled, To: run.Failed, At: clock, Reason: "no disk"})
	other := start(t, open) // a second process
	equal(t, "runs seen by the other", listRuns(t, other, store.RunFilter{}), runs)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, "runs", listRuns(t, start(t, open), store.RunFilter{}), runs)
	equal(t, "reason", taskRun(t, other, runs[0].ID, "x").Reason, "no disk")
}

func testClosed(t *testing.T, open Open) {
	s := start(t, open)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.AddTasks(t.Context(), "r", nil); err == nil {
		t.Error("a closed store takes writes")
	}
}

func testNewerSchema(t *testing.T, open Open) {
	s, err := store.New(t.Context(), open(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := open(t)
	if _, err := db.Writer().ExecContext(t.Context(), `UPDATE schema_version SET version = 9999`); err != nil {
		t.Fatal(err)
	}
	checkFinding(t, func() error { _, err := store.New(t.Context(), db); return err }(), "newer than this program")
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
