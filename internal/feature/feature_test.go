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

// TestNamesAreReadFreely: parameters in any order, words without quotes; the name that comes out is tsfresh's.
func TestNamesAreReadFreely(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"agg_linear_trend__f_agg_max__chunk_len_5__attr_slope": `agg_linear_trend__attr_"slope"__chunk_len_5__f_agg_"max"`,
		"augmented_dickey_fuller__attr_pvalue":                 `augmented_dickey_fuller__attr_"pvalue"__autolag_"AIC"`,
		"quantile__q_0.90":                                     "quantile__q_0.9",
		"value_count__value_1e16":                              "value_count__value_1e+16",
		"value_count__value_0.00001":                           "value_count__value_1e-05",
		"range_count__min_-1e12__max_0":                        "range_count__max_0__min_-1000000000000.0",
		"cid_ce__normalize_true":                               "cid_ce__normalize_True",
		" mean ":                                               "mean",
	} {
		if f, err := feature.Parse(given); err != nil || f.Name() != want {
			t.Errorf("%s reads as %s, %v; want %s", given, f.Name(), err, want)
		}
	}
}

// TestNamesThatAreNone say why, and what to write.
func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"men":                         `Did you mean "mean"?`,
		"zzzz":                        "Take a set (minimal, efficient, comprehensive)",
		"":                            "There is no calculator",
		"autocorrelation":             `its parameter lag is missing`,
		"autocorrelation__lag_1.5":    "lag must be whole number from 0",
		"autocorrelation__lag_-1":     "lag must be whole number from 0",
		"autocorrelation__lag_1e3":    "lag must be whole number from 0",
		"quantile__q_nan":             "q must be number from 0 to 1",
		"quantile__q_0.1__q_0.2":      "the parameter q stands in it twice",
		"linear_trend__attr_slop":     "attr must be pvalue, rvalue, intercept, slope, stderr",
		"cid_ce__normalize_yes":       "normalize must be True or False",
		"mean__":                      `"" is no parameter of mean`,
		"value_count__value_infinity": "value must be number",
		"energy_ratio_by_chunks__num_segments_3__segment_focus_3": "segment_focus counts the segments from 0",
		"number_peaks__n_99999999999":                             "n must be whole number from 1",
	} {
		if _, err := feature.Parse(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %s", given, err, want)
		}
	}
}

// TestSpectrumOfEveryLength agrees with the sum that defines it, also where a large prime factor takes another way.
func TestSpectrumOfEveryLength(t *testing.T) {
	t.Parallel()
	features := parse(t, "fft_coefficient__attr_real__coeff_1", "fft_coefficient__attr_imag__coeff_1", "fft_coefficient__attr_real__coeff_37", "fft_coefficient__attr_imag__coeff_37")
	e := feature.NewExtractor(features, nil)
	for _, n := range []int{96, 101, 103, 206, 1009, 1024, 1009} {
		x, size := make([]float64, n), 0.0
		for i := range x {
			x[i] = float64(i*7919%211) - 100
			size += math.Abs(x[i])
		}
		got := e.Append(nil, slices.Clone(x))
		for i, k := range []int{1, 37} {
			var re, im float64
			for j, v := range x {
				angle := -2 * math.Pi * float64(j*k%n) / float64(n)
				re, im = re+v*math.Cos(angle), im+v*math.Sin(angle)
			}
			if math.Abs(got[2*i]-re)+math.Abs(got[2*i+1]-im) > 1e-10*size {
				t.Errorf("coefficient %d of %d values is %v, want %v %v", k, n, got[2*i:2*i+2], re, im)
			}
		}
	}
}

// TestOrderOfSeriesDoesNotMatter: what an extractor keeps from one series changes no other.
func TestOrderOfSeriesDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := readReference(t)
	features := parse(t, "comprehensive")
	kept := feature.NewExtractor(features, nil)
	for round := range 2 {
		for name, s := range r.Series {
			fresh := feature.NewExtractor(features, nil).Append(nil, slices.Clone(s.Values))
			if got := kept.Append(nil, slices.Clone(s.Values)); !cmp.Equal(got, fresh, cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })) {
				t.Errorf("round %d: %s differs after other series", round, name)
			}
		}
	}
}

// TestLongWorkCanBeCancelled: features whose time grows with the square of the length stop when they are told to.
func TestLongWorkCanBeCancelled(t *testing.T) {
	t.Parallel()
	x := make([]float64, 3_000_000)
	for i := range x {
		x[i] = float64(i % 17)
	}
	asked := 0
	features := parse(t, "sample_entropy", "approximate_entropy__m_2__r_0.1", "agg_autocorrelation__f_agg_mean__maxlag_1000000")
	got := feature.NewExtractor(features, func() bool { asked++; return true }).Append(nil, x)
	if asked == 0 || !math.IsNaN(got[0]) {
		t.Errorf("asked %d times, got %v", asked, got)
	}
}

// TestHostileNumbersDoNotPanic: the largest and smallest doubles, and sets of parameters at their bounds.
func TestHostileNumbersDoNotPanic(t *testing.T) {
	t.Parallel()
	features := parse(t, "comprehensive", "c3__lag_1073741823", "mean_n_absolute_max__number_of_maxima_1073741824", "number_peaks__n_1073741824",
		"binned_entropy__max_bins_100000", "agg_linear_trend__attr_slope__chunk_len_1__f_agg_std", "partial_autocorrelation__lag_1000000", "ar_coefficient__coeff_1__k_100")
	for _, x := range [][]float64{
		{math.MaxFloat64, -math.MaxFloat64, math.MaxFloat64, 0, 1}, {5e-324, 0, 5e-324, 0, 5e-324, 0}, {math.NaN(), math.Inf(1)},
		{1, 1 + 0x1p-52, 1, 1, 1 + 0x1p-52, 1}, {math.Copysign(0, -1), 0, math.Copysign(0, -1)}, {1e308, 1e308, 1e308, 1e308},
	} {
		if got := feature.NewExtractor(features, nil).Append(nil, slices.Clone(x)); len(got) != len(features) {
			t.Errorf("%v gives %d features", x, len(got))
		}
	}
}
