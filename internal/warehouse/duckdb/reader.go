//go:build duckdb_arrow

package duckdb

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/warehouse/driver"
)

// reader streams a result, one batch for each of DuckDB's chunks (2,048 rows). It implements array.RecordReader.
type reader struct {
	ctx       context.Context // of the query; its end stops the stream
	c         *conn
	statement bindings.PreparedStatement
	result    bindings.Result
	options   bindings.ArrowOptions
	schema    *arrow.Schema
	before    int    // bytes that stand before the user's SQL in the statement
	onClose   func() // gives the connection back

	refs    atomic.Int64
	mu      sync.Mutex // guards what follows
	closed  bool
	current arrow.RecordBatch
	err     error
}

var _ array.RecordReader = (*reader)(nil)

// query starts a statement whose rows are read in portable types.
func (c *conn) query(ctx context.Context, sql string) (*reader, error) {
	s, err := c.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	kind := bindings.PreparedStatementType(s)
	c.altered = c.altered || altersSession(kind)
	names := make([]string, bindings.PreparedStatementColumnCount(s))
	for i := range names {
		names[i] = bindings.PreparedStatementColumnName(s, bindings.IdxT(i))
	}
	wrapped, before := asPortable(s, sql)
	if before > 0 {
		bindings.DestroyPrepare(&s)
		if kind != bindings.StatementTypeSelect {
			return nil, notPortable(kind)
		}
		if s, err = c.prepare(ctx, wrapped); err != nil {
			return nil, shift(err, before)
		}
	}
	if kind == bindings.StatementTypeSelect && c.mayWait(ctx, wrapped) {
		bindings.DestroyPrepare(&s)
		if s, err = c.stored(ctx, wrapped); err != nil {
			return nil, shift(err, before)
		}
	}
	r := &reader{ctx: ctx, c: c, statement: s, before: before}
	r.refs.Store(1)
	if err := r.start(names); err != nil {
		r.destroy()
		return nil, shift(err, before)
	}
	c.reading = r
	return r, nil
}

func notPortable(bindings.StatementType) error {
	return &driver.Error{
		Class:    driver.Syntax,
		Message:  "This statement gives columns of types that only DuckDB has, and it is not a SELECT that could turn them.",
		Hint:     "Cast the columns in the statement, for example RETURNING id::bigint.",
		Position: 0,
	}
}

func (r *reader) start(names []string) error {
	err := r.c.interruptible(r.ctx, func() error { return executeStreaming(r.statement, &r.result) })
	if err != nil {
		return err
	}
	r.options = bindings.ResultGetArrowOptions(&r.result)
	types := make([]bindings.LogicalType, len(names))
	for i := range types {
		types[i] = bindings.ColumnLogicalType(&r.result, bindings.IdxT(i))
	}
	defer func() {
		for i := range types {
			bindings.DestroyLogicalType(&types[i])
		}
	}()
	schema, data := bindings.NewArrowSchema(r.options, types, names)
	if err := errorFrom(&data); err != nil {
		return err
	}
	r.schema = schema
	return nil
}

// destroy frees what DuckDB holds for the stream, which ends it.
func (r *reader) destroy() {
	if r.options.Ptr != nil {
		bindings.DestroyArrowOptions(&r.options)
	}
	bindings.DestroyResult(&r.result)
	bindings.DestroyPrepare(&r.statement)
}

// close ends the stream, read to its end or not.
func (r *reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
	r.destroy()
	r.c.reading = nil
	if r.onClose != nil {
		r.onClose()
	}
}

// Retain implements array.RecordReader.
func (r *reader) Retain() { r.refs.Add(1) }

// Release implements array.RecordReader.
func (r *reader) Release() {
	if r.refs.Add(-1) == 0 {
		r.close()
	}
}

// Schema implements array.RecordReader.
func (r *reader) Schema() *arrow.Schema { return r.schema }

// Next implements array.RecordReader.
func (r *reader) Next() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
	if r.closed && r.err == nil {
		r.err = errors.New("the reader has been released")
	}
	if r.err != nil {
		return false
	}
	r.err = shift(r.c.interruptible(r.ctx, r.fetch), r.before)
	return r.err == nil && r.current != nil
}

func (r *reader) fetch() error {
	chunk := bindings.FetchChunk(r.result)
	if chunk.Ptr == nil {
		return r.failure()
	}
	defer bindings.DestroyDataChunk(&chunk)
	batch, data := bindings.DataChunkToArrowArray(r.options, r.schema, chunk)
	if err := errorFrom(&data); err != nil {
		return err
	}
	r.current = batch
	return nil
}

// failure is why there is no further chunk, nil when there are no more rows. When one of DuckDB's threads meets an error it
// interrupts the others, and once in a while only the interrupt is told.
func (r *reader) failure() error {
	err := resultError(&r.result)
	e := (*driver.Error)(nil)
	if errors.As(err, &e) && e.Class == driver.Cancelled && r.ctx.Err() == nil {
		return &driver.Error{Class: driver.Unclassified, Code: e.Code, Position: -1, Cause: err,
			Message: "The statement broke off in the middle of its rows, and DuckDB does not tell why.",
			Hint:    "Most often a value cannot be converted or computed. Run it again: it nearly always tells then."}
	}
	return err
}

// Record implements array.RecordReader.
func (r *reader) Record() arrow.RecordBatch { return r.RecordBatch() }

// RecordBatch implements array.RecordReader.
func (r *reader) RecordBatch() arrow.RecordBatch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// Err implements array.RecordReader.
func (r *reader) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
