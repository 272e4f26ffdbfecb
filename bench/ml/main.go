// Command ml measures training and scoring of random forests, and compares them with scikit-learn on the same rows in
// the same run when python3 has it:
//
//	go run -tags duckdb_arrow ./bench/ml -rows 1000000
//
// Rows have 24 features; the forest has 20 trees of depth 8 with 2 features a split. Training is measured from slices,
// as scikit-learn's is, and from a table of the embedded database, the reading included.
package main

import (
	"bufio"
	"context"
	"database/sql/driver"
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
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/duckdb/duckdb-go/v2"

	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/mltrain"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
	wdriver "damson/internal/warehouse/driver"
)

const features = 24

var params = forest.Params{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 1, Bins: 255, Seed: 7}

// result is one line of the table.
type result struct {
	what      string
	wall, cpu float64 // seconds
	auc       float64 // 0 = does not apply
}

func main() {
	log.SetFlags(0)
	rows := flag.Int("rows", 1_000_000, "rows to train on; a fifth as many are judged")
	bySQL := flag.Bool("sql", true, "score a tenth of the rows as SQL, too")
	flag.Parse()
	ctx := context.Background()
	train, test := generate(*rows, 1), generate(*rows/5, 2)
	results := []result{}
	var f *tree.Model
	measure := func(what string, work func() float64) {
		wall, cpu := time.Now(), cpuSeconds()
		auc := work()
		results = append(results, result{what, time.Since(wall).Seconds(), cpuSeconds() - cpu, auc})
	}
	measure("Damson: train from memory", func() float64 {
		var err error
		f, err = forest.Train(ctx, train, params, forest.Options{})
		check(err)
		return 0
	})
	measure("Damson: predict training rows", func() float64 {
		_, err := f.PredictRows(ctx, train.Columns, nil, 0)
		check(err)
		return 0
	})
	judged, err := f.PredictRows(ctx, test.Columns, nil, 0)
	check(err)
	results[0].auc = metric.NewCurve(judged[0], test.Class).AUC()

	dir, err := os.MkdirTemp("", "damson-bench-ml")
	check(err)
	defer os.RemoveAll(dir)
	write(filepath.Join(dir, "train"), train)
	write(filepath.Join(dir, "test"), test)
	peer := sklearn(dir, *rows)
	db := openDuck(train)
	train, test = tree.Data{}, tree.Data{}
	runtime.GC()
	var trained *mltrain.Trained
	measure("Damson: train and judge from DuckDB", func() float64 {
		m := pipeline.Model{Name: "bench", ID: "id", Target: "label", Split: pipeline.Holdout{Test: 0.05, Seed: 7},
			Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 1, Bins: 255}}}
		trained, err = mltrain.Train(ctx, db, m, sqltext.Plain("", "select * from rows"), mltrain.Options{})
		check(err)
		return trained.Report.Metrics["auc"]
	})
	tenth := sqltext.Plain("", fmt.Sprintf("select * exclude (label) from rows limit %d", *rows/10))
	measure("Damson: score a tenth by streaming", func() float64 { return db.stream(ctx, trained.Version, tenth) })
	if *bySQL {
		measure("Damson: score a tenth as SQL", func() float64 { return db.score(ctx, trained.Version, tenth) })
	}
	show(append(results, peer...), *rows)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// generate makes rows whose class depends on eight of the features and on noise.
func generate(n int, seed uint64) tree.Data {
	r := rand.New(rand.NewPCG(seed, 24))
	d := tree.Data{Columns: make([][]float64, features), Classes: 2, Class: make([]uint8, n), Keys: make([]tree.Key, n)}
	for f := range d.Columns {
		d.Columns[f] = make([]float64, n)
	}
	for i := range n {
		score := 0.0
		for f := range d.Columns {
			v := r.NormFloat64()
			d.Columns[f][i] = v
			switch {
			case f < 4:
				score += v
			case f < 8:
				score += 0.7 * v * d.Columns[f-4][i]
			}
		}
		if score+1.5*r.NormFloat64() > 0 {
			d.Class[i] = 1
		}
		d.Keys[i] = tree.KeyOf(fmt.Sprint(i))
	}
	return d
}

// write gives the rows to the peer: row by row as 32-bit floats, which is what scikit-learn works on, then the classes.
func write(path string, d tree.Data) {
	file, err := os.Create(path)
	check(err)
	w := bufio.NewWriterSize(file, 1<<20)
	row := make([]byte, 4*features)
	for i := range d.Class {
		for f := range d.Columns {
			binary.LittleEndian.PutUint32(row[4*f:], math.Float32bits(float32(d.Columns[f][i])))
		}
		_, err := w.Write(row)
		check(err)
	}
	_, err = w.Write(d.Class)
	check(err)
	check(w.Flush())
	check(file.Close())
}

