package cli

import (
	"context"
	"fmt"
	"time"

	"damson/internal/cli/console"
	"damson/internal/doctor"
	"damson/internal/project"
	storedriver "damson/internal/store/driver"
	"damson/internal/store/postgres"
	"damson/internal/store/sqlite"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	pgwarehouse "damson/internal/warehouse/postgres"
)

// drivers are the concrete ones.
var drivers = console.Drivers{
	StoreFile:   func(ctx context.Context, path string) (storedriver.DB, error) { return sqlite.Open(ctx, path) },
	StoreServer: func(ctx context.Context, url string) (storedriver.DB, error) { return postgres.Open(ctx, url) },
	LookAtStore: func(ctx context.Context, url string, patience time.Duration, now func() time.Time) (doctor.StoreServer, error) {
		sight, err := postgres.Look(ctx, url, patience, now)
		return doctor.StoreServer(sight), err
	},
	Embedded: openDuckDB,
	Server: func(ctx context.Context, url string, o console.ServerOptions) (driver.Warehouse, error) {
		return pgwarehouse.Open(ctx, url, pgwarehouse.Options(o))
	},
	ServerConnections: pgwarehouse.DefaultMaxConns,
	ReadParquet:       duckdb.ReadParquet,
	WriteParquet:      duckdb.WriteParquet,
}

func openDuckDB(ctx context.Context, path string, l project.Limits) (driver.Warehouse, error) {
	opts := duckdb.Options{Path: path, Threads: l.Threads}
	if l.Memory > 0 {
		opts.MemoryLimit = fmt.Sprintf("%dB", l.Memory)
	}
	return duckdb.Open(ctx, opts)
}
