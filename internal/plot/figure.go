package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Figure is a picture of how a model was judged. Make one by a function below, and write it with Encode. Points that are
// not finite are left out.
type Figure struct {
	title, x, y string
	unit        bool // both axes go from 0 to 1
	lines       []line
	matrix      *matrix
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

// Effect is how an output depends on a feature.
type Effect struct {
	Output string // "" = the only one
	Points []XY
}

// Dependence draws the mean prediction by the value of a feature, or by its levels, which then stand at 0, 1, ….
func Dependence(feature string, effects []Effect, levels []string) *Figure {
	f := &Figure{title: "partial dependence on " + feature, x: feature, y: "mean prediction", labels: levels}
	for _, e := range effects {
		f.lines = append(f.lines, line{name: e.Output, points: e.Points, dots: levels != nil})
	}
	return f
}

// Confusion draws how many rows of each class (down) were predicted to be of each (across). Shades are shares of a line.
func Confusion(classes []string, counts [][]int64) *Figure {
	return &Figure{title: "confusion matrix", x: "predicted", y: "actual", matrix: &matrix{classes, counts}}
}

// inks are the colours of lines, of which the first is Damson's.
var inks = []color.RGBA{ink, {R: 0x1f, G: 0x77, B: 0x7a, A: 0xff}, {R: 0xc4, G: 0x7a, B: 0x12, A: 0xff}, {R: 0x3b, G: 0x5b, B: 0xa5, A: 0xff},
	{R: 0x6a, G: 0x8a, B: 0x22, A: 0xff}, {R: 0xa8, G: 0x32, B: 0x32, A: 0xff}}

// Encode draws the figure as a picture of 14 by 12 cm in the format "png" or "svg".
func (f *Figure) Encode(format string) ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.title, f.x, f.y
	if f.matrix != nil {
		f.matrix.add(p)
	} else if err := f.addLines(p); err != nil {
		return nil, err
	}
	if f.unit {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	}
	if f.labels != nil {
		p.NominalX(f.labels...)
		p.X.Min, p.X.Max = -0.5, float64(len(f.labels))-0.5
	}
	w, err := p.WriterTo(14*vg.Centimeter, 12*vg.Centimeter, format)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if _, err := w.WriteTo(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
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

func (m *matrix) add(p *plot.Plot) {
	n := len(m.classes)
	if n == 0 {
		return
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
		return
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
		return // no labels of no classes
	}
	for i := range counts.TextStyle {
		counts.TextStyle[i].XAlign, counts.TextStyle[i].YAlign = text.XCenter, text.YCenter
		counts.TextStyle[i].Font.Size = font.Points(10)
		if m.Z(i%n, i/n) > 0.5 {
			counts.TextStyle[i].Color = color.White
		}
	}
	p.Add(counts)
}
