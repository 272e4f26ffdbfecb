// Package driver is what a database must offer to hold Damson's own metadata: an open pair of pools, its dialect, and its
// errors in words. Its central type is DB. It holds no rule about runs or models: those live once, in package store.
package driver

import "database/sql"

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
	Close() error
}

// Dialect is what differs between the databases' SQL. The store writes SQL with "?" for parameters.
type Dialect struct {
	Name string // "sqlite"
	// Begin starts a transaction that takes its write lock at once, so that it cannot fail half way because another
	// writer came first.
	Begin string
	// Placeholder is the nth parameter, from 1: "?1" or "$1".
	Placeholder func(n int) string
	// Types maps the words SERIAL_KEY (a growing integer primary key), BYTES and CLUSTERED (ends a CREATE TABLE whose rows
	// lie in the order of the primary key) to the database's own.
	Types map[string]string
	// MaxParams is how many parameters a statement may have.
	MaxParams int
}
