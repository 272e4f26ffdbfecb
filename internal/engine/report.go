package engine

import (
	"time"

	"damson/internal/run"
)

// Report is how a plan ended.
type Report struct {
	Created     int       // runs that were new
	Untouched   int       // runs that had ended before and were left as they are
	Succeeded   int       // runs of the plan that are success now, the untouched ones included
	Failed      int       // runs of the plan that are failed now, the untouched ones included
	Open        int       // runs of the plan that have not ended
	Recovered   int       // task runs that a dead process had left running
	Tasks       Counts    // task runs that ended in this call
	Failures    []Failure // task runs of the plan that are failed now, in time order, at most 100
	Interrupted bool      // ctx ended first
	Resume      string    // how to go on, when something is open or failed
	Started     time.Time
	Ended       time.Time
}

// Failure is a failed task run.
type Failure struct {
	RunID, Task string
	Attempt     int
	Reason      string
}

// Counts are task runs by how they ended.
type Counts struct {
	Success, Failed, UpstreamFailed, Skipped, Removed int
}

// EventKind is what an Observer is told.
type EventKind string

const (
	RunStarted  EventKind = "run started"
	RunEnded    EventKind = "run ended"
	TaskStarted EventKind = "task started"
	TaskRetried EventKind = "task retried" // an attempt failed, another follows
	TaskEnded   EventKind = "task ended"
)

// Event is something that happened and is recorded in the store.
type Event struct {
	Kind     EventKind
	At       time.Time
	Run      run.Run
	Task     run.TaskRun // zero for events of runs
	Progress Progress
}

// Progress is where the whole plan stands after an event.
type Progress struct {
	Runs, RunsEnded, RunsFailed    int
	Tasks, TasksEnded, TasksFailed int
	Running                        int // task runs
}

// Observer is told of events, one at a time and in order, between the engine's own steps: it returns soon.
type Observer interface {
	Observe(e Event)
}
