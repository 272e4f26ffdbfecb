// Command geolife measures the GeoLife example against bare DuckDB in the same run.
//
//	go run ./bench/geolife overhead [-rounds N]           the engine's time beyond the SQL, a task
//	go run ./bench/geolife scale [-points N] [-data DIR]  load, backfill and training of five years of points
//
// overhead runs the 26-day backfill day by day (batches of 1) on generated files, recording each statement that the tasks
// send, and then replays the same statements on a copy of the database through a bare connection.
//
// scale runs load, backfill, training and scoring as the processes a user would start (bin/damson), with the largest memory
// of each, and compares them with the same work as one set of statements over all days at once, a process too. It checks
// that both gave the same numbers of rows.
//
// docs/performance.md tells what the numbers mean.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "use: geolife overhead [-rounds N] | scale [-points N] [-data DIR]; -h after either tells more")
		os.Exit(2)
	}
	if err := bench(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, part string, args []string) error {
	flags := flag.NewFlagSet(part, flag.ExitOnError)
	switch part {
	case "overhead":
		rounds := flags.Int("rounds", 5, "pairs of a backfill and a replay")
		_ = flags.Parse(args) // it exits by itself
		return overhead(ctx, *rounds)
	case "scale":
		var o scaleOptions
		flags.IntVar(&o.points, "points", 25_000_000, "points to make, to within some 10 %")
		flags.IntVar(&o.users, "users", 100, "people who recorded them")
		flags.IntVar(&o.days, "days", 1826, "days they span")
		flags.StringVar(&o.data, "data", "", "directory for the made files, kept for the next time (default: a temporary one)")
		flags.StringVar(&o.damson, "damson", "bin/damson", "the program to measure")
		flags.IntVar(&o.batch, "batch", 0, "days that the backfill executes at once (default: as the program does)")
		flags.StringVar(&o.memory, "memory", "", `memory of the warehouse, for both sides, for example "8GB" (default: what the example's damson.yaml says)`)
		_ = flags.Parse(args)
		return scale(ctx, o)
	case "floor": // what scale starts as a process of its own
		return floor(ctx, args[0])
	}
	return fmt.Errorf("unknown benchmark %q", part)
}

// spent is what some work took.
type spent struct{ wall, cpu float64 } // seconds

// stopwatch measures this process until it is read.
func stopwatch() func() spent {
	start, before := time.Now(), processorSeconds()
	return func() spent { return spent{time.Since(start).Seconds(), processorSeconds() - before} }
}

// processorSeconds are those that this process has used so far, in all its threads.
func processorSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// median is the middle of the values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
