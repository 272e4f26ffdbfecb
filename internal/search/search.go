// Package search tries combinations of an algorithm's parameters and says which is best. Its central function is Run; it neither
// trains nor judges, which its caller does for one combination and one fold at a time.
//
// Invariants:
//  1. The same search gives the same combinations in the same order, on every machine; a random search with more trials begins
//     with those of one with fewer.
//  2. No combination is tried twice.
//  3. Of equally good trials the first one wins. A trial whose metric some fold does not define cannot win.
package search

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"damson/internal/pipeline"
)

// MaxTrials is how many combinations one search may try.
const MaxTrials = 1000

// ErrUndefined says that no trial has a score.
var ErrUndefined = errors.New("no trial's folds define the metric")

// Table is all trials of a search. It is kept with the version as JSON: fields are added, never renamed.
type Table struct {
	Method string  `json:"method"`
	Seed   int64   `json:"seed"`
	Metric string  `json:"metric"`
	Lower  bool    `json:"lower_is_better"`
	Folds  int     `json:"folds"`
	Groups int64   `json:"groups"` // of the training side, dealt out to the folds; rows where the split has no groups
	Rows   int64   `json:"rows"`   // of the training side
	Best   int     `json:"best"`   // number of the trial that won
	Trials []Trial `json:"trials"` // by number
}

// Trial is one combination and how it did.
type Trial struct {
	Number     int         `json:"trial"` // from 1
	Parameters []Parameter `json:"parameters"`
	Scores     []*float64  `json:"scores"` // by fold; nil where its rows do not define the metric
	Mean       *float64    `json:"mean"`   // nil where a fold has none
	Deviation  *float64    `json:"std"`    // of the scores from their mean: the square root of the mean square
	Rank       int         `json:"rank"`   // 1 = the best; 0 = without a mean
	Seconds    float64     `json:"seconds,omitzero"`
}

// Parameter is a searched parameter's value in a trial.
type Parameter struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// Check calls check with every combination that a search tries, until one is refused.
func Check(s pipeline.Search, a pipeline.Algorithm, check func(a pipeline.Algorithm) error) error {
	if s.Folds < 2 {
		return fmt.Errorf("its search has folds = %d, and needs 2", s.Folds)
	}
	for _, p := range Points(s) {
		own, err := p.Apply(a)
		if err != nil {
			return err
		}
		if err := check(own); err != nil {
			return fmt.Errorf("with %s, %w", Trial{Parameters: p}.Describe(), err)
		}
	}
	return nil
}

// Trying is what Run asks of its caller.
type Trying struct {
	// Judge trains with the parameters of a without a fold and gives the metric of that fold's rows; known is false where they do
	// not define it.
	Judge func(ctx context.Context, a pipeline.Algorithm, fold int) (score float64, known bool, err error)
	Now   func() time.Time // times the trials; nil = they are not timed
	Done  func(Trial)      // is called after each trial; nil = nobody waits for it
}

// Run tries the combinations of s one after the other and gives the algorithm with the parameters of the best. table comes with
// what the caller knows: the metric, its direction, groups and rows.
func Run(ctx context.Context, s pipeline.Search, a pipeline.Algorithm, table *Table, t Trying) (pipeline.Algorithm, error) {
	table.Method, table.Seed, table.Folds = s.Method, s.Seed, s.Folds
	best := a
	for _, p := range Points(s) {
		own, err := p.Apply(a)
		if err != nil {
			return a, err
		}
		trial := Trial{Number: len(table.Trials) + 1, Parameters: p}
		if err := t.try(ctx, own, s.Folds, &trial); err != nil {
			return a, err
		}
		table.Trials = append(table.Trials, trial)
		if table.better(trial) {
			table.Best, best = trial.Number, own
		}
		if t.Done != nil {
			t.Done(trial)
		}
	}
	if table.Best == 0 {
		return a, ErrUndefined
	}
	table.rank()
	return best, nil
}

