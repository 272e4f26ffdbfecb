package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"damson/internal/forest"
)

// compareSeeds trains the forest with as many seeds here and in scikit-learn, on the same rows, and compares the mean AUC: with two
// features a split, that of a single forest of 20 trees depends on which ones its first splits have drawn.
func compareSeeds(ctx context.Context, rows, seeds int, python string) {
	train, test := generate(rows, 1), generate(rows/5, 2)
	own := make([]float64, seeds)
	for seed := range own {
		p := params
		p.Seed = int64(seed)
		m, err := forest.Train(ctx, train, p, forest.Options{})
		check(err)
		own[seed] = auc(m, test)
	}
	dir, err := os.MkdirTemp("", "damson-bench-ml")
	check(err)
	defer os.RemoveAll(dir)
	write(filepath.Join(dir, "train"), train)
	write(filepath.Join(dir, "test"), test)
	fmt.Printf("AUC of forests of %d trees with %d seeds, %d rows:\n", params.Trees, seeds, rows)
	mean, deviation := spread(own)
	fmt.Printf("  %-14s mean %.5f, standard deviation %.5f\n", "Damson", mean, deviation)
	var peers []float64
	if out := askPeer(python, dir, rows, fmt.Sprint(seeds)); out != nil {
		check(json.Unmarshal(out, &peers))
	}
	if len(peers) == 0 {
		return
	}
	theirs, theirDeviation := spread(peers)
	n := float64(seeds)
	fmt.Printf("  %-14s mean %.5f, standard deviation %.5f\n", "scikit-learn", theirs, theirDeviation)
	fmt.Printf("Difference of the means %+.5f, standard error %.5f\n", mean-theirs, math.Sqrt((deviation*deviation+theirDeviation*theirDeviation)/n))
}

// spread gives the mean and the standard deviation of a sample.
func spread(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(deviation)
}
