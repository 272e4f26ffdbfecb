package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres/wire"
)

// nativeKey is what a type's name depends on.
type nativeKey struct {
	oid      uint32
	modifier int32
}

// nativeNames are the names of common types without a modifier.
var nativeNames = map[uint32]string{
	pgtype.BoolOID: "boolean", pgtype.Int2OID: "smallint", pgtype.Int4OID: "integer", pgtype.Int8OID: "bigint", pgtype.TextOID: "text",
	pgtype.Float4OID: "real", pgtype.Float8OID: "double precision", pgtype.NumericOID: "numeric", pgtype.DateOID: "date",
	pgtype.TimeOID: "time without time zone", pgtype.TimestampOID: "timestamp without time zone",
	pgtype.TimestamptzOID: "timestamp with time zone", pgtype.VarcharOID: "character varying",
}

// columns gives the columns of a result; the names of types that this process has not met are asked for.
func (c *conn) columns(ctx context.Context, fields []pgconn.FieldDescription) ([]driver.Column, error) {
	columns := make([]driver.Column, len(fields))
	var unknown []string
	for i, f := range fields {
		columns[i] = driver.Column{Name: f.Name, Type: wire.Portable(f.DataTypeOID)}
		if _, ok := c.w.native(f); !ok {
			unknown = append(unknown, fmt.Sprintf("(%d, %d)", f.DataTypeOID, f.TypeModifier))
		}
	}
	if len(unknown) > 0 {
		names, err := c.catalog(ctx, "SELECT t, m, pg_catalog.format_type(CAST(t AS oid), m) FROM (VALUES "+strings.Join(unknown, ", ")+") AS v(t, m)")
		if err != nil {
			return nil, err
		}
		for _, row := range names {
			var key nativeKey
			if _, err := fmt.Sscan(row[0]+" "+row[1], &key.oid, &key.modifier); err != nil {
				return nil, err
			}
			c.w.natives.Store(key, row[2])
		}
	}
	for i, f := range fields {
		columns[i].Native, _ = c.w.native(f)
	}
	return columns, nil
}

// native gives the database's name of a column's type, if it is known.
func (w *Warehouse) native(f pgconn.FieldDescription) (string, bool) {
	if name, ok := nativeNames[f.DataTypeOID]; ok && f.TypeModifier == -1 {
		return name, true
	}
	name, ok := w.natives.Load(nativeKey{f.DataTypeOID, f.TypeModifier})
	if !ok {
		return "", false
	}
	return name.(string), true
}
