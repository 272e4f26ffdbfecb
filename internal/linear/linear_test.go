package linear_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/linear"
)

// sample makes rows whose target depends on the first two columns and on the category. Its columns are: two numbers with
// gaps and infinities, one on another scale, one a copy of the first, one constant, one empty, and a category with gaps.
func sample(n, classes int, seed uint64) linear.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"speed", "turn", "height", "copy", "constant", "empty", "city"}
	d := linear.Data{Columns: make([]linear.Column, len(names)), Classes: classes}
	for c, name := range names {
		d.Columns[c].Name = name
	}
	city := &d.Columns[6]
	city.Levels = []string{"rome", "oslo", "bern", "nowhere"}
	for i := range n {
		a, b := r.NormFloat64(), r.NormFloat64()
		code := int32(r.IntN(4)) - 1
		score := 2*a - b + float64(code) + 0.3*r.NormFloat64()
		if u := r.IntN(50); u < 3 {
			a = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[u]
		}
		for c, v := range []float64{a, b, 1e6 + 5000*r.NormFloat64(), a, 42, math.NaN()} {
			d.Columns[c].Numbers = append(d.Columns[c].Numbers, v)
		}
		city.Codes = append(city.Codes, code)
		switch {
		case classes == 2 && score > 0.5*r.NormFloat64():
			score = 1
		case classes == 2:
			score = 0
		case classes > 2:
			score = float64(min(max(int(score+r.NormFloat64())+classes/2, 0), classes-1))
		}
		d.Target = append(d.Target, score)
		d.Weights = append(d.Weights, r.Float64()+0.1)
		d.Keys = append(d.Keys, [2]uint32{r.Uint32() >> 4, uint32(i)})
	}
	return d
}

// reordered gives the same rows, and the same levels, in another order.
func reordered(d linear.Data, seed uint64) linear.Data {
	r := rand.New(rand.NewPCG(seed, 2))
	order := r.Perm(len(d.Target))
	out := linear.Data{Classes: d.Classes}
	for _, c := range d.Columns {
		own := linear.Column{Name: c.Name}
		levels := r.Perm(len(c.Levels))
		back := make([]int32, len(levels))
		for to, from := range levels {
			own.Levels = append(own.Levels, c.Levels[from])
			back[from] = int32(to)
		}
		for _, i := range order {
			switch {
			case c.Numbers != nil:
				own.Numbers = append(own.Numbers, c.Numbers[i])
			case c.Codes[i] < 0:
				own.Codes = append(own.Codes, -1)
			default:
				own.Codes = append(own.Codes, back[c.Codes[i]])
			}
		}
		out.Columns = append(out.Columns, own)
	}
	for _, i := range order {
		out.Target, out.Weights = append(out.Target, d.Target[i]), append(out.Weights, d.Weights[i])
		if d.Keys != nil {
			out.Keys = append(out.Keys, d.Keys[i])
		}
	}
	return out
}

func mustTrain(t testing.TB, d linear.Data, p linear.Params, threads int) (*linear.Model, linear.Fit) {
	t.Helper()
	m, fit, err := linear.Train(context.Background(), d, p, linear.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return m, fit
}

// reference is what testdata/reference.py writes.
type reference struct {
	X               [][]*float64
	City            []int32
	Weights, Number []float64
	Two, Three      []float64
	Cases           []referenceCase
}

type referenceCase struct {
	Name                           string
	Kind                           int
	Penalty                        float64
	L1Ratio                        float64 `json:"l1_ratio"`
	Categories, Weighted, Balanced bool
	Coefficients                   [][]float64
	Intercepts                     []float64
}

// data gives the rows of a case.
func (r *reference) data(c referenceCase) linear.Data {
	d := linear.Data{Classes: c.Kind, Target: map[int][]float64{0: r.Number, 2: r.Two, 3: r.Three}[c.Kind]}
	for i, column := range r.X {
		own := linear.Column{Name: strconv.Itoa(i)}
		for _, v := range column {
			if v == nil {
				own.Numbers = append(own.Numbers, math.NaN())
			} else {
				own.Numbers = append(own.Numbers, *v)
			}
		}
		d.Columns = append(d.Columns, own)
	}
	if c.Categories {
		d.Columns = append(d.Columns, linear.Column{Name: "city", Codes: r.City, Levels: []string{"0", "1", "2"}})
	}
	if c.Weighted {
		d.Weights = r.Weights
	}
	return d
}

func TestAgreesWithScikitLearn(t *testing.T) {
	t.Parallel()
	var want reference
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, c := range want.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			m, fit := mustTrain(t, want.data(c), linear.Params{Penalty: c.Penalty, L1Ratio: c.L1Ratio, Balanced: c.Balanced, Tolerance: 1e-11}, 2)
			if !fit.Converged {
				t.Errorf("not converged: %+v", fit)
			}
			got := make([][]float64, m.Outputs())
			for _, own := range m.Coefficients() {
				got[own.Output] = append(got[own.Output], own.Scaled)
			}
			for k := range got {
				for i, v := range append([]float64{c.Intercepts[k]}, c.Coefficients[k]...) {
					if !(math.Abs(got[k][i]-v) <= 1e-6*max(1e-3, math.Abs(v))) {
						t.Errorf("output %d, coefficient %d is %v, scikit-learn says %v", k, i, got[k][i], v)
					}
				}
			}
		})
	}
}

