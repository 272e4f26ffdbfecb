// Command warehouse measures the warehouse in PostgreSQL against PostgreSQL's own tools, on a server that it starts:
//
//	go run -tags duckdb_arrow ./bench/warehouse -points 5000000
//
//	load    A tab-separated file of points (user, position, altitude, date, moment) is loaded into a new table by Damson, and
//	        copied into an equal one by psql's \copy in text format. Damson also takes a checksum and records the file, in the
//	        same transaction. Each row has the file's name as well, which Damson adds and the other table has as a default.
//	stream  1,000,000 rows × 26 columns of double are read into Arrow record batches, and, as the floor, copied out in binary
//	        format and thrown away. Both hold one connection of pgx.
//
// The sides take turns. A rate is the last side's time by a side's own: of the fastest round of each, and in the median round,
// which other work on the machine disturbs less.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/load"
	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/warehouse"
	"damson/internal/warehouse/postgres"
)

var (
	points = flag.Int("points", 5_000_000, "rows that are loaded")
	wide   = flag.Int("rows", 1_000_000, "rows that are streamed")
	rounds = flag.Int("rounds", 5, "times that each side works")
	only   = flag.String("only", "", "load or stream; empty = both")
)

const columns = 26 // of what is streamed

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "damson-bench-warehouse")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := pgtest.Launch()
	if err != nil {
		return err
	}
	defer server.Remove()
	url, err := server.Create()
	if err != nil {
		return err
	}
	d, err := postgres.Open(ctx, url, postgres.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	fmt.Printf("%d cores, PostgreSQL %s; the fastest of %d rounds\n\n", runtime.NumCPU(), d.Capabilities().Version, *rounds)
	if *only != "stream" {
		if err := benchLoad(ctx, d, url, dir); err != nil {
			return fmt.Errorf("load: %w", err)
		}
	}
	if *only != "load" {
		if err := benchStream(ctx, d, url); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
	}
	return nil
}

// side is one of two ways to the same end; before is not measured.
type side struct {
	name       string
	before, do func() error
}

