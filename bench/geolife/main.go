// Command geolife measures the GeoLife example against bare DuckDB in the same run.
//
//	go run -tags duckdb_arrow ./bench/geolife overhead          the engine's time beyond the SQL, a task
//	go run -tags duckdb_arrow ./bench/geolife scale [-points N] load, backfill and training of years of points
//
// overhead runs the 26-day backfill day by day (--batch 1) on generated files, recording each statement that the tasks
// send, and then replays the same statements on a copy of the database through a bare connection.
//
// scale runs load, backfill and training as the processes a user would start, with the largest memory of each, and
// compares load and backfill with the same work as one set of statements over all days at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "use: geolife overhead | scale [-points N] [-days N]")
		os.Exit(2)
	}
	var err error
	ctx := context.Background()
	switch os.Args[1] {
	case "overhead":
		err = overhead(ctx)
	case "scale":
		flags := flag.NewFlagSet("scale", flag.ExitOnError)
		points := flags.Int("points", 25_000_000, "points to generate")
		days := flags.Int("days", 1826, "days they span")
		_ = flags.Parse(os.Args[2:])
		err = scale(ctx, *points, *days)
	case "floor": // what scale starts as a process of its own
		err = floor(ctx, os.Args[2])
	default:
		err = fmt.Errorf("unknown benchmark %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// since is the time from start in seconds.
func since(start time.Time) float64 { return time.Since(start).Seconds() }
