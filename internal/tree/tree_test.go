package tree_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"

	"damson/internal/forest"
	"damson/internal/tree"
)

func TestBatchEqualsSingleRows(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *tree.Model) {
		d := sample(1500, 0, 6, true)
		all, err := m.PredictRows(context.Background(), d.Columns, nil, 3)
		if err != nil {
			t.Fatal(err)
		}
		some, err := m.PredictRows(context.Background(), d.Columns, []int32{1400, 3}, 1)
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float64, len(d.Columns))
		for i := range d.Keys {
			for c := range row {
				row[c] = d.Columns[c][i]
			}
			total := 0.0
			for k, want := range m.Predict(row) {
				total += want
				if all[k][i] != want {
					t.Fatalf("row %d, output %d: %v by batch, %v alone", i, k, all[k][i], want)
				}
			}
			if m.Outputs() > 1 && math.Abs(total-1) > 1e-12 {
				t.Fatalf("probabilities of row %d add up to %v", i, total)
			}
		}
		for k := range some {
			if some[k][0] != all[k][1400] || some[k][1] != all[k][3] {
				t.Fatal("chosen rows differ")
			}
		}
	})
}

// TestUnknownCategoriesGoWithTheMissing: what training has not seen is predicted as a missing value, or, in a column with
// more categories than bins, as the others without a bin of their own.
func TestUnknownCategoriesGoWithTheMissing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *tree.Model) {
		row := []float64{0.3, -0.2, 1, 7, 9, 0, 1, -1}
		predict := func(f int, v float64) string {
			own := append([]float64{}, row...)
			own[f] = v
			return fmt.Sprint(m.Predict(own))
		}
		for _, unknown := range []float64{-1, 0.5, 255, 1e12, math.Inf(1), math.Inf(-1)} {
			if predict(3, unknown) != predict(3, math.NaN()) {
				t.Errorf("category %v of 255 is predicted otherwise than a missing one", unknown)
			}
			if unknown != 255 && predict(4, unknown) != predict(4, 399) {
				t.Errorf("category %v of 400 is predicted otherwise than a rare one", unknown)
			}
		}
		if predict(2, math.Copysign(0, -1)) != predict(2, 0) {
			t.Error("-0 is not 0")
		}
	})
}

// TestRareCategoriesAreOneCategory: of 300 categories the 254 most frequent are told apart; all others, those never seen
// included, are one that is not the missing one.
func TestRareCategoriesAreOneCategory(t *testing.T) {
	t.Parallel()
	d := tree.Data{Columns: make([][]float64, 1), Categories: []int{300}, Classes: 2}
	add := func(category float64, class uint8) {
		d.Columns[0], d.Class = append(d.Columns[0], category), append(d.Class, class)
		d.Keys = append(d.Keys, tree.KeyOf(strconv.Itoa(len(d.Keys))))
	}
	for c := range 300 {
		if c%10 == 3 || c%10 == 7 && c < 200 { // 50 are rare
			add(float64(c), 1)
			continue
		}
		add(float64(c), uint8(c%2))
		add(float64(c), uint8(c%2))
	}
	add(math.NaN(), 0)
	m, err := forest.Train(context.Background(), d, forest.DecisionTree(forest.Params{MaxDepth: 1, Bins: 2}), forest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for category, want := range map[float64]float64{0: 0, 1: 1, 2: 0, 3: 1, 7: 1, 299: 1, 298: 0, 300: 1, -1: 1, 2.5: 1, math.Inf(1): 1} {
		if got := m.Predict([]float64{category})[0]; got != want {
			t.Errorf("category %v is predicted as %v, want %v", category, got, want)
		}
	}
	if got := m.Predict([]float64{math.NaN()})[0]; got != 0 {
		t.Errorf("a missing category is predicted as %v", got)
	}
}

func TestPoissonDrawsHaveMeanOne(t *testing.T) {
	t.Parallel()
	const n = 200_000
	draw := tree.NewDraw(3, 5)
	var counts [tree.MostDraws + 1]float64
	for i := range n {
		counts[draw.Poisson(tree.KeyOf(strconv.Itoa(i)))]++
	}
	p := math.Exp(-1)
	for k := range 6 {
		if got := counts[k] / n; math.Abs(got-p) > 5*math.Sqrt(p/n) {
			t.Errorf("%d drawn with frequency %v, expected %v", k, got, p)
		}
		p /= float64(k + 1)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range small(f) {
		good := m.Encode()
		f.Add(good)
		f.Add(good[:len(good)/2])
	}
	f.Add([]byte("damson-trees-1\n"))
	f.Add(append([]byte("damson-trees-1\n"), 1, 2, 1, 0, 1, 1, 1, 4, 0, 1, 1, 7))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := tree.Decode(data)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), data) {
			t.Fatal("decoded bytes encode differently")
		}
		for _, p := range m.Predict(make([]float64, m.Features())) {
			if p != p || m.Classes() > 0 && (p < 0 || p > 1+1e-9) {
				t.Fatalf("output %v", p)
			}
		}
		if m.Nodes() < 2000 {
			columns := make([]string, m.Features())
			m.SQL(columns, "x")
		}
	})
}

func TestDecodeGivesTheModelBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *tree.Model) {
		encoded := m.Encode()
		back, err := tree.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if back.Hash() != m.Hash() || back.Features() != m.Features() || back.Kind() != m.Kind() || back.Classes() != m.Classes() || back.Categories(4) != 400 {
			t.Fatal("another model came back")
		}
		if fmt.Sprint(back.Importance()) != fmt.Sprint(m.Importance()) {
			t.Error("another importance came back")
		}
		for i := 0; i < len(encoded); i += 1 + i/100 {
			if _, err := tree.Decode(encoded[:i]); err == nil {
				t.Fatalf("accepted the first %d of %d bytes", i, len(encoded))
			}
		}
	})
}

func TestExpAndLogAreExact(t *testing.T) {
	t.Parallel()
	for x := -700.0; x <= 700; x += 0.0173 {
		if got, want := tree.Exp(x), math.Exp(x); math.Abs(got-want) > 4e-16*want {
			t.Fatalf("Exp(%v) is %v, want %v", x, got, want)
		}
		v := math.Exp(x)
		if got, want := tree.Log(v), math.Log(v); math.Abs(got-want) > 4e-16*max(1, math.Abs(want)) {
			t.Fatalf("Log(%v) is %v, want %v", v, got, want)
		}
	}
	for x, want := range map[float64]float64{0: 1, math.Inf(-1): tree.Exp(-700), math.Inf(1): tree.Exp(700), 1000: tree.Exp(700)} {
		if got := tree.Exp(x); got != want {
			t.Errorf("Exp(%v) is %v, want %v", x, got, want)
		}
	}
	if tree.Log(1) != 0 || tree.Sigmoid(0) != 0.5 || tree.Sigmoid(-800) > 1e-300 || tree.Sigmoid(800) != 1 {
		t.Error("fixed points differ")
	}
}
