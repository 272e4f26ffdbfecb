package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// ledgerInsert gives the statement that records the claims; "" when there are none.
func ledgerInsert(claims []run.Claim, result any) (string, error) {
	if len(claims) == 0 {
		return "", nil
	}
	texts, err := resultTexts(claims, result)
	if err != nil {
		return "", fmt.Errorf("the result of task %s as JSON: %w", claims[0].Task, err)
	}
	// The time is for people and decides nothing. As a literal it costs half of what the database's own clock does.
	now := time.Now().UTC().Format("2006-01-02 15:04:05.999999")
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

// claimsAtOnce bounds the length of one question to the ledger.
const claimsAtOnce = 500

// Committed gives the results of those of the claims that the ledger has.
func (w *Warehouse) Committed(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	done := map[run.Claim]json.RawMessage{}
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
		r, err := w.driver.Query(ctx, sql.String())
		if err == nil {
			err = readClaims(r, done)
		}
		if err != nil {
			return nil, finding(sqltext.Text{}, err)
		}
	}
	return done, nil
}

func readClaims(r array.RecordReader, into map[run.Claim]json.RawMessage) error {
	defer r.Release()
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			id, _ := rows.Text(b.Column(0), i)
			task, _ := rows.Text(b.Column(1), i)
			attempt, _ := rows.Int(b.Column(2), i)
			result, _ := rows.Text(b.Column(3), i)
			into[run.Claim{RunID: id, Task: task, Attempt: int(attempt)}] = json.RawMessage(result)
		}
	}
	return r.Err()
}