// try judges one trial.
func (t Trying) try(ctx context.Context, a pipeline.Algorithm, folds int, trial *Trial) error {
	var began time.Time
	if t.Now != nil {
		began = t.Now()
	}
	for fold := range folds {
		score, known, err := t.Judge(ctx, a, fold)
		if err != nil {
			return err
		}
		trial.add(score, known)
	}
	trial.sum()
	if t.Now != nil {
		trial.Seconds = t.Now().Sub(began).Seconds()
	}
	return nil
}

func (t *Trial) add(score float64, known bool) {
	if !known || math.IsNaN(score) || math.IsInf(score, 0) {
		t.Scores = append(t.Scores, nil)
		return
	}
	t.Scores = append(t.Scores, &score)
}

// sum computes mean and deviation.
func (t *Trial) sum() {
	n, mean, square := float64(len(t.Scores)), 0.0, 0.0
	for _, s := range t.Scores {
		if s == nil {
			return
		}
		mean += *s
	}
	mean /= n
	for _, s := range t.Scores {
		square += float64((*s - mean) * (*s - mean))
	}
	deviation := math.Sqrt(square / n)
	t.Mean, t.Deviation = &mean, &deviation
}

// better reports whether the trial is better than all before.
func (t *Table) better(trial Trial) bool {
	if trial.Mean == nil {
		return false
	}
	return t.Best == 0 || t.order(trial, t.Trials[t.Best-1]) < 0
}

// order puts the better of two trials with a mean first.
func (t *Table) order(a, b Trial) int {
	if t.Lower {
		return cmp.Compare(*a.Mean, *b.Mean)
	}
	return cmp.Compare(*b.Mean, *a.Mean)
}

func (t *Table) rank() {
	for i, trial := range t.Ranked() {
		if trial.Mean != nil {
			t.Trials[trial.Number-1].Rank = i + 1
		}
	}
}

// Ranked gives the trials, the best first and those without a mean last.
func (t *Table) Ranked() []Trial {
	ranked := slices.Clone(t.Trials)
	slices.SortStableFunc(ranked, func(a, b Trial) int {
		switch {
		case a.Mean == nil && b.Mean == nil:
			return 0
		case a.Mean == nil:
			return 1
		case b.Mean == nil:
			return -1
		}
		return t.order(a, b)
	})
	return ranked
}

// Encode writes the table as a version keeps it; no table is nil.
func (t *Table) Encode() json.RawMessage {
	if t == nil {
		return nil
	}
	text, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("search: a table that has no JSON: %v", err)) // it is plain data without NaN
	}
	return text
}

// Describe tells the trial's parameters: "trees 50, max_depth 8".
func (t Trial) Describe() string {
	parts := make([]string, len(t.Parameters))
	for i, p := range t.Parameters {
		parts[i] = p.Name + " " + p.Text()
	}
	return strings.Join(parts, ", ")
}

// Text is the value as pipeline files write it, numbers and truth values as JSON does.
func (p Parameter) Text() string {
	switch text := string(p.Value); {
	case text == "null":
		return "None"
	case text == `{"balanced":true}`:
		return "balanced"
	case text == "0" && p.Name == "C":
		return "inf" // no penalty
	default:
		return text
	}
}

// Summary tells which trial won.
func (t *Table) Summary() string {
	best := t.Trials[t.Best-1]
	return fmt.Sprintf("the best of %d trials, number %d: %s: %s %.4g ± %.2g", len(t.Trials), t.Best, best.Describe(), t.Metric, *best.Mean, *best.Deviation)
}

// Line tells of a trial and its place among those so far.
func (t *Table) Line(trial Trial, of int) string {
	line := fmt.Sprintf("trial %d of %d: %s: ", trial.Number, of, trial.Describe())
	if trial.Mean == nil {
		return line + t.Metric + " is not defined in every fold"
	}
	line += fmt.Sprintf("%s %.4g ± %.2g", t.Metric, *trial.Mean, *trial.Deviation)
	if trial.Number == t.Best && trial.Number > 1 {
		line += ", the best so far"
	}
	return line
}
