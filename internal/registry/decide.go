package registry

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/model"
)

// Decision is a person's word on a version.
type Decision struct {
	By  string // who
	Why string
	// DespiteGates approves a version whose gates failed; without it that is refused.
	DespiteGates bool
}

// Approve makes a candidate the champion.
func (r *Registry) Approve(ctx context.Context, name string, number int, d Decision) (*model.Version, error) {
	v, err := r.Show(ctx, name, number)
	if err != nil {
		return nil, err
	}
	if v.State != model.Candidate {
		fix := "Only candidates are approved; to go back to an older champion, roll back."
		if v.State == model.Retired {
			fix = fmt.Sprintf("Only candidates are approved; what was champion before becomes it again by `damson model rollback %s %d`.", name, number)
		}
		return nil, refused("approved", v, fix)
	}
	if bad := failed(v.Gates); len(bad) > 0 && !d.DespiteGates {
		return nil, diag.Finding{Summary: "Gates failed", Detail: fmt.Sprintf("Version %d of model %q failed %s.", number, name, strings.Join(bad, "; ")),
			Fix: "Train a better version; or approve it all the same: --despite-gates, with a --comment that says why."}
	}
	return r.move(ctx, v, model.Champion, d)
}

// Reject refuses a candidate, or a retired version so that no rollback takes it.
func (r *Registry) Reject(ctx context.Context, name string, number int, d Decision) (*model.Version, error) {
	v, err := r.Show(ctx, name, number)
	if err != nil {
		return nil, err
	}
	switch v.State {
	case model.Champion:
		return nil, refused("rejected", v, "Roll back to an older version first, or approve a newer one.")
	case model.Rejected:
		return nil, refused("rejected", v, "Nothing is to be done.")
	}
	return r.move(ctx, v, model.Rejected, d)
}

// Rollback makes a retired version champion again; number 0 = the newest retired one that is older than the champion.
func (r *Registry) Rollback(ctx context.Context, name string, number int, d Decision) (*model.Version, error) {
	if number == 0 {
		older, err := r.olderChampion(ctx, name)
		if err != nil {
			return nil, err
		}
		number = older
	}
	v, err := r.Show(ctx, name, number)
	if err != nil {
		return nil, err
	}
	if v.State != model.Retired {
		return nil, refused("rolled back to", v, "Roll back to a version that was champion before; a candidate needs approval.")
	}
	return r.move(ctx, v, model.Champion, d)
}

func (r *Registry) olderChampion(ctx context.Context, name string) (int, error) {
	versions, err := r.List(ctx, name)
	if err != nil {
		return 0, err
	}
	champion := 0
	for _, v := range versions {
		if v.State == model.Champion {
			champion = v.Number
		}
	}
	newest := 0
	for _, v := range versions {
		if v.State == model.Retired && (champion == 0 || v.Number < champion) {
			newest = max(newest, v.Number)
		}
	}
	if newest > 0 {
		return newest, nil
	}
	return 0, diag.Finding{Summary: "Nothing to roll back to", Detail: fmt.Sprintf("No version of model %q older than the champion was champion before.", name),
		Fix: "Name a version, or approve a candidate."}
}

func refused(what string, v *model.Version, fix string) error {
	return diag.Finding{Summary: "Version cannot be " + what, Detail: fmt.Sprintf("Version %d of model %q is %s.", v.Number, v.Model, v.State), Fix: fix}
}

// move sets the state and gives the version as it is then.
func (r *Registry) move(ctx context.Context, v *model.Version, to model.State, d Decision) (*model.Version, error) {
	if strings.TrimSpace(d.By) == "" {
		return nil, diag.Finding{Summary: "Nobody decided", Detail: fmt.Sprintf("Version %d of model %q is to become %s, and no name is given for who decides.", v.Number, v.Model, to), Fix: "Give a name."}
	}
	champion := 0
	if to == model.Champion {
		present, err := r.Champion(ctx, v.Model)
		if err != nil {
			return nil, err
		}
		if present != nil {
			champion = present.Number
		}
	}
	at := r.clock.Now()
	moved, err := r.store.MoveVersion(ctx, model.Move{Model: v.Model, Number: v.Number, From: v.State, To: to, Champion: champion, By: d.By, Why: d.Why, At: at})
	if err != nil {
		return nil, diag.AsFinding(fmt.Sprintf("Version %d of model %s was not made %s", v.Number, v.Model, to), err)
	}
	if !moved {
		return nil, diag.Finding{Summary: "Somebody else decided meanwhile", Detail: fmt.Sprintf("Version %d of model %q or its champion is not what it was a moment ago. Nothing was changed.", v.Number, v.Model),
			Fix: "Look at `damson model list " + v.Model + "` and decide again."}
	}
	v.State, v.DecidedBy, v.DecidedWhy, v.DecidedTime = to, d.By, d.Why, at
	return v, nil
}
