// Package doctor says, before anything runs, what would keep a project from working, and how to mend it. Its central type is Check:
// one thing that was looked at, with how it stands. Examine looks at everything.
//
// What a warehouse or machine says are facts, plain data; judging them is a pure function beside the question that asked for them.
// Whoever calls opens stores and warehouses and hands them over as functions.
//
// Invariants:
//  1. Nothing is changed or made, but for one empty file that is removed at once.
//  2. No step holds the others up: each has its time, and who waits for one goes on when that is over.
//  3. What cannot be found out is said to be so. It is never taken for well.
//  4. Checks come in the same order each time.
//
// It refuses to mend anything by itself, and to run what the project runs.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"damson/internal/diag"
	"damson/internal/warehouse/driver"
)

// Status is how a check stands.
type Status string

const (
	OK         Status = "ok"
	Warning    Status = "warning"     // it works, and somebody should look
	Problem    Status = "problem"     // something will fail
	NotChecked Status = "not_checked" // what it depends on is not well
)

// Check is one thing that was looked at. What says how it stands in one line; Why and Fix are there when it is not ok.
type Check struct {
	Area   string   `json:"area"` // "project", "store" or "warehouse"
	Name   string   `json:"name"`
	Status Status   `json:"status"`
	At     diag.Pos `json:"at"` // in the project's files; zero when it is about none of them
	What   string   `json:"what"`
	Why    string   `json:"why,omitempty"`
	Fix    string   `json:"fix,omitempty"`
}

func ok(what string, args ...any) []Check {
	return []Check{{Status: OK, What: fmt.Sprintf(what, args...)}}
}

// found makes a check of an error: its Finding, when it is one, or what the database says.
func found(status Status, what string, err error) Check {
	f := diag.AsFinding(what, err)
	if e := (*driver.Error)(nil); !errors.As(err, new(diag.Finding)) && errors.As(err, &e) {
		f.Detail, f.Fix = e.Message, e.Hint
	}
	return Check{Status: status, At: f.At, What: f.Summary, Why: f.Detail, Fix: f.Fix}
}

// step is one question and the judgement of its answer.
type step struct {
	area, name string
	patience   time.Duration // 0 = askPatience
	do         func(ctx context.Context) ([]Check, error)
}

const (
	// askPatience is how long one question may take.
	askPatience = 5 * time.Second
	// reachPatience is how long reaching a server may take: several addresses, with and without TLS.
	reachPatience = 10 * time.Second
	// width is how many questions of one warehouse are asked at a time.
	width = 3
)

// take runs the steps, at most most of them at a time, and gives their checks in the order of the steps.
func take(ctx context.Context, most int64, steps []step) []Check {
	turns := semaphore.NewWeighted(most)
	results := make([]chan []Check, len(steps))
	for i, s := range steps {
		results[i] = make(chan []Check, 1)
		go func() {
			if turns.Acquire(ctx, 1) != nil {
				results[i] <- []Check{{Area: s.area, Name: s.name, Status: NotChecked, What: "stopped"}}
				return
			}
			defer turns.Release(1)
			results[i] <- s.run(ctx)
		}()
	}
	var all []Check
	for _, r := range results {
		all = append(all, <-r...)
	}
	return all
}

// within runs f and waits for it no longer than the patience, whether it comes back or not.
func within[T any](ctx context.Context, patience time.Duration, f func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := f(ctx)
		done <- outcome{value, err}
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		o.err = ctx.Err()
	}
	if o.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		o.err = lateError(patience)
	}
	return o.value, o.err
}

// lateError is the error of what was not waited for any longer.
func lateError(patience time.Duration) error {
	return diag.Finding{Summary: fmt.Sprintf("no answer within %s", patience), Detail: "It was not waited for any longer, so nothing is known about it.",
		Fix: "Look whether the machine or server is overloaded or locked, and try again.", Cause: context.DeadlineExceeded}
}

// run takes the step.
func (s step) run(ctx context.Context) []Check {
	patience := s.patience
	if patience == 0 {
		patience = askPatience
	}
	checks, err := within(ctx, patience, s.do)
	if err != nil {
		checks = []Check{found(Warning, "could not be looked at", err)}
	}
	return s.named(checks)
}

// named puts the step's name to its checks.
func (s step) named(checks []Check) []Check {
	for i := range checks {
		checks[i].Area, checks[i].Name = s.area, s.name
	}
	return checks
}

// notChecked are the checks of steps that could not be taken.
func notChecked(steps []step, why string) []Check {
	checks := make([]Check, len(steps))
	for i, s := range steps {
		checks[i] = Check{Area: s.area, Name: s.name, Status: NotChecked, What: "not checked", Why: why}
	}
	return checks
}
