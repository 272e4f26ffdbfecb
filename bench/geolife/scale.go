package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"damson/examples"
	"damson/internal/citydata"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/sqlite"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/rows"
)

type scaleOptions struct {
	points, users, days, batch int
	data, damson, memory       string
}

// process is a program that has ended.
type process struct {
	name string
	spent
	peak int64 // bytes of memory
	out  []byte
}

// scale measures the whole way through many years of days.
func scale(ctx context.Context, o scaleOptions) error {
	dir, err := os.MkdirTemp("", "damson-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.damson, err = filepath.Abs(o.damson); err != nil {
		return err
	}
	if o.data == "" {
		o.data = filepath.Join(dir, "city")
	}
	if err := makeCity(ctx, o); err != nil {
		return err
	}
	root := filepath.Join(dir, "project")
	if err := makeProject(root, o); err != nil {
		return err
	}
	fmt.Printf("%d processors\n\n%-34s %9s %9s %9s\n", runtime.NumCPU(), "process", "wall s", "CPU s", "peak MiB")
	bare, err := startFloor(ctx, root, filepath.Join(dir, "bare.duckdb"))
	if err != nil {
		return err
	}
	ours, err := damson(ctx, root, o)
	if err != nil {
		return err
	}
	if err := printStages(ctx, root, bare); err != nil {
		return err
	}
	if err := compareRows(ctx, filepath.Join(root, ".damson", "warehouse.duckdb"), filepath.Join(dir, "bare.duckdb")); err != nil {
		return err
	}
	return judge(ours, bare)
}

// What the project promises: load, backfill and training against the statements at once, and the memory of each process.
const (
	mostRatio  = 3.0
	mostMemory = 6 << 30
)

// judge tells the ratios and fails when they are worse than promised.
func judge(ours []process, bare process) error {
	upTo := func(n int) (sum spent) {
		for _, p := range ours[:n] {
			sum.wall, sum.cpu = sum.wall+p.wall, sum.cpu+p.cpu
		}
		return sum
	}
	tables, all := upTo(2), upTo(3)
	fmt.Printf("\nagainst one set of statements      wall      CPU\nload + backfill                %8.2f %8.2f\nload + backfill + training     %8.2f %8.2f\n",
		tables.wall/bare.wall, tables.cpu/bare.cpu, all.wall/bare.wall, all.cpu/bare.cpu)
	var broken []error
	if r := all.wall / bare.wall; r > mostRatio {
		broken = append(broken, fmt.Errorf("load, backfill and training take %.2f times one set of statements; at most %.0f is promised", r, mostRatio))
	}
	for _, p := range ours {
		if p.peak > mostMemory {
			broken = append(broken, fmt.Errorf("%s took %d MiB of memory; at most %d is promised", p.name, p.peak>>20, int64(mostMemory)>>20))
		}
	}
	return errors.Join(broken...)
}

// makeCity makes the files, unless they are there.
func makeCity(ctx context.Context, o scaleOptions) error {
	if _, err := os.Stat(filepath.Join(o.data, "Data")); err == nil {
		fmt.Printf("files as they are in %s\n", o.data)
		return nil
	}
	s, err := citydata.Generate(ctx, o.data, citydata.Options{Seed: 1, Users: o.users, Days: o.days, Points: o.points})
	if err != nil {
		return err
	}
	fmt.Printf("made %d points of %d users in %d files, %d MB\n", s.Points, s.Users, s.Files, s.Bytes/1e6)
	return nil
}

var (
	dataDirLine = regexp.MustCompile(`(?m)^(\s*)data_dir:.*$`)
	memoryLine  = regexp.MustCompile(`(?m)^(\s*)memory:.*$`)
)

// makeProject makes the example's project over the files.
func makeProject(root string, o scaleOptions) error {
	if err := project.Init(root, examples.GeoLife()); err != nil {
		return err
	}
	data, err := filepath.Abs(o.data)
	if err != nil {
		return err
	}
	path := filepath.Join(root, project.ConfigFile)
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config = dataDirLine.ReplaceAll(config, []byte("${1}data_dir: '"+strings.ReplaceAll(data, "$", "$$")+"'"))
	if o.memory != "" {
		config = memoryLine.ReplaceAll(config, []byte("${1}memory: "+o.memory))
	}
	return os.WriteFile(path, config, 0o644)
}

// damson runs the example's pipelines as a user would, each a process.
func damson(ctx context.Context, root string, o scaleOptions) ([]process, error) {
	from := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	last := from.AddDate(0, 0, o.days-1).Format(time.DateOnly)
	backfill := []string{"backfill", "geolife", "--from", from.Format(time.DateOnly), "--to", last}
	if o.batch > 0 {
		backfill = append(backfill, "--batch", strconv.Itoa(o.batch))
	}
	commands := [][]string{
		{"run", "geolife_load"},
		backfill,
		{"run", "geolife_model_training", "--date", last, "--task", "train_model"},
		append(slices.Clone(backfill), "--task", "predict_walk", "--rerun", "all"),
	}
	names := []string{"damson run geolife_load", "damson backfill geolife", "  … geolife_model_training --task train_model", "  … --task predict_walk --rerun all"}
	var done []process
	for i, args := range commands {
		p, err := start(ctx, names[i], o.damson, append(args, "--project", root)...)
		if err != nil {
			return nil, err
		}
		done = append(done, p)
	}
	return done, nil
}

