package postgres_test

import (
	"testing"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

// BenchmarkRoundTrips measures what small work costs beside the server's own time: a statement, a query with its rows read, a
// transaction, the columns of a table.
func BenchmarkRoundTrips(b *testing.B) {
	w := open(b, pgtest.Database(b), postgres.Options{})
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"exec", func() error { _, err := w.Exec(b.Context(), `SELECT 1`); return err }},
		{"query", func() error {
			r, err := w.Query(b.Context(), `SELECT 1`)
			if err == nil {
				_, err = rows.ReadAll(r)
			}
			return err
		}},
		{"transaction", func() error {
			tx, err := w.Begin(b.Context())
			if err != nil {
				return err
			}
			if _, err := tx.Exec(b.Context(), `SELECT 1`); err != nil {
				return err
			}
			return tx.Commit(b.Context())
		}},
		{"table", func() error {
			_, err := w.Table(b.Context(), w, driver.Name{Schema: "pg_catalog", Table: "pg_authid"})
			return err
		}},
		{"describe", func() error {
			_, err := w.Describe(b.Context(), w, `SELECT relname, relpages FROM pg_class`)
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
