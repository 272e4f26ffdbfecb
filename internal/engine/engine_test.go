package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
)

func TestRunsGoInOrderAndAreNotRepeated(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean")
		p.MaxActiveRuns = 1
		r := b.must(engine.Plan{Pipeline: p, Intervals: days(12, 13)})
		b.want("executed", b.took(), "fetch@12 clean@12 fetch@13 clean@13")
		if r.Created != 2 || r.Succeeded != 2 || r.Tasks.Success != 4 || r.Resume != "" {
			b.Errorf("%+v", r)
		}
		b.want("result", string(b.task(id(12), "clean").Result), `{"rows":7}`)
		r = b.must(engine.Plan{Pipeline: p, Intervals: days(12, 14)})
		b.want("executed the second time", b.took(), "fetch@14 clean@14")
		if r.Created != 1 || r.Untouched != 2 || r.Succeeded != 3 {
			b.Errorf("%+v", r)
		}
	})
}

func TestRerun(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean", "report")
		p.Tasks[2].TriggerRule = "all_done"
		p.Tasks = append(p.Tasks, &pipeline.Task{Name: "other", Kind: pipeline.SQLTask})
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "clean" && w.Start.Day() == 12 {
				return engine.Outcome{}, errors.New("no such table")
			}
			return engine.Outcome{}, nil
		}
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 13)}
		r := b.must(plan)
		want := []engine.Failure{{RunID: id(12), Task: "clean", Attempt: 1, Reason: "no such table"}}
		if diff := cmp.Diff(want, r.Failures); diff != "" || r.Succeeded != 2 {
			b.Errorf("the leaf of an all_done task succeeded, so both runs did: %+v %s", r, diff)
		}
		p.Tasks[2].TriggerRule = "all_success"
		b.took()
		plan.Rerun = engine.RerunFailed
		r = b.must(plan)
		b.want("failed, and what comes after it", b.took(), "clean@12")
		b.want("report", string(b.task(id(12), "report").Reason), "all_success: of 1 task before it, 1 failed (clean is failed)")
		if r.Failed != 1 || !strings.Contains(r.Resume, "--rerun failed") {
			b.Errorf("%+v", r)
		}
		b.do = nil
		plan.Rerun = engine.RerunNone
		b.must(plan)
		b.want("nothing", b.took(), "")
		p.Version = "v2"
		plan.Rerun = engine.RerunFailed
		b.must(plan)
		b.want("until it is fine", b.took(), "clean@12 report@12")
		b.want("history", b.history(id(12), "clean"), "queued started failed cleared queued started failed cleared queued started succeeded")
		plan.Rerun = engine.RerunAll
		b.must(plan)
		b.want("all", b.took(), "fetch@12 clean@12 report@12 other@12 fetch@13 clean@13 report@13 other@13")
	})
}

func TestRetriesWaitAndThenFail(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch")
		p.Tasks[0].Retries, p.Tasks[0].RetryDelay, p.Tasks[0].RetryBackoff = 2, time.Minute, 10
		var at []time.Time
		b.do = func(context.Context, engine.Work) (engine.Outcome, error) {
			at = append(at, time.Now())
			return engine.Outcome{}, errors.New("host not found")
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		if len(at) != 3 {
			b.Fatalf("%d attempts", len(at))
		}
		for k, nominal := range []time.Duration{time.Minute, 10 * time.Minute} {
			if d := at[k+1].Sub(at[k]); d < nominal*8/10 || d > nominal*12/10 {
				b.Errorf("delay %d: %s, want about %s", k+1, d, nominal)
			}
		}
		b.want("history", b.history(id(12), "fetch"), "queued started retried retry_due started retried retry_due started failed")
		if c := b.task(id(12), "fetch"); c.Attempt != 3 || c.Failures != 3 || c.Reason != "host not found" {
			b.Errorf("%+v", c)
		}
		if !strings.Contains(b.logs("error"), "Failure 1 of at most 3; the next attempt is due at 2000-01-01 00:0") {
			b.Errorf("the log says %q", b.logs("error"))
		}
	})
}

