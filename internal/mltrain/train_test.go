package mltrain_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/duckdb/duckdb-go/v2"

	"damson/internal/diag"
	"damson/internal/mltrain"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// duck is an embedded database as a mltrain.Source.
type duck struct {
	conn  driver.Conn
	arrow *duckdb.Arrow
}

func newDuck(t testing.TB) *duck {
	t.Helper()
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a, err := duckdb.NewArrowFromConn(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); connector.Close() })
	return &duck{conn, a}
}

func (d *duck) Query(ctx context.Context, sql sqltext.Text) (array.RecordReader, error) {
	return d.arrow.QueryContext(ctx, sql.SQL())
}

// rowsSQL is testdata/rows.sql as a subquery.
func rowsSQL(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/rows.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// declared is the model that the tests train, changed as they need.
func declared(change ...func(*pipeline.Model)) pipeline.Model {
	m := pipeline.Model{
		Name:      "late",
		Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 20, MaxDepth: 8, FeaturesPerSplit: 2, MinSplit: 3, MinLeaf: 5, Bins: 50}},
		ID:        "id", Target: "label", Segment: "trip", Weight: "seconds",
		Split: pipeline.Holdout{Test: 0.25, By: "person", Seed: 7}, Threshold: 0.5, Approval: "none",
		At: diag.Pos{File: "pipelines/late.star", Line: 3, Col: 8},
	}
	for _, f := range change {
		f(&m)
	}
	return m
}

