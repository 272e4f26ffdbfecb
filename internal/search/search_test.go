package search_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"damson/internal/pipeline"
	"damson/internal/search"
)

func choice(name string, values ...string) pipeline.Dimension {
	d := pipeline.Dimension{Parameter: name}
	for _, v := range values {
		d.Choices = append(d.Choices, json.RawMessage(v))
	}
	return d
}

func between(name string, r pipeline.Range) pipeline.Dimension {
	return pipeline.Dimension{Parameter: name, Range: &r}
}

// lines gives points one a line.
func lines(points []search.Point) string {
	var all []string
	for _, p := range points {
		all = append(all, search.Trial{Parameters: p}.Describe())
	}
	return strings.Join(all, "\n")
}

func TestAGridHasEveryCombination(t *testing.T) {
	t.Parallel()
	got := lines(search.Points(pipeline.Search{Method: pipeline.GridSearch, Space: []pipeline.Dimension{
		choice("trees", "20", "50"), between("max_depth", pipeline.Range{Low: 2, High: 7, Whole: true, Step: 2})}}))
	want := "trees 20, max_depth 2\ntrees 20, max_depth 4\ntrees 20, max_depth 6\ntrees 50, max_depth 2\ntrees 50, max_depth 4\ntrees 50, max_depth 6"
	if got != want {
		t.Errorf("the grid is\n%s", got)
	}
}

// TestDrawsAreTheSameForEver: versions remember a seed, so that another Damson must draw from it what this one does.
func TestDrawsAreTheSameForEver(t *testing.T) {
	t.Parallel()
	s := pipeline.Search{Method: pipeline.RandomSearch, Trials: 5, Seed: 7, Space: []pipeline.Dimension{
		choice("class_weight", "null", `{"balanced":true}`), between("max_depth", pipeline.Range{Low: 2, High: 12, Whole: true}),
		between("min_leaf", pipeline.Range{Low: 1, High: 1000, Whole: true, Log: true}),
		between("learning_rate", pipeline.Range{Low: 0.001, High: 0.5, Log: true}), between("row_share", pipeline.Range{Low: 0.5, High: 1})}}
	want := `class_weight balanced, max_depth 4, min_leaf 5, learning_rate 0.3688, row_share 0.6479
class_weight None, max_depth 8, min_leaf 7, learning_rate 0.4102, row_share 0.5923
class_weight None, max_depth 11, min_leaf 27, learning_rate 0.4291, row_share 0.9845
class_weight None, max_depth 9, min_leaf 14, learning_rate 0.01323, row_share 0.7645
class_weight balanced, max_depth 6, min_leaf 697, learning_rate 0.008694, row_share 0.9956`
	got := lines(search.Points(s))
	if got != want {
		t.Errorf("drawn are\n%s", got)
	}
	s.Trials = 50
	if more := lines(search.Points(s)); !strings.HasPrefix(more, want+"\n") {
		t.Errorf("fifty trials do not begin as five do:\n%s", more)
	}
	s.Seed = 8
	if other := lines(search.Points(s)); strings.Contains(other, strings.Split(want, "\n")[0]) {
		t.Error("another seed draws the same")
	}
}

func TestDrawsFillTheirRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		r        pipeline.Range
		below    float64 // half of the draws are
		min, max float64
	}{
		{"whole", pipeline.Range{Low: 1, High: 2000, Whole: true}, 1000, 1, 2000},
		{"whole, logarithmic", pipeline.Range{Low: 1, High: 9999, Whole: true, Log: true}, 100, 1, 9999},
		{"real", pipeline.Range{Low: -1, High: 1}, 0, -1, 1},
		{"real, logarithmic", pipeline.Range{Low: 0.01, High: 100, Log: true}, 1, 0.01, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			points := search.Points(pipeline.Search{Method: pipeline.RandomSearch, Trials: 400, Seed: 1, Space: []pipeline.Dimension{between("p", c.r)}})
			if len(points) != 400 {
				t.Fatalf("%d points", len(points))
			}
			low := 0
			for _, p := range points {
				var v float64
				if err := json.Unmarshal(p[0].Value, &v); err != nil || v < c.min || v > c.max || c.r.Whole && v != math.Trunc(v) {
					t.Fatalf("%s: %v", p[0].Value, err)
				}
				if v < c.below {
					low++
				}
			}
			if !strings.Contains(c.name, "whole, log") && (low < 150 || low > 250) { // which draws no number twice, and has few low ones
				t.Errorf("%d of 400 are below %v", low, c.below)
			}
		})
	}
}

func TestNothingIsTriedTwice(t *testing.T) {
	t.Parallel()
	space := []pipeline.Dimension{choice("a", "1", "2", "3"), choice("b", "1", "2", "3", "4")}
	for _, trials := range []int{11, 12, 1000} {
		points := search.Points(pipeline.Search{Method: pipeline.RandomSearch, Trials: trials, Space: space})
		all := strings.Split(lines(points), "\n")
		slices.Sort(all)
		if want := min(trials, 12); len(points) != want || len(slices.Compact(all)) != want {
			t.Errorf("%d trials of 12 combinations: %v", trials, all)
		}
	}
}

