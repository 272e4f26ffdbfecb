//go:build duckdb_arrow

package feature_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"damson/internal/diag"
	"damson/internal/feature"
	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// inSQL names every feature of the reference that there is an aggregate for.
func inSQL(t *testing.T, r reference) []string {
	t.Helper()
	var names []string
	for _, name := range append(slices.Clone(r.Names), r.Comprehensive...) {
		if _, err := feature.SQL("x", parse(t, name)); err == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// measured are the series of the reference as a database has them: after each third value one that counts for nothing.
func measured(r reference) (series map[string][]float64, inserts []string) {
	series = map[string][]float64{}
	nothing := []string{"null", "float8 'NaN'", "float8 'Infinity'", "float8 '-Infinity'"}
	for _, name := range slices.Sorted(maps.Keys(r.Series)) {
		values := r.Series[name].Values
		list := []string{fmt.Sprintf("('%s', null)", name)}
		for i, v := range values {
			list = append(list, fmt.Sprintf("('%s', float8 '%v')", name, v))
			if i%3 == 0 {
				list = append(list, fmt.Sprintf("('%s', %s)", name, nothing[i/3%4]))
			}
		}
		series[name] = slices.Clone(values)
		inserts = append(inserts, "insert into t values "+strings.Join(list, ", "))
	}
	return series, inserts
}

// TestSQLGivesWhatGoGives computes every feature that SQL has over the same series both ways, on every database.
func TestSQLGivesWhatGoGives(t *testing.T) {
	t.Parallel()
	r := readReference(t)
	names := inSQL(t, r)
	if len(names) < 60 {
		t.Fatalf("only %d features in SQL", len(names))
	}
	features := parse(t, names...)
	items, err := feature.SQL("x", features)
	if err != nil {
		t.Fatal(err)
	}
	series, inserts := measured(r)
	for _, kind := range warehousetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := opened(t, kind, append([]string{"create table t (id text, x double precision)"}, inserts...)...)
			for _, row := range asked(t, db, "select id, "+strings.Join(items, ", ")+" from t group by id") {
				id := row[0].(string)
				want := feature.NewExtractor(features, nil).Append(nil, slices.Clone(series[id]))
				for i, name := range names {
					got := math.NaN()
					if row[i+1] != nil {
						got = row[i+1].(float64)
					}
					if !(math.Abs(got-want[i]) <= 1e-9*max(1, math.Abs(want[i])) || math.IsNaN(got) && math.IsNaN(want[i])) {
						t.Errorf("%s of %s is %v in SQL and %v in Go", name, id, got, want[i])
					}
				}
			}
		})
	}
}

// TestSQLOfIntegersAndDecimals: a column need not be of double precision, and its name need not be plain.
func TestSQLOfIntegersAndDecimals(t *testing.T) {
	t.Parallel()
	for _, kind := range warehousetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := opened(t, kind, `create table t ("Whole n" bigint, d decimal(6, 2))`, `insert into t values (1, 1.5), (2, 2.5), (4, null), (null, 5)`)
			whole, err := feature.SQL(`"Whole n"`, parse(t, "minimal", "count_above__t_2"))
			if err != nil {
				t.Fatal(err)
			}
			decimals, err := feature.SQL("d", parse(t, "sum_values", "variance", "has_duplicate"))
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%.4v", asked(t, db, "select "+strings.Join(append(whole, decimals...), ", ")+" from t")[0])
			if want := "[7 2 2.333 3 1.247 1.556 2.646 4 4 1 0.6667 9 2.167 0]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestSQLRefusesWhatNeedsOrder: the finding names the calculator and the way out.
func TestSQLRefusesWhatNeedsOrder(t *testing.T) {
	t.Parallel()
	_, err := feature.SQL("x", parse(t, "mean", "c3__lag_1"))
	var all diag.Findings
	if !errors.As(err, &all) || len(all) != 1 || !strings.Contains(all[0].Detail, "c3__lag_1") || !strings.Contains(all[0].Fix, "p.features") {
		t.Errorf("got %v", err)
	}
}

func opened(t *testing.T, kind string, statements ...string) driver.Warehouse {
	t.Helper()
	db := warehousetest.Driver(t, kind)
	for _, sql := range statements {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return db
}

func asked(t *testing.T, db driver.Warehouse, sql string) [][]any {
	t.Helper()
	r, err := db.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	all, err := rows.ReadAll(r)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d rows of %s: %v", len(all), sql, err)
	}
	return all
}
