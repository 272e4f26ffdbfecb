package engine

import (
	"errors"
	"fmt"
	"time"

	"damson/internal/run"
)

// Report is how a plan ended.
type Report struct {
	Created     int       `json:"created"`          // runs that were new
	Untouched   int       `json:"untouched"`        // runs that had ended before and were left as they are
	Outdated    int       `json:"outdated"`         // untouched runs made with another version of the pipeline than the plan's
	Succeeded   int       `json:"succeeded"`        // runs of the plan that are success now, the untouched ones included
	Failed      int       `json:"failed"`           // runs of the plan that are failed now, the untouched ones included
	Open        int       `json:"open"`             // runs of the plan that have not ended
	Recovered   int       `json:"recovered"`        // task runs that a dead process had left running
	Tasks       Counts    `json:"tasks"`            // task runs that ended in this call
	Failures    []Failure `json:"failures"`         // task runs of the plan that are failed now, in time order, at most 100
	Interrupted bool      `json:"interrupted"`      // ctx ended first
	Resume      string    `json:"resume,omitempty"` // how to go on, when something is open or failed
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended"`
}

// Failure is a failed task run.
type Failure struct {
	RunID   string `json:"run_id"`
	Task    string `json:"task"`
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason"`
}

// Counts are task runs by how they ended.
type Counts struct {
	Success        int `json:"success"`
	Failed         int `json:"failed"`
	UpstreamFailed int `json:"upstream_failed"`
	Skipped        int `json:"skipped"`
	Removed        int `json:"removed"`
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

// finish sums up where the plan of a lane stands.
func (l *Lane) finish(plan Plan) Report {
	r, stopped := &l.report, l.loop.stopped
	r.Ended = l.loop.clock.Now()
	r.Interrupted = errors.Is(stopped, ErrInterrupted)
	r.Failures = []Failure{}
	for _, s := range l.runs {
		switch s.State {
		case run.Success:
			r.Succeeded++
		case run.Failed:
			r.Failed++
		default:
			r.Open++
		}
		for i := range s.cells {
			if c := &s.cells[i]; c.State == run.Failed && s.nodes[i].selected && len(r.Failures) < 100 {
				r.Failures = append(r.Failures, Failure{RunID: s.ID, Task: c.Task, Attempt: c.Attempt, Reason: c.Reason})
			}
		}
	}
	switch {
	case r.Open > 0 && stopped != nil && plan.Rerun == RerunAll:
		r.Resume = fmt.Sprintf("To continue with the %d of %d runs that have not ended, backfill the same dates without --rerun.", r.Open, len(l.runs))
	case r.Open > 0 && stopped != nil:
		r.Resume = fmt.Sprintf("Run the same command again: it continues with the %d of %d runs that have not ended.", r.Open, len(l.runs))
	case r.Failed > 0:
		r.Resume = "Mend the cause and run the same command with --rerun failed: only failed tasks and those after them run again."
	case r.Open > 0:
		r.Resume = "Other tasks of these runs have not run yet: run the command without a choice of tasks."
	}
	return *r
}
