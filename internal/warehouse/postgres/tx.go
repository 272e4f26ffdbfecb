package postgres

import (
	"context"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/warehouse/driver"
)

// tx is a transaction on a connection of its own. It implements driver.Tx.
type tx struct {
	w *Warehouse
	c *conn // nil once the transaction is over

	plain driver.Name // a table that its last statement has found to have no partitions
}

var errTxOver = &driver.Error{Class: driver.Internal, Message: "The transaction is over.", Position: -1}

func (t *tx) usable() error {
	if t.c == nil {
		return errTxOver
	}
	return nil
}

// Exec implements driver.Querier.
func (t *tx) Exec(ctx context.Context, sql string) (int64, error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	t.plain = driver.Name{}
	return t.c.exec(ctx, sql)
}

// Query implements driver.Querier.
func (t *tx) Query(ctx context.Context, sql string) (array.RecordReader, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	t.plain = driver.Name{}
	r, _, err := t.c.query(ctx, sql)
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

// endPatience is how long COMMIT and ROLLBACK are waited for once their context has ended.
const endPatience = 30 * time.Second

// end runs COMMIT or ROLLBACK, which no context stops: half of either is worse than waiting for it, within bounds.
func (t *tx) end(ctx context.Context, sql string) error {
	c := t.c
	if c == nil {
		return errTxOver
	}
	if c.reading != nil {
		c.reading.close()
	}
	t.c = nil
	defer t.w.put(c)
	bounded := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(bounded)
		_ = c.pg.Conn().SetDeadline(time.Now().Add(endPatience))
	})
	// Not by Exec, whose error after a lost connection says that nothing was sent.
	tag, err := c.pg.ExecParams(context.WithoutCancel(ctx), sql, nil, nil, nil, nil).Close()
	if !stop() {
		<-bounded
		_ = c.pg.Conn().SetDeadline(time.Time{})
	}
	if err != nil {
		return c.failure(context.WithoutCancel(ctx), "", err, time.Now(), nil)
	}
	if sql == commit && tag.String() == "ROLLBACK" {
		return &driver.Error{Class: driver.Internal, Code: "25P02", Position: -1,
			Message: "A statement of the transaction had failed, so nothing was committed."}
	}
	return nil
}

const commit = "COMMIT"

// Commit implements driver.Tx.
func (t *tx) Commit(ctx context.Context) error { return doubted(t.end(ctx, commit)) }

// Rollback implements driver.Tx. A lost connection has rolled back already.
func (t *tx) Rollback(ctx context.Context) error {
	if t.c == nil {
		return nil
	}
	if t.c.pg.IsClosed() {
		t.w.put(t.c)
		t.c = nil
		return nil
	}
	return t.end(ctx, "ROLLBACK")
}
