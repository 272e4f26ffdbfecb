package plot_test

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"strings"
	"testing"

	"damson/internal/plot"
)

func TestParseSpec(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]plot.Spec{
		"hist:speed":     {Kind: plot.Histogram, X: "speed"},
		"scatter:a, b":   {Kind: plot.Scatter, X: "a", Y: "b"},
		"line:tdate,kmh": {Kind: plot.Line, X: "tdate", Y: "kmh"},
	} {
		got, err := plot.ParseSpec(text)
		if err != nil || got != want {
			t.Errorf("ParseSpec(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"hist":       "names no column",
		"hist:":      "names no column",
		"hist:a,b":   "one column, not 2",
		"scatter:a":  "two columns",
		"histo:a":    `Did you mean "hist"?`,
		"line:a,b,c": "here are 3",
	} {
		if _, err := plot.ParseSpec(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseSpec(%q): error %v does not say %q", text, err, says)
		}
	}
}

func TestBinsCountEveryValueOnceAndHaveRoundEdges(t *testing.T) {
	t.Parallel()
	values := []float64{0, 0.4, 1, 1, 2.5, 9.99, 10, 2532.4}
	bins := plot.Bins(values, 20)
	total := 0
	for i, b := range bins {
		total += b.Count
		if i > 0 && b.Low != bins[i-1].High {
			t.Errorf("bin %d starts at %g, the one before ends at %g", i, b.Low, bins[i-1].High)
		}
	}
	if total != len(values) {
		t.Errorf("bins hold %d values of %d", total, len(values))
	}
	if width := bins[0].High - bins[0].Low; width != 200 {
		t.Errorf("width %g, want 200", width)
	}
	if last := bins[len(bins)-1]; last.Count != 1 || last.Low != 2400 {
		t.Errorf("the wild value should stand alone in the last bin, got %+v", last)
	}
}

func TestBinsOfNothingAndOfOneValue(t *testing.T) {
	t.Parallel()
	if got := plot.Bins(nil, 10); got != nil {
		t.Errorf("no values gave %v", got)
	}
	if got := plot.Bins([]float64{3, 3}, 10); len(got) != 1 || got[0].Count != 2 {
		t.Errorf("equal values gave %v", got)
	}
}

func TestTextFitsTheWidthAndShowsOutliers(t *testing.T) {
	t.Parallel()
	xs := []float64{math.NaN(), 1000}
	for i := range 999 {
		xs = append(xs, float64(i%10))
	}
	var out bytes.Buffer
	if err := plot.New(plot.Spec{Kind: plot.Histogram, X: "speed"}, xs, nil, false).Text(&out, 60); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "speed (n = 1000, 1 without a finite value left out)") {
		t.Errorf("title missing:\n%s", text)
	}
	if !strings.Contains(text, "│▏ 1\n") {
		t.Errorf("the single wild value is not seen:\n%s", text)
	}
	for _, kind := range []plot.Kind{plot.Scatter, plot.Line} {
		out.Reset()
		chart := plot.New(plot.Spec{Kind: kind, X: "t", Y: "v"}, []float64{3, 1, 2}, []float64{9, 1, 4}, false)
		if err := chart.Text(&out, 60); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 60 {
				t.Errorf("%s: a line of %d characters: %q", kind, n, line)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	charts := []*plot.Chart{
		plot.New(plot.Spec{Kind: plot.Histogram, X: "v"}, []float64{1, 2, 2, 3}, nil, false),
		plot.New(plot.Spec{Kind: plot.Histogram, X: "v"}, []float64{5, 5}, nil, false),
		plot.New(plot.Spec{Kind: plot.Histogram, X: "v"}, nil, nil, false),
		plot.New(plot.Spec{Kind: plot.Line, X: "t", Y: "v"}, []float64{1e9, 1.1e9}, []float64{1, 2}, true),
		plot.New(plot.Spec{Kind: plot.Scatter, X: "t", Y: "v"}, nil, []float64{}, false),
	}
	for _, c := range charts {
		data, err := c.Encode("png")
		if err != nil {
			t.Errorf("%s: %v", c.Title(), err)
			continue
		}
		if _, err := png.Decode(bytes.NewReader(data)); err != nil {
			t.Errorf("%s: not a PNG: %v", c.Title(), err)
		}
		if data, err := c.Encode("svg"); err != nil || !bytes.Contains(data, []byte("<svg")) {
			t.Errorf("%s: not an SVG (%v)", c.Title(), err)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	points := []plot.XY{{X: 0, Y: 0.1}, {X: 0.4, Y: 0.7}, {X: math.NaN(), Y: 1}, {X: 1, Y: math.Inf(1)}, {X: 1, Y: 1}}
	many := make([]string, 30)
	counts := make([][]int64, 30)
	for i := range many {
		many[i], counts[i] = "class", make([]int64, 30)
		counts[i][i] = 7
	}
	for name, c := range map[string]struct {
		figure *plot.Figure
		says   []string
	}{
		"roc":              {plot.ROC(points, 0.8765), []string{"AUC = 0.876", "false positive rate"}},
		"pr":               {plot.PR(points, 0.5, 0.3), []string{"average precision = 0.500"}},
		"calibration":      {plot.Calibration(points), []string{"observed share"}},
		"lift":             {plot.Lift(points), []string{"share of positives found"}},
		"residuals":        {plot.Residuals(points), []string{"actual less predicted", "n = 5"}},
		"dependence":       {plot.Dependence("speed", []plot.Effect{{Output: "bus", Points: points}, {Output: "walk", Points: points}}, nil), []string{"partial dependence on speed", "bus", "walk"}},
		"levels":           {plot.Dependence("city", []plot.Effect{{Points: []plot.XY{{X: 0, Y: 1}, {X: 1, Y: 2}}}}, []string{"oslo", "rome"}), []string{"oslo", "rome"}},
		"thresholds":       {plot.Thresholds([]plot.Curve{{Name: "recall", Points: points}}, 0.45), []string{": 0.45", "recall"}},
		"importance":       {plot.Importance([]plot.Bar{{Name: "speed", Length: 0.3}, {Name: "bend", Length: -0.01}, {Name: "odd", Length: math.NaN()}}, "AUC lost"), []string{"speed", "bend", "odd", "AUC lost"}},
		"no importance":    {plot.Importance([]plot.Bar{}, "AUC lost"), []string{"importance of features"}},
		"confusion":        {plot.Confusion("rows", []string{"walk", "bus"}, [][]int64{{4711, 3}, {2, 815}}), []string{"4711", "815", "walk", "bus"}},
		"one class":        {plot.Confusion("rows", []string{"walk"}, [][]int64{{5}}), []string{"walk"}},
		"many classes":     {plot.Confusion("rows", many, counts), []string{"confusion matrix"}},
		"clusters":         {plot.Clusters([]string{"0 (7 rows)", "1 (3 rows)"}, []string{"speed", "bend"}, [][]float64{{1.23, -0.5}, {-2, 0}}), []string{"0 (7 rows)", "speed", "+1.2", "-2.0"}},
		"one feature":      {plot.Clusters([]string{"0", "1"}, []string{"speed"}, [][]float64{{1}, {-1}}), []string{"speed", "+1.0"}},
		"many clusters":    {plot.Clusters(many, many[:20], zeros(30, 20)), []string{"standard deviations"}},
		"no clusters":      {plot.Clusters(nil, nil, nil), []string{"standard deviations"}},
		"no points":        {plot.ROC(nil, 0), []string{"ROC"}},
		"no residuals":     {plot.Residuals(nil), []string{"n = 0"}},
		"no classes":       {plot.Confusion("rows", nil, nil), []string{"confusion matrix"}},
		"no effects":       {plot.Dependence("x", nil, nil), []string{"partial dependence on x"}},
		"effect of points": {plot.Dependence("x", []plot.Effect{{Points: nil}}, nil), []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := plot.EncodeFigures([]*plot.Figure{c.figure}, "svg")
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range c.says {
				if !bytes.Contains(data, []byte(text)) {
					t.Errorf("the picture does not say %q", text)
				}
			}
			if data, err = plot.EncodeFigures([]*plot.Figure{c.figure}, "png"); err != nil {
				t.Fatal(err)
			}
			if _, err := png.Decode(bytes.NewReader(data)); err != nil {
				t.Error(err)
			}
		})
	}
}

func zeros(rows, columns int) [][]float64 {
	out := make([][]float64, rows)
	for i := range out {
		out[i] = make([]float64, columns)
	}
	return out
}

func TestDependenceOfManyOutputsDrawsThoseThatMove(t *testing.T) {
	t.Parallel()
	effects := make([]plot.Effect, 40)
	for i := range effects {
		effects[i] = plot.Effect{Output: fmt.Sprintf("class %d.", i), Points: []plot.XY{{X: 0, Y: 0.1}, {X: 1, Y: 0.1 + float64(i)/100}}}
	}
	data, err := plot.EncodeFigures([]*plot.Figure{plot.Dependence("speed", effects, nil)}, "svg")
	if err != nil {
		t.Fatal(err)
	}
	for i := range effects {
		if drawn := bytes.Contains(data, []byte(effects[i].Output)); drawn != (i >= 34) {
			t.Errorf("class %d is drawn: %t", i, drawn)
		}
	}
}

func TestFiguresShareAPicture(t *testing.T) {
	t.Parallel()
	var figures []*plot.Figure
	for _, feature := range []string{"speed", "bend", "stops"} {
		figures = append(figures, plot.Dependence(feature, []plot.Effect{{Points: []plot.XY{{X: 0, Y: 1}, {X: 1, Y: 2}}}}, nil))
	}
	data, err := plot.EncodeFigures(figures, "svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"partial dependence on speed", "partial dependence on bend", "partial dependence on stops"} {
		if !bytes.Contains(data, []byte(text)) {
			t.Errorf("the picture does not say %q", text)
		}
	}
	data, err = plot.EncodeFigures(figures, "png")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X < size.Y {
		t.Errorf("three figures in two columns are %v", size)
	}
}
