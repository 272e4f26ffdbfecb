// Package store keeps Damson's own metadata: runs, task runs, the history of their states, logs and model versions. Its
// central type is Store, in front of a small driver for each database.
//
// The package decides nothing: which state follows which is run.Next's business, when a model becomes champion is the
// registry's. It refuses a change that does not fit what is stored.
//
// Invariants:
//
//  1. What a method has acknowledged survives a crash of the process and of the machine.
//  2. A method's writes happen all or not at all.
//  3. A state changes only from the state that the change names, and a claimed task run only by a claim that is at least as new.
//  4. Every change is in the history.
//  5. Times have microseconds and come back in UTC.
package store

import (
	"context"
	"fmt"
	"time"

	"damson/internal/run"
	"damson/internal/store/driver"
)

// Store is the open metadata. Its methods may be called concurrently.
type Store struct {
	db driver.DB
}

// New prepares the database d for use: it creates or upgrades the schema. A schema newer than this program knows is a
// diag.Finding. Close closes d as well.
func New(ctx context.Context, d driver.DB) (*Store, error) { return &Store{db: d}, nil }

// Close ends the store after the writes under way.
func (s *Store) Close() error { return s.db.Close() }

// RunFilter chooses runs. Zero fields do not restrict.
type RunFilter struct {
	Pipeline string
	IDs      []string
	States   []run.State
	From, To time.Time // From ≤ data interval start ≤ To
	Limit    int
	Newest   bool // latest data interval first
}

// StaleError says that a change did not fit what is stored: its From is not the present state, or a newer claim has the
// task run.
type StaleError struct {
	Change  run.Change
	Missing bool      // there is no such run or task run
	State   run.State // as stored
	Token   int64     // as stored
}

func (e *StaleError) Error() string {
	what := "run " + e.Change.RunID
	if e.Change.Task != "" {
		what = "task " + e.Change.Task + " of " + what
	}
	switch {
	case e.Missing:
		return what + " does not exist"
	case e.State != e.Change.From:
		return fmt.Sprintf("%s is %s, not %s: it cannot become %s", what, e.State, e.Change.From, e.Change.To)
	}
	return fmt.Sprintf("%s was claimed again (claim %d, this one is %d): it cannot become %s", what, e.Token, e.Change.Token, e.Change.To)
}

// CreateRuns adds the runs, each with its tasks in state scheduled, in one transaction, and says how many were new. A run
// of the same pipeline and data interval start that is there already stays as it is.
func (s *Store) CreateRuns(ctx context.Context, runs []run.Run, tasks []string) (created int, err error) {
	return 0, nil
}

// Runs lists the runs that the filter chooses, by data interval start, then pipeline.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]run.Run, error) { return nil, nil }

// TaskRuns lists all task runs of these runs, by the run's data interval start, then task.
func (s *Store) TaskRuns(ctx context.Context, runIDs ...string) ([]run.TaskRun, error) {
	return nil, nil
}

// Apply makes the changes, in order, all or none: a change that does not fit what is stored is a *StaleError. The times
// queued, started and ended follow from To and At.
func (s *Store) Apply(ctx context.Context, changes []run.Change) error { return nil }

// History lists the changes of one task run, or (task empty) of the run itself, oldest first.
func (s *Store) History(ctx context.Context, runID, task string) ([]run.Change, error) {
	return nil, nil
}

// AddTasks adds the tasks that the run does not have yet, in state scheduled: for a run older than a task of its pipeline.
func (s *Store) AddTasks(ctx context.Context, runID string, tasks []string) error { return nil }

// AddLogs appends lines.
func (s *Store) AddLogs(ctx context.Context, lines []run.LogLine) error { return nil }

// Logs lists the lines of a task run's attempt, or of all its attempts (attempt 0), as they were added.
func (s *Store) Logs(ctx context.Context, runID, task string, attempt int) ([]run.LogLine, error) {
	return nil, nil
}
