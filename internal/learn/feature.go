package learn

import (
	"fmt"
	"slices"
	"strings"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// manifold are types of databases whose values come as texts, and are no names of anything: of parts, of bytes, of a length of time.
var manifold = []string{"list", "struct", "map", "array", "union", "record", "json", "jsonb", "xml", "blob", "bytea", "bit", "bit varying", "interval",
	"time with time zone", "tsvector", "tsquery", "point", "line", "lseg", "box", "path", "polygon", "circle", "geometry", "geography"}

// IsCategory reports whether a column has texts that can be levels: not lists, documents and the like, which are read as texts, too.
func IsCategory(c driver.Column) bool {
	native, _, _ := strings.Cut(strings.ToLower(c.Native), "(")
	return c.Type == driver.Text && !strings.HasSuffix(native, "[]") && !slices.Contains(manifold, native)
}

// Fits reports whether the column can be the feature.
func (f Feature) Fits(c driver.Column) bool {
	if f.Levels != nil {
		return IsCategory(c)
	}
	t := c.Type
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
