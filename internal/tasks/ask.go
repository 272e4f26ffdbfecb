package tasks

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/engine"
	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// answer is what a small SELECT gave: texts, int64, float64, booleans and nil, dates and times as texts.
type answer struct {
	columns []string
	rows    [][]any
	more    bool // there were more rows than asked for
}

// ask gives the first rows of one of the task's SQL files, outside of any transaction.
func (s *Shop) ask(ctx context.Context, w engine.Work, file string, most int) (a answer, err error) {
	c, err := s.workContext(ctx, w)
	if err != nil {
		return a, err
	}
	text, err := s.Renderer.RenderFile(w.Task, file, c)
	if err != nil {
		return a, err
	}
	return s.askSQL(ctx, text, most)
}

func (s *Shop) askSQL(ctx context.Context, text sqltext.Text, most int) (a answer, err error) {
	r, err := s.Warehouse.Query(ctx, text)
	if err != nil {
		return a, err
	}
	defer r.Release()
	for _, f := range r.Schema().Fields() {
		a.columns = append(a.columns, f.Name)
	}
	for !a.more && r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			if len(a.rows) == most {
				a.more = true
				break
			}
			row := make([]any, batch.NumCols())
			for c := range row {
				row[c] = plainValue(batch.Column(c), i)
			}
			a.rows = append(a.rows, row)
		}
	}
	return a, r.Err()
}

// first is the first value, nil when there is none.
func (a answer) first() any {
	if len(a.rows) == 0 || len(a.rows[0]) == 0 {
		return nil
	}
	return a.rows[0][0]
}

// plainValue gives a value as JSON can keep it.
func plainValue(column arrow.Array, i int) any {
	switch v := rows.Value(column, i).(type) {
	case nil, string, bool, int64:
		return v
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	}
	return rows.Format(column, i)
}

// truthy says whether a value is true, as pipeline.Condition has it.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		word := strings.ToLower(strings.TrimSpace(v))
		switch word {
		case "", "false", "no", "none":
			return false
		}
		n, err := strconv.ParseFloat(word, 64)
		return err != nil || n != 0
	}
	return true
}

// shown writes a value for people.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
