package leak_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/leak"
)

// sample makes honest rows: 40 groups, every fourth held out, the last stretch of time; three noisy features, a category.
func sample(n, classes int) leak.Data {
	r := rand.New(rand.NewPCG(7, 7))
	d := leak.Data{Classes: classes, Groups: make([]leak.Grouping, 1), Columns: []leak.Column{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "city", Levels: []string{"oslo", "rome", "bern"}}}}
	for i := range n {
		score := 0.0
		for c := range 3 {
			v := r.NormFloat64()
			if r.IntN(20) == 0 {
				v = math.NaN()
			} else {
				score += v
			}
			d.Columns[c].Numbers = append(d.Columns[c].Numbers, v)
		}
		d.Columns[3].Codes = append(d.Columns[3].Codes, int32(r.IntN(4))-1)
		score += r.NormFloat64()
		switch {
		case classes == 2 && score > 0:
			score = 1
		case classes == 2:
			score = 0
		case classes > 2:
			score = float64(min(max(int(score+2), 0), classes-1))
		}
		d.Target = append(d.Target, score)
		d.Groups[0].Codes = append(d.Groups[0].Codes, int32(i*40/n))
		d.Halves = append(d.Halves, i*40/n*13%7%2 == 0)
		d.Held = append(d.Held, i*40/n >= 30)
		d.Times = append(d.Times, 1.7e9+float64(i))
	}
	return d
}

// with adds a feature.
func with(d leak.Data, name string, value func(i int) float64) leak.Data {
	c := leak.Column{Name: name}
	for i := range d.Target {
		c.Numbers = append(c.Numbers, value(i))
	}
	d.Columns = append(d.Columns, c)
	return d
}