// TestHopelessWorkIsNotTriedAgain: an executor says that no other attempt would help.
func TestHopelessWorkIsNotTriedAgain(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch")
		p.Tasks[0].Retries, p.Tasks[0].RetryDelay = 2, time.Minute
		b.do = func(context.Context, engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, engine.GiveUp(errors.New("this is not SQL"))
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		if c := b.task(id(12), "fetch"); c.State != run.Failed || c.Attempt != 1 || c.Reason != "this is not SQL" {
			b.Errorf("%+v", c)
		}
	})
}

func TestTimeouts(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean")
		p.Tasks[0].Timeout = 5 * time.Minute
		b.do = hang
		begun := time.Now()
		r := b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		b.want("reason", r.Failures[0].Reason, "timed out after 5m: context canceled")
		if took := time.Since(begun); took != 5*time.Minute {
			b.Errorf("it took %s", took)
		}
	})
}

func TestRunTimeout(t *testing.T) {
	try(t, func(b *bench) {
		b.parallel = 3
		p := chain("fetch", "clean")
		p.RunTimeout = 2 * time.Hour
		p.Tasks = append(p.Tasks, &pipeline.Task{Name: "try", Kind: pipeline.SQLTask, Retries: 1, RetryDelay: 5 * time.Hour})
		b.do = func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "try" {
				return engine.Outcome{}, errors.New("no")
			}
			return hang(ctx, w)
		}
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 12)}
		b.must(plan)
		got := fmt.Sprintf("%s %s %s %s", b.task(id(12), "fetch").State, b.task(id(12), "clean").State, b.task(id(12), "try").State, b.byID[id(12)].State)
		b.want("states", got, "failed upstream_failed failed failed")
		b.want("reason", b.byID[id(12)].Reason, "the run timed out after 2h")
		b.do = nil
		plan.Rerun = engine.RerunFailed
		if r := b.must(plan); r.Succeeded != 1 {
			b.Errorf("%+v", r)
		}
	})
}

func TestPanicFailsTheAttemptOnly(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean")
		p.Tasks[0].At = diag.Pos{File: "pipelines/geo.star", Line: 14, Col: 7}
		p.Tasks = append(p.Tasks, &pipeline.Task{Name: "other", Kind: pipeline.SQLTask})
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "fetch" {
				panic("index out of range")
			}
			return engine.Outcome{}, nil
		}
		r := b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		if reason := r.Failures[0].Reason; !strings.HasPrefix(reason, "pipelines/geo.star:14:7: Task fetch panicked\n  index out of range") {
			b.Errorf("%s", reason)
		}
		if r.Tasks.Success != 1 || !strings.Contains(b.logs("error"), "engine_test.go") {
			b.Errorf("other tasks go on, and the log has the stack: %+v %s", r, b.logs("error"))
		}
	})
}

func TestInterruptedWorkIsResumed(t *testing.T) {
	try(t, func(b *bench) {
		b.parallel = 2
		p := chain("fetch", "clean")
		p.Tasks[0].Retries = 1
		p.Tasks = append(p.Tasks, &pipeline.Task{Name: "other", Kind: pipeline.SQLTask}, &pipeline.Task{Name: "third", Kind: pipeline.SQLTask})
		b.do = hang
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 13)}
		r, err := b.runUntil(ctx, plan)
		if err != nil || !r.Interrupted || r.Open != 2 || !strings.Contains(r.Resume, "it continues with the 2 of 2 runs") {
			b.Fatalf("%+v, %v", r, err)
		}
		if took := b.took(); took != "fetch@12 other@12" && took != "other@12 fetch@12" {
			b.Errorf("executed %s", took)
		}
		b.want("fetch", b.history(id(12), "fetch"), "queued started interrupted")
		b.want("third", b.history(id(12), "third"), "queued interrupted")
		if b.task(id(12), "fetch").Reason != "interrupted" || b.byID[id(12)].State != run.Running {
			b.Errorf("%+v", b.byID[id(12)])
		}
		b.do = nil
		b.must(plan)
		if c := b.task(id(12), "fetch"); c.Attempt != 2 || c.Failures != 0 {
			b.Errorf("%+v", c)
		}
	})
}

