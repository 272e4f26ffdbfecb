package forest

import (
	"bytes"
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"damson/internal/tree"
)

// sampleData makes rows whose class depends on the first three features; every feature has missing and infinite values,
// one has three distinct values, one is always missing, one is constant.
func sampleData(n, features int, seed uint64) tree.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := tree.Data{Columns: make([][]float64, features), Classes: 2, Class: make([]uint8, n), Keys: make([]tree.Key, n)}
	for f := range d.Columns {
		d.Columns[f] = make([]float64, n)
	}
	for i := range n {
		for f := range d.Columns {
			d.Columns[f][i] = sampleValue(r, f)
		}
		score := 0.0
		for f := range min(3, features) {
			if v := d.Columns[f][i]; v == v && !math.IsInf(v, 0) {
				score += v
			}
		}
		if score+r.NormFloat64() > 0 {
			d.Class[i] = 1
		}
		d.Keys[i] = tree.KeyOf("row " + strconv.Itoa(i))
	}
	return d
}

func sampleValue(r *rand.Rand, f int) float64 {
	switch u := r.IntN(100); {
	case u < 4:
		return math.NaN()
	case u == 4:
		return math.Inf(1)
	case u == 5:
		return math.Inf(-1)
	case f == 4:
		return float64(r.IntN(3))
	case f == 5:
		return math.NaN()
	case f == 6:
		return 42
	}
	return r.NormFloat64()
}

// shuffled gives the same rows in another order.
func shuffled(d tree.Data, seed uint64) tree.Data {
	order := rand.New(rand.NewPCG(seed, 2)).Perm(len(d.Keys))
	out := tree.Data{Columns: make([][]float64, len(d.Columns)), Categories: d.Categories, Classes: d.Classes, Keys: make([]tree.Key, len(order))}
	for f := range d.Columns {
		out.Columns[f] = make([]float64, len(order))
	}
	for to, from := range order {
		for f := range d.Columns {
			out.Columns[f][to] = d.Columns[f][from]
		}
		out.Keys[to] = d.Keys[from]
		if d.Class != nil {
			out.Class = append(out.Class, d.Class[from])
		} else {
			out.Number = append(out.Number, d.Number[from])
		}
	}
	return out
}

var talk = Params{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 1, Bins: 10, Seed: 7}

func mustTrain(t testing.TB, d tree.Data, p Params, threads int) *tree.Model {
	t.Helper()
	f, err := Train(context.Background(), d, p, Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSameRowsGiveTheSameForest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Params){
		"talk":         func(*Params) {},
		"all features": func(p *Params) { p.FeaturesPerSplit = 12 },
		"square root":  func(p *Params) { p.FeaturesPerSplit = 0; p.Bins = 255 },
		"deep":         func(p *Params) { p.MaxDepth = 30; p.MinLeaf = 5; p.MinSplit = 20 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := sampleData(5000, 12, 3), talk
			change(&p)
			want := mustTrain(t, d, p, 1)
			for seed := range uint64(3) {
				if got := mustTrain(t, shuffled(d, seed), p, 4); !bytes.Equal(got.Encode(), want.Encode()) {
					t.Fatalf("rows shuffled by seed %d with 4 threads gave forest %s, unshuffled with 1 gave %s", seed, got.Hash(), want.Hash())
				}
			}
			p.Seed++
			if other := mustTrain(t, d, p, 2); other.Hash() == want.Hash() {
				t.Fatal("another seed gave the same forest")
			}
		})
	}
}

func TestSampledBinsDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	d, p := sampleData(240_000, 3, 5), talk
	p.Trees, p.Bins = 2, 100
	if a, b := mustTrain(t, d, p, 1), mustTrain(t, shuffled(d, 1), p, 2); a.Hash() != b.Hash() {
		t.Fatalf("%s and %s", a.Hash(), b.Hash())
	}
}

