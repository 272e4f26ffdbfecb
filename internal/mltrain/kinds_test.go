package mltrain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"damson/internal/heldout"
	"damson/internal/metric"
	"damson/internal/mltrain"
	"damson/internal/model"
	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/warehousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// trips are rows to learn from in SQL that DuckDB and PostgreSQL read alike: numbers with holes, a text with a hole, an
// apostrophe and an empty value, a boolean; and targets of every kind.
const trips = `select 't' || cast(i as text) as id, 'person ' || cast(i % 40 as text) as person, date '2024-01-01' + cast(i / 30 as integer) as day,
  case when i % 19 = 0 then null when i % 23 = 0 then cast('NaN' as double precision) else u1 end as speed, u2 as turns, u3 > 0.4 as paved,
  case when i % 17 = 0 then null else town end as town, u4 as noise,
  case when u1 + u5 / 3 + case when town = 'O''Hara' then 0.4 else 0.0 end > 0.75 then 1 else 0 end as late,
  case when u1 + u5 / 3 > 0.75 then 'yes' else 'no' end as answer,
  case when u1 + u5 / 4 > 0.8 then 'Bus!' when u2 + u5 / 4 > 0.6 then 'walk' when town = 'Bree' then 'boat' else 'it''s a car' end as mode,
  case when u1 > 0.6 then 30 when u2 > 0.5 then -1 else 7 end as code,
  10 * u1 - 3 * u2 + case when town = 'Bree' then 2 else 0 end + u5 as minutes
from (select i, cast((i * 7919 + 13) % 1009 as double precision) / 1009 as u1, cast((i * 104729 + 7) % 1013 as double precision) / 1013 as u2,
    cast((i * 1299709 + 5) % 997 as double precision) / 997 as u3, cast((i * 15485863 + 3) % 991 as double precision) / 991 as u4,
    cast((i * 32452843 + 11) % 983 as double precision) / 983 as u5,
    case i % 7 when 0 then 'Bree' when 1 then 'O''Hara' when 2 then '' when 3 then 'Łódź' else 'elsewhere' end as town
  from (select cast(n as bigint) as i from generate_series(0, 899) as s(n)) as numbers) as drawn`

// unknown are rows to be scored: as above, with the infinities and towns that training did not see.
const unknown = `select 'u' || cast(i as text) as id, 'x' as "Note",
  case i % 7 when 0 then null when 1 then cast('NaN' as double precision) when 2 then cast('Infinity' as double precision)
    when 3 then cast('-Infinity' as double precision) else cast((i * 7919 + 13) % 1009 as double precision) / 1009 end as speed,
  case when i % 11 = 0 then null else cast((i * 104729 + 7) % 1013 as double precision) / 500 end as turns,
  case when i % 13 = 0 then null else i % 2 = 0 end as paved,
  case i % 9 when 0 then null when 1 then 'Atlantis' when 2 then 'Bree' when 3 then 'O''Hara' when 4 then '' when 5 then 'Łódź' else 'elsewhere' end as town,
  cast(i % 5 as bigint) as noise
from (select cast(n as bigint) as i from generate_series(0, 9999) as s(n)) as numbers`

// boosting stops early.
var boosting = pipeline.GradientBoosting{Rounds: 60, LearningRate: 0.2, MaxLeaves: 8, MaxDepth: 8, MinLeaf: 10, MinHessian: 0.001, Bins: 60,
	RowShare: 0.8, FeatureShare: 0.9, EarlyStopping: 5, SetAside: 0.2}

