package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres/wire"
)

// failure gives the driver's error for what went wrong with a statement that began at a time; nil for nil. sql is the text
// whose places the caller knows, "" when it is the driver's own. held tells who stood in the way, as far as anybody looked.
func (c *conn) failure(ctx context.Context, sql string, err error, began time.Time, held []holder) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		e := cancelled(ctx).(*driver.Error)
		e.Message += waitedFor(held)
		return e
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return c.w.lost(err)
	}
	e := newError(sql, said)
	switch {
	case said.Code == "57014":
		c.w.explainStop(e, said, time.Since(began), held)
	case said.Code == "55P03":
		c.w.explainLock(e, said, held)
	case said.Code == "42501":
		e.Hint = c.w.adviseRights(e, said)
	case e.Class == driver.UnknownName && e.Position >= 0:
		e.Hint = c.w.adviseName(sql, e, said)
	case e.Class == driver.Connection:
		e.Hint = "Look at the server's log and run again once it takes connections."
	}
	return e
}

// newError gives the driver's error for one of the server's.
func newError(sql string, said *pgconn.PgError) *driver.Error {
	e := &driver.Error{Class: classify(said), Code: said.Code, Message: message(said), Hint: said.Hint, Position: -1, Cause: said}
	if said.Position > 0 && sql != "" {
		e.Position = byteOffset(sql, int(said.Position)-1)
	}
	if said.Code == "42P01" && said.Routine != "errorMissingRTE" { // that is a table that FROM does not name
		e.Table = unknownTable(sql, e.Position, said.Message)
	}
	switch e.Class {
	case driver.OutOfMemory:
		e.Hint = "Give the statement less at a time, lower work_mem, or raise the server's memory."
	case driver.Syntax:
		if e.Code == "08P01" {
			e.Message, e.Hint = "The statement has a parameter such as $1, and no value for it.", "Write the value into the SQL, for example with {{ … }}."
		}
	case driver.DiskFull:
		e.Hint = "Make room on the disk of the database server, or raise temp_file_limit when that is what is full; then run again."
	}
	return e
}

// classes gives the class of a whole SQLSTATE, or of its first two characters (appendix A of PostgreSQL's manual).
var classes = map[string]driver.Class{
	"42": driver.Syntax, "26": driver.Syntax, "0A": driver.Syntax, "54": driver.Syntax,
	"42P01": driver.UnknownName, "42703": driver.UnknownName, "42883": driver.UnknownName, "42704": driver.UnknownName,
	"42P02": driver.UnknownName, "3F000": driver.UnknownName, "3D000": driver.UnknownName,
	"42P07": driver.Exists, "42P06": driver.Exists, "42710": driver.Exists, "42723": driver.Exists, "42701": driver.Exists, "42P04": driver.Exists,
	"23": driver.Constraint, "44": driver.Constraint, "27": driver.Constraint,
	"22": driver.DataError, "21": driver.DataError, "54000": driver.DataError, "P0002": driver.DataError, "P0003": driver.DataError,
	"53100": driver.DiskFull, "53400": driver.DiskFull, "53200": driver.OutOfMemory, "53300": driver.Connection,
	"40": driver.Conflict, "55P03": driver.Locked, "55006": driver.Locked,
	"57014": driver.Cancelled, "57": driver.Connection, "08": driver.Connection, "25P03": driver.Connection, "25P04": driver.Connection,
	"42501": driver.Permission, "28": driver.Permission, "0L": driver.Permission, "0P": driver.Permission, "25006": driver.Permission,
	"XX": driver.Internal, "58": driver.Internal, "F0": driver.Internal, "25P02": driver.Internal,
}

// classify tells the kind of failure.
func classify(said *pgconn.PgError) driver.Class {
	switch {
	case said.Code == "23505" && said.SchemaName == "pg_catalog":
		return driver.Conflict // two made the same table or schema at once
	case said.Code == "0A000" && said.Routine == "RevalidateCachedQuery":
		return driver.Conflict // a table has changed between preparing and running
	case said.Code == "XX000" && (strings.Contains(said.Message, "tuple concurrently updated") || strings.Contains(said.Message, "tuple concurrently deleted")):
		return driver.Conflict // two changed one object of the catalog at once
	}
	if strings.HasPrefix(said.Code, "08") && severity(said) == "ERROR" {
		if said.Code == "08P01" {
			return driver.Syntax // a statement with a parameter, which nobody fills
		}
		return driver.Unclassified // a connection of the server's own, such as that of a foreign table
	}
	if class, ok := classes[said.Code]; ok {
		return class
	}
	if len(said.Code) == 5 {
		if class, ok := classes[said.Code[:2]]; ok {
			return class
		}
	}
	return driver.Unclassified
}

