package forest

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// sampleData makes rows whose class depends on the first three features; every feature has missing and infinite values,
// one has three distinct values, one is always missing, one is constant.
func sampleData(n, features int, seed uint64) Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := Data{Columns: make([][]float64, features), Target: make([]uint8, n), Keys: make([]Key, n)}
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
			d.Target[i] = 1
		}
		d.Keys[i] = KeyOf("row " + strconv.Itoa(i))
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
func shuffled(d Data, seed uint64) Data {
	order := rand.New(rand.NewPCG(seed, 2)).Perm(len(d.Target))
	out := Data{Columns: make([][]float64, len(d.Columns)), Target: make([]uint8, len(order)), Keys: make([]Key, len(order))}
	for f := range d.Columns {
		out.Columns[f] = make([]float64, len(order))
	}
	for to, from := range order {
		for f := range d.Columns {
			out.Columns[f][to] = d.Columns[f][from]
		}
		out.Target[to], out.Keys[to] = d.Target[from], d.Keys[from]
	}
	return out
}

var talk = Params{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 1, Bins: 10, Seed: 7}

func mustTrain(t testing.TB, d Data, p Params, threads int) *Forest {
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
	d, p := sampleData(binSample+40_000, 3, 5), talk
	p.Trees, p.Bins = 2, 100
	if a, b := mustTrain(t, d, p, 1), mustTrain(t, shuffled(d, 1), p, 2); a.Hash() != b.Hash() {
		t.Fatalf("%s and %s", a.Hash(), b.Hash())
	}
}

func TestTrainingOnSomeRowsEqualsTrainingOnThoseAlone(t *testing.T) {
	t.Parallel()
	d := sampleData(3000, 6, 9)
	some, alone := d, Data{Columns: make([][]float64, 6)}
	for i := range int32(3000) {
		if i%3 == 0 {
			continue
		}
		some.Rows = append(some.Rows, i)
		for f := range alone.Columns {
			alone.Columns[f] = append(alone.Columns[f], d.Columns[f][i])
		}
		alone.Target, alone.Keys = append(alone.Target, d.Target[i]), append(alone.Keys, d.Keys[i])
	}
	if a, b := mustTrain(t, some, talk, 2), mustTrain(t, alone, talk, 2); a.Hash() != b.Hash() {
		t.Fatal("the rows left out had an influence")
	}
}

// TestCountingTheSmallerChildIsExact compares histograms by subtraction with ones counted directly.
func TestCountingTheSmallerChildIsExact(t *testing.T) {
	t.Parallel()
	d, p := sampleData(2000, 8, 4), talk
	p.FeaturesPerSplit, p.Trees = 8, 1
	b, err := bin(context.Background(), withRows(d), p, 1)
	if err != nil {
		t.Fatal(err)
	}
	g := newGrower(context.Background(), b, p, 0)
	root := &pending{hi: len(g.rows), seed: 1}
	for _, m := range g.marks {
		root.total += g.words[m]
	}
	g.choose(root, nil, nil)
	middle := g.partition(root)
	l, r := &pending{hi: middle, total: root.best.left}, &pending{lo: middle, hi: root.hi, total: root.total - root.best.left}
	for f := range uint16(8) {
		direct := *g.count(&pending{lo: r.lo, hi: r.hi}, nil, nil, f)
		if bySubtraction := *g.count(r, root, l, f); bySubtraction != direct {
			t.Fatalf("feature %d: histograms differ", f)
		}
	}
}

