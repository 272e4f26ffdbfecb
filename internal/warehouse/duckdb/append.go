//go:build duckdb_arrow

package duckdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/diag"
	"damson/internal/warehouse/driver"
)

// chunkRows is the most rows that DuckDB takes in one chunk (STANDARD_VECTOR_SIZE).
const chunkRows = 2048

// append adds the reader's rows to a table with DuckDB's appender, which passes them on every 200,000 rows. The rows come
// as chunks rather than as a view over the Arrow stream, because DuckDB's C interface registers such a view in the database
// itself, where a crash would leave it behind.
func (c *conn) append(ctx context.Context, table driver.Name, rows array.RecordReader) (n int64, err error) {
	if c.reading != nil {
		return 0, errStreamOpen
	}
	var a bindings.Appender
	defer bindings.AppenderDestroy(&a)
	if bindings.AppenderCreateExt(c.c, "", table.Schema, table.Table, &a) == bindings.StateError {
		return 0, appenderError(a)
	}
	if err := c.appendColumns(ctx, a, table, rows.Schema()); err != nil {
		return 0, err
	}
	schema, data := bindings.SchemaFromArrow(c.c, rows.Schema())
	if err := errorFrom(&data); err != nil {
		return 0, err
	}
	defer bindings.DestroyArrowConvertedSchema(&schema)
	for rows.Next() {
		batch := rows.RecordBatch()
		for from := int64(0); from < batch.NumRows(); from += chunkRows {
			piece := batch.NewSlice(from, min(from+chunkRows, batch.NumRows()))
			err := c.interruptible(ctx, func() error { return c.appendChunk(a, schema, piece) })
			piece.Release()
			if err != nil {
				return 0, err
			}
		}
		n += batch.NumRows()
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	err = c.interruptible(ctx, func() error {
		if bindings.AppenderClose(a) == bindings.StateError {
			return appenderError(a)
		}
		return nil
	})
	return n, err
}

// appendColumns tells the appender which columns the rows have.
func (c *conn) appendColumns(ctx context.Context, a bindings.Appender, table driver.Name, schema *arrow.Schema) error {
	for _, field := range schema.Fields() {
		if bindings.AppenderAddColumn(a, field.Name) == bindings.StateSuccess {
			continue
		}
		columns, err := c.table(ctx, table)
		if err != nil {
			return err
		}
		names := make([]string, len(columns))
		for i := range columns {
			names[i] = columns[i].Name
		}
		return &driver.Error{
			Class:    driver.UnknownName,
			Message:  fmt.Sprintf("Table %s has no column %q; its columns are %s.", table, field.Name, strings.Join(names, ", ")),
			Hint:     diag.DidYouMean(field.Name, names),
			Position: -1,
		}
	}
	return nil
}

func (c *conn) appendChunk(a bindings.Appender, schema bindings.ArrowConvertedSchema, rows arrow.RecordBatch) error {
	chunk, data := bindings.DataChunkFromArrow(c.c, rows, schema)
	if err := errorFrom(&data); err != nil {
		return err
	}
	defer bindings.DestroyDataChunk(&chunk)
	if bindings.AppendDataChunk(a, chunk) == bindings.StateError {
		return appenderError(a)
	}
	return nil
}

func appenderError(a bindings.Appender) error {
	data := bindings.AppenderErrorData(a)
	if err := errorFrom(&data); err != nil {
		return err
	}
	return newError(bindings.AppenderError(a))
}
