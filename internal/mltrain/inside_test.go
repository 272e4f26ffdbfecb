package mltrain_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damson/internal/metric"
	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

func changed(m pipeline.Model, change func(m *pipeline.Model)) pipeline.Model {
	change(&m)
	return m
}

// unsearched is a model of every kind whose parameters are given.
func unsearched(name string) pipeline.Model {
	return changed(declaredKind(name), func(m *pipeline.Model) { m.Search = nil })
}

// inside trains a model in the database.
func inside(t *testing.T, w *warehouse.Warehouse, m pipeline.Model, sql string) (*mltrain.Trained, error) {
	t.Helper()
	m.DataStays = true
	return mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{Warehouse: w})
}

// TestTrainedInTheDatabaseItIsTheSameModel compares with reading the rows, on the same warehouse.
func TestTrainedInTheDatabaseItIsTheSameModel(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	models := map[string]pipeline.Model{}
	for name := range kindsOf {
		if m := unsearched(name); m.Forest != nil || m.Tree != nil {
			models[name] = m
		}
	}
	const four = "forest of four texts"
	models["held out by time"] = changed(models[four], func(m *pipeline.Model) { m.Split.By, m.Split.Time = "", "day" })
	models["held out by row, weighted"] = changed(models[four], func(m *pipeline.Model) { m.Split.By, m.Weight, m.Segment = "", "turns", "person" })
	models["one leaf"] = changed(models["tree of 0 and 1"], func(m *pipeline.Model) {
		m.Algorithm.Tree = &pipeline.DecisionTree{MaxDepth: 3, MinSplit: 5000, Bins: 20}
	})
	models["too large for one statement"] = changed(models[four], func(m *pipeline.Model) {
		m.Forest = &pipeline.RandomForest{Trees: 36, MaxDepth: 10, MinSplit: 2, MinLeaf: 1, Bins: 255}
	})
	for name, m := range models {
		for kind, w := range warehouses {
			if kind == "duckdb" && name == "too large for one statement" {
				continue // whose planning of SQL takes long
			}
			t.Run(name+" on "+kind, func(t *testing.T) {
				t.Parallel()
				want, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", trips), mltrain.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := inside(t, w, m, trips)
				if err != nil {
					t.Fatal(err)
				}
				large := name == "too large for one statement"
				if small, err := scoring.InSQL(got.Version); err != nil || small == large || strings.Contains(said(got, nil), "Scoring reads the rows") != large {
					t.Errorf("scored as SQL: %v, %v; warnings: %s", small, err, said(got, nil))
				}
				if !bytes.Equal(got.Version.Artifact, want.Version.Artifact) || got.Version.Hash != want.Version.Hash {
					t.Errorf("the database made artifact %.12s, Go %.12s", got.Version.Hash, want.Version.Hash)
				}
				if !bytes.Equal(got.Version.HeldOut, want.Version.HeldOut) {
					t.Error("other predictions of held-out rows are kept")
				}
				if !large && !bytes.Equal(got.Version.Reference, want.Version.Reference) {
					t.Errorf("the training rows look differently:\n%s\n%s", got.Version.Reference, want.Version.Reference)
				}
				if !large && len(want.Report.Dependence) < 2 && name != "one leaf" {
					t.Errorf("dependence of %d features", len(want.Report.Dependence))
				}
				if large != strings.Contains(said(got, nil), "Effects of features are not known") {
					t.Errorf("warnings: %s", said(got, nil))
				}
				aside := cmp.Options{cmpopts.IgnoreFields(metric.Report{}, "Warnings", "Inside"), cmpopts.EquateApprox(0, 1e-11), cmpopts.EquateEmpty()}
				if large {
					aside = append(aside, cmpopts.IgnoreFields(metric.Report{}, "Importance", "Dependence"))
				}
				if diff := cmp.Diff(want.Report, got.Report, aside); diff != "" {
					t.Errorf("it is judged differently:\n%s", diff)
				}
			})
		}
	}
}

