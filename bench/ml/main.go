// Command ml measures training and scoring of random forests and boosted trees, and compares them with scikit-learn and
// LightGBM on the same rows in the same run, those of them that the Python of -python has:
//
//	go run -tags duckdb_arrow ./bench/ml -rows 1000000 -python /tmp/venv/bin/python
//
// Rows have 24 features; the forest has 20 trees of depth 8 with 2 features a split, the boosted model 100 trees of 31
// leaves. Training is measured from slices, as the peers' is, and from a table of the embedded database, the reading
// included. Both are scored as SQL over all rows, in DuckDB and, with -postgres, in PostgreSQL. With -seeds N the AUC of N
// forests is compared instead, since that of one is a matter of luck.
package main

import (
	"bufio"
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
	"runtime"
	"strings"
	"syscall"
	"time"

	"damson/internal/boost"
	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

const features = 24

var params = forest.Params{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 1, Bins: 255, Seed: 7}

var boosted = boost.Params{Rounds: 100, LearningRate: 0.1, MaxLeaves: 31, MaxDepth: 64, MinLeaf: 20, MinHessian: 1e-3, Bins: 255, Seed: 7}

// result is one line of the table.
type result struct {
	what      string
	wall, cpu float64 // seconds
	auc       float64 // 0 = does not apply
}

// table collects the results.
type table []result

func (t *table) measure(what string, work func() float64) {
	wall, cpu := time.Now(), cpuSeconds()
	auc := work()
	*t = append(*t, result{what, time.Since(wall).Seconds(), cpuSeconds() - cpu, auc})
}

// Names of what is compared.
const (
	trainForest   = "Damson: train the forest from memory"
	predictForest = "Damson: predict training rows by the forest"
	trainBoosted  = "Damson: boost from memory"
	fromDuckDB    = "Damson: train and judge the forest from DuckDB"
)

func main() {
	log.SetFlags(0)
	rows := flag.Int("rows", 1_000_000, "rows to train on; a fifth as many are judged")
	bySQL := flag.Bool("sql", true, "score as SQL, too")
	postgres := flag.Bool("postgres", false, "in PostgreSQL, too")
	python := flag.String("python", "python3", "the Python that has scikit-learn and LightGBM")
	seeds := flag.Int("seeds", 0, "instead train forests with so many seeds here and in scikit-learn, and compare their AUC; 2 or more")
	inDatabase := flag.Bool("pushdown", false, "instead train the forest by reading the rows and in the database, on DuckDB and PostgreSQL")
	flag.Parse()
	ctx := context.Background()
	switch {
	case *inDatabase:
		pushDown(ctx, *rows)
		return
	case *seeds > 1:
		compareSeeds(ctx, *rows, *seeds, *python)
		return
	}
	train, test := generate(*rows, 1), generate(*rows/5, 2)
	var results table
	models := map[string]*tree.Model{}
	results.measure(trainForest, func() float64 {
		m, err := forest.Train(ctx, train, params, forest.Options{})
		check(err)
		models["forest"] = m
		return 0
	})
	results[0].auc = auc(models["forest"], test)
	results.measure(trainBoosted, func() float64 {
		m, _, err := boost.Train(ctx, train, nil, boosted, boost.Options{})
		check(err)
		models["boosted trees"] = m
		return 0
	})
	results[1].auc = auc(models["boosted trees"], test)
	for what, name := range map[string]string{predictForest: "forest", "Damson: predict training rows by boosted trees": "boosted trees"} {
		results.measure(what, func() float64 {
			_, err := models[name].PredictRows(ctx, train.Columns, nil, 0)
			check(err)
			return 0
		})
	}
	dir, err := os.MkdirTemp("", "damson-bench-ml")
	check(err)
	defer os.RemoveAll(dir)
	write(filepath.Join(dir, "train"), train)
	write(filepath.Join(dir, "test"), test)
	peers := peer(*python, dir, *rows)
	db := openDuck(train)
	train, test = tree.Data{}, tree.Data{}
	runtime.GC()
	var trained *mltrain.Trained
	results.measure(fromDuckDB, func() float64 {
		m := pipeline.Model{Name: "bench", ID: "id", Target: "label", Split: pipeline.Holdout{Test: 0.05, Seed: 7},
			Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 1, Bins: 255}}}
		trained, err = mltrain.Train(ctx, db, m, sqltext.Plain("", "select * from rows"), mltrain.Options{})
		check(err)
		return trained.Report.Metrics["auc"]
	})
	db.measure(ctx, &results, trained.Version, *rows/10, *bySQL, models)
	if *postgres {
		scorePostgres(ctx, &results, *rows, models)
	}
	show(append(results, peers...), *rows)
}

// auc judges a model on other rows.
func auc(m *tree.Model, d tree.Data) float64 {
	p, err := m.PredictRows(context.Background(), d.Columns, nil, 0)
	check(err)
	return metric.NewCurve(p[0], d.Class).AUC()
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

// peer runs peer.py, and gives what the Python at hand has: nothing, scikit-learn's figures, LightGBM's, or both.
func peer(python, dir string, rows int) []result {
	out := askPeer(python, dir, rows)
	if out == nil {
		return nil
	}
	var found []struct {
		What           string
		Wall, CPU, AUC float64
	}
	check(json.Unmarshal(out, &found))
	var results []result
	for _, f := range found {
		results = append(results, result{f.What, f.Wall, f.CPU, f.AUC})
	}
	return results
}

// askPeer gives what peer.py writes, or nothing when the Python has no numpy.
func askPeer(python, dir string, rows int, further ...string) []byte {
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		fmt.Println(python, "has no numpy: nothing to compare with (pip install scikit-learn lightgbm in a virtual environment).")
		return nil
	}
	command := exec.Command(python, append([]string{"bench/ml/peer.py", dir, fmt.Sprint(rows), fmt.Sprint(features)}, further...)...)
	command.Stderr = os.Stderr
	command.Env = append(os.Environ(), "OMP_WAIT_POLICY=passive") // threads that wait for others count no CPU time
	out, err := command.Output()
	check(err)
	return out
}

func show(results []result, rows int) {
	fmt.Printf("%d rows, %d features; peak memory of Damson %.0f MB, the rows as slices and the database included\n", rows, features, peakMB())
	find := func(prefix string) result {
		for _, r := range results {
			if strings.HasPrefix(r.what, prefix) {
				return r
			}
		}
		return result{}
	}
	for _, r := range results {
		auc := ""
		if r.auc != 0 {
			auc = fmt.Sprintf("AUC %.4f", r.auc)
		}
		fmt.Printf("  %-52s %8.2f s wall %8.2f s CPU  %s\n", r.what, r.wall, r.cpu, auc)
	}
	for _, pair := range [][2]string{
		{trainForest, "scikit-learn: fit"}, {fromDuckDB, "scikit-learn: fit"}, {predictForest, "scikit-learn: predict"}, {trainBoosted, "LightGBM: bin and train"},
	} {
		if own, other := find(pair[0]), find(pair[1]); other.wall > 0 {
			fmt.Printf("%s / %s: wall %.2f, CPU %.2f\n", pair[0], pair[1], own.wall/other.wall, own.cpu/other.cpu)
		}
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
