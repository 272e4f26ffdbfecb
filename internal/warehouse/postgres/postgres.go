// Package postgres is the warehouse in a PostgreSQL (13 or later) or in a database of the Greenplum family (6 or later,
// Apache Cloudberry, Greengage): the driver over jackc/pgx. Its central type is Warehouse, one database that many processes
// use at the same time. Rows travel in PostgreSQL's binary format and as Arrow record batches, and are never kept whole.
//
// Invariants:
//  1. A session begins as the last one began: who gets a connection finds no settings, temporary tables, locks or prepared
//     statements of another.
//  2. A statement whose context ends is stopped in the server; its connection is then clean or closed.
//  3. A transaction sees one state of the database from its first statement on (REPEATABLE READ), as DuckDB's do.
//  4. No error shows the password.
//
// It stands on pgconn, pgx's lower half: there is no cache of prepared statements, because the SQL of a task runs once. It
// refuses to guess what became of a COMMIT whose answer was lost: the error says so (driver.Error.InDoubt) and the ledger
// tells.
package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/jackc/pgx/v5/pgxpool"

	"damson/internal/warehouse/driver"
)

// Options tune a warehouse; the zero value works.
type Options struct {
	MaxConns         int           // connections of this process at a time; 0 = 32, or pool_max_conns of the URL
	StatementTimeout time.Duration // the server stops a statement that takes longer; 0 = as the server has it
	LockTimeout      time.Duration // the server gives up a statement that waits longer for a lock; 0 = as the server has it
	ConnectTimeout   time.Duration // of one attempt to connect; 0 = 10 s, or connect_timeout of the URL
}

// Warehouse is one open database. It implements driver.Warehouse.
type Warehouse struct {
	pool   *pgxpool.Pool
	watch  *pgxpool.Pool // one connection that looks at what others wait for, and for advice
	place  place
	server server

	patience time.Duration // of one attempt to connect

	natives sync.Map // nativeKey to a type's name
	looks   sync.Map // driver.Name to the last look at that table

	mu       sync.Mutex
	inUse    int
	closed   bool
	cleaning sync.WaitGroup // sessions of those that are in use; Add under mu, before closed
}

// Capabilities implements driver.Warehouse.
func (w *Warehouse) Capabilities() driver.Capabilities {
	return driver.Capabilities{Kind: w.server.kind, Version: w.server.version}
}

// Close ends the use of the database. A reader or transaction that is still open ends as it would have; its connection is
// closed then.
func (w *Warehouse) Close() error {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if already {
		return nil
	}
	w.cleaning.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch.Close()
	if w.inUse == 0 {
		w.pool.Close()
	} else {
		w.pool.Reset()
	}
	return nil
}

var errClosed = &driver.Error{Class: driver.Connection, Message: "The warehouse is closed.", Position: -1}

// enter counts a user of the pool.
func (w *Warehouse) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	w.inUse++
	return nil
}

// leave counts one out; the last one closes the pool that Close could not.
func (w *Warehouse) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inUse--
	if w.closed && w.inUse == 0 {
		w.pool.Close()
	}
}

// poolPatience is how long a statement waits for one of this process's connections. Who holds one and needs a second, as a
// task that copies rows does, would else wait for ever when all are held by its like.
const poolPatience = time.Minute

// take gives a connection for the caller alone.
func (w *Warehouse) take(ctx context.Context) (*conn, error) {
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	if err := w.enter(); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, poolPatience)
	defer cancel()
	pooled, err := w.pool.Acquire(wait)
	if err != nil {
		w.leave()
		if ctx.Err() != nil {
			return nil, cancelled(ctx)
		}
		if wait.Err() != nil {
			return nil, w.noneFree()
		}
		return nil, w.connectError(err)
	}
	return &conn{w: w, pooled: pooled, pg: pooled.Conn().PgConn()}, nil
}

// put gives a connection back. Its session is cleaned meanwhile: whoever comes next finds another connection, or waits.
func (w *Warehouse) put(c *conn) {
	back := func() {
		c.clean()
		c.pooled.Release()
		w.leave()
	}
	w.mu.Lock()
	later := c.dirty() && !w.closed
	if later {
		w.cleaning.Go(back)
	}
	w.mu.Unlock()
	if !later {
		back()
	}
}

