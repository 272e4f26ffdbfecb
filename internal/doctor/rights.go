package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// schemaRights are what the user may do in a schema.
type schemaRights struct {
	name               string // as it was asked for
	there, make, enter bool
}

// schemaSQL asks about schemas; $names are the rows of VALUES.
const schemaSQL = `SELECT w.name, n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'CREATE'), false), coalesce(has_schema_privilege(n.oid, 'USAGE'), false)
FROM ($names) AS w(name) LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = coalesce(nullif(w.name, ''), current_schema())
ORDER BY 1`

// tableRights are what the user may do with a table that is there.
type tableRights struct {
	Table
	kind                            string // pg_class.relkind
	read, insert, delete, owns, use bool
	owner                           string
}

// tableSQL asks about tables; those that are not there give no row.
const tableSQL = `SELECT w.schema, w.name, CAST(c.relkind AS text), has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
	has_table_privilege(c.oid, 'DELETE'), pg_has_role(c.relowner, 'USAGE'), has_schema_privilege(n.oid, 'USAGE'), CAST(pg_get_userbyid(c.relowner) AS text)
FROM ($tables) AS w(schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = coalesce(nullif(w.schema, ''), current_schema())
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY 1, 2`

// rights are all facts of the check.
type rights struct {
	schemas []schemaRights
	tables  map[Table]tableRights
}

func askRights(ctx context.Context, q Query, n Needs) (rights, error) {
	r := rights{tables: map[Table]tableRights{}}
	all, err := q.all(ctx, strings.Replace(schemaSQL, "$names", valuesOf(n.Schemas()), 1))
	if err != nil {
		return r, err
	}
	for _, v := range all {
		r.schemas = append(r.schemas, schemaRights{v.text(0), v.truth(1), v.truth(2), v.truth(3)})
	}
	tables := slices.Concat(sortedTables(n.Writes), sortedTables(n.Reads))
	all, err = q.all(ctx, strings.Replace(tableSQL, "$tables", tableValues(tables), 1))
	for _, v := range all {
		t := v.table(0)
		r.tables[t] = tableRights{t, v.text(2), v.truth(3), v.truth(4), v.truth(5), v.truth(6), v.truth(7), v.text(8)}
	}
	return r, err
}

func judgeRights(s server, n Needs, r rights) []Check {
	var checks []Check
	for _, schema := range r.schemas {
		checks = append(checks, judgeSchema(s, n, r, schema)...)
	}
	checks = append(checks, judgeWrites(s, n, r)...)
	checks = append(checks, judgeReads(s, n, r)...)
	if len(checks) > 0 {
		return checks
	}
	return ok("%q may write %s, and what else is read", s.user, plural(len(r.schemas), "schema"))
}

// judgeSchema judges a schema that tasks write into.
func judgeSchema(s server, n Needs, r rights, schema schemaRights) []Check {
	var all, lacking []string // tables of the schema, and those of them that have to be made
	writer := Writer{}
	for _, t := range sortedTables(n.Writes) {
		if t.Schema != schema.name {
			continue
		}
		w := n.Writes[t]
		all = append(all, t.String())
		if _, there := r.tables[t]; !there || w.Native {
			lacking = append(lacking, t.String())
		}
		if writer.Task == "" {
			writer = w
		}
	}
	c := Check{Status: Problem, At: writer.At}
	name := schema.name
	if name == "" {
		name = "public"
	}
	switch {
	case !schema.there && s.mayMakeSchemas, schema.there && schema.enter && (schema.make || len(lacking) == 0):
		return nil
	case !schema.there:
		c.What = fmt.Sprintf("schema %s is not there, and %q may not make it", name, s.user)
		c.Why = fmt.Sprintf("It has no right to make schemas in database %q. In the schema belong %s.", s.database, list(all))
		c.Fix = fmt.Sprintf("As the database's owner: CREATE SCHEMA %s AUTHORIZATION %s;", ident(name), ident(s.user))
	case !schema.enter:
		c.What = fmt.Sprintf("%q may not use schema %s", s.user, name)
		c.Why = fmt.Sprintf("Its tables cannot even be seen: %s.", list(all))
		c.Fix = fmt.Sprintf("As its owner: GRANT USAGE, CREATE ON SCHEMA %s TO %s;", ident(name), ident(s.user))
	default:
		c.What = fmt.Sprintf("%q may not make tables in schema %s", s.user, name)
		c.Why = fmt.Sprintf("Tables or partitions have to be made for %s.", list(lacking))
		c.Fix = fmt.Sprintf("As its owner: GRANT CREATE ON SCHEMA %s TO %s;", ident(name), ident(s.user))
	}
	return []Check{c}
}

