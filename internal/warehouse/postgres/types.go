package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// portable gives the portable type that a type is read as. Numbers without bound (numeric) are read as Double, which is
// exact up to 15 digits; sum() of a bigint is one of them.
func portable(oid uint32) driver.Type {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return driver.Bigint
	case pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return driver.Double
	case pgtype.BoolOID:
		return driver.Boolean
	case pgtype.DateOID:
		return driver.Date
	case pgtype.TimeOID:
		return driver.Time
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return driver.Timestamp
	}
	return driver.Text
}

// arrowTypes are the Arrow types of the portable ones.
var arrowTypes = map[driver.Type]arrow.DataType{
	driver.Text: rows.TextType, driver.Bigint: rows.BigintType, driver.Double: rows.DoubleType, driver.Boolean: rows.BooleanType,
	driver.Date: rows.DateType, driver.Time: rows.TimeType, driver.Timestamp: rows.TimestampType,
}

// binaryForm reports whether a type is read in its binary form; the others come as the server writes them.
func binaryForm(oid uint32) bool { return portable(oid) != driver.Text && oid != pgtype.NumericOID }

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
		columns[i] = driver.Column{Name: f.Name, Type: portable(f.DataTypeOID)}
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
