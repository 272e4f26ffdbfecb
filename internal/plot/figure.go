package plot

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Figure is a picture of how a model was judged. Make one by a function below, and write it with EncodeFigures. Points that are
// not finite are left out.
type Figure struct {
	title, x, y string
	unit        bool // both axes go from 0 to 1
	lines       []line
	matrix      *matrix
	heat        *heat
	bars        []Bar
	labels      []string // along X, in the place of numbers
}

// line is a line, or dots; dashed ones are what to compare with.
type line struct {
	name         string
	points       []XY
	dots, dashed bool
}

// XY is a point.
type XY struct{ X, Y float64 }

// ROC draws a curve of the true against the false positive rate, and what guessing gives.
func ROC(points []XY, auc float64) *Figure {
	return &Figure{title: fmt.Sprintf("ROC curve (AUC = %.3f)", auc), x: "false positive rate", y: "true positive rate", unit: true,
		lines: []line{{points: []XY{{0, 0}, {1, 1}}, dashed: true}, {points: points}}}
}

// PR draws precision by recall, and the share of positives, which guessing gives.
func PR(points []XY, averagePrecision, positives float64) *Figure {
	return &Figure{title: fmt.Sprintf("precision by recall (average precision = %.3f)", averagePrecision), x: "recall", y: "precision", unit: true,
		lines: []line{{points: []XY{{0, positives}, {1, positives}}, dashed: true}, {points: points}}}
}

// Calibration draws observed shares by predicted probabilities, and the diagonal on which they should lie.
func Calibration(points []XY) *Figure {
	return &Figure{title: "calibration", x: "predicted probability", y: "observed share", unit: true,
		lines: []line{{points: []XY{{0, 0}, {1, 1}}, dashed: true}, {points: points}, {points: points, dots: true}}}
}

// Lift draws the share of all positives found in the top share of rows, and what guessing finds.
func Lift(gains []XY) *Figure {
	points := append([]XY{{0, 0}}, gains...)
	return &Figure{title: "gains", x: "share of rows, likeliest first", y: "share of positives found", unit: true,
		lines: []line{{points: []XY{{0, 0}, {1, 1}}, dashed: true}, {points: points}, {points: points, dots: true}}}
}

// Residuals draws actual less predicted by predicted numbers.
func Residuals(points []XY) *Figure {
	f := &Figure{title: fmt.Sprintf("residuals (n = %d)", len(points)), x: "predicted", y: "actual less predicted"}
	if len(points) > 0 {
		low, high := points[0].X, points[0].X
		for _, p := range points {
			low, high = min(low, p.X), max(high, p.X)
		}
		f.lines = append(f.lines, line{points: []XY{{low, 0}, {high, 0}}, dashed: true})
	}
	f.lines = append(f.lines, line{points: points, dots: true})
	return f
}

// Curve is a line with a name.
type Curve struct {
	Name   string
	Points []XY
}

// Thresholds draws what a model would do if rows were predicted positive from a probability on, and the one it uses.
func Thresholds(curves []Curve, used float64) *Figure {
	f := &Figure{title: fmt.Sprintf("thresholds (the model's: %.2f)", used), x: "threshold", y: "share", unit: true,
		lines: []line{{points: []XY{{used, 0}, {used, 1}}, dashed: true}}}
	for _, c := range curves {
		f.lines = append(f.lines, line{name: c.Name, points: c.Points})
	}
	return f
}

// Bar is a named length.
type Bar struct {
	Name   string
	Length float64
}

// Importance draws features by what they are worth, the first at the top; worth says in which unit.
func Importance(features []Bar, worth string) *Figure {
	return &Figure{title: "importance of features", x: worth, bars: features}
}

// Effect is how an output depends on a feature.
type Effect struct {
	Output string // "" = the only one
	Points []XY
}

// reach is how far the output moves.
func (e Effect) reach() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range e.Points {
		low, high = min(low, p.Y), max(high, p.Y)
	}
	return high - low
}

// Dependence draws the mean prediction by the value of a feature, or by its levels, which then stand at 0, 1, …. Of many outputs
// it has those that depend on it most.
func Dependence(feature string, effects []Effect, levels []string) *Figure {
	if len(effects) > len(inks) {
		most := slices.Clone(effects)
		slices.SortStableFunc(most, func(a, b Effect) int { return cmp.Compare(b.reach(), a.reach()) })
		effects = most[:len(inks)]
	}
	f := &Figure{title: "partial dependence on " + feature, x: feature, y: "mean prediction", labels: levels}
	for _, e := range effects {
		f.lines = append(f.lines, line{name: e.Output, points: e.Points, dots: levels != nil})
	}
	return f
}

// Confusion draws how many rows of each class (down) were predicted to be of each (across); of says which rows. Shades are shares of a line.
func Confusion(of string, classes []string, counts [][]int64) *Figure {
	return &Figure{title: "confusion matrix: " + of, x: "predicted", y: "actual", matrix: &matrix{classes, counts}}
}

// inks are the colours of lines, of which the first is Damson's.
var inks = []color.RGBA{ink, {R: 0x1f, G: 0x77, B: 0x7a, A: 0xff}, {R: 0xc4, G: 0x7a, B: 0x12, A: 0xff}, {R: 0x3b, G: 0x5b, B: 0xa5, A: 0xff},
	{R: 0x6a, G: 0x8a, B: 0x22, A: 0xff}, {R: 0xa8, G: 0x32, B: 0x32, A: 0xff}}

