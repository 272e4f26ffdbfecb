package scoring_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"damson/internal/diag"
	"damson/internal/mltrain"
	"damson/internal/model"
	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/warehousetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { pgtest.Main(m) }

// late and journey are the models that the tests apply: of rowsSQL and of journeys.
var (
	late = pipeline.Model{
		Name: "late", Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 5, Bins: 50}},
		ID: "id", Target: "label", Segment: "trip", Weight: "seconds", Split: pipeline.Holdout{Test: 0.25, By: "person", Seed: 7},
	}
	journey = pipeline.Model{
		Name: "journey", Algorithm: pipeline.Algorithm{Logistic: &pipeline.LogisticRegression{C: 10}},
		ID: "id", Target: "mode", Split: pipeline.Holdout{Test: 0.25, Seed: 7},
	}
)

// journeys are rows to learn from in SQL that DuckDB and PostgreSQL read alike.
const journeys = `select 't' || cast(i as text) as id, case when i % 19 = 0 then null else u1 end as speed, u2 as turns, u3 > 0.4 as paved,
  case when i % 17 = 0 then null else case i % 7 when 0 then 'Bree' when 1 then 'O''Hara' when 2 then '' else 'elsewhere' end end as town, u3 as noise,
  case when u1 + u3 / 4 > 0.8 then 'Bus!' when u2 > 0.6 then 'walk' else 'it''s a car' end as mode
from (select i, cast((i * 7919 + 13) % 1009 as double precision) / 1009 as u1, cast((i * 104729 + 7) % 1013 as double precision) / 1013 as u2,
    cast((i * 1299709 + 5) % 997 as double precision) / 997 as u3
  from (select cast(n as bigint) as i from generate_series(0, 899) as s(n)) as numbers) as drawn`

