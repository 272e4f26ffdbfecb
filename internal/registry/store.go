package registry

import (
	"context"

	"damson/internal/model"
)

// Store keeps versions. An implementation passes the conformance suite of the stores.
type Store interface {
	// AddVersion stores v under the next number of its model (from 1, never reused), whatever v.Number says, and gives it
	// back with that number. One that is Champion retires the present one in the same transaction; when that is not the
	// version of number champion (0 = none), nothing is stored and added is false.
	AddVersion(ctx context.Context, v model.Version, champion int) (stored model.Version, added bool, err error)
	// Versions lists a model's versions, or with name "" those of all models, newest first, without their artifacts.
	Versions(ctx context.Context, name string) ([]model.Version, error)
	// Version gives one version with its artifact; number 0 asks for the champion. It is nil when there is none.
	Version(ctx context.Context, name string, number int) (*model.Version, error)
	// MoveVersion moves a version to a state and records who, why and when in DecidedBy, DecidedWhy and DecidedTime. A move to
	// Champion retires the present champion in the same transaction. When the version is not in the state that the move
	// begins in, or another version is champion than it says, nothing changes and moved is false. A version that does not
	// exist is an error.
	MoveVersion(ctx context.Context, m model.Move) (moved bool, err error)
	// HeldOut gives a version's predictions of held-out rows, which Version leaves out; nil when it has none.
	HeldOut(ctx context.Context, name string, number int) ([]byte, error)
	Aliases
}

// Aliases keeps the names that people give versions.
type Aliases interface {
	// MoveAlias gives an alias to a version, and says which one it named before; 0 = none. Number 0 takes it away. A version
	// that does not exist or is rejected is an error, as is MoveVersion of one that has an alias to Rejected.
	MoveAlias(ctx context.Context, a model.Alias) (before int, err error)
	// AliasMoves lists the moves of a model's aliases, or with name "" those of all models, oldest first.
	AliasMoves(ctx context.Context, name string) ([]model.Alias, error)
}
