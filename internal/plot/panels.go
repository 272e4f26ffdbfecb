package plot

import (
	"bytes"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Size of a figure that has a picture of its own, and of one among others.
const (
	width, height           = 14 * vg.Centimeter, 12 * vg.Centimeter
	panelWidth, panelHeight = 11 * vg.Centimeter, 8 * vg.Centimeter
)

// EncodeFigures draws figures, at least one, as one picture in the format "png" or "svg": a single one as 14 by 12 cm, several
// beside and below each other in two columns.
func EncodeFigures(figures []*Figure, format string) ([]byte, error) {
	columns, rows := 1, 1
	w, h := width, height
	if len(figures) > 1 {
		columns, rows = 2, (len(figures)+1)/2
		w, h = vg.Length(columns)*panelWidth, vg.Length(rows)*panelHeight
	}
	canvas, err := draw.NewFormattedCanvas(w, h, format)
	if err != nil {
		return nil, err
	}
	panels := make([][]*plot.Plot, rows)
	for i := range panels {
		panels[i] = make([]*plot.Plot, columns)
	}
	for i, f := range figures {
		if panels[i/columns][i%columns], err = f.draw(); err != nil {
			return nil, err
		}
	}
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Points(12), PadY: vg.Points(12), PadTop: vg.Points(6), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(12)}
	for i, row := range plot.Align(panels, tiles, draw.New(canvas)) {
		for k, area := range row {
			if panels[i][k] != nil {
				panels[i][k].Draw(area)
			}
		}
	}
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
