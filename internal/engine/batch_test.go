package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"damson/internal/clock"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/store"
)

func TestBatches(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("load", "clean", "train", "score")
		p.MaxActiveRuns = 1
		p.Tasks[1].Batch, p.Tasks[3].Batch = true, true
		b.parallel = 4
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 16), Batch: 3})
		b.want("executed", b.took(), "load@12 load@13 load@14 clean@12..14 train@12 train@13 train@14 score@12..14 "+
			"load@15 load@16 clean@15..16 train@15 train@16 score@15..16")
		for d := 12; d <= 16; d++ {
			b.want("history", b.history(id(d), "clean"), "queued started succeeded")
		}
		if !strings.Contains(b.logs("info"), "one execution for 3 intervals, geo@2007-04-12 to geo@2007-04-14") {
			b.Errorf("the runs of a batch should say where its lines are: %s", b.logs("info"))
		}
	})
}

func TestBatchesLeaveOutWhatIsDone(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("load", "clean")
		p.Tasks[1].Batch = true
		b.must(engine.Plan{Pipeline: p, Intervals: days(14, 14), Tasks: []string{"clean"}})
		b.took()
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 16), Batch: 10})
		b.want("executed", b.took(), "load@12 load@13 load@14 load@15 load@16 clean@12..13 clean@15..16")
	})
}

// TestBatchesStopAtOtherParams: one statement has one set of parameters, so runs with others are executed apart.
func TestBatchesStopAtOtherParams(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("clean")
		p.Tasks[0].Batch = true
		b.must(engine.Plan{Pipeline: p, Intervals: days(14, 15), Params: map[string]any{"top": int64(7), "of": []any{"x"}}})
		b.took()
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 17), Rerun: engine.RerunAll, Batch: 10})
		b.want("executed", b.took(), "clean@12..13 clean@14..15 clean@16..17")
	})
}

func TestBatchesStopAtGapsAndAtThePast(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("clean", "sum")
		p.Tasks[0].Batch, p.Tasks[1].Batch, p.Tasks[1].DependsOnPast = true, true, true
		b.must(engine.Plan{Pipeline: p, Intervals: append(days(12, 13), days(15, 16)...), Batch: 10})
		b.want("executed", b.took(), "clean@12..13 sum@12 sum@13 clean@15..16 sum@15 sum@16")
	})
}

// TestBatchThatFailsFindsTheDay: the failed batch is no attempt, and only the day at fault fails.
func TestBatchThatFailsFindsTheDay(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("clean", "score")
		p.MaxActiveRuns = 1
		p.Tasks[0].Batch = true
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			if w.Task.Name == "clean" && w.Start.Day() <= 13 && w.End.Day() > 13 {
				return engine.Outcome{}, errors.New("division by zero")
			}
			return engine.Outcome{}, nil
		}
		r := b.must(engine.Plan{Pipeline: p, Intervals: days(12, 14), Batch: 10})
		b.want("executed", b.took(), "clean@12..14 clean@12 score@12 clean@13 clean@14 score@14")
		b.want("history", b.history(id(13), "clean"), "queued started split started failed")
		if c := b.task(id(13), "clean"); c.Failures != 1 || c.Attempt != 2 || r.Failed != 1 || r.Succeeded != 2 {
			b.Errorf("%+v %+v", c, r)
		}
		if want := "The execution for 3 intervals failed; each is now run alone to find the one at fault. The error was: division by zero"; !strings.Contains(b.logs("warn"), want) {
			b.Errorf("the log says %q", b.logs("warn"))
		}
	})
}

// TestBatchCommittedAndThenFailed: the answer is lost after the commit; no interval is executed again.
func TestBatchCommittedAndThenFailed(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("clean")
		p.Tasks[0].Batch = true
		b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			b.commit(w.Claims)
			return engine.Outcome{}, errors.New("connection reset")
		}
		r := b.must(engine.Plan{Pipeline: p, Intervals: days(12, 14), Batch: 10})
		b.want("executed", b.took(), "clean@12..14")
		b.want("result", string(b.task(id(13), "clean").Result), `{"attempt":1}`)
		b.want("reason", b.task(id(13), "clean").Reason, "it had committed before it ended with: connection reset")
		if r.Succeeded != 3 {
			b.Errorf("%+v", r)
		}
	})
}

func TestResultsOfEachInterval(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("clean")
		p.Tasks[0].Batch = true
		each := executorFunc(func(_ context.Context, w engine.Work) (engine.Outcome, error) {
			return engine.Outcome{Each: []any{1, func() {}, 3}}, nil
		})
		e := engine.New(b.memory, b.books, map[pipeline.Kind]engine.Executor{pipeline.SQLTask: each}, clock.System{}, engine.Options{})
		if _, err := e.Run(b.Context(), engine.Plan{Pipeline: p, Intervals: days(12, 14), Batch: 3}); err != nil {
			b.Fatal(err)
		}
		var got []string
		for d := 12; d <= 14; d++ {
			got = append(got, string(b.task(id(d), "clean").State)+" "+string(b.task(id(d), "clean").Result))
		}
		b.want("results", strings.Join(got, ", "), "success 1, success , success 3")
		if !strings.Contains(b.logs("warn"), "the task's result cannot be kept") {
			b.Errorf("the log says %q", b.logs("warn"))
		}
	})
}

// elsewhere is a worker in another process that takes one thing after the other and never tells.
type elsewhere struct {
	engine.Crew
	took []engine.Work
	busy bool
}

func (e *elsewhere) Idle() bool { return !e.busy }
func (e *elsewhere) Place(*pipeline.Task) (worker, why string) {
	if e.busy {
		return "", "busy"
	}
	return "w", ""
}
func (e *elsewhere) Take(string, engine.Work) (*store.Message, error) { e.busy = true; return nil, nil }
func (e *elsewhere) Start(_ context.Context, _ string, w engine.Work, _ func(engine.Ended) bool) {
	e.took = append(e.took, w)
}
func (e *elsewhere) Cancel(string, engine.Work, error) {}
func (e *elsewhere) Release(string, engine.Work)       { e.busy = false }

// TestTurnPassesWhileGroupIsClosed: what an earlier leader began of a group may end between the group's admission and its
// opening; the next interval's task run then has its turn.
func TestTurnPassesWhileGroupIsClosed(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("load", "clean")
		p.MaxActiveRuns = 1
		p.Tasks[1].Batch = true
		e := engine.New(b.memory, b.books, nil, clock.System{}, engine.Options{})
		lead := func() (*engine.Loop, *elsewhere) {
			crew := &elsewhere{}
			l := e.NewLoop(engine.LoopOptions{Serves: true, Crew: crew})
			lane := l.AddLane(engine.LaneOptions{Name: "geo", MaxActiveRuns: 1})
			if err := l.Admit(b.Context(), lane, engine.Plan{Pipeline: p, Intervals: days(12, 14), Batch: 3}); err != nil {
				b.Fatal(err)
			}
			return l, crew
		}
		step := func(l *engine.Loop) {
			if _, err := l.Step(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		first, crew := lead()
		step(first)
		first.Close()
		if len(crew.took) != 1 {
			b.Fatalf("the first leader started %v", crew.took)
		}
		second, next := lead()
		defer second.Close()
		claims := crew.took[0].Claims
		if !second.Adopt(b.Context(), "w", claims) || !second.Finish(claims, engine.Ended{}) {
			b.Fatal("the second leader does not take over what the first began")
		}
		next.took = nil
		step(second)
		if len(next.took) != 1 || next.took[0].Start.Day() != 13 {
			b.Errorf("the second leader started %v", next.took)
		}
	})
}
