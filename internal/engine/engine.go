// Package engine drives runs of pipelines to their end. Its central type is Loop: one goroutine that holds the state of
// the runs, decides what may start and records every transition, and a crew around it that executes. Engine.Run drives one
// plan and returns; a scheduler keeps a Loop and gives it plan after plan.
//
// It knows no warehouse, no SQL and no kind of task: it is given executors, a store that remembers, and a ledger that
// tells which attempts have committed. It reads no clock but the one it is given and decides nothing about states by
// itself: the rules are package run's.
//
// Invariants, each checked at every step of the simulation (simulation_test.go):
//
//  1. A pipeline and a data interval have one run.
//  2. A transition is in the store before its effect is visible: an executor runs only for an attempt that is recorded as
//     running, and each transition is one that run.Next allows.
//  3. A task starts only when its trigger rule holds over the recorded states of the tasks before it, and, where it
//     depends on its past, over the run before.
//  4. An attempt that has committed is never executed again, whatever its executor, the store or the process said after.
//  5. A task run commits at most once between two clears.
//  6. Every run that is driven ends, unless the context or the store does.
//  7. With deterministic executors, crashes and errors of communication change no final state.
//  8. At most Options.Parallel executions, MaxActiveTasks of a pipeline and MaxActiveRuns groups of runs are under way, and
//     a task that depends on its past is never part of a batch.
package engine

import (
	"context"
	"encoding/json"
	"time"

	"damson/internal/clock"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// Store remembers runs and task runs; *store.Store is one. What Commit has done is durable when it returns, and is done
// whole or not at all.
type Store interface {
	Runs(ctx context.Context, f store.RunFilter) ([]run.Run, error)
	TaskRuns(ctx context.Context, runIDs ...string) ([]run.TaskRun, error)
	Commit(ctx context.Context, b store.Batch) error
}

// Ledger tells what has become of attempts. The warehouse writes it in the transaction of the task's own writes.
type Ledger interface {
	// Committed gives the results of those attempts that have committed.
	Committed(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error)
	// Settle gives the same, and sees to it that the others never commit: an execution that nobody waits for any more may
	// still be under way in the database.
	Settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error)
	// Taken tells which of the attempts have committed or may not commit any more.
	Taken(ctx context.Context, claims []run.Claim) (map[run.Claim]bool, error)
}

// Executor does the work of one kind of task. When it returns without an error its writes are committed, and with them a
// ledger row for each of the work's claims. It stops soon after ctx ends; context.Cause(ctx) says why.
type Executor interface {
	Execute(ctx context.Context, w Work) (Outcome, error)
}

// Hopeless marks an executor's error that no other attempt would mend, such as SQL that is not SQL: the task fails at once,
// whatever its retries.
type Hopeless struct{ error }

// GiveUp marks err as hopeless.
func GiveUp(err error) error { return Hopeless{err} }

// Unwrap gives the error itself.
func (h Hopeless) Unwrap() error { return h.error }

// Work is one execution of a task: for one run, or for several with adjacent data intervals when the task allows it.
type Work struct {
	Pipeline   *pipeline.Pipeline
	Task       *pipeline.Task
	Runs       []run.Run   // in time order
	Claims     []run.Claim // one for each run
	Start, End time.Time   // from the first run's start to the last one's end
	Since      time.Time   // of a task that waits: when it began to
	Item       *Item       // of one task run of a mapped task: what it is about
	Mapped     bool        // of a mapped task: the items are asked for (Outcome.Items), nothing else
	Look       bool        // of a deferred task, which looks again as the same attempt
	Log        Logger
}

// Item is what one task run of a mapped task is about.
type Item struct {
	Index int `json:"index"` // from 0
	Value any `json:"value"`
}

// Outcome is what an execution that did not fail reports.
type Outcome struct {
	Result any    // kept as JSON with each task run: rows, rejects, model version …
	Each   []any  // for a work of several runs, optionally: each run's own result instead of Result
	Skip   string // not empty: there was nothing to do, and why, for example that there is no champion yet
	// Again, when positive, says that what the task waits for has not come: it is deferred, holds no worker, and is executed
	// again after this time, as the same attempt. Waits says what it waits for. Nothing was committed.
	Again time.Duration
	Waits string
	// Choice, of a branch or short_circuit: which tasks after it may run.
	Choice *run.Choice
	// Items, when not nil, are what a mapped task makes its task runs for. Nothing was committed.
	Items []any
}

// Logger takes the lines that a task run writes. They are in the store before the end of the attempt is.
type Logger interface {
	Infof(format string, args ...any)
	Warnf(format string, args ...any)
	Errorf(format string, args ...any)
}

// Options are the tunables; zero values work.
type Options struct {
	Parallel int      // executions at a time; 0 = 4
	Observer Observer // nil: nobody watches
	Seed     uint64   // of the spread of retry delays
	// Datasets are tables whose writes are recorded, because some pipeline waits for them.
	Datasets []string
}

// Engine drives runs. It may be used for one plan after the other.
type Engine struct {
	store     Store
	ledger    Ledger
	executors map[pipeline.Kind]Executor
	clock     clock.Clock
	opts      Options
}

// New makes an engine from its parts. Executors may be nil for loops that have a crew of their own.
func New(store Store, ledger Ledger, executors map[pipeline.Kind]Executor, clk clock.Clock, opts Options) *Engine {
	if opts.Parallel <= 0 {
		opts.Parallel = 4
	}
	return &Engine{store: store, ledger: ledger, executors: executors, clock: clk, opts: opts}
}