// draw makes the figure as gonum has it.
func (f *Figure) draw() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.title, f.x, f.y
	p.Title.Padding = vg.Points(4)
	add := f.addLines
	switch {
	case f.matrix != nil:
		add = f.matrix.add
	case f.heat != nil:
		add = f.heat.add
	case f.bars != nil:
		add = f.addBars
	}
	if err := add(p); err != nil {
		return nil, err
	}
	if f.unit {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		p.Legend.Top, p.Legend.Left = false, true
	} else if names := f.names(); names > 0 {
		p.Y.Max += (p.Y.Max - p.Y.Min) * legendLine * float64(names) / (1 - legendLine*float64(names))
	}
	if f.labels != nil {
		p.NominalX(f.labels...)
		p.X.Min, p.X.Max = -0.5, float64(len(f.labels))-0.5
	}
	return p, nil
}

// legendLine is the part of a small figure's height that a line of its legend takes, which stands above all lines.
const legendLine = 0.075

func (f *Figure) names() (n int) {
	for _, l := range f.lines {
		if l.name != "" {
			n++
		}
	}
	return n
}

func (f *Figure) addLines(p *plot.Plot) error {
	p.Add(plotter.NewGrid())
	p.Legend.Top = true
	drawn := 0
	for _, l := range f.lines {
		var points plotter.XYs
		for _, v := range l.points {
			if !math.IsNaN(v.X-v.X) && !math.IsNaN(v.Y-v.Y) {
				points = append(points, plotter.XY{X: v.X, Y: v.Y})
			}
		}
		if len(points) == 0 {
			continue
		}
		style := inks[drawn%len(inks)]
		if l.dots {
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return err
			}
			dots.Color, dots.Radius, dots.Shape = style, vg.Points(1.8), draw.CircleGlyph{}
			p.Add(dots)
			addLegend(p, l.name, dots)
		} else {
			drawing, err := plotter.NewLine(points)
			if err != nil {
				return err
			}
			drawing.Color = style
			if l.dashed {
				drawing.Color, drawing.Dashes = color.Gray{Y: 0x90}, []vg.Length{vg.Points(4), vg.Points(3)}
			}
			p.Add(drawing)
			addLegend(p, l.name, drawing)
		}
		if l.name != "" {
			drawn++
		}
	}
	return nil
}

// addBars draws horizontal bars. Lengths that are not finite have none.
func (f *Figure) addBars(p *plot.Plot) error {
	n := len(f.bars)
	lengths, names := make(plotter.Values, n), make([]string, n)
	for i, b := range f.bars {
		names[n-1-i] = b.Name
		if !math.IsNaN(b.Length - b.Length) {
			lengths[n-1-i] = b.Length
		}
	}
	if n == 0 {
		return nil
	}
	bars, err := plotter.NewBarChart(lengths, vg.Points(min(14, 200/float64(n))))
	if err != nil {
		return err
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, ink, 0
	p.Add(plotter.NewGrid(), bars)
	p.NominalY(names...)
	p.X.Min = min(0, p.X.Min)
	return nil
}

func addLegend(p *plot.Plot, name string, t plot.Thumbnailer) {
	if name != "" {
		p.Legend.Add(name, t)
	}
}

// matrix is a grid of counts, the first class at the top and on the left.
type matrix struct {
	classes []string
	counts  [][]int64
}

func (m *matrix) Dims() (columns, rows int) { return len(m.classes), len(m.classes) }
func (m *matrix) X(c int) float64           { return float64(c) }
func (m *matrix) Y(r int) float64           { return float64(r) }
func (m *matrix) Z(column, row int) float64 { return m.share(len(m.classes)-1-row, column) }

// share is that of the rows of a class.
func (m *matrix) share(class, predicted int) float64 {
	total := int64(0)
	for _, n := range m.counts[class] {
		total += n
	}
	return float64(m.counts[class][predicted]) / float64(max(total, 1))
}

// shades goes from white to Damson's colour.
type shades struct{}

func (shades) Colors() []color.Color {
	out := make([]color.Color, 64)
	for i := range out {
		mix := func(to uint8) uint8 { return uint8(255 + (int(to)-255)*i/63) }
		out[i] = color.RGBA{R: mix(ink.R), G: mix(ink.G), B: mix(ink.B), A: 0xff}
	}
	return out
}

// mostLabelled is how many classes a matrix has room to label and count.
const mostLabelled = 12

func (m *matrix) add(p *plot.Plot) error {
	n := len(m.classes)
	if n == 0 {
		return nil
	}
	if n > 1 {
		heat := plotter.NewHeatMap(m, shades{})
		heat.Min, heat.Max = 0, 1
		p.Add(heat)
	}
	down := make([]string, n)
	for i, name := range m.classes {
		down[n-1-i] = name
	}
	if n > mostLabelled {
		return nil
	}
	p.NominalX(m.classes...)
	p.NominalY(down...)
	labels := plotter.XYLabels{}
	for row := range n {
		for column := range n {
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(column), Y: float64(row)})
			labels.Labels = append(labels.Labels, fmt.Sprint(m.counts[n-1-row][column]))
		}
	}
	counts, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range counts.TextStyle {
		counts.TextStyle[i].XAlign, counts.TextStyle[i].YAlign = text.XCenter, text.YCenter
		counts.TextStyle[i].Font.Size = font.Points(10)
		if m.Z(i%n, i/n) > 0.5 {
			counts.TextStyle[i].Color = color.White
		}
	}
	p.Add(counts)
	return nil
}
