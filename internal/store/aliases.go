package store

import (
	"context"
	"fmt"

	"damson/internal/diag"
	"damson/internal/model"
)

// MoveAlias gives an alias to a version, and says which one it named before; 0 = none. Number 0 takes it away, which is an
// error when there is no such alias. So is a version that does not exist or is rejected.
func (s *Store) MoveAlias(ctx context.Context, a model.Alias) (before int, err error) {
	err = s.write(ctx, func(ses *session) error {
		// The versions' lock serves, so that a version is not rejected meanwhile.
		if err := ses.exclude("versions"); err != nil {
			return fmt.Errorf("moving alias %s of model %s: %w", a.Name, a.Model, err)
		}
		if err := ses.row(`SELECT COALESCE((SELECT number FROM aliases WHERE model = ? AND name = ? ORDER BY id DESC LIMIT 1), 0)`,
			[]any{a.Model, a.Name}, &before); err != nil {
			return fmt.Errorf("reading alias %s of model %s: %w", a.Name, a.Model, err)
		}
		if err := ses.checkNamed(a, before); err != nil {
			return err
		}
		if before == a.Number {
			return nil
		}
		if _, err := ses.exec(`INSERT INTO aliases (model, name, number, set_by, why, at) VALUES (?,?,?,?,?,?)`,
			a.Model, a.Name, a.Number, a.By, a.Why, a.At.UnixMicro()); err != nil {
			return fmt.Errorf("moving alias %s of model %s: %w", a.Name, a.Model, err)
		}
		return nil
	})
	return before, err
}

// checkNamed refuses to name a version that must not be named, and to take away an alias that there is not.
func (ses *session) checkNamed(a model.Alias, before int) error {
	if a.Number == 0 {
		if before == 0 {
			return diag.Finding{Summary: "No such alias", Detail: fmt.Sprintf("Model %q has no alias %q.", a.Model, a.Name), Fix: "`damson model alias list` shows those there are."}
		}
		return nil
	}
	var there, rejected int
	if err := ses.row(`SELECT COUNT(*), COUNT(CASE WHEN state = 'rejected' THEN 1 END) FROM versions WHERE model = ? AND number = ?`,
		[]any{a.Model, a.Number}, &there, &rejected); err != nil {
		return fmt.Errorf("reading version %d of model %s: %w", a.Number, a.Model, err)
	}
	switch {
	case there == 0:
		return diag.Finding{Summary: "Unknown model version", Detail: fmt.Sprintf("There is no version %d of model %q.", a.Number, a.Model),
			Fix: "`damson model list` shows the versions there are."}
	case rejected > 0:
		return diag.Finding{Summary: "Version is rejected", Detail: fmt.Sprintf("Version %d of model %q was refused, so that nothing is to use it by the name %q.", a.Number, a.Model, a.Name),
			Fix: "Name another version."}
	}
	return nil
}

// refuseNamed keeps a version from being rejected while something may use it by an alias.
func (ses *session) refuseNamed(name string, number int) error {
	var alias string
	if err := ses.row(`SELECT COALESCE(MIN(a.name), '') FROM aliases a WHERE a.model = ? AND a.number = ?
		AND a.id = (SELECT MAX(b.id) FROM aliases b WHERE b.model = a.model AND b.name = a.name)`, []any{name, number}, &alias); err != nil {
		return fmt.Errorf("reading the aliases of model %s: %w", name, err)
	}
	if alias == "" {
		return nil
	}
	return diag.Finding{Summary: "Version has an alias", Detail: fmt.Sprintf("Version %d of model %q is called %s, and what uses it by that name would use a rejected version.", number, name, alias),
		Fix: fmt.Sprintf("Give the alias to another version first, or take it away: `damson model alias remove %s %s`.", name, alias)}
}

// AliasMoves lists the moves of a model's aliases, or with name "" those of all models, oldest first.
func (s *Store) AliasMoves(ctx context.Context, name string) ([]model.Alias, error) {
	rows, err := s.db.Reader().QueryContext(ctx, s.rebind(`SELECT model, name, number, set_by, why, at FROM aliases WHERE ? = '' OR model = ? ORDER BY id`), name, name)
	if err != nil {
		return nil, fmt.Errorf("listing the aliases of model %q: %w", name, s.db.Explain(err))
	}
	defer rows.Close()
	var moves []model.Alias
	for rows.Next() {
		var a model.Alias
		var at int64
		if err := rows.Scan(&a.Model, &a.Name, &a.Number, &a.By, &a.Why, &at); err != nil {
			return nil, fmt.Errorf("listing the aliases of model %q: %w", name, s.db.Explain(err))
		}
		a.At = fromMicros(at)
		moves = append(moves, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing the aliases of model %q: %w", name, s.db.Explain(err))
	}
	return moves, nil
}
