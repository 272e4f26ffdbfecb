package tasks

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/engine"
	"damson/internal/load"
)

// ParquetReader streams the rows of a Parquet file.
type ParquetReader func(ctx context.Context, path string) (array.RecordReader, error)

// loadExecutor reads files into a table.
type loadExecutor struct{ *Shop }

// Execute renders the globs and loads what changed.
func (e loadExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	c, err := e.workContext(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	spec := *w.Task.Load
	if spec.Root, spec.Files, err = e.Project.LoadFiles(w.Task, c); err != nil {
		return engine.Outcome{}, err
	}
	result, err := load.Run(ctx, e.Warehouse, spec, e.Project.Dir, w.Claims, load.Options{
		Threads: e.Project.Environment.Limits.Threads,
		Parquet: e.Parquet,
		Clock:   e.Clock,
	})
	if err != nil {
		return engine.Outcome{}, err
	}
	if result.Rejects > 0 {
		w.Log.Warnf("%d lines did not parse; they are in damson.rejects with their reasons", result.Rejects)
	}
	return engine.Outcome{Result: result}, nil
}