// kindsOf are models of every kind.
var kindsOf = map[string]struct {
	target    string
	algorithm pipeline.Algorithm
	exclude   []string // besides the targets
	kind      metric.Kind
	columns   string // that scoring adds
}{
	"forest of 0 and 1": {"late", pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 10, MaxDepth: 5, MinSplit: 2, MinLeaf: 5, Bins: 30}}, []string{"town"},
		metric.Binary, "probability float64, prediction int64"},
	"forest of two texts": {"answer", pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 10, MaxDepth: 5, MinSplit: 2, MinLeaf: 5, Bins: 30}}, []string{"town"},
		metric.Binary, "probability float64, prediction utf8"},
	"logistic of 0 and 1": {"late", pipeline.Algorithm{Logistic: &pipeline.LogisticRegression{C: 1, ClassWeight: &pipeline.ClassWeight{Balanced: true}}}, nil,
		metric.Binary, "probability float64, prediction int64"},
	"logistic of four texts": {"mode", pipeline.Algorithm{Logistic: &pipeline.LogisticRegression{C: 10, L1Ratio: 0.5, Fit: pipeline.Fit{MissingIndicators: true}}}, nil,
		metric.Multiclass, "probability float64, prediction utf8, probability_bus_ float64, probability_boat float64, probability_it_s_a_car float64, probability_walk float64"},
	"logistic of three numbers": {"code", pipeline.Algorithm{Logistic: &pipeline.LogisticRegression{C: 1, ClassWeight: &pipeline.ClassWeight{Weights: map[string]float64{"-1": 3}}}}, nil,
		metric.Multiclass, "probability float64, prediction int64, probability__1 float64, probability_7 float64, probability_30 float64"},
	"forest of four texts": {"mode", pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 8, MaxDepth: 5, MinSplit: 2, MinLeaf: 5, Bins: 30, ClassWeight: &pipeline.ClassWeight{Balanced: true}}}, nil,
		metric.Multiclass, "probability float64, prediction utf8, probability_bus_ float64, probability_boat float64, probability_it_s_a_car float64, probability_walk float64"},
	"forest of numbers": {"minutes", pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 8, MaxDepth: 6, MinSplit: 2, MinLeaf: 5, Bins: 30}}, nil, metric.Regression, "prediction float64"},
	"tree of 0 and 1": {"late", pipeline.Algorithm{Tree: &pipeline.DecisionTree{MaxDepth: 6, MinSplit: 2, MinLeaf: 5, Bins: 60, Alpha: 0.0005}}, nil,
		metric.Binary, "probability float64, prediction int64"},
	"boosting of 0 and 1": {"late", pipeline.Algorithm{Boosting: &boosting}, nil, metric.Binary, "probability float64, prediction int64"},
	"boosting of four texts": {"mode", pipeline.Algorithm{Boosting: &boosting}, nil,
		metric.Multiclass, "probability float64, prediction utf8, probability_bus_ float64, probability_boat float64, probability_it_s_a_car float64, probability_walk float64"},
	"boosting of numbers": {"minutes", pipeline.Algorithm{Boosting: &boosting}, nil, metric.Regression, "prediction float64"},
	"linear":              {"minutes", pipeline.Algorithm{Linear: &pipeline.LinearRegression{Alpha: 0.001, L1Ratio: 0.2}}, nil, metric.Regression, "prediction float64"},
}

// searches are those of some of them.
var searches = map[string][]pipeline.Dimension{
	"boosting of 0 and 1":  {{Parameter: "learning_rate", Range: &pipeline.Range{Low: 0.01, High: 0.5, Log: true}}, {Parameter: "max_leaves", Range: &pipeline.Range{Low: 2, High: 16, Whole: true}}},
	"forest of four texts": {{Parameter: "max_depth", Range: &pipeline.Range{Low: 2, High: 7, Whole: true}}, {Parameter: "class_weight", Choices: []json.RawMessage{json.RawMessage("null"), json.RawMessage(`{"balanced":true}`)}}},
	"linear":               {{Parameter: "alpha", Range: &pipeline.Range{Low: 0.0001, High: 1, Log: true}}},
}

var targets = []string{"late", "answer", "mode", "code", "minutes", "day"}

func declaredKind(name string) pipeline.Model {
	k := kindsOf[name]
	m := pipeline.Model{Name: "trip", Algorithm: k.algorithm, ID: "id", Target: k.target, Exclude: append([]string{}, k.exclude...),
		Split: pipeline.Holdout{Test: 0.25, By: "person", Seed: 7}, Threshold: 0.5, Approval: "none"}
	m.At.File = "pipelines/trip.star"
	if space := searches[name]; space != nil {
		m.Search = &pipeline.Search{Method: pipeline.RandomSearch, Trials: 3, Seed: 3, Folds: 3, Space: space}
	}
	for _, other := range targets {
		if other != k.target {
			m.Exclude = append(m.Exclude, other)
		}
	}
	return m
}

// TestEveryKindIsTheSameEverywhere trains every kind on DuckDB and PostgreSQL, in other orders and with other numbers of
// threads, and scores 10,000 rows in SQL and in Go.
func TestEveryKindIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	for name, k := range kindsOf {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want *mltrain.Trained
			for _, how := range []struct {
				kind, order string
				threads     int
			}{{"duckdb", "id", 1}, {"duckdb", "id desc", 3}, {"postgres", "noise, id", 2}} {
				m := declaredKind(name)
				folds(&m)
				got, err := mltrain.Train(t.Context(), warehouses[how.kind], m, sqltext.Plain("sql/trips.sql", "select * from ("+trips+") as t order by "+how.order), mltrain.Options{Threads: how.threads})
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = got
				}
				checkSame(t, want.Version, got.Version, fmt.Sprint(how))
			}
			v := numbered(want.Version)
			if v.Kind != string(k.kind) || string(want.Report.Kind) != v.Kind {
				t.Errorf("the kind is %s, its report's %s", v.Kind, want.Report.Kind)
			}
			checkReport(t, want.Report)
			checkHeldOut(t, *want)
			for kind, w := range warehouses {
				compareScores(t, v, kind, w, k.columns)
			}
		})
	}
}

