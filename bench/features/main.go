// Command features measures features of time series, and compares them with tsfresh on the same series in the same run when
// a python3 has it (DAMSON_PYTHON names one):
//
//	go run -tags duckdb_arrow ./bench/features -set minimal -series 5000
//	go run -tags duckdb_arrow ./bench/features -set comprehensive -series 500
//
// A series is 120 speeds of a walk, as a phone records in two minutes. Damson reads them unsorted from a table of the
// embedded database, which sorts; tsfresh has them sorted in memory. Ratios are against that n_jobs of tsfresh which takes
// less CPU. The values are compared, too.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/pipeline"
	"damson/internal/series"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/rows"
)

// result is one line of the table.
type result struct {
	What string  `json:"what"`
	Wall float64 `json:"wall"` // seconds
	CPU  float64 `json:"cpu"`
}

func main() {
	log.SetFlags(0)
	set := flag.String("set", "minimal", "minimal, efficient or comprehensive")
	count := flag.Int("series", 5000, "number of series")
	points := flag.Int("points", 120, "values of each")
	flag.Parse()
	ctx := context.Background()
	values := walks(*count, *points)
	w := table(ctx, values, *points)
	f := pipeline.Features{ID: []string{"id"}, Sort: []string{"second"}, Values: []string{"speed"}, Calculators: []feature.Choice{{Name: *set}}}
	features, err := feature.Select(f.Calculators)
	check(err)
	var results []result
	measure := func(what string, work func()) {
		wall, cpu := time.Now(), cpuSeconds()
		work()
		results = append(results, result{what, time.Since(wall).Seconds(), cpuSeconds() - cpu})
	}
	var found [][]float64
	for _, threads := range []int{1, 2} {
		measure(fmt.Sprintf("Damson, features task, %d threads", threads), func() { found = extract(ctx, w, f, threads) })
	}
	if expressions, err := feature.SQL(`"speed"`, features); err == nil {
		measure("Damson, features.columns in SQL", func() {
			r, err := w.Query(ctx, sqltext.Plain("", "select id, "+named(expressions)+" from speeds group by id"))
			check(err)
			_, err = rows.ReadAll(r)
			check(err)
		})
	}
	fmt.Printf("%d series of %d values, %d features\n", *count, *points, len(features))
	peer, theirs := tsfresh(values, *count, *points, features)
	results = append(results, peer...)
	best := result{}
	for i, r := range peer {
		if i == 0 || r.CPU < best.CPU {
			best = r
		}
	}
	for _, r := range results {
		fmt.Printf("%-36s %8.3f s wall %8.3f s CPU %9.0f series/s", r.What, r.Wall, r.CPU, float64(*count)/r.Wall)
		if len(peer) > 0 {
			fmt.Printf("   %.3f of tsfresh's wall, %.3f of its CPU", r.Wall/best.Wall, r.CPU/best.CPU)
		}
		fmt.Println()
	}
	if len(peer) > 0 {
		compare(found, theirs, features)
	}
}

// walks makes speeds of people who walk, stand and ride.
func walks(count, points int) []float64 {
	random := rand.New(rand.NewPCG(7, 7))
	values := make([]float64, 0, count*points)
	for range count {
		speed := 1 + 2*random.Float64()
		for range points {
			speed = max(0, speed+0.3*random.NormFloat64())
			values = append(values, math.Round(speed*1000)/1000)
		}
	}
	return values
}