// TestBadInputIsTheSameInTheDatabase reads bad rows, and trains on them in the database: the errors and warnings are the same.
func TestBadInputIsTheSameInTheDatabase(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	const minutes = "10 * u1 - 3 * u2 + case when town = 'Bree' then 2 else 0 end + u5 as minutes"
	const four, numbers = "forest of four texts", "forest of numbers"
	for _, c := range []struct {
		name, model string
		old, new    string // in the SQL
		change      func(*pipeline.Model)
		want        string // in the error, or in a warning
	}{
		{"no rows", four, "as drawn", "as drawn where 1 = 0", nil, "gives no rows"},
		{"no target", numbers, minutes, "cast(null as double precision) as minutes", nil, `"minutes" is NULL in all`},
		{"some without target", numbers, minutes, "case when i < 100 then u1 end as minutes", nil, "800 rows"},
		{"one class", four, "then 'Bus!'", "then 'it''s a car' when i > 0 then 'it''s a car'", nil, "One class only"},
		{"one number", numbers, minutes, "2.5 as minutes", nil, "One number only"},
		{"NaN", numbers, minutes, "case when i = 7 then cast('NaN' as double precision) else u1 end as minutes", nil, "holds NaN"},
		{"infinite", numbers, minutes, "case when i = 7 then cast('-Infinity' as double precision) else u1 end as minutes", nil, "holds -Inf"},
		{"too large", numbers, minutes, "case when i = 7 then 1e101 else u1 end as minutes", nil, "Target is too large"},
		{"many texts", four, "then 'Bus!'", "then 'Bus!' when i > 0 then 'mode ' || cast(i as text)", nil, "Too many classes"},
		{"id twice", four, "'t' || cast(i as text)", "'t' || cast(i / 2 as integer)", nil, "Id is not unique"},
		{"id is NULL", four, "'t' || cast(i as text)", "case when i <> 5 then 't' || cast(i as text) end", nil, `"id", id of`},
		{"group is NULL", four, "'person ' ||", "case when i <> 5 then '' end ||", nil, `"person", split by of`},
		{"segment is NULL", four, "as noise,", "as noise, case when i <> 5 then 'a' end as part,", func(m *pipeline.Model) { m.Segment = "part" }, `"part", segment of`},
		{"bad weight", four, "as noise,", "as noise, case when i <> 5 then 1 else -2 end as heavy,", func(m *pipeline.Model) { m.Weight = "heavy" }, "holds -2"},
		{"misspelt class", four, "", "", func(m *pipeline.Model) {
			m.Forest.ClassWeight = &pipeline.ClassWeight{Weights: map[string]float64{"wlak": 2}}
		}, `Did you mean "walk"`},
		{"heavy class", four, "", "", func(m *pipeline.Model) {
			m.Forest.ClassWeight = &pipeline.ClassWeight{Weights: map[string]float64{"walk": 5000}}
		}, "class weight 5000"},
		{"a class held out", four, "then 'Bus!'", "then 'Bus!' when i % 40 in (1, 9) then 'plane'", func(m *pipeline.Model) { m.Split.Test = 0.9 }, "Classes missing on the training side"},
		{"one side", four, "", "", func(m *pipeline.Model) { m.Split.Test = 1e-9 }, "One side of the split is empty"},
		{"a date", four, "", "", func(m *pipeline.Model) { m.Exclude = m.Exclude[:len(m.Exclude)-1] }, `Column "day"`},
		{"time is a text", four, "", "", func(m *pipeline.Model) { m.Split.Time = "town" }, "Not a time"},
		{"misspelt column", four, "", "", func(m *pipeline.Model) { m.Split.By = "persn" }, `Did you mean "person"`},
		{"group of a fold is NULL", four, "as noise,", "as noise, case when i <> 5 then i % 30 end as part,", dealt("part", 3), `"part", cross_validation by of`},
		{"more folds than groups", four, "", "", dealt("", 41), "has 40 groups to deal out"},
		{"more folds than groups of the training side", four, "", "", func(m *pipeline.Model) { grid("")(m); m.Search.Folds = 40 }, "groups to deal out"},
		{"a fold of one class", numbers, minutes, "case when i % 40 in (1, 2, 3, 4) and u1 > 0.5 then 'a' else 'b' end as minutes", func(m *pipeline.Model) { grid("auc")(m); m.Search.Folds = 10 }, "One class only in a fold of the search"},
		{"nothing to rank by", numbers, "", "", grid("auc"), "Nothing to rank by"},
		{"empty feature", four, "u4 as noise", "cast(null as double precision) as noise", nil, "Feature without values"},
	} {
		for kind, w := range warehouses {
			t.Run(c.name+" on "+kind, func(t *testing.T) {
				t.Parallel()
				m := unsearched(c.model)
				if f := m.Forest; f != nil {
					own := *f
					m.Forest = &own
				}
				if c.change != nil {
					c.change(&m)
				}
				sql := strings.Replace(trips, c.old, c.new, 1)
				read, want := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{})
				stayed, got := inside(t, w, m, sql)
				if said(read, want) != said(stayed, got) || !strings.Contains(said(stayed, got), c.want) {
					t.Errorf("read: %s\nin the database: %s\nwanted: %s", said(read, want), said(stayed, got), c.want)
				}
			})
		}
	}
}

