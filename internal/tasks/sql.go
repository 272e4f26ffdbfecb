package tasks

import (
	"context"
	"time"

	"damson/internal/engine"
	"damson/internal/warehouse"
)

// sqlExecutor runs a SQL file: a SELECT into a table, or a script.
type sqlExecutor struct{ *Shop }

// written is what a task that writes rows reports. In a batch, the rows are those of all its runs.
type written struct {
	warehouse.Written
	BatchOf int `json:"batch_of,omitempty"` // runs that were executed together
}

// writtenBy starts the report of a work.
func writtenBy(w engine.Work) written {
	if len(w.Runs) == 1 {
		return written{}
	}
	return written{BatchOf: len(w.Runs)}
}

// scriptResult is what a script reports: the rows its statements changed.
type scriptResult struct {
	Rows int64 `json:"rows"`
}

// Execute renders the file and writes its rows, or runs its statements, in one transaction with the ledger.
func (e sqlExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	text, err := e.render(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	var outcome engine.Outcome
	err = e.Warehouse.Do(ctx, w.Claims, func(tx *warehouse.Tx) (any, error) {
		if target := w.Task.SQL.Target; target != nil {
			result := writtenBy(w)
			var err error
			result.Written, err = tx.Into(ctx, text, *target, interval(w))
			outcome.Result = result
			return result, err
		}
		rows, err := tx.Script(ctx, text, func(i, n int, rows int64, d time.Duration) {
			if n > 1 {
				w.Log.Infof("statement %d of %d: %d rows, %s", i, n, max(rows, 0), d.Round(time.Millisecond))
			}
		})
		outcome.Result = scriptResult{rows}
		return outcome.Result, err
	})
	return outcome, err
}
