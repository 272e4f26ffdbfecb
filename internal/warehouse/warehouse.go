// Package warehouse is the portable type in front of a database. Its central type is Warehouse: it runs SQL that knows its
// file, writes the rows of a SELECT into a table so that doing it twice changes nothing, and records in the same
// transaction that a task's attempt has committed. What differs between databases lives behind package driver.
//
// Invariants:
//  1. What Do's function writes and the ledger rows of its claims commit together or not at all.
//  2. A claim commits at most once, and never after it was settled that it has not.
//  3. Into leaves every row outside its data interval as it was.
//  4. Every error of the database leads to a line of the user's file: where the database says, else where the statement
//     begins.
package warehouse

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/array"
	"golang.org/x/sync/semaphore"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// ErrCommitted says that the ledger already has one of the claims: that attempt's writes are in the warehouse.
var ErrCommitted = errors.New("this attempt has already committed to the warehouse")

// Schema, Ledger and Rejects name what Damson keeps for itself in every warehouse.
const (
	Schema  = "damson"
	Ledger  = "damson.ledger"
	Rejects = "damson.rejects"
)

// Warehouse is one open database. All methods may be called at the same time.
type Warehouse struct {
	driver  driver.Warehouse
	catalog catalog
	turns   *semaphore.Weighted // a transaction of Do has one of them, one that runs alone after a conflict has all
	closed  atomic.Bool
}

// allTurns is more than there are transactions at a time.
const allTurns = 1 << 30

// New prepares an open database for use: it makes schema damson with the tables ledger and rejects when they are absent.
func New(ctx context.Context, d driver.Warehouse) (*Warehouse, error) {
	w := &Warehouse{driver: d, catalog: catalog{off: !d.Capabilities().OneProcess}, turns: semaphore.NewWeighted(allTurns)}
	have, err := d.Table(ctx, d, driver.Name{Schema: Schema, Table: "rejects"})
	if err != nil {
		return nil, finding(sqltext.Text{}, err)
	}
	if have != nil {
		return w, nil
	}
	statements := []string{
		`CREATE TABLE IF NOT EXISTS damson.ledger (run_id text, task text, attempt bigint, committed_at timestamp, result text,
			PRIMARY KEY (run_id, task, attempt))`,
		`CREATE TABLE IF NOT EXISTS damson.rejects (run_id text, task text, file text, line bigint, "text" text, reason text,
			"at" timestamp)`,
	}
	missing, err := needsSchema(ctx, d, Schema)
	if err != nil {
		return nil, finding(sqltext.Text{}, err)
	}
	if missing {
		statements = append([]string{`CREATE SCHEMA IF NOT EXISTS damson`}, statements...)
	}
	for _, sql := range statements {
		if err := execOwn(ctx, d, sql); err != nil {
			return nil, ownError(sql, err)
		}
	}
	return w, nil
}

// needsSchema reports whether a schema has to be made. Only asking tells: where it is there, a user who may not make schemas
// is refused even CREATE SCHEMA IF NOT EXISTS.
func needsSchema(ctx context.Context, q driver.Querier, schema string) (bool, error) {
	r, err := q.Query(ctx, `SELECT count(*) FROM information_schema.schemata WHERE catalog_name = current_database() AND schema_name = `+sqltext.QuoteLiteral(schema))
	if err != nil {
		return false, err
	}
	row, err := rows.ReadOne(r)
	return err == nil && row[0] == int64(0), err
}

// execOwn runs one of New's statements, again when another process has just made the same: IF NOT EXISTS looks before, and only
// at tables, while what is in the way may be the type of the table's rows.
func execOwn(ctx context.Context, d driver.Warehouse, sql string) error {
	for try := 1; ; try++ {
		_, err := d.Exec(ctx, sql)
		e := (*driver.Error)(nil)
		if try == maxTries || !errors.As(err, &e) || e.Class != driver.Conflict && e.Class != driver.Exists {
			return err
		}
	}
}

