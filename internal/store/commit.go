package store

import (
	"context"
	"fmt"
)

// Commit writes the batch: all of it or nothing. With a fence that is not the present leader's token the error is
// ErrDeposed; with a change that does not fit it is a *StaleError.
func (s *Store) Commit(ctx context.Context, b Batch) error {
	return s.write(ctx, func(ses *session) error {
		if b.Fence > 0 {
			if err := ses.fence(b.Fence); err != nil {
				return err
			}
		}
		return ses.batch(&b)
	})
}

func (ses *session) batch(b *Batch) error {
	if err := ses.addLogs(b.Lines); err != nil {
		return err
	}
	if len(b.Runs) > 0 {
		if _, err := ses.createRuns(b.Runs); err != nil {
			return err
		}
	}
	if err := ses.gainTasks(b.Tasks); err != nil {
		return err
	}
	if err := ses.apply(b.Changes); err != nil {
		return err
	}
	if err := ses.rememberService(b); err != nil {
		return err
	}
	if err := ses.dropMessages(b.Done); err != nil {
		return err
	}
	return ses.send(b.Send)
}

// rememberService writes what a scheduler remembers besides runs.
func (ses *session) rememberService(b *Batch) error {
	for i := range b.Pipelines {
		if err := ses.putPipeline(&b.Pipelines[i]); err != nil {
			return fmt.Errorf("recording the state of pipeline %s: %w", b.Pipelines[i].Name, err)
		}
	}
	for i := range b.Backfills {
		if err := ses.putBackfill(&b.Backfills[i]); err != nil {
			return fmt.Errorf("recording backfill %s: %w", b.Backfills[i].ID, err)
		}
	}
	if err := ses.addUpdates(b.Updates); err != nil {
		return fmt.Errorf("recording %d dataset updates: %w", len(b.Updates), err)
	}
	if err := ses.addReasons(b.Reasons); err != nil {
		return fmt.Errorf("recording %d reasons: %w", len(b.Reasons), err)
	}
	if err := ses.addAlerts(b.Alerts); err != nil {
		return fmt.Errorf("recording %d alerts: %w", len(b.Alerts), err)
	}
	return nil
}
