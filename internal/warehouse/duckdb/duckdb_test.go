//go:build duckdb_arrow

package duckdb_test

import (
	"path/filepath"
	"testing"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/drivertest"
	"damson/internal/warehouse/duckdb"
)

func open(t *testing.T, o duckdb.Options) *duckdb.Warehouse {
	t.Helper()
	w, err := duckdb.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestConformanceInFile(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) driver.Warehouse {
		return open(t, duckdb.Options{Path: filepath.Join(t.TempDir(), "warehouse.duckdb"), Threads: 2})
	})
}

func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, func(t *testing.T) driver.Warehouse { return open(t, duckdb.Options{Threads: 2}) })
}
