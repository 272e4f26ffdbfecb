package store

import (
	"errors"
	"time"

	"damson/internal/run"
)

// ErrDeposed says that another process leads: a batch with an older fence has not been written.
var ErrDeposed = errors.New("another process has become the leader")

// Batch is what a scheduler writes together: all of it or, when a change does not fit (*StaleError) or the fence is not the
// present leader's (ErrDeposed), nothing. Parts are applied in the order of the fields.
type Batch struct {
	Fence     int64 // token of the leader's lease; 0 = written whoever leads
	Lines     []run.LogLine
	Runs      []NewRun
	Tasks     []NewTasks
	Changes   []run.Change
	Pipelines []PipelineState
	Backfills []Backfill
	Updates   []DatasetUpdate
	Reasons   []Reason
	Alerts    []Alert
	Done      []int64   // messages that have been dealt with: they are deleted
	Send      []Message // their ID is not looked at
}

// NewRun is a run to be made with its tasks in state scheduled; one that is there already (pipeline and start) stays as it is.
type NewRun struct {
	run.Run
	Tasks []string
}

// NewTasks are tasks that a run does not have yet, in state scheduled.
type NewTasks struct {
	RunID string
	Tasks []string
}

// Lease is who leads. The zero Lease: nobody ever did.
type Lease struct {
	Holder string // a process; "" = resigned
	Token  int64  // grows with every change of holder
	Beat   int64  // grows while the holder lives
}

// Process is a process that works on the project.
type Process struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
	Beat      int64     `json:"beat"`      // grows while it lives
	Slots     int       `json:"slots"`     // executions at a time; 0 = it does not work
	Warehouse bool      `json:"warehouse"` // it has the warehouse open
	Leads     bool      `json:"leads"`     // it is willing to lead
	Address   string    `json:"address"`   // of its listener, "" = none
	Version   string    `json:"version"`   // of the program
}

// Message is something that one process tells another. Recipient is "leader", a process's ID, or the name under which a
// command waits for an answer. Messages of a recipient are received in the order in which they were sent.
type Message struct {
	ID        int64     `json:"id"` // given by the store, growing
	Recipient string    `json:"recipient"`
	Sender    string    `json:"sender"`
	Kind      string    `json:"kind"`
	Body      []byte    `json:"body"` // JSON
	At        time.Time `json:"at"`
}

// PipelineState is what is remembered of a pipeline itself.
type PipelineState struct {
	Name     string    `json:"name"`
	Paused   bool      `json:"paused"`
	PausedBy string    `json:"paused_by,omitempty"`
	PausedAt time.Time `json:"paused_at,omitzero"`
	Cursor   time.Time `json:"cursor,omitzero"`    // start of the next data interval to be scheduled; zero = none was yet
	Consumed int64     `json:"consumed,omitempty"` // last dataset update that it has looked at
}

// Backfill is a wish to run a range of data intervals, which outlives the process that it was told to.
type Backfill struct {
	ID       string    `json:"id"`
	Pipeline string    `json:"pipeline"`
	State    string    `json:"state"` // "open", "done", "failed" or "cancelled"
	Body     []byte    `json:"body"`  // JSON: what is wished, and where it stands
	Created  time.Time `json:"created"`
	Ended    time.Time `json:"ended,omitzero"`
}

// DatasetUpdate says that a run has written a table for a data interval.
type DatasetUpdate struct {
	ID         int64     `json:"id"` // given by the store, growing
	Dataset    string    `json:"dataset"`
	RunID      string    `json:"run_id"`
	Task       string    `json:"task"`
	Start, End time.Time // the data interval that was written
	At         time.Time `json:"at"`
}

// Reason is why something does not run, as the scheduler knew it at a time. Subject is "PIPELINE", "RUN" or "RUN TASK"; an
// empty Text says that nothing held it up any more.
type Reason struct {
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
	Text    string    `json:"text"`
}

// Alert is something that a person should look at.
type Alert struct {
	ID       int64     `json:"id"` // given by the store, growing
	At       time.Time `json:"at"`
	Pipeline string    `json:"pipeline"`
	RunID    string    `json:"run_id,omitempty"`
	Kind     string    `json:"kind"` // "deadline", "failed", "project"
	Text     string    `json:"text"`
}