// judgeWrites judges tables that are there and that tasks write.
func judgeWrites(s server, n Needs, r rights) []Check {
	var checks []Check
	for _, t := range sortedTables(n.Writes) {
		has, there := r.tables[t]
		w := n.Writes[t]
		if !there || !has.use { // judgeSchema says so
			continue
		}
		var missing []string
		for _, p := range []struct {
			right string
			has   bool
		}{{"SELECT", has.read}, {"INSERT", has.insert}, {"DELETE", has.delete}} {
			if !p.has {
				missing = append(missing, p.right)
			}
		}
		c := Check{Status: Problem, At: w.At}
		switch {
		case has.kind == "v" || has.kind == "m":
			c.What = fmt.Sprintf("%s is a view", t)
			c.Why = fmt.Sprintf("Task %s writes rows into it.", w.Task)
			c.Fix = "Let the task write another table, or drop the view."
		case len(missing) > 0:
			c.What = fmt.Sprintf("%q may not write %s", s.user, t)
			c.Why = fmt.Sprintf("It has no %s on the table of %q.", strings.Join(missing, ", "), has.owner)
			c.Fix = fmt.Sprintf("As its owner: GRANT %s ON %s TO %s;", strings.Join(missing, ", "), t, ident(s.user))
		case w.Native && !has.owns:
			c.What = fmt.Sprintf("%q does not own %s", s.user, t)
			c.Why = fmt.Sprintf("Only its owner, %q, may add and exchange partitions, as task %s does.", has.owner, w.Task)
			c.Fix = fmt.Sprintf("As %s: ALTER TABLE %s OWNER TO %s;", has.owner, t, ident(s.user))
		default:
			continue
		}
		checks = append(checks, c)
	}
	return checks
}

// judgeReads judges tables that tasks read and none writes.
func judgeReads(s server, n Needs, r rights) []Check {
	var checks []Check
	for _, t := range sortedTables(n.Reads) {
		has, there := r.tables[t]
		from := n.Reads[t]
		c := Check{At: from.At}
		switch {
		case !there && from.Sure:
			c.Status, c.What = Warning, fmt.Sprintf("%s is not there", t)
			c.Why = fmt.Sprintf("Task %s reads it, and no task or migration of the project makes it.", from.Task)
			c.Fix = "Make it before the task runs, or correct the name."
		case there && !has.use:
			c.Status, c.What = Problem, fmt.Sprintf("%q may not use schema %s", s.user, ident(t.Schema))
			c.Why = fmt.Sprintf("%s is read there.", t)
			c.Fix = fmt.Sprintf("As its owner: GRANT USAGE ON SCHEMA %s TO %s;", ident(t.Schema), ident(s.user))
		case there && !has.read:
			c.Status, c.What = Problem, fmt.Sprintf("%q may not read %s", s.user, t)
			c.Why = fmt.Sprintf("It has no SELECT on the table of %q.", has.owner)
			c.Fix = fmt.Sprintf("As its owner: GRANT SELECT ON %s TO %s;", t, ident(s.user))
		default:
			continue
		}
		checks = append(checks, c)
	}
	return checks
}
