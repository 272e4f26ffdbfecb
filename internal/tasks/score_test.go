package tasks_test

import (
	"strings"
	"testing"

	"damson/internal/engine"
	"damson/internal/tree"
)

// noisy is a project whose model learns noise by heart, so that its forest is too large to be SQL.
func noisy(t *testing.T) *shop {
	s := open(t, map[string]string{"pipelines/p.star": `
m = model(name = "m", algorithm = random_forest(trees = 15, max_depth = 20, features_per_split = 2, min_leaf = 1, min_split = 2, bins = 64),
    id = "id", target = "label", exclude = ["tdate", "note", "late"], split = holdout(test = 0.2, by = "id", seed = 7))
train = pipeline(name = "train")
train.train("train", model = m, source = "geo.features")
p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12")
p.score("predict", model = m, source = "day", into = "geo.prediction", keep = ["note", "late"], partition_by = "tdate", batch = True)
`,
		"sql/day.sql": `SELECT * FROM geo.features WHERE tdate >= date '{{ data_interval_start | ds }}' AND tdate < date '{{ data_interval_end | ds }}'`,
	})
	s.exec(`CREATE SCHEMA geo;
		CREATE TABLE geo.features AS SELECT 'w' || i AS id, DATE '2007-04-12' + CAST(i % 3 AS integer) AS tdate, i * i * 7919 % 1009 % 2 AS label,
			'it''s' AS note, TIME '10:30:00' AS late,
			CASE WHEN i % 7 = 0 THEN NULL WHEN i % 11 = 0 THEN CAST('NaN' AS double) ELSE (i * 104729 % 997) / 997.0 END AS x0,
			(i * 31 % 1013) / 1013.0 AS x1, CASE WHEN i % 5 > 0 THEN i % 2 = 0 END AS x2
		FROM range(2000) AS r(i)`)
	s.run("train", engine.Plan{Intervals: localDays(t, "UTC", "2007-04-15", 1)})
	return s
}

// TestLargeModelScoresAsItsSQLWould: rows that stream through Go come out as the forest's own SQL has them, in the days that
// were asked for, with the types of the source.
func TestLargeModelScoresAsItsSQLWould(t *testing.T) {
	t.Parallel()
	s := noisy(t)
	v, err := s.of.Registry.Champion(t.Context(), "m")
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	f, err := tree.Decode(v.Artifact)
	if err != nil || f.SQLNodes() <= tree.MaxSQLNodes {
		t.Fatalf("%d nodes are not too many for SQL, %v", f.Nodes(), err)
	}
	s.run("p", engine.Plan{Intervals: localDays(t, "UTC", "2007-04-12", 2)})
	s.run("p", engine.Plan{Intervals: localDays(t, "UTC", "2007-04-12", 3), Rerun: engine.RerunAll, Batch: 3})
	s.exec(`DELETE FROM geo.prediction WHERE tdate = DATE '2007-04-13'`)
	results := s.run("p", engine.Plan{Intervals: localDays(t, "UTC", "2007-04-13", 1), Rerun: engine.RerunAll})
	if want := `{"rows":667,"model":"m","version":1}`; results["p@2007-04-13 predict"] != want {
		t.Errorf("it reports %s, want %s", results["p@2007-04-13 predict"], want)
	}
	names := make([]string, len(v.Features))
	ready := make([]string, len(v.Features))
	for i, name := range v.Features {
		names[i] = "f" + name
		ready[i] = tree.SQLValue(name) + " AS f" + name
		if name == "x2" {
			ready[i] = "CAST(CAST(x2 AS integer) AS double) AS fx2"
		}
	}
	s.exec(`CREATE TABLE geo.expected AS SELECT id, note, late, tdate, p AS probability, CAST(CASE WHEN p >= 0.5 THEN 1 ELSE 0 END AS bigint) AS prediction,
		'm' AS model, CAST(1 AS bigint) AS model_version FROM (SELECT *, ` + f.SQL(names, "s").Outputs[0] + ` AS p FROM (SELECT *, ` + strings.Join(ready, ", ") + ` FROM geo.features))`)
	n, want, err := s.of.Warehouse.Checksum(t.Context(), "geo.expected")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.table(`SELECT count(DISTINCT probability) > 50 FROM geo.expected`); got != "true" {
		t.Error("the predictions hardly differ: this test shows nothing")
	}
	if rows, sum, err := s.of.Warehouse.Checksum(t.Context(), "geo.prediction"); err != nil || rows != n || sum != want {
		t.Errorf("%d predictions, %v; of %d rows these differ from the SQL's: %s", rows, err, n,
			s.table(`SELECT * FROM (FROM geo.prediction EXCEPT FROM geo.expected) LIMIT 5`))
	}
	if got := s.table(`SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'staged%'`); got != "0" {
		t.Errorf("%s tables that were only on the way stayed", got)
	}
}
