package warehouse

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"damson/internal/run"
	"damson/internal/sqltext"
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
