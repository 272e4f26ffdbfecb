package scoring_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

// strange are rows to be scored that differ from journeys.
const strange = `select case when i % 7 < 2 then null when i % 7 = 2 then cast('Infinity' as double precision) when i % 7 = 3 then cast('NaN' as double precision)
    else cast((i * 7919 + 13) % 1009 as double precision) / 1009 end as speed,
  cast((i * 104729 + 7) % 1013 as double precision) / 500 as turns, i % 2 = 0 as paved, cast((i * 1299709 + 5) % 997 as double precision) / 997 as noise,
  case i % 9 when 0 then null when 1 then 'Atlantis' when 2 then 'Bree' when 3 then 'O''Hara' when 4 then '' when 5 then 'no. ' || cast(i % 40 as text) else 'elsewhere' end as town
from (select cast(n as bigint) as i from generate_series(0, 9999) as s(n)) as numbers`

// staying is a model whose rows stay in the database.
var staying = pipeline.Model{Name: "journey", Algorithm: pipeline.Algorithm{Tree: &pipeline.DecisionTree{MaxDepth: 4, MinSplit: 2, MinLeaf: 5, Bins: 30}},
	ID: "id", Target: "mode", Split: pipeline.Holdout{Test: 0.25, Seed: 7}, DataStays: true}

func driftOf(t *testing.T, w *warehouse.Warehouse, v model.Version, sql string) *metric.Drift {
	t.Helper()
	source := sqltext.Plain("sql/x.sql", sql)
	columns, err := w.Describe(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	d, err := scoring.Drift(t.Context(), w, w.Kind(), v, source, columns)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDriftIsSeen scores by a model that read its rows, and by one whose rows stayed in the database.
func TestDriftIsSeen(t *testing.T) {
	t.Parallel()
	for kind, w := range warehousetest.Each(t) {
		for _, m := range []pipeline.Model{journey, staying} {
			t.Run(fmt.Sprintf("%s, rows stay: %v", kind, m.DataStays), func(t *testing.T) {
				t.Parallel()
				v := trained(t, w, journeys, m)
				if warning, found := scoring.DriftWarning(v, driftOf(t, w, v, journeys)); found {
					t.Errorf("the rows that were trained on differ from themselves: %v", warning)
				}
				d := driftOf(t, w, v, strange)
				warning, found := scoring.DriftWarning(v, d)
				if !found {
					t.Fatal("nothing was found")
				}
				for _, want := range []string{"Of 10000 rows that version 3", `"turns" (PSI`, "missing in 43 %"} {
					if !strings.Contains(warning.Detail, want) {
						t.Errorf("%q is not in: %s", want, warning.Detail)
					}
				}
				if diff := cmp.Diff(inMemory(t, w, v, strange), d); diff != "" {
					t.Errorf("counted in memory, and by the database:\n%s", diff)
				}
				for _, f := range d.Features {
					if f.Feature == "town" && (math.Abs(f.Unseen-2.0/9) > 0.001 || f.Names[0] != "Atlantis" || len(f.Names) != 5) {
						t.Errorf("%+v", f)
					}
				}
				if d := driftOf(t, w, v, strange+" where i < 100"); d != nil {
					t.Errorf("100 rows say %v", d)
				}
				if d := driftOf(t, w, v, "select noise from ("+strange+") as t"); len(d.Features) != 1 {
					t.Errorf("of features that are lacking: %v", d)
				}
			})
		}
	}
}

// inMemory reads the rows and compares them as metric.Reference does.
func inMemory(t *testing.T, w *warehouse.Warehouse, v model.Version, sql string) *metric.Drift {
	t.Helper()
	var reference metric.Reference
	if err := json.Unmarshal(v.Reference, &reference); err != nil {
		t.Fatal(err)
	}
	var columns []metric.Column
	for _, f := range reference.Features {
		value := "cast(" + f.Name + " as text)"
		if !f.Text {
			value = "nullif(cast(" + strings.Replace(f.Name, "paved", "cast(paved as integer)", 1) + " as double precision), 'NaN')"
		}
		reader, err := w.Query(t.Context(), sqltext.Plain("", "select "+value+" from ("+sql+") as t"))
		if err != nil {
			t.Fatal(err)
		}
		all, err := rows.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		columns = append(columns, columnOf(f, all))
	}
	d, err := reference.Drift(columns)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func columnOf(f metric.FeatureReference, all [][]any) metric.Column {
	c := metric.Column{Name: f.Name}
	for _, row := range all {
		switch v := row[0].(type) {
		case float64:
			c.Numbers = append(c.Numbers, v)
		case string:
			at := slices.Index(c.Levels, v)
			if at < 0 {
				at, c.Levels = len(c.Levels), append(c.Levels, v)
			}
			c.Codes = append(c.Codes, int32(at))
		default:
			if f.Text {
				c.Codes = append(c.Codes, -1)
			} else {
				c.Numbers = append(c.Numbers, math.NaN())
			}
		}
	}
	return c
}

// TestDriftOfManyTexts: of too many texts to know which were there, none is unseen; those that are not kept by name are the rest.
func TestDriftOfManyTexts(t *testing.T) {
	t.Parallel()
	const sql = `select i as id, 'town ' || cast(%d as text) as town, case when i %% 3 = 0 then 1 else 0 end as mode from (select cast(n as bigint) as i from generate_series(1, 2600) as s(n)) as numbers`
	many, some := strings.NewReplacer("%d", "i % 1201", "%%", "%").Replace(sql), strings.NewReplacer("%d", "i * i % 809", "%%", "%").Replace(sql)
	for kind, w := range warehousetest.Each(t) {
		for name, rows := range map[string]string{"many": many, "some": some} {
			v := trained(t, w, rows, staying)
			for _, present := range []string{many, some, strings.Replace(some, "'town '", "'village '", 1)} {
				if diff := cmp.Diff(inMemory(t, w, v, present), driftOf(t, w, v, present)); diff != "" {
					t.Errorf("%s texts on %s: counted in memory, and by the database:\n%s", name, kind, diff)
				}
			}
			warning, found := scoring.DriftWarning(v, driftOf(t, w, v, strings.Replace(rows, "'town '", "'village '", 1)))
			if !found || strings.Contains(warning.Detail, "unseen") != (name == "some") {
				t.Errorf("%s texts on %s: %v, %v", name, kind, found, warning)
			}
		}
	}
}
