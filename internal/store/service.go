package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// What a scheduler remembers besides runs. It is written by Commit and read here.

func (ses *session) putPipeline(p *PipelineState) error {
	return ses.later(nil, `INSERT INTO pipelines (name, paused, paused_by, paused_at, next, consumed) VALUES (?,?,?,?,?,?)
		ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, paused_by = excluded.paused_by, paused_at = excluded.paused_at,
		next = excluded.next, consumed = excluded.consumed`,
		p.Name, truth(p.Paused), clean(p.PausedBy), micros(p.PausedAt), micros(p.Cursor), p.Consumed)
}

// PipelineStates lists what is remembered of pipelines, by name. One of which nothing is remembered is missing.
func (s *Store) PipelineStates(ctx context.Context) ([]PipelineState, error) {
	return list(ctx, s, "pipelines", func(scan scanner) (p PipelineState, err error) {
		var at, next sql.NullInt64
		err = scan(&p.Name, &p.Paused, &p.PausedBy, &at, &next, &p.Consumed)
		p.PausedAt, p.Cursor = optionalTime(at), optionalTime(next)
		return p, err
	}, `SELECT name, paused, paused_by, paused_at, next, consumed FROM pipelines ORDER BY name`)
}

func (ses *session) putBackfill(b *Backfill) error {
	return ses.later(nil, `INSERT INTO backfills (id, pipeline, state, body, created, ended) VALUES (?,?,?,?,?,?)
		ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline, state = excluded.state, body = excluded.body,
		created = excluded.created, ended = excluded.ended`,
		b.ID, b.Pipeline, b.State, b.Body, b.Created.UnixMicro(), micros(b.Ended))
}

// Backfills lists backfills, first made first; with onlyOpen those in state "open".
func (s *Store) Backfills(ctx context.Context, onlyOpen bool) ([]Backfill, error) {
	where := ``
	if onlyOpen {
		where = ` WHERE state = 'open'`
	}
	return list(ctx, s, "backfills", func(scan scanner) (b Backfill, err error) {
		var created int64
		var ended sql.NullInt64
		err = scan(&b.ID, &b.Pipeline, &b.State, &b.Body, &created, &ended)
		b.Created, b.Ended = fromMicros(created), optionalTime(ended)
		return b, err
	}, `SELECT id, pipeline, state, body, created, ended FROM backfills`+where+` ORDER BY created, id`)
}

var updateRows = newInsertion("dataset_updates", "dataset, run_id, task, data_start, data_end, at", "")

func (ses *session) addUpdates(updates []DatasetUpdate) error {
	return ses.insert(updateRows, len(updates), func(args []any, i int) []any {
		u := &updates[i]
		return append(args, u.Dataset, u.RunID, u.Task, u.Start.UnixMicro(), u.End.UnixMicro(), u.At.UnixMicro())
	})
}

// DatasetUpdates lists the updates with an ID above after, in the order of their IDs; limit 0 gives all. As long as only the
// leader writes them (behind its fence), none appears later below an ID that was seen.
func (s *Store) DatasetUpdates(ctx context.Context, after int64, limit int) ([]DatasetUpdate, error) {
	return list(ctx, s, "dataset updates", func(scan scanner) (u DatasetUpdate, err error) {
		var start, end, at int64
		err = scan(&u.ID, &u.Dataset, &u.RunID, &u.Task, &start, &end, &at)
		u.Start, u.End, u.At = fromMicros(start), fromMicros(end), fromMicros(at)
		return u, err
	}, `SELECT id, dataset, run_id, task, data_start, data_end, at FROM dataset_updates WHERE id > ? ORDER BY id`+limitTo(limit), after)
}

var reasonRows = newInsertion("reasons", "subject, at, text", "")

func (ses *session) addReasons(reasons []Reason) error {
	return ses.insert(reasonRows, len(reasons), func(args []any, i int) []any {
		r := &reasons[i]
		return append(args, r.Subject, r.At.UnixMicro(), clean(r.Text))
	})
}

func scanReason(scan scanner) (r Reason, err error) {
	var at int64
	err = scan(&r.Subject, &at, &r.Text)
	r.At = fromMicros(at)
	return r, err
}

