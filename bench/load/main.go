// Command load measures loading files into the embedded warehouse, and compares it with DuckDB's own read_csv over the same
// files in the same run:
//
//	go run -tags duckdb_arrow ./bench/load -points 5000000
//
// Every case loads into a fresh database on disk; the two sides take turns and the faster of the rounds counts. Damson's side
// also takes checksums, keeps rejects and records what it loaded, all in one transaction. What it is compared with stops at
// the first line that does not parse.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"damson/internal/load"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/duckdb"
)

var (
	points = flag.Int("points", 5_000_000, "rows of each case")
	rounds = flag.Int("rounds", 3, "times that each side loads")
	memory = flag.String("memory", "1GB", "DuckDB's memory limit on both sides")
	keep   = flag.String("dir", "", "where the files go; kept when given")
)

// side is one way to load, into a fresh warehouse.
type side func(ctx context.Context, wh *warehouse.Warehouse) error

// bench is one case.
type bench struct {
	name     string
	ours     pipeline.Load
	peer     string // SQL
	generate func(dir string, rows int) error
}

const pltColumns = `columns = {'latitude': 'DOUBLE', 'longitude': 'DOUBLE', 'zero': 'BIGINT', 'altitude_ft': 'DOUBLE', 'days': 'DOUBLE', 'tdate': 'DATE', 'ttime': 'TIME'}`

const csvColumns = `columns = {'id': 'BIGINT', 'name': 'VARCHAR', 'price': 'DOUBLE', 'sold': 'TIMESTAMP', 'paid': 'BOOLEAN'}`

func cases() []bench {
	plt := func(glob string) pipeline.Load {
		return pipeline.Load{Files: []string{glob}, Format: "plt", Into: "t.points", MaxRejects: -1, FilenameColumn: "src", FilenameFields: `Data/(?P<uid>[^/]+)/`, LineColumn: "line"}
	}
	pltPeer := func(glob string) string {
		return `create table t.points as select * exclude (zero, filename), regexp_extract(filename, 'Data/([^/]+)/', 1) as uid, filename as src
			from read_csv('DIR/` + glob + `', skip = 6, header = false, ` + pltColumns + `, filename = true)`
	}
	csv := func(glob string) pipeline.Load {
		l := pipeline.Load{Files: []string{glob}, Format: "csv", Into: "t.sales", MaxRejects: -1, Header: true, FilenameColumn: "src"}
		for _, c := range []string{"id bigint", "name text", "price double", "sold timestamp", "paid boolean"} {
			name, kind, _ := strings.Cut(c, " ")
			l.Columns = append(l.Columns, pipeline.Column{Name: name, Type: kind})
		}
		return l
	}
	csvPeer := func(glob string) string {
		return `create table t.sales as select * exclude (filename), filename as src from read_csv('DIR/` + glob + `', header = true, ` + csvColumns + `, filename = true)`
	}
	return []bench{
		{"plt, many files of 100 kB", plt("Data/*/Trajectory/*.plt"), pltPeer("Data/*/Trajectory/*.plt"), makePLT},
		{"csv, one file", csv("one/*.csv"), csvPeer("one/*.csv"), func(dir string, rows int) error { return makeCSV(dir+"/one", rows, 1, plain) }},
		{"csv, 16 files", csv("many/*.csv"), csvPeer("many/*.csv"), func(dir string, rows int) error { return makeCSV(dir+"/many", rows, 16, plain) }},
		{"csv, 16 files, gzip", csv("gz/*.csv.gz"), csvPeer("gz/*.csv.gz"), func(dir string, rows int) error { return makeCSV(dir+"/gz", rows, 16, gzipped) }},
		{"csv, 16 files, zstd", csv("zst/*.csv.zst"), csvPeer("zst/*.csv.zst"), func(dir string, rows int) error { return makeCSV(dir+"/zst", rows, 16, zstded) }},
	}
}

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir := *keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "damson-bench-load"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	fmt.Printf("%d cores, DuckDB limited to %s; best of %d rounds\n\n", runtime.NumCPU(), *memory, *rounds)
	fmt.Printf("%-28s %10s %9s %9s %9s %7s %9s\n", "case", "rows", "Damson s", "again s", "DuckDB s", "ratio", "M rows/s")
	for _, b := range cases() {
		if err := b.generate(dir, *points); err != nil {
			return err
		}
		if err := b.run(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	fmt.Printf("\npeak memory of the whole process: %s\n", peak())
	return nil
}

// run measures one case.
func (b bench) run(ctx context.Context, dir string) error {
	var result load.Result
	ours := func(ctx context.Context, wh *warehouse.Warehouse) (err error) {
		result, err = load.Run(ctx, wh, b.ours, dir, nil, load.Options{})
		return err
	}
	peer := func(ctx context.Context, wh *warehouse.Warehouse) error {
		return wh.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) {
			if _, err := tx.Exec(ctx, sqltext.Plain("", "create schema t")); err != nil {
				return nil, err
			}
			return tx.Exec(ctx, sqltext.Plain("", strings.ReplaceAll(b.peer, "DIR", dir)))
		})
	}
	var first, again, theirs time.Duration
	rows := int64(0)
	for range *rounds {
		a, err := measure(ctx, ours, ours)
		if err != nil {
			return err
		}
		if result.Unchanged != result.Files {
			return fmt.Errorf("the second load was not nothing: %+v", result)
		}
		p, err := measure(ctx, peer)
		if err != nil {
			return err
		}
		first, again, theirs = least(first, a[0]), least(again, a[1]), least(theirs, p[0])
	}
	rows = int64(*points)
	fmt.Printf("%-28s %10d %9.2f %9.2f %9.2f %7.2f %9.2f\n", b.name, rows, first.Seconds(), again.Seconds(), theirs.Seconds(),
		first.Seconds()/theirs.Seconds(), float64(rows)/first.Seconds()/1e6)
	return nil
}

