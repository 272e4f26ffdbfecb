//go:build duckdb_arrow

package duckdb

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/warehouse/driver"
)

// tx is a transaction on a connection of its own. It implements driver.Tx.
type tx struct {
	w *Warehouse
	c *conn // nil once the transaction is over
}

var errTxOver = &driver.Error{Class: driver.Internal, Message: "The transaction is over.", Position: -1}

func (t *tx) usable() error {
	if t.c == nil {
		return errTxOver
	}
	return nil
}

// end runs COMMIT or ROLLBACK, which no context stops: half of either is worse than waiting for it.
func (t *tx) end(ctx context.Context, sql string) error {
	c := t.c
	if c == nil {
		return errTxOver
	}
	if c.reading != nil {
		c.reading.close()
	}
	t.c = nil
	_, err := c.exec(context.WithoutCancel(ctx), sql)
	c.altered = c.altered || err != nil
	t.w.put(c)
	return err
}

// Exec implements driver.Querier.
func (t *tx) Exec(ctx context.Context, sql string) (int64, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	return t.c.exec(ctx, sql)
}

// Query implements driver.Querier.
func (t *tx) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	r, err := t.c.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Append implements driver.Tx.
func (t *tx) Append(ctx context.Context, table driver.Name, rows array.RecordReader) (int64, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	return t.c.append(ctx, table, rows)
}

// Commit implements driver.Tx.
func (t *tx) Commit(ctx context.Context) error { return t.end(ctx, "COMMIT") }

// Rollback implements driver.Tx.
func (t *tx) Rollback(ctx context.Context) error {
	if t.c == nil {
		return nil
	}
	return t.end(ctx, "ROLLBACK")
}
