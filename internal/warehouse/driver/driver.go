// Package driver is the contract between package warehouse and a database. Rules that all databases share live in
// warehouse; a driver speaks one dialect and one protocol, and declares what it can do.
//
// Rows travel as Arrow record batches in both directions. Column types are those of Type; whatever else a database has is
// read as Text.
package driver

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"
)

// Type is a portable column type.
type Type string

const (
	Text      Type = "text"
	Bigint    Type = "bigint" // all integers up to 64 bits
	Double    Type = "double" // binary floating point; decimals are read as this
	Boolean   Type = "boolean"
	Date      Type = "date"
	Time      Type = "time"
	Timestamp Type = "timestamp" // without time zone, microseconds
)

// Column is a column of a table or result. Native is the database's own name of its type.
type Column struct {
	Name   string `json:"name"`
	Type   Type   `json:"type"`
	Native string `json:"native"`
}

// Name is a table's name; Schema may be empty.
type Name struct{ Schema, Table string }

// String gives schema.table, unquoted, for people.
func (n Name) String() string {
	if n.Schema == "" {
		return n.Table
	}
	return n.Schema + "." + n.Table
}

// Capabilities are what a database can do; warehouse refuses, before any SQL is sent, what it cannot.
type Capabilities struct {
	Kind       string // "duckdb", "postgres", "greenplum"
	Version    string
	OneProcess bool // a second process cannot open it
}

// Querier runs SQL, in a transaction or outside of one.
type Querier interface {
	// Exec runs one statement and gives the number of rows it changed, -1 when the database does not say.
	Exec(ctx context.Context, sql string) (int64, error)
	// Query runs one statement and streams its rows. The reader must be released; its Err tells how the stream ended.
	Query(ctx context.Context, sql string) (array.RecordReader, error)
}

// Tx is a transaction. Rollback after Commit does nothing.
type Tx interface {
	Querier
	// Append adds the reader's rows to a table, matching columns by name, and gives their number.
	Append(ctx context.Context, table Name, rows array.RecordReader) (int64, error)
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
}

// Session is a session outside of a transaction, for one goroutine. What it was set to ends with it.
type Session interface {
	Querier
	Close()
}

// Warehouse is one open database. All methods may be called at the same time. When a context ends, the statement it was
// given is stopped in the database.
type Warehouse interface {
	Querier
	Capabilities() Capabilities
	Begin(ctx context.Context) (Tx, error)
	// Session gives a session of its own, in which every statement commits by itself.
	Session(ctx context.Context) (Session, error)
	// Describe gives the columns of a SELECT without running it.
	Describe(ctx context.Context, q Querier, sql string) ([]Column, error)
	// Table gives the columns of a table or view as q sees it, nil when there is none.
	Table(ctx context.Context, q Querier, name Name) ([]Column, error)
	Close() error
}

// Error is what a database says of a statement. Position is the place in the statement's text, in bytes from 0; -1 when
// the database does not tell.
//
// When a Connection is lost inside of a transaction, nothing of it was or will be committed, save when InDoubt says that
// COMMIT, or a statement outside of transactions, was under way: it may have done its work, then or a little later.
type Error struct {
	Class    Class
	Code     string // SQLSTATE, or the engine's own error type
	Message  string
	Hint     string
	Table    string // the table that an UnknownName is about, as the database names it, if it is about one and tells
	Position int
	InDoubt  bool
	Cause    error
}

// Class says what kind of failure it is, so that the caller knows whether to try again and what to advise.
type Class string

const (
	Syntax       Class = "syntax"
	UnknownName  Class = "unknown name" // no such table, column or function
	Exists       Class = "exists"       // what is to be made is there already
	Constraint   Class = "constraint"
	DataError    Class = "data" // a value that a conversion or computation refuses
	OutOfMemory  Class = "out of memory"
	DiskFull     Class = "disk full"
	Conflict     Class = "conflict" // with another transaction; safe to try again
	Locked       Class = "locked"   // another process or session holds the database, or a lock in it for too long
	Cancelled    Class = "cancelled"
	Connection   Class = "connection"
	Permission   Class = "permission"
	Internal     Class = "internal"
	Unclassified Class = "unclassified"
)

// Error gives code and message.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap gives the database library's own error.
func (e *Error) Unwrap() error { return e.Cause }
