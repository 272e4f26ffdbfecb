package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/store/driver"
)

// migrations bring a database from one version of the schema to the next; the version is how many have run. A migration
// that has been released never changes. Times are microseconds since 1970, NULL where there is none.
var migrations = [][]string{
	{
		`CREATE TABLE runs (
			id         TEXT NOT NULL PRIMARY KEY,
			pipeline   TEXT NOT NULL,
			cause      TEXT NOT NULL,
			data_start BIGINT NOT NULL,
			data_end   BIGINT NOT NULL,
			state      TEXT NOT NULL,
			params     TEXT,
			version    TEXT NOT NULL,
			created    BIGINT NOT NULL,
			started    BIGINT,
			ended      BIGINT,
			reason     TEXT NOT NULL
		) CLUSTERED`,
		`CREATE UNIQUE INDEX runs_interval ON runs (pipeline, data_start)`,
		`CREATE INDEX runs_start ON runs (data_start)`,
		`CREATE INDEX runs_state ON runs (state, data_start)`,
		`CREATE TABLE task_runs (
			run_id     TEXT NOT NULL,
			task       TEXT NOT NULL,
			state      TEXT NOT NULL,
			attempt    BIGINT NOT NULL DEFAULT 0,
			failures   BIGINT NOT NULL DEFAULT 0,
			token      BIGINT NOT NULL DEFAULT 0,
			not_before BIGINT,
			queued     BIGINT,
			started    BIGINT,
			ended      BIGINT,
			reason     TEXT NOT NULL DEFAULT '',
			result     TEXT,
			PRIMARY KEY (run_id, task)
		) CLUSTERED`,
		`CREATE TABLE history (
			id         SERIAL_KEY,
			run_id     TEXT NOT NULL,
			task       TEXT NOT NULL,
			from_state TEXT NOT NULL,
			to_state   TEXT NOT NULL,
			event      TEXT NOT NULL,
			at         BIGINT NOT NULL,
			attempt    BIGINT NOT NULL,
			failures   BIGINT NOT NULL,
			token      BIGINT NOT NULL,
			not_before BIGINT,
			reason     TEXT NOT NULL,
			result     TEXT
		)`,
		`CREATE INDEX history_task ON history (run_id, task)`,
		`CREATE TABLE logs (
			id      SERIAL_KEY,
			run_id  TEXT NOT NULL,
			task    TEXT NOT NULL,
			attempt BIGINT NOT NULL,
			at      BIGINT NOT NULL,
			level   TEXT NOT NULL,
			text    TEXT NOT NULL
		)`,
		`CREATE INDEX logs_task ON logs (run_id, task)`,
		`CREATE TABLE versions (
			model        TEXT NOT NULL,
			number       BIGINT NOT NULL,
			state        TEXT NOT NULL,
			created      BIGINT NOT NULL,
			body         TEXT NOT NULL,
			decided_by   TEXT NOT NULL,
			decided_why  TEXT NOT NULL,
			decided_time BIGINT,
			artifact     BYTES,
			PRIMARY KEY (model, number)
		)`,
		`CREATE UNIQUE INDEX versions_champion ON versions (model) WHERE state = 'champion'`,
	},
	serviceTables,
	versionTables,
}

// versionTables are what versions have besides: the names that people give them, of which every move is there and the last one counts
// (number 0 takes an alias away); and predictions of held-out rows, NULL in versions from before.
var versionTables = []string{
	`CREATE TABLE aliases (
		id     SERIAL_KEY,
		model  TEXT NOT NULL,
		name   TEXT NOT NULL,
		number BIGINT NOT NULL,
		set_by TEXT NOT NULL,
		why    TEXT NOT NULL,
		at     BIGINT NOT NULL
	)`,
	`CREATE INDEX aliases_name ON aliases (model, name, id)`,
	`ALTER TABLE versions ADD COLUMN held_out BYTES`,
}