// rowsSQL gives the rows that package mltrain tests with.
func rowsSQL(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../mltrain/testdata/rows.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func changed(m pipeline.Model, forest pipeline.RandomForest) pipeline.Model {
	m.Algorithm.Forest = &forest
	return m
}

// trained gives version 3.
func trained(t *testing.T, w *warehouse.Warehouse, sql string, m pipeline.Model) model.Version {
	t.Helper()
	got, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/rows.sql", sql), mltrain.Options{Warehouse: w})
	if err != nil {
		t.Fatal(err)
	}
	got.Version.Number = 3
	return got.Version
}

// toScore are rows with NULL, NaN and the infinities in every feature.
const toScore = `select 'u' || i as "ID", date '2007-04-12' + cast(i % 5 as integer) as tdate, 'it''s' as "Note", i % 2 = 0 as x2, i % 101 as x3,
  case i % 7 when 0 then null when 1 then cast('NaN' as double) when 2 then cast('Infinity' as double) when 3 then cast('-Infinity' as double) else (i * 7919 % 1000) / 1000.0 end as x0,
  case i % 11 when 0 then null when 1 then cast('NaN' as double) else (i * 104729 % 1000) / 1000.0 end as x1, (i * 31 % 17) / 17.0 as x4, cast(null as double) as x5
from range(10000) as r(i)`

var toScoreColumns = []driver.Column{
	{Name: "ID", Type: driver.Text}, {Name: "tdate", Type: driver.Date}, {Name: "Note", Type: driver.Text}, {Name: "x2", Type: driver.Boolean},
	{Name: "x3", Type: driver.Bigint}, {Name: "x0", Type: driver.Double}, {Name: "x1", Type: driver.Double}, {Name: "x4", Type: driver.Double}, {Name: "x5", Type: driver.Double},
}

var scoreTask = pipeline.Score{Model: "late", Keep: []string{"Note", "tdate"}, Target: pipeline.Target{Into: "geo.prediction", PartitionBy: "tdate"}}

// readAll gives the rows as text, by id.
func readAll(t *testing.T, r array.RecordReader) (columns []string, rows map[string]string) {
	t.Helper()
	defer r.Release()
	rows = map[string]string{}
	for _, f := range r.Schema().Fields() {
		columns = append(columns, f.Name+" "+f.Type.String())
	}
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var values []string
			for c := range int(b.NumCols()) {
				text := strings.Clone(b.Column(c).ValueStr(i)) // which may lie in the batch's memory
				if f, ok := b.Column(c).(*array.Float64); ok {
					text = fmt.Sprint(f.Value(i))
				}
				values = append(values, text)
			}
			rows[values[0]] = strings.Join(values, " | ")
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return columns, rows
}

func TestSQLAndStreamGiveTheSamePredictions(t *testing.T) {
	t.Parallel()
	v := trained(t, warehousetest.Open(t, "duckdb"), rowsSQL(t), late)
	db := warehousetest.Open(t, "duckdb")
	source := sqltext.Plain("sql/to_score.sql", toScore)
	for _, kind := range []string{"duckdb", "postgres"} {
		text, err := scoring.SQL(v, source, toScoreColumns, scoreTask, kind)
		if err != nil {
			t.Fatal(err)
		}
		scored, err := db.Query(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		columns, bySQL := readAll(t, scored)
		raw, err := db.Query(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		streamed, err := scoring.Rows(t.Context(), v, raw, scoreTask, diag.Pos{}, 2)
		if err != nil {
			t.Fatal(err)
		}
		streamColumns, byStream := readAll(t, streamed)
		if diff := cmp.Diff(columns, streamColumns); diff != "" {
			t.Error(diff)
		}
		if want := "ID utf8, Note utf8, tdate date32, probability float64, prediction int64, model utf8, model_version int64"; strings.Join(columns, ", ") != want {
			t.Errorf("columns %v", columns)
		}
		if len(bySQL) != 10_000 {
			t.Fatalf("%d rows", len(bySQL))
		}
		if diff := cmp.Diff(bySQL, byStream); diff != "" {
			t.Fatal(diff[:min(len(diff), 2000)])
		}
		if want := "u7 | it's | 2007-04-14 | 0."; !strings.HasPrefix(bySQL["u7"], want) || !strings.HasSuffix(bySQL["u7"], " | late | 3") {
			t.Errorf("row %s", bySQL["u7"])
		}
	}
}

// TestWrittenSQL keeps the SELECT's shape under review, for a forest of two small trees.
func TestWrittenSQL(t *testing.T) {
	t.Parallel()
	v := trained(t, warehousetest.Open(t, "duckdb"), rowsSQL(t), changed(late, pipeline.RandomForest{Trees: 2, MaxDepth: 2, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 5, Bins: 4}))
	for _, kind := range []string{"duckdb", "postgres"} {
		text, err := scoring.SQL(v, sqltext.Plain("sql/x.sql", "select * from geo.features"), toScoreColumns, scoreTask, kind)
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "score."+kind+".golden.sql")
		if *update {
			if err := os.WriteFile(golden, []byte(text.SQL()+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text.SQL()+"\n"); diff != "" {
			t.Error(diff)
		}
		if at := text.Pos(strings.Index(text.SQL(), "geo.features")); at.String() != "sql/x.sql:1:15" {
			t.Errorf("the source's place is lost: %s", at)
		}
	}
}

func TestWhatCannotBeScored(t *testing.T) {
	t.Parallel()
	v := trained(t, warehousetest.Open(t, "duckdb"), rowsSQL(t), late)
	without := func(names ...string) []driver.Column {
		var out []driver.Column
		for _, c := range toScoreColumns {
			if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+c.Name+" ") {
				out = append(out, c)
			}
		}
		return out
	}
	for _, c := range []struct {
		name    string
		version model.Version
		columns []driver.Column
		score   pipeline.Score
		want    []string
	}{
		{"feature missing", v, append(without("x1", "x4"), driver.Column{Name: "x_1", Type: driver.Double}), scoreTask, []string{`reads the feature "x1"`, `reads the feature "x4"`}},
		{"feature is text now", v, append(without("x1"), driver.Column{Name: "x1", Type: driver.Text, Native: "VARCHAR"}), scoreTask, []string{"Feature type changed", `"x1"`, "VARCHAR"}},
		{"id and kept column missing", v, without("ID", "Note"), scoreTask, []string{`column "id"`, `column "Note"`}},
		{"name taken", v, append(without(), driver.Column{Name: "Probability", Type: driver.Text}), pipeline.Score{Keep: []string{"Probability"}}, []string{"Column name taken"}},
		{"broken artifact", model.Version{Model: "late", Number: 2, Artifact: []byte("x")}, toScoreColumns, scoreTask, []string{"Version 2 of model \"late\"", "not a model of trees"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := scoring.SQL(c.version, sqltext.Plain("sql/x.sql", "select 1"), c.columns, c.score, "duckdb")
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in:\n%v", part, err)
				}
			}
		})
	}
}

func TestTypesChangedSinceTraining(t *testing.T) {
	t.Parallel()
	v := trained(t, warehousetest.Open(t, "duckdb"), journeys, journey)
	columns := []driver.Column{{Name: "id", Type: driver.Text}, {Name: "speed", Type: driver.Text, Native: "VARCHAR"}, {Name: "turns", Type: driver.Double},
		{Name: "paved", Type: driver.Boolean}, {Name: "town", Type: driver.Bigint, Native: "BIGINT"}, {Name: "noise", Type: driver.Date, Native: "DATE"}}
	_, err := scoring.SQL(v, sqltext.Plain("sql/x.sql", "select 1"), columns, pipeline.Score{}, "duckdb")
	for _, want := range []string{`the number "speed"; in the rows to be scored it is VARCHAR`, `the text "town"; in the rows to be scored it is BIGINT`, `"noise"`, "Make it a text again"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestLargeForestsAreStreamed(t *testing.T) {
	t.Parallel()
	small := trained(t, warehousetest.Open(t, "duckdb"), rowsSQL(t), late)
	large := trained(t, warehousetest.Open(t, "duckdb"), rowsSQL(t), changed(late, pipeline.RandomForest{Trees: 60, MaxDepth: 20, FeaturesPerSplit: 2, MinSplit: 2, MinLeaf: 1, Bins: 50}))
	for want, v := range map[bool]model.Version{true: small, false: large} {
		if got, err := scoring.InSQL(v); err != nil || got != want {
			t.Errorf("InSQL is %v, %v", got, err)
		}
	}
	if _, err := scoring.SQL(large, sqltext.Plain("", toScore), toScoreColumns, scoreTask, "duckdb"); err == nil || !strings.Contains(err.Error(), "too large for SQL") {
		t.Errorf("got %v", err)
	}
	if f, _ := tree.Decode(large.Artifact); f.Nodes() <= tree.MaxSQLNodes {
		t.Errorf("%d nodes are not large", f.Nodes())
	}
}
