package feature_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/feature"
)

// reference is what testdata/reference.py wrote.
type reference struct {
	Comprehensive []string `json:"comprehensive"`
	Names         []string `json:"names"`
	Series        map[string]struct {
		Values   []float64         `json:"values"`
		Features []json.RawMessage `json:"features"`
	} `json:"series"`
}

func readReference(t *testing.T) reference {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func parse(t *testing.T, names ...string) []feature.Feature {
	t.Helper()
	var list []feature.Choice
	for _, name := range names {
		list = append(list, feature.Choice{Name: name})
	}
	features, err := feature.Select(list)
	if err != nil {
		t.Fatal(err)
	}
	return features
}

// number reads a value of the reference: null is NaN.
func number(t *testing.T, raw json.RawMessage) float64 {
	t.Helper()
	switch string(raw) {
	case "null":
		return math.NaN()
	case `"inf"`:
		return math.Inf(1)
	case `"-inf"`:
		return math.Inf(-1)
	}
	var v float64
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// size is what a value of the family is to be compared with beside itself: rounding leaves that much of sums whose terms
// cancel each other out.
func size(name string, values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += math.Abs(v)
	}
	switch {
	case strings.HasPrefix(name, "fft_coefficient"):
		return sum
	case strings.HasPrefix(name, "spkt_welch"), strings.HasPrefix(name, "fft_aggregated"), strings.HasPrefix(name, "c3"), strings.HasPrefix(name, "time_reversal"):
		return 1
	}
	return 1e-3
}

// undetermined says of what the reference holds only rounding errors.
func undetermined(series, name string) bool {
	calculator, _, _ := strings.Cut(name, "__")
	switch series {
	case "constant", "zeros": // the spectrum of nothing
		return strings.Contains(name, `"angle"`) || calculator == "fourier_entropy" || calculator == "fft_aggregated" ||
			calculator == "large_standard_deviation" // of a deviation of 1e-17
	case "line": // a perfect fit leaves residuals of rounding errors, which decide about lags and tests
		return calculator == "augmented_dickey_fuller"
	}
	return false
}

// TestAgreesWithTsfresh compares every feature of every series of the reference, to 1e-9 of the value.
func TestAgreesWithTsfresh(t *testing.T) {
	t.Parallel()
	r := readReference(t)
	features := parse(t, r.Names...)
	for series, s := range r.Series {
		t.Run(series, func(t *testing.T) {
			t.Parallel()
			got := feature.NewExtractor(features, nil).Append(nil, slices.Clone(s.Values))
			for i, name := range r.Names {
				want := number(t, s.Features[i])
				near := math.Abs(got[i]-want) <= 1e-9*max(math.Abs(want), size(name, s.Values))
				same := got[i] == want || math.IsNaN(got[i]) && math.IsNaN(want)
				if !near && !same && !undetermined(series, name) {
					t.Errorf("%s is %v, want %v", name, got[i], want)
				}
			}
		})
	}
}

// TestNamesAreTsfreshs: a name that tsfresh writes reads back as itself, and the comprehensive set has all of tsfresh's.
func TestNamesAreTsfreshs(t *testing.T) {
	t.Parallel()
	r := readReference(t)
	for _, name := range append(r.Names, r.Comprehensive...) {
		f, err := feature.Parse(name)
		if err != nil || f.Name() != name || f.Column("speed") != "speed__"+name {
			t.Errorf("%s reads as %s, %v", name, f.Name(), err)
		}
	}
	var names []string
	for _, f := range parse(t, "comprehensive") {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	if d := cmp.Diff(r.Comprehensive, names); d != "" {
		t.Errorf("the comprehensive set differs from tsfresh's:\n%s", d)
	}
}
