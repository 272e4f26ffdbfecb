package scheduler

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// Leader is the recipient of what is for whoever leads.
const Leader = "leader"

// Kinds of messages.
const (
	msgAssign  = "assign"  // leader → worker: assignment
	msgCancel  = "cancel"  // leader → worker: cancellation
	msgCensus  = "census"  // leader → worker: what do you execute? worker → leader: census
	msgOutcome = "outcome" // worker → leader: outcome
	MsgRequest = "request" // command → leader: Request
	MsgAnswer  = "answer"  // leader → command: Answer
)

// assignment is work for another process.
type assignment struct {
	Token    int64        `json:"token"` // the leader's
	Pipeline string       `json:"pipeline"`
	Version  string       `json:"version"`
	Task     string       `json:"task"`
	Runs     []run.Run    `json:"runs"`
	Claims   []run.Claim  `json:"claims"`
	Start    time.Time    `json:"start"`
	End      time.Time    `json:"end"`
	Since    time.Time    `json:"since"`
	Item     *engine.Item `json:"item,omitempty"`
	Mapped   bool         `json:"mapped,omitempty"`
}

// cancellation ends work in another process.
type cancellation struct {
	Claim run.Claim `json:"claim"`
	Why   string    `json:"why"`
}

// census asks, with the asking leader's token, and answers, with what is executed.
type census struct {
	Token     int64         `json:"token"`
	Executing [][]run.Claim `json:"executing,omitempty"`
}

// outcome is engine.Ended as it travels.
type outcome struct {
	Claims      []run.Claim       `json:"claims"`
	Results     []json.RawMessage `json:"results,omitempty"`
	Skip        string            `json:"skip,omitempty"`
	Waits       string            `json:"waits,omitempty"`
	Again       time.Duration     `json:"again,omitempty"`
	Choice      *run.Choice       `json:"choice,omitempty"`
	Mapped      bool              `json:"mapped,omitempty"` // Items count, even when there are none
	Items       []any             `json:"items,omitempty"`
	Err         string            `json:"err,omitempty"`
	Hopeless    bool              `json:"hopeless,omitempty"`
	Interrupted bool              `json:"interrupted,omitempty"`
	Committed   []json.RawMessage `json:"committed,omitempty"` // by claim; null = not
	Taken       []int             `json:"taken,omitempty"`
}

func toOutcome(claims []run.Claim, e engine.Ended) outcome {
	o := outcome{Claims: claims, Results: e.Results, Skip: e.Outcome.Skip, Waits: e.Outcome.Waits, Again: e.Outcome.Again,
		Choice: e.Outcome.Choice, Items: e.Outcome.Items, Mapped: e.Outcome.Items != nil, Taken: e.Taken}
	if e.Err == nil {
		return o
	}
	o.Err = e.Err.Error()
	hopeless := engine.Hopeless{}
	o.Hopeless = errors.As(e.Err, &hopeless)
	o.Interrupted = errors.Is(e.Err, engine.ErrInterrupted)
	for _, c := range claims {
		var row json.RawMessage
		if result, ok := e.Committed[c]; ok {
			if row = result; row == nil {
				row = json.RawMessage(`{}`)
			}
		}
		o.Committed = append(o.Committed, row)
	}
	return o
}

func (o outcome) ended() engine.Ended {
	e := engine.Ended{Results: o.Results, Taken: o.Taken,
		Outcome: engine.Outcome{Skip: o.Skip, Waits: o.Waits, Again: o.Again, Choice: o.Choice, Items: o.Items}}
	if o.Mapped && o.Items == nil {
		e.Outcome.Items = []any{}
	}
	switch {
	case o.Err == "":
		return e
	case o.Interrupted:
		e.Err = fmt.Errorf("%s: %w", o.Err, engine.ErrInterrupted)
	case o.Hopeless:
		e.Err = engine.GiveUp(errors.New(o.Err))
	default:
		e.Err = errors.New(o.Err)
	}
	e.Committed = map[run.Claim]json.RawMessage{}
	for k, row := range o.Committed {
		if row != nil && string(row) != "null" && k < len(o.Claims) {
			e.Committed[o.Claims[k]] = row
		}
	}
	return e
}

// toAssignment describes work for another process.
func toAssignment(token int64, w engine.Work) assignment {
	return assignment{Token: token, Pipeline: w.Pipeline.Name, Version: w.Pipeline.Version, Task: w.Task.Name, Runs: w.Runs,
		Claims: w.Claims, Start: w.Start, End: w.End, Since: w.Since, Item: w.Item, Mapped: w.Mapped}
}

func (a assignment) work(p *pipeline.Pipeline, log engine.Logger) (engine.Work, bool) {
	t := p.Task(a.Task)
	return engine.Work{Pipeline: p, Task: t, Runs: a.Runs, Claims: a.Claims, Start: a.Start, End: a.End, Since: a.Since,
		Item: a.Item, Mapped: a.Mapped, Log: log}, t != nil
}

// Request is what a person wants of the leader. Which fields count depends on Kind.
type Request struct {
	Kind     string         `json:"kind"` // see the constants
	By       string         `json:"by,omitempty"`
	Pipeline string         `json:"pipeline,omitempty"`
	Start    time.Time      `json:"start,omitzero"` // run: the data interval
	End      time.Time      `json:"end,omitzero"`
	Tasks    []string       `json:"tasks,omitempty"`
	Params   map[string]any `json:"params,omitempty"`
	Runs     []string       `json:"runs,omitempty"`      // clear, mark: their IDs
	State    run.State      `json:"state,omitempty"`     // mark
	SameCode bool           `json:"same_code,omitempty"` // clear: an ended run keeps the version it ran
	Backfill *Wish          `json:"backfill,omitempty"`  // backfill
	ID       string         `json:"id,omitempty"`        // cancel: the backfill's
}

// Kinds of requests.
const (
	ReqRun      = "run"
	ReqTrigger  = "trigger" // a run that a task asks for
	ReqBackfill = "backfill"
	ReqCancel   = "cancel" // a backfill
	ReqClear    = "clear"
	ReqMark     = "mark"
	ReqPause    = "pause"
	ReqUnpause  = "unpause"
)

// Answer is what became of a request.
type Answer struct {
	Error    *diag.Finding `json:"error,omitempty"`
	Runs     []string      `json:"runs,omitempty"`
	Changed  int           `json:"changed,omitempty"` // task runs
	Backfill string        `json:"backfill,omitempty"`
}

// message puts a body into a message.
func message(recipient, sender, kind string, body any, at time.Time) store.Message {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("scheduler: a message that JSON cannot hold: %v", err))
	}
	return store.Message{Recipient: recipient, Sender: sender, Kind: kind, Body: text, At: at}
}

// NewRequest puts a request into a message whose answer goes to reply.
func NewRequest(reply string, r Request, at time.Time) store.Message {
	return message(Leader, reply, MsgRequest, r, at)
}