// TestDeadProcess: what it left running is success when the ledger has it, and otherwise runs again.
func TestDeadProcess(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean")
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 13)}
		for d := 12; d <= 13; d++ {
			start := days(d, d)[0]
			b.CreateRuns(b.Context(), []run.Run{{ID: id(d), Pipeline: "geo", Start: start.Start, End: start.End, State: run.Running}}, []string{"fetch", "clean"})
			b.tasks[id(d)]["fetch"] = &run.TaskRun{RunID: id(d), Task: "fetch", State: run.Running, Attempt: 4, Failures: 1, Token: 9}
		}
		b.commit([]run.Claim{{RunID: id(12), Task: "fetch", Attempt: 4}})
		r := b.must(plan)
		b.want("executed", b.took(), "clean@12 fetch@13 clean@13")
		b.want("committed", b.history(id(12), "fetch"), "succeeded")
		b.want("not committed", b.history(id(13), "fetch"), "recovered started succeeded")
		if c := b.task(id(13), "fetch"); c.Attempt != 5 || c.Failures != 1 || c.Token != 10 || r.Recovered != 2 {
			b.Errorf("%+v %+v", c, r)
		}
		b.want("result", string(b.task(id(12), "fetch").Result), `{"attempt":4}`)
	})
}

// TestLedgerThatDoesNotAnswer: nobody knows whether the attempt committed, so it is neither failed nor repeated.
func TestLedgerThatDoesNotAnswer(t *testing.T) {
	try(t, func(b *bench) {
		b.do = func(context.Context, engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, errors.New("connection reset")
		}
		p := chain("fetch", "clean")
		p.Tasks[0].Retries = 5
		e := engine.New(b.memory, &deaf{hears: 1}, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: b}, clock.System{}, engine.Options{})
		r, err := e.Run(b.Context(), engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		var f diag.Finding
		if !errors.As(err, &f) || f.Summary != "The warehouse does not say whether a task has committed" || r.Open != 1 {
			b.Fatalf("%+v, %v", r, err)
		}
		b.want("executed", b.took(), "fetch@12")
		b.want("state", string(b.task(id(12), "fetch").State), "running")
	})
}

func TestSkip(t *testing.T) {
	try(t, func(b *bench) {
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{Skip: "there is no champion yet"}, nil
		}
		r := b.must(engine.Plan{Pipeline: chain("score", "report"), Intervals: days(12, 12)})
		b.want("score", b.task(id(12), "score").Reason, "there is no champion yet")
		b.want("report", b.task(id(12), "report").Reason, "all_success: of 1 task before it, 1 skipped (score is skipped)")
		if r.Succeeded != 1 || r.Tasks.Skipped != 2 {
			b.Errorf("%+v", r)
		}
	})
}

