package postgres

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// TestAppendedTablesAreNotRemembered appends to a table as each attempt of a program's task does to one of its own.
func TestAppendedTablesAreNotRemembered(t *testing.T) {
	t.Parallel()
	w, err := Open(t.Context(), pgtest.Database(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Exec(t.Context(), `CREATE TABLE staged (x bigint)`); err != nil {
		t.Fatal(err)
	}
	r, err := rows.New(arrow.NewSchema([]arrow.Field{rows.Field("x", rows.BigintType)}, nil), [][]any{{int64(1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Append(t.Context(), driver.Name{Table: "staged"}, r); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.looks.Range(func(table, _ any) bool {
		t.Errorf("%v is remembered", table)
		return true
	})
}
