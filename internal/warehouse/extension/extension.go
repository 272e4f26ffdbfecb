// Package extension knows which extension of PostgreSQL and Greenplum brings a function or type that SQL names, as far as users of
// a warehouse often miss it. Its central function is Of. It is pure: whether a database has the extension is not its business, and
// a name that it does not know says nothing.
package extension

import "strings"

// functions and types name the extension that brings them.
var (
	functions = map[string]string{
		"crosstab": "tablefunc", "connectby": "tablefunc", "normal_rand": "tablefunc",
		"similarity": "pg_trgm", "word_similarity": "pg_trgm", "show_trgm": "pg_trgm",
		"levenshtein": "fuzzystrmatch", "soundex": "fuzzystrmatch", "metaphone": "fuzzystrmatch",
		"uuid_generate_v4": "uuid-ossp", "uuid_generate_v1": "uuid-ossp", "crypt": "pgcrypto", "digest": "pgcrypto", "gen_salt": "pgcrypto",
		"unaccent": "unaccent", "earth_distance": "earthdistance", "ll_to_earth": "earthdistance", "dblink": "dblink",
	}
	types = map[string]string{
		"cube": "cube", "hstore": "hstore", "ltree": "ltree", "citext": "citext", "geometry": "postgis", "geography": "postgis",
		"raster": "postgis_raster",
	}
)

// Of gives the extension that brings a function or type, "" when none is known to.
func Of(name string) string {
	if e := OfFunction(name); e != "" {
		return e
	}
	return types[name]
}

// OfFunction gives the extension that brings a function, "" when none is known to. The names of types are left out: many of them
// are words of SQL as well, such as cube.
func OfFunction(name string) string {
	if strings.HasPrefix(name, "st_") {
		return "postgis"
	}
	return functions[name]
}

// OfType gives the extension that brings a type, "" when none is known to.
func OfType(name string) string { return types[name] }
