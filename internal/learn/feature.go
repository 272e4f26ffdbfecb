package learn

import (
	"fmt"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// Fits reports whether a column of the type can be the feature.
func (f Feature) Fits(t driver.Type) bool {
	if f.Levels != nil {
		return t == driver.Text
	}
	return t == driver.Bigint || t == driver.Double || t == driver.Boolean
}

// SQLValue writes the feature's value in a column: double precision or text, NULL when it is missing.
func (f Feature) SQLValue(c driver.Column) string {
	column := sqltext.QuoteIdent(c.Name)
	switch {
	case f.Levels != nil:
		return "cast(" + column + " as text)"
	case c.Type == driver.Boolean:
		return fmt.Sprintf("case when %s then float8 '1' when not %s then float8 '0' end", column, column)
	}
	return fmt.Sprintf("nullif(cast(%s as double precision), float8 'NaN')", column)
}
