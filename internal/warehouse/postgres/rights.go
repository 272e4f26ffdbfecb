package postgres

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// denied is how the server says, in English, that a right is missing.
var (
	denied      = regexp.MustCompile(`^permission denied for (database|schema|table|relation|view|sequence|function|language|tablespace) "?([^"]*?)"?$`)
	notOwner    = regexp.MustCompile(`^must be owner of (\w+(?: \w+)*?) "?([^" ]*)"?$`)
	noExtension = regexp.MustCompile(`^permission denied to create extension "([^"]*)"$`)
)

// adviseRights gives the hint for a statement that the user has no right to: the statement that gives the right.
func (w *Warehouse) adviseRights(e *driver.Error, said *pgconn.PgError) string {
	user := sqltext.QuoteIdent(w.place.user)
	if m := noExtension.FindStringSubmatch(said.Message); m != nil {
		return fmt.Sprintf("As a superuser, in database %q: CREATE EXTENSION %s;", w.place.database, sqltext.QuoteIdent(m[1]))
	}
	if m := notOwner.FindStringSubmatch(said.Message); m != nil {
		return fmt.Sprintf("Let the owner of %s %s run it, or make %s its owner.", m[1], m[2], user)
	}
	m := denied.FindStringSubmatch(said.Message)
	if m == nil {
		if e.Hint != "" {
			return e.Hint
		}
		return fmt.Sprintf("Have the owner give user %s the right, or name another user in the warehouse's URL.", user)
	}
	name := sqltext.QuoteIdent(m[2])
	switch m[1] {
	case "database":
		return fmt.Sprintf("As its owner: GRANT CREATE ON DATABASE %s TO %s; or make the schema for the user: CREATE SCHEMA … AUTHORIZATION %s;", name, user, user)
	case "schema":
		return fmt.Sprintf("As its owner: GRANT USAGE, CREATE ON SCHEMA %s TO %s;", name, user)
	case "table", "relation", "view":
		return fmt.Sprintf("As its owner: GRANT SELECT ON %s TO %s; and INSERT, UPDATE, DELETE where a task writes it. `damson doctor` lists what is missing.", m[2], user)
	}
	return fmt.Sprintf("As its owner: GRANT … ON %s %s TO %s;", strings.ToUpper(m[1]), name, user)
}
