package engine

import (
	"context"
	"fmt"
	"slices"

	"damson/internal/diag"
	"damson/internal/run"
)

// passOver moves the attempts of task runs that are to run past those that the ledger has already: a store that was lost or
// restored, or another project on the same warehouse, gave their numbers before. Taken for this store's, they would be
// reported as the success of work that was never done.
func (a *admission) passOver(ctx context.Context) error {
	var open []*cell
	var claims []run.Claim
	for _, r := range a.runs {
		for i, n := range r.nodes {
			if c := &r.cells[i]; n.selected && !c.State.Ended() && c.State != run.Running {
				open = append(open, c)
				claims = append(claims, run.Claim{RunID: r.ID, Task: c.Task, Attempt: c.Attempt})
			}
		}
	}
	for from := 0; from < len(claims); from += chunk {
		to := min(from+chunk, len(claims))
		last, err := a.question(a.o.Serves).lastTaken(ctx, claims[from:to])
		if err != nil {
			return diag.Finding{Summary: "The warehouse does not say which attempts have committed", Cause: err,
				Detail: fmt.Sprintf("Its ledger was asked before the first task and answered: %v", err),
				Fix:    "Make sure that the warehouse works and run the same command again."}
		}
		for k, c := range open[from:to] {
			c.taken = last[k]
		}
	}
	return nil
}

// lastTaken gives for each claim the number before the first attempt after it that is free.
func (q question) lastTaken(ctx context.Context, claims []run.Claim) ([]int, error) {
	last := make([]int, len(claims))
	next := slices.Clone(claims)
	for k := range next {
		last[k] = next[k].Attempt
		next[k].Attempt++
	}
	for asked := next; len(asked) > 0; {
		taken, err := ask(ctx, q, q.ledger.Taken, asked)
		if err != nil {
			return nil, err
		}
		asked = nil
		for k, claim := range next {
			if taken[claim] {
				last[k]++
				next[k].Attempt++
				asked = append(asked, next[k])
			}
		}
	}
	return last, nil
}