func mustTrain(t testing.TB, sql string, o mltrain.Options, change ...func(*pipeline.Model)) *mltrain.Trained {
	t.Helper()
	got, err := mltrain.Train(context.Background(), newDuck(t), declared(change...), sqltext.Plain("sql/rows.sql", sql), o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func folds(m *pipeline.Model) { m.Folds = &pipeline.Folds{K: 5, By: "person", Seed: 1} }

func TestSameRowsGiveTheSameVersion(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	want := mustTrain(t, rows+" order by i", mltrain.Options{Threads: 1}, folds)
	for _, order := range []string{"i desc", "md5(i || 'x')", "x1"} {
		got := mustTrain(t, rows+" order by "+order, mltrain.Options{Threads: 4}, folds)
		if !bytes.Equal(got.Version.Artifact, want.Version.Artifact) || got.Version.Hash != want.Version.Hash {
			t.Errorf("rows in the order of %s give another forest", order)
		}
		if got.Version.Data != want.Version.Data {
			t.Errorf("rows in the order of %s give another fingerprint", order)
		}
		if string(got.Version.Report) != string(want.Version.Report) {
			t.Errorf("rows in the order of %s are judged differently:\n%s\n%s", order, got.Version.Report, want.Version.Report)
		}
	}
	other := mustTrain(t, strings.Replace(rows, "x4, x5", "x4 + case when i = 17 then 1e-9 else 0 end as x4, x5", 1)+" order by i", mltrain.Options{})
	if other.Version.Data == want.Version.Data {
		t.Error("one changed value left the fingerprint as it was")
	}
}

// TestReachesScikitLearn compares with what testdata/reference.py printed.
func TestReachesScikitLearn(t *testing.T) {
	t.Parallel()
	got := mustTrain(t, rowsSQL(t), mltrain.Options{}, folds, func(m *pipeline.Model) { m.Forest.Trees, m.Forest.Bins = 100, 255 })
	if got.Report.Rows+got.Report.Training.Rows != 4000 || got.Report.Positives+got.Report.Training.Positives != 1861 {
		t.Fatalf("%d + %d rows, %d + %d positives", got.Report.Rows, got.Report.Training.Rows, got.Report.Positives, got.Report.Training.Positives)
	}
	if auc, _ := got.Report.Value("cv.auc"); math.Abs(auc-0.8859) > 0.01 {
		t.Errorf("cross-validated AUC %v, scikit-learn has 0.8859", auc)
	}
	if auc, _ := got.Report.Value("auc"); math.Abs(auc-0.8859) > 0.03 {
		t.Errorf("held-out AUC %v, scikit-learn cross-validates to 0.8859", auc)
	}
}

func TestReportHasEverything(t *testing.T) {
	t.Parallel()
	got := mustTrain(t, rowsSQL(t), mltrain.Options{}, folds)
	r := got.Report
	for _, name := range []string{"auc", "pr_auc", "accuracy", "weighted_accuracy", "f1", "log_loss", "brier", "segment.auc", "segment.accuracy",
		"cv.auc", "cv.accuracy", "cv.weighted_accuracy", "cv.segment.accuracy"} {
		if v, ok := r.Value(name); !ok || v <= 0 || v > 1.5 {
			t.Errorf("%s is %v", name, v)
		}
	}
	if len(r.ROC) < 10 || len(r.PR) < 10 || len(r.Calibration) < 5 || r.Confusion.Rows() != r.Rows {
		t.Errorf("curves of %d and %d points, %d bins, %d rows confused of %d", len(r.ROC), len(r.PR), len(r.Calibration), r.Confusion.Rows(), r.Rows)
	}
	if int64(len(r.ByGroup))+r.Training.Groups != 40 || r.Rows != 100*int64(len(r.ByGroup)) {
		t.Errorf("%d people held out with %d rows, %d trained on", len(r.ByGroup), r.Rows, r.Training.Groups)
	}
	if f := r.Folds; f.Rows != 4000 || f.Groups != 40 || len(f.ByFold) != 5 || f.ByFold[0].Rows != 800 || f.Segments.Segments != 400 || len(f.ByGroup) != 40 {
		t.Errorf("cross-validation %+v", f)
	}
	important := map[string]bool{}
	for _, i := range r.Importance[:3] {
		important[i.Feature] = i.Permutation > 0.01 && i.Gain > 0.05
	}
	if len(r.Importance) != 6 || !important["x0"] || !important["x1"] || !important["x2"] {
		t.Errorf("importance %+v", r.Importance)
	}
	for _, i := range r.Importance[3:] {
		if math.Abs(i.Permutation) > 0.02 {
			t.Errorf("noise counts as important: %+v", i)
		}
	}
}

func TestVersionSaysWhatItWasMadeOf(t *testing.T) {
	t.Parallel()
	v := mustTrain(t, rowsSQL(t), mltrain.Options{}).Version
	if want := "x0 x1 x2 x3 x4 x5"; strings.Join(v.Features, " ") != want {
		t.Errorf("features %v", v.Features)
	}
	f, err := tree.Decode(v.Artifact)
	if err != nil || f.Hash() != v.Hash || f.Features() != 6 {
		t.Errorf("artifact: %v", err)
	}
	var m pipeline.Model
	if err := json.Unmarshal(v.Spec, &m); err != nil || m.Name != "late" || m.Forest.Trees != 20 {
		t.Errorf("spec %s: %v", v.Spec, err)
	}
	if v.Model != "late" || v.Algorithm != "random_forest" || len(v.Data) != 64 || len(v.SQL) != 64 || v.Rows == 0 {
		t.Errorf("%+v", v)
	}
}

// TestASplitGroupStaysOnItsSide checks that more people do not move those already there.
func TestASplitGroupStaysOnItsSide(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	few := mustTrain(t, "select * from ("+rows+") where cast(substr(person, 8) as integer) < 30", mltrain.Options{})
	all := mustTrain(t, rows, mltrain.Options{})
	held := map[string]bool{}
	for _, g := range all.Report.ByGroup {
		held[g.Group] = true
	}
	for _, g := range few.Report.ByGroup {
		if !held[g.Group] {
			t.Errorf("%s was held out and is trained on once others came", g.Group)
		}
	}
	if n := len(held); n < 5 || n > 16 {
		t.Errorf("%d of 40 people held out, expected about 10", n)
	}
}

func TestRowsWithoutTargetAreCounted(t *testing.T) {
	t.Parallel()
	sql := strings.Replace(rowsSQL(t), "then 1 else 0 end as label", "then true when i % 10 = 0 then null else false end as label", 1)
	got := mustTrain(t, sql, mltrain.Options{})
	if got.Report.Training.Skipped == 0 || got.Report.Rows+got.Report.Training.Rows+got.Report.Training.Skipped != 4000 {
		t.Errorf("%+v", got.Report.Training)
	}
	// the second: the fixture's trips, which are its segments, are of several people
	if len(got.Warnings) != 2 || got.Warnings[0].Summary != "Rows without target" || got.Warnings[0].IsError() || len(got.Report.Warnings) != 2 {
		t.Errorf("warnings %v", got.Warnings)
	}
}

func TestAFeatureWithoutValuesIsAWarning(t *testing.T) {
	t.Parallel()
	sql := strings.Replace(rowsSQL(t), "x4, x5", "cast(null as double) as x4, x5", 1)
	got := mustTrain(t, sql, mltrain.Options{})
	if len(got.Warnings) != 2 || got.Warnings[0].Summary != "Feature without values" || !strings.Contains(got.Warnings[0].Detail, `"x4"`) {
		t.Errorf("warnings %v", got.Warnings)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	over := func(from string) string { return "select * " + from + " from (" + rows + ")" }
	for _, c := range []struct {
		name   string
		sql    string
		change func(*pipeline.Model)
		want   []string // parts of the error
	}{
		{"no rows", over("") + " where false", nil, []string{"No rows to train on", "gives no rows"}},
		{"no target known", over("replace (cast(null as integer) as label)"), nil, []string{"No rows to train on", "gives 4000 rows", `"label" is NULL in all`}},
		{"one class", over("replace (1 as label)"), nil, []string{"One class only", `All 4000 rows`, `"label" = 1`}},
		{"date feature", over(", date '2007-04-12' as tdate"), nil, []string{`exclude = ["tdate"]`, `Column "tdate"`, "extract(hour from tdate)"}},
		{"one text", over("replace ('walk' as label)"), nil, []string{"One class only", `"label" = walk`}},
		{"more classes than the algorithm learns", over("replace ('c' || (i % 101) as label)"), nil, []string{"Too many classes", "random_forest tells up to 100", "logistic_regression()", "case when label = …"}},
		{"target is a date", over("replace (date '2007-04-12' as label)"), nil, []string{"Target can not be learned", "date32"}},
		{"missing columns", over("exclude (label, person)"), nil, []string{`has target = "label"`, `has split by = "person"`}},
		{"misspelt exclude", rows, func(m *pipeline.Model) { m.Exclude = []string{"persom"} }, []string{`exclude = "persom"`, `Did you mean "person"?`}},
		{"id twice", over("replace ('r' || (i // 2) as id)"), nil, []string{"Id is not unique", `"r0"`, "2000 of 4000"}},
		{"id null", over("replace (case when i = 5 then null else id end as id)"), nil, []string{`Column "id"`, "is NULL", "where id is not null"}},
		{"group null", over("replace (case when i = 5 then null else person end as person)"), nil, []string{`Column "person"`, "is NULL"}},
		{"bad weight", over("replace (-1 as seconds)"), nil, []string{"Bad weight", "holds -1"}},
		{"one group", over("replace ('me' as person)"), nil, []string{"One side of the split is empty"}},
		{"more folds than groups", rows, func(m *pipeline.Model) { m.Folds = &pipeline.Folds{K: 41, By: "person"} }, []string{"More folds than groups", "41", "40 groups"}},
		{"parameters", rows, func(m *pipeline.Model) { m.Forest.Bins, m.Split.Test = 256, 1.5 }, []string{"bins is 256", "test = 1.5"}},
		{"no algorithm", rows, func(m *pipeline.Model) { m.Forest = nil }, []string{"No algorithm"}},
		{"no features", "select id, label, trip, seconds, person from (" + rows + ")", nil, []string{"Wrong number of features"}},
		{"memory", rows, nil, []string{"do not fit in memory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := declared(func(m *pipeline.Model) { m.Exclude = []string{"i"} })
			sql := strings.Replace(c.sql, "select 'r' || i as id", "select i, 'r' || i as id", 1)
			if c.name == "no features" {
				m.Exclude = nil
			}
			if c.change != nil {
				c.change(&m)
			}
			o := mltrain.Options{}
			if c.name == "memory" {
				o.Memory = 1000
			}
			_, err := mltrain.Train(context.Background(), newDuck(t), m, sqltext.Plain("sql/rows.sql", sql), o)
			checkFinding(t, err, c.want)
		})
	}
}

func TestOneClassOnASideOfTheSplit(t *testing.T) {
	t.Parallel()
	rows := rowsSQL(t)
	var held []string
	for _, g := range mustTrain(t, rows, mltrain.Options{}).Report.ByGroup {
		held = append(held, "'"+g.Group+"'")
	}
	isHeld := "person in (" + strings.Join(held, ", ") + ")"
	_, err := mltrain.Train(context.Background(), newDuck(t), declared(),
		sqltext.Plain("", "select * replace (case when "+isHeld+" then label else 0 end as label) from ("+rows+")"), mltrain.Options{})
	checkFinding(t, err, []string{"One class only on the training side", `"label" = 0 only`, "seed"})

	got := mustTrain(t, "select * replace (case when "+isHeld+" then 1 else label end as label) from ("+rows+")", mltrain.Options{})
	if len(got.Warnings) != 2 || got.Warnings[0].Summary != "One class only on the held-out side" {
		t.Errorf("warnings %v", got.Warnings)
	}
	if auc, ok := got.Report.Value("auc"); ok {
		t.Errorf("AUC %v of one class", auc)
	}
}

// checkFinding wants findings that stand in the pipeline file and say all parts.
func checkFinding(t *testing.T, err error, parts []string) {
	t.Helper()
	var one diag.Finding
	var all diag.Findings
	if !errors.As(err, &one) && !errors.As(err, &all) {
		t.Fatalf("not a finding: %v", err)
	}
	if len(all) > 0 {
		one = all[0]
	}
	if one.Fix == "" || one.At.File == "" {
		t.Errorf("place %q, fix %q", one.At, one.Fix)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in:\n%v", part, err)
		}
	}
}

func TestCancelAndProgress(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	stages := map[string]int64{}
	_, err := mltrain.Train(ctx, newDuck(t), declared(folds), sqltext.Plain("", rowsSQL(t)), mltrain.Options{Progress: func(p mltrain.Progress) {
		stages[p.Stage] = p.Done
		if p.Stage == mltrain.StageFolds && p.Done >= 25 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if stages[mltrain.StageRead] != 4000 || stages[mltrain.StageTrees] != 20 || stages[mltrain.StageFolds] >= 100 {
		t.Errorf("stages %v", stages)
	}
}

// failing is a source whose query is wrong.
type failing struct{ err error }

func (f failing) Query(context.Context, sqltext.Text) (array.RecordReader, error) { return nil, f.err }

func TestAFailedQueryIsPassedOn(t *testing.T) {
	t.Parallel()
	cause := diag.Finding{Summary: "Unknown column"}
	_, err := mltrain.Train(context.Background(), failing{cause}, declared(), sqltext.Plain("", "select 1"), mltrain.Options{})
	if !errors.Is(err, cause) {
		t.Fatalf("got %v", err)
	}
}

// numbered gives a trained version its number.
func numbered(v model.Version) model.Version {
	v.Number = 3
	return v
}