// serviceTables are what processes that share a store tell each other and what a scheduler remembers. Truth values are 0
// and 1.
var serviceTables = []string{
	`CREATE TABLE leases (
		name   TEXT NOT NULL PRIMARY KEY,
		holder TEXT NOT NULL,
		token  BIGINT NOT NULL,
		beat   BIGINT NOT NULL
	)`,
	`INSERT INTO leases (name, holder, token, beat) VALUES ('leader', '', 0, 0)`,
	`CREATE TABLE processes (
		id        TEXT NOT NULL PRIMARY KEY,
		host      TEXT NOT NULL,
		pid       BIGINT NOT NULL,
		started   BIGINT NOT NULL,
		beat      BIGINT NOT NULL,
		slots     BIGINT NOT NULL,
		warehouse BIGINT NOT NULL,
		leads     BIGINT NOT NULL,
		address   TEXT NOT NULL,
		version   TEXT NOT NULL
	)`,
	`CREATE TABLE messages (
		id        GROWING_KEY,
		recipient TEXT NOT NULL,
		sender    TEXT NOT NULL,
		kind      TEXT NOT NULL,
		body      BYTES,
		at        BIGINT NOT NULL
	)`,
	`CREATE INDEX messages_recipient ON messages (recipient, id)`,
	`CREATE TABLE pipelines (
		name      TEXT NOT NULL PRIMARY KEY,
		paused    BIGINT NOT NULL,
		paused_by TEXT NOT NULL,
		paused_at BIGINT,
		next      BIGINT,
		consumed  BIGINT NOT NULL
	)`,
	`CREATE TABLE backfills (
		id       TEXT NOT NULL PRIMARY KEY,
		pipeline TEXT NOT NULL,
		state    TEXT NOT NULL,
		body     BYTES,
		created  BIGINT NOT NULL,
		ended    BIGINT
	)`,
	`CREATE INDEX backfills_state ON backfills (state)`,
	`CREATE TABLE dataset_updates (
		id         SERIAL_KEY,
		dataset    TEXT NOT NULL,
		run_id     TEXT NOT NULL,
		task       TEXT NOT NULL,
		data_start BIGINT NOT NULL,
		data_end   BIGINT NOT NULL,
		at         BIGINT NOT NULL
	)`,
	`CREATE TABLE reasons (
		id      SERIAL_KEY,
		subject TEXT NOT NULL,
		at      BIGINT NOT NULL,
		text    TEXT NOT NULL
	)`,
	`CREATE INDEX reasons_subject ON reasons (subject, id)`,
	`CREATE TABLE alerts (
		id       SERIAL_KEY,
		at       BIGINT NOT NULL,
		pipeline TEXT NOT NULL,
		run_id   TEXT NOT NULL,
		kind     TEXT NOT NULL,
		text     TEXT NOT NULL
	)`,
	`CREATE TABLE snapshots (
		version TEXT NOT NULL PRIMARY KEY,
		archive BYTES NOT NULL
	)`,
	`DROP INDEX runs_start`,
	`CREATE INDEX runs_start ON runs (data_start, pipeline)`, // the order in which runs are listed
	`CREATE INDEX runs_pipeline_state ON runs (pipeline, state, data_start)`,
}

// migrate brings the schema up to date in one transaction, which also keeps two processes from doing it at once.
func migrate(ctx context.Context, d driver.DB) (err error) {
	conn, err := d.Writer().Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	exec := func(query string) error {
		_, err := conn.ExecContext(ctx, query)
		return err
	}
	if current, err := schemaVersion(ctx, conn); err == nil && current == len(migrations) {
		return nil // without a lock: another process may be writing
	}
	if err := exec(d.Dialect().Begin); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if lock := d.Dialect().Upgrade; lock != "" {
		if err := exec(lock); err != nil {
			return err
		}
	}
	if err := exec(`CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)`); err != nil {
		return err
	}
	current, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if current > len(migrations) {
		return diag.Finding{
			Summary: "The store is newer than this program",
			Detail:  fmt.Sprintf("Its schema has version %d; this Damson knows versions up to %d.", current, len(migrations)),
			Fix:     "Use the Damson that wrote it, or a later one.",
		}
	}
	words := dialectWords(d.Dialect())
	for _, migration := range migrations[current:] {
		for _, statement := range migration {
			if err := exec(words.Replace(statement)); err != nil {
				return err
			}
		}
	}
	if err := exec(`DELETE FROM schema_version`); err != nil {
		return err
	}
	if err := exec(fmt.Sprintf(`INSERT INTO schema_version VALUES (%d)`, len(migrations))); err != nil {
		return err
	}
	return exec("COMMIT")
}

// Look tells, and changes nothing, which version of the schema a database has, and which one New would bring it to. It fails on a
// database without a schema.
func Look(ctx context.Context, d driver.DB) (has, knows int, err error) {
	conn, err := d.Reader().Conn(ctx)
	if err != nil {
		return 0, len(migrations), d.Explain(err)
	}
	defer conn.Close()
	has, err = schemaVersion(ctx, conn)
	return has, len(migrations), d.Explain(err)
}

// schemaVersion is how many migrations have run. It fails where the table is not there yet.
func schemaVersion(ctx context.Context, conn *sql.Conn) (version int, err error) {
	err = conn.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version)
	return version, err
}

func dialectWords(d driver.Dialect) *strings.Replacer {
	pairs := make([]string, 0, 2*len(d.Types))
	for word, own := range d.Types {
		pairs = append(pairs, word, own)
	}
	return strings.NewReplacer(pairs...)
}
