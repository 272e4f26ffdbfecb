package mltrain

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"damson/internal/diag"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// ScoreRows scores a stream of rows in Go, batch by batch, and gives a stream with the columns that ScoreSQL gives, and
// the same probabilities. It takes rows over: releasing the result releases them. at is the place of the source, for
// findings; threads 0 = all processors.
func ScoreRows(ctx context.Context, v model.Version, rows array.RecordReader, score pipeline.Score, at diag.Pos, threads int) (array.RecordReader, error) {
	s, err := newScorer(v)
	if err != nil {
		return nil, err
	}
	schema := rows.Schema()
	columns := make([]driver.Column, schema.NumFields())
	for i, f := range schema.Fields() {
		columns[i] = driver.Column{Name: f.Name, Type: driver.Text, Native: f.Type.String()}
		if isNumber(f.Type) {
			columns[i].Type = driver.Double
		}
	}
	if err := s.bind(columns, score, at); err != nil {
		return nil, err
	}
	var fields []arrow.Field
	for _, c := range s.outputs {
		fields = append(fields, schema.Field(c))
	}
	fields = append(fields,
		arrow.Field{Name: "probability", Type: arrow.PrimitiveTypes.Float64},
		arrow.Field{Name: "prediction", Type: arrow.PrimitiveTypes.Int64},
		arrow.Field{Name: "model", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "model_version", Type: arrow.PrimitiveTypes.Int64},
	)
	r := &scoredRows{ctx: ctx, scorer: s, rows: rows, schema: arrow.NewSchema(fields, nil), threads: threads}
	r.references.Store(1)
	return r, nil
}

// scoredRows is the stream that ScoreRows gives. The context is its constructor's: Next takes none.
type scoredRows struct {
	ctx        context.Context
	scorer     *scorer
	rows       array.RecordReader
	schema     *arrow.Schema
	threads    int
	references atomic.Int64
	current    arrow.RecordBatch
	err        error
}

func (r *scoredRows) Retain() { r.references.Add(1) }

func (r *scoredRows) Release() {
	if r.references.Add(-1) == 0 {
		r.drop()
		r.rows.Release()
	}
}

func (r *scoredRows) drop() {
	if r.current != nil {
		r.current.Release()
		r.current = nil
	}
}

func (r *scoredRows) Schema() *arrow.Schema          { return r.schema }
func (r *scoredRows) RecordBatch() arrow.RecordBatch { return r.current }
func (r *scoredRows) Record() arrow.RecordBatch      { return r.current }

func (r *scoredRows) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.rows.Err()
}

func (r *scoredRows) Next() bool {
	r.drop()
	if r.err != nil || !r.rows.Next() {
		return false
	}
	r.current, r.err = r.scorer.score(r.ctx, r.rows.RecordBatch(), r.schema, r.threads)
	return r.err == nil
}

// score makes the result's batch from one of the source.
func (s *scorer) score(ctx context.Context, batch arrow.RecordBatch, schema *arrow.Schema, threads int) (arrow.RecordBatch, error) {
	n := int(batch.NumRows())
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	values := make([][]float64, len(s.features))
	for f, c := range s.features {
		values[f] = appendNumbers(make([]float64, 0, n), batch.Column(c), rows)
	}
	predicted, err := s.trees.PredictRows(ctx, values, nil, threads)
	if err != nil {
		return nil, fmt.Errorf("score with version %d of model %s: %w", s.version.Number, s.version.Model, err)
	}
	probability, prediction := array.NewFloat64Builder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	name, version := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	for _, p := range predicted[0] {
		probability.Append(p)
		if p >= s.threshold {
			prediction.Append(1)
		} else {
			prediction.Append(0)
		}
		name.Append(s.version.Model)
		version.Append(int64(s.version.Number))
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	for _, c := range s.outputs {
		columns = append(columns, batch.Column(c))
	}
	for _, b := range []array.Builder{probability, prediction, name, version} {
		own := b.NewArray()
		defer own.Release() // the batch holds it
		columns = append(columns, own)
	}
	return array.NewRecordBatch(schema, columns, int64(n)), nil
}
