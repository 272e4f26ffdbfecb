package tree_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"damson/internal/boost"
	"damson/internal/forest"
	"damson/internal/tree"
)

// categories of the sample's columns: two of numbers, a few categories, exactly a byte's, more than that, then numbers.
var categories = []int{0, 0, 5, 255, 400, 0, 0, 0}

// sample makes rows of eight features with missing and infinite values. Unseen rows have categories that training rows lack.
func sample(n, classes int, seed uint64, unseen bool) tree.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := tree.Data{Columns: make([][]float64, len(categories)), Categories: categories, Classes: classes, Keys: make([]tree.Key, n)}
	for i := range n {
		score := r.NormFloat64()
		for f, c := range categories {
			v := sampleValue(r, c, unseen)
			d.Columns[f] = append(d.Columns[f], v)
			switch {
			case v != v || math.IsInf(v, 0):
			case c > 0:
				score += math.Sin(v * 7)
			case f < 2:
				score += v
			}
		}
		if classes == 0 {
			d.Number = append(d.Number, 1000+10*score)
		} else {
			d.Class = append(d.Class, uint8(min(max(int(math.Floor(score/2))+classes/2, 0), classes-1)))
		}
		d.Keys[i] = tree.KeyOf(fmt.Sprint("row ", i))
	}
	return d
}

func sampleValue(r *rand.Rand, categories int, unseen bool) float64 {
	u := r.IntN(100)
	switch {
	case u < 4:
		return math.NaN()
	case categories > 0 && unseen && u < 14:
		return []float64{-1, 0.5, float64(categories), 1e9, math.Inf(1), math.Inf(-1), 254, 255, 256, math.Copysign(0, -1)}[u-4]
	case categories > 0:
		return math.Floor(float64(categories) * 0.9 * r.Float64() * r.Float64())
	case u == 4:
		return math.Inf(1)
	case u == 5:
		return math.Inf(-1)
	}
	return r.NormFloat64()
}

// models are one of each form.
var models = map[string]func() (*tree.Model, error){
	"forest of two classes": func() (*tree.Model, error) {
		return grow(2, forest.Params{Trees: 40, MaxDepth: 5, MinSplit: 3, MinLeaf: 1, Bins: 10, Seed: 7})
	},
	"deep forest": func() (*tree.Model, error) {
		return grow(2, forest.Params{Trees: 7, MaxDepth: 20, MinLeaf: 3, Bins: 255, Seed: 1})
	},
	"tree of two classes": func() (*tree.Model, error) {
		return grow(2, forest.DecisionTree(forest.Params{MaxDepth: 64, MinLeaf: 1, Bins: 255, Seed: 1}))
	},
	"weighted forest of five classes": func() (*tree.Model, error) {
		return grow(5, forest.Params{Trees: 40, MaxDepth: 3, MinLeaf: 1, Bins: 30, ClassWeights: []float64{1, 2, 0.5, 3, 1}, Seed: 1})
	},
	"forest of numbers": func() (*tree.Model, error) {
		return grow(0, forest.Params{Trees: 10, MaxDepth: 7, MinLeaf: 2, Bins: 255, Seed: 1})
	},
	"boosted two classes":  func() (*tree.Model, error) { return boosted(2, 40) },
	"boosted four classes": func() (*tree.Model, error) { return boosted(4, 12) },
	"boosted numbers":      func() (*tree.Model, error) { return boosted(0, 40) },
}

func boosted(classes, rounds int) (*tree.Model, error) {
	p := boost.Params{Rounds: rounds, LearningRate: 0.3, MaxLeaves: 15, MaxDepth: 12, MinLeaf: 3, Bins: 100, Seed: 1}
	m, _, err := boost.Train(context.Background(), sample(3000, classes, 11, false), nil, p, boost.Options{})
	return m, err
}

func grow(classes int, p forest.Params) (*tree.Model, error) {
	return forest.Train(context.Background(), sample(3000, classes, 11, false), p, forest.Options{})
}

func mustModel(t testing.TB, name string) *tree.Model {
	t.Helper()
	m, err := models[name]()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// small are models of few bytes.
func small(t testing.TB) (all []*tree.Model) {
	t.Helper()
	for _, classes := range []int{0, 2, 4} {
		d := sample(200, classes, 1, false)
		f, err := forest.Train(context.Background(), d, forest.Params{Trees: 2, MaxDepth: 3, Bins: 5}, forest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := boost.Train(context.Background(), d, nil, boost.Params{Rounds: 2, LearningRate: 1, MaxLeaves: 4, MaxDepth: 3, MinLeaf: 1, Bins: 5}, boost.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f, b)
	}
	return all
}

// each runs a test for every form of model.
func each(t *testing.T, test func(t *testing.T, m *tree.Model)) {
	for name := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, mustModel(t, name))
		})
	}
}
