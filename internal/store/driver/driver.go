// Package driver is what a database must offer to hold Damson's own metadata: an open pair of pools, its dialect, and its
// errors in words. Its central type is DB. It holds no rule about runs or models: those live once, in package store.
package driver

import "database/sql"

// DB is an open database.
type DB interface {
	// Writer is the pool for transactions that write. Its transactions take what lock they need when they begin, so
	// that none fails half way because another writer came first.
	Writer() *sql.DB
	// Reader is the pool for everything else. It sees each transaction of Writer once that has committed.
	Reader() *sql.DB
	Dialect() Dialect
	// Explain gives err as a diag.Finding where the database's state is the cause (disk full, read-only directory, not a
	// database), and err itself otherwise.
	Explain(err error) error
	Close() error
}

// Dialect is what differs between the databases' SQL.
type Dialect struct {
	Name string
	// Placeholder is the nth parameter, from 1: "?1" or "$1".
	Placeholder func(n int) string
	// Types maps the words that the schema is written with (SERIAL_KEY, BYTES) to the database's own.
	Types map[string]string
	// MaxParams bounds the parameters of one statement.
	MaxParams int
	// Clustered ends a CREATE TABLE whose rows should lie in the order of the primary key: "WITHOUT ROWID" or "".
	Clustered string
}
