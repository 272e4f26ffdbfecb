// Package drivertest is the conformance suite of the warehouse: what every driver, and the portable type in front of it,
// must do on its database. Its central function is Run. It writes only SQL that all databases understand.
package drivertest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// Open gives a fresh, empty database, which ends with the test.
type Open func(t *testing.T) driver.Warehouse

// Run runs the suite, each test on a database of its own.
func Run(t *testing.T, open Open) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*testing.T, driver.Warehouse)
	}{
		{"driver", driverTests},
		{"into", intoTests},
		{"ledger", ledgerTests},
		{"settle", settleTests},
		{"loose", looseTests},
	} {
		for name, test := range group.tests {
			t.Run(group.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
}

// portable puts the portable type in front of a driver.
func portable(t *testing.T, d driver.Warehouse) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// exec runs statements that must succeed.
func exec(t *testing.T, q driver.Querier, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := q.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s\n%v", sql, err)
		}
	}
}

// ask gives a query's rows.
func ask(t *testing.T, q driver.Querier, sql string) [][]any {
	t.Helper()
	r, err := q.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	all, err := rows.ReadAll(r)
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	return all
}

// want compares a query's rows with those expected.
func want(t *testing.T, q driver.Querier, sql string, expected ...[]any) {
	t.Helper()
	if d := cmp.Diff(expected, ask(t, q, sql)); d != "" {
		t.Errorf("%s\n(-want +got)\n%s", sql, d)
	}
}

// count gives the number that a query's only row has.
func count(t *testing.T, q driver.Querier, sql string) int64 {
	t.Helper()
	return ask(t, q, sql)[0][0].(int64)
}

// asError gives the driver's error of a failure that must be one.
func asError(t *testing.T, err error) *driver.Error {
	t.Helper()
	var e *driver.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %T (%v), want a *driver.Error in it", err, err)
	}
	return e
}

// asFinding gives the finding of a failure that must be one.
func asFinding(t *testing.T, err error) diag.Finding {
	t.Helper()
	var f diag.Finding
	if !errors.As(err, &f) {
		t.Fatalf("error is %T (%v), want a diag.Finding", err, err)
	}
	return f
}

// text is SQL from a file.
func text(sql string) sqltext.Text { return sqltext.Plain("sql/test.sql", sql) }

// inTx runs f in a transaction without claims and gives its error.
func inTx(ctx context.Context, w *warehouse.Warehouse, f func(tx *warehouse.Tx) error) error {
	return w.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) { return nil, f(tx) })
}
