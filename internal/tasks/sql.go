package tasks

import (
	"context"
	"time"

	"damson/internal/engine"
	"damson/internal/warehouse"
)

// sqlExecutor runs a SQL file: a SELECT into a table, or a script.
type sqlExecutor struct{ *Shop }

// written is what a task that writes rows reports. In a batch, the rows are those of the interval where the warehouse tells
// them apart, and how many made way for them is not told; else the numbers are those of all its runs.
type written struct {
	warehouse.Written
	BatchOf int `json:"batch_of,omitempty"` // runs that were executed together
}

// outcomeOf makes the outcome of a work from what it wrote in all and, where that is known, for each run; result adds what
// else the task reports.
func outcomeOf(w engine.Work, all warehouse.Written, each []int64, result func(rows written) any) engine.Outcome {
	batch := len(w.Runs)
	if batch == 1 {
		batch = 0
	}
	outcome := engine.Outcome{Result: result(written{all, batch})}
	for _, rows := range each {
		outcome.Each = append(outcome.Each, result(written{warehouse.Written{Rows: rows, Created: all.Created}, batch}))
	}
	return outcome
}

// recorded gives an outcome's results as the ledger keeps them.
func recorded(o engine.Outcome) any {
	if o.Each != nil {
		return warehouse.Each(o.Each)
	}
	return o.Result
}

// scriptResult is what a script reports: the rows its statements changed.
type scriptResult struct {
	Rows int64 `json:"rows"`
}

// Execute renders the file and writes its rows, or runs its statements, in one transaction with the ledger; a loose script
// has none.
func (e sqlExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	text, err := e.render(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	var outcome engine.Outcome
	progress := func(i, n int, rows int64, d time.Duration) {
		if n > 1 {
			w.Log.Infof("statement %d of %d: %d rows, %s", i, n, max(rows, 0), d.Round(time.Millisecond))
		}
	}
	if w.Task.SQL.Loose {
		rows, err := e.Warehouse.Loose(ctx, w.Claims, text, progress)
		return engine.Outcome{Result: scriptResult{rows}}, err
	}
	err = e.Warehouse.Do(ctx, w.Claims, func(tx *warehouse.Tx) (any, error) {
		if target := w.Task.SQL.Target; target != nil {
			all, each, err := into(ctx, tx, w, text, *target)
			outcome = outcomeOf(w, all, each, func(rows written) any { return rows })
			return recorded(outcome), err
		}
		rows, err := tx.Script(ctx, text, progress)
		outcome.Result = scriptResult{rows}
		return outcome.Result, err
	})
	return outcome, err
}
