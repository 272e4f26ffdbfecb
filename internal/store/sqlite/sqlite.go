// Package sqlite keeps the store in one SQLite file: no server, no C compiler (modernc.org/sqlite). Its central function is
// Open. Writes are durable when they are acknowledged; one connection writes, several read.
package sqlite

import (
	"context"

	"damson/internal/store/driver"
)

// Open opens or creates the database file. A directory that is missing or cannot be written, a full disk and a file that is
// not a database are diag.Findings.
func Open(ctx context.Context, file string) (driver.DB, error) { return nil, nil }
