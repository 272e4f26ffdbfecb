// Package postgres keeps the store in a PostgreSQL database (13 or later), which processes on several machines share
// (jackc/pgx). Its central function is Open. The tables lie in a schema of their own, so that the same database may hold a
// warehouse. It refuses to be less safe than the server can be: commits wait for the disk also where the server's default
// is that they do not.
//
// Writers of several processes do not exclude each other: rows are locked as they are changed, and the store does a
// transaction again that lost a conflict. A process has at most 1 connection that writes, 4 that read and 1 that listens.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"damson/internal/store/driver"
)

const (
	// schema holds the store's tables.
	schema = "damson_store"
	// channel is where processes tell each other of messages.
	channel = "damson_store"
	// upgradeLock is the advisory lock of who changes the schema: "damson" in ASCII.
	upgradeLock = 0x64616d736f6e

	readers        = 4
	connectTimeout = 10 * time.Second
	idleTimeout    = 5 * time.Minute // of connections that read
)

// database is an open database.
type database struct {
	config         *pgx.ConnConfig
	writer, reader *sql.DB
}

// Open opens the database of url (postgres://USER:PASSWORD@HOST:PORT/DATABASE; what it leaves out comes from PostgreSQL's
// usual environment variables and password file) and makes the schema if it is not there. A server that cannot be reached,
// refuses the user or does not let it make the schema is a diag.Finding, which never shows the password.
func Open(ctx context.Context, url string) (driver.DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, unreadable()
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.RuntimeParams["search_path"] = schema
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "damson"
	}
	d := &database{config: config}
	d.writer = stdlib.OpenDB(*config, stdlib.OptionAfterConnect(waitForDisk))
	d.writer.SetMaxOpenConns(1)
	d.reader = stdlib.OpenDB(*config)
	d.reader.SetMaxOpenConns(readers)
	d.reader.SetMaxIdleConns(readers)
	d.reader.SetConnMaxIdleTime(idleTimeout)
	if err := d.makeSchema(ctx); err != nil {
		return nil, errors.Join(d.Explain(err), d.Close())
	}
	return d, nil
}

// waitForDisk has commits wait for the disk; a setting that waits for more (replicas) stays.
func waitForDisk(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// makeSchema looks first: an administrator may have made the schema for a user who may not.
func (d *database) makeSchema(ctx context.Context) error {
	conn, err := d.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var there bool
	if err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, schema).Scan(&there); err != nil || there {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statement := range []string{upgrade, `CREATE SCHEMA IF NOT EXISTS ` + schema} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// upgrade takes the advisory lock until the transaction ends.
var upgrade = `SELECT pg_advisory_xact_lock(` + strconv.Itoa(upgradeLock) + `)`

func (d *database) Writer() *sql.DB { return d.writer }
func (d *database) Reader() *sql.DB { return d.reader }

// Dialect of PostgreSQL. Text is compared byte by byte, as Go does, whatever the database's locale. A page of rows keeps
// room for their changes: a task run changes some four times soon after it was made.
func (d *database) Dialect() driver.Dialect {
	return driver.Dialect{
		Name:        "postgres",
		Begin:       "BEGIN",
		Placeholder: func(n int) string { return "$" + strconv.Itoa(n) },
		Types: map[string]string{"SERIAL_KEY": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
			"GROWING_KEY": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTES": "BYTEA", "TEXT": `TEXT COLLATE "C"`,
			"CLUSTERED": "WITH (fillfactor = 70)"},
		Share:   " FOR SHARE",
		Exclude: "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
		Upgrade: upgrade,
		Notify:  "SELECT pg_notify('" + channel + "', '')",
	}
}

// Pipeline sends the statements as one batch. pgx prepares those it has not seen on this connection in one round trip more.
func (d *database) Pipeline(ctx context.Context, conn *sql.Conn, statements []driver.Statement) (rows []int64, err error) {
	err = conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection is a %T, not one of pgx", driverConn)
		}
		var batch pgx.Batch
		for i := range statements {
			batch.Queue(statements[i].Query, statements[i].Args...)
		}
		results := c.Conn().SendBatch(ctx, &batch)
		rows = make([]int64, 0, len(statements))
		for range statements {
			tag, err := results.Exec()
			if err != nil {
				_ = results.Close() // tells the same
				return err
			}
			rows = append(rows, tag.RowsAffected())
		}
		return results.Close()
	})
	return rows, err
}

// Close closes all connections.
func (d *database) Close() error { return errors.Join(d.reader.Close(), d.writer.Close()) }

// place names the database without its password.
func (d *database) place() string {
	return fmt.Sprintf("database %q at %s", d.config.Database, d.server())
}

func (d *database) server() string {
	return net.JoinHostPort(d.config.Host, strconv.Itoa(int(d.config.Port)))
}