func TestCombinationsAreCountedToTheEnd(t *testing.T) {
	t.Parallel()
	large := between("p", pipeline.Range{Low: 0, High: math.MaxInt32, Whole: true})
	for want, space := range map[int][]pipeline.Dimension{
		6: {choice("a", "1", "2"), choice("b", "1", "2", "3")}, search.Endless: {large, large, large},
		1 << 31: {large},
	} {
		if got := search.Combinations(space); got != want {
			t.Errorf("%d combinations, want %d", got, want)
		}
	}
	if got := search.Combinations([]pipeline.Dimension{choice("a", "1"), between("b", pipeline.Range{Low: 0, High: 1})}); got != search.Endless {
		t.Errorf("a range of real numbers has %d values", got)
	}
}

func TestParametersReachTheAlgorithm(t *testing.T) {
	t.Parallel()
	a := pipeline.Algorithm{Logistic: &pipeline.LogisticRegression{C: 1, ClassWeight: &pipeline.ClassWeight{Balanced: true}, Fit: pipeline.Fit{MaxIterations: 9, MissingIndicators: true}}}
	got, err := search.Point{{Name: "C", Value: json.RawMessage("0.25")}, {Name: "class_weight", Value: json.RawMessage("null")}, {Name: "missing_indicators", Value: json.RawMessage("false")},
		{Name: "max_iter", Value: json.RawMessage("1000000")}}.Apply(a)
	if err != nil || got.Logistic.C != 0.25 || got.Logistic.ClassWeight != nil || got.Logistic.MissingIndicators || got.Logistic.MaxIterations != 1_000_000 {
		t.Errorf("%+v, %v", got.Logistic, err)
	}
	if a.Logistic.C != 1 {
		t.Error("the algorithm that was given has changed")
	}
	if _, err := (search.Point{{Name: "max_iter", Value: json.RawMessage("0.5")}}).Apply(a); err == nil {
		t.Error("half an iteration was taken")
	}
}

// run searches max_depth 1 to 4 with the given scores by trial and fold; NaN is none.
func run(t *testing.T, lower bool, scores [][]float64) (*search.Table, int, error) {
	t.Helper()
	s := pipeline.Search{Method: pipeline.GridSearch, Folds: len(scores[0]), Space: []pipeline.Dimension{choice("max_depth", "1", "2", "3", "4")}}
	table := &search.Table{Metric: "m", Lower: lower}
	at := time.Unix(0, 0)
	now := func() time.Time { at = at.Add(time.Second); return at }
	a, err := search.Run(context.Background(), s, pipeline.Algorithm{Forest: &pipeline.RandomForest{MaxDepth: 1, Trees: 5}}, table, search.Trying{Now: now,
		Judge: func(_ context.Context, a pipeline.Algorithm, fold int) (float64, bool, error) {
			if a.Forest.Trees != 5 {
				t.Errorf("a parameter that is not searched has become %d", a.Forest.Trees)
			}
			score := scores[a.Forest.MaxDepth-1][fold]
			return score, score == score, nil
		}})
	return table, a.Forest.MaxDepth, err
}

func TestTheBestMeanWins(t *testing.T) {
	t.Parallel()
	none := math.NaN()
	for _, c := range []struct {
		name   string
		lower  bool
		scores [][]float64
		best   int
		ranks  string
	}{
		{"more is better", false, [][]float64{{1, 2}, {4, 2}, {9, none}, {2, 4}}, 2, "[3 1 0 2]"},
		{"less is better", true, [][]float64{{3, 3}, {4, 2}, {none, 0}, {5, 5}}, 1, "[1 2 0 3]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table, depth, err := run(t, c.lower, c.scores)
			var ranks []int
			for _, trial := range table.Trials {
				ranks = append(ranks, trial.Rank)
			}
			if err != nil || table.Best != c.best || depth != c.best || fmt.Sprint(ranks) != c.ranks {
				t.Errorf("trial %d won with max_depth %d, ranks %v, %v", table.Best, depth, ranks, err)
			}
			if last := table.Ranked()[3]; last.Mean != nil || last.Number != 3 {
				t.Errorf("the last of the ranked is %+v", last)
			}
		})
	}
	table, _, _ := run(t, false, [][]float64{{1, 2}, {4, 2}, {9, none}, {2, 4}})
	if second := table.Trials[1]; *second.Mean != 3 || *second.Deviation != 1 || second.Seconds != 1 {
		t.Errorf("%+v", second)
	}
	if got, want := table.Line(table.Trials[1], 4), "trial 2 of 4: max_depth 2: m 3 ± 1, the best so far"; got != want {
		t.Error(got)
	}
	if got, want := table.Line(table.Trials[2], 4), "trial 3 of 4: max_depth 3: m is not defined in every fold"; got != want {
		t.Error(got)
	}
}

func TestASearchWithoutScoresIsAnError(t *testing.T) {
	t.Parallel()
	none := []float64{math.NaN()}
	if _, _, err := run(t, false, [][]float64{none, none, none, none}); !errors.Is(err, search.ErrUndefined) {
		t.Errorf("got %v", err)
	}
}

// TestWhatWasFoundIsNotDeclared: a version's parameters are the winner's, and its declaration is the same all the same.
func TestWhatWasFoundIsNotDeclared(t *testing.T) {
	t.Parallel()
	s := &pipeline.Search{Space: []pipeline.Dimension{choice("trees", "20", "50"), between("max_depth", pipeline.Range{Low: 4, High: 12, Whole: true})}}
	got, err := search.Unsearched(pipeline.Model{Search: s, Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 50, MaxDepth: 7, Bins: 32}}})
	if err != nil || *got.Forest != (pipeline.RandomForest{Trees: 20, MaxDepth: 4, Bins: 32}) {
		t.Errorf("%+v, %v", got.Forest, err)
	}
}
