// Package clock is where time comes from. Everything that waits or stamps takes a Clock, so that a whole engine runs in a
// simulation with a clock of its own.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits.
type Clock interface {
	// Now is the present instant.
	Now() time.Time
	// Sleep returns nil after d, or ctx.Err() when ctx ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// System is the machine's clock.
type System struct{}

// Now is time.Now in UTC.
func (System) Now() time.Time { return time.Now().UTC() }

// Sleep waits for d or for ctx to end.
func (System) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
