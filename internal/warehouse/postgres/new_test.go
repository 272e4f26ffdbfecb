package postgres_test

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"damson/internal/pgtest"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

// TestProcessesMakeDamsonsTablesAtOnce has several processes open a warehouse that none has opened before, time and again.
func TestProcessesMakeDamsonsTablesAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	const processes, rounds = 6, 20
	var all [processes]driver.Warehouse
	for i := range all {
		all[i] = open(t, url, postgres.Options{})
	}
	for range rounds {
		exec(t, all[0], `DROP SCHEMA IF EXISTS damson CASCADE`)
		var g errgroup.Group
		for _, d := range all {
			g.Go(func() error {
				_, err := warehouse.New(t.Context(), d)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}