// severity of an error: ERROR ends a statement, FATAL the connection.
func severity(said *pgconn.PgError) string {
	if said.SeverityUnlocalized != "" {
		return said.SeverityUnlocalized
	}
	return said.Severity // before PostgreSQL 9.6
}

// longestQuote bounds what is quoted of a statement inside a function.
const longestQuote = 200

// message puts together what the server says: the error, what it is about, and where inside functions or COPY it happened.
// Greenplum adds to an error the segment that met it, "(seg1 10.0.0.5:6000 pid=1234)".
func message(said *pgconn.PgError) string {
	lines := []string{strings.Join(strings.Fields(said.Message), " ")}
	if said.Detail != "" {
		lines = append(lines, said.Detail)
	}
	if said.InternalQuery != "" {
		lines = append(lines, "In the statement: "+wire.Shorten(said.InternalQuery, longestQuote))
	}
	for line := range strings.Lines(said.Where) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "JSON data, line") {
			lines = append(lines, wire.Shorten(line, longestQuote))
		}
	}
	return strings.Join(lines, "\n")
}

// byteOffset gives the byte at which a character of a text begins.
func byteOffset(sql string, character int) int {
	n := 0
	for i := range sql {
		if n == character {
			return i
		}
		n++
	}
	return len(sql)
}

// unknownTable gives the name of the table that is not there: as the statement writes it, or, when the place is not known,
// as the message quotes it.
func unknownTable(sql string, position int, message string) string {
	if position >= 0 && position < len(sql) {
		schema, table, err := sqltext.ParseName(nameAt(sql, position))
		if err != nil {
			return ""
		}
		return driver.Name{Schema: schema, Table: table}.String()
	}
	_, rest, _ := strings.Cut(message, `"`)
	name, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return ""
	}
	return name
}

// nameAt gives the name with dots that stands at a byte of a statement.
func nameAt(sql string, at int) string {
	name, dot := "", true
	for at < len(sql) {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if !tok.Significant() {
			continue
		}
		text := sql[tok.From:tok.To]
		if dot && tok.Kind != sqltext.Word && tok.Kind != sqltext.QuotedName || !dot && text != "." {
			break
		}
		name, dot = name+text, !dot
	}
	return name
}

// lost is the error of a connection that has failed. A statement outside of a transaction, and COMMIT, may have done their
// work all the same, see doubted.
func (w *Warehouse) lost(err error) error {
	return &driver.Error{
		Class:    driver.Connection,
		Message:  fmt.Sprintf("The connection to %s was lost (%s).", w.place, lastLine(err)),
		Hint:     "Check that the server runs and the network is well, then run again.",
		Position: -1,
		Cause:    err,
	}
}

// doubted marks a failure of the connection after which the statement may have done its work.
func doubted(err error) error {
	e := (*driver.Error)(nil)
	if !errors.As(err, &e) || e.Class != driver.Connection || pgconn.SafeToRetry(e.Cause) || e.Cause == nil {
		return err
	}
	var refused *pgconn.ConnectError
	if errors.As(e.Cause, &refused) {
		return err
	}
	marked := *e
	marked.InDoubt = true
	return &marked
}

// lastLine is the end of an error's text: of several attempts (addresses, with and without TLS) the last.
func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// explainStop tells who stopped a statement.
func (w *Warehouse) explainStop(e *driver.Error, said *pgconn.PgError, took time.Duration, held []holder) {
	limit := w.server.statementTimeout
	switch {
	case strings.Contains(said.Message, "statement timeout"),
		!strings.Contains(said.Message, "user request") && limit > 0 && took >= limit: // another language
		e.Message = fmt.Sprintf("The server stopped the statement after %s, its statement_timeout.", took.Round(time.Millisecond))
		e.Hint = "Let the statement do less at a time, or raise statement_timeout of the environment in damson.yaml."
	default:
		e.Message = "Somebody stopped the statement on the server (pg_cancel_backend), or the server itself did."
		e.Hint = "Ask who administers the database, then run again."
	}
	e.Message += waitedFor(held)
}
