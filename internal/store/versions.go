package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"damson/internal/diag"
	"damson/internal/model"
)

// versionColumns are a version without its artifact and its predictions. The body is the version as JSON; what MoveVersion changes stands in
// columns of its own, which count.
const versionColumns = `model, number, state, body, decided_by, decided_why, decided_time`

// AddVersion stores v under the next number of its model (from 1, never reused), whatever v.Number says, and gives it back
// with that number. One that is Champion retires the present one in the same transaction; when that is not the version of
// number champion (0 = none), nothing is stored and added is false.
func (s *Store) AddVersion(ctx context.Context, v model.Version, champion int) (stored model.Version, added bool, err error) {
	err = s.write(ctx, func(ses *session) error {
		added = false
		if err := ses.exclude("versions"); err != nil {
			return fmt.Errorf("numbering a version of model %s: %w", v.Model, err)
		}
		if v.State == model.Champion {
			if replaced, err := ses.replaceChampion(v.Model, champion); err != nil || !replaced {
				return err
			}
		}
		if err := ses.row(`SELECT COALESCE(MAX(number), 0) + 1 FROM versions WHERE model = ?`, []any{v.Model}, &v.Number); err != nil {
			return fmt.Errorf("numbering a version of model %s: %w", v.Model, err)
		}
		body, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("writing version %d of model %s as JSON: %w", v.Number, v.Model, err)
		}
		_, err = ses.exec(`INSERT INTO versions (model, number, state, created, body, decided_by, decided_why, decided_time, artifact, held_out)
			VALUES (?,?,?,?,?,?,?,?,?,?)`, v.Model, v.Number, string(v.State), v.Created.UnixMicro(), string(body),
			v.DecidedBy, v.DecidedWhy, micros(v.DecidedTime), v.Artifact, v.HeldOut)
		if err != nil {
			return fmt.Errorf("adding version %d of model %s: %w", v.Number, v.Model, err)
		}
		added = true
		return nil
	})
	if err != nil || !added {
		return model.Version{}, false, err
	}
	return v, true, nil
}

// replaceChampion retires a model's champion, if it is the version of that number; 0 = there is none.
func (ses *session) replaceChampion(name string, number int) (replaced bool, err error) {
	var present int
	err = ses.row(`SELECT COALESCE(MAX(number), 0) FROM versions WHERE model = ? AND state = 'champion'`, []any{name}, &present)
	if err == nil && present == number && number != 0 {
		_, err = ses.exec(`UPDATE versions SET state = 'retired' WHERE model = ? AND number = ?`, name, number)
	}
	if err != nil {
		return false, fmt.Errorf("retiring the champion of model %s: %w", name, err)
	}
	return present == number, nil
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

// HeldOut gives a version's predictions of held-out rows, nil when it has none.
func (s *Store) HeldOut(ctx context.Context, name string, number int) ([]byte, error) {
	var rows []byte
	err := s.db.Reader().QueryRowContext(ctx, s.rebind(`SELECT held_out FROM versions WHERE model = ? AND number = ?`), name, number).Scan(&rows)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("reading the held-out rows of version %d of model %s: %w", number, name, s.db.Explain(err))
	}
	return rows, nil
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

// MoveVersion moves a version to a state and records who, why and when. A move to Champion retires the present champion in the
// same transaction. When the version is not in the state that the move begins in, or another version is champion than it
// says, nothing changes and moved is false. A version that an alias names is not rejected.
func (s *Store) MoveVersion(ctx context.Context, m model.Move) (moved bool, err error) {
	err = s.write(ctx, func(ses *session) error {
		moved = false
		if err := ses.exclude("versions"); err != nil {
			return fmt.Errorf("deciding on version %d of model %s: %w", m.Number, m.Model, err)
		}
		var there, fits int
		if err := ses.row(`SELECT COUNT(*), COUNT(CASE WHEN state = ? THEN 1 END) FROM versions WHERE model = ? AND number = ?`,
			[]any{string(m.From), m.Model, m.Number}, &there, &fits); err != nil {
			return fmt.Errorf("deciding on version %d of model %s: %w", m.Number, m.Model, err)
		}
		if there == 0 {
			return diag.Finding{Summary: "Unknown model version", Detail: fmt.Sprintf("There is no version %d of model %q.", m.Number, m.Model),
				Fix: "`damson model list` shows the versions there are."}
		}
		if fits == 0 {
			return nil
		}
		if m.To == model.Rejected {
			if err := ses.refuseNamed(m.Model, m.Number); err != nil {
				return err
			}
		}
		if m.To == model.Champion {
			if replaced, err := ses.replaceChampion(m.Model, m.Champion); err != nil || !replaced {
				return err
			}
		}
		if _, err := ses.exec(`UPDATE versions SET state = ?, decided_by = ?, decided_why = ?, decided_time = ? WHERE model = ? AND number = ?`,
			string(m.To), m.By, m.Why, micros(m.At), m.Model, m.Number); err != nil {
			return fmt.Errorf("making version %d of model %s %s: %w", m.Number, m.Model, m.To, err)
		}
		moved = true
		return nil
	})
	return moved, err
}
