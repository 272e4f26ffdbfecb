package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres/wire"
)

// append adds the reader's rows to a table with COPY: in the binary form when the table's types have one that is written
// here, else as text, which the server reads as it reads literals.
func (c *conn) append(ctx context.Context, table driver.Name, rows array.RecordReader) (int64, error) {
	columns, err := c.target(ctx, table, rows.Schema())
	if err != nil {
		return 0, err
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = sqltext.QuoteIdent(column.Name)
	}
	sql := "COPY " + quote(table) + " (" + strings.Join(names, ", ") + ") FROM STDIN"
	source, err := wire.NewSource(columns, rows)
	if err != nil {
		return 0, err
	}
	if source.Binary() {
		sql += " (FORMAT binary)"
	}
	c.used = true
	began, watch := time.Now(), c.watchLocks()
	tag, err := c.pg.CopyFrom(ctx, source, sql)
	held := watch.end(err != nil)
	if err == nil {
		return tag.RowsAffected(), nil
	}
	if source.Err() != nil && ctx.Err() == nil {
		return 0, source.Err() // what the server makes of rows that break off says less
	}
	return 0, c.failure(ctx, "", err, began, held)
}

// target gives the table's columns that the fields of a schema go into, and refuses those that it does not have.
func (c *conn) target(ctx context.Context, table driver.Name, schema *arrow.Schema) ([]wire.Column, error) {
	have, _, err := c.table(ctx, table)
	if err != nil {
		return nil, err
	}
	if have == nil {
		return nil, &driver.Error{Class: driver.UnknownName, Table: table.String(), Message: fmt.Sprintf("There is no table %s.", table), Position: -1}
	}
	columns := make([]wire.Column, schema.NumFields())
	for i, f := range schema.Fields() {
		column, ok := named(have, f.Name)
		if !ok {
			names := make([]string, len(have))
			for i := range have {
				names[i] = have[i].Name
			}
			return nil, &driver.Error{
				Class:    driver.UnknownName,
				Message:  fmt.Sprintf("Table %s has no column %q; its columns are %s.", table, f.Name, strings.Join(names, ", ")),
				Hint:     diag.DidYouMean(f.Name, names),
				Position: -1,
			}
		}
		if !wire.IsPortable(f.Type) {
			return nil, &driver.Error{
				Class:    driver.Internal,
				Message:  fmt.Sprintf("Column %q comes as %s, which is none of the portable types.", f.Name, f.Type),
				Position: -1,
			}
		}
		columns[i] = column
	}
	return columns, nil
}

// named finds a column by its name, or else by its name in whatever case.
func named(columns []wire.Column, name string) (wire.Column, bool) {
	var like []wire.Column
	for _, c := range columns {
		if c.Name == name {
			return c, true
		}
		if strings.EqualFold(c.Name, name) {
			like = append(like, c)
		}
	}
	if len(like) == 1 {
		return like[0], true
	}
	return wire.Column{}, false
}
