package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// Tx is a transaction inside Do, for one goroutine. A reader that Query gives must be read to its end or released before
// the next statement; to copy rows through Go while they are read, query the Warehouse rather than the Tx.
type Tx struct {
	w          *Warehouse
	tx         driver.Tx
	generation int                     // of the catalog, from before the transaction began
	changed    func()                  // ends this transaction's change of the catalog; nil: it has made none
	after      []func(context.Context) // what is done once it has committed, and may fail
}

// Exec runs one statement and gives the number of rows it changed, -1 when the database does not say.
func (tx *Tx) Exec(ctx context.Context, text sqltext.Text) (int64, error) {
	one, err := single(text)
	if err != nil {
		return 0, err
	}
	return tx.run(ctx, one)
}

// run runs a text that is one statement of the user's.
func (tx *Tx) run(ctx context.Context, one sqltext.Text) (int64, error) {
	if err := noTransaction(one); err != nil {
		return 0, err
	}
	if changesCatalog(one.SQL()) {
		tx.change()
	}
	n, err := tx.tx.Exec(ctx, one.SQL())
	return n, finding(one, err)
}

// Query streams the rows of one statement.
func (tx *Tx) Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error) {
	if changesCatalog(text.SQL()) {
		tx.change()
	}
	return query(ctx, tx.tx, text)
}

// Describe gives the columns of a SELECT without running it.
func (tx *Tx) Describe(ctx context.Context, text sqltext.Text) ([]driver.Column, error) {
	return describe(ctx, tx.w.driver, tx.tx, text)
}

// Table gives the columns of a table or view, nil when there is none.
func (tx *Tx) Table(ctx context.Context, name string) ([]driver.Column, error) {
	return table(ctx, tx.w.driver, tx.tx, name)
}

// sqlTypes are the portable types as all databases write them.
var sqlTypes = map[driver.Type]string{
	driver.Text:      "text",
	driver.Bigint:    "bigint",
	driver.Double:    "double precision",
	driver.Boolean:   "boolean",
	driver.Date:      "date",
	driver.Time:      "time",
	driver.Timestamp: "timestamp",
}

// CreateTable makes a table that the transaction has found absent, and its schema when that is absent. When it is there all
// the same, another transaction has made it meanwhile, and Do begins again. Each column's Type decides; its Native is not
// looked at, and neither is Storage.Native: the table is not cut into partitions.
func (tx *Tx) CreateTable(ctx context.Context, name string, columns []driver.Column, s pipeline.Storage) error {
	n, err := parseName(name)
	if err != nil {
		return err
	}
	return finding(sqltext.Text{}, tx.createTable(ctx, n, columns, "", s, driver.Part{}))
}

// createTable makes a table that the database cuts by the column partitionBy, "" = not.
func (tx *Tx) createTable(ctx context.Context, n driver.Name, columns []driver.Column, partitionBy string, s pipeline.Storage, first driver.Part) error {
	tx.change()
	if n.Schema != "" {
		missing, err := needsSchema(ctx, tx.tx, n.Schema)
		if err != nil {
			return err
		}
		if missing {
			_, err = tx.tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+sqltext.QuoteIdent(n.Schema))
		}
		if err != nil {
			return err
		}
	}
	definitions := ""
	for i, c := range columns {
		if i > 0 {
			definitions += ", "
		}
		sqlType, ok := sqlTypes[c.Type]
		if !ok {
			return diag.Finding{
				Severity: diag.Error,
				Summary:  "Unknown type",
				Detail:   fmt.Sprintf("Column %q of table %s has the type %q.", c.Name, n, c.Type),
				Fix:      "Use text, bigint, double, boolean, date, time or timestamp.",
			}
		}
		definitions += sqltext.QuoteIdent(c.Name) + " " + sqlType
	}
	s = named(s, columns)
	statements := []string{"CREATE TABLE " + quoted(n) + " (" + definitions + ")"}
	if p := tx.w.physical(); p != nil {
		statements = p.CreateTable(n, definitions, partitionBy, s, first)
	}
	for _, sql := range statements {
		if _, err := tx.tx.Exec(ctx, sql); err != nil {
			return madeMeanwhile(err, func() bool { return true })
		}
	}
	return nil
}

// named gives what a table is stored by with the names as its columns have them; a name differs in letter case at most.
func named(s pipeline.Storage, columns []driver.Column) pipeline.Storage {
	exact := func(names []string) []string {
		names = slices.Clone(names)
		for i, name := range names {
			if k := slices.IndexFunc(columns, func(c driver.Column) bool { return strings.EqualFold(c.Name, name) }); k >= 0 {
				names[i] = columns[k].Name
			}
		}
		return names
	}
	s.Indexes = slices.Clone(s.Indexes)
	for i, index := range s.Indexes {
		s.Indexes[i] = exact(index)
	}
	s.DistributedBy = exact(s.DistributedBy)
	return s
}

// madeMeanwhile makes a conflict of the error that a name is taken which this transaction has not seen, when what it wanted to
// make is there by now.
func madeMeanwhile(err error, there func() bool) error {
	e := (*driver.Error)(nil)
	if !errors.As(err, &e) || e.Class != driver.Exists || !there() {
		return err
	}
	conflict := *e
	conflict.Class = driver.Conflict
	return &conflict
}

// Append adds the reader's rows to a table, matching columns by name, and gives their number.
func (tx *Tx) Append(ctx context.Context, table string, rows array.RecordReader) (int64, error) {
	n, err := parseName(table)
	if err != nil {
		return 0, err
	}
	count, err := tx.tx.Append(ctx, n, rows)
	return count, finding(sqltext.Text{}, err)
}

// Progress is told of each finished statement of a script: statement i of n (from 1) changed rows rows (-1: not known) in d.
type Progress func(i, n int, rows int64, d time.Duration)

// Script runs the statements of a text one after the other and gives the number of rows they changed. progress may be nil.
func (tx *Tx) Script(ctx context.Context, text sqltext.Text, progress Progress) (rows int64, err error) {
	return script(text, progress, func(statement sqltext.Text) (int64, error) { return tx.run(ctx, statement) })
}

func script(text sqltext.Text, progress Progress, run func(statement sqltext.Text) (int64, error)) (rows int64, err error) {
	statements := text.Split()
	for i, statement := range statements {
		began := time.Now()
		n, err := run(statement)
		if err != nil {
			return rows, err
		}
		rows += max(n, 0)
		if progress != nil {
			progress(i+1, len(statements), n, time.Since(began))
		}
	}
	return rows, nil
}