func TestPriorities(t *testing.T) {
	try(t, func(b *bench) {
		p := &pipeline.Pipeline{Name: "geo"}
		for i, priority := range []int{0, 5, 5, 9} {
			p.Tasks = append(p.Tasks, &pipeline.Task{Name: fmt.Sprintf("t%d", i), Kind: pipeline.SQLTask, Priority: priority})
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		b.want("executed", b.took(), "t3@12 t1@12 t2@12 t0@12")
	})
}

func TestBoundsOfRunsAndTasks(t *testing.T) {
	for _, c := range []struct {
		runs, tasks, parallel, override int
		wantRuns, wantTasks             int
	}{
		{runs: 2, parallel: 8, wantRuns: 2, wantTasks: 4},
		{runs: 2, tasks: 3, parallel: 8, wantRuns: 2, wantTasks: 3},
		{runs: 1, parallel: 8, override: 3, wantRuns: 3, wantTasks: 6},
		{runs: 1, parallel: 8, override: -1, wantRuns: 4, wantTasks: 8},
		{parallel: 2, wantRuns: 2, wantTasks: 2},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			try(t, func(b *bench) {
				b.parallel = c.parallel
				p := &pipeline.Pipeline{Name: "geo", MaxActiveRuns: c.runs, MaxActiveTasks: c.tasks}
				p.Tasks = []*pipeline.Task{{Name: "a", Kind: pipeline.SQLTask}, {Name: "b", Kind: pipeline.SQLTask}}
				executing, mostRuns, mostTasks := map[run.Claim]bool{}, 0, 0
				b.do = func(ctx context.Context, w engine.Work) (engine.Outcome, error) {
					b.mu.Lock()
					executing[w.Claims[0]] = true
					runs := map[string]bool{}
					for claim := range maps.Keys(executing) {
						runs[claim.RunID] = true
					}
					mostRuns, mostTasks = max(mostRuns, len(runs)), max(mostTasks, len(executing))
					b.mu.Unlock()
					time.Sleep(time.Minute * time.Duration(w.Task.Name[0]-'a'+2)) // no two end at the same instant
					b.mu.Lock()
					delete(executing, w.Claims[0])
					b.mu.Unlock()
					return engine.Outcome{}, nil
				}
				b.must(engine.Plan{Pipeline: p, Intervals: days(12, 15), MaxActiveRuns: c.override})
				if mostRuns != c.wantRuns || mostTasks != c.wantTasks {
					b.Errorf("%d runs and %d tasks at a time, want %d and %d", mostRuns, mostTasks, c.wantRuns, c.wantTasks)
				}
			})
		})
	}
}

func TestDependsOnPast(t *testing.T) {
	try(t, func(b *bench) {
		b.parallel = 4
		p := chain("sum")
		p.Tasks[0].DependsOnPast = true
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Start.Day() == 13 {
				return engine.Outcome{}, errors.New("no")
			}
			return engine.Outcome{}, nil
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 15)})
		b.want("executed", b.took(), "sum@12 sum@13")
		b.want("reason", b.task(id(14), "sum").Reason, "depends_on_past: it is failed in the run before (geo@2007-04-13)")
		b.do = nil
		b.must(engine.Plan{Pipeline: p, Intervals: days(15, 15), Rerun: engine.RerunFailed})
		b.want("executed", b.took(), "")
		b.want("reason", b.task(id(15), "sum").Reason, "depends_on_past: it is upstream_failed in the run before (geo@2007-04-14)")
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 15), Rerun: engine.RerunFailed})
		b.want("executed", b.took(), "sum@13 sum@14 sum@15")

		sel := engine.Selection{RunIDs: []string{id(15)}}
		changes, err := engine.Clear(b.Context(), b.memory, p, sel, time.Now())
		if err != nil || b.Apply(b.Context(), changes) != nil {
			b.Fatal(err)
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(16, 16)})
		b.want("reason", b.task(id(16), "sum").Reason,
			"depends_on_past: it is scheduled in the run before (geo@2007-04-15), which is not part of what runs now")
	})
}

func TestSomeTasksOnly(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean", "features", "score")
		r := b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12), Tasks: []string{"features", "fetch"}})
		b.want("executed", b.took(), "fetch@12 features@12")
		if r.Succeeded != 1 || len(b.tasks[id(12)]) != 2 {
			b.Errorf("%+v %v", r, b.tasks[id(12)])
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		b.want("what is missing", b.took(), "clean@12 score@12")
	})
}

