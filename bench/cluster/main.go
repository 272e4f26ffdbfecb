// Command cluster measures k-means and compares it with scikit-learn's KMeans on the same rows in the same run, when the Python of
// -python has it:
//
//	go run -tags duckdb_arrow ./bench/cluster -python /tmp/venv/bin/python
//
// Rows have 24 features, standardised on both sides, and lie in ten heaps, near or far from each other. Each side clusters them
// once from each of several beginnings of k-means++; how many iterations those take is chance, so that all are added up.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"damson/internal/cluster"
)

const (
	features   = 24
	heaps      = 10
	k          = 10
	beginnings = 5
)

// result is what one side took for the rows of one width: all beginnings together, and the best one's inertia.
type result struct {
	Wall, CPU, Inertia float64
	Iterations         int
}

func main() {
	log.SetFlags(0)
	rows := flag.Int("rows", 200_000, "rows to cluster")
	python := flag.String("python", "python3", "the Python that has scikit-learn")
	flag.Parse()
	dir, err := os.MkdirTemp("", "damson-bench-cluster")
	check(err)
	defer os.RemoveAll(dir)
	compare := exec.Command(*python, "-c", "import sklearn").Run() == nil
	if !compare {
		fmt.Println(*python, "has no scikit-learn: nothing to compare with (pip install scikit-learn in a virtual environment).")
	}
	fmt.Printf("%d rows, %d features, k = %d, %d beginnings, 2 threads\n", *rows, features, k, beginnings)
	for _, width := range []float64{0.3, 1, 3} {
		columns := generate(*rows, width)
		path := filepath.Join(dir, "rows")
		write(path, columns)
		own := measure(columns)
		fmt.Printf("heaps of width %v\n", width)
		own.show("Damson")
		if compare {
			peer := peer(*python, path, *rows)
			peer.show("scikit-learn")
			fmt.Printf("  Damson / scikit-learn: wall %.2f, CPU %.2f, inertia %.4f\n", own.Wall/peer.Wall, own.CPU/peer.CPU, own.Inertia/peer.Inertia)
		}
	}
}

func (r result) show(who string) {
	fmt.Printf("  %-14s %6.2f s wall %6.2f s CPU  %4d iterations, inertia %.1f\n", who, r.Wall, r.CPU, r.Iterations, r.Inertia)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// measure clusters from each beginning.
func measure(columns []cluster.Column) result {
	var out result
	wall, cpu := time.Now(), cpuSeconds()
	for seed := range int64(beginnings) {
		_, fit, err := cluster.Train(context.Background(), columns, nil, cluster.Params{K: k, Init: cluster.PlusPlus, Inits: 1, MaxIterations: 300,
			Tolerance: 1e-4, Standardise: true, Seed: seed}, cluster.Options{Threads: 2})
		check(err)
		out.Iterations += fit.Iterations
		if seed == 0 || fit.Inertia < out.Inertia {
			out.Inertia = fit.Inertia
		}
	}
	out.Wall, out.CPU = time.Since(wall).Seconds(), cpuSeconds()-cpu
	return out
}

// generate makes rows in heaps, whose middles are standard normal.
func generate(n int, width float64) []cluster.Column {
	r := rand.New(rand.NewPCG(1, 24))
	var middles [heaps][features]float64
	for h := range middles {
		for f := range middles[h] {
			middles[h][f] = r.NormFloat64()
		}
	}
	columns := make([]cluster.Column, features)
	for f := range columns {
		columns[f] = cluster.Column{Name: fmt.Sprint("x", f), Numbers: make([]float64, n)}
	}
	for i := range n {
		middle := &middles[r.IntN(heaps)]
		for f := range columns {
			columns[f].Numbers[i] = middle[f] + width*r.NormFloat64()
		}
	}
	return columns
}

// write gives the rows to the peer as 64-bit floats, column by column.
func write(path string, columns []cluster.Column) {
	file, err := os.Create(path)
	check(err)
	w := bufio.NewWriterSize(file, 1<<20)
	for _, c := range columns {
		check(binary.Write(w, binary.LittleEndian, c.Numbers))
	}
	check(w.Flush())
	check(file.Close())
}

func peer(python, path string, rows int) result {
	command := exec.Command(python, "bench/cluster/peer.py", path, fmt.Sprint(rows), fmt.Sprint(features), fmt.Sprint(k), fmt.Sprint(beginnings))
	command.Env = append(os.Environ(), "OMP_NUM_THREADS=2", "OPENBLAS_NUM_THREADS=2", "OMP_WAIT_POLICY=passive")
	command.Stderr = os.Stderr
	text, err := command.Output()
	check(err)
	var out result
	check(json.Unmarshal(text, &out))
	return out
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
