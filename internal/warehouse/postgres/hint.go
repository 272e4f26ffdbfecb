package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/extension"
)

// advicePatience bounds the questions that only make an error's hint better.
const advicePatience = 2 * time.Second

// adviseName gives the hint for a name that is not known: the extension that would bring it, else what the server says.
func (w *Warehouse) adviseName(sql string, e *driver.Error, said *pgconn.PgError) string {
	name := nameAt(sql, e.Position)
	if said.Code == "3F000" && strings.HasPrefix(strings.ToLower(name), "madlib.") {
		return "MADlib is not installed in this database (madpack -p … install)."
	}
	if said.Code != "42883" && said.Code != "42704" {
		return e.Hint
	}
	if _, last, err := sqltext.ParseName(name); err == nil {
		name = last
	}
	brings := extension.Of(name)
	if brings == "" {
		return e.Hint
	}
	ctx, cancel := context.WithTimeout(context.Background(), advicePatience)
	defer cancel()
	found := w.aside(ctx, fmt.Sprintf(`SELECT COALESCE(x.extname, ''), COALESCE(n.nspname, '') FROM pg_catalog.pg_available_extensions a
		LEFT JOIN pg_catalog.pg_extension x ON x.extname = a.name LEFT JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
		WHERE a.name = %s`, sqltext.QuoteLiteral(brings)))
	switch {
	case len(found) == 0:
		return fmt.Sprintf("%s belongs to the extension %s, which is not installed on the database's machine. Ask who administers it.", name, brings)
	case found[0][0] == "":
		return fmt.Sprintf("It belongs to the extension %s, which this database has not made yet. As a user who may: CREATE EXTENSION %s.", brings, sqltext.QuoteIdent(brings))
	case e.Hint != "":
		return e.Hint
	}
	return fmt.Sprintf("The extension %s is in schema %s: write %s.%s, or add the schema to search_path.", brings, found[0][1], found[0][1], name)
}