func TestTasksThatLeaveThePipeline(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean", "score")
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{}, context.Canceled
		}
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if r, err := b.runUntil(ctx, engine.Plan{Pipeline: p, Intervals: days(12, 12)}); err != nil || !r.Interrupted {
			b.Fatalf("%+v, %v", r, err)
		}
		b.do = nil
		b.must(engine.Plan{Pipeline: chain("fetch", "score"), Intervals: days(12, 12)})
		b.want("clean", b.history(id(12), "clean"), "removed")
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		b.want("it is back", b.history(id(12), "clean"), "removed cleared queued started succeeded")
	})
}

func TestClearAndMark(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean", "score")
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "clean" {
				return engine.Outcome{}, errors.New("no")
			}
			return engine.Outcome{}, nil
		}
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 12)}
		b.must(plan)
		b.do = nil
		b.took()
		sel := engine.Selection{RunIDs: []string{id(12)}, Tasks: []string{"clean"}}
		b.change(engine.Mark(b.Context(), b.memory, p, sel, run.Success, time.Now()))
		b.want("marked", fmt.Sprintf("%s %s %s", b.task(id(12), "clean").State, b.task(id(12), "score").State, b.byID[id(12)].State),
			"success scheduled queued")
		b.must(plan)
		b.want("executed", b.took(), "score@12")
		b.change(engine.Clear(b.Context(), b.memory, p, sel, time.Now()))
		b.must(plan)
		b.want("one task", b.took(), "clean@12")
		sel.Upstream, sel.Downstream = true, true
		b.change(engine.Clear(b.Context(), b.memory, p, sel, time.Now()))
		b.must(plan)
		b.want("all around it", b.took(), "fetch@12 clean@12 score@12")
		sel = engine.Selection{RunIDs: []string{id(12)}, Tasks: []string{"score"}}
		b.change(engine.Mark(b.Context(), b.memory, p, sel, run.Failed, time.Now()))
		b.want("marked", fmt.Sprintf("%s %s", b.task(id(12), "score").State, b.byID[id(12)].State), "failed failed")
		b.change(engine.Mark(b.Context(), b.memory, p, sel, run.Skipped, time.Now()))
		b.want("marked", fmt.Sprintf("%s %s", b.task(id(12), "score").State, b.byID[id(12)].State), "skipped success")
	})
}

func TestWrongPlans(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch")
		load := chain("fetch")
		load.Tasks[0].Kind = pipeline.LoadTask
		day := days(12, 13)
		for want, plan := range map[string]engine.Plan{
			"Unknown task\n  Pipeline geo has no task \"fetsch\".\n  Fix: Did you mean \"fetch\"?": {Pipeline: p, Intervals: day, Tasks: []string{"fetsch"}},
			"Nothing here executes tasks of this kind":                                             {Pipeline: load, Intervals: day},
			"The data intervals are out of order":                                                  {Pipeline: p, Intervals: []run.Interval{day[1], day[0]}},
		} {
			if _, err := b.run(plan); err == nil || !strings.Contains(err.Error(), want) {
				b.Errorf("%v, want %s", err, want)
			}
		}
		_, err := engine.Clear(b.Context(), b.memory, p, engine.Selection{RunIDs: []string{"geo@1999-01-01"}}, time.Now())
		if err == nil || !strings.Contains(err.Error(), "Unknown run") {
			b.Error(err)
		}
		_, err = engine.Mark(b.Context(), b.memory, p, engine.Selection{}, run.Running, time.Now())
		if err == nil || !strings.Contains(err.Error(), `"running" is not a state to mark with`) {
			b.Error(err)
		}
		if r, err := b.run(engine.Plan{Pipeline: p}); err != nil || r.Succeeded != 0 {
			b.Errorf("no intervals: %+v, %v", r, err)
		}
	})
}

func TestObserver(t *testing.T) {
	try(t, func(b *bench) {
		w := &watcher{}
		b.observer = w
		p := chain("fetch", "clean")
		p.Tasks[0].Retries = 1
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Claims[0].Attempt == 1 && w.Task.Name == "fetch" {
				return engine.Outcome{}, errors.New("no")
			}
			return engine.Outcome{}, nil
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		b.want("events", strings.Join(w.texts, ", "), "run started, task started fetch, task retried fetch, task started fetch, "+
			"task ended fetch, task started clean, task ended clean, run ended")
		if diff := cmp.Diff(engine.Progress{Runs: 1, RunsEnded: 1, Tasks: 2, TasksEnded: 2}, w.last); diff != "" {
			b.Error(diff)
		}
	})
}

