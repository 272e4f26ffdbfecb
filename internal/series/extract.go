package series

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/parallel"
	"damson/internal/warehouse/rows"
)

// A batch of the result ends with the first series that fills it.
const (
	batchSeries = 1024
	batchValues = 1 << 18 // of all value columns together
)

// Extract computes the plan's features of a stream that its Select gives. It takes the rows over: releasing the result
// releases them. threads 0 = all processors. A row without a value to sort by ends the stream with a finding.
func (p *Plan) Extract(ctx context.Context, source array.RecordReader, threads int) (array.RecordReader, error) {
	threads = parallel.Threads(threads)
	r := &extraction{ctx: ctx, plan: p, rows: source, values: make([][]float64, len(p.values))}
	r.references.Store(1)
	var fields []arrow.Field
	find := func(name string) (int, error) { return rows.Column(source.Schema(), name) }
	for _, c := range p.carried {
		i, err := find(c.Name)
		if err != nil {
			return nil, err
		}
		r.carried = append(r.carried, i)
		fields = append(fields, source.Schema().Field(i))
	}
	for _, c := range p.sort {
		i, err := find(c.Name)
		if err != nil {
			return nil, err
		}
		r.sort = append(r.sort, i)
	}
	for _, c := range p.values {
		i, err := find(c.Name)
		if err != nil {
			return nil, err
		}
		r.measured = append(r.measured, i)
	}
	for _, c := range p.Columns()[len(p.carried):] {
		fields = append(fields, rows.Field(c.Name, rows.DoubleType))
	}
	r.schema = arrow.NewSchema(fields, nil)
	r.heads = array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields[:len(p.carried)], nil))
	cancelled := func() bool { return ctx.Err() != nil }
	for range threads {
		r.extractors = append(r.extractors, feature.NewExtractor(p.features, cancelled))
	}
	return r, nil
}

// extraction is the stream that Extract gives. The context is its constructor's: Next takes none.
type extraction struct {
	ctx                     context.Context
	plan                    *Plan
	rows                    array.RecordReader
	schema                  *arrow.Schema
	carried, sort, measured []int // where the columns stand in the source
	extractors              []*feature.Extractor
	references              atomic.Int64
	current                 arrow.RecordBatch
	err                     error

	batch arrow.RecordBatch // of the source, of which row is the next to read; nil before the first
	row   int
	id    []any // of the series that is being read; nil = none is
	ended bool

	heads  *array.RecordBuilder // carried columns of the series read so far
	values [][]float64          // of each value column, series after series
	ends   []int                // where in values each series ends
}

func (r *extraction) Retain() { r.references.Add(1) }

func (r *extraction) Release() {
	if r.references.Add(-1) == 0 {
		r.drop()
		r.heads.Release()
		r.rows.Release()
	}
}

func (r *extraction) drop() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

func (r *extraction) Schema() *arrow.Schema          { return r.schema }
func (r *extraction) RecordBatch() arrow.RecordBatch { return r.current }
func (r *extraction) Record() arrow.RecordBatch      { return r.current }

func (r *extraction) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.rows.Err()
}

// Next reads whole series until there are enough for a batch, and computes them.
func (r *extraction) Next() bool {
	r.drop()
	for r.err == nil && !r.ended && len(r.ends) < batchSeries && r.held() < batchValues {
		r.read()
	}
	if r.err != nil || r.rows.Err() != nil || len(r.ends) == 0 {
		return false
	}
	r.current = r.compute()
	r.err = r.ctx.Err()
	return r.err == nil
}

// held is the number of values of series that have ended.
func (r *extraction) held() int {
	if len(r.ends) == 0 {
		return 0
	}
	return r.ends[len(r.ends)-1] * len(r.values)
}

