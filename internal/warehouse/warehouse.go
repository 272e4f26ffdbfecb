// Package warehouse is the portable type in front of a database. Its central type is Warehouse: it runs SQL that knows its
// file, writes the rows of a SELECT into a table so that doing it twice changes nothing, and records in the same
// transaction that a task's attempt has committed. What differs between databases lives behind package driver.
//
// Invariants:
//  1. What Do's function writes and the ledger rows of its claims commit together or not at all.
//  2. A claim commits at most once.
//  3. Into leaves every row outside its data interval as it was.
//  4. Every error of the database leads to a line of the user's file when the database says where.
package warehouse

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// ErrCommitted says that the ledger already has one of the claims: that attempt's writes are in the warehouse.
var ErrCommitted = errors.New("this attempt has already committed to the warehouse")

// Warehouse is one open database. All methods may be called at the same time.
type Warehouse struct {
	driver driver.Warehouse
}

// Interval is a data interval: Start belongs to it, End does not. Zero width means the moment Start.
type Interval struct{ Start, End time.Time }

// Written tells what Into did.
type Written struct {
	Rows     int64 `json:"rows"`              // rows the SELECT gave, all of them now in the table
	Replaced int64 `json:"replaced"`          // rows that made way for them
	Created  bool  `json:"created,omitempty"` // the table did not exist before
}

var errUnfinished = errors.New("warehouse: not written yet")

// New prepares an open database for use: it makes schema damson with the tables ledger and rejects when they are absent.
func New(ctx context.Context, w driver.Warehouse) (*Warehouse, error) { return &Warehouse{driver: w}, nil }

// Kind is the kind of database, for example "duckdb".
func (w *Warehouse) Kind() string { return w.driver.Capabilities().Kind }

// Capabilities are what the database can do.
func (w *Warehouse) Capabilities() driver.Capabilities { return w.driver.Capabilities() }

// Close ends the use of the database.
func (w *Warehouse) Close() error { return w.driver.Close() }

// Query streams the rows of one statement, outside of any transaction. The reader must be released.
func (w *Warehouse) Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error) {
	return nil, errUnfinished
}

// Describe gives the columns of a SELECT without running it.
func (w *Warehouse) Describe(ctx context.Context, text sqltext.Text) ([]driver.Column, error) {
	return nil, errUnfinished
}

// Table gives the columns of a table or view, nil when there is none.
func (w *Warehouse) Table(ctx context.Context, name string) ([]driver.Column, error) {
	return nil, errUnfinished
}

// Do runs f in one transaction and commits its writes together with a ledger row for each claim, whose result is what f
// gives, as JSON. A claim that the ledger already has makes Do return ErrCommitted, and nothing is written. When another
// transaction gets in the way, f runs again from the start, so it must do nothing that cannot be done twice outside tx.
func (w *Warehouse) Do(ctx context.Context, claims []run.Claim, f func(tx *Tx) (result any, err error)) error {
	return errUnfinished
}

// Committed gives the results of those of the claims that the ledger has.
func (w *Warehouse) Committed(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return nil, errUnfinished
}

// Checksum gives the number of rows of a table and a sum over their values that depends neither on the rows' order nor on
// the database.
func (w *Warehouse) Checksum(ctx context.Context, table string) (rows int64, sum string, err error) {
	return 0, "", errUnfinished
}

// Tx is a transaction inside Do. A reader that Query gives must be read to its end or released before the next statement.
type Tx struct {
	w  *Warehouse
	tx driver.Tx
}

// Exec runs one statement and gives the number of rows it changed, -1 when the database does not say.
func (tx *Tx) Exec(ctx context.Context, text sqltext.Text) (int64, error) { return 0, errUnfinished }

// Query streams the rows of one statement.
func (tx *Tx) Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error) {
	return nil, errUnfinished
}

// Describe gives the columns of a SELECT without running it.
func (tx *Tx) Describe(ctx context.Context, text sqltext.Text) ([]driver.Column, error) {
	return nil, errUnfinished
}

// Table gives the columns of a table or view, nil when there is none.
func (tx *Tx) Table(ctx context.Context, name string) ([]driver.Column, error) {
	return nil, errUnfinished
}

// CreateTable makes a table, and its schema when that is absent; each column's Type decides, its Native is not looked at.
func (tx *Tx) CreateTable(ctx context.Context, name string, columns []driver.Column) error {
	return errUnfinished
}

// Append adds the reader's rows to a table, matching columns by name, and gives their number.
func (tx *Tx) Append(ctx context.Context, table string, rows array.RecordReader) (int64, error) {
	return 0, errUnfinished
}

// Into writes the rows of a SELECT into the target's table.
func (tx *Tx) Into(ctx context.Context, sel sqltext.Text, target pipeline.Target, interval Interval) (Written, error) {
	return Written{}, errUnfinished
}

// Progress is told of each finished statement of a script: statement i of n (from 1) changed rows rows (-1: not known) in d.
type Progress func(i, n int, rows int64, d time.Duration)

// Script runs the statements of a text one after the other and gives the number of rows they changed.
func (tx *Tx) Script(ctx context.Context, text sqltext.Text, progress Progress) (rows int64, err error) {
	return 0, errUnfinished
}
