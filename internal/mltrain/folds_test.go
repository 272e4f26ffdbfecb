package mltrain_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/warehousetest"
)

// dealt declares a cross-validation.
func dealt(by string, k int) func(m *pipeline.Model) {
	return func(m *pipeline.Model) { m.Folds = &pipeline.Folds{K: k, By: by, Seed: 5} }
}

// grid declares a search whose trials have other bins and depths.
func grid(metric string) func(m *pipeline.Model) {
	return func(m *pipeline.Model) {
		m.Search = &pipeline.Search{Method: pipeline.GridSearch, Seed: 2, Folds: 2, Metric: metric, Space: []pipeline.Dimension{
			{Parameter: "bins", Choices: []json.RawMessage{json.RawMessage("20"), json.RawMessage("60")}},
			{Parameter: "max_depth", Choices: []json.RawMessage{json.RawMessage("2"), json.RawMessage("5")}}}}
	}
}

// TestFoldsAreTheSameInTheDatabase cross-validates and searches by reading the rows and in the database: versions, trials and
// metrics are the same to the last bit.
func TestFoldsAreTheSameInTheDatabase(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	const plane = "when i % 40 = 1 then 'plane'"
	for name, c := range map[string]struct {
		model  string
		modes  string // instead of the conditions of mode
		change []func(m *pipeline.Model)
	}{
		"searched with class weights, and validated by groups": {"forest of four texts", "", []func(*pipeline.Model){dealt("", 3)}},
		"searched by the split's groups":                       {"forest of 0 and 1", "", []func(*pipeline.Model){grid("f1")}},
		"by other groups than the split's":                     {"forest of 0 and 1", "", []func(*pipeline.Model){unsearch, dealt("day", 3), grid("segment.accuracy"), func(m *pipeline.Model) { m.Segment = "person" }}},
		"by rows":                                              {"forest of two texts", "", []func(*pipeline.Model){dealt("", 3), grid("log_loss"), func(m *pipeline.Model) { m.Split.By, m.Exclude = "", append(m.Exclude, "person") }}},
		"numbers, by groups, held out by time":                 {"forest of numbers", "", []func(*pipeline.Model){dealt("person", 3), grid(""), func(m *pipeline.Model) { m.Split.By, m.Split.Time = "", "day" }}},
		"a tree, weighted":                                     {"tree of 0 and 1", "", []func(*pipeline.Model){dealt("", 3), grid("auc"), func(m *pipeline.Model) { m.Weight = "turns" }}},
		"a class of one fold":                                  {"forest of four texts", plane, []func(*pipeline.Model){unsearch, dealt("", 3), grid("")}},
		"two classes are left":                                 {"forest of four texts", plane + " when i > 0 then case when u1 > 0.5 then 'b' else 'a' end", []func(*pipeline.Model){unsearch, dealt("", 3)}},
	} {
		m := declaredKind(c.model)
		if f := m.Forest; f != nil {
			own := *f
			own.Trees, m.Forest = 2, &own
		}
		for _, change := range c.change {
			change(&m)
		}
		sql := trips
		if c.modes != "" {
			sql = strings.Replace(trips, "then 'Bus!'", "then 'Bus!' "+c.modes, 1)
			sql = strings.Replace(sql, "case when u1 + u5 / 4 > 0.8", "case "+c.modes+" when u1 + u5 / 4 > 0.8", 1)
		}
		for kind, w := range warehouses {
			t.Run(name+" on "+kind, func(t *testing.T) {
				t.Parallel()
				want, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				if kind == "duckdb" {
					if more, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{Threads: 4}); err != nil || !cmp.Equal(more, want) {
						t.Errorf("four threads give something else: %v", err)
					}
				}
				got, err := inside(t, w, m, sql)
				if err != nil {
					t.Fatal(err)
				}
				if got.Version.Hash != want.Version.Hash || !bytes.Equal(got.Version.Search, want.Version.Search) {
					t.Errorf("the database made artifact %.12s, Go %.12s; trials\n%s\n%s", got.Version.Hash, want.Version.Hash, got.Version.Search, want.Version.Search)
				}
				if m.Search != nil && len(got.Version.Search) == 0 || m.Folds != nil && got.Report.Folds == nil {
					t.Error("there are no trials, or no folds")
				}
				if diff := cmp.Diff(want.Report.Folds, got.Report.Folds); diff != "" {
					t.Errorf("it is cross-validated differently:\n%s", diff)
				}
				if of := said(got, nil); said(want, nil) != of || strings.Contains(of, "A class of one fold only") != (c.modes != "") {
					t.Errorf("read: %s\nin the database: %s", said(want, nil), of)
				}
			})
		}
	}
}

func unsearch(m *pipeline.Model) { m.Search = nil }

// TestAGroupThatNoSQLHolds has the character NUL, which only DuckDB keeps in texts.
func TestAGroupThatNoSQLHolds(t *testing.T) {
	t.Parallel()
	m := changed(unsearched("tree of 0 and 1"), dealt("note", 3))
	m.Exclude = append(m.Exclude, "note")
	_, err := inside(t, warehousetest.Open(t, "duckdb"), m, strings.Replace(trips, "u4 as noise", "u4 as noise, case when i % 9 = 0 then chr(0) else 'n' || i % 9 end as note", 1))
	checkFinding(t, err, []string{"Text can not be written in SQL", `"note"`})
}
