package warehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// maxTries bounds how often Do begins again when another transaction is in its way; with the waits between them that is
// about a second.
const maxTries = 8

// Do runs f in one transaction and commits its writes together with a ledger row for each claim, whose result is what f
// gives, as JSON, or what an Each has for it. A claim that the ledger already has makes Do return ErrCommitted, and nothing
// is written. When another transaction is in the way, f runs again from the start: what it does outside of tx must bear
// being done twice.
func (w *Warehouse) Do(ctx context.Context, claims []run.Claim, f func(tx *Tx) (result any, err error)) error {
	for try := 1; ; try++ {
		err := w.turn(ctx, claims, f, try > 1)
		if try == maxTries || !isClass(err, driver.Conflict) || !wait(ctx, try) {
			return err
		}
	}
}

func isClass(err error, class driver.Class) bool {
	e := (*driver.Error)(nil)
	return errors.As(err, &e) && e.Class == class
}

// wait waits before the next try, twice as long as before the last one. Two that met once would meet again if both waited
// equally long. It is false when ctx ends.
func wait(ctx context.Context, try int) bool {
	d := time.Millisecond << try
	timer := time.NewTimer(d + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// turn runs f among this process's other transactions, or alone when it has met one of them: it would meet a long one at
// every try, as two first loads do that both make the same table. A context that ends while it waits ends it.
func (w *Warehouse) turn(ctx context.Context, claims []run.Claim, f func(tx *Tx) (any, error), alone bool) error {
	share := int64(1)
	if alone {
		share = allTurns
	}
	if err := w.turns.Acquire(ctx, share); err != nil {
		return fmt.Errorf("waiting for another transaction: %w", err)
	}
	defer w.turns.Release(share)
	return w.try(ctx, claims, f)
}

// try runs f in one transaction.
func (w *Warehouse) try(ctx context.Context, claims []run.Claim, f func(tx *Tx) (any, error)) (err error) {
	tx := &Tx{w: w, generation: w.catalog.now()}
	t, err := w.driver.Begin(ctx)
	if err != nil {
		return finding(sqltext.Text{}, err)
	}
	tx.tx = t
	committed, worked := false, false
	defer func() { // also when f panics
		if tx.changed != nil {
			defer tx.changed()
		}
		if !committed {
			rollback := t.Rollback(context.WithoutCancel(ctx))
			if err != nil {
				err = w.whyNot(ctx, claims, worked, err)
			}
			if rollback != nil && err == nil {
				err = finding(sqltext.Text{}, rollback)
			}
		}
	}()
	result, err := f(tx)
	if err != nil {
		return err
	}
	worked = true
	sql, err := ledgerInsert(claims, result)
	if err != nil {
		return err
	}
	if sql != "" {
		if _, err := t.Exec(ctx, sql); err != nil {
			return finding(sqltext.Text{}, err)
		}
	}
	if err := t.Commit(ctx); err != nil {
		return finding(sqltext.Text{}, err)
	}
	committed = true
	for _, do := range tx.after {
		do(ctx)
	}
	return nil
}

// whyNot gives ErrCommitted or ErrSettled when that is why a transaction failed: the ledger refused a claim that it has, or f
// met its own earlier work, as a CREATE TABLE does. worked says that f itself did not fail.
func (w *Warehouse) whyNot(ctx context.Context, claims []run.Claim, worked bool, err error) error {
	if len(claims) == 0 || ctx.Err() != nil {
		return err
	}
	for try := 1; ; try++ {
		found, asked := w.recorded(ctx, w.driver, claims)
		switch {
		case asked != nil:
			return err
		case len(committed(found)) > 0:
			return ErrCommitted
		case len(found) > 0:
			return ErrSettled
		}
		// The ledger's row that refuses this one may belong to a transaction that has not committed yet.
		if !worked || try == maxTries || !isClass(err, driver.Constraint) || !wait(ctx, try) {
			return err
		}
	}
}

// ledgerInsert gives the statement that records the claims; "" when there are none.
func ledgerInsert(claims []run.Claim, result any) (string, error) {
	if len(claims) == 0 {
		return "", nil
	}
	texts, err := resultTexts(claims, result)
	if err != nil {
		return "", fmt.Errorf("the result of task %s as JSON: %w", claims[0].Task, err)
	}
	now := time.Now().UTC().Format(ledgerTime)
	var sql strings.Builder
	sql.WriteString("INSERT INTO damson.ledger (run_id, task, attempt, committed_at, result) VALUES ")
	for i, c := range claims {
		if i > 0 {
			sql.WriteString(", ")
		}
		fmt.Fprintf(&sql, "(%s, %s, %d, TIMESTAMP '%s', %s)",
			sqltext.QuoteLiteral(c.RunID), sqltext.QuoteLiteral(c.Task), c.Attempt, now, sqltext.QuoteLiteral(texts[i]))
	}
	return sql.String(), nil
}

// resultTexts gives the JSON of each claim's result.
func resultTexts(claims []run.Claim, result any) ([]string, error) {
	each, ok := result.(Each)
	if ok && len(each) != len(claims) {
		return nil, fmt.Errorf("%d results for %d claims", len(each), len(claims))
	}
	texts := make([]string, len(claims))
	for i := range claims {
		if i > 0 && !ok {
			texts[i] = texts[0]
			continue
		}
		one := result
		if ok {
			one = each[i]
		}
		text, err := json.Marshal(one)
		if err != nil {
			return nil, err
		}
		texts[i] = string(text)
	}
	return texts, nil
}