// TestSameRowsSameBytes is invariant 1, above and below the size from which derivatives come from a sample.
func TestSameRowsSameBytes(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{1_000, 25_000} {
		for _, classes := range []int{0, 2, 3} {
			p := linear.Params{Penalty: 0.01, L1Ratio: 0.3, MissingIndicators: true}
			d := sample(rows, classes, 5)
			m, fit := mustTrain(t, d, p, 1)
			if !fit.Converged {
				t.Errorf("%d classes, %d rows: not converged: %+v", classes, rows, fit)
			}
			other, _ := mustTrain(t, reordered(d, 6), p, 7)
			if m.Hash() != other.Hash() {
				t.Errorf("%d classes, %d rows: another model from the same rows in another order", classes, rows)
			}
			d.Keys = nil
			m, _ = mustTrain(t, d, p, 2)
			other, _ = mustTrain(t, reordered(d, 7), p, 1)
			if m.Hash() != other.Hash() {
				t.Errorf("%d classes, %d rows without keys: another model from the same rows in another order", classes, rows)
			}
		}
	}
}

// TestASampleLeadsToTheSameMinimum compares many rows with the few distinct ones they repeat.
func TestASampleLeadsToTheSameMinimum(t *testing.T) {
	t.Parallel()
	for _, classes := range []int{0, 2, 3} {
		few := sample(2_000, classes, 9)
		few.Keys = nil
		many := few
		for range 15 {
			many.Rows = append(many.Rows, rangeOf(2_000)...)
		}
		p := linear.Params{Penalty: 0.003, L1Ratio: 0.5, Tolerance: 1e-10}
		a, _ := mustTrain(t, few, p, 2)
		b, fit := mustTrain(t, many, p, 2)
		if !fit.Converged || fit.Iterations > 30 {
			t.Errorf("%d classes: %+v", classes, fit)
		}
		near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) <= 1e-8*max(1, math.Abs(x)) })
		if diff := cmp.Diff(a.Coefficients(), b.Coefficients(), near); diff != "" {
			t.Errorf("%d classes: %s", classes, diff)
		}
	}
}

// TestComesToRest fits rows in which a column is a copy, and classes whose intercepts can move together: directions in which
// rounding alone says where to go.
func TestComesToRest(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		for _, p := range []linear.Params{
			{Penalty: 1. / 720, ClassWeights: []float64{3, 1, 1}},
			{Penalty: 1. / 7200, L1Ratio: 0.5, MissingIndicators: true},
			{Penalty: 1. / 720, L1Ratio: 0.9},
		} {
			if _, fit := mustTrain(t, sample(720, 3, seed), p, 1); !fit.Converged || fit.Iterations > 25 {
				t.Errorf("seed %d, %+v: %d iterations, converged: %t", seed, p, fit.Iterations, fit.Converged)
			}
		}
	}
}

