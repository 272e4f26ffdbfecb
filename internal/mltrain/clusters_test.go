package mltrain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"damson/internal/metric"
	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/warehousetest"
)

// clustered is a clustering of trips by their numbers.
func clustered(change ...func(*pipeline.Model)) pipeline.Model {
	m := pipeline.Model{Name: "trip", ID: "id", Exclude: slices.Concat(targets, []string{"town"}), Split: pipeline.Holdout{Test: 0.25, By: "person", Seed: 7}, Approval: "none",
		Algorithm: pipeline.Algorithm{KMeans: &pipeline.KMeans{K: 4, Init: "k-means++", Inits: 3, MaxIterations: 300, Tolerance: 1e-4, Standardise: true}}}
	m.At.File = "pipelines/trip.star"
	for _, f := range change {
		f(&m)
	}
	return m
}

// comparedWith names a target.
func comparedWith(target string) func(*pipeline.Model) {
	return func(m *pipeline.Model) {
		m.Target = target
		m.Exclude = slices.DeleteFunc(slices.Clone(m.Exclude), func(name string) bool { return name == target })
	}
}

func searchForK(m *pipeline.Model) {
	m.Search = &pipeline.Search{Method: pipeline.GridSearch, Folds: 3, Seed: 3, Metric: "silhouette", Space: []pipeline.Dimension{{Parameter: "k", Range: &pipeline.Range{Low: 2, High: 4, Whole: true}}}}
}

// TestClustersAreTheSameEverywhere trains on DuckDB and PostgreSQL, in other orders and with other numbers of threads, and scores 10,000 rows
// in SQL and in Go.
func TestClustersAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	const moreTrips = "select t.*, nullif(mode, 'boat') as seen, case when noise > 0.5 then speed end as often from (" + trips + ") as t"
	for name, change := range map[string][]func(*pipeline.Model){
		"without a target":        nil,
		"with texts and NULL":     {comparedWith("seen")},
		"with numbers":            {comparedWith("code"), func(m *pipeline.Model) { m.KMeans.Standardise, m.KMeans.Init = false, "random" }},
		"searched for its k":      {searchForK},
		"searched with a target":  {searchForK, comparedWith("seen"), func(m *pipeline.Model) { m.Search.Metric = "adjusted_rand" }},
		"of a feature with holes": {func(m *pipeline.Model) { m.Exclude = append(m.Exclude, "speed", "turns", "paved") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := clustered(append([]func(*pipeline.Model){func(m *pipeline.Model) { m.Exclude = append(m.Exclude, "seen", "often") }}, change...)...)
			if name == "of a feature with holes" {
				m.Exclude = slices.DeleteFunc(m.Exclude, func(column string) bool { return column == "often" })
			}
			var want *mltrain.Trained
			for _, how := range []struct {
				kind, order string
				threads     int
			}{{"duckdb", "id", 1}, {"duckdb", "id desc", 3}, {"postgres", "noise, id", 2}} {
				got, err := mltrain.Train(t.Context(), warehouses[how.kind], m, sqltext.Plain("sql/trips.sql", "select * from ("+moreTrips+") as t order by "+how.order), mltrain.Options{Threads: how.threads})
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = got
				}
				checkSame(t, want.Version, got.Version, fmt.Sprint(how))
			}
			v := numbered(want.Version)
			if v.Kind != "clustering" || v.Algorithm != "k_means" || len(v.Classes) > 0 || len(v.HeldOut) > 0 {
				t.Errorf("a %s version by %s with classes %v", v.Kind, v.Algorithm, v.Classes)
			}
			checkClustering(t, m, want.Report)
			if m.Search == nil && name != "of a feature with holes" {
				for kind, w := range warehouses {
					compareScores(t, v, kind, w, "cluster int64, distance float64")
				}
			}
		})
	}
}

// checkClustering looks for what a report of clusters must have.
func checkClustering(t *testing.T, m pipeline.Model, r metric.Report) {
	t.Helper()
	names := []string{"silhouette", "silhouette.low", "calinski_harabasz", "davies_bouldin", "inertia", "inertia.high"}
	if m.Target != "" {
		names = append(names, metric.NeedTarget...)
	}
	for _, name := range names {
		if _, ok := r.Value(name); !ok {
			t.Errorf("no %s", name)
		}
	}
	if _, ok := r.Value("v_measure"); ok != (m.Target != "") {
		t.Errorf("v_measure is known: %v", ok)
	}
	training, held, labelled := int64(0), int64(0), r.Clusters.Unlabelled
	for k, c := range r.Clusters.Clusters {
		training, held = training+c.Training, held+c.Rows
		if k > 0 && c.Training > r.Clusters.Clusters[k-1].Training || len(c.Centre) != len(r.Clusters.Features) {
			t.Errorf("cluster %d: %+v", k, c)
		}
	}
	for _, line := range r.Clusters.Table {
		for _, n := range line {
			labelled += n
		}
	}
	if training != r.Training.Rows || held != r.Rows || training+held != 900 || m.Target != "" && labelled != held {
		t.Errorf("%d rows in training, %d held out, %d of these with a label or known to have none", training, held, labelled)
	}
	if m.Target == "seen" && r.Clusters.Unlabelled == 0 {
		t.Error("all rows have a label")
	}
	moved := 0.0
	for _, i := range r.Importance {
		moved += i.Permutation
	}
	if !(moved > 0.1) || len(r.Dependence) > 0 {
		t.Errorf("importance %+v, dependence %+v", r.Importance, r.Dependence)
	}
}

