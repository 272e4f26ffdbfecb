package run

import (
	"fmt"
	"slices"
)

// Events of task runs and runs. Their texts stand in the history.
const (
	EventQueued         Event = "queued"          // its trigger rule holds
	EventStarted        Event = "started"         // a worker has it; of a run: the first of its tasks may start
	EventSucceeded      Event = "succeeded"       // its work is done and committed; of a run: see Outcome
	EventFailed         Event = "failed"          // and has no attempt left; of a run: see Outcome
	EventRetried        Event = "retried"         // an attempt failed, another one follows
	EventRetryDue       Event = "retry_due"       // the delay before the next attempt is over
	EventSkipped        Event = "skipped"         // by its trigger rule, or by the task itself
	EventUpstreamFailed Event = "upstream_failed" // its trigger rule cannot hold any more
	EventDeferred       Event = "deferred"        // it waits for something outside without a worker
	EventResumed        Event = "resumed"         // that something has come
	EventInterrupted    Event = "interrupted"     // the process was asked to end; not a failed attempt
	EventRecovered      Event = "recovered"       // the process that ran it is gone and it had not committed
	EventSplit          Event = "split"           // it failed together with other intervals and is now run alone
	EventRunTimedOut    Event = "run_timed_out"   // the run took longer than its pipeline allows
	EventRemoved        Event = "removed"         // the pipeline has no such task any more
	EventCleared        Event = "cleared"         // somebody wants it run again
	EventMarkedSuccess  Event = "marked_success"  // a person said so
	EventMarkedFailed   Event = "marked_failed"
	EventMarkedSkipped  Event = "marked_skipped"
)

// States lists all states in the order of a task run's life.
func States() []State {
	return []State{Scheduled, Queued, Running, UpForRetry, Deferred, Success, Failed, UpstreamFailed, Skipped, Removed}
}

// Events lists all events in the order in which they may happen.
func Events() []Event {
	return []Event{EventQueued, EventStarted, EventSucceeded, EventFailed, EventRetried, EventRetryDue, EventSkipped,
		EventUpstreamFailed, EventDeferred, EventResumed, EventInterrupted, EventRecovered, EventSplit, EventRunTimedOut,
		EventRemoved, EventCleared, EventMarkedSuccess, EventMarkedFailed, EventMarkedSkipped}
}

// transitions is where an event leads from a state. What is not here cannot happen.
type transitions map[State]map[Event]State

// taskTransitions is a task run's life.
var taskTransitions = transitions{
	Scheduled: {
		EventQueued: Queued, EventSkipped: Skipped, EventUpstreamFailed: UpstreamFailed, EventRunTimedOut: UpstreamFailed,
		EventRemoved: Removed, EventMarkedSuccess: Success, EventMarkedFailed: Failed, EventMarkedSkipped: Skipped,
	},
	Queued: {
		EventStarted: Running, EventInterrupted: Scheduled, EventRunTimedOut: UpstreamFailed, EventRemoved: Removed,
		EventCleared: Scheduled, EventMarkedSuccess: Success, EventMarkedFailed: Failed, EventMarkedSkipped: Skipped,
	},
	Running: {
		EventSucceeded: Success, EventFailed: Failed, EventRetried: UpForRetry, EventSkipped: Skipped, EventDeferred: Deferred,
		EventInterrupted: Scheduled, EventRecovered: Queued, EventSplit: Queued, EventRunTimedOut: Failed,
		EventCleared: Scheduled, EventMarkedSuccess: Success, EventMarkedFailed: Failed, EventMarkedSkipped: Skipped,
	},
	UpForRetry: {
		EventRetryDue: Queued, EventInterrupted: Scheduled, EventRunTimedOut: Failed, EventRemoved: Removed,
		EventCleared: Scheduled, EventMarkedSuccess: Success, EventMarkedFailed: Failed, EventMarkedSkipped: Skipped,
	},
	Deferred: {
		EventResumed: Queued, EventSucceeded: Success, EventSkipped: Skipped, EventFailed: Failed, EventRetried: UpForRetry,
		EventInterrupted: Scheduled, EventRunTimedOut: Failed,
		EventRemoved: Removed, EventCleared: Scheduled, EventMarkedSuccess: Success, EventMarkedFailed: Failed,
		EventMarkedSkipped: Skipped,
	},
	Success: {
		EventCleared: Scheduled, EventRemoved: Removed, EventMarkedFailed: Failed, EventMarkedSkipped: Skipped,
	},
	Failed: {
		EventCleared: Scheduled, EventRemoved: Removed, EventMarkedSuccess: Success, EventMarkedSkipped: Skipped,
	},
	UpstreamFailed: {
		EventCleared: Scheduled, EventRemoved: Removed, EventMarkedSuccess: Success, EventMarkedFailed: Failed,
		EventMarkedSkipped: Skipped,
	},
	Skipped: {
		EventCleared: Scheduled, EventRemoved: Removed, EventMarkedSuccess: Success, EventMarkedFailed: Failed,
	},
	Removed: {EventCleared: Scheduled},
}

// runTransitions is a run's life.
var runTransitions = transitions{
	Queued: {EventStarted: Running, EventMarkedSuccess: Success, EventMarkedFailed: Failed},
	Running: {
		EventSucceeded: Success, EventFailed: Failed, EventRunTimedOut: Failed, EventMarkedSuccess: Success,
		EventMarkedFailed: Failed,
	},
	Success: {EventCleared: Queued, EventMarkedFailed: Failed},
	Failed:  {EventCleared: Queued, EventMarkedSuccess: Success},
}

// Next says where event leads a task run in state from. The error names both when that event cannot happen there.
func Next(from State, event Event) (State, error) {
	return taskTransitions.next("task run", from, event)
}

// NextRun is Next for a run.
func NextRun(from State, event Event) (State, error) { return runTransitions.next("run", from, event) }

func (t transitions) next(what string, from State, event Event) (State, error) {
	if to, ok := t[from][event]; ok {
		return to, nil
	}
	if !slices.Contains(States(), from) {
		return "", fmt.Errorf("%q is not a state of a %s", from, what)
	}
	if !slices.Contains(Events(), event) {
		return "", fmt.Errorf("%q is not an event of a %s", event, what)
	}
	return "", fmt.Errorf("a %s that is %s cannot be %s", what, from, event)
}

// Ended reports whether nothing more happens in this state by itself.
func (s State) Ended() bool {
	switch s {
	case Success, Failed, UpstreamFailed, Skipped, Removed:
		return true
	}
	return false
}