// sklearn runs peer.py, and gives nothing when there is no scikit-learn.
func sklearn(dir string, rows int) []result {
	if exec.Command("python3", "-c", "import sklearn").Run() != nil {
		fmt.Println("python3 has no scikit-learn: nothing to compare with (pip install scikit-learn in a virtual environment).")
		return nil
	}
	command := exec.Command("python3", "bench/ml/peer.py", dir, fmt.Sprint(rows), fmt.Sprint(features))
	command.Stderr = os.Stderr
	out, err := command.Output()
	check(err)
	var p struct {
		Version                                     string
		Wall, CPU, AUC, PredictWall, PredictCPU, MB float64
	}
	check(json.Unmarshal(out, &p))
	return []result{
		{fmt.Sprintf("scikit-learn %s: fit, 2 jobs (%.0f MB)", p.Version, p.MB), p.Wall, p.CPU, p.AUC},
		{"scikit-learn: predict training rows", p.PredictWall, p.PredictCPU, 0},
	}
}

func show(results []result, rows int) {
	fmt.Printf("%d rows, %d features, %d trees, depth %d; peak memory of Damson %.0f MB, the rows as slices and the database included\n",
		rows, features, params.Trees, params.MaxDepth, peakMB())
	var fit, predict float64
	for _, r := range results {
		auc := ""
		if r.auc != 0 {
			auc = fmt.Sprintf("AUC %.4f", r.auc)
		}
		fmt.Printf("  %-48s %8.2f s wall %8.2f s CPU  %s\n", r.what, r.wall, r.cpu, auc)
		if strings.Contains(r.what, ": fit") {
			fit = r.cpu
		}
		if strings.HasPrefix(r.what, "scikit-learn: predict") {
			predict = r.cpu
		}
	}
	if fit > 0 {
		fmt.Printf("ratios of CPU seconds to scikit-learn's: train %.2f, train from DuckDB %.2f, predict %.2f\n",
			results[0].cpu/fit, results[2].cpu/fit, results[1].cpu/predict)
	}
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func peakMB() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Maxrss) / 1024
}

// duck is the embedded database with the training rows in table rows.
type duck struct {
	conn  driver.Conn
	arrow *duckdb.Arrow
}

func openDuck(d tree.Data) *duck {
	connector, err := duckdb.NewConnector("", nil)
	check(err)
	conn, err := connector.Connect(context.Background())
	check(err)
	a, err := duckdb.NewArrowFromConn(conn)
	check(err)
	db := &duck{conn, a}
	columns := make([]string, features)
	for f := range columns {
		columns[f] = fmt.Sprintf("x%d double", f)
	}
	_, err = conn.(driver.ExecerContext).ExecContext(context.Background(), "create table rows (id bigint, label integer, "+strings.Join(columns, ", ")+")", nil)
	check(err)
	appender, err := duckdb.NewAppenderFromConn(conn, "", "rows")
	check(err)
	row := make([]driver.Value, features+2)
	for i := range d.Class {
		row[0], row[1] = int64(i), int32(d.Class[i])
		for f := range d.Columns {
			row[f+2] = d.Columns[f][i]
		}
		check(appender.AppendRow(row...))
	}
	check(appender.Close())
	return db
}

func (d *duck) Query(ctx context.Context, sql sqltext.Text) (array.RecordReader, error) {
	return d.arrow.QueryContext(ctx, sql.SQL())
}

var task = pipeline.Score{Model: "bench"}

// stream scores the rows in Go.
func (d *duck) stream(ctx context.Context, v model.Version, rows sqltext.Text) float64 {
	reader, err := d.Query(ctx, rows)
	check(err)
	scored, err := mltrain.ScoreRows(ctx, v, reader, task, rows.Pos(0), 0)
	check(err)
	drain(scored)
	return 0
}

// score scores them in the database.
func (d *duck) score(ctx context.Context, v model.Version, rows sqltext.Text) float64 {
	columns := []wdriver.Column{{Name: "id", Type: wdriver.Bigint}}
	for _, name := range v.Features {
		columns = append(columns, wdriver.Column{Name: name, Type: wdriver.Double})
	}
	text, err := mltrain.ScoreSQL(v, rows, columns, task, "duckdb")
	check(err)
	reader, err := d.Query(ctx, text)
	check(err)
	drain(reader)
	return 0
}

func drain(r array.RecordReader) {
	for r.Next() {
	}
	check(r.Err())
	r.Release()
}
