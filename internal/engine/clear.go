package engine

import (
	"context"
	"time"

	"damson/internal/pipeline"
	"damson/internal/run"
)

// Selection chooses task runs of some runs.
type Selection struct {
	RunIDs     []string
	Tasks      []string // nil = all
	Upstream   bool     // and the tasks before them
	Downstream bool     // and the tasks after them
}

// Clear gives the changes that make the chosen task runs run again: those that are more than scheduled go back to it, and
// their runs wait to be driven. Nothing is changed: the caller shows them and hands them to Store.Apply.
func Clear(ctx context.Context, s Store, p *pipeline.Pipeline, sel Selection, now time.Time) ([]run.Change, error) {
	return nil, nil
}

// Mark gives the changes that put the chosen task runs into state: run.Success, run.Failed or run.Skipped. What failed only
// because of them, further down, is cleared. Nothing is changed: the caller shows them and hands them to Store.Apply.
func Mark(ctx context.Context, s Store, p *pipeline.Pipeline, sel Selection, state run.State, now time.Time) ([]run.Change, error) {
	return nil, nil
}
