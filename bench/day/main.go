// Command day measures the GeoLife example's day on PostgreSQL against the same SQL that somebody runs by hand:
//
//	go run -tags duckdb_arrow ./bench/day [-days 26] [-points N] [-rounds 3] [-native]
//
// On a server that it starts, each round gives every side a copy of a database with the loaded points. Damson backfills the days
// (bin/damson, the process that a user starts), day by day and as it does without being told; by hand, psql gets the SQL that the
// tasks render to, for each task DELETE and INSERT … SELECT in one transaction: in one session a day, and in one session for all.
// psql's tables exist and are empty; Damson makes its own. Every side ends with a look at whether all have the same rows.
//
// The sides take turns. Medians and fastest rounds are both given: what else the machine does makes rounds slower, and so does a
// plan that PostgreSQL makes by statistics which autovacuum has or has not gathered yet, which is as it would be by hand.
//
// By hand nobody gathers statistics, keeps a ledger or checks columns; Damson does.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"damson/examples"
	"damson/internal/citydata"
	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/template/airflow"
	"damson/internal/warehouse"
	"damson/internal/warehouse/postgres"
)

var (
	days   = flag.Int("days", 26, "days of the backfill")
	points = flag.Int("points", 0, "points of all days; 0 = 13,600 a day, as GeoLife has")
	rounds = flag.Int("rounds", 3, "times that each side works")
	native = flag.Bool("native", false, "Damson's tables have native partitions")
	binary = flag.String("damson", "bin/damson", "the program to measure")
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "damson-bench-day")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := pgtest.Launch()
	if err != nil {
		return err
	}
	defer server.Remove()
	b := &bench{server: server, dir: dir}
	if b.program, err = filepath.Abs(*binary); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	fmt.Printf("%d processors; %d days, %d points, %d transactions by hand; %d rounds, seconds\n\n", runtime.NumCPU(), *days, b.points, len(b.days)*len(b.days[0]), *rounds)
	return b.compare(ctx)
}

// bench is the benchmark's ground: a project with files, and a database with the loaded points that the sides get copies of.
type bench struct {
	server        *pgtest.Server
	program, dir  string
	base          string // URL of the database
	points        int64
	days          [][]string // the transactions of each day, by hand
	first, last   string
	tables        []string
	copies, fresh int
}

// prepare makes files, loads them, and renders what is run by hand.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.base, err = b.server.Create(); err != nil {
		return err
	}
	n := *points
	if n == 0 {
		n = 13_600 * *days
	}
	made, err := citydata.Generate(ctx, filepath.Join(b.dir, "data"), citydata.Options{Seed: 1, Days: *days, Points: n})
	if err != nil {
		return err
	}
	b.points = made.Points
	root, err := b.project(b.base)
	if err != nil {
		return err
	}
	if out, err := b.damson(root, "run", "geolife_load"); err != nil {
		return fmt.Errorf("loading: %w\n%s", err, out)
	}
	return b.render(root)
}

// project makes a project whose warehouse is the database at a URL.
func (b *bench) project(url string) (root string, err error) {
	b.fresh++
	root = filepath.Join(b.dir, fmt.Sprint("project", b.fresh))
	if err := project.Init(root, examples.GeoLife()); err != nil {
		return "", err
	}
	err = edit(filepath.Join(root, "damson.yaml"), `"duckdb:.damson/warehouse.duckdb"`, "'"+url+"'", "data_dir: data", "data_dir: '"+filepath.Join(b.dir, "data")+"'")
	if err == nil && *native {
		err = edit(filepath.Join(root, "pipelines", "geolife.star"), "batch = True", "native = True, batch = True")
	}
	return root, err
}

// edit replaces texts in a file.
func edit(path string, oldNew ...string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.NewReplacer(oldNew...).Replace(string(text))), 0o644)
}

func (b *bench) damson(root string, args ...string) ([]byte, error) {
	return exec.Command(b.program, append([]string{"--project", root}, args...)...).CombinedOutput()
}

// render gives the transactions of each day as somebody would write them.
func (b *bench) render(root string) error {
	p, findings := project.Load(root, project.Options{})
	if err := findings.Err(); err != nil {
		return err
	}
	daily, err := p.Pipeline("geolife")
	if err != nil {
		return err
	}
	for i := range *days {
		start := daily.Start.AddDate(0, 0, i)
		end := start.AddDate(0, 0, 1)
		var all []string
		for _, t := range daily.Tasks {
			if t.Kind != pipeline.SQLTask {
				continue
			}
			sql, err := p.Render(t, airflow.Context{Pipeline: daily.Name, Start: start, End: end})
			if err != nil {
				return err
			}
			if i == 0 {
				b.tables = append(b.tables, t.Into())
			}
			all = append(all, fmt.Sprintf("BEGIN;\nDELETE FROM %[1]s WHERE tdate >= date '%[2]s' AND tdate < date '%[3]s';\nINSERT INTO %[1]s\n%[4]s;\nCOMMIT;\n",
				t.Into(), start.Format(time.DateOnly), end.Format(time.DateOnly), strings.TrimRight(sql.SQL(), "; \n")))
		}
		b.days = append(b.days, all)
	}
	b.first, b.last = daily.Start.Format(time.DateOnly), daily.Start.AddDate(0, 0, *days-1).Format(time.DateOnly)
	return nil
}

