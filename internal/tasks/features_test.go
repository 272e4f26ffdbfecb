package tasks_test

import (
	"strings"
	"testing"

	"damson/internal/engine"
	"damson/internal/pgtest"
	"damson/internal/warehouse/warehousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// seriesProject computes a few features of windows by a features task, and by GROUP BY.
var seriesProject = map[string]string{
	"pipelines/p.star": `
p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12")
both = ["minimal", {"p90": "quantile__q_0.9"}]
p.features("windows", source = "day", id = ["uid", "w"], sort = "at", values = ["speed", "n"], calculators = both + ["mean_change", "c3__lag_1"],
    keep = ["mode"], into = "geo.windows", partition_by = "tdate", batch = True)
p.sql("grouped", into = "geo.grouped", partition_by = "tdate", batch = True)
`,
	"sql/day.sql": `SELECT * FROM geo.points WHERE tdate >= date '{{ data_interval_start | ds }}' AND tdate < date '{{ data_interval_end | ds }}';`,
	"sql/grouped.sql": `SELECT uid, w, tdate, {{ features.columns(["speed", "n"], ["minimal", {"p90": "quantile__q_0.9"}]) }}
FROM geo.points WHERE tdate >= date '{{ data_interval_start | ds }}' AND tdate < date '{{ data_interval_end | ds }}'
GROUP BY uid, w, tdate`,
}

const seriesPoints = `CREATE SCHEMA geo;
CREATE TABLE geo.points AS SELECT 'u' || (i % 3) AS uid, CAST(floor(i / 40.0) AS integer) AS w, DATE '2007-04-12' + CAST(floor(i / 400.0) AS integer) AS tdate,
	TIMESTAMP '2007-04-12 00:00:00' + i * INTERVAL '10 seconds' AS at, CASE WHEN i % 2 = 0 THEN 'walk' ELSE 'bus' END AS mode,
	CASE WHEN i % 7 = 0 THEN NULL WHEN i % 11 = 0 THEN CAST('NaN' AS double precision) WHEN i % 13 = 0 THEN CAST('Infinity' AS double precision)
		ELSE (i * 7919 % 1000) / CAST(100 AS double precision) END AS speed, i % 5 AS n
FROM (SELECT CAST(k AS integer) AS i FROM generate_series(0, 1199) AS g(k)) AS s`

// onPostgres puts a fresh PostgreSQL database in the place of the shop's warehouse.
func onPostgres(s *shop) *shop {
	s.Helper()
	s.of.Warehouse = warehousetest.Open(s, "postgres")
	return s.newStore()
}

// eachWarehouse runs the test on a project in each kind of warehouse.
func eachWarehouse(t *testing.T, files map[string]string, test func(s *shop)) {
	t.Parallel()
	fresh := func() map[string]string {
		all := map[string]string{}
		for name, text := range files {
			all[name] = text
		}
		return all
	}
	t.Run("duckdb", func(t *testing.T) { t.Parallel(); test(open(t, fresh())) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(onPostgres(open(t, fresh()))) })
}

// TestFeaturesBothWaysAgree: the task's rows are those of GROUP BY, for days one by one and together, and again.
func TestFeaturesBothWaysAgree(t *testing.T) {
	eachWarehouse(t, seriesProject, func(s *shop) {
		s.exec(seriesPoints)
		s.run("p", engine.Plan{Intervals: localDays(s.T, "UTC", "2007-04-12", 2)})
		s.run("p", engine.Plan{Intervals: localDays(s.T, "UTC", "2007-04-12", 3), Rerun: engine.RerunAll, Batch: 3})
		results := s.run("p", engine.Plan{Intervals: localDays(s.T, "UTC", "2007-04-13", 1), Rerun: engine.RerunAll})
		if want := `{"rows":30,"replaced":30}`; results["p@2007-04-13 windows"] != want {
			s.Errorf("it reports %s, want %s", results["p@2007-04-13 windows"], want)
		}
		var names []string
		for _, v := range []string{"speed", "n"} {
			for _, f := range []string{"sum_values", "median", "mean", "length", "standard_deviation", "variance", "root_mean_square", "maximum", "absolute_maximum", "minimum", "p90"} {
				names = append(names, v+"__"+f)
			}
		}
		differ := make([]string, len(names))
		for i, n := range names {
			differ[i] = "coalesce(abs(a." + n + " - b." + n + ") > 1e-9 * (1 + abs(a." + n + ")), a." + n + " IS NOT NULL OR b." + n + " IS NOT NULL)"
		}
		got := s.table(`SELECT count(*), count(b.uid), sum(CASE WHEN ` + strings.Join(differ, " OR ") + ` THEN 1 ELSE 0 END), count(DISTINCT a.mode),
			sum(CASE WHEN a.speed__mean_change IS NULL THEN 1 ELSE 0 END), sum(CASE WHEN a.n__c3__lag_1 > 0 THEN 1 ELSE 0 END)
			FROM geo.windows a LEFT JOIN geo.grouped b ON a.uid = b.uid AND a.w = b.w AND a.tdate = b.tdate`)
		if want := "90 90 0 2 0 90"; got != want {
			s.Errorf("got %s, want %s", got, want)
		}
		if got := s.table(`SELECT mode FROM geo.windows WHERE uid = 'u1' AND w = 0`); got != "bus" {
			s.Errorf("the first row of the series is %s", got)
		}
	})
}

// TestFeaturesDoNotDependOnTheOrderOfRows: not even where rows share their place in the series.
func TestFeaturesDoNotDependOnTheOrderOfRows(t *testing.T) {
	eachWarehouse(t, map[string]string{"pipelines/p.star": `
cs = ["minimal", "c3__lag_1", "skewness", "kurtosis", "mean_change", "lempel_ziv_complexity__bins_3", "linear_trend__attr_slope", "autocorrelation__lag_2",
    "fft_coefficient__attr_abs__coeff_3", "spkt_welch_density__coeff_2", "permutation_entropy__dimension_3__tau_1", "ar_coefficient__coeff_1__k_2"]
p = pipeline(name = "p")
p.features("f", source = "geo.points", id = "uid", sort = "w", values = ["speed", "n"], calculators = cs, keep = ["mode"], into = "geo.f")
p.features("g", source = "geo.shuffled", id = "uid", sort = "w", values = ["speed", "n"], calculators = cs, keep = ["mode"], into = "geo.g")
`}, func(s *shop) {
		s.exec(seriesPoints)
		s.exec(`CREATE TABLE geo.shuffled AS SELECT * FROM geo.points ORDER BY md5(CAST("at" AS text))`)
		s.run("p", engine.Plan{Intervals: localDays(s.T, "UTC", "2007-04-12", 1)})
		_, want, err := s.of.Warehouse.Checksum(s.Context(), "geo.f")
		if err != nil {
			s.Fatal(err)
		}
		if n, sum, err := s.of.Warehouse.Checksum(s.Context(), "geo.g"); err != nil || n != 3 || sum != want {
			s.Errorf("%d rows, %v; they differ from those in the other order", n, err)
		}
	})
}

// TestFeaturesFail as findings at the source, with nothing written.
func TestFeaturesFail(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, task, want string }{
		{"missing", `id = "uid", sort = "at", values = "spead"`, `Did you mean "speed"?`},
		{"no number", `id = "uid", sort = "at", values = "mode"`, `names the column "mode"`},
		{"no place", `id = "w", sort = "speed", values = "n"`, "is NULL in a row of the series w = "},
		{"partition", `id = "w", sort = "at", values = "n", partition_by = "tdate"`, "outside"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, map[string]string{"pipelines/p.star": `
p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12")
p.features("f", source = "all", ` + test.task + `, into = "geo.f")`, "sql/all.sql": "SELECT * FROM geo.points"})
			s.exec(seriesPoints)
			p := s.of.Project.Pipelines[0]
			w, _ := work(p.Tasks[0])
			_, err := s.execute(w)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "sql/all.sql:1") {
				t.Errorf("got %v, want %s at sql/all.sql:1", err, test.want)
			}
			if got := s.table(`SELECT count(*) FROM information_schema.tables WHERE table_name = 'f' OR table_name LIKE 'staged%'`); got != "0" {
				t.Errorf("%s tables were left", got)
			}
		})
	}
}

// TestFeaturesPreview shows the SELECT and the columns.
func TestFeaturesPreview(t *testing.T) {
	t.Parallel()
	s := openKinds(t, seriesProject)
	p, err := s.of.Project.Pipeline("p")
	if err != nil {
		t.Fatal(err)
	}
	w, _ := work(p.Task("windows"))
	got, err := s.of.Preview(t.Context(), p, p.Task("windows"), w.Runs[0])
	for _, want := range []string{"replacing the rows of geo.windows with tdate in [2007-04-12 00:00, 2007-04-13 00:00)", "a series for each uid, w, ordered by at",
		"uid, w, mode, tdate\n", "--   n__p90\n", "--   speed__c3__lag_1\n", "WHERE tdate >= date '2007-04-12'"} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%v: the preview lacks %q:\n%s", err, want, got)
		}
	}
}
