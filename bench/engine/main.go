// Command engine measures what Damson itself costs: as a scheduler over SQLite and over PostgreSQL, with everything durable
// (fsync) that a task run records.
//
//	go run ./bench/engine [flags] chain       tasks one after the other, against the same commands in a plain loop
//	go run ./bench/engine [flags] backfill    365 days × 12 tasks that do nothing
//	go run ./bench/engine [flags] start       from `damson serve` to the first task; a changed file; memory at rest
//	go run ./bench/engine [flags] million     the same with 1,000,000 finished task runs in the store
//	go run ./bench/engine [flags] peer        the chains of processes in Prefect, beside Damson
//
// The workloads, so that others can repeat them:
//
//	chain     One run of a pipeline whose N tasks run one after the other. Processes: each task is `python3 fibo.py K`, with
//	          the doubly recursive Fibonacci function; N × fibo(K) is 40 × fibo(10), 10 × fibo(33), 400 × fibo(10), the
//	          workloads of Windmill's published benchmark. Statements: each task is the script `SELECT 1` in DuckDB, 40 and
//	          400 of them. The time is that from the start to the end of the run as the store has recorded them. Floor: the
//	          same commands started in a loop, or the same statements on the same kind of DuckDB file. Overhead = (time −
//	          floor) / N. `serve` is a running server that is asked for the run, `run` the command on its own.
//	backfill  A daily pipeline of 12 tasks in a chain, 365 days, each day alone (batch 1). "no-op" is the scheduler with its
//	          store and an executor that returns at once, in this process; "SELECT 1" is `damson serve`, each task a script in
//	          DuckDB with its ledger row; "command" is `damson backfill` without a server. Time from the making to the end of
//	          the backfill as recorded. Floors: the 4,380 statements on bare DuckDB, and each in a transaction with one row.
//	start     Processes are started anew. "first" is a project that Damson has never seen, every pipeline due at once; "again" a
//	          project that it knows, nothing due but one run that somebody asked for. Each pipeline has 12 tasks; with "own" SQL
//	          each task has a file of its own (12,000 for 1,000 pipelines), with "shared" SQL twelve files serve all. A change is
//	          one pipeline's file that gets another start date, so that a run is due: time from the write to that run. Memory is
//	          the resident set after ten seconds in which nothing was due.
//	million   40 other pipelines with 2,084 ended runs of 12 tasks each, three changes of history and a line of log a task run.
//
// docs/performance.md tells what was found.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"damson/internal/pgtest"
)

// bench is what all measurements share.
type bench struct {
	damson  string // the program
	rounds  int
	dir     string // for projects
	server  *pgtest.Server
	stores  []string // "sqlite", "postgres"
	sites   int
	profile string
	sizes   []int
	steps   string
	python  string // that runs the tasks
	peers   string // the Python that has the peers
}

func main() {
	var b bench
	var stores string
	var large int
	flag.StringVar(&b.damson, "damson", "bin/damson", "the `program` to measure")
	flag.IntVar(&b.rounds, "rounds", 3, "of each measurement; medians are told")
	flag.StringVar(&stores, "stores", "sqlite,postgres", "the stores to measure over")
	flag.StringVar(&b.peers, "python", "python3", "the `interpreter` that has the peers prefect and luigi")
	flag.IntVar(&large, "pipelines", 1000, "of the large project")
	flag.StringVar(&b.profile, "profile", "", "write a CPU profile of the no-op backfills to this `file`")
	flag.StringVar(&b.steps, "only", "", "only workloads whose name contains this `text`")
	flag.Parse()
	b.stores, b.sizes = strings.Split(stores, ","), []int{1, large}
	if err := b.run(context.Background(), flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, part string) (err error) {
	parts := map[string]func(context.Context) error{"chain": b.chains, "backfill": b.backfills, "start": b.starts, "million": b.million, "peer": b.peer}
	do := parts[part]
	if do == nil {
		return fmt.Errorf("use: engine [flags] chain | backfill | start | million | peer; -h tells more")
	}
	if b.damson, err = filepath.Abs(b.damson); err != nil {
		return err
	}
	if err := b.findPython(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "damson-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if slices.Contains(b.stores, "postgres") {
		if b.server, err = pgtest.Launch(); err != nil {
			return err
		}
		defer b.server.Remove()
	}
	fmt.Printf("%d processors, load %s; medians of %d\n\n", runtime.NumCPU(), load(), b.rounds)
	err = do(ctx)
	fmt.Printf("\nload at the end %s\n", load())
	return err
}

// findPython finds the interpreter itself: what PATH has may be a script that looks for it, ten times as slow.
func (b *bench) findPython() error {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return fmt.Errorf("the chains of processes need python3: %w", err)
	}
	b.python = strings.TrimSpace(string(out))
	return os.Setenv("DAMSON_PYTHON", b.python)
}

// load is the machine's load averages: what else it does.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// median is the middle of the values.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// spread writes the median and the range of durations in milliseconds.
func spread(all []time.Duration) string {
	return fmt.Sprintf("%.0f (%.0f–%.0f)", milliseconds(median(all)), milliseconds(slices.Min(all)), milliseconds(slices.Max(all)))
}
