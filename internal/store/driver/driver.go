// Package driver is what a database must offer to hold Damson's own metadata: an open pair of pools, its dialect, and its
// errors in words. Its central type is DB; Remote is what a database across a network offers besides. The package holds no
// rule about runs or models: those live once, in package store.
package driver

import (
	"context"
	"database/sql"
)

// DB is an open database.
type DB interface {
	// Writer is the pool for what writes. The store takes one connection of it and begins transactions with Dialect.Begin.
	Writer() *sql.DB
	// Reader is the pool for everything else. It sees a transaction of Writer as soon as that has committed.
	Reader() *sql.DB
	Dialect() Dialect
	// Explain gives err as a diag.Finding where the state of the database is the cause (disk full, read-only directory,
	// locked, damaged), and err itself otherwise.
	Explain(err error) error
	// Watch calls signal soon after another connection may have committed a message, and after each time it could not look
	// for a while. It returns when it looks; it ends with ctx, and then closes ended.
	Watch(ctx context.Context, signal func()) (ended <-chan struct{}, err error)
	Close() error
}

// Remote is implemented by a DB to which each statement is a round trip.
type Remote interface {
	// Pipeline runs the statements in order on a connection of Writer without waiting for one before sending the next, and
	// says how many rows each has changed (a SELECT: how many rows it gave). After the first that fails none is run.
	Pipeline(ctx context.Context, conn *sql.Conn, statements []Statement) (rows []int64, err error)
	// Transient says that the same transaction may go well when it is done again: it lost a conflict, or the connection broke.
	Transient(err error) bool
}

// Statement is SQL in the database's own dialect.
type Statement struct {
	Query string
	Args  []any
}

// Dialect is what differs between the databases' SQL. The store writes SQL with "?" for parameters.
type Dialect struct {
	Name string // "sqlite" or "postgres"
	// Begin starts a transaction. Where one writer excludes all others (SQLite) it takes the write lock at once, so that the
	// transaction cannot fail half way because another came first; elsewhere rows are locked as they are changed.
	Begin string
	// Placeholder is the nth parameter, from 1: "?1" or "$1".
	Placeholder func(n int) string
	// Types maps the words SERIAL_KEY (an integer primary key that the database gives), GROWING_KEY (the same, never given
	// twice), BYTES, TEXT (compared byte by byte) and CLUSTERED (ends a CREATE TABLE whose rows lie in the order of the
	// primary key) to the database's own.
	Types map[string]string
	// Share ends a SELECT whose rows nobody may change before the transaction ends; "" where Begin excludes other writers.
	Share string
	// Exclude keeps other transactions from writing the table that stands for %s; "" where Begin does.
	Exclude string
	// Upgrade keeps other processes from changing the schema until the transaction ends; "" where Begin does.
	Upgrade string
	// Notify tells the Watch of other processes, once the transaction has committed; "" where Watch needs no telling.
	Notify string
}