// side is one way of doing the days; do gets the URL of its copy of the database.
type side struct {
	name  string
	ready func(ctx context.Context, url string) error
	do    func(url string) error
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// compare lets the sides take turns, in another order each round.
func (b *bench) compare(ctx context.Context) error {
	sides := []side{
		{"psql, one session for all", b.emptyTables, b.psqlOnce},
		{"psql, one session a day", b.emptyTables, b.psqlDaily},
		{"damson backfill --batch 1 --parallel 1", nil, b.backfill("--batch", "1", "--parallel", "1")},
		{"damson backfill --batch 1", nil, b.backfill("--batch", "1")},
		{"damson backfill", nil, b.backfill()},
	}
	took := make([][]float64, len(sides))
	sums := map[string]bool{}
	for round := range *rounds {
		for k := range sides {
			i := (k + round) % len(sides)
			seconds, sum, err := b.measure(ctx, sides[i])
			if err != nil {
				return fmt.Errorf("%s: %w", sides[i].name, err)
			}
			took[i] = append(took[i], seconds)
			sums[sum] = true
		}
	}
	if len(sums) != 1 {
		return errors.New("the sides have made other rows")
	}
	for _, of := range []struct {
		name string
		pick func([]float64) float64
	}{{"median", median}, {"fastest", slices.Min[[]float64]}} {
		once, daily := of.pick(took[0]), of.pick(took[1])
		fmt.Printf("%-40s %8s %14s %14s  %s\n", "", of.name, "of one session", "of one a day", "rounds")
		for i, s := range sides {
			own := of.pick(took[i])
			fmt.Printf("%-40s %8.2f %14.2f %14.2f  %.2f\n", s.name, own, own/once, own/daily, took[i])
		}
	}
	return nil
}

// measure has a side work on a copy of the database and gives its seconds and the sums of its tables.
func (b *bench) measure(ctx context.Context, s side) (seconds float64, sum string, err error) {
	url, drop, err := b.copy(ctx)
	if err != nil {
		return 0, "", err
	}
	if s.ready != nil {
		if err := s.ready(ctx, url); err != nil {
			return 0, "", err
		}
	}
	if err := b.admin(ctx, url, "CHECKPOINT"); err != nil {
		return 0, "", err
	}
	began := time.Now()
	if err := s.do(url); err != nil {
		return 0, "", err
	}
	seconds = time.Since(began).Seconds()
	if sum, err = b.sums(ctx, url); err != nil {
		return 0, "", err
	}
	return seconds, sum, drop()
}

// copy makes a copy of the base; drop removes it.
func (b *bench) copy(ctx context.Context) (url string, drop func() error, err error) {
	b.copies++
	name := fmt.Sprint("copy", b.copies)
	base := b.base[strings.LastIndex(b.base, "/")+1 : strings.LastIndex(b.base, "?")]
	err = b.admin(ctx, b.server.URL(), "CREATE DATABASE "+name+" TEMPLATE "+base)
	return strings.Replace(b.base, "/"+base+"?", "/"+name+"?", 1),
		func() error { return b.admin(ctx, b.server.URL(), "DROP DATABASE "+name+" WITH (FORCE)") }, err
}

func (b *bench) admin(ctx context.Context, url, sql string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, sql)
	return errors.Join(err, c.Close(ctx))
}

// sums gives the checksums of all tables.
func (b *bench) sums(ctx context.Context, url string) (string, error) {
	d, err := postgres.Open(ctx, url, postgres.Options{})
	if err != nil {
		return "", err
	}
	w, err := warehouse.New(ctx, d)
	if err != nil {
		return "", errors.Join(err, d.Close())
	}
	var all strings.Builder
	for _, table := range b.tables {
		n, sum, err := w.Checksum(ctx, table)
		if err != nil {
			return "", errors.Join(err, d.Close())
		}
		fmt.Fprintln(&all, table, n, sum)
	}
	return all.String(), d.Close()
}

// emptyTables makes the tables that psql fills.
func (b *bench) emptyTables(ctx context.Context, url string) error {
	for i, table := range b.tables {
		_, sel, _ := strings.Cut(b.days[0][i], "INSERT INTO "+table+"\n")
		sel, _, _ = strings.Cut(sel, ";\nCOMMIT")
		if err := b.admin(ctx, url, "CREATE TABLE "+table+" AS "+sel+" WITH NO DATA"); err != nil {
			return err
		}
	}
	return nil
}

func psql(url, sql string) error {
	cmd := exec.Command("psql", url, "-X", "-q", "-v", "ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(sql)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("psql: %w\n%s", err, said.String())
	}
	return nil
}

func (b *bench) psqlOnce(url string) error {
	var all strings.Builder
	for _, day := range b.days {
		all.WriteString(strings.Join(day, ""))
	}
	return psql(url, all.String())
}

func (b *bench) psqlDaily(url string) error {
	for _, day := range b.days {
		if err := psql(url, strings.Join(day, "")); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) backfill(options ...string) func(url string) error {
	return func(url string) error {
		root, err := b.project(url)
		if err != nil {
			return err
		}
		out, err := b.damson(root, append([]string{"backfill", "geolife", "--from", b.first, "--to", b.last}, options...)...)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}
}
