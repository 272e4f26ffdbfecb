package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// million prints the chain of statements, the backfill and the start over an empty store and over a full one.
func (b *bench) million(ctx context.Context) error {
	select400 := chains[len(chains)-1]
	fmt.Printf("%-10s %-12s %22s %26s %22s %24s\n", "store", "task runs", "start: to task ms", "chain 400 × SELECT 1 ms", "no-op backfill ms", "SELECT 1 backfill ms")
	for _, kind := range b.stores {
		for _, full := range []bool{false, true} {
			files := chainFiles()
			maps.Copy(files, backfillFiles())
			s, err := b.site(kind, files)
			if err != nil {
				return err
			}
			if full {
				if err := s.fill(ctx); err != nil {
					return err
				}
			}
			var starts, chain, noop, backfill []time.Duration
			for range b.rounds {
				took, err := s.everything(ctx, select400)
				if err != nil {
					return err
				}
				starts, chain, noop, backfill = append(starts, took[0]), append(chain, took[1]), append(noop, took[2]), append(backfill, took[3])
			}
			number := "none before"
			if full {
				number = "1,000,320"
			}
			fmt.Printf("%-10s %-12s %22s %26s %22s %24s\n", kind, number, spread(starts), spread(chain), spread(noop), spread(backfill))
			if err := s.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// everything measures start, chain, no-op backfill and backfill. What the backfills made is removed, so that each round has
// the same to do.
func (s *site) everything(ctx context.Context, c chain) (took [4]time.Duration, err error) {
	if err := s.pause(ctx, "daily"); err != nil {
		return took, err
	}
	for i, do := range []func() (time.Duration, error){
		func() (time.Duration, error) { return s.again(ctx, "select_40") },
		func() (time.Duration, error) { took, _, err := s.serveChain(ctx, c); return took, err },
		func() (time.Duration, error) { return s.noop(ctx, 1) },
		func() (time.Duration, error) { return s.serveBackfill(ctx, 1) },
	} {
		if took[i], err = do(); err != nil {
			return took, err
		}
		if i > 1 {
			if err := s.forget(ctx); err != nil {
				return took, err
			}
		}
	}
	return took, nil
}

// forget removes the backfill's runs.
func (s *site) forget(ctx context.Context) error {
	return s.sql(ctx, `DELETE FROM history WHERE run_id LIKE 'daily@%'`, `DELETE FROM logs WHERE run_id LIKE 'daily@%'`,
		`DELETE FROM task_runs WHERE run_id LIKE 'daily@%'`, `DELETE FROM runs WHERE pipeline = 'daily'`)
}

// fill writes a million finished task runs, in bulk.
func (s *site) fill(ctx context.Context) error {
	const days, pipelines = 2084, 40
	if err := s.open(ctx); err != nil { // makes the tables
		return err
	}
	numbers := func(name string, n int) string {
		return fmt.Sprintf(`%[1]s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM %[1]s WHERE i < %[2]d)`, name, n-1)
	}
	text := func(prefix, number string) string { return `'` + prefix + `' || CAST(` + number + ` AS TEXT)` }
	first := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	day := fmt.Sprintf(`%d + d.i * %d`, first.UnixMicro(), (24 * time.Hour).Microseconds())
	id, task := text("old", "p.i")+` || `+text("@day", "d.i"), text("a_task_with_a_usual_name_", "t.i")
	with := `WITH RECURSIVE ` + numbers("d", days) + `, ` + numbers("p", pipelines)
	tasks := with + `, ` + numbers("t", backfillTasks)
	from := ` FROM p CROSS JOIN d`
	statements := []string{
		with + ` INSERT INTO runs (id, pipeline, cause, data_start, data_end, state, version, created, started, ended, reason)
			SELECT ` + id + `, ` + text("old", "p.i") + `, 'backfill', ` + day + `, ` + day + `, 'success', 'v1', 1, 1, 1, ''` + from,
		tasks + ` INSERT INTO task_runs (run_id, task, state, attempt, token, queued, started, ended)
			SELECT ` + id + `, ` + task + `, 'success', 1, 1, 1, 1, 1` + from + ` CROSS JOIN t`,
		tasks + ` INSERT INTO logs (run_id, task, attempt, at, level, text)
			SELECT ` + id + `, ` + task + `, 1, 1, 'info', '12 rows in 0.4 s'` + from + ` CROSS JOIN t`,
	}
	for _, change := range []string{`'scheduled', 'queued', 'ready'`, `'queued', 'running', 'started'`, `'running', 'success', 'succeeded'`} {
		statements = append(statements, tasks+` INSERT INTO history (run_id, task, from_state, to_state, event, at, attempt, failures, token, reason)
			SELECT `+id+`, `+task+`, `+change+`, 1, 1, 0, 1, ''`+from+` CROSS JOIN t`)
	}
	after := []string{`ANALYZE`, `PRAGMA wal_checkpoint(TRUNCATE)`}
	if s.url != "" {
		after = []string{`VACUUM (ANALYZE)`, `CHECKPOINT`} // which would else come while something is measured
	}
	return s.sql(ctx, append(statements, after...)...)
}

// sql writes to the store's database beside the store.
func (s *site) sql(ctx context.Context, statements ...string) error {
	d, err := s.database(ctx)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := d.Writer().ExecContext(ctx, statement); err != nil {
			return errors.Join(fmt.Errorf("%.60s…: %w", statement, err), d.Close())
		}
	}
	return d.Close()
}