func withRows(d Data) Data {
	for i := range d.Target {
		d.Rows = append(d.Rows, int32(i))
	}
	return d
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
			d := Data{Columns: make([][]float64, 1)}
			for i := range 400 {
				d.Columns[0] = append(d.Columns[0], c.values[i%4])
				d.Target = append(d.Target, c.classes[i%4])
				d.Keys = append(d.Keys, KeyOf(strconv.Itoa(i)))
			}
			got := mustTrain(t, d, Params{Trees: 5, MaxDepth: 6, Bins: 10, MinLeaf: 1}, 1).Predict([]float64{c.value})
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
	for _, tree := range f.trees {
		for _, l := range tree.leaves {
			if l.rows < 200 {
				t.Errorf("a leaf of %d rows", l.rows)
			}
		}
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

func TestBatchEqualsSingleRows(t *testing.T) {
	t.Parallel()
	d := sampleData(1500, 9, 6)
	f := mustTrain(t, d, talk, 2)
	all, err := f.PredictRows(context.Background(), d.Columns, nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	some, err := f.PredictRows(context.Background(), d.Columns, []int32{1400, 3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float64, 9)
	for i, p := range all {
		for c := range row {
			row[c] = d.Columns[c][i]
		}
		if want := f.Predict(row); p != want {
			t.Fatalf("row %d: %v by batch, %v alone", i, p, want)
		}
	}
	if some[0] != all[1400] || some[1] != all[3] {
		t.Fatal("chosen rows differ")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	ok := sampleData(10, 2, 1)
	change := func(f func(*Data, *Params)) (Data, Params) {
		d, p := ok, talk
		f(&d, &p)
		return d, p
	}
	for want, f := range map[string]func(*Data, *Params){
		"no rows to learn from":                              func(d *Data, _ *Params) { d.Rows = []int32{} },
		"no features to learn from":                          func(d *Data, _ *Params) { d.Columns = nil },
		"bins is 256, and must be from 2 to 255":             func(_ *Data, p *Params) { p.Bins = 256 },
		"trees is 0, and must be from 1 to 10000":            func(_ *Data, p *Params) { p.Trees = 0 },
		"max_depth is 65, and must be from 1 to 64":          func(_ *Data, p *Params) { p.MaxDepth = 65 },
		"one class only: 0 rows of class 0, 10 of class 1":   func(d *Data, _ *Params) { d.Target = bytes.Repeat([]byte{1}, 10) },
		"target 2 in row 0, and only 0 and 1 can be learned": func(d *Data, _ *Params) { d.Target = bytes.Repeat([]byte{2}, 10) },
		"column 1 has 9 values for 10 rows":                  func(d *Data, _ *Params) { d.Columns = [][]float64{d.Columns[0], d.Columns[1][:9]} },
		"3 keys for 10 rows":                                 func(d *Data, _ *Params) { d.Keys = d.Keys[:3] },
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

func TestPoissonDrawsHaveMeanOne(t *testing.T) {
	t.Parallel()
	const n = 200_000
	draw := NewDraw(3, 5)
	var counts [14]float64
	for i := range n {
		counts[poisson(draw.Number(KeyOf(strconv.Itoa(i))))]++
	}
	p := math.Exp(-1)
	for k := range 6 {
		if got := counts[k] / n; math.Abs(got-p) > 5*math.Sqrt(p/n) {
			t.Errorf("%d drawn with frequency %v, expected %v", k, got, p)
		}
		p /= float64(k + 1)
	}
	if poisson(modulus-1) != 12 || poisson(0) != 0 {
		t.Errorf("ends of the distribution: %d, %d", poisson(0), poisson(modulus-1))
	}
}

func FuzzDecode(f *testing.F) {
	d := sampleData(200, 4, 2)
	p := talk
	p.Trees = 2
	good := mustTrain(f, d, p, 1).Encode()
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(magic))
	f.Add(append([]byte(magic), 1, 1, 4, 0, 200, 1, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		forest, err := Decode(data)
		if err != nil {
			return
		}
		if !bytes.Equal(forest.Encode(), data) {
			t.Fatal("decoded bytes encode differently")
		}
		if p := forest.Predict(make([]float64, forest.Features())); p < 0 || p > 1 || p != p {
			t.Fatalf("probability %v", p)
		}
	})
}

func TestDecodeGivesTheForestBack(t *testing.T) {
	t.Parallel()
	f := mustTrain(t, sampleData(2000, 8, 1), talk, 2)
	encoded := f.Encode()
	back, err := Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if back.Hash() != f.Hash() || back.Features() != f.Features() {
		t.Fatal("another forest came back")
	}
	for i := 0; i < len(encoded); i += 1 + i/100 {
		if _, err := Decode(encoded[:i]); err == nil {
			t.Fatalf("accepted the first %d of %d bytes", i, len(encoded))
		}
	}
}
