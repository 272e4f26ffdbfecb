// Package model holds trained models as plain data: immutable versions, what they were made from, how they were judged.
// It neither trains nor stores them.
package model

import (
	"encoding/json"
	"time"
)

// Version is one trained model. Only State and Aliases change after it was registered.
type Version struct {
	Model       string          `json:"model"`
	Number      int             `json:"version"` // from 1, given by the store
	State       State           `json:"state"`
	Aliases     []string        `json:"aliases,omitempty"` // its names, which are kept apart from the version
	Created     time.Time       `json:"created"`
	RunID       string          `json:"run_id,omitempty"`
	Why         string          `json:"why"`                   // why it was trained
	Algorithm   string          `json:"algorithm"`             // "random_forest", "logistic_regression", …: how to read the artifact
	Spec        json.RawMessage `json:"spec"`                  // the pipeline.Model it was made by
	Features    []string        `json:"features"`              // in the order the artifact uses
	Kind        string          `json:"kind,omitempty"`        // what it predicts, a metric.Kind; "" = binary, in versions from before there were others
	Classes     []string        `json:"classes,omitempty"`     // in the order of their numbers; none when they are 0 and 1, or numbers are predicted
	TextClasses bool            `json:"text_classes,omitzero"` // the classes are texts, else whole numbers

	// Levels are the texts that each feature of texts held, sorted: the artifact has their places.
	Levels    map[string][]string `json:"levels,omitempty"`
	Reference json.RawMessage     `json:"reference,omitempty"` // what the training rows looked like, a metric.Reference
	Search    json.RawMessage     `json:"search,omitempty"`    // the trials by which Spec's parameters were found, a search.Table

	Rows        int64           `json:"rows"`   // it was trained on
	Data        string          `json:"data"`   // fingerprint of the training rows
	SQL         string          `json:"sql"`    // hash of the source's rendered SQL
	Hash        string          `json:"hash"`   // of the artifact: same data and seed, same hash
	Report      json.RawMessage `json:"report"` // the evaluation, a metric.Report
	Gates       []Gate          `json:"gates"`  // as they were judged
	Artifact    []byte          `json:"-"`      // what was learned, encoded as its algorithm does
	HeldOut     []byte          `json:"-"`      // predictions of held-out rows, heldout.Rows encoded; the store gives them apart
	DecidedBy   string          `json:"decided_by,omitempty"`
	DecidedWhy  string          `json:"decided_why,omitempty"`
	DecidedTime time.Time       `json:"decided,omitzero"`
}

// State of a version in its model's life.
type State string

const (
	Candidate State = "candidate" // trained, gates not passed or approval pending
	Champion  State = "champion"  // the one that scores; at most one of a model
	Retired   State = "retired"   // was champion
	Rejected  State = "rejected"  // refused by a gate or a person
)

// Move takes a version from one state to another by somebody's word.
type Move struct {
	Model    string
	Number   int
	From, To State
	Champion int // the champion that a new one was compared with and replaces; 0 = there is none
	By, Why  string
	At       time.Time
}

// Gate is one condition and how it was judged.
type Gate struct {
	Expr   string `json:"expr"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail"` // the numbers in it
}
