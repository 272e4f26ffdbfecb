package heldout_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/heldout"
	"damson/internal/metric"
)

var kinds = map[string]heldout.Rows{
	"two classes": {Kind: metric.Binary, Classes: []string{"0", "1"}},
	"many":        {Kind: metric.Multiclass, Classes: []string{"bike", "bus", "walk"}},
	"numbers":     {Kind: metric.Regression},
}

// drawn gives n rows of a kind, with every third key from first on, in groups of five rows. Predictions are as good as skill
// says, from 0 to 1.
func drawn(kind string, n int, first uint64, skill float64) heldout.Rows {
	r := kinds[kind]
	noise := rand.New(rand.NewPCG(1, uint64(skill*100)))
	r.All, r.Outputs = int64(n), make([][]float64, max(1, len(r.Classes)))
	if len(r.Classes) == 2 {
		r.Outputs = r.Outputs[:1]
	}
	for i := range n {
		key := first + 3*uint64(i)
		truth := float64(key * 2654435761 >> 7 % 2)
		if len(r.Classes) == 3 {
			truth = float64(key * 2654435761 >> 7 % 3)
		}
		r.Keys, r.Groups, r.Targets = append(r.Keys, key), append(r.Groups, key/15<<40), append(r.Targets, truth)
		for k := range r.Outputs {
			right := truth
			if len(r.Classes) == 3 {
				right = 0
				if int(truth) == k {
					right = 1
				}
			}
			r.Outputs[k] = append(r.Outputs[k], skill*right+(1-skill)*noise.Float64())
		}
	}
	return r
}

