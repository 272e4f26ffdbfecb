package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres/wire"
	"damson/internal/warehouse/rows"
)

// A batch ends at so many rows, or once it holds so many bytes.
const (
	batchRows  = 8192
	batchBytes = 4 << 20
)

// reader streams a result. It implements array.RecordReader.
type reader struct {
	ctx    context.Context // of the query; its end stops the stream
	stop   context.CancelFunc
	c      *conn
	sql    string
	began  time.Time
	watch  *lockWatch
	rr     *pgconn.ResultReader
	writes bool // the statement may change rows
	schema *arrow.Schema

	decoders []wire.Decoder

	refs    atomic.Int64
	mu      sync.Mutex // guards what follows
	ended   bool       // the connection has nothing more to do with the stream
	closed  bool
	after   []func()
	current arrow.RecordBatch
	err     error
}

var _ array.RecordReader = (*reader)(nil)

// query starts a statement whose rows are read in portable types. sent tells, with an error, whether the statement may have
// begun to run.
func (c *conn) query(ctx context.Context, sql string) (r *reader, sent bool, err error) {
	if err := c.run(sql); err != nil {
		return nil, false, err
	}
	s, err := c.prepare(ctx, sql)
	if err != nil {
		return nil, false, err
	}
	r = &reader{ctx: ctx, c: c, sql: sql, writes: mayWrite(sql), began: time.Now()}
	r.refs.Store(1)
	fields, formats := make([]arrow.Field, len(s.Fields)), make([]int16, len(s.Fields))
	r.decoders = make([]wire.Decoder, len(s.Fields))
	for i, f := range s.Fields {
		fields[i] = rows.Field(f.Name, wire.ArrowTypes[wire.Portable(f.DataTypeOID)])
		r.decoders[i] = wire.NewDecoder(f)
		if wire.BinaryForm(f.DataTypeOID) {
			formats[i] = 1
		}
	}
	r.schema = arrow.NewSchema(fields, nil)
	var within context.Context
	within, r.stop = context.WithCancel(ctx)
	r.watch = c.watchLocks()
	c.reading = r
	r.rr = c.pg.ExecPrepared(within, "", nil, nil, formats)
	if len(fields) == 0 { // it runs to its end here: there is nothing to be read
		r.end()
		if r.err != nil {
			return nil, true, r.err
		}
	}
	return r, true, nil
}

// onEnd has f called once the connection has nothing more to do with the stream.
func (r *reader) onEnd(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		f()
		return
	}
	r.after = append(r.after, f)
}

// end takes what is left of the result and lets the connection go.
func (r *reader) end() {
	if r.ended {
		return
	}
	r.ended = true
	_, err := r.rr.Close()
	held := r.watch.end(err != nil)
	if err != nil && r.err == nil {
		r.err = r.c.failure(r.ctx, r.sql, err, r.began, held)
		if r.writes && r.c.pg.TxStatus() != 'T' {
			r.err = doubted(r.err)
		}
	}
	r.stop()
	r.c.reading = nil
	for _, f := range r.after {
		f()
	}
}

// drainPatience is how long the rest of a transaction's result is read that nobody wants, before the statement is stopped.
// Stopping it ends the transaction as well.
const drainPatience = 2 * time.Second

// close ends the stream, read to its end or not.
func (r *reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if !r.ended {
		switch {
		case r.writes:
		case r.c.pg.TxStatus() == 'T':
			timer := time.AfterFunc(drainPatience, r.stop)
			defer timer.Stop()
		default:
			r.stop()
		}
		r.end()
	}
	if r.current != nil {
		r.current.Release()
		r.current = nil
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
	if r.err != nil || r.ended {
		return false
	}
	n, more := r.fill()
	if !more {
		r.end()
	}
	if r.err != nil || n == 0 {
		return false
	}
	columns := make([]arrow.Array, len(r.decoders))
	for i, d := range r.decoders {
		columns[i] = d.Take()
		defer columns[i].Release()
	}
	r.current = array.NewRecordBatch(r.schema, columns, int64(n))
	return true
}

// fill reads the rows of a batch and tells whether there may be more. A value that cannot be read ends the stream.
func (r *reader) fill() (n int, more bool) {
	bytes := 0
	for n < batchRows && bytes < batchBytes {
		if !r.rr.NextRow() {
			return n, false
		}
		for i, v := range r.rr.Values() {
			d := &r.decoders[i]
			if v == nil {
				d.Null()
				continue
			}
			bytes += len(v)
			if err := d.Put(v); err != nil {
				r.err = d.Failed(err)
				r.stop()
				return n, false
			}
		}
		n++
	}
	return n, true
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

// cancelled is the error of a statement that was stopped because ctx ended.
func cancelled(ctx context.Context) error {
	message := "The statement was stopped."
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		message = "The statement was stopped because its time was up."
	}
	return &driver.Error{Class: driver.Cancelled, Message: message, Position: -1, Cause: ctx.Err()}
}