// TestClustersFindHeaps: rows in three heaps that their text names.
func TestClustersFindHeaps(t *testing.T) {
	t.Parallel()
	const rows = `select 'r' || i as id, case i % 3 when 0 then 'a' when 1 then 'b' else 'c' end as heap, (i % 3) * 5 + (i * 7919 % 1009) / 1009.0 as x, (i % 3) * 300 + (i * 104729 % 1013) / 20.0 as y,
  case when i % 50 = 1 then cast('Infinity' as double) when i % 50 = 2 then null else 7 end as fixed, cast(null as double) as empty from range(300) as t(i)`
	got, err := trainTrips(t, rows, clustered(func(m *pipeline.Model) {
		m.Target, m.Exclude, m.Split.By, m.KMeans.K = "heap", nil, "", 3
	}))
	if err != nil {
		t.Fatal(err)
	}
	if r := got.Report.Metrics; r["adjusted_rand"] != 1 || r["v_measure"] < 1-1e-9 || r["silhouette"] < 0.8 {
		t.Errorf("metrics %v", r)
	}
	for _, c := range got.Report.Clusters.Clusters {
		heap := int(c.Centre[slices.Index(got.Report.Clusters.Features, "x")]) / 5
		if y := c.Centre[slices.Index(got.Report.Clusters.Features, "y")]; y < float64(300*heap) || y > float64(300*heap)+51 {
			t.Errorf("cluster %+v lies in no heap", c)
		}
	}
	said := ""
	for _, w := range got.Warnings {
		said += w.Summary + ": " + w.Detail + "\n"
	}
	for _, want := range []string{`"fixed" is infinite in`, `Feature without values: Column "empty"`} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said in\n%s", want, said)
		}
	}
	for _, never := range []string{"predicts the target alone", "The same rows on both sides"} {
		if strings.Contains(said, never) {
			t.Errorf("%q is said of clusters:\n%s", never, said)
		}
	}
}

// TestTwinsAreNoLeak: rows that stand on both sides of the split say nothing of clusters, which learn no row by heart.
func TestTwinsAreNoLeak(t *testing.T) {
	t.Parallel()
	got, err := trainTrips(t, "select i as id, i // 2 as x, i // 2 * 7 % 50 as y, 'kind ' || i % 5 as kind from range(300) as t(i)", clustered(func(m *pipeline.Model) {
		m.Target, m.Exclude, m.Split.By, m.KMeans.K = "kind", nil, "", 3
	}))
	if err != nil || len(got.Warnings) > 0 {
		t.Errorf("%v, and warnings %v", err, got.Warnings)
	}
}

func TestWhatCannotBeClustered(t *testing.T) {
	t.Parallel()
	const rows = "select i as id, i % 4 as x, i % 2 as y, i / 7.0 as part, 'x' || i as word from range(200) as t(i)"
	whole := func(m *pipeline.Model) { m.Exclude, m.Split.By = []string{"part", "word"}, "" }
	for _, c := range []struct {
		name, sql string
		change    func(*pipeline.Model)
		want      string
	}{
		{"too many clusters", rows, func(m *pipeline.Model) { m.KMeans.K = 5 }, "have 4 different places, and k is 5"},
		{"no rows", rows + " where i < 0", nil, "gives no rows"},
		{"an id twice", rows, func(m *pipeline.Model) { m.ID, m.Exclude = "x", []string{"id", "part", "word"} }, "Id is not unique"},
		{"all alike", "select i as id, 3 as x, cast(null as double) as y from range(50) as t(i)", func(m *pipeline.Model) { m.Exclude = nil }, "none of the 2 columns varies"},
		{"a text", rows, func(m *pipeline.Model) { m.Exclude = []string{"part"} }, `Column "word" in the source of model "trip" is utf8; k_means reads numbers and booleans.`},
		{"fractions to compare with", rows, func(m *pipeline.Model) { m.Target, m.Exclude = "part", []string{"word"} }, "clusters are compared with whole numbers, booleans or texts"},
		{"many labels", rows, func(m *pipeline.Model) { m.Target, m.Exclude = "word", []string{"part"} }, "more than 100 different values; clusters are compared"},
		{"folds", rows, folds, "clusters would have other numbers in every fold"},
		{"in the database", rows, func(m *pipeline.Model) { m.DataStays = true }, "Can not be trained in the database"},
		{"out of range", rows, func(m *pipeline.Model) { m.KMeans.K = 1 }, "k is 1, and must be from 2"},
		{"a trial out of range", rows, func(m *pipeline.Model) { searchForK(m); m.Search.Space[0].Range.High = 1001 }, "k is 1001"},
		{"a trial with too many clusters", rows, func(m *pipeline.Model) { searchForK(m); m.Search.Space[0].Range.High = 9 }, "and k is 5"},
		{"an id of no row", "select nullif(i, 3) as id, i % 4 as x from range(50) as t(i)", func(m *pipeline.Model) { m.Exclude = nil }, "is NULL in a row."},
		{"huge", "select i as id, 1e200 * i as x from range(50) as t(i)", func(m *pipeline.Model) { m.Exclude = nil }, `"x" holds values beyond`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := clustered(whole)
			if c.change != nil {
				c.change(&m)
			}
			_, err := trainTrips(t, c.sql, m)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q is not in:\n%v", c.want, err)
			}
		})
	}
}
