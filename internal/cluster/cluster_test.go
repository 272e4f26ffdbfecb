package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"damson/internal/cluster"
	"damson/internal/pgtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Stop()
	os.Exit(code)
}

var standard = cluster.Params{K: 5, Init: cluster.PlusPlus, Inits: 2, MaxIterations: 300, Tolerance: 1e-4, Standardise: true, Seed: 7}

// heaps are n rows in so many heaps of six columns of very different scale, the last of which is constant; some values are missing.
func heaps(n, count int, width float64, seed uint64) []cluster.Column {
	r := rand.New(rand.NewPCG(seed, 1))
	middles := make([][5]float64, count)
	for h := range middles {
		for c := range middles[h] {
			middles[h][c] = 10 * r.Float64()
		}
	}
	columns := make([]cluster.Column, 6)
	scale := []float64{1, 1000, 1e-3, 5, 1}
	for c := range columns {
		columns[c] = cluster.Column{Name: fmt.Sprint("x", c), Numbers: make([]float64, n)}
	}
	for i := range n {
		h := r.IntN(count)
		for c, middle := range middles[h] {
			columns[c].Numbers[i] = scale[c] * (middle + width*r.NormFloat64())
		}
		columns[5].Numbers[i] = 3
		if i%17 == 0 {
			columns[i%5].Numbers[i] = math.NaN()
		}
	}
	return columns
}

func mustTrain(t testing.TB, columns []cluster.Column, p cluster.Params, threads int) (*cluster.Model, cluster.Fit) {
	t.Helper()
	m, fit, err := cluster.Train(t.Context(), columns, nil, p, cluster.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return m, fit
}

func numbers(columns []cluster.Column) [][]float64 {
	out := make([][]float64, len(columns))
	for c := range columns {
		out[c] = columns[c].Numbers
	}
	return out
}

func TestSameRowsGiveTheSameModel(t *testing.T) {
	t.Parallel()
	for _, init := range []string{cluster.PlusPlus, cluster.Random} {
		p := standard
		p.Init = init
		want, _ := mustTrain(t, heaps(2_500, 8, 2, 3), p, 1)
		for _, threads := range []int{2, 3, 8} {
			got, _ := mustTrain(t, heaps(2_500, 8, 2, 3), p, threads)
			if !bytes.Equal(got.Encode(), want.Encode()) {
				t.Errorf("%s: %d threads give another model", init, threads)
			}
		}
		p.Seed++
		if other, _ := mustTrain(t, heaps(2_500, 8, 2, 3), p, 1); bytes.Equal(other.Encode(), want.Encode()) {
			t.Errorf("%s: another seed gives the same model", init)
		}
	}
}

// TestCentresAreMeans: at rest every row is with its nearest centre, and every centre is the mean of its rows. Bounds that spare
// distances must not show.
func TestCentresAreMeans(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		for _, k := range []int{2, 5, 30} {
			columns := heaps(1_200, 7, 1+float64(seed), seed)
			p := standard
			p.K, p.Inits, p.Tolerance, p.Standardise = k, 1, 0, seed%2 == 0
			if seed == 3 {
				p.Init = cluster.Random
			}
			m, fit := mustTrain(t, columns, p, 2)
			if !fit.Converged {
				t.Fatalf("seed %d, k %d: not at rest after %d iterations", seed, k, fit.Iterations)
			}
			checkRest(t, m, columns, fit.Inertia)
		}
	}
}

