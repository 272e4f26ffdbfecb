// Package run holds what happens when a pipeline runs: runs, task runs, their states, and the pure rules that move them.
// It does no I/O and tells no time; the engine performs what it decides.
package run

import (
	"encoding/json"
	"time"
)

// Run is one pipeline over one data interval. (Pipeline, Start) is unique: a date has one run, which is cleared and run
// again rather than made twice.
type Run struct {
	ID       string         `json:"id"` // NewID
	Pipeline string         `json:"pipeline"`
	Trigger  string         `json:"trigger"`             // "scheduled", "backfill" or "manual"
	Start    time.Time      `json:"data_interval_start"` // the logical date
	End      time.Time      `json:"data_interval_end"`   // equal to Start when the interval has no width
	State    State          `json:"state"`
	Params   map[string]any `json:"params,omitempty"`
	Version  string         `json:"version"` // the pipeline's content hash when the run was made or last cleared
	Created  time.Time      `json:"created"`
	Started  time.Time      `json:"started,omitzero"`
	Ended    time.Time      `json:"ended,omitzero"`
	Reason   string         `json:"reason,omitempty"`
}

// TaskRun is one task in one run.
type TaskRun struct {
	RunID     string          `json:"run_id"`
	Task      string          `json:"task"`
	State     State           `json:"state"`
	Attempt   int             `json:"attempt"`             // number of the latest attempt, from 1; never goes back, not even by a clear
	Failures  int             `json:"failures"`            // failed attempts since it was made or cleared
	Token     int64           `json:"token"`               // fencing token of the latest claim
	NotBefore time.Time       `json:"not_before,omitzero"` // up_for_retry: when the next attempt is due
	Queued    time.Time       `json:"queued,omitzero"`
	Started   time.Time       `json:"started,omitzero"`
	Ended     time.Time       `json:"ended,omitzero"`
	Reason    string          `json:"reason,omitempty"` // why it is in this state, in words
	Result    json.RawMessage `json:"result,omitempty"` // what the task reports: rows, rejects, model version …
}

// State of a run or of a task run. Runs use queued, running, success and failed only.
type State string

const (
	Scheduled      State = "scheduled" // waits for what stands before it
	Queued         State = "queued"    // may start
	Running        State = "running"
	UpForRetry     State = "up_for_retry"
	Deferred       State = "deferred" // waits for something outside without holding a worker
	Success        State = "success"
	Failed         State = "failed"
	UpstreamFailed State = "upstream_failed"
	Skipped        State = "skipped"
	Removed        State = "removed" // the pipeline has no such task any more
)

// Change is one transition of a task run, or (Task empty) of a run: From must be the state at hand, or the store refuses
// it. Attempt, Failures, Token and the rest are the task run's fields after the change.
type Change struct {
	RunID     string
	Task      string
	From, To  State
	Event     Event
	At        time.Time
	Attempt   int
	Failures  int
	Token     int64
	NotBefore time.Time
	Reason    string
	Result    json.RawMessage
	Version   string         // of a run that is cleared: the pipeline's version that it will run; "" = as it is
	Params    map[string]any // of a run that is cleared: its parameters from now on; nil = as they are
}

// Claim names one attempt of one task run: the key of the ledger, in which the warehouse records, in the transaction of the
// task's writes, that this attempt has committed.
type Claim struct {
	RunID   string `json:"run_id"`
	Task    string `json:"task"`
	Attempt int    `json:"attempt"`
}

// LogLine is a line that a task run wrote.
type LogLine struct {
	Claim
	At    time.Time `json:"at"`
	Level string    `json:"level"` // "info", "warn" or "error"
	Text  string    `json:"text"`
}

// Event names why a state changed; Next says which events a state accepts.
type Event string
