package postgres_test

import (
	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/warehouse/rows"
)

var oneBigint = arrow.NewSchema([]arrow.Field{rows.Field("x", rows.BigintType)}, nil)

// endlessRows is a reader that gives rows of one bigint for ever.
type endlessRows struct{}

var someRows = func() arrow.RecordBatch {
	values := make([][]any, 1000)
	for i := range values {
		values[i] = []any{int64(i)}
	}
	r, err := rows.New(oneBigint, values)
	if err != nil {
		panic(err)
	}
	r.Next()
	return r.RecordBatch()
}()

func (endlessRows) Retain()                        {}
func (endlessRows) Release()                       {}
func (endlessRows) Schema() *arrow.Schema          { return oneBigint }
func (endlessRows) Next() bool                     { return true }
func (endlessRows) RecordBatch() arrow.RecordBatch { return someRows }
func (endlessRows) Record() arrow.RecordBatch      { return someRows }
func (endlessRows) Err() error                     { return nil }