// Reasons lists the reasons that were recorded of these subjects, oldest first.
func (s *Store) Reasons(ctx context.Context, subjects ...string) ([]Reason, error) {
	var all []Reason
	for part := range slices.Chunk(distinct(subjects), idChunk) {
		reasons, err := list(ctx, s, "reasons", scanReason,
			`SELECT subject, at, text FROM reasons WHERE subject IN `+valuesList(1, len(part))+` ORDER BY id`, anys(part)...)
		if err != nil {
			return nil, err
		}
		all = append(all, reasons...)
	}
	if len(subjects) > idChunk {
		slices.SortStableFunc(all, func(a, b Reason) int { return a.At.Compare(b.At) })
	}
	return all, nil
}

// ReasonsOf lists the latest reason of a run and of each of its tasks, by subject: the run first. Where nothing holds one up
// any more, the latest has no text.
func (s *Store) ReasonsOf(ctx context.Context, runID string) ([]Reason, error) {
	return list(ctx, s, "reasons", scanReason, `SELECT r.subject, r.at, r.text FROM reasons r
		JOIN (SELECT MAX(id) AS id FROM reasons WHERE subject = ? OR (subject > ? AND subject < ?) GROUP BY subject) latest ON latest.id = r.id
		ORDER BY r.subject`, runID, runID+" ", runID+"!") // "!" follows " ": all that begins with the run and a space
}

// StandingReasons lists the latest reason of each subject that something still holds up, by subject.
func (s *Store) StandingReasons(ctx context.Context) ([]Reason, error) {
	return list(ctx, s, "standing reasons", scanReason, `SELECT r.subject, r.at, r.text FROM reasons r
		JOIN (SELECT MAX(id) AS id FROM reasons GROUP BY subject) latest ON latest.id = r.id WHERE r.text <> '' ORDER BY r.subject`)
}

var alertRows = newInsertion("alerts", "at, pipeline, run_id, kind, text", "")

func (ses *session) addAlerts(alerts []Alert) error {
	return ses.insert(alertRows, len(alerts), func(args []any, i int) []any {
		a := &alerts[i]
		return append(args, a.At.UnixMicro(), a.Pipeline, a.RunID, a.Kind, clean(a.Text))
	})
}

// Alerts lists the latest alerts, newest first; limit 0 gives all.
func (s *Store) Alerts(ctx context.Context, limit int) ([]Alert, error) {
	return list(ctx, s, "alerts", func(scan scanner) (a Alert, err error) {
		var at int64
		err = scan(&a.ID, &at, &a.Pipeline, &a.RunID, &a.Kind, &a.Text)
		a.At = fromMicros(at)
		return a, err
	}, `SELECT id, at, pipeline, run_id, kind, text FROM alerts ORDER BY id DESC`+limitTo(limit))
}

// SaveSnapshot keeps a project version's files. One that is there already stays as it is.
func (s *Store) SaveSnapshot(ctx context.Context, version string, archive []byte) error {
	return s.write(ctx, func(ses *session) error {
		err := ses.later(nil, `INSERT INTO snapshots (version, archive) VALUES (?,?) ON CONFLICT (version) DO NOTHING`, version, archive)
		if err != nil {
			return fmt.Errorf("keeping the snapshot of project version %s: %w", version, err)
		}
		return nil
	})
}

// Snapshot gives a project version's files as they were kept, nil when they were not.
func (s *Store) Snapshot(ctx context.Context, version string) ([]byte, error) {
	archives, err := list(ctx, s, "snapshots", func(scan scanner) (archive []byte, err error) {
		err = scan(&archive)
		return archive, err
	}, `SELECT archive FROM snapshots WHERE version = ?`, version)
	if err != nil || len(archives) == 0 {
		return nil, err
	}
	return archives[0], nil
}

// scanner reads the columns of one row.
type scanner func(into ...any) error

// list reads all rows of a query.
func list[T any](ctx context.Context, s *Store, what string, read func(scanner) (T, error), query string, args ...any) ([]T, error) {
	wrap := func(err error) error { return fmt.Errorf("listing %s: %w", what, s.db.Explain(err)) }
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(query), args...)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := read(rows.Scan)
		if err != nil {
			return nil, wrap(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	return all, nil
}

func limitTo(limit int) string {
	if limit <= 0 {
		return ``
	}
	return fmt.Sprintf(` LIMIT %d`, limit)
}

// truth is a truth value as it is stored.
func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
