//go:build !duckdb_arrow

package duckdb

// Rows travel as Arrow, which the DuckDB library has only with the build tag duckdb_arrow.
var _ = build_with_make_or_with_go_build_tags_duckdb_arrow
