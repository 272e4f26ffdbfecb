package warehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// ErrSettled says that it was settled before that one of the claims has not committed: it does not any more.
var ErrSettled = errors.New("this attempt was given up before it committed; nothing of it was written")

// ledgerTime is how the ledger's times are written. They are for people and decide nothing. As a literal one costs half of
// what the database's own clock does.
const ledgerTime = "2006-01-02 15:04:05.999999"

// claimsAtOnce bounds the length of one question to the ledger.
const claimsAtOnce = 500

// recorded is what the ledger has of a claim: the result of one that has committed, or that it was settled that it does not.
type recorded struct {
	result  json.RawMessage
	settled bool
}

// Committed gives the results of those of the claims that the ledger has.
func (w *Warehouse) Committed(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	found, err := w.recorded(ctx, w.driver, claims)
	if err != nil {
		return nil, err
	}
	return committed(found), nil
}

// committed picks the claims that have committed.
func committed(found map[run.Claim]recorded) map[run.Claim]json.RawMessage {
	done := map[run.Claim]json.RawMessage{}
	for claim, r := range found {
		if !r.settled {
			done[claim] = r.result
		}
	}
	return done
}

// Taken tells which of the claims have committed or were settled.
func (w *Warehouse) Taken(ctx context.Context, claims []run.Claim) (map[run.Claim]bool, error) {
	found, err := w.recorded(ctx, w.driver, claims)
	taken := map[run.Claim]bool{}
	for claim := range found {
		taken[claim] = true
	}
	return taken, err
}

// Settle gives the results of those of the claims that have committed, and sees to it that the others never do: it writes a
// row without a result for each, so that a commit that is still under way, in a process that was given up or behind a broken
// connection, meets the ledger's primary key. It waits for one that is just happening.
func (w *Warehouse) Settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	done := map[run.Claim]json.RawMessage{}
	for len(claims) > 0 {
		some := claims[:min(claimsAtOnce, len(claims))]
		claims = claims[len(some):]
		for try, wait := 1, 2*time.Millisecond; ; try, wait = try+1, 2*wait {
			err := w.settle(ctx, some, done)
			if err == nil {
				break
			}
			// Another transaction has written one of the rows after this one looked: it is there now, or will be.
			e := (*driver.Error)(nil)
			if try == maxTries || !errors.As(err, &e) || e.Class != driver.Constraint || !pause(ctx, wait+rand.N(wait)) {
				return nil, err
			}
		}
	}
	return done, nil
}

// settle settles claims in one transaction and adds the results of those that have committed to done.
func (w *Warehouse) settle(ctx context.Context, claims []run.Claim, done map[run.Claim]json.RawMessage) error {
	return w.Do(ctx, nil, func(tx *Tx) (any, error) {
		found, err := w.recorded(ctx, tx.tx, claims)
		if err != nil {
			return nil, err
		}
		for claim, result := range committed(found) {
			done[claim] = result
		}
		sql := "INSERT INTO damson.ledger (run_id, task, attempt, committed_at, result) VALUES "
		now, missing := time.Now().UTC().Format(ledgerTime), 0
		for _, c := range claims {
			if _, there := found[c]; there {
				continue
			}
			if missing++; missing > 1 {
				sql += ", "
			}
			sql += fmt.Sprintf("(%s, %s, %d, TIMESTAMP '%s', NULL)", sqltext.QuoteLiteral(c.RunID), sqltext.QuoteLiteral(c.Task), c.Attempt, now)
		}
		if missing > 0 {
			_, err = tx.tx.Exec(ctx, sql)
		}
		return nil, finding(sqltext.Text{}, err)
	})
}

// recorded gives what the ledger has of claims, as q sees it.
func (w *Warehouse) recorded(ctx context.Context, q driver.Querier, claims []run.Claim) (map[run.Claim]recorded, error) {
	found := map[run.Claim]recorded{}
	for len(claims) > 0 {
		some := claims[:min(claimsAtOnce, len(claims))]
		claims = claims[len(some):]
		var sql strings.Builder
		sql.WriteString("SELECT run_id, task, attempt, result FROM damson.ledger WHERE (run_id, task, attempt) IN (VALUES ")
		for i, c := range some {
			if i > 0 {
				sql.WriteString(", ")
			}
			fmt.Fprintf(&sql, "(%s, %s, %d)", sqltext.QuoteLiteral(c.RunID), sqltext.QuoteLiteral(c.Task), c.Attempt)
		}
		sql.WriteString(")")
		r, err := q.Query(ctx, sql.String())
		if err == nil {
			err = readClaims(r, found)
		}
		if err != nil {
			return nil, finding(sqltext.Text{}, err)
		}
	}
	return found, nil
}

func readClaims(r array.RecordReader, into map[run.Claim]recorded) error {
	defer r.Release()
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			id, _ := rows.Text(b.Column(0), i)
			task, _ := rows.Text(b.Column(1), i)
			attempt, _ := rows.Int(b.Column(2), i)
			result, there := rows.Text(b.Column(3), i)
			into[run.Claim{RunID: id, Task: task, Attempt: int(attempt)}] = recorded{json.RawMessage(result), !there}
		}
	}
	return r.Err()
}