func checkSame(t *testing.T, want, got model.Version, how string) {
	t.Helper()
	want.SQL, got.SQL = "", "" // which has the order in it
	if !bytes.Equal(want.Artifact, got.Artifact) {
		t.Errorf("%s gives another artifact", how)
	}
	if !bytes.Equal(want.HeldOut, got.HeldOut) {
		t.Errorf("%s gives other predictions of held-out rows", how)
	}
	if diff := cmp.Diff(parsed(t, want), parsed(t, got)); diff != "" {
		t.Errorf("%s gives another version:\n%s", how, diff)
	}
}

func parsed(t *testing.T, v model.Version) (out any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkHeldOut judges the kept predictions again.
func checkHeldOut(t *testing.T, of mltrain.Trained) {
	t.Helper()
	kept, err := heldout.Decode(of.Version.HeldOut)
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(kept.Keys)); n != of.Report.Rows || kept.All != n || kept.Kind != of.Report.Kind {
		t.Errorf("%d of %d held-out rows are kept, of a %s model", n, of.Report.Rows, kept.Kind)
	}
	c, err := heldout.Compare(t.Context(), kept, kept, of.Report.Threshold, of.Report.Threshold)
	if err != nil {
		t.Fatal(err)
	}
	if c.Groups != of.Report.Intervals.Groups || len(c.Metrics) < 4 {
		t.Errorf("%+v", c)
	}
	for _, m := range c.Metrics {
		if reported, _ := of.Report.Value(m.Metric); m.A != reported || m.B != reported || m.Low != 0 || m.High != 0 {
			t.Errorf("the report has %v: %+v", reported, m)
		}
	}
}

// compareScores scores the unknown rows both ways. Numbers agree within 1e-12; a class may differ where two are as likely.
func compareScores(t *testing.T, v model.Version, kind string, w *warehouse.Warehouse, added string) {
	t.Helper()
	source := sqltext.Plain("sql/unknown.sql", unknown)
	task := pipeline.Score{Model: "trip", Keep: []string{"Note"}}
	columns, err := w.Describe(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	text, err := scoring.SQL(v, source, columns, task, kind)
	if err != nil {
		t.Fatal(err)
	}
	scored, err := w.Query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	head, bySQL := valuesByID(t, scored)
	raw, err := w.Query(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	streamed, err := scoring.Rows(t.Context(), v, raw, task, source.Pos(0), 2)
	if err != nil {
		t.Fatal(err)
	}
	streamHead, byStream := valuesByID(t, streamed)
	want := "id utf8, Note utf8, " + added + ", model utf8, model_version int64"
	if head != want || streamHead != want {
		t.Errorf("%s: columns\n%s\n%s\nwant\n%s", kind, head, streamHead, want)
	}
	if len(bySQL) != 10_000 || len(byStream) != 10_000 {
		t.Fatalf("%s: %d and %d rows", kind, len(bySQL), len(byStream))
	}
	for id, a := range bySQL {
		b := byStream[id]
		for c := range a {
			x, isNumber := a[c].(float64)
			y, too := b[c].(float64)
			close := isNumber && too && math.Abs(x-y) <= 1e-12*max(1, math.Abs(y))
			if !close && (isNumber || a[c] != b[c] && !undecided(b)) {
				t.Fatalf("%s: row %s has %v in SQL and %v in Go", kind, id, a, b)
			}
		}
	}
}

// undecided reports whether two of a row's probabilities, or one and the threshold, are all but equal.
func undecided(row []any) bool {
	var p []float64
	for _, v := range row {
		if f, ok := v.(float64); ok {
			p = append(p, f)
		}
	}
	if len(p) == 1 {
		return math.Abs(p[0]-0.5) < 1e-11
	}
	p = p[1:]
	slices.Sort(p)
	return p[len(p)-1]-p[len(p)-2] < 1e-11
}

func valuesByID(t *testing.T, r array.RecordReader) (head string, rows map[string][]any) {
	t.Helper()
	defer r.Release()
	rows = map[string][]any{}
	var names []string
	for _, f := range r.Schema().Fields() {
		names = append(names, f.Name+" "+f.Type.String())
	}
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var values []any
			for c := range int(b.NumCols()) {
				values = append(values, valueOf(b.Column(c), i))
			}
			rows[values[0].(string)] = values
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return strings.Join(names, ", "), rows
}

func valueOf(column arrow.Array, i int) any {
	switch a := column.(type) {
	case *array.Float64:
		return a.Value(i)
	case *array.Int64:
		return a.Value(i)
	}
	return strings.Clone(column.ValueStr(i))
}

func trainTrips(t *testing.T, sql string, m pipeline.Model) (*mltrain.Trained, error) {
	t.Helper()
	return mltrain.Train(context.Background(), newDuck(t), m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{})
}
