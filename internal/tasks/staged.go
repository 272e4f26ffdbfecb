package tasks

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// appendInto writes rows that come from outside of the warehouse: it appends them to a table of their own, in the work's
// transaction, and moves them from there into the target.
func appendInto(ctx context.Context, tx *warehouse.Tx, w engine.Work, rows array.RecordReader, columns []driver.Column, target pipeline.Target) (all warehouse.Written, each []int64, err error) {
	staging := stagingTable(w.Claims[0])
	at := w.Task.At
	if err := tx.CreateTable(ctx, staging, columns, pipeline.Storage{}); err != nil {
		return all, nil, err
	}
	if _, err := tx.Append(ctx, staging, rows); err != nil {
		return all, nil, err
	}
	all, each, err = into(ctx, tx, w, sqltext.Asked(at, "select * from "+staging), target)
	if err != nil {
		return all, nil, err
	}
	_, err = tx.Exec(ctx, sqltext.Asked(at, "drop table "+staging))
	return all, each, err
}

// stagingTable is a table's name that no other attempt uses.
func stagingTable(c run.Claim) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s\x00%s\x00%d", c.RunID, c.Task, c.Attempt)))
	return fmt.Sprintf("damson.staged_%x", sum[:8])
}

// columnsOf gives a stream's columns in portable types; what has none is text.
func columnsOf(schema *arrow.Schema) []driver.Column {
	types := map[arrow.Type]driver.Type{
		arrow.INT64: driver.Bigint, arrow.FLOAT64: driver.Double, arrow.BOOL: driver.Boolean, arrow.DATE32: driver.Date,
		arrow.TIME64: driver.Time, arrow.TIMESTAMP: driver.Timestamp,
	}
	columns := make([]driver.Column, 0, schema.NumFields())
	for _, f := range schema.Fields() {
		c := driver.Column{Name: f.Name, Type: driver.Text}
		if t, ok := types[f.Type.ID()]; ok {
			c.Type = t
		}
		columns = append(columns, c)
	}
	return columns
}
