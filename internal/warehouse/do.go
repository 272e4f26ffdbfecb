package warehouse

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

const (
	// maxTries bounds how often Do begins again when another transaction is in its way; with the waits between them that is
	// about a second.
	maxTries = 8
	// maxLost bounds how often it begins again because the connection was lost: a statement that brings its server down must
	// not do so for ever.
	maxLost = 2
	// lostPatience is how long a warehouse may take to answer again after that, as a server does that starts again.
	lostPatience = 15 * time.Second
)

// Do runs f in one transaction and commits its writes together with a ledger row for each claim, whose result is what f
// gives, as JSON, or what an Each has for it. A claim that the ledger already has makes Do return ErrCommitted, and nothing
// is written. When another transaction is in the way, or the connection is lost, f runs again from the start: what it does
// outside of tx must bear being done twice.
//
// When the connection is lost while COMMIT runs, the ledger tells whether it did its work; without claims nothing does, and
// the error says so.
func (w *Warehouse) Do(ctx context.Context, claims []run.Claim, f func(tx *Tx) (result any, err error)) error {
	wait := 2 * time.Millisecond
	for tries, lost := 1, 0; ; {
		doubt, err := w.turn(ctx, claims, f, w.alone(tries))
		e := (*driver.Error)(nil)
		switch {
		case !errors.As(err, &e):
			return err
		case e.Class == driver.Conflict && tries < maxTries:
			// Two that met once would meet again if both waited equally long.
			if !pause(ctx, wait+rand.N(wait)) {
				return err
			}
			tries, wait = tries+1, 2*wait
		case e.Class == driver.Connection && lost < maxLost && (!doubt || len(claims) > 0):
			switch became, known := w.resolve(ctx, claims); {
			case !known:
				return err
			case doubt && errors.Is(became, ErrCommitted):
				return nil
			case became != nil:
				return became
			}
			lost++
		default:
			return err
		}
	}
}

// pause waits, and reports false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// resolve finds out, once the warehouse answers again, what has become of the claims of the transaction whose connection was
// lost: ErrCommitted, ErrSettled, or nil when they are free. It does so by writing the claims itself and rolling back: where
// the server still works at the lost COMMIT, the ledger's key makes this wait for its end, while a SELECT would see nothing
// yet. A warehouse that this process has closed answers no more.
func (w *Warehouse) resolve(ctx context.Context, claims []run.Claim) (became error, known bool) {
	ctx, cancel := context.WithTimeout(ctx, lostPatience)
	defer cancel()
	wait := 50 * time.Millisecond
	for {
		err := w.rehearse(ctx, claims)
		e := (*driver.Error)(nil)
		switch {
		case err == nil:
			return nil, true
		case !errors.As(err, &e):
			return nil, false
		case e.Class == driver.Constraint:
			if became, known := w.has(ctx, claims); became != nil || !known {
				return became, known
			}
		case e.Class != driver.Connection && e.Class != driver.Conflict:
			return nil, false
		}
		if w.closed.Load() || !pause(ctx, wait+rand.N(wait)) {
			return nil, false
		}
		wait = min(2*wait, time.Second)
	}
}

// rehearse writes the claims in a transaction that is rolled back.
func (w *Warehouse) rehearse(ctx context.Context, claims []run.Claim) error {
	t, err := w.driver.Begin(ctx)
	if err != nil {
		return err
	}
	sql, err := ledgerInsert(claims, nil)
	if err == nil && sql != "" {
		_, err = t.Exec(ctx, sql)
	}
	return errors.Join(err, t.Rollback(context.WithoutCancel(ctx)))
}

// alone tells whether a try waits for this process's other transactions and has the next ones wait. In an embedded database one
// that has met another would meet a long one at every try, as two first loads do that both make the same table. A server makes the
// second wait for the first itself: there all would stand still for the sake of two, so that comes last.
func (w *Warehouse) alone(try int) bool {
	if w.driver.Capabilities().OneProcess {
		return try > 1
	}
	return try > maxTries/2
}

// turn runs f among this process's other transactions, or alone. A context that ends while it waits ends it.
func (w *Warehouse) turn(ctx context.Context, claims []run.Claim, f func(tx *Tx) (any, error), alone bool) (doubt bool, err error) {
	share := int64(1)
	if alone {
		share = allTurns
	}
	if err := w.turns.Acquire(ctx, share); err != nil {
		return false, fmt.Errorf("waiting for another transaction: %w", err)
	}
	defer w.turns.Release(share)
	return w.try(ctx, claims, f)
}

// try runs f in one transaction. doubt tells that the transaction may have been committed in spite of the error.
func (w *Warehouse) try(ctx context.Context, claims []run.Claim, f func(tx *Tx) (any, error)) (doubt bool, err error) {
	tx := &Tx{w: w, generation: w.catalog.now()}
	t, err := w.driver.Begin(ctx)
	if err != nil {
		return false, finding(sqltext.Text{}, err)
	}
	tx.tx = t
	committed := false
	defer func() { // also when f panics
		if tx.changed != nil {
			defer tx.changed()
		}
		if !committed {
			rollback := t.Rollback(context.WithoutCancel(ctx))
			if err != nil {
				err = w.whyNot(ctx, claims, err)
			}
			if rollback != nil && err == nil {
				err = finding(sqltext.Text{}, rollback)
			}
		}
	}()
	result, err := f(tx)
	if err != nil {
		return false, err
	}
	sql, err := ledgerInsert(claims, result)
	if err != nil {
		return false, err
	}
	if sql != "" {
		if _, err := t.Exec(ctx, sql); err != nil {
			return false, finding(sqltext.Text{}, underWay(err))
		}
	}
	if err := t.Commit(ctx); err != nil {
		e := (*driver.Error)(nil)
		return errors.As(err, &e) && e.InDoubt, finding(sqltext.Text{}, err)
	}
	committed = true
	for _, do := range tx.after {
		do(ctx)
	}
	return false, nil
}

// underWay makes a conflict of the ledger's refusal. When the ledger shows the claim, whyNot tells; when it does not, another
// transaction is about to commit the claim, or to give it up.
func underWay(err error) error {
	e := (*driver.Error)(nil)
	if !errors.As(err, &e) || e.Class != driver.Constraint {
		return err
	}
	conflict := *e
	conflict.Class = driver.Conflict
	return &conflict
}

// whyNot gives ErrCommitted or ErrSettled when that is why a transaction failed: the ledger refused a claim that it has, or f
// met its own earlier work, as a CREATE TABLE does.
func (w *Warehouse) whyNot(ctx context.Context, claims []run.Claim, err error) error {
	e := (*driver.Error)(nil)
	if len(claims) == 0 || ctx.Err() != nil || errors.As(err, &e) && e.Class == driver.Connection {
		return err
	}
	if became, _ := w.has(ctx, claims); became != nil {
		return became
	}
	return err
}

// has tells by ErrCommitted or ErrSettled that the ledger has one of the claims, and nil that it has none.
func (w *Warehouse) has(ctx context.Context, claims []run.Claim) (became error, known bool) {
	found, err := w.recorded(ctx, w.driver, claims)
	if err != nil {
		return nil, false
	}
	return was(found), true
}

// was gives ErrCommitted or ErrSettled when the ledger has a claim, nil when it has found none.
func was(found map[run.Claim]recorded) error {
	switch {
	case len(committed(found)) > 0:
		return ErrCommitted
	case len(found) > 0:
		return ErrSettled
	}
	return nil
}
