package scoring

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"damson/internal/diag"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// Rows scores a stream of rows in Go, batch by batch, and gives a stream with the columns that SQL gives, and
// the same probabilities. It takes rows over: releasing the result releases them. at is the place of the source, for
// findings; threads 0 = all processors.
func Rows(ctx context.Context, v model.Version, rows array.RecordReader, score pipeline.Score, at diag.Pos, threads int) (array.RecordReader, error) {
	s, err := newScorer(v)
	if err != nil {
		return nil, err
	}
	schema := rows.Schema()
	columns := make([]driver.Column, schema.NumFields())
	for i, f := range schema.Fields() {
		columns[i] = driver.Column{Name: f.Name, Type: driver.Text, Native: f.Type.String()}
		switch {
		case cells.IsNumber(f.Type):
			columns[i].Type = driver.Double
		case !cells.IsText(f.Type):
			columns[i].Type = driver.Timestamp // something else
		}
	}
	if err := s.bind(columns, score, at); err != nil {
		return nil, err
	}
	var fields []arrow.Field
	for _, c := range s.outputs {
		fields = append(fields, schema.Field(c))
	}
	for _, c := range s.added() {
		kind := map[driver.Type]arrow.DataType{driver.Double: arrow.PrimitiveTypes.Float64, driver.Bigint: arrow.PrimitiveTypes.Int64, driver.Text: arrow.BinaryTypes.String}[c.Type]
		fields = append(fields, arrow.Field{Name: c.Name, Type: kind})
	}
	s.learnLevels()
	r := &scoredRows{ctx: ctx, scorer: s, rows: rows, schema: arrow.NewSchema(fields, nil), threads: threads}
	r.references.Store(1)
	return r, nil
}

// scoredRows is the stream that Rows gives. The context is its constructor's: Next takes none.
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
	outputs, err := s.predictor.PredictRows(ctx, s.values(batch, rows), nil, threads)
	if err != nil {
		return nil, fmt.Errorf("score with version %d of model %s: %w", s.version.Number, s.version.Model, err)
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	for _, c := range s.outputs {
		columns = append(columns, batch.Column(c))
	}
	for _, own := range s.predictions(outputs, n) {
		defer own.Release() // the batch holds it
		columns = append(columns, own)
	}
	return array.NewRecordBatch(schema, columns, int64(n)), nil
}

// learnLevels gets ready to find texts among the levels.
func (s *scorer) learnLevels() {
	s.places = make([]map[string]float64, len(s.read))
	for i, f := range s.read {
		if f.Levels == nil {
			continue
		}
		s.places[i] = make(map[string]float64, len(f.Levels))
		for place, level := range f.Levels {
			s.places[i][level] = float64(place)
		}
	}
}

// values gives the features of some rows of a batch as a predictor takes them.
func (s *scorer) values(batch arrow.RecordBatch, rows []int) [][]float64 {
	values := make([][]float64, len(s.features))
	for i, c := range s.features {
		values[i] = make([]float64, 0, len(rows))
		if s.read[i].Levels == nil {
			values[i] = cells.AppendNumbers(values[i], batch.Column(c), rows)
			continue
		}
		column := batch.Column(c)
		values[i] = cells.AppendEach(values[i], column, rows, func(row int) float64 {
			if place, ok := s.places[i][cells.TextOf(column, row)]; ok {
				return place
			}
			return s.read[i].Unseen()
		})
	}
	return values
}

// predictions makes the columns of added.
func (s *scorer) predictions(outputs [][]float64, n int) []arrow.Array {
	chosen, top := make([]int, n), make([]float64, n)
	for i := range n {
		switch s.kind {
		case metric.Binary:
			top[i] = outputs[0][i]
			if top[i] >= s.threshold {
				chosen[i] = 1
			}
		case metric.Multiclass:
			for k, p := range outputs {
				if p[i] > outputs[chosen[i]][i] {
					chosen[i] = k
				}
			}
			top[i] = outputs[chosen[i]][i]
		}
	}
	var columns []arrow.Array
	switch s.kind {
	case metric.Regression:
		columns = append(columns, doubles(outputs[0]))
	case metric.Clustering:
		columns = append(columns, wholes(outputs[0]), doubles(outputs[1]))
	default:
		columns = append(columns, doubles(top), s.classArray(chosen))
	}
	if s.kind == metric.Multiclass {
		for k := range s.classColumns() {
			columns = append(columns, doubles(outputs[k]))
		}
	}
	name, version := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	for range n {
		name.Append(s.version.Model)
		version.Append(int64(s.version.Number))
	}
	return append(columns, name.NewArray(), version.NewArray())
}

func doubles(values []float64) arrow.Array {
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	b.AppendValues(values, nil)
	return b.NewArray()
}

func wholes(values []float64) arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for _, v := range values {
		b.Append(int64(v))
	}
	return b.NewArray()
}

// classArray gives classes as the target has them.
func (s *scorer) classArray(chosen []int) arrow.Array {
	classes := s.version.Classes
	if s.version.TextClasses {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for _, k := range chosen {
			b.Append(classes[k])
		}
		return b.NewArray()
	}
	numbers := []int64{0, 1}
	if len(classes) > 0 {
		numbers = make([]int64, len(classes))
		for k, class := range classes {
			numbers[k], _ = strconv.ParseInt(class, 10, 64) // readVersion has looked
		}
	}
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for _, k := range chosen {
		b.Append(numbers[k])
	}
	return b.NewArray()
}