// TestLinesComeBeforeTheEnd: when the store says that an attempt has ended, it has all its lines; those of a long attempt
// come while it runs.
func TestLinesComeBeforeTheEnd(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean")
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "clean" {
				b.want("at the next task's start", b.logs("info"), "line 1\nline 2\nline 3")
				return engine.Outcome{}, nil
			}
			w.Log.Infof("line %d", 1)
			w.Log.Infof("line %d", 2)
			time.Sleep(time.Minute)
			b.want("while it runs", b.logs("info"), "line 1\nline 2")
			w.Log.Infof("line %d", 3)
			return engine.Outcome{}, nil
		}
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		if first := b.lines[0]; first.Claim != (run.Claim{RunID: id(12), Task: "fetch", Attempt: 1}) {
			b.Errorf("%+v", first)
		}
		if !slices.IsSortedFunc(b.lines, func(x, y run.LogLine) int { return x.At.Compare(y.At) }) {
			b.Errorf("%+v", b.lines)
		}
	})
}

func TestLinesAndChangesTogether(t *testing.T) {
	try(t, func(b *bench) {
		r := &recording{memory: b.memory}
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			w.Log.Infof("7 rows")
			return engine.Outcome{}, nil
		}
		e := engine.New(r, b.books, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: b}, clock.System{}, engine.Options{})
		if _, err := e.Run(b.Context(), engine.Plan{Pipeline: chain("fetch", "clean"), Intervals: days(12, 12)}); err != nil {
			b.Fatal(err)
		}
		b.want("records", strings.Join(r.records[2:], "; "), "7 rows fetch:succeeded clean:queued clean:started; 7 rows clean:succeeded :succeeded")
	})
}

// TestStoreThatStops: the engine gives up, says how to go on, and what it left is taken up again.
func TestStoreThatStops(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "clean", "score")
		full := &fullDisk{memory: b.memory, after: 3} // the runs, fetch, clean
		e := engine.New(full, b.books, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: b}, clock.System{}, engine.Options{Parallel: 1})
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 13)}
		r, err := e.Run(b.Context(), plan)
		if err == nil || !strings.Contains(err.Error(), "database or disk is full") || !strings.Contains(r.Resume, "Run the same command again") {
			b.Errorf("%+v, %v", r, err)
		}
		b.want("executed", b.took(), "fetch@12 clean@12")
		b.must(plan)
		b.want("executed then", b.took(), "score@12 fetch@13 clean@13 score@13")
	})
}

// TestAnotherStoresCommitsAreNoExcuse: the ledger knows attempts of a store that was lost, or of another project on the same
// warehouse. They are not these runs' attempts.
func TestAnotherStoresCommitsAreNoExcuse(t *testing.T) {
	try(t, func(b *bench) {
		for attempt := 1; attempt <= 2; attempt++ {
			b.commit([]run.Claim{{RunID: id(12), Task: "clean", Attempt: attempt}})
		}
		b.commit([]run.Claim{{RunID: id(13), Task: "clean", Attempt: 2}})
		failed := false
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if first := w.Start.Day() == 13 && !failed; first {
				failed = true
				return engine.Outcome{}, errors.New("host not found")
			}
			return engine.Outcome{}, nil
		}
		p := chain("clean")
		p.Tasks[0].Retries = 1
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 13)})
		b.want("executed", b.took(), "clean@12 clean@13 clean@13")
		for _, day := range []int{12, 13} {
			if c := b.task(id(day), "clean"); c.Attempt != 3 || c.Reason != "" || c.State != run.Success {
				b.Errorf("%+v", c)
			}
		}
	})
}
