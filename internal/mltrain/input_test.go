package mltrain_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"damson/internal/metric"
	"damson/internal/pipeline"
)

// TestBadInputOfEveryKind has the inputs that break careless programs: each is one clear error.
func TestBadInputOfEveryKind(t *testing.T) {
	t.Parallel()
	over := func(what string) string { return "select * " + what + " from (" + trips + ") as t" }
	for _, c := range []struct {
		name, model, sql string
		change           func(*pipeline.Model)
		want             []string
	}{
		{"no rows", "logistic of four texts", over("") + " where false", nil, []string{"No rows to train on"}},
		{"target always NULL", "linear", over("replace (cast(null as double) as minutes)"), nil, []string{"No rows to train on", `"minutes" is NULL in all`}},
		{"one class", "logistic of four texts", over("replace ('walk' as mode)"), nil, []string{"One class only", `"mode" = walk`}},
		{"one number", "linear", over("replace (3 as minutes)"), nil, []string{"One number only", `"minutes" = 3`}},
		{"target is NaN", "linear", over("replace (case when noise < 0.1 then cast('NaN' as double) else minutes end as minutes)"), nil, []string{"Target is not a number", "holds NaN", "nullif"}},
		{"target is infinite", "linear", over("replace (case when noise < 0.1 then cast('-Infinity' as double) else minutes end as minutes)"), nil, []string{"Target is not a number", "holds -Inf", "nullif(…, '-Infinity')"}},
		{"target is too large", "linear", over("replace (minutes * 1e120 as minutes)"), nil, []string{"Target is too large"}},
		{"target is a text", "linear", over("replace ('x' || minutes as minutes)"), nil, []string{"Target is not a number", "random_forest() or algorithm = decision_tree()"}},
		{"fractions as classes", "logistic of three numbers", over("replace (minutes as code)"), nil, []string{"Target is not a class", "linear_regression()"}},
		{"too many classes", "logistic of three numbers", "select * exclude (n) replace (id || '/' || n as id, cast(substr(id, 2) as bigint) * 2 + n as code) from (" + trips + ") as t cross join range(2) as r(n)", nil,
			[]string{"Too many classes", "more than 1000", "linear_regression()"}},
		{"id twice", "linear", over("replace ('t' || cast(minutes as integer) as id)"), nil, []string{"Id is not unique"}},
		{"misspelt class", "logistic of four texts", over(""), func(m *pipeline.Model) {
			m.Logistic = &pipeline.LogisticRegression{C: 1, ClassWeight: &pipeline.ClassWeight{Weights: map[string]float64{"wlak": 2}}}
		}, []string{"Unknown class", `Did you mean "walk"?`}},
		{"class on the held-out side only", "logistic of four texts", over("replace (case when person in ('person 1', 'person 9') then 'plane' else mode end as mode)"), func(m *pipeline.Model) { m.Split.Test = 0.9 },
			[]string{"Classes missing on the training side", `"plane"`}},
		{"unknown feature type", "linear", over(", [1, 2] as pair"), nil, []string{"Feature is not a number", `"pair"`, `exclude = ["pair"]`}},
		{"parameters", "linear", over(""), func(m *pipeline.Model) { m.Linear = &pipeline.LinearRegression{L1Ratio: 2} }, []string{"Parameter out of range", "l1_ratio is 2"}},
		{"time is a text", "linear", over(""), func(m *pipeline.Model) { m.Split.Time = "town" }, []string{"Not a time", `"town"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := declaredKind(c.model)
			if c.change != nil {
				m.Algorithm = pipeline.Algorithm{Forest: m.Forest, Logistic: m.Logistic, Linear: m.Linear}
				c.change(&m)
			}
			_, err := trainTrips(t, c.sql, m)
			checkFinding(t, err, c.want)
		})
	}
}

// TestManyCategories has a rule: all texts up to a bound are levels; a linear model keeps the most frequent.
func TestManyCategories(t *testing.T) {
	t.Parallel()
	sql := func(n int) string {
		return fmt.Sprintf("select 'r' || i as id, 'c' || (i %% %d) as shop, i %% 7 as x, i %% 7 + (i * 7919 %% 1000) / 1000.0 as y from range(20000) as r(i)", n)
	}
	m := pipeline.Model{Name: "m", Algorithm: kindsOf["linear"].algorithm, ID: "id", Target: "y", Split: pipeline.Holdout{Test: 0.2}}
	m.At.File = "pipelines/m.star"
	got, err := trainTrips(t, sql(5000), m)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Version.Levels["shop"]); n != 5000 {
		t.Errorf("%d levels are kept with the version", n)
	}
	if r2, _ := got.Report.Value("r2"); r2 < 0.9 {
		t.Errorf("R² %v", r2)
	}
	_, err = trainTrips(t, sql(10_001), m)
	checkFinding(t, err, []string{"Too many categories", `"shop"`, `exclude = ["shop"]`})
}

func TestTenThousandFeatures(t *testing.T) {
	t.Parallel()
	var columns []string
	for c := range 10_001 {
		columns = append(columns, fmt.Sprintf("(i * %d %% 1013) / 1013.0 as x%d", 2*c+7919, c))
	}
	m := pipeline.Model{Name: "m", Algorithm: kindsOf["linear"].algorithm, ID: "id", Target: "y", Split: pipeline.Holdout{Test: 0.2}}
	m.At.File = "pipelines/m.star"
	sql := "select 'r' || i as id, i % 31 as y, " + strings.Join(columns, ", ") + " from range(100) as r(i)"
	_, err := trainTrips(t, sql, m)
	checkFinding(t, err, []string{"Wrong number of features", "10001 columns", "1 to 10000"})
	m.Exclude = []string{"x10000"}
	_, err = trainTrips(t, sql, m)
	checkFinding(t, err, []string{"Can not be trained", "at most 2000", "leave features out"})
}

// TestRowsThatAreNoNumbers trains and scores columns of nothing but NULL, NaN and infinities.
func TestRowsThatAreNoNumbers(t *testing.T) {
	t.Parallel()
	for name := range kindsOf {
		m := declaredKind(name)
		got, err := trainTrips(t, "select * replace (case when speed < 0.3 then cast('Infinity' as double) when speed > 0.9 then cast('-Infinity' as double) else speed end as speed), cast(null as double) as nothing, cast('NaN' as double) as nan from ("+trips+") as t", m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		empty := 0
		for _, w := range got.Warnings {
			if w.Summary == "Feature without values" {
				empty++
			}
			if strings.Contains(w.Summary, "constant") {
				t.Errorf("%s: said twice: %v", name, w)
			}
		}
		if empty != 2 {
			t.Errorf("%s: warnings %v", name, got.Warnings)
		}
		for metric, v := range got.Report.Metrics {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s: %s is %v", name, metric, v)
			}
		}
	}
}

func TestLeaksAreWarnings(t *testing.T) {
	t.Parallel()
	m := declaredKind("logistic of four texts")
	m.Split.By, m.Segment, m.Split.Time = "", "person", "day"
	got, err := trainTrips(t, "select *, case mode when 'walk' then 0.5 when 'Bus!' then 2 else noise end as hint, 7 as seven, 2 * turns as turns2 from ("+trips+") as t", m)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(got.Report.Warnings, "\n")
	for _, want := range []string{`"hint" alone predicts class`, `"seven" has one value`, `"turns2" follows from "turns"`, "Groups on both sides of the split"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	if strings.Contains(all, "Training rows from after") {
		t.Errorf("a split by time overlaps in time:\n%s", all)
	}
	if want := `values of "person" (`; !strings.Contains(all, want) {
		t.Errorf("%q is not in\n%s", want, all)
	}
	m.Split.By = "person"
	got, err = trainTrips(t, trips, m)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(got.Report.Warnings, "\n"), "Training rows from after the first held-out row") {
		t.Errorf("warnings %v", got.Report.Warnings)
	}
	// persons are kept together, and days, which are judged as one, are not
	m.Segment, m.Split.Time = "day", ""
	got, err = trainTrips(t, trips, m)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(got.Report.Warnings, "\n"), `values of "day" (`) {
		t.Errorf("warnings %v", got.Report.Warnings)
	}
}

// TestTheLastRowsAreHeldOut splits by time.
func TestTheLastRowsAreHeldOut(t *testing.T) {
	t.Parallel()
	m := declaredKind("linear")
	m.Split = pipeline.Holdout{Test: 0.1, Time: "day"}
	got, err := trainTrips(t, trips, m)
	if err != nil {
		t.Fatal(err)
	}
	// 900 rows, 30 a day, of which the first and the last have 15.
	if n := got.Report.Rows; n < 60 || n > 120 {
		t.Errorf("%d rows held out", n)
	}
}

// checkReport wants what every kind has, of rows that noise says nothing of.
func checkReport(t *testing.T, r metric.Report) {
	t.Helper()
	wanted := map[metric.Kind][]string{
		metric.Binary:     {"auc", "accuracy", "cv.auc", "auc.low"},
		metric.Multiclass: {"accuracy", "macro_f1", "cv.accuracy", "cv.macro_f1", "accuracy.low", "log_loss"},
		metric.Regression: {"rmse", "r2", "cv.r2", "r2.low"},
	}[r.Kind]
	for _, metric := range wanted {
		if _, ok := r.Value(metric); !ok {
			t.Errorf("no %s", metric)
		}
	}
	if len(r.Dependence) < 2 || r.Importance[0].Feature == "noise" || r.Importance[0].Permutation < 0.01 {
		t.Errorf("importance %+v, dependence of %d", r.Importance, len(r.Dependence))
	}
	for _, d := range r.Dependence {
		if d.Feature == "town" && (len(d.Points) != 5 || d.Points[1].Level != "Bree" || d.Missing == nil) {
			t.Errorf("dependence on towns %+v", d)
		}
	}
}
