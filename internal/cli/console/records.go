package console

import (
	"context"
	"errors"
	"slices"

	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/store"
)

// Records are what a project keeps of its runs and models.
type Records struct {
	Project  *project.Project // as far as it can be read
	Mistakes bool             // the project has some
	Store    *store.Store
}

// WithRecords opens the store around f, in a project that has mistakes as well: what happened is looked at, and a version rolled back,
// whatever somebody is editing.
func (a *App) WithRecords(ctx context.Context, f func(r Records) error) (err error) {
	p, findings, err := a.LoadProject()
	if err != nil {
		return err
	}
	mistakes := slices.DeleteFunc(findings, func(f diag.Finding) bool { return !f.IsError() })
	r := Records{Project: p, Mistakes: len(mistakes) > 0}
	// What damson.yaml says, and --env, must be right: who asks for another environment means another place.
	whole := slices.DeleteFunc(mistakes, func(f diag.Finding) bool { return f.At.File != "" && f.At.File != "damson.yaml" })
	if err := whole.Err(); err != nil {
		return err
	}
	if r.Store, err = a.OpenStore(ctx, p); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Store.Close()) }()
	return f(r)
}