func TestTrainingOnSomeRowsEqualsTrainingOnThoseAlone(t *testing.T) {
	t.Parallel()
	d := sampleData(3000, 6, 9)
	some, alone := d, tree.Data{Columns: make([][]float64, 6), Classes: 2}
	for i := range int32(3000) {
		if i%3 == 0 {
			continue
		}
		some.Rows = append(some.Rows, i)
		for f := range alone.Columns {
			alone.Columns[f] = append(alone.Columns[f], d.Columns[f][i])
		}
		alone.Class, alone.Keys = append(alone.Class, d.Class[i]), append(alone.Keys, d.Keys[i])
	}
	if a, b := mustTrain(t, some, talk, 2), mustTrain(t, alone, talk, 2); a.Hash() != b.Hash() {
		t.Fatal("the rows left out had an influence")
	}
}

func TestMissingValuesFollowTheLearnedSide(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, c := range []struct {
		name             string
		values           []float64
		classes          []uint8
		value            float64
		least, mostShare float64
	}{
		{"missing means 1, left", []float64{nan, 1, 2, 3}, []uint8{1, 1, 0, 0}, nan, 0.9, 1},
		{"missing means 1, right", []float64{nan, 1, 2, 3}, []uint8{1, 0, 0, 1}, nan, 0.9, 1},
		{"missing alone", []float64{nan, 1, 2, 3}, []uint8{1, 0, 0, 0}, nan, 0.9, 1},
		{"not missing", []float64{nan, 1, 2, 3}, []uint8{1, 0, 0, 0}, math.Inf(1), 0, 0.1},
		{"never seen missing: with the majority", []float64{1, 1, 1, 3}, []uint8{1, 1, 1, 0}, nan, 0.9, 1},
		{"infinity is the largest value", []float64{math.Inf(1), 1, 2, math.Inf(-1)}, []uint8{1, 0, 0, 0}, math.Inf(1), 0.9, 1},
		{"minus infinity is the smallest", []float64{math.Inf(-1), 1, 2, 3}, []uint8{1, 0, 0, 0}, math.Inf(-1), 0.9, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := tree.Data{Columns: make([][]float64, 1), Classes: 2}
			for i := range 400 {
				d.Columns[0] = append(d.Columns[0], c.values[i%4])
				d.Class = append(d.Class, c.classes[i%4])
				d.Keys = append(d.Keys, tree.KeyOf(strconv.Itoa(i)))
			}
			got := mustTrain(t, d, Params{Trees: 5, MaxDepth: 6, Bins: 10, MinLeaf: 1}, 1).Predict([]float64{c.value})[0]
			if got < c.least || got > c.mostShare {
				t.Fatalf("probability %v, want %v to %v", got, c.least, c.mostShare)
			}
		})
	}
}

func TestLimitsOfATree(t *testing.T) {
	t.Parallel()
	d := sampleData(3000, 8, 1)
	p := talk
	p.MaxDepth, p.MinLeaf = 3, 200
	f := mustTrain(t, d, p, 2)
	if f.Depth() > 3 {
		t.Errorf("depth %d", f.Depth())
	}
	if rows := f.MinLeafRows(); rows < 200 {
		t.Errorf("a leaf of %d rows", rows)
	}
	if f.Trees() != 20 || f.Features() != 8 {
		t.Errorf("%d trees over %d features", f.Trees(), f.Features())
	}
}

// TestTiesGoToTheLowerFeature gives every feature a twin: the second of the two is never better, and never chosen.
func TestTiesGoToTheLowerFeature(t *testing.T) {
	t.Parallel()
	d := sampleData(2000, 4, 8)
	d.Columns = append(d.Columns, d.Columns...)
	p := talk
	p.FeaturesPerSplit = 8
	for f, v := range mustTrain(t, d, p, 2).Importance() {
		if f >= 4 && v > 0 {
			t.Errorf("feature %d, the twin of %d, was chosen", f, f-4)
		}
	}
}

