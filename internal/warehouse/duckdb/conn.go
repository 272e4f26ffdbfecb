//go:build duckdb_arrow

package duckdb

import (
	"context"
	"errors"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// conn is one connection. It runs one statement at a time, and a statement that streams its rows runs until its reader is
// closed.
type conn struct {
	c       bindings.Connection
	reading *reader // the open stream, if any
	altered bool    // the session may differ from a fresh one
}

func (c *conn) close() { bindings.Disconnect(&c.c) }

// interval between two interrupts: DuckDB forgets one that comes before the statement has begun.
const interruptAgain = 5 * time.Millisecond

// interruptible makes the call, which runs in the database, and stops it when ctx ends. It gives the call's error, as a
// Cancelled one when ctx had ended.
func (c *conn) interruptible(ctx context.Context, call func() error) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	returned, stopped := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		again := time.NewTicker(interruptAgain)
		defer again.Stop()
		for {
			bindings.Interrupt(c.c)
			select {
			case <-returned:
				return
			case <-again.C:
			}
		}
	})
	err := call()
	close(returned)
	if !stop() {
		<-stopped // or its interrupt would hit the next statement
	}
	if err != nil && ctx.Err() != nil {
		return cancelled(ctx)
	}
	return err
}

// errStreamOpen: DuckDB ends a stream when its connection runs another statement, and says nothing of it.
var errStreamOpen = &driver.Error{
	Class:    driver.Internal,
	Message:  "The rows of the transaction's last query have not been read to their end.",
	Hint:     "Release the reader before the next statement, or query outside of the transaction.",
	Position: -1,
}

// prepare parses and plans one statement.
func (c *conn) prepare(ctx context.Context, sql string) (s bindings.PreparedStatement, err error) {
	if c.reading != nil {
		return s, errStreamOpen
	}
	err = c.interruptible(ctx, func() error {
		if bindings.Prepare(c.c, sql, &s) == bindings.StateError {
			err := newError(bindings.PrepareError(s))
			bindings.DestroyPrepare(&s)
			err.Position = byteOffset(sql, err)
			err.Table = asWritten(sql, err)
			return err
		}
		return nil
	})
	return s, err
}

// altersSession reports whether a statement may leave something behind in its session.
func altersSession(t bindings.StatementType) bool {
	switch t {
	case bindings.StatementTypeSelect, bindings.StatementTypeInsert, bindings.StatementTypeUpdate,
		bindings.StatementTypeDelete, bindings.StatementTypeExplain, bindings.StatementTypeCopy,
		bindings.StatementTypeTransaction:
		return false
	}
	return true
}

// exec runs one statement and gives the number of rows it changed. The rows of a SELECT are thrown away as they come.
func (c *conn) exec(ctx context.Context, sql string) (int64, error) {
	s, err := c.prepare(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer bindings.DestroyPrepare(&s)
	kind := bindings.PreparedStatementType(s)
	if kind == bindings.StatementTypeSelect {
		return -1, c.discard(ctx, sql)
	}
	c.altered = c.altered || altersSession(kind)
	var result bindings.Result
	defer bindings.DestroyResult(&result)
	if err := c.interruptible(ctx, func() error { return execute(s, &result) }); err != nil {
		return 0, err
	}
	return int64(bindings.RowsChanged(&result)), nil
}

// discard runs a SELECT and throws its rows away as they come.
func (c *conn) discard(ctx context.Context, sql string) error {
	r, err := c.query(ctx, sql)
	if err != nil {
		return err
	}
	defer r.Release()
	for r.Next() {
	}
	return r.Err()
}

func execute(s bindings.PreparedStatement, result *bindings.Result) error {
	if bindings.ExecutePrepared(s, result) == bindings.StateError {
		return newError(bindings.ResultError(result))
	}
	return nil
}

// executeStreaming starts a statement; its rows come with FetchChunk.
func executeStreaming(s bindings.PreparedStatement, result *bindings.Result) error {
	var pending bindings.PendingResult
	defer bindings.DestroyPending(&pending)
	if bindings.PendingPreparedStreaming(s, &pending) == bindings.StateError {
		return newError(bindings.PendingError(pending))
	}
	if bindings.ExecutePending(pending, result) == bindings.StateError {
		return newError(bindings.ResultError(result))
	}
	return nil
}

// resultError gives the error that ended a stream, nil when it ended because there are no more rows.
func resultError(result *bindings.Result) error {
	if message := bindings.ResultError(result); message != "" {
		return newError(message)
	}
	return nil
}

func (c *conn) describe(ctx context.Context, sql string) ([]driver.Column, error) {
	s, err := c.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer bindings.DestroyPrepare(&s)
	if bindings.PreparedStatementType(s) != bindings.StatementTypeSelect {
		return nil, &driver.Error{
			Class:    driver.Syntax,
			Message:  "This statement is not a SELECT, so it has no columns.",
			Position: 0,
		}
	}
	return columnsOf(s), nil
}

func (c *conn) table(ctx context.Context, name driver.Name) ([]driver.Column, error) {
	s, err := c.prepare(ctx, "SELECT * FROM "+quote(name))
	if missing := (*driver.Error)(nil); errors.As(err, &missing) && missing.Class == driver.UnknownName {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer bindings.DestroyPrepare(&s)
	return columnsOf(s), nil
}

// quote gives a table's name as SQL.
func quote(n driver.Name) string {
	if n.Schema == "" {
		return sqltext.QuoteIdent(n.Table)
	}
	return sqltext.QuoteIdent(n.Schema) + "." + sqltext.QuoteIdent(n.Table)
}