func checkRest(t *testing.T, m *cluster.Model, columns []cluster.Column, inertia float64) {
	t.Helper()
	clusters, distances, err := m.PredictRows(t.Context(), numbers(columns), nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	points, err := m.Points(t.Context(), numbers(columns), nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	sums, rows := make([][]float64, len(m.Clusters())), make([]int64, len(m.Clusters()))
	for i, own := range clusters {
		total += distances[i] * distances[i]
		at := int(own)
		if sums[at] == nil {
			sums[at] = make([]float64, len(points))
		}
		rows[at]++
		for c := range points {
			sums[at][c] += points[c][i]
		}
	}
	if !near(total, inertia, 1e-9) {
		t.Errorf("squared distances of %v, and %v were said", total, inertia)
	}
	for at, c := range m.Clusters() {
		if c.Rows != rows[at] {
			t.Errorf("cluster %d has %d rows, and %d are predicted to be of it", at, c.Rows, rows[at])
		}
		if at > 0 && c.Rows > m.Clusters()[at-1].Rows {
			t.Errorf("cluster %d is larger than the one before", at)
		}
		for f := range points {
			if mean := sums[at][f] / float64(rows[at]); math.Abs(mean-c.Centre[f]) > 1e-7*max(1, math.Abs(mean)) {
				t.Errorf("cluster %d, coordinate %d: centre %v, mean %v", at, f, c.Centre[f], mean)
			}
		}
	}
}

func near(a, b, part float64) bool { return math.Abs(a-b) <= part*max(math.Abs(a), math.Abs(b)) }

// TestReachesScikitLearn compares with what testdata/reference.py printed: the least inertia that there is, and the clusters that have it.
func TestReachesScikitLearn(t *testing.T) {
	t.Parallel()
	var reference struct {
		X     [][]*float64
		Cases []struct {
			Name        string
			K           int
			Standardise bool
			Inertia     float64
			Centres     [][]float64
			Rows        []int64
		}
	}
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	var columns []cluster.Column
	for c, values := range reference.X {
		own := cluster.Column{Name: fmt.Sprint("x", c)}
		for _, v := range values {
			if v == nil {
				own.Numbers = append(own.Numbers, math.NaN())
			} else {
				own.Numbers = append(own.Numbers, *v)
			}
		}
		columns = append(columns, own)
	}
	for _, c := range reference.Cases {
		p := standard
		p.K, p.Standardise, p.Inits, p.Tolerance = c.K, c.Standardise, 100, 0
		m, fit := mustTrain(t, columns, p, 2)
		if !near(fit.Inertia, c.Inertia, 1e-7) {
			t.Errorf("%s: inertia %v, scikit-learn has %v", c.Name, fit.Inertia, c.Inertia)
		}
		for at, want := range c.Centres {
			own := m.Clusters()[at]
			if own.Rows != c.Rows[at] {
				t.Errorf("%s: cluster %d has %d rows, scikit-learn's %d", c.Name, at, own.Rows, c.Rows[at])
			}
			for f, v := range want {
				if got := m.Value(f, own.Centre[f]); math.Abs(got-v) > 1e-6*math.Abs(v) {
					t.Errorf("%s: cluster %d, feature %d: centre %v, scikit-learn's %v", c.Name, at, f, got, v)
				}
			}
		}
	}
}

func TestSpecialValues(t *testing.T) {
	t.Parallel()
	columns := heaps(1_000, 4, 0.3, 9)
	for i := range 10 {
		columns[0].Numbers[i*3], columns[1].Numbers[i*5] = math.Inf(1), math.Inf(-1)
	}
	for i := range columns[3].Numbers {
		columns[3].Numbers[i] = math.NaN()
	}
	m, fit := mustTrain(t, columns, standard, 2)
	if said := strings.Join(fit.Warnings, "\n"); !strings.Contains(said, `"x0" is infinite in 10 rows`) || !strings.Contains(said, `"x1" is infinite`) {
		t.Errorf("warnings %q", said)
	}
	inf, nan := math.Inf(1), math.NaN()
	wild := [][]float64{{nan, inf, -inf, math.MaxFloat64, 0}, {nan, inf, -inf, -math.MaxFloat64, 5e-324}, {nan, inf, -inf, 1e300, 0}, {nan, inf, -inf, 7, 8}, {nan, inf, -inf, 0, 0}, {nan, inf, -inf, 1e9, 3}}
	clusters, distances, err := m.PredictRows(t.Context(), wild, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range distances {
		if !(d >= 0 && d <= math.MaxFloat64) || clusters[i] < 0 || clusters[i] > 4 {
			t.Errorf("row %d: cluster %v, distance %v", i, clusters[i], d)
		}
	}
	if n := m.Nodes(); n != 81 {
		t.Errorf("four columns that vary and five clusters are %d nodes", n)
	}
	for f, share := range m.Importance() {
		if (f == 3 || f == 5) != (share == 0) {
			t.Errorf("feature %d has importance %v", f, share)
		}
	}
}

func TestWhatCannotBeClustered(t *testing.T) {
	t.Parallel()
	alike := []cluster.Column{{Name: "a", Numbers: []float64{1, 1, 1, 1}}, {Name: "b", Numbers: []float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()}}}
	few := []cluster.Column{{Name: "a", Numbers: []float64{1, 2, 1, 2, 3, 3}}}
	large := []cluster.Column{{Name: "big", Numbers: []float64{1, 2e100, 3}}}
	for _, c := range []struct {
		columns []cluster.Column
		change  func(p *cluster.Params)
		want    string
	}{
		{alike, nil, "none of the 2 columns varies"},
		{few, nil, "its 6 rows have 3 different places, and k is 5"},
		{large, nil, `"big" holds values beyond ±1e+100`},
		{few, func(p *cluster.Params) { p.K = 1 }, "k is 1"},
		{few, func(p *cluster.Params) { p.Init = "kmeans" }, `init is "kmeans"`},
		{few, func(p *cluster.Params) { p.Tolerance = math.NaN() }, "tol is NaN"},
		{nil, nil, "0 features"},
	} {
		p := standard
		if c.change != nil {
			c.change(&p)
		}
		if _, _, err := cluster.Train(t.Context(), c.columns, nil, p, cluster.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, and %q was expected", err, c.want)
		}
	}
	p := standard
	p.K = 3
	if m, _ := mustTrain(t, few, p, 1); m.Clusters()[2].Rows != 2 {
		t.Errorf("three places make the clusters %v", m.Clusters())
	}
}

// TestBeginsFarApart: k-means++ has a centre in each of some heaps that are far from each other, whatever the seed; rows by chance have not.
func TestBeginsFarApart(t *testing.T) {
	t.Parallel()
	columns := heaps(1_000, 12, 0.05, 8)
	least := math.Inf(1)
	for _, init := range []string{cluster.PlusPlus, cluster.Random} {
		found := 0
		for seed := range int64(20) {
			p := standard
			p.K, p.Init, p.Inits, p.Seed = 12, init, 1, seed
			_, fit := mustTrain(t, columns, p, 1)
			if fit.Inertia < least*0.99 {
				least, found = fit.Inertia, 0
			}
			if fit.Inertia < least*1.01 {
				found++
			}
		}
		if (init == cluster.PlusPlus) != (found > 15) {
			t.Errorf("%s finds the heaps from %d of 20 seeds", init, found)
		}
	}
}

// TestEmptyCentresGetRows begins with more centres than heaps, so that some lose all their rows on the way.
func TestEmptyCentresGetRows(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	column := cluster.Column{Name: "x"}
	for i := range 400 {
		column.Numbers = append(column.Numbers, float64(i%4)*1000+r.Float64())
	}
	for seed := range int64(30) {
		p := standard
		p.K, p.Init, p.Inits, p.Seed = 9, cluster.Random, 1, seed
		m, _ := mustTrain(t, []cluster.Column{column}, p, 2)
		for c, own := range m.Clusters() {
			if own.Rows == 0 {
				t.Errorf("seed %d: cluster %d has no rows", seed, c)
			}
		}
	}
}

func TestStopsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := cluster.Train(ctx, heaps(5_000, 4, 1, 1), nil, standard, cluster.Options{}); err != ctx.Err() {
		t.Errorf("got %v", err)
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	m, _ := mustTrain(t, heaps(500, 4, 1, 1), standard, 1)
	data := m.Encode()
	again, err := cluster.Decode(data)
	if err != nil || again.Hash() != m.Hash() {
		t.Fatalf("%v", err)
	}
	for n := range data {
		if _, err := cluster.Decode(data[:n]); err == nil {
			t.Fatalf("the first %d bytes are accepted", n)
		}
	}
	if _, err := cluster.Decode(append(slices.Clone(data), 0)); err == nil {
		t.Error("one byte more is accepted")
	}
}

func FuzzDecode(f *testing.F) {
	m, _ := mustTrain(f, heaps(100, 4, 1, 1), standard, 1)
	f.Add(m.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := cluster.Decode(data)
		if err == nil && !bytes.Equal(m.Encode(), data) {
			t.Error("other bytes than were read")
		}
		if err == nil {
			row := make([][]float64, m.Features())
			for c := range row {
				row[c] = []float64{math.Inf(1)}
			}
			if _, d, _ := m.PredictRows(t.Context(), row, nil, 1); !(d[0] <= math.MaxFloat64) {
				t.Errorf("distance %v", d)
			}
		}
	})
}
