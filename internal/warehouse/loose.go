package warehouse

import (
	"context"
	"fmt"

	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/sqltext"
)

// Loose runs the statements of a script in one session outside of a transaction, as VACUUM and CREATE INDEX CONCURRENTLY demand,
// and then writes the claims' ledger rows. Claims that the ledger has already give ErrCommitted or ErrSettled and nothing runs.
// What has run stays when a later statement fails or the process ends, and runs again with the next attempt.
func (w *Warehouse) Loose(ctx context.Context, claims []run.Claim, text sqltext.Text, progress Progress) (rows int64, err error) {
	found, err := w.recorded(ctx, w.driver, claims)
	if err == nil {
		err = was(found)
	}
	if err != nil { // also when the ledger does not answer: nobody knows then whether the script may run
		return 0, err
	}
	session, err := w.Session(ctx)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	done := 0
	rows, err = script(text, progress, func(statement sqltext.Text) (int64, error) {
		n, err := session.Exec(ctx, statement)
		if err != nil {
			return 0, halfDone(err, done)
		}
		done++
		return n, nil
	})
	if err != nil {
		return rows, err
	}
	return rows, w.Do(ctx, claims, func(*Tx) (any, error) { return map[string]int64{"rows": rows}, nil })
}

// halfDone tells how many statements of a script stay that has failed outside of a transaction.
func halfDone(err error, done int) error {
	if done == 0 {
		return err
	}
	f := diag.AsFinding("", err)
	stay := "The statement before it ran outside of a transaction and stays."
	if done > 1 {
		stay = fmt.Sprintf("The %d statements before it ran outside of a transaction and stay.", done)
	}
	f.Detail += "\n" + stay
	return f
}
