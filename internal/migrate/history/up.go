package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// Goal says how far to go.
type Goal struct {
	To         int64 // the last number to apply; below 0: all
	OutOfOrder bool  // also those with a lower number than one that is applied
}

// Up applies what is pending, one migration after the other, and gives what it applied, also when one fails. Nothing is written
// when there is nothing to apply. The error is a diag.Finding or, when the history does not fit the files, diag.Findings.
func (h *History) Up(ctx context.Context, migrations []migrate.Migration, goal Goal) (applied []migrate.Row, err error) {
	entries, err := h.Plan(ctx, migrations)
	if err != nil {
		return nil, err
	}
	for {
		if err := migrate.Refusals(entries, goal.OutOfOrder).Err(); err != nil {
			return applied, err
		}
		if len(migrate.Ahead(entries, goal.To)) == 0 {
			return applied, nil
		}
		row, err := h.applyNext(ctx, migrations, goal)
		if row != nil {
			applied = append(applied, *row)
			h.o.Applied(*row)
		}
		if err != nil {
			return applied, err
		}
		if entries, err = h.Plan(ctx, migrations); err != nil {
			return applied, err
		}
	}
}

// applyNext applies one migration; nil when another process has left none.
func (h *History) applyNext(ctx context.Context, migrations []migrate.Migration, goal Goal) (applied *migrate.Row, err error) {
	var entry *migrate.Entry
	var alone sqltext.Text
	err = h.locked(ctx, migrations, func(tx *warehouse.Tx, entries []migrate.Entry) error {
		applied, entry = nil, nil
		if err := migrate.Refusals(entries, goal.OutOfOrder).Err(); err != nil {
			return err
		}
		ahead := migrate.Ahead(entries, goal.To)
		if len(ahead) == 0 {
			return nil
		}
		entry = &ahead[0]
		text, err := h.o.Render(*entry.Variant)
		if err != nil {
			return err
		}
		row := h.row(*entry, migrate.RowStarted, h.o.Clock.Now())
		row.Statements = len(text.Split())
		if applied = &row; entry.Variant.Alone {
			alone = text
			return insert(ctx, tx, row)
		}
		progress := func(i, n int, rows int64, d time.Duration) { h.o.Progress(*entry, i, n, rows, d) }
		if _, err := tx.Script(ctx, text, progress); err != nil {
			return err
		}
		row.State, row.Done, row.Took = migrate.RowApplied, row.Statements, h.o.Clock.Now().Sub(row.At)
		return insert(ctx, tx, row)
	})
	switch {
	case entry == nil:
		return nil, err
	case err != nil:
		return nil, asFinding(err, func(f *diag.Finding) { f.Detail += "\n" + outcome(*entry, err) })
	case entry.Variant.Alone:
		return h.applyAlone(ctx, *entry, alone, *applied)
	}
	return applied, nil
}

// outcome says what is in the warehouse of a migration whose transaction has failed.
func outcome(e migrate.Entry, err error) string {
	if cause := (*driver.Error)(nil); errors.As(err, &cause) && cause.InDoubt {
		return fmt.Sprintf("Whether %s was applied is to be seen with `damson migrate status`.", e)
	}
	return fmt.Sprintf("Nothing of %s is in the warehouse.", e)
}

// applyAlone runs the statements of a migration in a session without a transaction, after its row has been written.
func (h *History) applyAlone(ctx context.Context, e migrate.Entry, text sqltext.Text, row migrate.Row) (*migrate.Row, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	_, err := h.w.Loose(ctx, nil, text, func(i, n int, rows int64, d time.Duration) {
		row.Done = i
		h.o.Progress(e, i, n, rows, d)
		if i == n {
			return // the end of the migration is saved with it
		}
		if err := h.save(ctx, row); err != nil {
			cancel(err) // nobody would know what else has run
		}
	})
	if unsaved := context.Cause(ctx); unsaved != nil && !errors.Is(unsaved, context.Canceled) {
		err = unsaved
	}
	if err == nil {
		row.State, row.Took = migrate.RowApplied, h.o.Clock.Now().Sub(row.At)
		err = h.save(ctx, row)
	}
	if err != nil {
		return nil, asFinding(err, func(f *diag.Finding) { f.Fix = strings.TrimSpace(f.Fix + "\n" + migrate.HalfWayFix(e.Label)) })
	}
	return &row, nil
}

// save writes how far a migration has come, also when ctx has ended meanwhile: its statement has too.
func (h *History) save(ctx context.Context, row migrate.Row) error {
	ctx = context.WithoutCancel(ctx)
	return h.w.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) {
		n, err := update(ctx, tx, row)
		if err == nil && n == 0 {
			err = diag.Finding{Summary: "Marked meanwhile", Detail: "Somebody has marked the migration while it ran."}
		}
		return nil, err
	})
}
