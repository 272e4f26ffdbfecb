// Command linear measures the fitting and the application of logistic and linear regressions, and compares them with
// scikit-learn on the same rows in the same run when python3 has it:
//
//	go run -tags duckdb_arrow ./bench/linear -rows 1000000
//
// Rows have 24 features of different scales. Standardising is part of what is measured on both sides.
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
	"strings"
	"syscall"
	"time"

	"damson/internal/linear"
)

const features = 24

// result is one line of the table.
type result struct {
	What      string
	Wall, CPU float64 // seconds
	Detail    string
}

func main() {
	log.SetFlags(0)
	rows := flag.Int("rows", 1_000_000, "rows to fit")
	flag.Parse()
	ctx := context.Background()
	d := generate(*rows)
	var results []result
	measure := func(what string, work func() string) {
		wall, cpu := time.Now(), cpuSeconds()
		detail := work()
		results = append(results, result{what, time.Since(wall).Seconds(), cpuSeconds() - cpu, detail})
	}
	var logistic *linear.Model
	fit := func(d linear.Data, p linear.Params, into **linear.Model) func() string {
		return func() string {
			m, f, err := linear.Train(ctx, d, p, linear.Options{Threads: 2})
			check(err)
			if into != nil {
				*into = m
			}
			return fmt.Sprintf("%d iterations, converged %v, objective %.12f", f.Iterations, f.Converged, f.Objective)
		}
	}
	number := d
	number.Classes, number.Target = 0, make([]float64, *rows)
	for i := range number.Target {
		number.Target[i] = d.Columns[0].Numbers[i] - d.Columns[1].Numbers[i] + d.Target[i]
	}
	ridge := linear.Params{Penalty: 1 / float64(*rows)}
	measure("logistic, ridge", fit(d, ridge, &logistic))
	measure("logistic, elastic net", fit(d, linear.Params{Penalty: 0.001, L1Ratio: 0.5}, nil))
	measure("linear, elastic net", fit(number, linear.Params{Penalty: 0.001, L1Ratio: 0.5}, nil))
	measure("logistic, predict", func() string {
		_, err := logistic.PredictRows(ctx, d.Columns, nil, 2)
		check(err)
		return ""
	})
	dir, err := os.MkdirTemp("", "damson-bench-linear")
	check(err)
	defer os.RemoveAll(dir)
	write(filepath.Join(dir, "rows"), d, number)
	show(*rows, results, sklearn(dir, *rows))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// generate makes rows whose class depends on eight of the features, which are correlated, and on noise.
func generate(n int) linear.Data {
	r := rand.New(rand.NewPCG(1, 24))
	d := linear.Data{Classes: 2, Columns: make([]linear.Column, features), Target: make([]float64, n), Keys: make([][2]uint32, n)}
	for f := range d.Columns {
		d.Columns[f] = linear.Column{Name: fmt.Sprint("x", f), Numbers: make([]float64, n)}
	}
	for i := range n {
		score, last := 0.0, 0.0
		for f := range d.Columns {
			last = 0.6*last + 0.8*r.NormFloat64()
			if f < 8 {
				score += last * float64(f%3-1)
			}
			d.Columns[f].Numbers[i] = last*math.Pow(10, float64(f%5-2)) + float64(f)
		}
		if score+1.5*r.NormFloat64() > 0.5 {
			d.Target[i] = 1
		}
		d.Keys[i] = [2]uint32{r.Uint32() >> 4, r.Uint32() >> 4}
	}
	return d
}

// write gives the rows to the peer as 64-bit floats: the features column by column, the classes, the numbers.
func write(path string, d, number linear.Data) {
	file, err := os.Create(path)
	check(err)
	w := bufio.NewWriterSize(file, 1<<20)
	columns := [][]float64{}
	for _, c := range d.Columns {
		columns = append(columns, c.Numbers)
	}
	for _, column := range append(columns, d.Target, number.Target) {
		check(binary.Write(w, binary.LittleEndian, column))
	}
	check(w.Flush())
	check(file.Close())
}

// sklearn runs peer.py, and gives nothing when there is no scikit-learn.
func sklearn(dir string, rows int) []result {
	if exec.Command("python3", "-c", "import sklearn").Run() != nil {
		fmt.Println("python3 has no scikit-learn: nothing to compare with (pip install scikit-learn in a virtual environment).")
		return nil
	}
	command := exec.Command("python3", "bench/linear/peer.py", filepath.Join(dir, "rows"), fmt.Sprint(rows), fmt.Sprint(features))
	command.Env = append(os.Environ(), "OMP_NUM_THREADS=2", "OPENBLAS_NUM_THREADS=2")
	command.Stderr = os.Stderr
	out, err := command.Output()
	check(err)
	var results []result
	check(json.Unmarshal(out, &results))
	return results
}

func show(rows int, ours, theirs []result) {
	fmt.Printf("%d rows, %d features, 2 threads\n", rows, features)
	for _, r := range ours {
		fmt.Printf("  %-48s %6.2f s wall %6.2f s CPU  %s\n", "Damson: "+r.What, r.Wall, r.CPU, r.Detail)
		for _, peer := range theirs {
			if strings.HasPrefix(peer.What, r.What) {
				fmt.Printf("  %-48s %6.2f s wall %6.2f s CPU  %s; ratio of wall time %.2f, of CPU time %.2f\n",
					"scikit-learn: "+peer.What, peer.Wall, peer.CPU, peer.Detail, r.Wall/peer.Wall, r.CPU/peer.CPU)
			}
		}
	}
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