func TestRowsComeBack(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		for _, n := range []int{1, 300} {
			want := drawn(kind, n, 7, 0.5)
			got, err := heldout.Decode(want.Encode())
			if err != nil {
				t.Fatalf("%d rows of %s: %v", n, kind, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d rows of %s:\n%s", n, kind, diff)
			}
		}
	}
	if b := drawn("numbers", 0, 0, 0).Encode(); b != nil {
		t.Errorf("no rows are %q", b)
	}
	want := drawn("numbers", 3, 0, 0)
	want.Groups, want.Outputs[0][1], want.Targets[2] = nil, math.Inf(1), -1e100
	if got, err := heldout.Decode(want.Encode()); err != nil || !cmp.Equal(want, got) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWhatIsKeptIsSmall holds docs/models.md to its word.
func TestWhatIsKeptIsSmall(t *testing.T) {
	t.Parallel()
	for outputs, want := range map[int]int{1: 50_000, 3: 50_000, 5: 50_000, 10: 26_214, 100: 2621} {
		if got := heldout.Most(outputs); got != want {
			t.Errorf("%d rows of %d outputs", got, outputs)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	worst := drawn("numbers", heldout.Most(1), 0, 0)
	for i := range worst.Keys {
		worst.Keys[i] = uint64(i)<<40 + random.Uint64N(1<<40)
		worst.Groups[i], worst.Targets[i], worst.Outputs[0][i] = random.Uint64(), random.NormFloat64(), random.NormFloat64()
	}
	if n := len(worst.Encode()); n > 3<<19 {
		t.Errorf("%d rows that can not be compressed take %d bytes", len(worst.Keys), n)
	}
}

func TestTornEncodingsAreErrors(t *testing.T) {
	t.Parallel()
	good := drawn("two classes", 50, 7, 0.5).Encode()
	for name, b := range map[string][]byte{
		"empty": nil, "of another format": append([]byte("DAMSONH2"), good[8:]...), "half": good[:len(good)/2], "without an end": good[:len(good)-1],
	} {
		if _, err := heldout.Decode(b); err == nil {
			t.Errorf("an encoding that is %s was read", name)
		}
	}
	swapped := drawn("two classes", 50, 7, 0.5)
	swapped.Keys[1] = swapped.Keys[0]
	if _, err := heldout.Decode(swapped.Encode()); err == nil {
		t.Error("a key came twice")
	}
	wrong := drawn("two classes", 50, 7, 0.5)
	wrong.Targets[3] = 2
	if _, err := heldout.Decode(wrong.Encode()); err == nil {
		t.Error("a class that there is not was read")
	}
}

func FuzzDecode(f *testing.F) {
	for kind := range kinds {
		f.Add(drawn(kind, 20, 7, 0.5).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := heldout.Decode(b)
		if err != nil {
			return
		}
		if _, err := heldout.Compare(context.Background(), r, r, 0.5, 0.5); err != nil {
			t.Error(err)
		}
		again, err := heldout.Decode(r.Encode())
		if err != nil || len(again.Keys) != len(r.Keys) {
			t.Errorf("what was read can not be written: %v", err)
		}
	})
}

func compare(t *testing.T, a, b heldout.Rows) *heldout.Comparison {
	t.Helper()
	c, err := heldout.Compare(context.Background(), a, b, 0.5, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheSameRowsAreCompared(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"two classes": "log_loss", "many": "log_loss", "numbers": "rmse"} {
		a, b := drawn(kind, 400, 0, 0.8), drawn(kind, 400, 300, 0.3) // which share 300 rows
		b.Targets[0] = 1 - b.Targets[0]
		if kind == "many" {
			b.Targets[0] = math.Mod(a.Targets[100]+1, 3)
		}
		c := compare(t, a, b)
		if c.Rows != 299 || c.Changed != 1 || c.OnlyA != 100 || c.OnlyB != 100 || c.Groups != 60 || c.Sampled || c.Resamples != 1000 {
			t.Errorf("%s: %+v", kind, c)
		}
		var found bool
		for _, m := range c.Metrics {
			if m.Difference != m.A-m.B || m.Low > m.Difference || m.High < m.Difference {
				t.Errorf("%s: %+v", kind, m)
			}
			if m.Metric == name {
				found = m.A < m.B && m.High < 0
			}
		}
		if !found {
			t.Errorf("%s: the better one's %s is not surely less: %+v", kind, name, c.Metrics)
		}
		if g := c.Agreement; kind == "numbers" != (g == nil) || g != nil && (g.Both+g.OnlyA+g.OnlyB+g.Neither != 299 || g.OnlyA < 20 || g.OnlyB > 20) {
			t.Errorf("%s: %+v", kind, g)
		}
	}
}

// TestMetricsAreThoseOfTheSharedRows computes what Compare says of both by hand.
func TestMetricsAreThoseOfTheSharedRows(t *testing.T) {
	t.Parallel()
	one := heldout.Rows{Kind: metric.Binary, Classes: []string{"0", "1"}, All: 5, Keys: []uint64{1, 2, 3, 4, 5}, Targets: []float64{0, 1, 0, 1, 1}, Outputs: [][]float64{{0.1, 0.9, 0.6, 0.8, 0.2}}}
	two := heldout.Rows{Kind: metric.Binary, Classes: []string{"0", "1"}, All: 90, Keys: []uint64{2, 3, 4, 5, 6}, Targets: []float64{1, 0, 1, 1, 0}, Outputs: [][]float64{{0.2, 0.1, 0.8, 0.7, 0.3}}}
	c := compare(t, one, two)
	if want := (heldout.Agreement{Both: 1, OnlyA: 1, OnlyB: 2}); *c.Agreement != want || c.Rows != 4 || !c.Sampled || c.Groups != 4 {
		t.Errorf("%+v, %+v", c, c.Agreement)
	}
	for _, m := range c.Metrics {
		if m.Metric == "accuracy" && (m.A != 0.5 || m.B != 0.75 || m.Difference != -0.25) {
			t.Errorf("%+v", m)
		}
	}
}

func TestLittleInCommon(t *testing.T) {
	t.Parallel()
	a, b := drawn("two classes", 5, 0, 0.5), drawn("two classes", 5, 1, 0.5)
	if c := compare(t, a, b); c.Rows != 0 || c.OnlyA != 5 || c.OnlyB != 5 || len(c.Metrics) != 0 {
		t.Errorf("%+v", c)
	}
	b = drawn("two classes", 5, 0, 0.2)
	if c := compare(t, a, b); c.Rows != 5 || c.Groups != 1 || len(c.Metrics) != 0 || c.Agreement == nil {
		t.Errorf("one group: %+v", c)
	}
	if why := heldout.WhyNot(a, drawn("numbers", 5, 0, 0)); why != "one is a binary model, the other a regression model" {
		t.Error(why)
	}
	b.Classes = []string{"no", "yes"}
	if why := heldout.WhyNot(a, b); why != `they tell different classes apart: ["0" "1"] and ["no" "yes"]` {
		t.Error(why)
	}
}
