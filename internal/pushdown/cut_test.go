package pushdown

import (
	"math/rand/v2"
	"slices"
	"testing"

	"damson/internal/tree"
)

// column is a sorted column as the database keeps it: its runs, the last one without a next value.
func column(values []float64) (runs []run, distinct int) {
	slices.Sort(values)
	for i, v := range values {
		switch {
		case i+1 == len(values):
			runs = append(runs, run{tree.Run{Value: v, Last: i + 1}, true})
		case values[i+1] != v:
			runs = append(runs, run{tree.Run{Value: v, Last: i + 1, Next: values[i+1]}, false})
		}
	}
	return runs, len(runs)
}

// TestEdgesAreFoundFromSpans cuts columns by the runs of likely places only, as Rows.cut does, and by all runs.
func TestEdgesAreFoundFromSpans(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for name, value := range map[string]func(i int) float64{
		"all different":    func(i int) float64 { return float64(i) },
		"some twice":       func(int) float64 { return float64(r.IntN(100_000)) },
		"ten of each":      func(int) float64 { return float64(r.IntN(2000)) },
		"mostly one value": func(i int) float64 { return float64(r.IntN(20_000) * (i % 10 / 9)) },
		"a long tail":      func(int) float64 { return float64(int(1 / (r.Float64() + 1e-5))) },
		"heavy last":       func(i int) float64 { return float64(min(i, 12_000)) },
	} {
		values := make([]float64, 20_000)
		for i := range values {
			values[i] = value(i)
		}
		runs, distinct := column(values)
		for _, bins := range []int{2, 32, 255} {
			want := tree.NewCutter(len(values), distinct, bins)
			for _, own := range runs {
				if !own.last {
					want.Take(own.Run)
				}
			}
			got, rounds := tree.NewCutter(len(values), distinct, bins), 0
			for got.Target() > 0 {
				spans, target := likely(got, float64(len(values))/float64(distinct)), got.Target()
				first := slices.IndexFunc(runs, func(own run) bool { return own.Last >= target })
				var some []run
				for i, own := range runs {
					if i == first || slices.ContainsFunc(spans, func(s span) bool { return s.from <= own.Last && own.Last <= s.to }) {
						some = append(some, own)
					}
				}
				take(got, spans, some)
				rounds++
			}
			if !slices.Equal(got.Edges(), want.Edges()) {
				t.Errorf("%s in %d bins: other edges", name, bins)
			}
			if rounds > 40 {
				t.Errorf("%s in %d bins: %d rounds", name, bins, rounds)
			}
		}
	}
}
