package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The lease of the leader is one row, there from the beginning. Nobody compares clocks: a candidate remembers the lease that
// it saw, waits by its own clock, and takes the lease if it is still the same.
//
//	            Lead (as seen: token+1, beat+1)
//	 nobody ──────────────────────────────────► held ──┐ BeatLease (beat+1)
//	   ▲                                         │ ▲ ◄──┘
//	   └───────── Resign (token+1) ──────────────┘ └── Lead by another, once the beat stands still

const leader = "leader"

// Lease gives who leads at present.
func (s *Store) Lease(ctx context.Context) (l Lease, err error) {
	row := s.db.Reader().QueryRowContext(ctx, s.rebind(`SELECT holder, token, beat FROM leases WHERE name = ?`), leader)
	if err := row.Scan(&l.Holder, &l.Token, &l.Beat); err != nil {
		return Lease{}, fmt.Errorf("reading who leads: %w", s.db.Explain(err))
	}
	return l, nil
}

// Lead makes holder the leader if the lease is still exactly as seen, with the next token and beat. got says whether it is;
// l is the new lease, or else the present one.
func (s *Store) Lead(ctx context.Context, seen Lease, holder string) (l Lease, got bool, err error) {
	err = s.write(ctx, func(ses *session) error {
		l = Lease{Holder: holder}
		err := ses.row(`UPDATE leases SET holder = ?, token = token + 1, beat = beat + 1
			WHERE name = ? AND holder = ? AND token = ? AND beat = ? RETURNING token, beat`,
			[]any{holder, leader, seen.Holder, seen.Token, seen.Beat}, &l.Token, &l.Beat)
		if got = err == nil; got {
			return nil
		}
		if errors.Is(err, sql.ErrNoRows) {
			err = ses.row(`SELECT holder, token, beat FROM leases WHERE name = ?`, []any{leader}, &l.Holder, &l.Token, &l.Beat)
		}
		if err != nil {
			return fmt.Errorf("making process %s the leader: %w", holder, err)
		}
		return nil
	})
	if err != nil {
		return Lease{}, false, err
	}
	return l, got, nil
}

// BeatLease says that the holder lives and gives the lease with its next beat. It is ErrDeposed when l is no longer the
// lease's holder and token.
func (s *Store) BeatLease(ctx context.Context, l Lease) (Lease, error) {
	next := l
	err := s.write(ctx, func(ses *session) error {
		err := ses.row(`UPDATE leases SET beat = beat + 1 WHERE name = ? AND holder = ? AND token = ? RETURNING beat`,
			[]any{leader, l.Holder, l.Token}, &next.Beat)
		return deposed(err, "keeping the lease of process "+l.Holder)
	})
	if err != nil {
		return Lease{}, err
	}
	return next, nil
}

// Resign gives the lease up, so that another may take it at once; what the holder still writes under it is refused. It is
// ErrDeposed when l is no longer the lease's holder and token.
func (s *Store) Resign(ctx context.Context, l Lease) error {
	return s.write(ctx, func(ses *session) error {
		var token int64
		err := ses.row(`UPDATE leases SET holder = '', token = token + 1 WHERE name = ? AND holder = ? AND token = ? RETURNING token`,
			[]any{leader, l.Holder, l.Token}, &token)
		return deposed(err, "giving up the lease of process "+l.Holder)
	})
}

// deposed gives ErrDeposed where an update of the lease has met no row.
func deposed(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrDeposed
	}
	return fmt.Errorf("%s: %w", what, err)
}

// fence ends the transaction with ErrDeposed unless token is the present leader's. Where writers do not exclude each other
// it holds the lease's row, so that a take-over waits until the transaction has ended.
func (ses *session) fence(token int64) error {
	return ses.require(ErrDeposed, `SELECT token FROM leases WHERE name = ? AND token = ?`+ses.s.db.Dialect().Share, leader, token)
}