func rangeOf(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

func coefficients(m *linear.Model) map[string]linear.Coefficient {
	out := map[string]linear.Coefficient{}
	for _, c := range m.Coefficients() {
		name := c.Feature
		if c.Level != "" {
			name += "=" + c.Level
		}
		if c.Missing {
			name += " missing"
		}
		out[name] = c
	}
	return out
}

func TestCopiesShareAndConstantsDoNothing(t *testing.T) {
	t.Parallel()
	for _, penalty := range []float64{0, 0.01} {
		m, fit := mustTrain(t, sample(5_000, 2, 3), linear.Params{Penalty: penalty}, 2)
		got := coefficients(m)
		if a, b := got["speed"].Value, got["copy"].Value; !fit.Converged || math.Abs(a-b) > 1e-4 || a < 0.5 {
			t.Errorf("penalty %v: %v and its copy %v; %+v", penalty, a, b, fit)
		}
		if got["constant"].Value != 0 || got["empty"].Value != 0 {
			t.Errorf("penalty %v: %+v", penalty, got)
		}
		warnings := strings.Join(fit.Warnings, "\n")
		if want := `"speed" is infinite in`; !strings.Contains(warnings, want) {
			t.Errorf("no warning %s in %s", want, warnings)
		}
		if strings.Contains(warnings, `"constant"`) || strings.Contains(warnings, `"empty"`) {
			t.Errorf("columns of no use, which every training looks for: %s", warnings)
		}
	}
}

// TestBaseLevel checks that the most frequent level is the base exactly when there is no penalty, and that a level that
// training did not see counts as none.
func TestBaseLevel(t *testing.T) {
	t.Parallel()
	d := linear.Data{
		Columns: []linear.Column{{Name: "city", Codes: []int32{0, 0, 0, 1, 1, 2, 2}, Levels: []string{"rome", "oslo", "bern"}}},
		Target:  []float64{1, 2, 3, 10, 12, 20, 22},
	}
	m, _ := mustTrain(t, d, linear.Params{}, 1)
	got := coefficients(m)
	for name, want := range map[string]float64{"": 2, "city=rome": 0, "city=oslo": 9, "city=bern": 19} {
		if math.Abs(got[name].Value-want) > 1e-8 {
			t.Errorf("%q is %v, want %v", name, got[name].Value, want)
		}
	}
	for _, v := range []linear.Value{{Text: "paris"}, {Missing: true}, {Text: "rome"}} {
		if p := m.Predict([]linear.Value{v})[0]; math.Abs(p-2) > 1e-8 {
			t.Errorf("%+v: %v", v, p)
		}
	}
	m, _ = mustTrain(t, d, linear.Params{Penalty: 0.1}, 1)
	if got := coefficients(m); got["city=rome"].Value >= 0 || got["city=bern"].Value <= 0 || got["city=oslo"].Value == 0 {
		t.Errorf("under a penalty every level has a coefficient: %+v", got)
	}
	m, fit := mustTrain(t, d, linear.Params{Penalty: 0.1, MaxLevels: 2}, 1)
	if _, kept := coefficients(m)["city=oslo"]; kept || len(fit.Warnings) != 1 {
		t.Errorf("%v %v", m.Coefficients(), fit.Warnings)
	}
}

// TestOriginalScale computes a prediction from the reported coefficients alone.
func TestOriginalScale(t *testing.T) {
	t.Parallel()
	d := sample(3_000, 0, 8)
	m, _ := mustTrain(t, d, linear.Params{Penalty: 0.01, L1Ratio: 0.5, MissingIndicators: true}, 2)
	c := coefficients(m)
	for _, row := range [][]linear.Value{
		{{Number: 1.5}, {Number: -2}, {Number: 1.01e6}, {Number: 0.2}, {Number: 42}, {Number: 1}, {Text: "oslo"}},
		{{Number: math.NaN()}, {Number: 3}, {Number: 0.99e6}, {Number: 1}, {Number: 42}, {Number: 0}, {Missing: true}},
	} {
		want := c[""].Value
		for f, name := range []string{"speed", "turn", "height", "copy", "constant", "empty"} {
			if v := row[f].Number; v == v {
				want += c[name].Value * v
			} else {
				want += c[name].Value*c[name].Mean + c[name+" missing"].Value
			}
		}
		if row[6].Missing {
			want += c["city missing"].Value
		} else {
			want += c["city="+row[6].Text].Value
		}
		if got := m.Predict(row)[0]; math.Abs(got-want) > 1e-8 {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestSeparableClassesWarn(t *testing.T) {
	t.Parallel()
	var d linear.Data
	d.Classes, d.Columns = 2, []linear.Column{{Name: "x"}}
	for i := range 100 {
		d.Columns[0].Numbers = append(d.Columns[0].Numbers, float64(i))
		d.Target = append(d.Target, float64(i/50))
	}
	m, fit := mustTrain(t, d, linear.Params{MaxIterations: 20}, 1)
	if fit.Converged || len(fit.Warnings) != 1 || !strings.Contains(fit.Warnings[0], "Without a penalty they have no end") {
		t.Errorf("%+v", fit)
	}
	if p := m.Predict([]linear.Value{{Number: 10}})[0]; !(p >= 0 && p < 0.01) {
		t.Errorf("probability %v", p)
	}
	if _, fit = mustTrain(t, d, linear.Params{Penalty: 0.01}, 1); !fit.Converged {
		t.Errorf("%+v", fit)
	}
}

// TestManyClasses has more coefficients than are coupled in second derivatives.
func TestManyClasses(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	d := linear.Data{Classes: 40, Columns: make([]linear.Column, 30)}
	for i := range 800 {
		class := i % 40
		for c := range d.Columns {
			d.Columns[c].Name = strconv.Itoa(c)
			d.Columns[c].Numbers = append(d.Columns[c].Numbers, r.NormFloat64()+float64(class*(c+3)%7)/3)
		}
		d.Target = append(d.Target, float64(class))
	}
	for _, l1 := range []float64{0, 0.5} {
		m, fit := mustTrain(t, d, linear.Params{Penalty: 0.003, L1Ratio: l1, Tolerance: 1e-5}, 2)
		if !fit.Converged || fit.Iterations > 200 {
			t.Errorf("%+v", fit)
		}
		p, err := m.PredictRows(context.Background(), d.Columns, nil, 2)
		if err != nil {
			t.Fatal(err)
		}
		sums := 0.0
		right := 0
		for i := range d.Target {
			best := 0
			for k := range p {
				sums += p[k][i]
				if p[k][i] > p[best][i] {
					best = k
				}
			}
			if best == int(d.Target[i]) {
				right++
			}
		}
		if math.Abs(sums-800) > 1e-6 || right < 200 {
			t.Errorf("probabilities add up to %v in 800 rows; %d right", sums, right)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*linear.Data, *linear.Params)
		want   string
	}{
		"no rows":           {func(d *linear.Data, _ *linear.Params) { d.Rows = []int32{} }, "no rows"},
		"no columns":        {func(d *linear.Data, _ *linear.Params) { d.Columns = nil }, "0 features"},
		"penalty":           {func(_ *linear.Data, p *linear.Params) { p.Penalty = -1 }, "penalty is -1"},
		"penalty NaN":       {func(_ *linear.Data, p *linear.Params) { p.Penalty = math.NaN() }, "penalty is NaN"},
		"l1_ratio":          {func(_ *linear.Data, p *linear.Params) { p.L1Ratio = 1.5 }, "l1_ratio is 1.5"},
		"class weights":     {func(_ *linear.Data, p *linear.Params) { p.ClassWeights = []float64{1} }, "1 weights for 2 classes"},
		"class weight":      {func(_ *linear.Data, p *linear.Params) { p.ClassWeights = []float64{1, -1} }, "weight of class 1"},
		"target":            {func(d *linear.Data, _ *linear.Params) { d.Target[3] = 2 }, "target holds 2"},
		"target NaN":        {func(d *linear.Data, _ *linear.Params) { d.Target[3] = math.NaN() }, "target holds NaN"},
		"regression target": {func(d *linear.Data, _ *linear.Params) { d.Classes = 0; d.Target[3] = math.Inf(1) }, "target holds +Inf"},
		"one class":         {func(d *linear.Data, _ *linear.Params) { clear(d.Target) }, "no row that counts is of class 1"},
		"weights":           {func(d *linear.Data, _ *linear.Params) { d.Weights[0] = -1 }, "a weight is -1"},
		"no weight":         {func(d *linear.Data, _ *linear.Params) { clear(d.Weights) }, "weight is above 0"},
		"huge values":       {func(d *linear.Data, _ *linear.Params) { d.Columns[1].Numbers[0] = 1e200 }, `"turn" holds values beyond`},
		"levels":            {func(d *linear.Data, _ *linear.Params) { d.Columns[6].Levels[1] = "rome" }, `the level "rome" twice`},
		"classes":           {func(d *linear.Data, _ *linear.Params) { d.Classes = 1 }, "1 classes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := sample(200, 2, 4), linear.Params{}
			c.change(&d, &p)
			_, _, err := linear.Train(context.Background(), d, p, linear.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := linear.Train(ctx, sample(200, 2, 4), linear.Params{}, linear.Options{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// TestWildNumbers trains on numbers of all sizes: everything stays finite.
func TestWildNumbers(t *testing.T) {
	t.Parallel()
	for _, classes := range []int{0, 2, 3} {
		d := sample(500, classes, 2)
		for i := range d.Target {
			d.Columns[0].Numbers[i] *= 1e149
			d.Columns[1].Numbers[i] *= 1e-140
			d.Columns[2].Numbers[i] = float64(i%3) * 5e-324
			if classes == 0 {
				d.Target[i] *= 1e-100
			}
		}
		m, _ := mustTrain(t, d, linear.Params{Penalty: 1e-6}, 2)
		for _, v := range []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324} {
			row := make([]linear.Value, 7)
			for f := range row {
				row[f] = linear.Value{Number: v, Text: "x"}
			}
			for _, out := range m.Predict(row) {
				if math.IsNaN(out) || math.IsInf(out, 0) {
					t.Errorf("%d classes: %v for %v", classes, out, v)
				}
			}
		}
		if _, err := linear.Decode(m.Encode()); err != nil {
			t.Error(err)
		}
	}
}

func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	for _, classes := range []int{0, 2, 5} {
		d := sample(1_000, classes, 1)
		m, _ := mustTrain(t, d, linear.Params{Penalty: 0.01, MissingIndicators: true}, 2)
		back, err := linear.Decode(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		a, _ := m.PredictRows(context.Background(), d.Columns, nil, 2)
		b, _ := back.PredictRows(context.Background(), d.Columns, nil, 1)
		if diff := cmp.Diff(a, b); diff != "" || back.Classes() != classes || back.Features() != 7 {
			t.Errorf("%d classes: %s", classes, diff)
		}
		data := m.Encode()
		for cut := range data {
			if _, err := linear.Decode(data[:cut]); err == nil {
				t.Fatalf("the first %d of %d bytes are taken for a model", cut, len(data))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, classes := range []int{0, 2, 3} {
		m, _ := mustTrain(f, sample(200, classes, 1), linear.Params{Penalty: 0.01}, 1)
		f.Add(m.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := linear.Decode(data)
		if err != nil {
			return
		}
		if string(m.Encode()) != string(data) {
			t.Fatal("decoded and encoded differ")
		}
		row := make([]linear.Value, m.Features())
		for f := range row {
			row[f].Number = math.MaxFloat64
		}
		for _, v := range m.Predict(row) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("output %v", v)
			}
		}
	})
}

// BenchmarkTrain fits a logistic regression to a million rows of 24 features. bench/ml compares it with scikit-learn.
func BenchmarkTrain(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	d := linear.Data{Classes: 2, Columns: make([]linear.Column, 24)}
	for c := range d.Columns {
		d.Columns[c].Numbers = make([]float64, 1_000_000)
	}
	for i := range 1_000_000 {
		score := 0.0
		for c := range d.Columns {
			v := r.NormFloat64()
			d.Columns[c].Numbers[i] = v
			if c < 4 {
				score += v
			}
		}
		d.Target = append(d.Target, 0)
		if score+1.5*r.NormFloat64() > 0 {
			d.Target[i] = 1
		}
		d.Keys = append(d.Keys, [2]uint32{r.Uint32() >> 4, r.Uint32() >> 4})
	}
	for _, p := range []linear.Params{{Penalty: 1e-6}, {Penalty: 1e-3, L1Ratio: 0.5}} {
		b.Run(strconv.FormatFloat(p.L1Ratio, 'g', -1, 64), func(b *testing.B) {
			for b.Loop() {
				if _, fit := mustTrain(b, d, p, 2); !fit.Converged {
					b.Fatal(fit)
				}
			}
		})
	}
}

// TestManyColumnsThatSayTheSame has more columns than second derivatives are kept of between classes, made of two: the minimum is found at once.
func TestManyColumnsThatSayTheSame(t *testing.T) {
	t.Parallel()
	const rows, columns = 40, 1001
	d := linear.Data{Target: make([]float64, rows), Classes: 2, Columns: make([]linear.Column, columns)}
	x, y := make([]float64, rows), make([]float64, rows)
	for i := range rows {
		x[i], y[i] = float64(i*7919%101), float64(i*104729%89)
		if x[i]+y[i]/4 > 60 != (i%5 == 0) { // no line parts them
			d.Target[i] = 1
		}
	}
	for c := range columns {
		values := make([]float64, rows)
		for i := range values {
			values[i] = x[i] + float64(c%7)*y[i]
		}
		d.Columns[c] = linear.Column{Name: "c" + strconv.Itoa(c), Numbers: values}
	}
	_, fit := mustTrain(t, d, linear.Params{Penalty: 1.0 / rows, Tolerance: 1e-2}, 1)
	if !fit.Converged || fit.Iterations > 5 {
		t.Errorf("the fit is %+v", fit)
	}
}
