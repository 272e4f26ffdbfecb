package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"damson/internal/run"
)

// RunFilter chooses runs. Zero fields do not restrict.
type RunFilter struct {
	Pipeline string
	IDs      []string // an empty list that is not nil chooses no run
	States   []run.State
	From, To time.Time // From ≤ data interval start ≤ To
	Limit    int
	Newest   bool // latest data interval first
}

const runColumns = `id, pipeline, cause, data_start, data_end, state, params, version, created, started, ended, reason`

// CreateRuns adds the runs, each with its tasks in state scheduled, in one transaction, and says how many were new. A run
// of the same pipeline and data interval start that is there already stays as it is.
func (s *Store) CreateRuns(ctx context.Context, runs []run.Run, tasks []string) (created int, err error) {
	wanted := make([]NewRun, len(runs))
	for i := range runs {
		wanted[i] = NewRun{Run: runs[i], Tasks: tasks}
	}
	err = s.write(ctx, func(ses *session) (err error) {
		created, err = ses.createRuns(wanted)
		return err
	})
	if err != nil {
		return 0, err
	}
	return created, nil
}

const insertRun = `INSERT INTO runs (` + runColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (pipeline, data_start) DO NOTHING`

func (ses *session) createRuns(runs []NewRun) (created int, err error) {
	added := make([]bool, len(runs))
	for i := range runs {
		r := &runs[i]
		params, err := paramsText(r.Params)
		if err != nil {
			return 0, fmt.Errorf("adding run %s: %w", r.ID, err)
		}
		took := func(rows int64) error { added[i] = rows > 0; return nil }
		if err := ses.later(took, insertRun, r.ID, r.Pipeline, r.Trigger, r.Start.UnixMicro(), r.End.UnixMicro(), string(r.State), params,
			r.Version, r.Created.UnixMicro(), micros(r.Started), micros(r.Ended), clean(r.Reason)); err != nil {
			return 0, fmt.Errorf("adding run %s: %w", r.ID, err)
		}
	}
	if err := ses.flush(); err != nil {
		return 0, fmt.Errorf("adding %d runs: %w", len(runs), err)
	}
	var tasks []taskKey
	for i := range runs {
		if added[i] {
			created++
			tasks = appendTasks(tasks, runs[i].ID, runs[i].Tasks)
		}
	}
	return created, ses.addTasks(tasks)
}

// AddTasks adds the tasks that the run does not have yet, in state scheduled: for a run older than a task of its pipeline.
func (s *Store) AddTasks(ctx context.Context, runID string, tasks []string) error {
	return s.write(ctx, func(ses *session) error { return ses.gainTasks([]NewTasks{{RunID: runID, Tasks: tasks}}) })
}

func (ses *session) gainTasks(gains []NewTasks) error {
	var tasks []taskKey
	for _, g := range gains {
		missing := fmt.Errorf("adding tasks to run %s: there is no such run", g.RunID)
		if err := ses.require(missing, `SELECT 1 FROM runs WHERE id = ?`, g.RunID); err != nil {
			return err
		}
		tasks = appendTasks(tasks, g.RunID, g.Tasks)
	}
	return ses.addTasks(tasks)
}

type taskKey struct{ run, task string }

func appendTasks(keys []taskKey, runID string, tasks []string) []taskKey {
	for _, task := range tasks {
		keys = append(keys, taskKey{runID, task})
	}
	return keys
}

var taskRows = newInsertion("task_runs", "run_id, task, state", " ON CONFLICT (run_id, task) DO NOTHING")

func (ses *session) addTasks(tasks []taskKey) error {
	err := ses.insert(taskRows, len(tasks), func(args []any, i int) []any {
		return append(args, tasks[i].run, tasks[i].task, string(run.Scheduled))
	})
	if err != nil {
		return fmt.Errorf("adding %d tasks: %w", len(tasks), err)
	}
	return nil
}

// Runs lists the runs that the filter chooses, by data interval start, then pipeline.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]run.Run, error) {
	if f.IDs == nil {
		return s.runs(ctx, f)
	}
	var all []run.Run
	for ids := range slices.Chunk(distinct(f.IDs), idChunk) {
		part := f
		part.IDs = ids
		runs, err := s.runs(ctx, part)
		if err != nil {
			return nil, err
		}
		all = append(all, runs...)
	}
	if len(f.IDs) > idChunk {
		slices.SortFunc(all, func(a, b run.Run) int {
			order := cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Pipeline, b.Pipeline))
			if f.Newest {
				return -order
			}
			return order
		})
		if f.Limit > 0 && len(all) > f.Limit {
			all = all[:f.Limit]
		}
	}
	return all, nil
}

// idChunk bounds the ids that one query names.
const idChunk = 500

func (s *Store) runs(ctx context.Context, f RunFilter) ([]run.Run, error) {
	query, args := f.query()
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(query), args...)
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", s.db.Explain(err))
	}
	defer rows.Close()
	var runs []run.Run
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, fmt.Errorf("reading run %s: %w", r.ID, err)
		}
		runs = append(runs, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing runs: %w", s.db.Explain(err))
	}
	return runs, nil
}

func (f RunFilter) query() (string, []any) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if f.Pipeline != "" {
		add(`pipeline = ?`, f.Pipeline)
	}
	if len(f.IDs) > 0 {
		add(`id IN `+valuesList(1, len(f.IDs)), anys(f.IDs)...)
	}
	if len(f.States) > 0 {
		add(`state IN `+valuesList(1, len(f.States)), anys(f.States)...)
	}
	if !f.From.IsZero() {
		add(`data_start >= ?`, f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		add(`data_start <= ?`, f.To.UnixMicro())
	}
	query := `SELECT ` + runColumns + ` FROM runs`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	if f.Newest {
		query += ` ORDER BY data_start DESC, pipeline DESC`
	} else {
		query += ` ORDER BY data_start, pipeline`
	}
	if f.Limit > 0 {
		query += fmt.Sprintf(` LIMIT %d`, f.Limit)
	}
	return query, args
}

func scanRun(rows *sql.Rows) (r run.Run, err error) {
	var start, end, created int64
	var started, ended sql.NullInt64
	var params sql.NullString
	err = rows.Scan(&r.ID, &r.Pipeline, &r.Trigger, &start, &end, &r.State, &params, &r.Version, &created, &started, &ended, &r.Reason)
	if err != nil {
		return r, err
	}
	r.Start, r.End, r.Created = fromMicros(start), fromMicros(end), fromMicros(created)
	r.Started, r.Ended = optionalTime(started), optionalTime(ended)
	if params.Valid {
		r.Params, err = readParams(params.String)
	}
	return r, err
}

// TaskRuns lists all task runs of these runs, by the run's data interval start, then task.
func (s *Store) TaskRuns(ctx context.Context, runIDs ...string) ([]run.TaskRun, error) {
	var all []startedTask
	for ids := range slices.Chunk(distinct(runIDs), idChunk) {
		var err error
		if all, err = s.taskRuns(ctx, all, ids); err != nil {
			return nil, fmt.Errorf("listing task runs: %w", s.db.Explain(err))
		}
	}
	slices.SortFunc(all, func(a, b startedTask) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.Task, b.Task))
	})
	tasks := make([]run.TaskRun, len(all))
	for i := range all {
		tasks[i] = all[i].TaskRun
	}
	return tasks, nil
}

// startedTask is a task run with its run's data interval start.
type startedTask struct {
	run.TaskRun
	start int64
}

func (s *Store) taskRuns(ctx context.Context, all []startedTask, ids []string) ([]startedTask, error) {
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(`SELECT r.data_start, t.run_id, t.task, t.state, t.attempt, t.failures,
		t.token, t.not_before, t.queued, t.started, t.ended, t.reason, t.result
		FROM runs r JOIN task_runs t ON t.run_id = r.id WHERE r.id IN `+valuesList(1, len(ids))), anys(ids)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t startedTask
		var notBefore, queued, started, ended sql.NullInt64
		var result []byte
		if err := rows.Scan(&t.start, &t.RunID, &t.Task, &t.State, &t.Attempt, &t.Failures, &t.Token, &notBefore, &queued,
			&started, &ended, &t.Reason, &result); err != nil {
			return nil, err
		}
		t.NotBefore, t.Queued, t.Started, t.Ended = optionalTime(notBefore), optionalTime(queued), optionalTime(started), optionalTime(ended)
		t.Result = result
		all = append(all, t)
	}
	return all, rows.Err()
}

// paramsText is the JSON text of params, NULL for none.
func paramsText(params map[string]any) (any, error) {
	if len(params) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(params)
	return string(text), err
}

// readParams reads params; whole numbers come back as int64, as they would from a pipeline file.
func readParams(text string) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var params map[string]any
	if err := d.Decode(&params); err != nil {
		return nil, err
	}
	for k, v := range params {
		params[k] = plainNumbers(v)
	}
	return params, nil
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	}
	return v
}

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// micros is a time as it is stored: NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func optionalTime(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return fromMicros(us.Int64)
}

func anys[T ~string](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// distinct gives the ids without repetition, in order.
func distinct(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}
