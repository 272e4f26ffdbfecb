package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"damson/internal/run"
)

// Apply makes the changes, in order, all or none: a change that does not fit what is stored is a *StaleError. The times
// queued, started and ended follow from To and At.
func (s *Store) Apply(ctx context.Context, changes []run.Change) error {
	if len(changes) == 0 {
		return nil
	}
	return s.write(ctx, func(ses *session) error { return ses.apply(changes) })
}

// Record appends lines and makes the changes in one transaction: one wait for the disk instead of two.
func (s *Store) Record(ctx context.Context, lines []run.LogLine, changes []run.Change) error {
	if len(lines)+len(changes) == 0 {
		return nil
	}
	return s.write(ctx, func(ses *session) error {
		if err := ses.addLogs(lines); err != nil {
			return err
		}
		return ses.apply(changes)
	})
}

func (ses *session) apply(changes []run.Change) error {
	for i := range changes {
		if err := ses.change(&changes[i]); err != nil {
			return err
		}
	}
	return ses.remember(changes)
}

func (ses *session) change(c *run.Change) error {
	query, args := taskUpdate(c)
	if c.Task == "" {
		params, err := paramsText(c.Params)
		if err != nil {
			return fmt.Errorf("the parameters of run %s: %w", c.RunID, err)
		}
		query, args = runUpdate(c, params)
	}
	err := ses.later(func(rows int64) error {
		switch {
		case rows == 1:
			return nil
		case ses.pipelining:
			return errUnfit // what follows it has been done already: too late to see what it met
		}
		return ses.stale(c)
	}, query, args...)
	var stale *StaleError
	if err == nil || errors.Is(err, errUnfit) || errors.As(err, &stale) {
		return err
	}
	return fmt.Errorf("recording that task %q of run %s is %s: %w", c.Task, c.RunID, c.To, err)
}

func runUpdate(c *run.Change, params any) (query string, args []any) {
	at := c.At.UnixMicro()
	switch {
	case c.To == run.Running:
		return `UPDATE runs SET state = ?, reason = ?, started = ?, ended = NULL WHERE id = ? AND state = ?`,
			[]any{string(c.To), clean(c.Reason), at, c.RunID, string(c.From)}
	case c.To.Ended():
		return `UPDATE runs SET state = ?, reason = ?, ended = ? WHERE id = ? AND state = ?`,
			[]any{string(c.To), clean(c.Reason), at, c.RunID, string(c.From)}
	}
	return `UPDATE runs SET state = ?, reason = ?, started = NULL, ended = NULL, version = CASE WHEN ? = '' THEN version ELSE ? END,
		params = COALESCE(?, params) WHERE id = ? AND state = ?`,
		[]any{string(c.To), clean(c.Reason), c.Version, c.Version, params, c.RunID, string(c.From)}
}

// taskTimes says what becomes of a task run's times in a state; "?" is the time of the change.
func taskTimes(to run.State) string {
	switch {
	case to == run.Scheduled:
		return `queued = NULL, started = NULL, ended = NULL`
	case to == run.Queued:
		return `queued = ?, started = NULL, ended = NULL`
	case to == run.Running:
		return `started = ?, ended = NULL`
	case to == run.UpForRetry || to.Ended():
		return `ended = ?`
	}
	return `ended = NULL`
}

// taskUpdates are the statements by what becomes of the times.
var taskUpdates = map[string]string{}

func init() {
	for _, to := range []run.State{run.Scheduled, run.Queued, run.Running, run.Success, run.Deferred} {
		times := taskTimes(to)
		taskUpdates[times] = `UPDATE task_runs SET state = ?, attempt = ?, failures = ?, token = ?, not_before = ?, reason = ?, result = ?, ` +
			times + ` WHERE run_id = ? AND task = ? AND state = ? AND token <= ?`
	}
}

func taskUpdate(c *run.Change) (query string, args []any) {
	args = make([]any, 0, 12)
	args = append(args, string(c.To), c.Attempt, c.Failures, c.Token, micros(c.NotBefore), clean(c.Reason), jsonText(c.Result))
	times := taskTimes(c.To)
	if strings.Contains(times, "?") {
		args = append(args, c.At.UnixMicro())
	}
	return taskUpdates[times], append(args, c.RunID, c.Task, string(c.From), c.Token)
}

// stale says why a change did not fit.
func (ses *session) stale(c *run.Change) error {
	e := &StaleError{Change: *c}
	var err error
	if c.Task == "" {
		err = ses.row(`SELECT state FROM runs WHERE id = ?`, []any{c.RunID}, &e.State)
	} else {
		err = ses.row(`SELECT state, token FROM task_runs WHERE run_id = ? AND task = ?`, []any{c.RunID, c.Task}, &e.State, &e.Token)
	}
	if errors.Is(err, sql.ErrNoRows) {
		e.Missing = true
		return e
	}
	if err != nil {
		return err
	}
	return e
}

const historyColumns = `run_id, task, from_state, to_state, event, at, attempt, failures, token, not_before, reason, result`

var historyRows = newInsertion("history", historyColumns, "")

// remember adds changes to the history.
func (ses *session) remember(changes []run.Change) error {
	err := ses.insert(historyRows, len(changes), func(args []any, i int) []any {
		c := &changes[i]
		return append(args, c.RunID, c.Task, string(c.From), string(c.To), string(c.Event), c.At.UnixMicro(), c.Attempt, c.Failures,
			c.Token, micros(c.NotBefore), clean(c.Reason), jsonText(c.Result))
	})
	if err != nil {
		return fmt.Errorf("adding %d changes to the history: %w", len(changes), err)
	}
	return nil
}

// History lists the changes of one task run, or (task empty) of the run itself, oldest first.
func (s *Store) History(ctx context.Context, runID, task string) ([]run.Change, error) {
	changes, err := s.history(ctx, runID, task)
	if err != nil {
		return nil, fmt.Errorf("reading the history of run %s: %w", runID, s.db.Explain(err))
	}
	return changes, nil
}

func (s *Store) history(ctx context.Context, runID, task string) ([]run.Change, error) {
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(`SELECT `+historyColumns+` FROM history WHERE run_id = ? AND task = ? ORDER BY id`), runID, task)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var changes []run.Change
	for rows.Next() {
		var c run.Change
		var at int64
		var notBefore sql.NullInt64
		var result []byte
		if err := rows.Scan(&c.RunID, &c.Task, &c.From, &c.To, &c.Event, &at, &c.Attempt, &c.Failures, &c.Token, &notBefore,
			&c.Reason, &result); err != nil {
			return nil, err
		}
		c.At, c.NotBefore, c.Result = fromMicros(at), optionalTime(notBefore), result
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

// jsonText is JSON as it is stored: NULL for none.
func jsonText(text json.RawMessage) any {
	if text == nil {
		return nil
	}
	return clean(string(text))
}
