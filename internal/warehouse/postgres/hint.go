package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// extensions are those that users of a warehouse most often miss, by what they bring: functions, and types.
var extensions = map[string]string{
	"crosstab": "tablefunc", "connectby": "tablefunc", "normal_rand": "tablefunc",
	"similarity": "pg_trgm", "word_similarity": "pg_trgm", "show_trgm": "pg_trgm",
	"levenshtein": "fuzzystrmatch", "soundex": "fuzzystrmatch", "metaphone": "fuzzystrmatch",
	"uuid_generate_v4": "uuid-ossp", "uuid_generate_v1": "uuid-ossp", "crypt": "pgcrypto", "digest": "pgcrypto", "gen_salt": "pgcrypto",
	"unaccent": "unaccent", "earth_distance": "earthdistance", "ll_to_earth": "earthdistance", "cube": "cube", "hstore": "hstore",
	"ltree": "ltree", "citext": "citext", "geometry": "postgis", "geography": "postgis", "raster": "postgis_raster", "dblink": "dblink",
}

// extensionOf gives the extension that brings a function or type, "" when none is known to.
func extensionOf(name string) string {
	if strings.HasPrefix(name, "st_") {
		return "postgis"
	}
	return extensions[name]
}

// advicePatience bounds the questions that only make an error's hint better.
const advicePatience = 2 * time.Second

// adviseName gives the hint for a name that is not known: the extension that would bring it, else what the server says.
func (w *Warehouse) adviseName(sql string, e *driver.Error, said *pgconn.PgError) string {
	if said.Code != "42883" && said.Code != "42704" {
		return e.Hint
	}
	name := nameAt(sql, e.Position)
	if _, last, err := sqltext.ParseName(name); err == nil {
		name = last
	}
	extension := extensionOf(name)
	if extension == "" {
		return e.Hint
	}
	ctx, cancel := context.WithTimeout(context.Background(), advicePatience)
	defer cancel()
	found := w.aside(ctx, fmt.Sprintf(`SELECT COALESCE(x.extname, ''), COALESCE(n.nspname, '') FROM pg_catalog.pg_available_extensions a
		LEFT JOIN pg_catalog.pg_extension x ON x.extname = a.name LEFT JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
		WHERE a.name = %s`, sqltext.QuoteLiteral(extension)))
	switch {
	case len(found) == 0:
		return fmt.Sprintf("%s belongs to the extension %s, which is not installed on the database's machine. Ask who administers it.", name, extension)
	case found[0][0] == "":
		return fmt.Sprintf("It belongs to the extension %s, which this database has not made yet. As a user who may: CREATE EXTENSION %s.", extension, sqltext.QuoteIdent(extension))
	case e.Hint != "":
		return e.Hint
	}
	return fmt.Sprintf("The extension %s is in schema %s: write %s.%s, or add the schema to search_path.", extension, found[0][1], found[0][1], name)
}