// startFloor runs floor as a process.
func startFloor(ctx context.Context, root, file string) (process, error) {
	self, err := os.Executable()
	if err != nil {
		return process{}, err
	}
	text, err := json.Marshal(floorOptions{Project: root, File: file})
	if err != nil {
		return process{}, err
	}
	return start(ctx, "one set of statements, bare DuckDB", self, "floor", string(text))
}

// start runs a program to its end, measures it and prints its row.
func start(ctx context.Context, name, program string, args ...string) (process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return process{}, fmt.Errorf("%s: %w\n%s%s", name, err, said.Bytes(), out.Bytes())
	}
	p := process{name: name, out: out.Bytes()}
	p.wall = time.Since(began).Seconds()
	p.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		p.peak = u.Maxrss << 10 // Linux tells kibibytes
	}
	fmt.Printf("%-34s %9.1f %9.1f %9d\n", p.name, p.wall, p.cpu, p.peak>>20)
	return p, nil
}

// printStages tells what each task took in all its executions, beside the floor's one statement for it.
func printStages(ctx context.Context, root string, floor process) error {
	bare := map[string]float64{}
	if err := json.Unmarshal(floor.out, &bare); err != nil {
		return fmt.Errorf("reading what the floor said: %w", err)
	}
	mine, err := executions(ctx, filepath.Join(root, ".damson", "store.sqlite"))
	if err != nil {
		return err
	}
	fmt.Printf("\n%-28s %11s %11s %9s %11s\n", "task", "executions", "runs", "seconds", "at once s")
	for _, name := range slices.SortedFunc(maps.Keys(mine), func(a, b string) int { return cmp.Compare(mine[b].seconds, mine[a].seconds) }) {
		m, atOnce := mine[name], ""
		if s, ok := bare[name]; ok {
			atOnce = fmt.Sprintf("%.1f", s)
		}
		fmt.Printf("%-28s %11d %11d %9.1f %11s\n", name, m.executions, m.runs, m.seconds, atOnce)
	}
	return nil
}

// worked is what a task's executions came to. Their seconds overlap where several tasks ran at a time.
type worked struct {
	executions, runs int
	seconds          float64
}

// executions sums up the store's task runs: those that were executed together have the same times.
func executions(ctx context.Context, file string) (map[string]worked, error) {
	db, err := sqlite.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	s, err := store.New(ctx, db)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	runs, err := s.Runs(ctx, store.RunFilter{})
	if err != nil {
		return nil, err
	}
	type execution struct {
		task           string
		started, ended int64
	}
	seen, all := map[execution]bool{}, map[string]worked{}
	for part := range slices.Chunk(runs, 500) {
		ids := make([]string, len(part))
		for i, r := range part {
			ids[i] = r.ID
		}
		tasks, err := s.TaskRuns(ctx, ids...)
		if err != nil {
			return nil, err
		}
		for _, t := range tasks {
			if t.State != run.Success {
				continue
			}
			w := all[t.Task]
			w.runs++
			if x := (execution{t.Task, t.Started.UnixMicro(), t.Ended.UnixMicro()}); !seen[x] {
				seen[x] = true
				w.executions++
				w.seconds += t.Ended.Sub(t.Started).Seconds()
			}
			all[t.Task] = w
		}
	}
	return all, nil
}

// compareRows makes sure that both ways did the same work.
func compareRows(ctx context.Context, mine, bare string) error {
	a, err := countRows(ctx, mine)
	if err != nil {
		return err
	}
	b, err := countRows(ctx, bare)
	if err != nil {
		return err
	}
	for table, n := range b {
		if a[table] != n {
			return fmt.Errorf("%s has %d rows, and %d when made at once: the two did not do the same", table, a[table], n)
		}
	}
	fmt.Printf("\nthe %d tables have the same numbers of rows both ways; %s\n", len(b), describeCounts(b))
	return nil
}

func describeCounts(counts map[string]int64) string {
	return fmt.Sprintf("%d points, %d windows, %d of them labelled", counts["trajectory_landing"], counts["window_features"], counts["model_features"])
}

// countRows gives the rows of each table of schema geolife that the floor makes too.
func countRows(ctx context.Context, file string) (map[string]int64, error) {
	db, err := duckdb.Open(ctx, duckdb.Options{Path: file})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tables, err := query(ctx, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'geolife'")
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, t := range tables {
		n, err := query(ctx, db, "SELECT count(*) FROM geolife."+t[0].(string))
		if err != nil {
			return nil, err
		}
		counts[t[0].(string)] = n[0][0].(int64)
	}
	return counts, nil
}

func query(ctx context.Context, db driver.Warehouse, sql string) ([][]any, error) {
	r, err := db.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return rows.ReadAll(r)
}
