package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgimg" // PNG
	_ "gonum.org/v1/plot/vg/vgsvg" // SVG

	"damson/internal/diag"
)

var ink = color.RGBA{R: 0x6b, G: 0x2d, B: 0x5c, A: 0xff} // damson

// Format gives the picture format that a file name asks for, "png" or "svg".
func Format(name string) (string, error) {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".png", ".svg":
		return ext[1:], nil
	default:
		return "", diag.Finding{
			Summary: fmt.Sprintf("No picture format for %q", name),
			Detail:  "Plots are written as PNG or SVG, chosen by the file's ending.",
			Fix:     "End the name of --out with .png or .svg.",
		}
	}
}

// Encode draws the chart as a picture of 16 by 10 cm in the format "png" or "svg".
func (c *Chart) Encode(format string) ([]byte, error) {
	p := plot.New()
	p.Title.Text = c.Title()
	p.X.Label.Text, p.Y.Label.Text = c.Spec.X, c.Spec.Y
	if c.TimeX {
		p.X.Tick.Marker = plot.TimeTicks{Format: "2006-01-02\n15:04"}
	}
	if err := c.addMarks(p); err != nil {
		return nil, err
	}
	p.Add(plotter.NewGrid())
	w, err := p.WriterTo(16*vg.Centimeter, 10*vg.Centimeter, format)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if _, err := w.WriteTo(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (c *Chart) addMarks(p *plot.Plot) error {
	if c.Spec.Kind == Histogram {
		p.Y.Label.Text = "rows"
		p.Y.Min = 0
		p.Add(c.bars())
		return nil
	}
	points := make(plotter.XYs, len(c.X))
	for i := range points {
		points[i] = plotter.XY{X: c.X[i], Y: c.Y[i]}
	}
	if c.Spec.Kind == Line {
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.Color = ink
		p.Add(line)
		return nil
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	dots.Color, dots.Radius = ink, vg.Points(1.5)
	p.Add(dots)
	return nil
}

// bars gives the histogram with Bins' round edges instead of gonum's own.
func (c *Chart) bars() *plotter.Histogram {
	bins := Bins(c.X, 50)
	h := &plotter.Histogram{FillColor: ink, LineStyle: plotter.DefaultLineStyle}
	h.LineStyle.Color = color.White
	for _, b := range bins {
		high := b.High
		if high == b.Low {
			high = b.Low + 1
		}
		h.Bins = append(h.Bins, plotter.HistogramBin{Min: b.Low, Max: high, Weight: float64(b.Count)})
		h.Width = high - b.Low
	}
	return h
}
