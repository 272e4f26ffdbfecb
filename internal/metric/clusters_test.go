package metric

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
)

// clusterings is what testdata/clusters.py writes.
type clusterings struct {
	Cases []struct {
		Name      string
		K         int
		Points    [][]float64
		Clusters  []int32
		Distances []float64
		Labels    []int32
		Metrics   map[string]float64
	}
}

func TestClustersAsScikitLearn(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/clusters.json")
	if err != nil {
		t.Fatal(err)
	}
	var all clusterings
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all.Cases {
		r := ClusterRows{K: c.K, Clusters: c.Clusters, Distances: c.Distances, Points: c.Points}
		if c.Labels != nil {
			r.Names, r.Labels = []string{"a", "b", "c"}, c.Labels
		}
		report, err := JudgeClusters(t.Context(), r, 2, &Bootstrap{Seed: 1, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Metrics) != len(c.Metrics) {
			t.Errorf("%s: metrics %v, scikit-learn has %v", c.Name, report.Metrics, c.Metrics)
		}
		for name, want := range c.Metrics {
			if got, ok := report.Value(name); !ok || math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
				t.Errorf("%s: %s is %v (%v), scikit-learn says %v", c.Name, name, got, ok, want)
			}
		}
		checkClusters(t, c.Name, report, r)
	}
}

// checkClusters compares the parts of a report with each other.
func checkClusters(t *testing.T, name string, report Report, r ClusterRows) {
	t.Helper()
	rows, labelled := int64(0), int64(0)
	for _, c := range report.Clusters.Clusters {
		rows += c.Rows
		if (c.Rows == 0) != (c.Distance == nil) {
			t.Errorf("%s: a cluster of %d rows has the distance %v", name, c.Rows, c.Distance)
		}
	}
	for _, line := range report.Clusters.Table {
		for _, n := range line {
			labelled += n
		}
	}
	if rows != report.Rows || r.Names != nil && labelled+report.Clusters.Unlabelled != report.Rows {
		t.Errorf("%s: %d rows, %d of clusters, %d labelled and %d not", name, report.Rows, rows, labelled, report.Clusters.Unlabelled)
	}
}

// TestIntervalsOfClusters: rows in groups of their own have intervals around the figures; the same rows in two groups of one kind have wide
// ones; threads do not show.
func TestIntervalsOfClusters(t *testing.T) {
	t.Parallel()
	r := heaps(900)
	var want Report
	for _, threads := range []int{1, 3} {
		got, err := JudgeClusters(t.Context(), r, threads, &Bootstrap{Seed: 3, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		if want.Metrics == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads judge differently", threads)
		}
	}
	for _, name := range intervalNames[Clustering] {
		i, ok := want.Intervals.Metrics[name]
		if v := want.Metrics[name]; !ok || !(i.Low < v && v < i.High && i.High-i.Low < 0.25) {
			t.Errorf("%s is %v, its interval %v, %v", name, v, i, ok)
		}
	}
	r.Groups = make([]string, len(r.Clusters))
	for i, c := range r.Clusters {
		r.Groups[i] = fmt.Sprint(c % 2)
	}
	byGroup, err := JudgeClusters(t.Context(), r, 2, &Bootstrap{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if i := byGroup.Intervals.Metrics["inertia"]; byGroup.Intervals.Groups != 2 || i.High-i.Low < 0.27 {
		t.Errorf("two groups unlike each other have the interval %v", i)
	}
}

// heaps are rows in three heaps of different width, with labels that are right for nine rows of ten.
func heaps(n int) ClusterRows {
	random := rand.New(rand.NewPCG(2, 2))
	r := ClusterRows{K: 3, Points: make([][]float64, 2), Names: []string{"a", "b", "c"}}
	for i := range n {
		c := i % 3
		x, y := random.NormFloat64()*float64(c+1)/3, random.NormFloat64()*float64(c+1)/3
		r.Points[0], r.Points[1] = append(r.Points[0], x+4*float64(c)), append(r.Points[1], y)
		r.Clusters, r.Distances = append(r.Clusters, int32(c)), append(r.Distances, math.Hypot(x, y))
		label := int32(c)
		if random.IntN(10) == 0 {
			label = int32(random.IntN(3))
		}
		r.Labels = append(r.Labels, label)
	}
	return r
}

// TestSilhouettesOfManyRows are those of the first ones.
func TestSilhouettesOfManyRows(t *testing.T) {
	t.Parallel()
	all := heaps(400)
	first := ClusterRows{K: 3, Clusters: all.Clusters[:150], Points: [][]float64{all.Points[0][:150], all.Points[1][:150]}}
	some, err := all.silhouettes(t.Context(), 150, 2)
	if err != nil {
		t.Fatal(err)
	}
	own, err := first.silhouettes(t.Context(), silhouetteRows, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(some) != 150 || !slices.Equal(some, own) {
		t.Errorf("silhouettes of %d rows are not those of the first 150", len(some))
	}
	report := Report{Clusters: all.byCluster(some)}
	if report.Clusters.Silhouette != 150 {
		t.Errorf("the report says %d rows", report.Clusters.Silhouette)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := JudgeClusters(ctx, all, 2, nil); err != ctx.Err() {
		t.Errorf("got %v", err)
	}
}

func TestNamesOfClusterings(t *testing.T) {
	t.Parallel()
	names := Names(Clustering)
	for name, has := range map[string]bool{"silhouette": true, "silhouette.low": true, "inertia.high": true, "adjusted_rand": true, "rows": true,
		"cv.silhouette": false, "segment.silhouette": false, "auc": false, "positives": false} {
		if slices.Contains(names, name) != has {
			t.Errorf("%s: %v", name, !has)
		}
	}
	for name, lower := range map[string]bool{"silhouette": false, "davies_bouldin": true, "inertia": true, "v_measure": false} {
		if got, ok := Ranks(name); !ok || got != lower {
			t.Errorf("%s ranks: %v, less is better: %v", name, ok, got)
		}
	}
}
