package pipeline

import "encoding/json"

// Search looks for an algorithm's parameters by cross-validation on the training side: what it tries never sees a held-out row.
type Search struct {
	Method string      `json:"method"`           // one of the methods below
	Trials int         `json:"trials,omitzero"`  // of a random search: how many combinations are drawn
	Seed   int64       `json:"seed"`             // of what is drawn, and of the folds
	Metric string      `json:"metric,omitempty"` // to be best in; "" = by what the target asks
	Folds  int         `json:"folds"`
	Space  []Dimension `json:"space"`
}

// Methods of a search.
const (
	GridSearch   = "grid"   // every combination
	RandomSearch = "random" // drawn ones
)

// Dimension is one parameter and the values it may have: some, or a range.
type Dimension struct {
	Parameter string            `json:"parameter"`         // as pipeline files call it
	Choices   []json.RawMessage `json:"choices,omitempty"` // as the algorithm's JSON has them
	Range     *Range            `json:"range,omitempty"`
}

// Range is all numbers from Low to High, both included.
type Range struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Whole bool    `json:"whole,omitzero"` // whole numbers only
	Step  int     `json:"step,omitzero"`  // of whole numbers, from Low on; 0 = 1
	Log   bool    `json:"log,omitzero"`   // drawn evenly on a logarithmic scale
}