// table puts the series into an embedded database, later seconds first.
func table(ctx context.Context, values []float64, points int) *warehouse.Warehouse {
	d, err := duckdb.Open(ctx, duckdb.Options{Threads: 2})
	check(err)
	w, err := warehouse.New(ctx, d)
	check(err)
	schema := arrow.NewSchema([]arrow.Field{rows.Field("id", rows.BigintType), rows.Field("second", rows.BigintType), rows.Field("speed", rows.DoubleType)}, nil)
	all := make([][]any, 0, len(values))
	for second := points - 1; second >= 0; second-- {
		for id := range len(values) / points {
			all = append(all, []any{int64(id), int64(second), values[id*points+second]})
		}
	}
	r, err := rows.New(schema, all)
	check(err)
	check(w.Do(ctx, nil, func(tx *warehouse.Tx) (any, error) {
		columns := []driver.Column{{Name: "id", Type: driver.Bigint}, {Name: "second", Type: driver.Bigint}, {Name: "speed", Type: driver.Double}}
		if err := tx.CreateTable(ctx, "speeds", columns, pipeline.Storage{}); err != nil {
			return nil, err
		}
		_, err := tx.Append(ctx, "speeds", r)
		return nil, err
	}))
	return w
}

// extract gives the features by series.
func extract(ctx context.Context, w *warehouse.Warehouse, f pipeline.Features, threads int) [][]float64 {
	source := sqltext.Plain("", "select * from speeds")
	columns, err := w.Describe(ctx, source)
	check(err)
	plan, err := series.NewPlan(f, columns, diag.Pos{})
	check(err)
	read, err := w.Query(ctx, plan.Select(source))
	check(err)
	r, err := plan.Extract(ctx, read, threads)
	check(err)
	all, err := rows.ReadAll(r)
	check(err)
	found := make([][]float64, len(all))
	for i, row := range all {
		for _, v := range row[1:] {
			if v == nil {
				v = math.NaN()
			}
			found[i] = append(found[i], v.(float64))
		}
	}
	return found
}

func named(expressions []string) string {
	items := make([]string, len(expressions))
	for i, e := range expressions {
		items[i] = fmt.Sprintf("%s as f%d", e, i)
	}
	return strings.Join(items, ", ")
}

// tsfresh runs peer.py, and gives nothing when there is no tsfresh.
func tsfresh(values []float64, count, points int, features []feature.Feature) ([]result, [][]float64) {
	python := os.Getenv("DAMSON_PYTHON")
	if python == "" {
		python = "python3"
	}
	if exec.Command(python, "-c", "import tsfresh").Run() != nil {
		fmt.Println(python + " has no tsfresh: nothing to compare with (pip install tsfresh in a virtual environment).")
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "features")
	check(err)
	defer os.RemoveAll(dir)
	file, names := filepath.Join(dir, "values"), filepath.Join(dir, "names")
	var raw, list bytes.Buffer
	check(binary.Write(&raw, binary.LittleEndian, values))
	for _, f := range features {
		fmt.Fprintln(&list, f.Column("speed"))
	}
	check(os.WriteFile(file, raw.Bytes(), 0o600))
	check(os.WriteFile(names, list.Bytes(), 0o600))
	command := exec.Command(python, "bench/features/peer.py", file, fmt.Sprint(count), fmt.Sprint(points), names)
	command.Stderr = os.Stderr
	out, err := command.Output()
	check(err)
	var results []result
	check(json.Unmarshal(out, &results))
	data, err := os.ReadFile(file + ".features")
	check(err)
	flat := make([]float64, len(data)/8)
	check(binary.Read(bytes.NewReader(data), binary.LittleEndian, flat))
	theirs := make([][]float64, count)
	for i := range theirs {
		theirs[i] = flat[i*len(features) : (i+1)*len(features)]
	}
	return results, theirs
}

// compare tells which features differ by more than a billionth of the value.
func compare(ours, theirs [][]float64, features []feature.Feature) {
	differ := map[string]int{}
	for i := range ours {
		for k, f := range features {
			a, b := ours[i][k], theirs[i][k]
			if a != b && !(math.IsNaN(a) && math.IsNaN(b)) && !(math.Abs(a-b) <= 1e-9*max(1, math.Abs(b))) {
				name, _, _ := strings.Cut(f.Name(), "__")
				differ[name]++
			}
		}
	}
	total := len(ours) * len(features)
	fmt.Printf("values that differ by more than 1e-9: %v of %d\n", differ, total)
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
