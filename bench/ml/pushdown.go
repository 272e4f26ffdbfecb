package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"damson/internal/mltrain"
	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/postgres"
)

// pushDown trains the forest by reading the rows and, of the same rows, in the database, on DuckDB and on a PostgreSQL server of
// its own. Both give the same model, or it stops.
func pushDown(ctx context.Context, rows int) {
	dir, err := os.MkdirTemp("", "damson-bench-ml")
	check(err)
	defer os.RemoveAll(dir)
	duck, err := duckdb.Open(ctx, duckdb.Options{Path: filepath.Join(dir, "bench.duckdb")})
	check(err)
	server, err := pgtest.Launch()
	check(err)
	defer server.Remove()
	pg, err := postgres.Open(ctx, server.URL(), postgres.Options{})
	check(err)
	fmt.Printf("%d rows, %d features, %d trees of depth %d, %d features a split, %d bins\n", rows, features, params.Trees, params.MaxDepth, params.FeaturesPerSplit, params.Bins)
	for _, d := range []driver.Warehouse{duck, pg} {
		w, err := warehouse.New(ctx, d)
		check(err)
		compareWays(ctx, w, rows)
		check(w.Close())
	}
}

func compareWays(ctx context.Context, w *warehouse.Warehouse, rows int) {
	check(w.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) {
		_, err := tx.Exec(ctx, sqltext.Plain("", "create table rows as "+madeRows(rows)))
		return nil, err
	}))
	m := pipeline.Model{Name: "bench", ID: "id", Target: "label", Exclude: []string{"i"}, Split: pipeline.Holdout{Test: 0.05, Seed: params.Seed},
		Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: params.Trees, MaxDepth: params.MaxDepth, FeaturesPerSplit: params.FeaturesPerSplit,
			MinSplit: params.MinSplit, MinLeaf: params.MinLeaf, Bins: params.Bins}}}
	var walls, cpus [2]float64
	var hashes [2]string
	for way, stays := range []bool{false, true} {
		m.DataStays = stays
		began, cpu := time.Now(), familySeconds()
		trained, err := mltrain.Train(ctx, w, m, sqltext.Plain("", "select * from rows"), mltrain.Options{Warehouse: w})
		check(err)
		walls[way], cpus[way], hashes[way] = time.Since(began).Seconds(), familySeconds()-cpu, trained.Version.Hash
		fmt.Printf("  %-10s %-16s %8.2f s wall %8.2f s CPU  AUC %.4f  %.12s\n", w.Kind(), map[bool]string{false: "rows read", true: "in the database"}[stays],
			walls[way], cpus[way], trained.Report.Metrics["auc"], hashes[way])
	}
	if hashes[0] != hashes[1] {
		check(fmt.Errorf("%s: the two ways gave different models", w.Kind()))
	}
	fmt.Printf("  %-10s in the database / rows read: wall %.1f, CPU %.1f\n", w.Kind(), walls[1]/walls[0], cpus[1]/cpus[0])
}

// familySeconds is the processor's time that this process, its children and theirs have taken, the database server's among them.
func familySeconds() float64 {
	const ticks = 100 // a second, on every Linux
	parent, own := map[string]string{}, map[string]float64{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	check(err)
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid := filepath.Base(filepath.Dir(path))
		parent[pid] = fields[1]
		for _, field := range fields[11:15] { // utime, stime, and those of children that have ended
			n, err := strconv.ParseFloat(field, 64)
			check(err)
			own[pid] += n / ticks
		}
	}
	self, total := strconv.Itoa(os.Getpid()), 0.0
	for pid := range own {
		up := pid
		for up != self && up != "" {
			up = parent[up]
		}
		if up == self {
			total += own[pid]
		}
	}
	return total
}

// madeRows are rows in SQL that DuckDB and PostgreSQL read alike: features of as many different values as there are rows, up to a
// million, and a class that depends on eight of them and on noise.
func madeRows(rows int) string {
	var columns, score []string
	for f := range features {
		columns = append(columns, fmt.Sprintf("cast((i * %d + %d) %% 1000003 as double precision) / 1000003 as x%d", 7919+2*104729*(f+1), 31*f, f))
		switch {
		case f < 4:
			score = append(score, fmt.Sprintf("x%d", f))
		case f < 8:
			score = append(score, fmt.Sprintf("x%d * x%d", f, f-4))
		}
	}
	return fmt.Sprintf("select *, case when %s + cast((i * 49979687 + 5) %% 999983 as double precision) / 999983 > 3.5 then 1 else 0 end as label from (select i as id, i, %s from (select cast(n as bigint) as i from generate_series(1, %d) as s(n)) as numbers) as made",
		strings.Join(score, " + "), strings.Join(columns, ", "), rows)
}
