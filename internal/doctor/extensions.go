package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// offer is what a server has of one extension or language.
type offer struct {
	available, made, trusted bool
	schema                   string // where it was made
}

// brought is what a server has of everything that a project uses.
type brought struct {
	extensions map[string]offer
	functions  map[string]bool // by any schema
	types      map[string]bool
	languages  map[string]language
}

// language is a language of functions that is there.
type language struct{ trusted, may bool }

// extensionSQL asks about extensions. $trusted tells whether a user without special rights may make it; only PostgreSQL 13 and later
// know that.
const extensionSQL = `SELECT w.name, a.name IS NOT NULL, x.oid IS NOT NULL, $trusted, coalesce(CAST(n.nspname AS text), '')
FROM ($names) AS w(name)
LEFT JOIN pg_catalog.pg_available_extensions AS a ON a.name = w.name
LEFT JOIN pg_catalog.pg_extension AS x ON x.extname = w.name
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace
ORDER BY 1`

const trustedSQL = `EXISTS (SELECT 1 FROM pg_catalog.pg_available_extension_versions AS v WHERE v.name = w.name AND v.version = a.default_version AND v.trusted)`

const (
	functionSQL = `SELECT w.name, EXISTS (SELECT 1 FROM pg_catalog.pg_proc AS p WHERE p.proname = w.name) FROM ($names) AS w(name) ORDER BY 1`
	typeSQL     = `SELECT w.name, EXISTS (SELECT 1 FROM pg_catalog.pg_type AS t WHERE t.typname = w.name) FROM ($names) AS w(name) ORDER BY 1`
	languageSQL = `SELECT w.name, l.lanpltrusted, has_language_privilege(l.oid, 'USAGE')
FROM ($names) AS w(name) JOIN pg_catalog.pg_language AS l ON l.lanname = w.name ORDER BY 1`
)

// askBrought asks for what the uses need. Greenplum installs MADlib by functions in a schema and not as an extension, so what counts
// is whether the functions are there.
func askBrought(ctx context.Context, q Query, s server, kind string, uses []Use) (b brought, err error) {
	b = brought{map[string]offer{}, map[string]bool{}, map[string]bool{}, map[string]language{}}
	var extensions, functions, types, languages []string
	for _, u := range uses {
		functions, types, languages = append(functions, u.Function), append(types, u.Type), append(languages, u.Language)
		extensions = append(extensions, u.Extension, u.Language) // a language comes as an extension of its name
	}
	trusted := "false"
	if kind == "postgres" && s.atLeast(13) {
		trusted = trustedSQL
	}
	for _, question := range []struct {
		names []string
		sql   string
		take  func(r row)
	}{
		{extensions, strings.Replace(extensionSQL, "$trusted", trusted, 1), func(r row) {
			b.extensions[r.text(0)] = offer{r.truth(1), r.truth(2), r.truth(3), r.text(4)}
		}},
		{functions, functionSQL, func(r row) { b.functions[r.text(0)] = r.truth(1) }},
		{types, typeSQL, func(r row) { b.types[r.text(0)] = r.truth(1) }},
		{languages, languageSQL, func(r row) { b.languages[r.text(0)] = language{r.truth(1), r.truth(2)} }},
	} {
		slices.Sort(question.names)
		names := slices.DeleteFunc(slices.Compact(question.names), func(name string) bool { return name == "" })
		if len(names) == 0 {
			continue
		}
		all, err := q.all(ctx, strings.Replace(question.sql, "$names", valuesOf(names), 1))
		if err != nil {
			return b, err
		}
		for _, r := range all {
			question.take(r)
		}
	}
	return b, nil
}

// judgeExtensions judges what the project's SQL uses of extensions.
func judgeExtensions(s server, uses []Use, b brought) []Check {
	var checks []Check
	var good []string
	creates := map[string]bool{}
	for _, u := range uses {
		creates[u.Extension] = creates[u.Extension] || u.Creates
	}
	told := map[string]bool{}
	for _, u := range uses {
		if u.Language != "" || told[u.Extension] {
			continue
		}
		there := u.Creates && b.extensions[u.Extension].made || u.Function != "" && b.functions[u.Function] || u.Type != "" && b.types[u.Type]
		if !there {
			c, wrong := judgeMissing(s, u, b.extensions[u.Extension], creates[u.Extension])
			if wrong {
				told[u.Extension] = true
				checks = append(checks, c)
				continue
			}
		}
		if !slices.Contains(good, u.Extension) {
			good = append(good, u.Extension)
		}
	}
	switch {
	case len(checks) > 0:
		return checks
	case len(good) == 0:
		return ok("none needed, as far as the SQL tells")
	}
	slices.Sort(good)
	return ok("%s", list(good))
}