func check(t testing.TB, d leak.Data) []leak.Finding {
	t.Helper()
	found, err := leak.Check(context.Background(), d, 2)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestHonestRowsHaveNoFindings(t *testing.T) {
	t.Parallel()
	for _, classes := range []int{0, 2, 5} {
		d := sample(8000, classes)
		d = with(d, "id", func(i int) float64 { return float64(i * 7919 % 8000) })
		names := leak.Column{Name: "name"}
		for i := range d.Target {
			names.Codes = append(names.Codes, int32(i))
			names.Levels = append(names.Levels, fmt.Sprint("n", i))
		}
		d.Columns = append(d.Columns, names)
		d = with(d, "helpful", func(i int) float64 { return d.Target[i] + 2*math.Sin(float64(i)*1.7) })
		if found := check(t, d); len(found) > 0 {
			t.Errorf("%d classes: %+v", classes, found)
		}
	}
	if found := check(t, leak.Data{}); len(found) > 0 {
		t.Errorf("no rows: %+v", found)
	}
}

func TestSidesThatMix(t *testing.T) {
	t.Parallel()
	d := sample(4000, 2)
	d.Groups[0].Names = make([]string, 40)
	for g := range d.Groups[0].Names {
		d.Groups[0].Names[g] = fmt.Sprintf("user %02d", g)
	}
	for i := range 200 {
		d.Held[i] = i%2 == 0 // of groups 0 and 1
	}
	d.Groups[0].Column = "user"
	d.Groups = append(d.Groups, leak.Grouping{Column: "day", Codes: make([]int32, 4000)})
	found := check(t, d)
	if len(found) != 3 {
		t.Fatalf("%+v", found)
	}
	want := []leak.Finding{
		{Kind: leak.GroupOnBothSides, Column: "user", Groups: 2, Rows: 100, Of: 1100, Examples: []string{"user 00", "user 01"}},
		{Kind: leak.GroupOnBothSides, Column: "day", Groups: 1, Rows: 1100, Of: 1100, Examples: []string{"0"}},
		{Kind: leak.TimeOverlap, Rows: 2900, Of: 2900, From: 1.7e9, To: 1.7e9 + 2999},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if text := found[2].Diag().Error(); !strings.Contains(text, "2023-11-14 22:13:20") || !strings.Contains(text, "Fix:") {
		t.Error(text)
	}
}

func TestRowsOnBothSides(t *testing.T) {
	t.Parallel()
	d := sample(4000, 2)
	copyRow := func(to, from int) {
		for c := range d.Columns {
			if d.Columns[c].Codes != nil {
				d.Columns[c].Codes[to] = d.Columns[c].Codes[from]
			} else {
				d.Columns[c].Numbers[to] = d.Columns[c].Numbers[from]
			}
		}
		d.Target[to] = d.Target[from]
	}
	for i := range 50 {
		copyRow(3900+i, 100+i)
	}
	want := []leak.Finding{{Kind: leak.RowOnBothSides, Rows: 50, Of: 1000}}
	if diff := cmp.Diff(want, check(t, d)); diff != "" {
		t.Error(diff)
	}
	d.Target[3900] = 1 - d.Target[3900] // the same features, another answer
	if found := check(t, d); found[0].Rows != 49 {
		t.Errorf("%+v", found)
	}
	// Where most rows repeat others, that says nothing.
	few := sample(4000, 2)
	few.Columns = few.Columns[3:]
	if found := check(t, few); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestFeaturesThatTellTheTarget(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	two, five, number := sample(6000, 2), sample(6000, 5), sample(6000, 0)
	five.ClassNames = []string{"walk", "bike", "bus", "car", "train"}
	colour := leak.Column{Name: "colour", Levels: []string{"red", "green"}}
	for _, y := range two.Target {
		colour.Codes = append(colour.Codes, int32(y))
	}
	byLevel := two
	byLevel.Columns = append(byLevel.Columns[:4:4], colour)
	for name, c := range map[string]struct {
		data leak.Data
		want leak.Finding
	}{
		"rising":  {with(two, "x", func(i int) float64 { return two.Target[i]*10 + r.NormFloat64() }), leak.Finding{Feature: "x", Measure: "AUC"}},
		"falling": {with(two, "x", func(i int) float64 { return -two.Target[i]*10 + r.NormFloat64() }), leak.Finding{Feature: "x", Measure: "AUC"}},
		"both ends": {with(two, "x", func(i int) float64 { return (1-two.Target[i])*float64(5*(i%2*2-1)) + 0.5*r.NormFloat64() }),
			leak.Finding{Feature: "x", Measure: "AUC"}},
		"missing": {with(two, "x", func(i int) float64 {
			if two.Target[i] == 1 {
				return math.NaN()
			}
			return r.NormFloat64()
		}), leak.Finding{Feature: "x", Measure: "AUC"}},
		"category": {byLevel, leak.Finding{Feature: "colour", Measure: "AUC"}},
		"one class": {with(five, "x", func(i int) float64 {
			if five.Target[i] == 2 {
				return 9 + r.NormFloat64()
			}
			return r.NormFloat64()
		}), leak.Finding{Feature: "x", Class: "bus", Measure: "AUC"}},
		"a line":  {with(number, "x", func(i int) float64 { return 3 - 1e6*number.Target[i] }), leak.Finding{Feature: "x", Measure: "R²"}},
		"a curve": {with(number, "x", func(i int) float64 { return math.Exp(number.Target[i]) }), leak.Finding{Feature: "x", Measure: "R²"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := check(t, c.data)
			if len(found) != 1 {
				t.Fatalf("%+v", found)
			}
			if f := found[0]; f.Kind != leak.Predicts || f.Feature != c.want.Feature || f.Class != c.want.Class || f.Measure != c.want.Measure || !(f.Value > 0.99 && f.Value <= 1) {
				t.Errorf("%+v", f)
			}
			if text := found[0].Diag().Error(); !strings.Contains(text, "alone predicts") || !strings.Contains(text, "exclude = [") {
				t.Error(text)
			}
		})
	}
}

// TestANameOfAGroupPredictsNoOtherGroup: rows of a person have one class, so that the person's name tells it. It tells
// nothing of others, and where groups are known it is no leak.
func TestANameOfAGroupPredictsNoOtherGroup(t *testing.T) {
	t.Parallel()
	d := sample(4000, 2)
	person := leak.Column{Name: "person"}
	for g := range 40 {
		person.Levels = append(person.Levels, fmt.Sprint("p", g))
	}
	for i, g := range d.Groups[0].Codes {
		person.Codes = append(person.Codes, g)
		d.Target[i] = float64(g * 13 % 40 % 2)
	}
	d.Columns = append(d.Columns, person)
	if found := check(t, d); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	for i := range d.Halves {
		d.Halves[i] = i%3 == 0
	}
	if found := check(t, d); len(found) != 1 || found[0].Feature != "person" {
		t.Errorf("halves that share persons: %+v", found)
	}
}

// TestNumbersTooSmallToSquarePredictNothing: their variance is 0, or what is left of it.
func TestNumbersTooSmallToSquarePredictNothing(t *testing.T) {
	t.Parallel()
	d := sample(3000, 0)
	d = with(d, "tiny", func(i int) float64 { return 1e-200 * math.Sin(float64(i)) })
	d = with(d, "less", func(i int) float64 { return 1e-160 * math.Cos(float64(i)) })
	if found := check(t, d); len(found) > 0 {
		t.Errorf("features: %+v", found)
	}
	for i := range d.Target {
		d.Target[i] = 1e-162 * math.Sin(float64(i))
	}
	if found := check(t, d); len(found) > 0 {
		t.Errorf("target: %+v", found)
	}
}

// TestAHalfWithoutRowsTeachesNothing: one group only.
func TestAHalfWithoutRowsTeachesNothing(t *testing.T) {
	t.Parallel()
	d := sample(1000, 2)
	d = with(d, "x", func(i int) float64 { return 2 * d.Target[i] })
	if found := check(t, d); len(found) != 1 {
		t.Errorf("two halves: %+v", found)
	}
	clear(d.Halves)
	if found := check(t, d); len(found) > 0 {
		t.Errorf("one half: %+v", found)
	}
}

func TestFeaturesThatSayNothingNew(t *testing.T) {
	t.Parallel()
	d := sample(3000, 2)
	a := d.Columns[0].Numbers
	d = with(d, "constant", func(int) float64 { return 4 })
	d = with(d, "empty", func(int) float64 { return math.NaN() })
	d = with(d, "constant in training", func(i int) float64 {
		if d.Held[i] {
			return float64(i)
		}
		return 1
	})
	d = with(d, "here or not", func(i int) float64 {
		if i%2 == 0 {
			return math.NaN()
		}
		return 1
	})
	d = with(d, "tiny", func(i int) float64 { return 1e-200 * math.Sin(float64(i)) })
	d = with(d, "copy", func(i int) float64 { return a[i] })
	d = with(d, "fahrenheit", func(i int) float64 { return 32 + 1.8*a[i] })
	d = with(d, "negative", func(i int) float64 { return -a[i] })
	d = with(d, "nearly", func(i int) float64 { return a[i] + 0.01*math.Sin(float64(i)) })
	stadt := leak.Column{Name: "stadt", Levels: []string{"Bern", "Rom", "Oslo"}, Codes: nil}
	for _, code := range d.Columns[3].Codes {
		if code >= 0 {
			code = 2 - code
		}
		stadt.Codes = append(stadt.Codes, code)
	}
	d.Columns = append(d.Columns, stadt)
	var got []string
	for _, f := range check(t, d) {
		got = append(got, fmt.Sprintf("%s %s %s %s %.0f", f.Kind, f.Feature, f.Other, f.Measure, f.Value))
		if text := f.Diag(); text.IsError() || text.Fix == "" || !strings.Contains(text.Detail, f.Feature) {
			t.Errorf("%+v", text)
		}
	}
	want := []string{
		"constant constant   0", "constant empty   0", "constant constant in training   0", "duplicate copy a  0",
		"duplicate fahrenheit a correlation 1", "duplicate negative a correlation -1", "duplicate stadt city  0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := leak.Check(ctx, sample(1000, 2), 2); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// BenchmarkCheck looks at a million rows of 24 features.
func BenchmarkCheck(b *testing.B) {
	d := sample(1_000_000, 2)
	for i := range leak.SampleRows {
		d.Sample = append(d.Sample, int32(i*50))
	}
	r := rand.New(rand.NewPCG(3, 3))
	for len(d.Columns) < 24 {
		d = with(d, fmt.Sprint("x", len(d.Columns)), func(int) float64 { return r.NormFloat64() })
	}
	for b.Loop() {
		check(b, d)
	}
}
