package metric

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*max(1, math.Abs(b)) }

func TestAgreesWithScikitLearn(t *testing.T) {
	t.Parallel()
	var want struct {
		Probabilities, Weights []float64
		Labels                 []int
		Threshold              float64
		Metrics                map[string]float64
		Confusion              Confusion
		ROC, Calibration       [][2]float64
	}
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	rows := Rows{Probabilities: want.Probabilities, Weights: want.Weights}
	for _, y := range want.Labels {
		rows.Labels = append(rows.Labels, uint8(y))
	}
	got := Judge(rows, want.Threshold)
	for name, v := range want.Metrics {
		if g, ok := got.Value(name); !ok || !near(g, v) {
			t.Errorf("%s is %v, scikit-learn says %v", name, g, v)
		}
	}
	if diff := cmp.Diff(want.Confusion, got.Confusion); diff != "" {
		t.Error(diff)
	}
	checkROC(t, got.ROC, want.ROC, want.Metrics["auc"])
	if len(got.Calibration) != len(want.Calibration) {
		t.Fatalf("%d bins, want %d", len(got.Calibration), len(want.Calibration))
	}
	for i, b := range got.Calibration {
		if !near(b.Predicted, want.Calibration[i][0]) || !near(b.Observed, want.Calibration[i][1]) {
			t.Errorf("bin %d is %+v, want %v", i, b, want.Calibration[i])
		}
	}
}

// checkROC wants every point among those of scikit-learn, and all corners: the area under them is the AUC.
func checkROC(t *testing.T, got []Point, all [][2]float64, auc float64) {
	t.Helper()
	area, next := 0.0, 0
	for i, p := range got {
		for next < len(all) && (!near(p.X, all[next][0]) || !near(p.Y, all[next][1])) {
			next++
		}
		if next == len(all) {
			t.Fatalf("ROC point %d, %v, is not one of scikit-learn's", i, p)
		}
		if i > 0 {
			area += (p.X - got[i-1].X) * (p.Y + got[i-1].Y) / 2
		}
	}
	if !near(area, auc) {
		t.Errorf("the area under the ROC points is %v, the AUC %v", area, auc)
	}
}

// TestAUCIsTheShareOfPairs compares with the definition, counted pair by pair.
func TestAUCIsTheShareOfPairs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 60).Draw(t, "rows")
		p, y := make([]float64, n), make([]uint8, n)
		for i := range p {
			p[i] = float64(rapid.IntRange(0, 8).Draw(t, "p")) / 8
			y[i] = uint8(rapid.IntRange(0, 1).Draw(t, "y"))
		}
		won, pairs := 0.0, 0.0
		for i := range p {
			for j := range p {
				if y[i] == 1 && y[j] == 0 {
					pairs++
					switch {
					case p[i] > p[j]:
						won++
					case p[i] == p[j]:
						won += 0.5
					}
				}
			}
		}
		got := NewCurve(p, y).AUC()
		if pairs == 0 && !math.IsNaN(got) || pairs > 0 && !near(got, won/pairs) {
			t.Fatalf("AUC %v, by pairs %v of %v", got, won, pairs)
		}
	})
}

func TestCurvesKeepTheirEndsWhenThinned(t *testing.T) {
	t.Parallel()
	var p []float64
	var y []uint8
	for i := range 5000 {
		p = append(p, float64(i)/5000)
		y = append(y, uint8((i*i+i/1500)%3%2))
	}
	c := NewCurve(p, y)
	for name, points := range map[string][]Point{"roc": c.ROC(200), "pr": c.PR(200)} {
		if len(points) < 150 || len(points) > 200 {
			t.Errorf("%s has %d points", name, len(points))
		}
		for i := 1; i < len(points); i++ {
			if points[i].X < points[i-1].X || points[i].Threshold >= points[i-1].Threshold {
				t.Fatalf("%s does not advance at %d", name, i)
			}
		}
		if points[len(points)-1].X != 1 {
			t.Errorf("%s ends at %v", name, points[len(points)-1])
		}
	}
	if first := c.ROC(200)[0]; first.X != 0 || first.Y != 0 {
		t.Errorf("roc begins at %v", first)
	}
}

