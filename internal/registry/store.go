package registry

import (
	"context"
	"time"

	"damson/internal/model"
)

// Store keeps versions. An implementation passes the conformance suite of the stores.
type Store interface {
	// AddVersion stores v under the next number of its model (from 1, never reused), whatever v.Number says, and gives it
	// back with that number. v.State is kept as it is, but must not be Champion: only SetState makes a champion.
	AddVersion(ctx context.Context, v model.Version) (model.Version, error)
	// Versions lists a model's versions, or with name "" those of all models, newest first, without their artifacts.
	Versions(ctx context.Context, name string) ([]model.Version, error)
	// Version gives one version with its artifact; number 0 asks for the champion. It is nil when there is none.
	Version(ctx context.Context, name string, number int) (*model.Version, error)
	// SetState moves a version to a state and records who, why and when in DecidedBy, DecidedWhy and DecidedTime. A move to
	// Champion retires the present champion in the same transaction. A version that does not exist is an error.
	SetState(ctx context.Context, name string, number int, to model.State, by, why string, at time.Time) error
}