func TestImportanceFindsTheFeaturesThatMatter(t *testing.T) {
	t.Parallel()
	got := mustTrain(t, sampleData(5000, 10, 8), Params{Trees: 30, MaxDepth: 6, MinLeaf: 20, Bins: 50}, 2).Importance()
	total := 0.0
	for f, v := range got {
		total += v
		if (f < 3) != (v > 0.1) {
			t.Errorf("feature %d has importance %v", f, v)
		}
	}
	if math.Abs(total-1) > 1e-12 {
		t.Errorf("importances add up to %v", total)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	ok := sampleData(10, 2, 1)
	change := func(f func(*tree.Data, *Params)) (tree.Data, Params) {
		d, p := ok, talk
		f(&d, &p)
		return d, p
	}
	for want, f := range map[string]func(*tree.Data, *Params){
		"no rows to learn from":                         func(d *tree.Data, _ *Params) { d.Rows = []int32{} },
		"no features to learn from":                     func(d *tree.Data, _ *Params) { d.Columns = nil },
		"bins is 256, and must be from 2 to 255":        func(_ *tree.Data, p *Params) { p.Bins = 256 },
		"trees is 0, and must be from 1 to 10000":       func(_ *tree.Data, p *Params) { p.Trees = 0 },
		"max_depth is 65, and must be from 1 to 64":     func(_ *tree.Data, p *Params) { p.MaxDepth = 65 },
		"one class only: all 10 rows are of class 1":    func(d *tree.Data, _ *Params) { d.Class = bytes.Repeat([]byte{1}, 10) },
		"target 2 in row 0, and the classes are 0 to 1": func(d *tree.Data, _ *Params) { d.Class = bytes.Repeat([]byte{2}, 10) },
		"column 1 has 9 values for 10 rows":             func(d *tree.Data, _ *Params) { d.Columns = [][]float64{d.Columns[0], d.Columns[1][:9]} },
		"column 0 has 10 values for 3 rows":             func(d *tree.Data, _ *Params) { d.Keys = d.Keys[:3] },
	} {
		d, p := change(f)
		if _, err := Train(context.Background(), d, p, Options{}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Train(ctx, ok, talk, Options{}); err != context.Canceled {
		t.Errorf("with an ended context: %v", err)
	}
}

// TestCountingTheSmallerChildIsExact compares histograms by subtraction with ones counted directly.
func TestCountingTheSmallerChildIsExact(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]tree.Data{"two classes": sampleData(2000, 8, 4), "classes": classData(2000, 8, 5, 4), "numbers": numberData(2000, 8, 4)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := talk
			p.FeaturesPerSplit, p.Trees = 8, 1
			weights, _ := tree.ClassWeights(nil, d.Classes)
			b, err := bin(context.Background(), d.WithRows(), p, weights, 1)
			if err != nil {
				t.Fatal(err)
			}
			g := newGrower(context.Background(), b, p, 0)
			root := &pending{candidate: candidate{seed: 1, total: make([]uint64, g.width)}, hi: len(g.rows)}
			for i, r := range g.rows {
				g.addRow(root.total, r, g.marks[i])
			}
			g.choose(root, nil, nil)
			middle := g.partition(root)
			l, r := &pending{hi: middle}, &pending{lo: middle, hi: root.hi}
			for f := range uint16(8) {
				direct := slices.Clone(g.count(&pending{lo: r.lo, hi: r.hi}, nil, nil, f))
				if bySubtraction := g.count(r, root, l, f); !slices.Equal(bySubtraction, direct) {
					t.Fatalf("feature %d: histograms differ", f)
				}
			}
		})
	}
}

// score is what sampleData's classes come from: the sum of the first three features.
func score(d tree.Data, i int) float64 {
	sum := 0.0
	for f := range min(3, len(d.Columns)) {
		if v := d.Columns[f][i]; v == v && !math.IsInf(v, 0) {
			sum += v
		}
	}
	return sum
}

// classData gives sampleData's rows one of several classes.
func classData(n, features, classes int, seed uint64) tree.Data {
	d := sampleData(n, features, seed)
	d.Classes = classes
	r := rand.New(rand.NewPCG(seed, 3))
	for i := range d.Class {
		d.Class[i] = uint8(min(max(int(math.Floor(score(d, i)+0.3*r.NormFloat64()))+classes/2, 0), classes-1))
	}
	return d
}

