package registry

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/model"
)

// SetAlias gives an alias to a version and says which one it named before, 0 when none.
func (r *Registry) SetAlias(ctx context.Context, name, alias string, number int, d Decision) (before int, err error) {
	if err := model.CheckAlias(alias); err != nil {
		return 0, err
	}
	if _, err := r.Show(ctx, name, number); err != nil { // an unknown model, or version
		return 0, err
	}
	return r.moveAlias(ctx, name, alias, number, d)
}

// RemoveAlias takes an alias away and says which version it named.
func (r *Registry) RemoveAlias(ctx context.Context, name, alias string, d Decision) (before int, err error) {
	if _, err := r.Resolve(ctx, name, model.Reference{Alias: alias}); err != nil {
		return 0, err
	}
	return r.moveAlias(ctx, name, alias, 0, d)
}

func (r *Registry) moveAlias(ctx context.Context, name, alias string, number int, d Decision) (before int, err error) {
	if strings.TrimSpace(d.By) == "" {
		return 0, diag.Finding{Summary: "Nobody decided", Detail: fmt.Sprintf("Alias %s of model %q is to be moved, and no name is given for who decides.", alias, name), Fix: "Give a name."}
	}
	before, err = r.store.MoveAlias(ctx, model.Alias{Model: name, Name: alias, Number: number, By: d.By, Why: d.Why, At: r.clock.Now()})
	if err != nil {
		return 0, diag.AsFinding(fmt.Sprintf("Alias %s of model %s was not moved", alias, name), err)
	}
	return before, nil
}

// Aliases lists a model's aliases, or with name "" those of all models; with history their moves, the oldest first, in which
// version 0 says that an alias was taken away.
func (r *Registry) Aliases(ctx context.Context, name string, history bool) ([]model.Alias, error) {
	if name != "" {
		if _, err := r.List(ctx, name); err != nil { // an unknown model
			return nil, err
		}
	}
	moves, err := r.store.AliasMoves(ctx, name)
	if err != nil || history {
		return moves, err
	}
	return model.Standing(moves), nil
}

// Resolve gives the number that a reference means, 0 for the champion. An alias that there is not is a finding.
func (r *Registry) Resolve(ctx context.Context, name string, ref model.Reference) (number int, err error) {
	if ref.Alias == "" {
		return ref.Number, nil
	}
	aliases, err := r.Aliases(ctx, name, false)
	if err != nil {
		return 0, err
	}
	var names []string
	for _, a := range aliases {
		if a.Name == ref.Alias {
			return a.Number, nil
		}
		names = append(names, a.Name)
	}
	fix := diag.DidYouMean(ref.Alias, append(names, string(model.Champion)))
	if fix == "" {
		fix = fmt.Sprintf("Give it to a version: damson model alias set %s %s VERSION.", name, ref.Alias)
	}
	return 0, diag.Finding{Summary: "No such alias", Detail: fmt.Sprintf("Model %q has no alias %q.", name, ref.Alias), Fix: fix}
}

// Scoring gives the version that a reference means, with its artifact; nil when there is no champion, or no such alias, yet.
func (r *Registry) Scoring(ctx context.Context, name string, ref model.Reference) (*model.Version, error) {
	switch {
	case ref.Number > 0:
		v, err := r.Show(ctx, name, ref.Number)
		if err == nil && v.State == model.Rejected {
			return nil, refused("used to score", v, "Take another one, or the champion.")
		}
		return v, err
	case ref.Alias == "":
		return r.Champion(ctx, name)
	}
	moves, err := r.store.AliasMoves(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, a := range model.Standing(moves) {
		if a.Name == ref.Alias {
			return r.Show(ctx, name, a.Number)
		}
	}
	return nil, nil
}

// addAliases fills in the aliases of versions of one model, or with name "" of all.
func (r *Registry) addAliases(ctx context.Context, name string, versions []model.Version) error {
	moves, err := r.store.AliasMoves(ctx, name)
	if err != nil {
		return err
	}
	for _, a := range model.Standing(moves) {
		for i := range versions {
			if v := &versions[i]; v.Model == a.Model && v.Number == a.Number {
				v.Aliases = append(v.Aliases, a.Name)
			}
		}
	}
	return nil
}
