package modelcmd

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"damson/internal/cli/console"
	"damson/internal/metric"
	"damson/internal/plot"
)

// printClusters shows each cluster: its size, how wide and how far from others it is, where its centre lies, and of a target the
// value that most of its rows have.
func (a *app) printClusters(c metric.Clusters) {
	a.Printf("\n")
	head := []string{">cluster", ">training rows", ">held-out rows", ">distance", ">farthest", ">silhouette"}
	if c.Labels != nil {
		head = append(head, "mostly")
	}
	g := console.NewGrid(append(head, "centre, in standard deviations from the mean")...)
	for k, own := range c.Clusters {
		line := []string{strconv.Itoa(k), console.Count(own.Training), console.Count(own.Rows), optional(own.Distance), optional(own.Farthest), optional(own.Silhouette)}
		if c.Labels != nil {
			line = append(line, mostly(c, k))
		}
		g.Add(append(line, outstanding(c.Features, own.Deviations))...)
	}
	g.Print(a.App)
	if held := heldOut(c); c.Silhouette < held {
		a.Printf("Silhouettes are of %s of the held-out rows, drawn by their ids.\n", console.Count(c.Silhouette))
	}
}

func heldOut(c metric.Clusters) (rows int64) {
	for _, own := range c.Clusters {
		rows += own.Rows
	}
	return rows
}

// mostly names the label that most rows of a cluster have.
func mostly(c metric.Clusters, k int) string {
	best, rows := 0, int64(0)
	for y, line := range c.Table {
		rows += line[k]
		if line[k] > c.Table[best][k] {
			best = y
		}
	}
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%.0f %%)", cmp.Or(c.Labels[best], `""`), 100*float64(c.Table[best][k])/float64(rows))
}

// outstanding names the features in which a centre lies farthest from the mean.
func outstanding(features []string, deviations []float64) string {
	const most = 4
	places := make([]int, len(deviations))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(math.Abs(deviations[b]), math.Abs(deviations[a])) })
	var parts []string
	for _, f := range places[:min(most, len(places))] {
		if math.Abs(deviations[f]) < 0.005 {
			break // it would be written as 0
		}
		parts = append(parts, fmt.Sprintf("%s %+.2f", features[f], deviations[f]))
	}
	return strings.Join(parts, ", ")
}

// Most features and clusters that a picture has room for.
const (
	mostAcross = 20
	mostDown   = 30
)

// clustersOf draws the centres of the largest clusters.
func clustersOf(c metric.Clusters) *plot.Figure {
	var names []string
	var values [][]float64
	features := c.Features[:min(mostAcross, len(c.Features))]
	for k, own := range c.Clusters[:min(mostDown, len(c.Clusters))] {
		names = append(names, fmt.Sprintf("%d (%s rows)", k, console.Count(own.Training)))
		values = append(values, own.Deviations[:len(features)])
	}
	return plot.Clusters(names, features, values)
}
