// Package scheduler keeps a project running by itself. Its central type is Service, one process's part in that: a member of
// the group of processes around a store, a worker, and, while it holds the lease, the leader.
//
//	CLI ──request──►┐                                          ┌──assign──► worker (any process)
//	                │ store: messages, leases, runs, reasons   │
//	leader ◄────────┴─────── one decides, all work ────────────┴◄─outcome── worker
//
// The package decides when runs are made, by whom work is done and who leads; what may start is the engine's decision, and
// how tasks are executed is the business of the executors it is given.
//
// Invariants:
//
//  1. Only the holder of the lease changes runs: every batch it writes carries its token, and the store refuses a token that
//     is not the present one.
//  2. No two clocks are compared. A process, or a leader, is gone when its beat has not changed for the length of a lease by
//     the clock of the one who watches, or when it is known to have ended.
//  3. What a process executes is known to the leader, or becomes known before anything of it is executed again: a new leader
//     asks all processes first, and one that has answered begins nothing more that an earlier leader has given it.
//  4. A leader that meets anything unexpected gives up what it has in memory and begins again from the store. What is executed
//     goes on, and what it comes to is kept until a leader has recorded it.
//  5. What a message, a cursor or a dataset leads to is recorded in one transaction with its end, so that it happens once.
//  6. An attempt is executed once, by one process, whatever becomes of either: its start is recorded once, in one transaction
//     with what tells the process, and what is given up or interrupted goes on under the next number. Only a deferred task
//     looks again, under the number that it has.
//
// They are checked by simulation (simulation_test.go).
//
// Assumption: an attempt that was given up, because its process was taken for gone, does not commit later. So it is with the
// embedded warehouse, which one process has open: nobody else asks its ledger, and nobody gives up the attempts of the process
// that answers. A warehouse that several processes write has to refuse such a commit.
package scheduler

import (
	"context"
	"log/slog"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/store"
)

// Store is what the processes share; *store.Store is one.
type Store interface {
	engine.Store
	Leases
	Members
	Memory
	Send(ctx context.Context, messages ...store.Message) error
	Receive(ctx context.Context, recipient string, after int64) ([]store.Message, error)
	Drop(ctx context.Context, ids ...int64) error
	Recipients(ctx context.Context) ([]string, error)
	Wake(ctx context.Context) (<-chan struct{}, error)
}

// Leases tell who leads.
type Leases interface {
	Lease(ctx context.Context) (store.Lease, error)
	Lead(ctx context.Context, seen store.Lease, holder string) (store.Lease, bool, error)
	BeatLease(ctx context.Context, l store.Lease) (store.Lease, error)
	Resign(ctx context.Context, l store.Lease) error
}

// Members are the processes.
type Members interface {
	Register(ctx context.Context, p store.Process) error
	BeatProcess(ctx context.Context, id string, warehouse bool) error
	Unregister(ctx context.Context, id string) error
	Processes(ctx context.Context) ([]store.Process, error)
}

// Memory is what a leader remembers beside the runs.
type Memory interface {
	PipelineStates(ctx context.Context) ([]store.PipelineState, error)
	Backfills(ctx context.Context, onlyOpen bool) ([]store.Backfill, error)
	DatasetUpdates(ctx context.Context, after int64, limit int) ([]store.DatasetUpdate, error)
	StandingReasons(ctx context.Context) ([]store.Reason, error)
	Alerts(ctx context.Context, limit int) ([]store.Alert, error)
}

// Catalogue is one version of a project.
type Catalogue struct {
	Pipelines []*pipeline.Pipeline
	Pools     map[string]int
	// Executor gives what executes tasks of a kind in this process.
	Executor func(kind pipeline.Kind) engine.Executor
}

// Projects gives the versions of the project.
type Projects interface {
	// Current is the last version without errors.
	Current() *Catalogue
	// Changed is signalled when Current has changed.
	Changed() <-chan struct{}
	// Find gives a pipeline in one of its versions, with the project's version that it belongs to.
	Find(ctx context.Context, name, version string) (*pipeline.Pipeline, *Catalogue, error)
}

// Options say what this process takes part in; ID is required.
type Options struct {
	ID       string // of the process; no other process ever has it
	Host     string
	PID      int
	Address  string // of its listener
	Version  string // of the program
	Parallel int    // executions at a time; 0 = it does not work
	Leads    bool   // it may lead
	// Open opens the warehouse in this process and gives its ledger. It blocks until that is possible: an embedded warehouse is
	// in one process at a time. Until then the process does not lead, and executes only what needs no warehouse.
	Open func(ctx context.Context) (engine.Ledger, error)
	// Alone says that no other leader can be alive once Open has returned, because only one process can have the warehouse.
	Alone bool
	// Dead reports whether a registered process is known to have ended; nil = that is never known.
	Dead  func(p store.Process) bool
	Lease time.Duration // 0 = 10 s
	Drain time.Duration // how long work under way may go on when the process is asked to end; 0 = it is cancelled at once
	Log   *slog.Logger  // nil: nobody reads it
	Seed  uint64        // of the spread of retry delays
	// Led is called when this process begins to lead; nil = nobody wants to know.
	Led func()
}

// tick is how often things are looked at that nothing announces.
const tick = time.Second
