package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"damson/internal/diag"
	"damson/internal/model"
)

// versionColumns are a version without its artifact. The body is the version as JSON; what SetState changes stands in
// columns of its own, which count.
const versionColumns = `model, number, state, body, decided_by, decided_why, decided_time`

// AddVersion stores v under the next number of its model (from 1, never reused), whatever v.Number says, and gives it back
// with that number. v.State is kept, but must not be Champion: only SetState makes a champion.
func (s *Store) AddVersion(ctx context.Context, v model.Version) (model.Version, error) {
	if v.State == model.Champion {
		return model.Version{}, fmt.Errorf("adding a version of model %s as its champion: only a decision makes a champion", v.Model)
	}
	err := s.write(ctx, func(ses *session) error {
		if err := ses.exclude("versions"); err != nil {
			return fmt.Errorf("numbering a version of model %s: %w", v.Model, err)
		}
		if err := ses.row(`SELECT COALESCE(MAX(number), 0) + 1 FROM versions WHERE model = ?`, []any{v.Model}, &v.Number); err != nil {
			return fmt.Errorf("numbering a version of model %s: %w", v.Model, err)
		}
		body, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("writing version %d of model %s as JSON: %w", v.Number, v.Model, err)
		}
		_, err = ses.exec(`INSERT INTO versions (model, number, state, created, body, decided_by, decided_why, decided_time, artifact)
			VALUES (?,?,?,?,?,?,?,?,?)`, v.Model, v.Number, string(v.State), v.Created.UnixMicro(), string(body),
			v.DecidedBy, v.DecidedWhy, micros(v.DecidedTime), v.Artifact)
		if err != nil {
			return fmt.Errorf("adding version %d of model %s: %w", v.Number, v.Model, err)
		}
		return nil
	})
	if err != nil {
		return model.Version{}, err
	}
	return v, nil
}

// Versions lists a model's versions, or with name "" those of all models, newest first, without their artifacts.
func (s *Store) Versions(ctx context.Context, name string) ([]model.Version, error) {
	versions, err := s.versions(ctx, `SELECT `+versionColumns+`, NULL FROM versions WHERE ? = '' OR model = ?
		ORDER BY created DESC, model, number DESC`, name, name)
	if err != nil {
		return nil, fmt.Errorf("listing the versions of model %q: %w", name, s.db.Explain(err))
	}
	return versions, nil
}

// Version gives one version with its artifact; number 0 asks for the champion. It is nil when there is none.
func (s *Store) Version(ctx context.Context, name string, number int) (*model.Version, error) {
	query, args := `SELECT `+versionColumns+`, artifact FROM versions WHERE model = ? AND number = ?`, []any{name, number}
	if number == 0 {
		query, args = `SELECT `+versionColumns+`, artifact FROM versions WHERE model = ? AND state = 'champion'`, []any{name}
	}
	versions, err := s.versions(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading version %d of model %s: %w", number, name, s.db.Explain(err))
	}
	if len(versions) == 0 {
		return nil, nil
	}
	return &versions[0], nil
}

func (s *Store) versions(ctx context.Context, query string, args ...any) ([]model.Version, error) {
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var versions []model.Version
	for rows.Next() {
		var v model.Version
		var body, artifact []byte
		var decided sql.NullInt64
		var (
			name, by, why string
			number        int
			state         model.State
		)
		if err := rows.Scan(&name, &number, &state, &body, &by, &why, &decided, &artifact); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, fmt.Errorf("version %d of model %s: %w", number, name, err)
		}
		v.State, v.DecidedBy, v.DecidedWhy, v.DecidedTime, v.Artifact = state, by, why, optionalTime(decided), artifact
		versions = append(versions, v)
	}
	return versions, rows.Err()
}

// SetState moves a version to a state and records who, why and when. A move to Champion retires the present champion in
// the same transaction. A version that does not exist is a diag.Finding.
func (s *Store) SetState(ctx context.Context, name string, number int, to model.State, by, why string, at time.Time) error {
	return s.write(ctx, func(ses *session) error {
		if to == model.Champion {
			if err := ses.exclude("versions"); err != nil {
				return fmt.Errorf("retiring the champion of model %s: %w", name, err)
			}
			if _, err := ses.exec(`UPDATE versions SET state = 'retired' WHERE model = ? AND state = 'champion' AND number <> ?`,
				name, number); err != nil {
				return fmt.Errorf("retiring the champion of model %s: %w", name, err)
			}
		}
		n, err := ses.exec(`UPDATE versions SET state = ?, decided_by = ?, decided_why = ?, decided_time = ? WHERE model = ? AND number = ?`,
			string(to), by, why, micros(at), name, number)
		if err != nil {
			return fmt.Errorf("making version %d of model %s %s: %w", number, name, to, err)
		}
		if n == 0 {
			return diag.Finding{Summary: "Unknown model version", Detail: fmt.Sprintf("There is no version %d of model %q.", number, name),
				Fix: "`damson model list` shows the versions there are."}
		}
		return nil
	})
}
