// Package plot draws the columns of a query: histogram, scatter and line, to a terminal as text and to PNG or SVG files.
// Its central type is Chart. It draws what it is given; it neither queries nor aggregates tables.
package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"damson/internal/diag"
)

// Kind is the form of a chart.
type Kind string

const (
	Histogram Kind = "hist"
	Scatter   Kind = "scatter"
	Line      Kind = "line"
)

// Spec is a parsed --plot argument: hist:COL, scatter:X,Y or line:X,Y.
type Spec struct {
	Kind Kind
	X, Y string // Y is empty for a histogram
}

const usage = "Use hist:COL, scatter:X,Y or line:X,Y with columns of the result, for example --plot hist:speed."

// ParseSpec reads a --plot argument. The error is a diag.Finding.
func ParseSpec(text string) (Spec, error) {
	bad := func(detail string) (Spec, error) {
		return Spec{}, diag.Finding{Summary: fmt.Sprintf("Unreadable plot %q", text), Detail: detail, Fix: usage}
	}
	kind, columns, found := strings.Cut(text, ":")
	if !found || columns == "" {
		return bad("It names no column.")
	}
	names := strings.Split(columns, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	switch Kind(kind) {
	case Histogram:
		if len(names) != 1 {
			return bad(fmt.Sprintf("A histogram shows one column, not %d.", len(names)))
		}
		return Spec{Kind: Histogram, X: names[0]}, nil
	case Scatter, Line:
		if len(names) != 2 {
			return bad(fmt.Sprintf("A %s plot takes two columns, X and Y; here are %d.", kind, len(names)))
		}
		return Spec{Kind: Kind(kind), X: names[0], Y: names[1]}, nil
	}
	return bad(strings.TrimSpace(fmt.Sprintf("There is no plot of kind %q. %s", kind, diag.DidYouMean(kind, []string{"hist", "scatter", "line"}))))
}

// Columns lists the columns the chart needs.
func (s Spec) Columns() []string {
	if s.Y == "" {
		return []string{s.X}
	}
	return []string{s.X, s.Y}
}

// Chart is a spec with its values. For scatter and line, X[i] and Y[i] belong together. Rows whose value is NULL, NaN or
// infinite are left out and counted in Dropped. TimeX says that X holds Unix seconds.
type Chart struct {
	Spec    Spec
	X, Y    []float64
	TimeX   bool
	Dropped int
}

// New makes a chart of the spec from raw columns (ys nil for a histogram), leaving out points that cannot be drawn.
func New(spec Spec, xs, ys []float64, timeX bool) *Chart {
	c := &Chart{Spec: spec, TimeX: timeX}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	for i, x := range xs {
		switch {
		case !finite(x) || (ys != nil && !finite(ys[i])):
			c.Dropped++
		case ys != nil:
			c.X, c.Y = append(c.X, x), append(c.Y, ys[i])
		default:
			c.X = append(c.X, x)
		}
	}
	if spec.Kind == Line {
		c.sortByX()
	}
	return c
}

func (c *Chart) sortByX() {
	order := make([]int, len(c.X))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case c.X[a] < c.X[b]:
			return -1
		case c.X[a] > c.X[b]:
			return 1
		}
		return 0
	})
	xs, ys := make([]float64, len(order)), make([]float64, len(order))
	for i, j := range order {
		xs[i], ys[i] = c.X[j], c.Y[j]
	}
	c.X, c.Y = xs, ys
}

// Title names what is drawn, and what was left out.
func (c *Chart) Title() string {
	title := c.Spec.X
	if c.Spec.Y != "" {
		title = c.Spec.Y + " by " + c.Spec.X
	}
	title = fmt.Sprintf("%s (n = %d", title, len(c.X))
	if c.Dropped > 0 {
		title += fmt.Sprintf(", %d without a finite value left out", c.Dropped)
	}
	return title + ")"
}

// Bin is one bar of a histogram: the values v with Low <= v < High (the last bin holds its High too).
type Bin struct {
	Low, High float64
	Count     int
}

// Bins cuts the values into at most most bars of equal, round width. Integers get whole-number edges.
func Bins(values []float64, most int) []Bin {
	if len(values) == 0 {
		return nil
	}
	low, high := slices.Min(values), slices.Max(values)
	if low == high {
		return []Bin{{Low: low, High: high, Count: len(values)}}
	}
	width := roundWidth((high - low) / float64(most))
	first := math.Floor(low/width) * width
	n := int(math.Floor((high-first)/width)) + 1
	bins := make([]Bin, n)
	for i := range bins {
		bins[i] = Bin{Low: first + float64(i)*width, High: first + float64(i+1)*width}
	}
	for _, v := range values {
		bins[min(max(int((v-first)/width), 0), n-1)].Count++
	}
	if last := len(bins) - 1; last > 0 && bins[last].Count == 0 {
		bins = bins[:last]
	}
	return bins
}

// roundWidth gives the smallest of 1, 2, 2.5, 5 × 10^k that is at least w.
func roundWidth(w float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(w)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= w*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}
