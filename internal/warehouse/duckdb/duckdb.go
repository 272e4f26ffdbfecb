//go:build duckdb_arrow

// Package duckdb is the embedded warehouse: the driver of DuckDB. Its central type is Warehouse, one open database file,
// which one process at a time can hold. It is built on DuckDB's C interface because that alone streams results; rows
// travel as Arrow record batches in both directions without being kept. It installs and loads no extensions.
package duckdb

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/warehouse/driver"
)

// Options tune a database; the zero value is a database in memory with DuckDB's own limits.
type Options struct {
	Path        string // of the database file, made when absent; "" = in memory
	MemoryLimit string // for example "4GB"; "" = 80 % of the machine's memory
	Threads     int    // 0 = one per core
	TempDir     string // where results larger than memory go; "" = beside the file
	ReadOnly    bool
}

// Warehouse is one open database.
type Warehouse struct{ driver.Warehouse }

// Open opens or makes a database.
func Open(ctx context.Context, o Options) (*Warehouse, error) {
	return nil, errors.New("duckdb: not written yet")
}

// WriteParquet writes the reader's rows to a Parquet file, compressed with zstd.
func WriteParquet(ctx context.Context, path string, rows array.RecordReader) error {
	return errors.New("duckdb: not written yet")
}

// ReadParquet streams the rows of a Parquet file.
func ReadParquet(ctx context.Context, path string) (array.RecordReader, error) {
	return nil, errors.New("duckdb: not written yet")
}
