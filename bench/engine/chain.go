package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
	"damson/internal/warehouse/duckdb"
)

const fibo = `import sys

def fibo(n):
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)

print(fibo(int(sys.argv[1])))
`

// chain is a workload: n tasks one after the other.
type chain struct {
	name string // of its pipeline
	n, k int    // k = 0: statements
}

var chains = []chain{
	{name: "fibo_40_10", n: 40, k: 10}, {name: "fibo_10_33", n: 10, k: 33}, {name: "fibo_400_10", n: 400, k: 10},
	{name: "select_40", n: 40}, {name: "select_400", n: 400},
}

func (c chain) title() string {
	if c.k == 0 {
		return fmt.Sprintf("%d × SELECT 1", c.n)
	}
	return fmt.Sprintf("%d × fibo(%d)", c.n, c.k)
}

// published are seconds a task beyond the work that others have measured, on other machines.
const published = `Published, not measured here (docker-compose of each, sequential tasks): Airflow 2.9 s a task, Prefect 0.12, Windmill 0.05 to
0.11, Temporal 0.07 to 0.10 (windmill.dev/docs/misc/benchmarks/competitors: time of 40 × fibo(10) / 40).
`

// declare writes a chain's pipeline.
func (c chain) declare() string {
	task := `p.sql("t%d" % i, file = "sql/one.sql")`
	if c.k > 0 {
		task = fmt.Sprintf(`p.python("t%%d" %% i, file = "python/fibo.py", args = ["%d"])`, c.k)
	}
	return fmt.Sprintf("p = pipeline(name = %q)\nchain(*[%s for i in range(%d)])\n", c.name, task, c.n)
}

func chainFiles() map[string]string {
	files := map[string]string{"damson.yaml": "name: bench\n", "python/fibo.py": fibo, "sql/one.sql": "SELECT 1\n"}
	for _, c := range chains {
		files["pipelines/"+c.name+".star"] = c.declare()
	}
	return files
}

// chains prints time, floor and overhead of every chain over every store.
func (b *bench) chains(ctx context.Context) error {
	fmt.Println("overhead: milliseconds a task beyond the floor, the median of the rounds' (and that between the fastest rounds)")
	fmt.Printf("%-10s %-18s %9s %9s %18s %9s %9s %18s\n", "store", "chain", "floor s", "serve s", "overhead", "its CPU", "run s", "overhead")
	for _, kind := range b.stores {
		s, err := b.site(kind, chainFiles())
		if err != nil {
			return err
		}
		for _, c := range chains {
			if !strings.Contains(c.name, b.steps) {
				continue
			}
			if err := s.measureChain(ctx, c); err != nil {
				return err
			}
		}
		if err := s.close(); err != nil {
			return err
		}
	}
	fmt.Print("\n", published)
	return nil
}

// measureChain measures floor, server and command in turn, so that a machine that gets slower does so for all.
func (s *site) measureChain(ctx context.Context, c chain) error {
	var floors, serves, runs []time.Duration
	var each [3][]float64
	for range s.rounds {
		before := processorTime()
		floor, err := s.floor(ctx, c)
		if err != nil {
			return err
		}
		floorCPU := processorTime() - before
		served, cpu, err := s.serveChain(ctx, c)
		if err != nil {
			return err
		}
		ran, err := s.runChain(ctx, c)
		if err != nil {
			return err
		}
		floors, serves, runs = append(floors, floor), append(serves, served), append(runs, ran)
		each[0] = append(each[0], milliseconds(served-floor)/float64(c.n))
		each[1] = append(each[1], milliseconds(ran-floor)/float64(c.n))
		each[2] = append(each[2], milliseconds(cpu-floorCPU)/float64(c.n))
	}
	fastest := func(all []time.Duration) float64 {
		return milliseconds(slices.Min(all)-slices.Min(floors)) / float64(c.n)
	}
	fmt.Printf("%-10s %-18s %9.3f %9.3f %9.2f (%6.2f) %9.2f %9.3f %9.2f (%6.2f)\n", s.kind, c.title(), median(floors).Seconds(),
		median(serves).Seconds(), median(each[0]), fastest(serves), median(each[2]), median(runs).Seconds(), median(each[1]), fastest(runs))
	return nil
}

// floor does a chain's work without Damson.
func (s *site) floor(ctx context.Context, c chain) (time.Duration, error) {
	if c.k == 0 {
		return s.floorSQL(ctx, c.n)
	}
	begun := time.Now()
	for range c.n {
		cmd := exec.CommandContext(ctx, s.python, "python/fibo.py", fmt.Sprint(c.k))
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("the floor: %w\n%s", err, out)
		}
	}
	return time.Since(begun), nil
}

func (s *site) floorSQL(ctx context.Context, n int) (time.Duration, error) {
	db, err := duckdb.Open(ctx, duckdb.Options{Path: filepath.Join(s.bench.dir, "floor.duckdb")})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	begun := time.Now()
	for range n {
		if _, err := db.Exec(ctx, "SELECT 1"); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

// serveChain asks a server for the run and gives also the processor time that it took.
func (s *site) serveChain(ctx context.Context, c chain) (took, cpu time.Duration, err error) {
	v, err := s.serve()
	if err != nil {
		return 0, 0, err
	}
	defer v.stop()
	if err := v.ready(ctx); err != nil {
		return 0, 0, err
	}
	before := v.cpu()
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	answer, err := s.ask(ctx, scheduler.Request{Kind: scheduler.ReqRun, Pipeline: c.name, Start: at, End: at, By: "bench"})
	if err != nil {
		return 0, 0, err
	}
	r, err := s.ended(ctx, answer.Runs[0])
	return r.Ended.Sub(r.Started), v.cpu() - before, err
}

// runChain runs the command.
func (s *site) runChain(ctx context.Context, c chain) (time.Duration, error) {
	if err := s.command("run", c.name); err != nil {
		return 0, err
	}
	runs, err := s.store.Runs(ctx, store.RunFilter{Pipeline: c.name, States: []run.State{run.Success}, Newest: true, Limit: 1})
	if err != nil || len(runs) == 0 {
		return 0, fmt.Errorf("damson run %s left no run: %w", c.name, err)
	}
	return runs[0].Ended.Sub(runs[0].Started), nil
}
