//go:build duckdb_arrow

package duckdb

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow/array"
	duckdbgo "github.com/duckdb/duckdb-go/v2"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// WriteParquet writes the reader's rows to a Parquet file, compressed with zstd, in the order they come. What stood at
// path before is replaced; when writing fails, nothing stands there.
func WriteParquet(ctx context.Context, path string, rows array.RecordReader) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(diag.Finding{
				Severity: diag.Error,
				Summary:  "The Parquet file " + path + " cannot be written",
				Detail:   err.Error(),
				Cause:    err,
			}, removeIfThere(path))
		}
	}()
	connector, err := duckdbgo.NewConnector("", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connector.Close()) }()
	c, err := connector.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return copyToParquet(ctx, c, path, rows)
}

// copyToParquet runs COPY over the stream itself. The stream may be registered as a view here, because this database is
// gone when the file is written.
func copyToParquet(ctx context.Context, c sqldriver.Conn, path string, rows array.RecordReader) error {
	arrow, err := duckdbgo.NewArrowFromConn(c)
	if err != nil {
		return err
	}
	release, err := arrow.RegisterView(rows, "damson_rows")
	if err != nil {
		return err
	}
	defer release()
	execer, ok := c.(sqldriver.ExecerContext)
	if !ok {
		return fmt.Errorf("a connection of type %T runs no statements", c)
	}
	sql := "COPY (SELECT * FROM damson_rows) TO " + sqltext.QuoteLiteral(path) + " (FORMAT parquet, COMPRESSION zstd)"
	_, err = execer.ExecContext(ctx, sql, nil)
	if source := rows.Err(); source != nil {
		return source
	}
	return err
}

func removeIfThere(path string) error {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return os.Remove(path)
}

// ReadParquet streams the rows of a Parquet file in portable types.
func ReadParquet(ctx context.Context, path string) (array.RecordReader, error) {
	w, err := Open(ctx, Options{})
	if err != nil {
		return nil, err
	}
	r, err := w.Query(ctx, "SELECT * FROM read_parquet("+sqltext.QuoteLiteral(path)+")")
	if err != nil {
		return nil, errors.Join(diag.Finding{
			Severity: diag.Error,
			Summary:  "The Parquet file " + path + " cannot be read",
			Detail:   err.Error(),
			Cause:    err,
		}, w.Close())
	}
	stream := r.(*reader)
	giveBack := stream.onClose
	stream.onClose = func() {
		giveBack()
		_ = w.Close() // in memory: there is nothing left to write
	}
	return stream, nil
}