// TestLeaksAreSeenInTheDatabase has rows with every fault that a look finds: the warnings are those of rows that are read, word by word.
func TestLeaksAreSeenInTheDatabase(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	const faulty = `select *, case late when 1 then 2.5 + floor(noise * 4) else -1 - floor(noise * 4) end as hint, case mode when 'walk' then 'afoot' else 'not' end as afoot,
  case when mode = 'boat' then 5 + floor(noise * 4) else floor(noise * 4) end as wet, exp(floor(minutes * 2) / 6) as curve, 3 - 1e6 * minutes as line,
  7 as seven, case when person < 'person 2' then noise else 1 end as often, cast(null as double precision) as nothing,
  case when i % 2 = 0 then 1 end as here_or_not, turns as turns1, 2 * turns + 1 as turns2, -turns as minus, turns + 1e-3 * noise as nearly,
  case when i % 50 > 0 then 3 * turns end as holes, case when i % 900 = 5 then 1 else 0 end as rare, i % 900 = 5 as rare2,
  case town when 'Bree' then 'B' when '' then 'none' else town end as city, case when town is null then 'no' else town end as filled, town as town2,
  case when paved then 'yes' when not paved then 'no' end as firm
from (select *, cast(substr(id, 2) as bigint) as i from (` + trips + `) as t) as faulty`
	// Rows 0 … 99 come again under other names, of other people.
	const again = "select * from (" + faulty + ") as first_time union all select 'z' || id, 'person ' || cast((i + 7) % 40 as text), day, speed, turns, paved, town, noise, late, answer, mode, code, minutes, i, hint, afoot, wet, curve, line, seven, often, nothing, here_or_not, turns1, turns2, minus, nearly, holes, rare, rare2, city, filled, town2, firm from (" + faulty + ") as second_time where i < 100"
	for _, c := range []struct {
		name, model string
		sql         string
		change      func(m *pipeline.Model)
		want        []string
	}{
		{"two classes, by person", "tree of 0 and 1", faulty, func(m *pipeline.Model) { m.Split.Time, m.Segment = "day", "mode" },
			[]string{`values of "mode" (Bus!`, "Training rows from after", `"hint" alone predicts the target with AUC 1`, `"seven" has one value`, `"turns1" equals "turns"`, `"turns2" follows from "turns"`, "-1.000000000",
				`"rare2" equals "rare"`, `"city" equals "town"`, `"town2" equals "town"`, `"holes" follows`}},
		{"four classes, by row, in segments", "forest of four texts", faulty, func(m *pipeline.Model) { m.Split.By, m.Segment = "", "person" },
			[]string{`values of "person" (person 0, person 1, person 10)`, `"afoot" alone predicts class "walk"`, `"wet" alone predicts class "boat"`}},
		{"numbers, by time", "tree of 0 and 1", faulty, func(m *pipeline.Model) {
			m.Target, m.Split.By, m.Split.Time = "minutes", "", "day"
			m.Exclude = append(slices.DeleteFunc(m.Exclude, func(name string) bool { return name == "minutes" || name == "day" }), "late")
		},
			[]string{`"curve" alone predicts the target with R²`, `"line" alone predicts the target with R² 1`}},
		{"the same rows", "tree of 0 and 1", again, func(m *pipeline.Model) {}, []string{"The same rows on both sides"}},
	} {
		for kind, w := range warehouses {
			t.Run(c.name+" on "+kind, func(t *testing.T) {
				t.Parallel()
				m := changed(unsearched(c.model), c.change)
				m.Exclude = append(m.Exclude, "i")
				read, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", c.sql), mltrain.Options{})
				if err != nil {
					t.Fatal(err)
				}
				stayed, err := inside(t, w, m, c.sql)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(said(read, nil), said(stayed, nil)); diff != "" {
					t.Errorf("read, and in the database:\n%s", diff)
				}
				for _, want := range c.want {
					if !strings.Contains(said(stayed, nil), want) {
						t.Errorf("%q is not in\n%s", want, said(stayed, nil))
					}
				}
			})
		}
	}
}

