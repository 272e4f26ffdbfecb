package store

import (
	"context"
	"fmt"
)

// Commit is temporary.
func (s *Store) Commit(ctx context.Context, b Batch) error {
	return s.write(ctx, func(ses *session) error {
		if err := ses.addLogs(b.Lines); err != nil {
			return err
		}
		for i := range b.Runs {
			if _, err := ses.createRun(&b.Runs[i].Run, b.Runs[i].Tasks); err != nil {
				return fmt.Errorf("adding run %s: %w", b.Runs[i].ID, err)
			}
		}
		for _, t := range b.Tasks {
			if err := ses.addTasks(t.RunID, t.Tasks); err != nil {
				return err
			}
		}
		return ses.apply(b.Changes)
	})
}