// maxStale bounds how many connections that the server has closed behind this process's back are tried in turn.
const maxStale = 3

// fresh runs f on a connection of the pool, and again on another when the connection turns out to be lost. f keeps the
// connection by returning true, and tells by sent that it may have changed something.
func (w *Warehouse) fresh(ctx context.Context, f func(c *conn) (keep, sent bool, err error)) error {
	for try := 1; ; try++ {
		c, err := w.take(ctx)
		if err != nil {
			return err
		}
		keep, sent, err := f(c)
		if keep {
			return err
		}
		stale := c.pg.IsClosed() && !sent && try < maxStale
		w.put(c)
		e := (*driver.Error)(nil)
		if !stale || !errors.As(err, &e) || e.Class != driver.Connection {
			return err
		}
	}
}

// with runs f, which changes nothing, on a connection: q's, when that is a transaction.
func (w *Warehouse) with(ctx context.Context, q driver.Querier, f func(c *conn) error) error {
	if t, ok := q.(*tx); ok {
		if err := t.usable(); err != nil {
			return err
		}
		return f(t.c)
	}
	return w.fresh(ctx, func(c *conn) (keep, sent bool, err error) { return false, false, f(c) })
}

// Exec implements driver.Querier.
func (w *Warehouse) Exec(ctx context.Context, sql string) (int64, error) {
	c, err := w.take(ctx)
	if err != nil {
		return 0, err
	}
	defer w.put(c)
	n, err := c.exec(ctx, sql)
	return n, doubted(err)
}

// Query implements driver.Querier.
func (w *Warehouse) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	var r *reader
	err := w.fresh(ctx, func(c *conn) (keep, sent bool, err error) {
		if r, sent, err = c.query(ctx, sql); err != nil {
			return false, sent, err
		}
		r.onEnd(func() { w.put(c) })
		return true, sent, nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Begin implements driver.Warehouse.
func (w *Warehouse) Begin(ctx context.Context) (driver.Tx, error) {
	var t *tx
	err := w.fresh(ctx, func(c *conn) (keep, sent bool, err error) {
		t = &tx{w: w, c: c}
		err = c.begin(ctx)
		return err == nil, false, err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// session is a connection outside of a transaction. It implements driver.Session.
type session struct {
	w *Warehouse
	c *conn
}

// Session implements driver.Warehouse.
func (w *Warehouse) Session(ctx context.Context) (driver.Session, error) {
	c, err := w.take(ctx)
	if err != nil {
		return nil, err
	}
	return &session{w, c}, nil
}

// Exec implements driver.Querier.
func (s *session) Exec(ctx context.Context, sql string) (int64, error) {
	n, err := s.c.exec(ctx, sql)
	return n, doubted(err)
}

// Query implements driver.Querier.
func (s *session) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	r, _, err := s.c.query(ctx, sql)
	if err != nil {
		return nil, doubted(err)
	}
	return r, nil
}

// Close ends the session.
func (s *session) Close() { s.w.put(s.c) }

// Describe implements driver.Warehouse.
func (w *Warehouse) Describe(ctx context.Context, q driver.Querier, sql string) (columns []driver.Column, err error) {
	err = w.with(ctx, q, func(c *conn) error {
		columns, err = c.describe(ctx, sql)
		return err
	})
	return columns, err
}

// Table implements driver.Warehouse.
func (w *Warehouse) Table(ctx context.Context, q driver.Querier, name driver.Name) (columns []driver.Column, err error) {
	err = w.with(ctx, q, func(c *conn) error {
		found, l, err := c.table(ctx, name)
		if err != nil {
			return err
		}
		w.noteLook(name, l)
		columns = nil
		for _, f := range found {
			columns = append(columns, f.Column)
		}
		if t, ok := q.(*tx); ok && l.plain {
			t.plain = name
		}
		return nil
	})
	return columns, err
}