// judgeMissing judges an extension that the database has not made; wrong is false when a file of the project will make it.
func judgeMissing(s server, u Use, o offer, created bool) (c Check, wrong bool) {
	needs := "something in this file makes it"
	switch {
	case u.Function != "":
		needs = fmt.Sprintf("the function %s comes with it", u.Function)
	case u.Type != "":
		needs = fmt.Sprintf("the type %s comes with it", u.Type)
	}
	mayMake := s.superuser || o.trusted && s.mayMakeSchemas
	c = Check{Status: Problem, At: u.At}
	if u.Maybe {
		c.Status, needs = Warning, needs+" (the file's template decides whether it is used here)"
	}
	statement := fmt.Sprintf("CREATE EXTENSION %s;", ident(u.Extension))
	switch {
	case !o.available && u.Extension == "madlib":
		c.What = "MADlib is not installed"
		c.Why = fmt.Sprintf("There is no function %s in the database.", u.Function)
		c.Fix = "Have it installed: madpack -p postgres install (or -p greenplum)."
	case !o.available:
		c.What = fmt.Sprintf("extension %s is not on the server's machine", u.Extension)
		c.Why = fmt.Sprintf("The database does not offer it, and %s.", needs)
		c.Fix = "Ask who administers the server to install its package (for example postgresql-NN-postgis-3, postgresql-contrib)."
	case created && mayMake:
		return c, false
	case created || u.Creates:
		c.What = fmt.Sprintf("%q may not make extension %s", s.user, u.Extension)
		c.Why = "The project makes it, which takes a superuser of this server."
		c.Fix = "As a superuser, in this database: " + statement
	default:
		c.What = fmt.Sprintf("extension %s has not been made in this database", u.Extension)
		c.Why = fmt.Sprintf("The server has it, and %s.", needs)
		c.Fix = "As a superuser, in this database: " + statement
		if mayMake {
			c.Fix = "In this database, or in a migration: " + statement
		}
	}
	return c, true
}

// judgeLanguages judges the languages that the project's functions are written in.
func judgeLanguages(s server, uses []Use, b brought) []Check {
	var checks []Check
	var good []string
	creates := map[string]bool{}
	for _, u := range uses {
		creates[u.Extension] = creates[u.Extension] || u.Creates
	}
	for _, u := range uses {
		if u.Language == "" {
			continue
		}
		l, there := b.languages[u.Language]
		o := b.extensions[u.Language]
		c := Check{Status: Problem, At: u.At}
		if u.Maybe {
			c.Status = Warning
		}
		statement := fmt.Sprintf("CREATE EXTENSION %s;", ident(u.Language))
		switch {
		case there && (l.trusted && l.may || s.superuser), !there && o.available && creates[u.Language] && s.superuser:
			good = append(good, u.Language)
			continue
		case there && !l.trusted:
			c.What = fmt.Sprintf("%q may not write functions in %s", s.user, u.Language)
			c.Why = "The language can do what the server's own user can, so only superusers may make functions in it."
			c.Fix = "Have a superuser run what makes the functions, and GRANT EXECUTE on them."
		case there:
			c.What = fmt.Sprintf("%q may not write functions in %s", s.user, u.Language)
			c.Why = "It has no USAGE on the language."
			c.Fix = fmt.Sprintf("As a superuser: GRANT USAGE ON LANGUAGE %s TO %s;", ident(u.Language), ident(s.user))
		case o.available:
			c.What = fmt.Sprintf("language %s has not been made in this database", u.Language)
			c.Why = "The server has it, and functions of the project are written in it."
			c.Fix = "As a superuser, in this database: " + statement
		default:
			c.What = fmt.Sprintf("language %s is not on the server's machine", u.Language)
			c.Why = "The database does not offer it, and functions of the project are written in it."
			c.Fix = "Ask who administers the server to install its package (for example postgresql-plpython3-NN)."
		}
		checks = append(checks, c)
	}
	switch {
	case len(checks) > 0:
		return checks
	case len(good) == 0:
		return ok("none needed but SQL and PL/pgSQL")
	}
	return ok("%s", list(good))
}