// numberData gives sampleData's rows a number.
func numberData(n, features int, seed uint64) tree.Data {
	d := sampleData(n, features, seed)
	d.Classes, d.Class, d.Number = 0, nil, make([]float64, n)
	r := rand.New(rand.NewPCG(seed, 3))
	for i := range d.Number {
		d.Number[i] = 1e6 + 10*score(d, i) + r.NormFloat64()
	}
	return d
}

// TestClassesAndNumbersToo repeats the promise of the same forest for what is not two classes of numbers.
func TestClassesAndNumbersToo(t *testing.T) {
	t.Parallel()
	withCategories := func(d tree.Data, categories int) tree.Data {
		d.Categories = make([]int, len(d.Columns))
		d.Categories[3] = categories
		r := rand.New(rand.NewPCG(5, 5))
		for i := range d.Columns[3] {
			d.Columns[3][i] = math.Floor(float64(categories) * r.Float64() * r.Float64())
		}
		return d
	}
	for name, d := range map[string]tree.Data{
		"seven classes": classData(4000, 8, 7, 3), "numbers": numberData(4000, 8, 3),
		"a few categories": withCategories(sampleData(4000, 8, 3), 6), "many categories": withCategories(sampleData(4000, 8, 3), 600),
		"classes by categories": withCategories(classData(4000, 8, 4, 3), 40), "numbers by categories": withCategories(numberData(4000, 8, 3), 300),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := talk
			p.Bins, p.FeaturesPerSplit = 60, 5
			if d.Classes > 2 {
				p.ClassWeights = make([]float64, d.Classes)
				for k := range p.ClassWeights {
					p.ClassWeights[k] = 1 + float64(k)/3
				}
			}
			want := mustTrain(t, d, p, 1)
			for seed := range uint64(3) {
				if got := mustTrain(t, shuffled(d, seed), p, 4); !bytes.Equal(got.Encode(), want.Encode()) {
					t.Fatalf("rows shuffled by seed %d with 4 threads gave forest %s, unshuffled with 1 gave %s", seed, got.Hash(), want.Hash())
				}
			}
		})
	}
}

// TestDecisionTreesAreScikitLearns compares with what testdata/reference.py printed: the number of leaves, and the sum of
// the squared predictions. No two splits of these rows are equally good.
func TestDecisionTreesAreScikitLearns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		leaves  int
		squares float64
	}{
		{"two", 50, 1725.283594906},
		{"two, weighted", 42, 1754.260326577},
		{"two, min_gain", 11, 1655.517597326},
		{"two, alpha", 16, 1680.488147332},
		{"three", 59, 1479.405612730},
		{"three, weighted", 60, 1545.675428996},
		{"three, min_gain", 24, 1394.586170812},
		{"three, alpha", 29, 1416.783860208},
		{"numbers", 64, 19594508.061506025},
		{"numbers, min_gain", 19, 19528020.298729703},
		{"numbers, alpha", 21, 19534030.050441414},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kind, change, _ := strings.Cut(c.name, ", ")
			d := referenceData(kind)
			p := DecisionTree(Params{MaxDepth: 6, Bins: 255})
			size := 0.002
			if kind == "numbers" {
				size = 1.5
			}
			switch change {
			case "weighted":
				p.ClassWeights = map[string][]float64{"two": {1, 3}, "three": {1, 0.5, 2}}[kind]
			case "min_gain":
				p.MinGain = size
			case "alpha":
				p.MaxDepth, p.Alpha = 10, size
			}
			m := mustTrain(t, d, p, 1)
			predicted, err := m.PredictRows(context.Background(), d.Columns, nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			squares := 0.0
			for _, output := range predicted {
				for _, v := range output {
					squares += v * v
					if kind == "two" {
						squares += (1 - v) * (1 - v)
					}
				}
			}
			if leaves := (m.Nodes() + 1) / 2; leaves != c.leaves || math.Abs(squares-c.squares) > 1e-9*c.squares {
				t.Errorf("%d leaves, squares %.9f; scikit-learn has %d and %.9f", leaves, squares, c.leaves, c.squares)
			}
		})
	}
}