// read reads to the end of a series, or of the source's batch.
func (r *extraction) read() {
	if r.batch == nil || r.row == int(r.batch.NumRows()) {
		if r.row = 0; !r.rows.Next() {
			r.batch, r.ended = nil, true
			if r.id != nil && r.rows.Err() == nil {
				r.ends = append(r.ends, len(r.values[0]))
			}
			return
		}
		if r.batch = r.rows.RecordBatch(); r.batch.NumRows() == 0 {
			return
		}
	}
	from := r.row
	if r.id == nil {
		r.begin()
	} else if !r.continues() {
		r.ends = append(r.ends, len(r.values[0]))
		r.id = nil
		return
	}
	for r.row++; r.row < int(r.batch.NumRows()) && r.sameAsBefore(); r.row++ {
	}
	r.take(from, r.row)
}

// begin makes the row at which the reading stands the first of a series.
func (r *extraction) begin() {
	ids := len(r.plan.task.ID)
	r.id = make([]any, ids)
	for i, c := range r.carried {
		column := r.batch.Column(c)
		if i < ids {
			r.id[i] = rows.Value(column, r.row)
		}
		copyValue(r.heads.Field(i), column, r.row)
	}
}

// continues reports whether the row belongs to the series that is being read.
func (r *extraction) continues() bool {
	for i, v := range r.id {
		now := rows.Value(r.batch.Column(r.carried[i]), r.row)
		if a, isFloat := v.(float64); isFloat && math.IsNaN(a) {
			if b, alsoFloat := now.(float64); alsoFloat && math.IsNaN(b) {
				continue
			}
		}
		if now != v {
			return false
		}
	}
	return true
}

// sameAsBefore reports whether the row belongs to the same series as the one before it in the batch.
func (r *extraction) sameAsBefore() bool {
	for i := range r.id {
		if !sameValue(r.batch.Column(r.carried[i]), r.row-1, r.row) {
			return false
		}
	}
	return true
}

// take adds rows of the batch to the series that is being read.
func (r *extraction) take(from, to int) {
	for _, c := range r.sort {
		column := r.batch.Column(c)
		for i := from; column.NullN() > 0 && i < to; i++ {
			if column.IsNull(i) {
				r.err = r.noPlace(r.batch.ColumnName(c))
				return
			}
		}
	}
	for v, c := range r.measured {
		r.values[v] = appendValues(r.values[v], r.batch.Column(c), from, to)
	}
}

func (r *extraction) noPlace(column string) diag.Finding {
	var of []string
	for i, v := range r.id {
		of = append(of, fmt.Sprintf("%s = %v", r.plan.task.ID[i], v))
	}
	return diag.Finding{At: r.plan.at, Severity: diag.Error, Summary: "A row has no place in its series",
		Detail: fmt.Sprintf("%s, by which the rows are ordered, is NULL in a row of the series %s.", column, strings.Join(of, ", ")),
		Fix:    fmt.Sprintf("Leave such rows out in the source's SELECT: where %s is not null.", column)}
}

// compute makes a batch of the series that have ended. Nothing has been read of the next one.
func (r *extraction) compute() arrow.RecordBatch {
	n, width := len(r.ends), len(r.plan.features)*len(r.values)
	results := make([]float64, n*width)
	var next atomic.Int64
	var all sync.WaitGroup
	for _, e := range r.extractors[:min(n, len(r.extractors))] {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && r.ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				from, out := 0, results[i*width:i*width:(i+1)*width]
				if i > 0 {
					from = r.ends[i-1]
				}
				for _, values := range r.values {
					out = e.Append(out, values[from:r.ends[i]])
				}
			}
		})
	}
	all.Wait()
	heads := r.heads.NewRecordBatch()
	defer heads.Release()
	columns := heads.Columns()
	for c := range width {
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		b.Reserve(n)
		for i := range n {
			if v := results[i*width+c]; math.IsNaN(v) {
				b.AppendNull()
			} else {
				b.Append(v)
			}
		}
		column := b.NewArray()
		defer column.Release() // the batch holds it
		columns = append(columns, column)
	}
	for v := range r.values {
		r.values[v] = r.values[v][:0]
	}
	r.ends = r.ends[:0]
	return array.NewRecordBatch(r.schema, columns, int64(n))
}
