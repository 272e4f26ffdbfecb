package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// Crew are the workers that execute. The loop calls it from its one goroutine; no method blocks.
type Crew interface {
	// Idle reports whether some worker may take something.
	Idle() bool
	// Place gives a worker that may take the task now, or why there is none.
	Place(t *pipeline.Task) (worker, why string)
	// Take reserves the worker for the work. A worker in another process is told by the message, which is recorded with the
	// start of the attempts.
	Take(worker string, w Work) (*store.Message, error)
	// Start begins the work once its attempts are recorded. end is called once, from any goroutine; it is false when the loop
	// is closed.
	Start(ctx context.Context, worker string, w Work, end func(Ended) bool)
	// Look executes a deferred task beside the workers.
	Look(ctx context.Context, w Work, end func(Ended) bool)
	// Cancel tells a worker in another process that the context of its work has ended.
	Cancel(worker string, w Work, cause error)
	// Release gives the worker back after its end was taken in.
	Release(worker string, w Work)
	// Wait returns when no execution of this process is under way.
	Wait()
}

// Ended is what an execution came to.
type Ended struct {
	Outcome Outcome
	Results []json.RawMessage // for each run, when it did not fail
	Err     error             // what the executor said
	// Committed is what the ledger says of the claims when Err is set.
	Committed map[run.Claim]json.RawMessage
	Taken     []int // for each run, the last attempt that is not free, when some have not committed
	Doubt     error // the ledger does not answer: nobody knows whether it committed
}

// Execute has the executor do the work and, where that fails, asks the ledger whether it had committed before. It turns a
// panic into an error that names the task's place. With a context that ends it says the context's cause.
func Execute(ctx context.Context, x Executor, ledger Ledger, clk clock.Clock, patient bool, w Work) Ended {
	var e Ended
	e.Outcome, e.Err = call(ctx, x, w)
	if e.Err == nil {
		e.Results = encode(e.Outcome, w)
		return e
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(e.Err, cause) {
		e.Err = fmt.Errorf("%w: %w", cause, e.Err)
	}
	if ledger == nil {
		return e
	}
	asking := question{ledger, clk, patient}
	ctx = context.WithoutCancel(ctx)
	settle := asking.settle
	if w.Look && errors.Is(e.Err, ErrInterrupted) { // the attempt goes on with the next look
		settle = asking.committed
	}
	if e.Committed, e.Doubt = settle(ctx, w.Claims); e.Doubt == nil && len(e.Committed) < len(w.Claims) {
		e.Taken, e.Doubt = asking.lastTaken(ctx, w.Claims)
	}
	return e
}

// call runs the executor and turns a panic into an error that names the task's place.
func call(ctx context.Context, x Executor, w Work) (outcome Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.Errorf("panic: %v\n%s", p, debug.Stack())
			err = diag.Finding{At: w.Task.At, Summary: fmt.Sprintf("Task %s panicked", w.Task.Name),
				Detail: fmt.Sprint(p), Fix: "This is a mistake in the program, not in the project: please report it with the task's log."}
		}
	}()
	return x.Execute(ctx, w)
}

// encode gives the outcome's results as JSON, one for each run. The work is committed: a result that has no JSON is
// noted and does not undo it.
func encode(o Outcome, w Work) []json.RawMessage {
	results := make([]json.RawMessage, len(w.Runs))
	for k := range results {
		value := o.Result
		switch {
		case o.Items != nil:
			value = mapped{o.Items}
		case o.Choice != nil:
			value = o.Choice
		case len(o.Each) == len(w.Runs):
			value = o.Each[k]
		}
		if value == nil {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			w.Log.Warnf("the task's result cannot be kept: %v", err)
			continue
		}
		results[k] = text
	}
	return results
}

// question is how the ledger is asked: several times when it does not answer, since a wrong guess would run a committed
// task again; without end by a patient one.
type question struct {
	ledger  Ledger
	clock   clock.Clock
	patient bool
}

func (q question) committed(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return ask(ctx, q, q.ledger.Committed, claims)
}

func (q question) settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return ask(ctx, q, q.ledger.Settle, claims)
}

func ask[A any](ctx context.Context, q question, ledger func(context.Context, []run.Claim) (A, error), claims []run.Claim) (A, error) {
	for delay := 250 * time.Millisecond; ; delay = min(2*delay, 8*time.Second) {
		answer, err := ledger(ctx, claims)
		if err == nil || !q.patient && delay > 4*time.Second || q.clock.Sleep(ctx, delay) != nil {
			return answer, err
		}
	}
}

func (e *Engine) question(patient bool) question { return question{e.ledger, e.clock, patient} }

func (c *localCrew) Idle() bool { return c.busy < c.slots }

func (c *localCrew) Place(*pipeline.Task) (worker, why string) {
	if c.busy < c.slots {
		return "", ""
	}
	return "", fmt.Sprintf("all %d workers are busy", c.slots)
}

func (c *localCrew) Take(string, Work) (*store.Message, error) {
	c.busy++
	return nil, nil
}

func (c *localCrew) Start(ctx context.Context, _ string, w Work, end func(Ended) bool) {
	c.workers.Go(func() {
		end(Execute(ctx, c.engine.executors[w.Task.Kind], c.engine.ledger, c.engine.clock, false, w))
	})
}

func (c *localCrew) Look(ctx context.Context, w Work, end func(Ended) bool) { c.Start(ctx, "", w, end) }

func (c *localCrew) Cancel(string, Work, error) {}
func (c *localCrew) Release(string, Work)       { c.busy-- }
func (c *localCrew) Wait()                      { c.workers.Wait() }