// referenceData are the rows of testdata/reference.py.
func referenceData(kind string) tree.Data {
	d := tree.Data{Columns: make([][]float64, 3)}
	for i := range 2000 {
		x := [3]float64{float64(i * 7919 % 101), float64(i * 104729 % 97), float64(i * 1299709 % 89)}
		for f, v := range x {
			d.Columns[f] = append(d.Columns[f], v)
		}
		score := x[0] + float64(i*31%53)
		if x[1] > 40 {
			score += 30
		}
		d.Keys = append(d.Keys, tree.KeyOf(strconv.Itoa(i)))
		class := uint8(0)
		switch {
		case kind == "numbers":
			d.Number = append(d.Number, score)
			continue
		case kind == "two" && score > 100, kind == "three" && score >= 70 && score < 110:
			class = 1
		case kind == "three" && score >= 110:
			class = 2
		}
		d.Class, d.Classes = append(d.Class, class), map[string]int{"two": 2, "three": 3}[kind]
	}
	return d
}

// TestCategoriesPartByTheirTarget: one split finds the best subset, whatever the order of the codes; what a node has not seen goes
// with the missing values.
func TestCategoriesPartByTheirTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		classes int
		target  []float64 // of each category
		missing float64
	}{
		"two classes":   {2, []float64{1, 0, 1, 0, 0, 1}, 1},
		"missing: 0":    {2, []float64{1, 0, 1, 0, 0, 1}, 0},
		"three classes": {3, []float64{2, 0, 2, 0, 0, 2}, 0},
		"numbers":       {0, []float64{7, -2.5, 7, -2.5, -2.5, 7}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := tree.Data{Columns: make([][]float64, 1), Categories: []int{8}, Classes: c.classes}
			add := func(category, target float64) {
				d.Columns[0] = append(d.Columns[0], category)
				d.Keys = append(d.Keys, tree.KeyOf(strconv.Itoa(len(d.Keys))))
				if c.classes == 0 {
					d.Number = append(d.Number, target)
				} else {
					d.Class = append(d.Class, uint8(target))
				}
			}
			for range 20 {
				for category, target := range c.target {
					add(float64(category), target)
				}
				add(math.NaN(), c.missing)
			}
			m := mustTrain(t, d, DecisionTree(Params{MaxDepth: 1, Bins: 2}), 1)
			predict := func(category float64) float64 {
				out := m.Predict([]float64{category})
				if c.classes == 3 {
					return 2 * out[2]
				}
				return out[0]
			}
			for category, target := range c.target {
				if got := predict(float64(category)); math.Abs(got-target) > 1e-12 {
					t.Errorf("category %d is predicted as %v, want %v", category, got, target)
				}
			}
			for _, unseen := range []float64{6, 7, 8, -1, 0.5, math.Inf(1), math.NaN()} {
				if got := predict(unseen); math.Abs(got-c.missing) > 1e-12 {
					t.Errorf("category %v is predicted as %v, want %v as for missing ones", unseen, got, c.missing)
				}
			}
		})
	}
}

// TestCrossIsExact compares with numbers of any size.
func TestCrossIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		a, b := int64(r.Uint64()>>(2+r.IntN(60))), -int64(r.Uint64()>>(2+r.IntN(60)))
		m, n := r.Uint64()>>(2+r.IntN(60)), r.Uint64()>>(2+r.IntN(60))
		if r.IntN(2) == 0 {
			a, b = b, a
		}
		of := func(a int64, m uint64) *big.Int {
			return new(big.Int).Mul(big.NewInt(a), new(big.Int).SetUint64(m))
		}
		want, _ := new(big.Float).SetInt(new(big.Int).Sub(of(a, m), of(b, n))).Float64()
		if got := cross(a, m, b, n); math.Abs(got-want) > 4e-16*math.Abs(want) {
			t.Fatalf("%d·%d - %d·%d is %v, want %v", a, m, b, n, got, want)
		}
		if cross(a, m, a, m) != 0 {
			t.Fatal("no difference is not 0")
		}
	}
}
