// Package warehousetest opens real warehouses for tests: empty ones, which are closed at the end of the test. A package that opens
// PostgreSQL calls pgtest.Main in its TestMain.
package warehousetest

import (
	"database/sql"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // for database/sql, as the next
	_ "github.com/jackc/pgx/v5/stdlib"

	"damson/internal/pgtest"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/postgres"
)

// Kinds are those that Open knows.
var Kinds = []string{"duckdb", "postgres"}

// Open opens an empty warehouse of a kind.
func Open(t testing.TB, kind string) *warehouse.Warehouse {
	t.Helper()
	return house(t, open(t, kind))
}

// Each opens an empty warehouse of every kind.
func Each(t testing.TB) map[string]*warehouse.Warehouse {
	t.Helper()
	all := map[string]*warehouse.Warehouse{}
	for _, kind := range Kinds {
		all[kind] = Open(t, kind)
	}
	return all
}

// Postgres opens the PostgreSQL database at a URL.
func Postgres(t testing.TB, url string) *warehouse.Warehouse {
	t.Helper()
	return house(t, openPostgres(t, url))
}

// Driver opens an empty database of a kind as its driver has it.
func Driver(t testing.TB, kind string) driver.Warehouse {
	t.Helper()
	d := open(t, kind)
	closeAtEnd(t, d)
	return d
}

// SQL opens an empty database of a kind through database/sql.
func SQL(t testing.TB, kind string) *sql.DB {
	t.Helper()
	name, url := "duckdb", ""
	if kind == "postgres" {
		name, url = "pgx", pgtest.Database(t)
	}
	db, err := sql.Open(name, url)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, db)
	return db
}

func house(t testing.TB, d driver.Warehouse) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, w)
	return w
}

func open(t testing.TB, kind string) driver.Warehouse {
	t.Helper()
	if kind == "postgres" {
		return openPostgres(t, pgtest.Database(t))
	}
	d, err := duckdb.Open(t.Context(), duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openPostgres(t testing.TB, url string) driver.Warehouse {
	t.Helper()
	d, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func closeAtEnd(t testing.TB, w interface{ Close() error }) {
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}