func least(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// measure runs the steps one after the other on a fresh database and gives the time of each.
func measure(ctx context.Context, steps ...side) ([]time.Duration, error) {
	dir, err := os.MkdirTemp("", "damson-bench-load")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := duckdb.Open(ctx, duckdb.Options{Path: filepath.Join(dir, "w.duckdb"), MemoryLimit: *memory})
	if err != nil {
		return nil, err
	}
	wh, err := warehouse.New(ctx, db)
	if err != nil {
		return nil, err
	}
	defer wh.Close()
	var times []time.Duration
	for _, step := range steps {
		began := time.Now()
		if err := step(ctx, wh); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

// peak is the most memory that the process has had, as the system tells it.
func peak() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "not known on this system"
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "not known"
}

// makePLT writes walks of 1,470 points, some 100 kB, in GeoLife's layout.
func makePLT(dir string, rows int) error {
	const perFile = 1470
	for f := 0; f*perFile < rows; f++ {
		r := rand.New(rand.NewPCG(1, uint64(f)))
		lat, lon := 39.6+r.Float64()*0.6, 116+r.Float64()*0.8
		at := time.Date(2007, 4, 12, r.IntN(24), r.IntN(60), 0, 0, time.UTC).AddDate(0, 0, r.IntN(1800))
		var b bytes.Buffer
		b.WriteString("Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n")
		for range min(perFile, rows-f*perFile) {
			lat, lon, at = lat+r.NormFloat64()*1e-4, lon+r.NormFloat64()*1e-4, at.Add(time.Duration(1+r.IntN(5))*time.Second)
			fmt.Fprintf(&b, "%.6f,%.6f,0,%d,%.10f,%s\r\n", lat, lon, 100+r.IntN(400), float64(at.Unix())/86400+25569, at.Format("2006-01-02,15:04:05"))
		}
		name := filepath.Join(dir, "Data", fmt.Sprintf("%03d", f/100), "Trajectory", fmt.Sprintf("%014d.plt", f))
		if err := write(name, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// makeCSV writes rows of five types into a number of files, packed by pack, which also gives the name's ending.
func makeCSV(dir string, rows, files int, pack func([]byte) ([]byte, string, error)) error {
	for f := range files {
		r := rand.New(rand.NewPCG(2, uint64(f)))
		var b bytes.Buffer
		b.WriteString("id,name,price,sold,paid\n")
		from, to := rows*f/files, rows*(f+1)/files
		for i := from; i < to; i++ {
			sold := time.Unix(1_200_000_000+int64(r.IntN(1e8)), 0).UTC()
			fmt.Fprintf(&b, "%d,customer %d,%.2f,%s,%t\n", i, r.IntN(100_000), r.Float64()*1000, sold.Format("2006-01-02 15:04:05"), r.IntN(2) == 0)
		}
		packed, ending, err := pack(b.Bytes())
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, fmt.Sprintf("%03d.csv%s", f, ending)), packed); err != nil {
			return err
		}
	}
	return nil
}

func plain(b []byte) ([]byte, string, error) { return b, "", nil }

func gzipped(b []byte) ([]byte, string, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(b); err != nil {
		return nil, "", err
	}
	err := w.Close()
	return packed.Bytes(), ".gz", err
}

func zstded(b []byte) ([]byte, string, error) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, "", err
	}
	return w.EncodeAll(b, nil), ".zst", nil
}

func write(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}
