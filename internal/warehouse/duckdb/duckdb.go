//go:build duckdb_arrow

// Package duckdb is the embedded warehouse: the driver of DuckDB. Its central type is Warehouse, one open database file,
// which one process at a time can hold. Rows travel as Arrow record batches in both directions and are never kept whole.
//
// It stands on DuckDB's C interface (duckdb-go-bindings) rather than on database/sql, because only there do results stream
// and errors tell a byte position. It installs and loads no extensions, and never shares a connection between two users.
package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/warehouse/driver"
)

// Options tune a database; the zero value is a database in memory with DuckDB's own limits.
type Options struct {
	Path        string // of the database file, made when absent; "" = in memory
	MemoryLimit string // for example "4GB"; "" = 80 % of the machine's memory
	Threads     int    // 0 = one per core
	TempDir     string // where results larger than memory go; "" = beside the file
	ReadOnly    bool
}

// Warehouse is one open database. It implements driver.Warehouse.
type Warehouse struct {
	db      bindings.Database
	version string

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

// maxIdle bounds the connections kept for later; opening one takes some 10 µs.
const maxIdle = 16

// instances makes two openings of one file in this process share one database: DuckDB's file lock does not hold between
// them, and two databases on one file destroy it.
var instances = sync.OnceValue(bindings.CreateInstanceCache)

// Open opens or makes a database.
func Open(ctx context.Context, o Options) (*Warehouse, error) {
	if err := ctx.Err(); err != nil {
		return nil, cancelled(ctx)
	}
	config, err := newConfig(o)
	if err != nil {
		return nil, openError(o, err)
	}
	defer bindings.DestroyConfig(&config)
	w := &Warehouse{version: bindings.LibraryVersion()}
	var message string
	var state bindings.State
	if o.Path == "" {
		state = bindings.OpenExt("", &w.db, config, &message)
	} else {
		path, err := filepath.Abs(o.Path)
		if err != nil {
			return nil, openError(o, err)
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, openError(o, err)
		}
		state = bindings.GetOrCreateFromCache(instances(), path, &w.db, config, &message)
	}
	if state == bindings.StateError {
		bindings.Close(&w.db)
		return nil, openError(o, newError(message))
	}
	if err := w.setUp(ctx); err != nil {
		return nil, openError(o, errors.Join(err, w.Close()))
	}
	return w, nil
}

// newConfig gives the settings that hold for the whole database.
func newConfig(o Options) (bindings.Config, error) {
	settings := [][2]string{
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		// Errors as JSON carry the position in bytes; the text form draws a caret under a shortened line.
		{"errors_as_json", "true"},
		{"wal_autocheckpoint", walLimit},
	}
	if o.MemoryLimit != "" {
		settings = append(settings, [2]string{"memory_limit", o.MemoryLimit})
	}
	if o.Threads > 0 {
		settings = append(settings, [2]string{"threads", strconv.Itoa(o.Threads)})
	}
	if o.TempDir != "" {
		settings = append(settings, [2]string{"temp_directory", o.TempDir})
	}
	if o.ReadOnly {
		settings = append(settings, [2]string{"access_mode", "READ_ONLY"})
	}
	var config bindings.Config
	if bindings.CreateConfig(&config) == bindings.StateError {
		return config, fmt.Errorf("DuckDB gives no configuration object")
	}
	for _, s := range settings {
		if bindings.SetConfig(config, s[0], s[1]) == bindings.StateError {
			bindings.DestroyConfig(&config)
			return config, &driver.Error{
				Class:    driver.Unclassified,
				Message:  fmt.Sprintf("DuckDB does not take %q as its %s.", s[1], s[0]),
				Position: -1,
			}
		}
	}
	return config, nil
}

// walLimit is how large the write-ahead log grows before it is folded into the file. Folding costs the more the larger the
// tables are that tasks add to: 960 tasks of 12,500 rows took 45 s of CPU with DuckDB's own 16 MB and 22 s with 64 MB or
// more. After a crash, a log of this size is read again before the database opens.
const walLimit = "128MB"

// setUp makes settings that DuckDB takes only once it is open.
func (w *Warehouse) setUp(ctx context.Context) error {
	c, err := w.take()
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, "SET GLOBAL TimeZone = 'UTC'")
	c.altered = false
	w.put(c)
	return err
}

