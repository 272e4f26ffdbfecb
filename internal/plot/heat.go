package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
)

// Clusters draws where the centres of clusters (down) lie in each feature (across), in standard deviations from its mean: values by
// cluster, then by feature.
func Clusters(clusters, features []string, deviations [][]float64) *Figure {
	return &Figure{title: "clusters' centres, in standard deviations from the mean", heat: &heat{clusters, features, deviations}}
}

// heat is a grid of numbers below and above 0, its first line at the top.
type heat struct {
	down, across []string
	values       [][]float64
}

func (h *heat) Dims() (columns, rows int) { return len(h.across), len(h.down) }
func (h *heat) X(c int) float64           { return float64(c) }
func (h *heat) Y(r int) float64           { return float64(r) }
func (h *heat) Z(column, row int) float64 { return h.values[len(h.down)-1-row][column] }
func (h *heat) names() (across, up []string) {
	for i := range h.down {
		up = append(up, h.down[len(h.down)-1-i])
	}
	return h.across, up
}

// farthest is the largest value below or above 0.
func (h *heat) farthest() float64 {
	most := 0.0
	for _, line := range h.values {
		for _, v := range line {
			most = max(most, math.Abs(v))
		}
	}
	return most
}

// poles goes from green over white to Damson's colour.
type poles struct{}

func (poles) Colors() []color.Color {
	const steps = 64
	out := make([]color.Color, 0, 2*steps)
	for i := range steps {
		out = append(out, faded(inks[1], float64(steps-1-i)/(steps-1)))
	}
	for i := range steps {
		out = append(out, faded(ink, float64(i)/(steps-1)))
	}
	return out
}

// faded mixes a colour with white.
func faded(c color.RGBA, part float64) color.Color {
	mix := func(to uint8) uint8 { return uint8(255 + (float64(to)-255)*part) }
	return color.RGBA{R: mix(c.R), G: mix(c.G), B: mix(c.B), A: 0xff}
}

// add puts the grid on a picture, with its numbers where there is room for them.
func (h *heat) add(p *plot.Plot) error {
	if len(h.down) == 0 || len(h.across) == 0 {
		return nil
	}
	most := max(h.farthest(), 1e-9)
	shaded := plotter.NewHeatMap(h, poles{})
	shaded.Min, shaded.Max = -most, most
	p.Add(shaded)
	across, up := h.names()
	p.NominalX(across...)
	p.NominalY(up...)
	if len(across) > 6 {
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/4, text.XRight, text.YTop
	}
	if len(across) > mostLabelled || len(up) > 2*mostLabelled {
		return nil
	}
	labels := plotter.XYLabels{}
	for row := range up {
		for column := range across {
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(column), Y: float64(row)})
			labels.Labels = append(labels.Labels, fmt.Sprintf("%+.1f", h.Z(column, row)))
		}
	}
	numbers, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range numbers.TextStyle {
		style := &numbers.TextStyle[i]
		style.XAlign, style.YAlign, style.Font.Size = text.XCenter, text.YCenter, font.Points(8)
		if math.Abs(h.Z(i%len(across), i/len(across))) > 0.6*most {
			style.Color = color.White
		}
	}
	p.Add(numbers)
	return nil
}
