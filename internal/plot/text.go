package plot

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Text draws the chart with characters, at most width columns wide.
func (c *Chart) Text(w io.Writer, width int) error {
	width = max(width, 40)
	var b strings.Builder
	b.WriteString(c.Title() + "\n")
	switch {
	case len(c.X) == 0:
		b.WriteString("nothing to draw: no row has finite values\n")
	case c.Spec.Kind == Histogram:
		c.textBars(&b, width)
	default:
		c.textGrid(&b, width)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// textBars writes a line a bin: its low edge, a bar, its count. A bin that is not empty shows at least a sliver, so that a
// single wild value is seen.
func (c *Chart) textBars(b *strings.Builder, width int) {
	bins := Bins(c.X, 20)
	most := 0
	labels := make([]string, len(bins))
	edge, digits := 0, 0
	for i, bin := range bins {
		labels[i] = c.label(bin.Low)
		most, edge = max(most, bin.Count), max(edge, len(labels[i]))
		digits = max(digits, len(strconv.Itoa(bin.Count)))
	}
	room := max(width-edge-digits-4, 10)
	for i, bin := range bins {
		bar := eighths(float64(bin.Count) / float64(most) * float64(room))
		if bar == "" && bin.Count > 0 {
			bar = "▏"
		}
		fmt.Fprintf(b, "%*s │%s %d\n", edge, labels[i], bar, bin.Count)
	}
}

// eighths gives a bar of the length in characters, drawn to an eighth of one.
func eighths(length float64) string {
	n := int(math.Round(length * 8))
	bar := strings.Repeat("█", n/8)
	if rest := n % 8; rest > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return bar
}

const gridHeight = 18 // lines of a scatter or line plot

// textGrid draws points or a line with Braille characters, each two dots wide and four high.
func (c *Chart) textGrid(b *strings.Builder, width int) {
	minX, maxX := spread(c.X)
	minY, maxY := spread(c.Y)
	top, bottom := number(maxY), number(minY)
	margin := max(len(top), len(bottom))
	columns := max(width-margin-3, 20)
	cells := make([]rune, columns*gridHeight)
	dot := func(x, y int) {
		if x >= 0 && x < columns*2 && y >= 0 && y < gridHeight*4 {
			cells[(y/4)*columns+x/2] |= brailleBits[y%4][x%2]
		}
	}
	place := func(i int) (int, int) {
		x := (c.X[i] - minX) / (maxX - minX) * float64(columns*2-1)
		y := (maxY - c.Y[i]) / (maxY - minY) * float64(gridHeight*4-1)
		return int(math.Round(x)), int(math.Round(y))
	}
	for i := range c.X {
		x, y := place(i)
		dot(x, y)
		if c.Spec.Kind == Line && i > 0 {
			px, py := place(i - 1)
			segment(px, py, x, y, dot)
		}
	}
	for row := range gridHeight {
		label := ""
		switch row {
		case 0:
			label = top
		case gridHeight - 1:
			label = bottom
		}
		line := make([]rune, columns)
		for i, bits := range cells[row*columns : (row+1)*columns] {
			line[i] = 0x2800 + bits
		}
		fmt.Fprintf(b, "%*s │%s\n", margin, label, strings.TrimRight(string(line), "\u2800"))
	}
	left, right := c.label(minX), c.label(maxX)
	fmt.Fprintf(b, "%*s └%s\n", margin, "", strings.Repeat("─", columns))
	fmt.Fprintf(b, "%*s  %s%*s\n", margin, "", left, max(columns-len(left), len(right)+1), right)
}

// brailleBits are the bits of U+2800's dots by row and column of a cell.
var brailleBits = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// segment calls dot for the points of a straight line (J. Bresenham, 1965).
func segment(x, y, toX, toY int, dot func(x, y int)) {
	dx, dy := abs(toX-x), -abs(toY-y)
	stepX, stepY := sign(toX-x), sign(toY-y)
	for err := dx + dy; ; {
		dot(x, y)
		if x == toX && y == toY {
			return
		}
		twice := 2 * err
		if twice >= dy {
			err += dy
			x += stepX
		}
		if twice <= dx {
			err += dx
			y += stepY
		}
	}
}

func abs(n int) int { return max(n, -n) }

func sign(n int) int {
	switch {
	case n > 0:
		return 1
	case n < 0:
		return -1
	}
	return 0
}

// spread gives the least and greatest value, apart even when all are equal.
func spread(values []float64) (low, high float64) {
	low, high = slices.Min(values), slices.Max(values)
	if low == high {
		return low - 0.5, high + 0.5
	}
	return low, high
}

func (c *Chart) label(x float64) string {
	if c.TimeX {
		return time.Unix(int64(math.Round(x)), 0).UTC().Format("2006-01-02 15:04")
	}
	return number(x)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
