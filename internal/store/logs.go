package store

import (
	"context"
	"fmt"

	"damson/internal/run"
)

// AddLogs appends lines. A zero byte in a line becomes "␀" (U+2400), what is not UTF-8 U+FFFD.
func (s *Store) AddLogs(ctx context.Context, lines []run.LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	return s.write(ctx, func(ses *session) error { return ses.addLogs(lines) })
}

var logRows = newInsertion("logs", "run_id, task, attempt, at, level, text", "")

func (ses *session) addLogs(lines []run.LogLine) error {
	err := ses.insert(logRows, len(lines), func(args []any, i int) []any {
		l := &lines[i]
		return append(args, l.RunID, l.Task, l.Attempt, l.At.UnixMicro(), l.Level, clean(l.Text))
	})
	if err != nil {
		return fmt.Errorf("adding %d lines to the logs: %w", len(lines), err)
	}
	return nil
}

// Logs lists the lines of a task run's attempt, or of all its attempts (attempt 0), as they were added.
func (s *Store) Logs(ctx context.Context, runID, task string, attempt int) ([]run.LogLine, error) {
	lines, err := s.logs(ctx, runID, task, attempt)
	if err != nil {
		return nil, fmt.Errorf("reading the log of task %q of run %s: %w", task, runID, s.db.Explain(err))
	}
	return lines, nil
}

func (s *Store) logs(ctx context.Context, runID, task string, attempt int) ([]run.LogLine, error) {
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(`SELECT run_id, task, attempt, at, level, text FROM logs
		WHERE run_id = ? AND task = ? AND (? = 0 OR attempt = ?) ORDER BY id`), runID, task, attempt, attempt)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lines []run.LogLine
	for rows.Next() {
		var l run.LogLine
		var at int64
		if err := rows.Scan(&l.RunID, &l.Task, &l.Attempt, &at, &l.Level, &l.Text); err != nil {
			return nil, err
		}
		l.At = fromMicros(at)
		lines = append(lines, l)
	}
	return lines, rows.Err()
}