func TestSegmentsAreJudgedOnceByWeightedMean(t *testing.T) {
	t.Parallel()
	r := Rows{
		Probabilities: []float64{0.9, 0.2, 0.1, 0.3, 0.6, 0.7, 0.4},
		Labels:        []uint8{1, 1, 0, 0, 1, 0, 1},
		Weights:       []float64{3, 1, 1, 1, 1, 2, 0},
		Segments:      []string{"a", "a", "b", "b", "c", "c", "weightless"},
		Groups:        []string{"u", "u", "u", "v", "v", "v", "v"},
	}
	got := Judge(r, 0.5)
	// a: 0.725, label 1, right. b: 0.2, label 0, right. c: 2/3, label 0 by weight, wrong. weightless: 0.4, label 1, wrong.
	want := Confusion{TruePositives: 1, FalsePositives: 1, TrueNegatives: 1, FalseNegatives: 1}
	if got.Segments.Segments != 4 || got.Segments.Mixed != 1 || got.Segments.Confusion != want {
		t.Errorf("segments %+v", got.Segments)
	}
	groups := []Group{{"u", 3, 2, 2.0 / 3}, {"v", 4, 2, 0.5}}
	if diff := cmp.Diff(groups, got.ByGroup); diff != "" {
		t.Error(diff)
	}
}

func TestFoldsAreJudgedTogetherAndEachAlone(t *testing.T) {
	t.Parallel()
	r := Rows{Probabilities: []float64{0.9, 0.1, 0.2, 0.8}, Labels: []uint8{1, 0, 1, 1}, Groups: []string{"a", "a", "b", "c"}}
	got := JudgeFolds(r, []int{0, 0, 1, 1}, 2, 0.5)
	one := 1.0
	want := []Fold{{Rows: 2, Groups: 1, AUC: &one, Accuracy: 1}, {Rows: 2, Groups: 2, Accuracy: 0.5}}
	if diff := cmp.Diff(want, got.ByFold); diff != "" {
		t.Error(diff)
	}
	if want := (Confusion{TruePositives: 2, TrueNegatives: 1, FalseNegatives: 1}); got.Confusion != want {
		t.Errorf("of all folds %+v, want %+v", got.Confusion, want)
	}
	if got.Metrics["accuracy"] != 0.75 || got.Metrics["auc"] != 1 || got.Groups != 3 {
		t.Errorf("%+v", got)
	}
}

func TestWhatRowsDoNotDefineIsAbsent(t *testing.T) {
	t.Parallel()
	got := Judge(Rows{Probabilities: []float64{0.1, 0.2}, Labels: []uint8{0, 0}}, 0.5)
	for _, name := range []string{"auc", "pr_auc", "precision", "recall", "f1", "weighted_accuracy", "segment.auc", "cv.auc", "nonsense"} {
		if v, ok := got.Value(name); ok {
			t.Errorf("%s is %v", name, v)
		}
	}
	if v, ok := got.Value("accuracy"); !ok || v != 1 {
		t.Errorf("accuracy is %v", v)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "null") {
		t.Errorf("a list is null in %s", text)
	}
}

func TestEveryNameHasAValue(t *testing.T) {
	t.Parallel()
	r := Rows{
		Probabilities: []float64{0.9, 0.1, 0.7, 0.3}, Labels: []uint8{1, 0, 1, 0}, Weights: []float64{1, 2, 3, 4},
		Segments: []string{"a", "b", "c", "d"}, Groups: []string{"a", "b", "c", "d"},
	}
	report := Judge(r, 0.5)
	report.Folds = JudgeFolds(r, []int{0, 0, 1, 1}, 2, 0.5)
	var err error
	if report.Intervals, err = r.Intervals(t.Context(), 0.5, Bootstrap{Resamples: 1}); err != nil {
		t.Fatal(err)
	}
	for _, name := range Names(Binary) {
		if strings.HasSuffix(name, ".low") || strings.HasSuffix(name, ".high") {
			continue // with four rows a resample may have one class
		}
		if _, ok := report.Value(name); !ok {
			t.Errorf("%s has no value", name)
		}
	}
}
