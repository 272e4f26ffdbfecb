// Package wire has rows in the forms in which PostgreSQL sends and takes them: results in its binary form, of which a Decoder makes a
// column, and COPY's binary and text forms, which a Source makes of batches. It opens no connection. A value that its column cannot
// take is an error: none is rounded, cut or guessed.
package wire

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5/pgtype"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// Column is a column of a table that rows go into.
type Column struct {
	driver.Column
	OID uint32 // of its type, on which its binary form depends; of the type beneath when that is a domain
}

// Portable gives the portable type that a type is read as. Numbers without bound (numeric) are read as Double, which is
// exact up to 15 digits; sum() of a bigint is one of them.
func Portable(oid uint32) driver.Type {
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

// ArrowTypes are the Arrow types of the portable ones.
var ArrowTypes = map[driver.Type]arrow.DataType{
	driver.Text: rows.TextType, driver.Bigint: rows.BigintType, driver.Double: rows.DoubleType, driver.Boolean: rows.BooleanType,
	driver.Date: rows.DateType, driver.Time: rows.TimeType, driver.Timestamp: rows.TimestampType,
}

// BinaryForm reports whether a type is read in its binary form; the others come as the server writes them.
func BinaryForm(oid uint32) bool { return Portable(oid) != driver.Text && oid != pgtype.NumericOID }

// IsPortable reports whether an Arrow type is that of a portable column.
func IsPortable(t arrow.DataType) bool {
	for _, portable := range ArrowTypes {
		if arrow.TypeEqual(t, portable) {
			return true
		}
	}
	return false
}