// TestLooksTakeAnyNumber has numbers at the ends of what doubles hold: nothing overflows, and the two ways agree.
func TestLooksTakeAnyNumber(t *testing.T) {
	t.Parallel()
	warehouses := warehousetest.Each(t)
	const extreme = `select *, 1e300 * turns as huge, 1e-200 * turns as tiny, case when noise < 0.5 then 1e-310 else 2e-310 end as least, case when noise < 0.3 then float8 'Infinity' when noise < 0.6 then float8 '-Infinity' else noise end as endless,
  case when noise < 0.5 then float8 '-0' else float8 '0' end as nought, case when paved then float8 '1e308' else float8 '-1e308' end as ends, case when noise < 0.01 then 1e-160 else 1e99 * turns end as far, 1e-160 * minutes as short_minutes from (` + trips + `) as t`
	for _, target := range []string{"minutes", "short_minutes"} {
		m := changed(unsearched("tree of 0 and 1"), func(m *pipeline.Model) {
			m.Target = target
			for _, other := range []string{"minutes", "short_minutes", "late"} {
				if other != target && !slices.Contains(m.Exclude, other) {
					m.Exclude = append(m.Exclude, other)
				}
			}
			m.Exclude = slices.DeleteFunc(m.Exclude, func(name string) bool { return name == target })
		})
		for kind, w := range warehouses {
			t.Run(target+" on "+kind, func(t *testing.T) {
				t.Parallel()
				read, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", extreme), mltrain.Options{})
				if err != nil {
					t.Fatal(err)
				}
				stayed, err := inside(t, w, m, extreme)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(said(read, nil), said(stayed, nil)); diff != "" {
					t.Errorf("read, and in the database:\n%s", diff)
				}
				if !bytes.Equal(read.Version.Reference, stayed.Version.Reference) {
					t.Errorf("the training rows look differently:\n%s\n%s", read.Version.Reference, stayed.Version.Reference)
				}
				if diff := cmp.Diff(read.Report.Importance, stayed.Report.Importance, cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
					t.Errorf("read, and in the database:\n%s", diff)
				}
			})
		}
	}
}

// said is an error, or what a training warns of.
func said(trained *mltrain.Trained, err error) string {
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, w := range trained.Warnings {
		text += w.Error() + "\n"
	}
	return text
}

// TestRowsAreWiderThanAPage has more numbers than a row of PostgreSQL has room for.
func TestRowsAreWiderThanAPage(t *testing.T) {
	t.Parallel()
	m := pipeline.Model{Name: "wide", Algorithm: pipeline.Algorithm{Tree: &pipeline.DecisionTree{MaxDepth: 1, MinSplit: 2, MinLeaf: 1, Bins: 2}},
		ID: "id", Target: "y", Split: pipeline.Holdout{Test: 0.3, Seed: 3}}
	var sql strings.Builder
	sql.WriteString("select i as id, i % 2 as y")
	for f := range 951 {
		fmt.Fprintf(&sql, ", i + float8 '%d.5' as f%d", f, f)
	}
	sql.WriteString(" from generate_series(1, 12) as g(i)")
	_, err := inside(t, warehousetest.Open(t, "postgres"), m, sql.String())
	if err == nil || !strings.Contains(err.Error(), "Rows are too wide for the database") {
		t.Errorf("951 numbers: %v", err)
	}
}