// ownError is the finding of a warehouse in which Damson cannot make its own tables.
func ownError(sql string, err error) error {
	e := (*driver.Error)(nil)
	if !errors.As(err, &e) || e.Class != driver.Permission {
		return finding(sqltext.Plain("", sql), err)
	}
	return diag.Finding{Severity: diag.Error, Summary: "Damson may not make its own tables in the warehouse",
		Detail: sentence(e.Message), Cause: err,
		Fix: cmp.Or(e.Hint, "As the database's owner: CREATE SCHEMA damson AUTHORIZATION user; or GRANT CREATE ON DATABASE name TO user.")}
}

// Kind is the kind of database, for example "duckdb".
func (w *Warehouse) Kind() string { return w.driver.Capabilities().Kind }

// Capabilities are what the database can do.
func (w *Warehouse) Capabilities() driver.Capabilities { return w.driver.Capabilities() }

// Close ends the use of the database.
func (w *Warehouse) Close() error {
	w.closed.Store(true)
	return w.driver.Close()
}

// Query streams the rows of one statement, outside of any transaction. The reader must be released.
func (w *Warehouse) Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error) {
	if !changesCatalog(text.SQL()) {
		return query(ctx, w.driver, text)
	}
	end := w.catalog.change()
	r, err := query(ctx, w.driver, text)
	if err != nil {
		end()
		return nil, err
	}
	return &changingReader{RecordReader: r, end: end}, nil
}

// changingReader is the stream of a statement that changes the catalog, such as CREATE TABLE AS.
type changingReader struct {
	array.RecordReader
	end func()
}

// Release ends the statement.
func (r *changingReader) Release() {
	r.RecordReader.Release()
	r.end()
}

// Describe gives the columns of a SELECT without running it.
func (w *Warehouse) Describe(ctx context.Context, text sqltext.Text) ([]driver.Column, error) {
	return describe(ctx, w.driver, w.driver, text)
}

// Table gives the columns of a table or view, nil when there is none.
func (w *Warehouse) Table(ctx context.Context, name string) ([]driver.Column, error) {
	return table(ctx, w.driver, w.driver, name)
}

// query runs one statement on q and makes the errors of its stream findings.
func query(ctx context.Context, q driver.Querier, text sqltext.Text) (array.RecordReader, error) {
	one, err := single(text)
	if err != nil {
		return nil, err
	}
	r, err := q.Query(ctx, one.SQL())
	if err != nil {
		return nil, finding(one, err)
	}
	return &reader{RecordReader: r, text: one}, nil
}

// reader is a driver's reader whose error is a finding.
type reader struct {
	array.RecordReader
	text sqltext.Text
}

// Err tells how the stream ended.
func (r *reader) Err() error { return finding(r.text, r.RecordReader.Err()) }

func describe(ctx context.Context, d driver.Warehouse, q driver.Querier, text sqltext.Text) ([]driver.Column, error) {
	one, err := single(text)
	if err != nil {
		return nil, err
	}
	columns, err := d.Describe(ctx, q, one.SQL())
	return columns, finding(one, err)
}

func table(ctx context.Context, d driver.Warehouse, q driver.Querier, name string) ([]driver.Column, error) {
	n, err := parseName(name)
	if err != nil {
		return nil, err
	}
	columns, err := d.Table(ctx, q, n)
	return columns, finding(sqltext.Text{}, err)
}

// parseName reads a table's name as users write it.
func parseName(name string) (driver.Name, error) {
	schema, table, err := sqltext.ParseName(name)
	if err != nil {
		return driver.Name{}, diag.Finding{Severity: diag.Error, Summary: "Not a table's name", Detail: err.Error() + "."}
	}
	return driver.Name{Schema: schema, Table: table}, nil
}

// quoted gives a table's name as SQL.
func quoted(n driver.Name) string {
	if n.Schema == "" {
		return sqltext.QuoteIdent(n.Table)
	}
	return sqltext.QuoteIdent(n.Schema) + "." + sqltext.QuoteIdent(n.Table)
}