// Capabilities implements driver.Warehouse.
func (w *Warehouse) Capabilities() driver.Capabilities {
	return driver.Capabilities{
		Kind:       "duckdb",
		Version:    w.version,
		OneProcess: true,
	}
}

// Close writes what is outstanding to the file and closes it once the last reader and transaction are done.
func (w *Warehouse) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	for _, c := range w.idle {
		c.close()
	}
	w.idle = nil
	bindings.Close(&w.db)
	return nil
}

// take gives a connection for the caller alone.
func (w *Warehouse) take() (*conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, &driver.Error{Class: driver.Connection, Message: "The warehouse is closed.", Position: -1}
	}
	if n := len(w.idle); n > 0 {
		c := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return c, nil
	}
	c := &conn{}
	if bindings.Connect(w.db, &c.c) == bindings.StateError {
		return nil, &driver.Error{Class: driver.Connection, Message: "DuckDB gives no further connection.", Position: -1}
	}
	return c, nil
}

// put gives a connection back. One whose session was altered (SET, temporary tables) is closed, so that nobody inherits
// another's session.
func (w *Warehouse) put(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || c.altered || len(w.idle) >= maxIdle {
		c.close()
		return
	}
	w.idle = append(w.idle, c)
}

// Exec implements driver.Querier.
func (w *Warehouse) Exec(ctx context.Context, sql string) (int64, error) {
	c, err := w.take()
	if err != nil {
		return 0, err
	}
	defer w.put(c)
	return c.exec(ctx, sql)
}

// Query implements driver.Querier.
func (w *Warehouse) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	c, err := w.take()
	if err != nil {
		return nil, err
	}
	r, err := c.query(ctx, sql)
	if err != nil {
		w.put(c)
		return nil, err
	}
	r.onClose = func() { w.put(c) }
	return r, nil
}

// Begin implements driver.Warehouse.
func (w *Warehouse) Begin(ctx context.Context) (driver.Tx, error) {
	c, err := w.take()
	if err != nil {
		return nil, err
	}
	if _, err := c.exec(ctx, "BEGIN TRANSACTION"); err != nil {
		w.put(c)
		return nil, err
	}
	return &tx{w: w, c: c}, nil
}

// session is a connection outside of a transaction. It implements driver.Session.
type session struct {
	w *Warehouse
	c *conn
}

// Session implements driver.Warehouse.
func (w *Warehouse) Session(context.Context) (driver.Session, error) {
	c, err := w.take()
	if err != nil {
		return nil, err
	}
	c.altered = true // it may end inside of a transaction of the user's own
	return &session{w, c}, nil
}

// Exec implements driver.Querier.
func (s *session) Exec(ctx context.Context, sql string) (int64, error) { return s.c.exec(ctx, sql) }

// Query implements driver.Querier.
func (s *session) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	r, err := s.c.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the session.
func (s *session) Close() { s.w.put(s.c) }

// with runs f on the connection that q stands for.
func (w *Warehouse) with(q driver.Querier, f func(c *conn) error) error {
	if t, ok := q.(*tx); ok {
		if err := t.usable(); err != nil {
			return err
		}
		return f(t.c)
	}
	c, err := w.take()
	if err != nil {
		return err
	}
	defer w.put(c)
	return f(c)
}

// Describe implements driver.Warehouse.
func (w *Warehouse) Describe(ctx context.Context, q driver.Querier, sql string) (columns []driver.Column, err error) {
	err = w.with(q, func(c *conn) error {
		columns, err = c.describe(ctx, sql)
		return err
	})
	return columns, err
}

// Table implements driver.Warehouse.
func (w *Warehouse) Table(ctx context.Context, q driver.Querier, name driver.Name) (columns []driver.Column, err error) {
	err = w.with(q, func(c *conn) error {
		columns, err = c.table(ctx, name)
		return err
	})
	return columns, err
}
