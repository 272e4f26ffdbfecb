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
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// chunkRows is the most rows that DuckDB takes in one chunk (STANDARD_VECTOR_SIZE).
const chunkRows = 2048

// append adds the reader's rows to a table. DuckDB gathers them and runs an INSERT over every 200,000, which uses all
// threads, where its plain appender uses one. The rows come as chunks rather than as a view over the Arrow stream, because
// DuckDB's C interface registers such a view in the database itself, where a crash would leave it behind.
func (c *conn) append(ctx context.Context, table driver.Name, rows array.RecordReader) (n int64, err error) {
	if c.reading != nil {
		return 0, errStreamOpen
	}
	a, err := c.appender(ctx, table, rows.Schema())
	if err != nil {
		return 0, err
	}
	defer bindings.AppenderDestroy(&a)
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

// appender makes the appender for rows of that schema.
func (c *conn) appender(ctx context.Context, table driver.Name, schema *arrow.Schema) (a bindings.Appender, err error) {
	if err := c.checkAppend(ctx, table, schema); err != nil {
		return a, err
	}
	names := make([]string, schema.NumFields())
	quoted := make([]string, schema.NumFields())
	types := make([]bindings.LogicalType, schema.NumFields())
	for i, f := range schema.Fields() {
		names[i], quoted[i] = f.Name, sqltext.QuoteIdent(f.Name)
		types[i] = bindings.CreateLogicalType(arrowTypes[f.Type.ID()])
		defer bindings.DestroyLogicalType(&types[i])
	}
	columns := strings.Join(quoted, ", ")
	sql := "INSERT INTO " + quote(table) + " (" + columns + ") SELECT " + columns + " FROM damson_appended"
	if bindings.AppenderCreateQuery(c.c, sql, types, "damson_appended", names, &a) == bindings.StateError {
		err := appenderError(a)
		bindings.AppenderDestroy(&a)
		return a, err
	}
	return a, nil
}

// arrowTypes are the DuckDB types of the Arrow columns that can be appended.
var arrowTypes = map[arrow.Type]bindings.Type{
	arrow.STRING:    bindings.TypeVarchar,
	arrow.INT64:     bindings.TypeBigInt,
	arrow.FLOAT64:   bindings.TypeDouble,
	arrow.BOOL:      bindings.TypeBoolean,
	arrow.DATE32:    bindings.TypeDate,
	arrow.TIME64:    bindings.TypeTime,
	arrow.TIMESTAMP: bindings.TypeTimestamp,
}

// checkAppend refuses columns that the table does not have, and types that are not portable.
func (c *conn) checkAppend(ctx context.Context, table driver.Name, schema *arrow.Schema) error {
	columns, err := c.table(ctx, table)
	if err != nil {
		return err
	}
	if columns == nil {
		return &driver.Error{Class: driver.UnknownName, Message: fmt.Sprintf("There is no table %s.", table), Position: -1}
	}
	names := make([]string, len(columns))
	known := map[string]bool{}
	for i := range columns {
		names[i] = columns[i].Name
		known[strings.ToLower(names[i])] = true
	}
	for _, f := range schema.Fields() {
		if !known[strings.ToLower(f.Name)] {
			return &driver.Error{
				Class:    driver.UnknownName,
				Message:  fmt.Sprintf("Table %s has no column %q; its columns are %s.", table, f.Name, strings.Join(names, ", ")),
				Hint:     diag.DidYouMean(f.Name, names),
				Position: -1,
			}
		}
		if !isPortable(f.Type) {
			return &driver.Error{
				Class:    driver.Internal,
				Message:  fmt.Sprintf("Column %q comes as %s, which is none of the portable types.", f.Name, f.Type),
				Position: -1,
			}
		}
	}
	return nil
}

// isPortable reports whether an Arrow type is that of a portable column.
func isPortable(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.TimestampType:
		return t.Unit == arrow.Microsecond && t.TimeZone == ""
	case *arrow.Time64Type:
		return t.Unit == arrow.Microsecond
	}
	_, ok := arrowTypes[t.ID()]
	return ok
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