// TestEdgesComeFromTheSameSample has more rows than edges are computed from.
func TestEdgesComeFromTheSameSample(t *testing.T) {
	t.Parallel()
	w := warehousetest.Open(t, "duckdb")
	m := pipeline.Model{Name: "many", Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 8, MaxDepth: 4, MinSplit: 2, MinLeaf: 1, Bins: 200}},
		ID: "id", Target: "y", Split: pipeline.Holdout{Test: 0.01, Seed: 3}}
	const sql = `select i as id, cast(i * 7919 % 1000003 as double) / 1000003 as a, floor(cast(i * 104729 % 999983 as double) / 40) as b,
		case when i * 7919 % 1000003 > 500000 + (i * 31 % 1009) * 200 then 1 else 0 end as y from range(204000) as r(i)`
	want, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("", sql), mltrain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := inside(t, w, m, sql)
	if err != nil {
		t.Fatal(err)
	}
	if want.Version.Rows <= 200_000 {
		t.Errorf("%d training rows are no more than edges are computed from", want.Version.Rows)
	}
	if got.Version.Hash != want.Version.Hash {
		t.Errorf("the database made artifact %.12s, Go %.12s", got.Version.Hash, want.Version.Hash)
	}
}

// TestWhatDoesNotFitIsTrainedInTheDatabase has a bound of memory.
func TestWhatDoesNotFitIsTrainedInTheDatabase(t *testing.T) {
	t.Parallel()
	w := warehousetest.Open(t, "duckdb")
	m, sql := unsearched("forest of four texts"), sqltext.Plain("sql/trips.sql", trips)
	want, err := mltrain.Train(t.Context(), w, m, sql, mltrain.Options{Warehouse: w, Memory: 1 << 30})
	if err != nil || want.Report.Inside {
		t.Fatal("rows that fit were not read:", err)
	}
	got, err := mltrain.Train(t.Context(), w, m, sql, mltrain.Options{Warehouse: w, Memory: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Report.Inside || got.Version.Hash != want.Version.Hash {
		t.Errorf("in the database: %v, artifact %.12s, and %.12s when rows are read", got.Report.Inside, got.Version.Hash, want.Version.Hash)
	}
	folds(&m)
	got, err = mltrain.Train(t.Context(), w, m, sql, mltrain.Options{Warehouse: w, Memory: 100_000})
	if err != nil || !got.Report.Inside || got.Report.Folds == nil || got.Version.Hash != want.Version.Hash {
		t.Errorf("with folds: %v, %+v", err, got)
	}
	_, err = mltrain.Train(t.Context(), w, m, sql, mltrain.Options{Warehouse: w, Memory: 50_000})
	checkFinding(t, err, []string{"Folds do not fit in memory", "900 rows"})
	m = unsearched("boosting of numbers")
	_, err = mltrain.Train(t.Context(), w, m, sql, mltrain.Options{Warehouse: w, Memory: 50_000})
	checkFinding(t, err, []string{"Training rows do not fit in memory", "trained in the database"})
	f, err := mltrain.Foresee(t.Context(), w, changed(declaredKind("forest of four texts"), dealt("", 4)), sql, 0)
	if err != nil {
		t.Fatal(err)
	}
	if f.Trainings() != 3*3+4+1 || f.InDatabase.Predictions != 3*675+225+900 {
		t.Errorf("%d models and %d predictions are foreseen", f.Trainings(), f.InDatabase.Predictions)
	}
	for memory, want := range map[int64]string{1 << 30: "false they fit in memory", 50_000: "true they do not fit in memory"} {
		m := unsearched("forest of four texts")
		f, err := mltrain.Foresee(t.Context(), w, m, sql, memory)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(f.Inside, " ", f.Why); got != want || f.Rows != 900 || f.Features != 5 || f.InDatabase.Statements < 30 {
			t.Errorf("memory %d: %s, %+v", memory, got, f)
		}
	}
}

// TestNothingIsLeftInTheDatabase looks for tables after a training that succeeded, one that failed and one that was cancelled.
func TestNothingIsLeftInTheDatabase(t *testing.T) {
	t.Parallel()
	for kind, w := range warehousetest.Each(t) {
		for name, sql := range map[string]string{"success": trips, "failure": strings.Replace(trips, "then 'Bus!'", "then 'Bus!' when i > 0 then cast(i as text)", 1), "cancel": trips} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := changed(declaredKind("forest of four texts"), dealt("", 2))
			m.DataStays, m.Search.Trials, m.Search.Folds = true, 1, 2
			_, err := mltrain.Train(ctx, w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{Warehouse: w, Progress: func(p mltrain.Progress) {
				if name == "cancel" && p.Stage == mltrain.StageFolds && p.Done > 8 {
					cancel()
				}
			}})
			if (err == nil) != (name == "success") {
				t.Errorf("%s on %s: %v", name, kind, err)
			}
		}
		tables := "select count(*) from information_schema.tables where table_name like 'damson%'"
		if kind == "postgres" {
			tables = "select count(*) from pg_class where relname like 'damson%' and relkind = 'r'" // of all sessions
		}
		for left := int64(1); left > 0 && t.Context().Err() == nil; { // a session that was cancelled may take a moment to end
			r, err := w.Query(t.Context(), sqltext.Plain("", tables))
			if err != nil {
				t.Fatal(err)
			}
			found, err := rows.ReadOne(r)
			if err != nil {
				t.Fatal(err)
			}
			left = found[0].(int64)
		}
	}
}

// TestTheFingerprintNamesTheRows in whatever order they come.
func TestTheFingerprintNamesTheRows(t *testing.T) {
	t.Parallel()
	m := changed(unsearched("tree of 0 and 1"), excluding("speed", "turns", "paved"))
	for kind, w := range warehousetest.Each(t) {
		data := func(sql string) string {
			trained, err := inside(t, w, m, sql)
			if err != nil {
				t.Fatal(err)
			}
			return trained.Version.Data
		}
		want := data(trips)
		if data("select * from ("+trips+") as t order by noise, id") != want {
			t.Errorf("%s: another order of the rows gives another fingerprint", kind)
		}
		for _, change := range [][2]string{{"u4 as noise", "case when i = 7 then u4 + 1e-9 else u4 end as noise"}, {"then null else town end", "then '' else town end"}} {
			if data(strings.Replace(trips, change[0], change[1], 1)) == want {
				t.Errorf("%s: %s leaves the fingerprint as it was", kind, change[1])
			}
		}
	}
}

// TestGroupsOfEveryType stand on the same side in the database as in Go.
func TestGroupsOfEveryType(t *testing.T) {
	t.Parallel()
	m := changed(unsearched("tree of 0 and 1"), excluding("paved", "noise"))
	m.Split.By = "day"
	for kind, w := range warehousetest.Each(t) {
		for _, day := range []string{"date '2024-01-01' + cast(i / 30 as integer)", "cast(date '2024-01-01' + cast(i / 30 as integer) as timestamp with time zone)",
			"cast(date '2024-01-01' + cast(i / 30 as integer) as timestamp) + interval '1500 milliseconds'", "i % 3 = 0", "cast(i / 30 as bigint) - 5", "cast(i / 30 as smallint)"} {
			sql := strings.Replace(trips, "date '2024-01-01' + cast(i / 30 as integer) as day", day+" as day", 1)
			want, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{})
			if err != nil && strings.Contains(err.Error(), "One side of the split") {
				continue // two groups stand on one side
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := inside(t, w, m, sql)
			if err != nil {
				t.Fatal(err)
			}
			if got.Version.Hash != want.Version.Hash {
				t.Errorf("%s: groups of %s: other models", kind, day)
			}
		}
		m.Split.By = "turns"
		_, err := inside(t, w, m, trips)
		checkFinding(t, err, []string{"Column can not be drawn by", `"turns"`, "cast(turns as bigint)"})
		m.Split.By, m.Folds = "day", &pipeline.Folds{K: 3, By: "turns"}
		_, err = inside(t, w, m, trips)
		checkFinding(t, err, []string{"Column can not be drawn by", `"turns", cross_validation by`, "cast(turns as bigint)"})
		if f, err := mltrain.Foresee(t.Context(), w, m, sqltext.Plain("", trips), 0); err != nil || f.Inside {
			t.Error("rows that are read may be dealt out by any column:", err)
		}
		m.Folds = nil
	}
}