// compare lets the sides take turns and prints how fast each is, as a share of the last one's rate.
func compare(what string, rows int, sides ...side) error {
	times := make([][]time.Duration, len(sides))
	for range *rounds {
		for i, s := range sides {
			if s.before != nil {
				if err := s.before(); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
			runtime.GC()
			began := time.Now()
			if err := s.do(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	last := times[len(sides)-1]
	fmt.Printf("%s\n", what)
	for i, s := range sides {
		best := slices.Min(times[i])
		var rates []float64 // of each round
		for k, t := range times[i] {
			rates = append(rates, last[k].Seconds()/t.Seconds())
		}
		slices.Sort(rates)
		fmt.Printf("  %-32s %6.2f s %6.2f M rows/s  rate %.2f, in the median round %.2f  ", s.name, best.Seconds(), float64(rows)/best.Seconds()/1e6,
			slices.Min(last).Seconds()/best.Seconds(), rates[len(rates)/2])
		for _, t := range times[i] {
			fmt.Printf(" %.2f", t.Seconds())
		}
		fmt.Println()
	}
	fmt.Println()
	return nil
}

func benchLoad(ctx context.Context, d *postgres.Warehouse, url, dir string) error {
	file := filepath.Join(dir, "points.tsv")
	if err := writePoints(file); err != nil {
		return err
	}
	wh, err := warehouse.New(ctx, d)
	if err != nil {
		return err
	}
	exec := func(statements ...string) error {
		for _, sql := range statements {
			if _, err := d.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}
	spec := pipeline.Load{Files: []string{"points.tsv"}, Format: "tsv", Into: "ours", FilenameColumn: "src"}
	for _, c := range strings.Split(pointColumns, ", ") {
		name, kind, _ := strings.Cut(c, " ")
		spec.Columns = append(spec.Columns, pipeline.Column{Name: name, Type: kind})
	}
	err = compare(fmt.Sprintf("load %d points", *points), *points,
		side{"Damson", func() error { return exec(`DROP TABLE IF EXISTS ours`, `CHECKPOINT`) }, func() error {
			result, err := load.Run(ctx, wh, spec, dir, nil, load.Options{})
			if err == nil && result.Rows != int64(*points) {
				err = fmt.Errorf("%d rows were loaded", result.Rows)
			}
			return err
		}},
		side{`psql \copy, text`, func() error {
			return exec(`DROP TABLE IF EXISTS theirs`,
				`CREATE TABLE theirs (`+strings.ReplaceAll(pointColumns, "double", "double precision")+`, src text DEFAULT 'points.tsv')`, `CHECKPOINT`)
		}, func() error {
			out, err := command("psql", url, "-X", "-q", "-c", fmt.Sprintf(`\copy theirs (uid, lat, lon, altitude, tdate, moment) from '%s'`, file))
			if err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			return nil
		}})
	if err != nil {
		return err
	}
	return same(ctx, wh)
}

func command(name string, arguments ...string) ([]byte, error) {
	return exec.Command(name, arguments...).CombinedOutput()
}

// same makes sure that both sides have given the same rows.
func same(ctx context.Context, wh *warehouse.Warehouse) error {
	_, ours, err := wh.Checksum(ctx, "ours")
	if err != nil {
		return err
	}
	_, theirs, err := wh.Checksum(ctx, "theirs")
	if err == nil && ours != theirs {
		err = errors.New("the tables differ")
	}
	return err
}

const pointColumns = "uid text, lat double, lon double, altitude double, tdate date, moment timestamp"

// writePoints writes walks of a few thousand points.
func writePoints(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	lat, lon := 39.9, 116.3
	for i := range *points {
		if i%3000 == 0 {
			lat, lon = 39.6+r.Float64()*0.6, 116+r.Float64()*0.8
		}
		lat, lon, at = lat+r.NormFloat64()*1e-4, lon+r.NormFloat64()*1e-4, at.Add(time.Duration(1+r.IntN(5))*time.Second)
		fmt.Fprintf(w, "%03d\t%.6f\t%.6f\t%d\t%s\t%s\n", i/3000%180, lat, lon, 100+r.IntN(400), at.Format(time.DateOnly), at.Format(time.DateTime))
	}
	return errors.Join(w.Flush(), f.Close())
}

func benchStream(ctx context.Context, d *postgres.Warehouse, url string) error {
	var list strings.Builder
	for i := range columns {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "random() * %d AS c%d", i+1, i)
	}
	for _, sql := range []string{fmt.Sprintf(`CREATE TABLE wide AS SELECT %s FROM generate_series(1, %d)`, list.String(), *wide), `VACUUM ANALYZE wide`} {
		if _, err := d.Exec(ctx, sql); err != nil {
			return err
		}
	}
	plain, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer plain.Close(ctx)
	return compare(fmt.Sprintf("stream %d × %d doubles", *wide, columns), *wide,
		side{name: "Damson, into Arrow", do: func() error {
			r, err := d.Query(ctx, `SELECT * FROM wide`)
			if err != nil {
				return err
			}
			defer r.Release()
			n := 0
			for r.Next() {
				n += int(r.RecordBatch().NumRows())
			}
			if n != *wide && r.Err() == nil {
				return fmt.Errorf("%d rows came", n)
			}
			return r.Err()
		}},
		side{name: "psql, COPY binary to /dev/null", do: func() error {
			_, err := command("psql", url, "-X", "-q", "-c", `\copy (SELECT * FROM wide) to '/dev/null' (format binary)`)
			return err
		}},
		side{name: "COPY binary, thrown away", do: func() error {
			_, err := plain.CopyTo(ctx, io.Discard, `COPY (SELECT * FROM wide) TO STDOUT (FORMAT binary)`)
			return err
		}})
}
