package metric

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kinds is what testdata/kinds.py writes.
type kinds struct {
	Classes struct {
		Probabilities [][]float64
		Labels        []int32
		Weights       []float64
		Metrics       map[string]float64
		Confusion     [][]int64
	}
	Numbers struct {
		Actual, Predicted, Weights, Residuals []float64
		Metrics                               map[string]float64
	}
	Drift struct {
		Before, Now []float64
		KS, JS      float64
	}
	Dependence struct {
		X                           [][]float64
		Coefficients, Grid, Average []float64
		Intercept                   float64
	}
}

func readKinds(t *testing.T) kinds {
	t.Helper()
	text, err := os.ReadFile("testdata/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	var k kinds
	if err := json.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

func checkValues(t *testing.T, r Report, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if got, ok := r.Value(name); !ok || !near(got, v) {
			t.Errorf("%s is %v, scikit-learn says %v", name, got, v)
		}
	}
}

func TestClassesAgreeWithScikitLearn(t *testing.T) {
	t.Parallel()
	want := readKinds(t).Classes
	r := ClassRows{Names: []string{"a", "b", "c", "d"}, Probabilities: want.Probabilities, Labels: want.Labels, Weights: want.Weights}
	got := JudgeClasses(r)
	checkValues(t, got, want.Metrics)
	if diff := cmp.Diff(want.Confusion, got.Classes.Confusion); diff != "" {
		t.Error(diff)
	}
	if _, ok := got.Value("positives"); ok || got.Confusion.Rows() != 0 {
		t.Error("a report of four classes has figures of two")
	}
}

func TestNumbersAgreeWithScikitLearn(t *testing.T) {
	t.Parallel()
	want := readKinds(t).Numbers
	got := JudgeNumbers(NumberRows{Predicted: want.Predicted, Actual: want.Actual, Weights: want.Weights})
	checkValues(t, got, want.Metrics)
	for i, q := range got.Regression.Residuals {
		if !near(q.Value, want.Residuals[i]) {
			t.Errorf("quantile %v is %v, NumPy says %v", q.Share, q.Value, want.Residuals[i])
		}
	}
	rows := int64(0)
	for i, b := range got.Regression.Bins {
		rows += b.Rows
		if b.Predicted < b.From || b.Predicted > b.To || i > 0 && b.From <= got.Regression.Bins[i-1].To {
			t.Errorf("bin %+v", b)
		}
	}
	if rows != 300 || len(got.Regression.Bins) != 10 {
		t.Errorf("%d rows in %d bins", rows, len(got.Regression.Bins))
	}
}

func TestDriftAgreesWithSciPy(t *testing.T) {
	t.Parallel()
	want := readKinds(t).Drift
	f := Refer([]Column{{Name: "x", Numbers: want.Before}})
	d, err := f.Drift([]Column{{Name: "x", Numbers: want.Now}})
	if err != nil {
		t.Fatal(err)
	}
	got := d.Features[0]
	if !near(*got.KS, want.KS) || !near(*got.JS, want.JS) {
		t.Errorf("KS %v and JS %v, SciPy says %v and %v", *got.KS, *got.JS, want.KS, want.JS)
	}
}

func TestDependenceAgreesWithScikitLearn(t *testing.T) {
	t.Parallel()
	want := readKinds(t).Dependence
	predict := func(columns [][]float64) ([][]float64, error) {
		out := make([]float64, len(columns[0]))
		for i := range out {
			out[i] = want.Intercept
			for c, b := range want.Coefficients {
				out[i] += b * columns[c][i]
			}
		}
		return [][]float64{out}, nil
	}
	before := slices.Clone(want.X[2])
	got, err := DependenceOf(t.Context(), "x2", want.X, 2, predict, Grid{})
	if err != nil || len(got.Points) != len(want.Grid) || got.Missing != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, p := range got.Points {
		if p.Value != want.Grid[i] || math.Abs(p.Outputs[0]-want.Average[i]) > 1e-10 {
			t.Errorf("%+v, scikit-learn says %v at %v", p, want.Average[i], want.Grid[i])
		}
	}
	if !slices.Equal(before, want.X[2]) {
		t.Error("the column was changed")
	}
}

// sampleRows are rows of two classes in groups that are alike in themselves.
func sampleRows(n, groups int, seed uint64) Rows {
	r := rand.New(rand.NewPCG(seed, 1))
	var out Rows
	for i := range n {
		g := i % groups
		y := uint8(0)
		if r.Float64() < 0.3+0.4*float64(g)/float64(groups) {
			y = 1
		}
		out.Labels = append(out.Labels, y)
		out.Groups = append(out.Groups, fmt.Sprintf("g%03d", g))
		out.Probabilities = append(out.Probabilities, math.Round(100*min(max(0.3*float64(y)+0.35+0.25*r.NormFloat64(), 0), 1))/100)
	}
	return out
}

// TestAResampleIsTheRowsDrawn repeats rows as often as their group was drawn, and judges them plainly.
func TestAResampleIsTheRowsDrawn(t *testing.T) {
	t.Parallel()
	r := sampleRows(400, 12, 3)
	b := Bootstrap{Seed: 5}
	codes, n := codesOf(r.Groups, 400)
	weights := make([]uint8, n*lanes)
	b.draw(2, weights)
	binary := newBinarySampler(r, 0.5).sample(weights)
	classes := ClassRows{Names: []string{"no", "yes"}, Labels: make([]int32, 400), Groups: r.Groups, Probabilities: [][]float64{make([]float64, 400), r.Probabilities}}
	numbers := NumberRows{Predicted: r.Probabilities, Actual: make([]float64, 400), Groups: r.Groups}
	for i, y := range r.Labels {
		classes.Labels[i], classes.Probabilities[0][i], numbers.Actual[i] = int32(y), 1-r.Probabilities[i], float64(y)
	}
	several, regression := newClassSampler(classes).sample(weights), newNumberSampler(numbers).sample(weights)
	for lane := range lanes {
		var rows []int
		for i, g := range codes {
			for range weights[int(g)*lanes+lane] {
				rows = append(rows, i)
			}
		}
		drawn := Rows{Probabilities: pick(r.Probabilities, rows), Labels: pick(r.Labels, rows)}
		own := NumberRows{Predicted: pick(numbers.Predicted, rows), Actual: pick(numbers.Actual, rows)}
		for _, c := range []struct {
			got  map[string][lanes]float64
			want Report
		}{{binary, Judge(drawn, 0.5)}, {several, JudgeClasses(classes.only(rows))}, {regression, JudgeNumbers(own)}} {
			for name, v := range c.got {
				if want := c.want.Metrics[name]; math.Abs(v[lane]-want) > 1e-10 {
					t.Errorf("lane %d: %s is %v, want %v", lane, name, v[lane], want)
				}
			}
		}
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	r := sampleRows(2000, 40, 8)
	i, err := r.Intervals(t.Context(), 0.5, Bootstrap{Seed: 1, Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	again, _ := r.Intervals(t.Context(), 0.5, Bootstrap{Seed: 1, Threads: 1})
	if diff := cmp.Diff(i, again); diff != "" {
		t.Errorf("another number of threads gives other intervals: %s", diff)
	}
	report := Judge(r, 0.5)
	for _, name := range intervalNames[Binary] {
		if own := i.Metrics[name]; !(own.Low < report.Metrics[name] && report.Metrics[name] < own.High) || own.High-own.Low > 0.2 {
			t.Errorf("%s is %v in %+v", name, report.Metrics[name], own)
		}
	}
	// Rows drawn one by one look surer than they are.
	alone := r
	alone.Groups = nil
	narrow, _ := alone.Intervals(t.Context(), 0.5, Bootstrap{Seed: 1})
	if i.Groups != 40 || narrow.Groups != 2000 {
		t.Errorf("%d and %d groups", i.Groups, narrow.Groups)
	}
	report.Intervals = i
	if v, ok := report.Value("auc.low"); !ok || v != i.Metrics["auc"].Low {
		t.Errorf("auc.low is %v", v)
	}
	one := sampleRows(50, 1, 8)
	if none, err := one.Intervals(t.Context(), 0.5, Bootstrap{}); none != nil || err != nil {
		t.Errorf("one group: %+v, %v", none, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Intervals(ctx, 0.5, Bootstrap{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestThresholdsAndLift(t *testing.T) {
	t.Parallel()
	r := sampleRows(1000, 7, 2)
	got := Judge(r, 0.5)
	for _, c := range got.Thresholds {
		want := Confuse(r.Probabilities, r.Labels, c.Threshold)
		if c.Predicted != want.TruePositives+want.FalsePositives || *c.Recall != want.Recall() || c.Accuracy != want.Accuracy() {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if c := got.Thresholds[0]; c.Threshold != 0.05 || len(got.Thresholds) != 19 {
		t.Errorf("%+v", c)
	}
	rows, positives := int64(0), 0.0
	for i, tier := range got.Lift {
		rows += tier.Rows
		positives += tier.Positives
		if !near(tier.Gain, positives/float64(got.Positives)) || i > 0 && tier.Probability > got.Lift[i-1].Probability {
			t.Errorf("%+v", tier)
		}
	}
	if rows != 1000 || len(got.Lift) != 10 || got.Lift[0].Lift < 1.3 || !near(got.Lift[9].TotalLift, 1) || !near(positives, float64(got.Positives)) {
		t.Errorf("%+v", got.Lift)
	}
	// Four rows of one probability, two of them positive, in two tiers: one in each.
	even := NewCurve([]float64{0.5, 0.5, 0.5, 0.5}, []uint8{1, 1, 0, 0}).Lift(2)
	if even[0].Positives != 1 || even[1].Positives != 1 || even[0].Lift != 1 {
		t.Errorf("%+v", even)
	}
}

func TestCompareTwoModels(t *testing.T) {
	t.Parallel()
	good := sampleRows(1500, 30, 4)
	bad := good
	bad.Probabilities = slices.Clone(good.Probabilities)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range bad.Probabilities {
		if r.IntN(2) == 0 {
			bad.Probabilities[i] = r.Float64()
		}
	}
	c, err := Compare(t.Context(), bad, good, 0.5, 0.5, Bootstrap{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Metrics["auc"]; !(d.Low > 0 && d.Low < d.Difference && d.Difference < d.High) || d.First >= d.Second {
		t.Errorf("%+v", d)
	}
	if d := c.Metrics["log_loss"]; d.High >= 0 {
		t.Errorf("%+v", d)
	}
	a := c.Agreement
	if a.Both+a.FirstOnly+a.SecondOnly+a.Neither != 1500 || a.SecondOnly <= a.FirstOnly || c.Groups != 30 {
		t.Errorf("%+v", c)
	}
	self, _ := Compare(t.Context(), good, good, 0.5, 0.5, Bootstrap{Seed: 3})
	if d := self.Metrics["auc"]; d.Low != 0 || d.High != 0 || self.Agreement.FirstOnly != 0 {
		t.Errorf("a model differs from itself: %+v", self)
	}
	numbers := NumberRows{Predicted: []float64{1, 2, 3, 4}, Actual: []float64{1, 2, 3, 5}}
	worse := NumberRows{Predicted: []float64{2, 3, 4, 5}, Actual: numbers.Actual}
	n, err := CompareNumbers(t.Context(), numbers, worse, Bootstrap{})
	if err != nil || n.Metrics["mae"].Difference != 0.5 || n.Agreement != nil {
		t.Errorf("%+v, %v", n, err)
	}
	classes := ClassRows{Names: []string{"a", "b"}, Labels: []int32{0, 1, 0}, Probabilities: [][]float64{{1, 0, 1}, {0, 1, 0}}}
	wrong := ClassRows{Names: classes.Names, Labels: classes.Labels, Probabilities: [][]float64{{0, 0, 0}, {1, 1, 1}}}
	k, err := CompareClasses(t.Context(), classes, wrong, Bootstrap{})
	if err != nil || *k.Agreement != (Agreement{Both: 1, FirstOnly: 2}) || !near(k.Metrics["accuracy"].Difference, -2.0/3) {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestPermutationFindsWhatAModelUses(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 9))
	columns := make([][]float64, 3)
	var y []float64
	for range 500 {
		for c := range columns {
			columns[c] = append(columns[c], r.NormFloat64())
		}
		y = append(y, 3*columns[0][len(y)]+columns[1][len(y)])
	}
	score := func(columns [][]float64) (float64, error) {
		loss := 0.0
		for i := range y {
			d := 3*columns[0][i] + columns[1][i] - y[i]
			loss += d * d
		}
		return -loss / 500, nil
	}
	order := func(int, int) []int32 {
		var rows []int32
		for _, i := range r.Perm(500) {
			rows = append(rows, int32(i))
		}
		return rows
	}
	lost, err := Permutation(t.Context(), columns, score, Shuffle{Repeats: 3, Order: order})
	if err != nil || !(lost[0] > 10 && lost[1] > 1 && lost[1] < 4 && lost[2] == 0) {
		t.Errorf("%v, %v", lost, err)
	}
	broken := fmt.Errorf("broken")
	if _, err := Permutation(t.Context(), columns, func([][]float64) (float64, error) { return 0, broken }, Shuffle{}); err != broken {
		t.Errorf("got %v", err)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	side := func(n int, shift float64, gaps int, levels []string) []Column {
		columns := []Column{{Name: "same"}, {Name: "shifted"}, {Name: "gaps"}, {Name: "city", Levels: levels}, {Name: "empty"}}
		for i := range n {
			columns[0].Numbers = append(columns[0].Numbers, r.NormFloat64())
			columns[1].Numbers = append(columns[1].Numbers, r.NormFloat64()+shift)
			v := r.NormFloat64()
			if i%10 < gaps {
				v = math.NaN()
			}
			columns[2].Numbers = append(columns[2].Numbers, v)
			columns[3].Codes = append(columns[3].Codes, int32(i%len(levels)))
			columns[4].Numbers = append(columns[4].Numbers, math.NaN())
		}
		return columns
	}
	reference := Refer(side(5000, 0, 1, []string{"oslo", "rome"}))
	text, err := json.Marshal(reference)
	if err != nil {
		t.Fatal(err)
	}
	var stored Reference
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	d, err := stored.Drift(side(4000, 1, 4, []string{"oslo", "rome", "bern", "paris"}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]FeatureDrift{}
	for _, f := range d.Features {
		got[f.Feature] = f
	}
	if f := got["same"]; f.Level != Stable || *f.PSI > 0.02 || *f.KS > 0.05 {
		t.Errorf("%+v", f)
	}
	if f := got["shifted"]; f.Level != Drifted || *f.KS < 0.3 || *f.JS < 0.1 {
		t.Errorf("%+v", f)
	}
	if f := got["gaps"]; f.Level == Stable || !near(f.Before, 0.1) || !near(f.Now, 0.4) || *f.KS > 0.05 {
		t.Errorf("%+v", f)
	}
	if f := got["city"]; f.Level != Drifted || f.Unseen != 0.5 || strings.Join(f.Names, " ") != "bern paris" || f.KS != nil {
		t.Errorf("%+v", f)
	}
	if f := got["empty"]; f.Level != Stable || f.KS != nil || f.Now != 1 {
		t.Errorf("%+v", f)
	}
	if _, err := stored.Drift(side(10, 0, 0, []string{"a"})[:2]); err == nil {
		t.Error("two columns are compared with five")
	}
	changed := side(10, 0, 0, []string{"a"})
	changed[0] = Column{Name: "same", Codes: make([]int32, 10), Levels: []string{"a"}}
	if _, err := stored.Drift(changed); err == nil || !strings.Contains(err.Error(), `"same"`) {
		t.Errorf("got %v", err)
	}
}

// TestPSI computes it by its definition over ten bins of a tenth each.
func TestPSI(t *testing.T) {
	t.Parallel()
	var before, now []float64
	want := 0.0
	for i := range 10_000 {
		before = append(before, float64(i))
	}
	for bin := range 10 {
		n := 100 * (bin + 1)
		for range n {
			now = append(now, float64(bin*1000+500))
		}
		q := float64(n) / 5500
		want += (q - 0.1) * math.Log(q/0.1)
	}
	d, err := Refer([]Column{{Name: "x", Numbers: before}}).Drift([]Column{{Name: "x", Numbers: now}})
	if err != nil || math.Abs(*d.Features[0].PSI-want) > 0.005*want || d.Features[0].Level != Drifted {
		t.Errorf("PSI %v, want %v, %v", *d.Features[0].PSI, want, err)
	}
}

func TestClassesWithOddNamesAndNoRows(t *testing.T) {
	t.Parallel()
	r := ClassRows{Names: []string{"by bus", "on-foot", "never"}, Labels: []int32{0, 1, 0, 1}, Groups: []string{"u", "u", "v", "v"}, Segments: []string{"s", "s", "t", "t"},
		Probabilities: [][]float64{{0.8, 0.3, 0.6, 0.1}, {0.1, 0.6, 0.2, 0.8}, {0.1, 0.1, 0.2, 0.1}}}
	got := JudgeClasses(r)
	if v, ok := got.Value("recall.by_bus"); !ok || v != 1 || !Known("recall.by_bus") || Known("recall.") || Known("nonsense.bus") {
		t.Errorf("recall of class %v", v)
	}
	for _, name := range []string{"recall.never", "precision.never", "auc.never", "macro_auc", "positives", "auc"} {
		if v, ok := got.Value(name); ok {
			t.Errorf("%s is %v", name, v)
		}
	}
	if !slices.Contains(got.Names(), "f1.on_foot") || got.Segments.Segments != 2 || got.Segments.Mixed != 2 || len(got.ByGroup) != 2 {
		t.Errorf("%+v", got)
	}
	folds := JudgeClassFolds(r, []int{0, 1, 0, 1}, 2)
	if folds.Metrics["accuracy"] != 1 || len(folds.ByFold) != 2 || folds.ByFold[0].Metrics["accuracy"] != 1 || folds.ByFold[0].Groups != 2 {
		t.Errorf("%+v", folds)
	}
	both := Report{Kind: Multiclass, Classes: got.Classes, Segments: got.Segments, Folds: folds}
	for name, want := range map[string]float64{"cv.recall.by_bus": 1, "segment.recall.by_bus": 0.5, "segment.precision.by_bus": 1, "cv.segment.recall.by_bus": 0.5, "cv.f1.on_foot": 1} {
		if v, ok := both.Value(name); !ok || v != want || !Known(name) || !slices.Contains(both.Names(), name) {
			t.Errorf("%s is %v, %v, want %v", name, v, ok, want)
		}
	}
	if Known("segment.cv.recall.by_bus") || Known("cv.recall.") {
		t.Error("names that no report has are known")
	}
	regression := JudgeNumberFolds(NumberRows{Predicted: []float64{1, 2, 3}, Actual: []float64{1, 2, 5}}, []int{0, 1, 1}, 2)
	if regression.ByFold[1].Metrics["mae"] != 1 {
		t.Errorf("%+v", regression)
	}
	for _, empty := range []Report{JudgeClasses(ClassRows{}), JudgeNumbers(NumberRows{}), Judge(Rows{}, 0.5)} {
		text, err := json.Marshal(empty)
		if err != nil || strings.Contains(string(text), "null") || len(empty.Metrics) > 0 {
			t.Errorf("%s, %v, %v", text, empty.Metrics, err)
		}
	}
}

// BenchmarkIntervals judges 200,000 held-out rows 200 times.
func BenchmarkIntervals(b *testing.B) {
	r := sampleRows(200_000, 1000, 1)
	for i := range r.Probabilities {
		r.Probabilities[i] += float64(i) * 1e-9 // no ties, which is what takes longest
	}
	for b.Loop() {
		if _, err := r.Intervals(b.Context(), 0.5, Bootstrap{}); err != nil {
			b.Fatal(err)
		}
	}
}
