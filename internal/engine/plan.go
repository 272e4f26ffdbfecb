package engine

import (
	"damson/internal/pipeline"
	"damson/internal/run"
)

// Rerun says what happens to runs of the plan's intervals that have ended before.
type Rerun string

const (
	RerunNone   Rerun = "none"   // they stay as they are; only what never ran is run
	RerunFailed Rerun = "failed" // failed tasks, those that failed with them and all that come after them run again
	RerunAll    Rerun = "all"    // every task runs again
)

// Plan is what to run.
type Plan struct {
	Pipeline      *pipeline.Pipeline
	Intervals     []run.Interval // in time order, without overlap
	Tasks         []string       // only these; nil = all. Tasks between two of them keep those two in order
	Rerun         Rerun          // "" = none
	Params        map[string]any // of new runs
	Trigger       string         // of new runs: "scheduled", "backfill" or "manual"; "" = backfill
	MaxActiveRuns int            // 0 = as the pipeline says, -1 = no limit
	Batch         int            // bound on adjacent runs that are opened together and, where a task allows it, executed as one; 0 or 1 = off
}
