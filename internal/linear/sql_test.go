package linear_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	"damson/internal/linear"
	"damson/internal/pgtest"
	"damson/internal/sqltext"
	"damson/internal/warehouse/warehousetest"
)

// table creates table t with the columns f0, f1, …, and a row number i.
func table(t *testing.T, db *sql.DB, columns []linear.Column) {
	t.Helper()
	exec := func(text string) {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	definition := []string{"i integer"}
	for c, column := range columns {
		kind := "double precision"
		if column.Numbers == nil {
			kind = "text"
		}
		definition = append(definition, fmt.Sprintf("f%d %s", c, kind))
	}
	exec("create table t (" + strings.Join(definition, ", ") + ")")
	n := len(columns[0].Numbers)
	for lo := 0; lo < n; lo += 500 {
		var rows []string
		for i := lo; i < min(lo+500, n); i++ {
			values := []string{fmt.Sprint(i)}
			for _, c := range columns {
				switch {
				case c.Numbers != nil && !math.IsNaN(c.Numbers[i]):
					values = append(values, sqltext.Double(c.Numbers[i]))
				case c.Numbers == nil && c.Codes[i] >= 0:
					values = append(values, sqltext.QuoteLiteral(c.Levels[c.Codes[i]]))
				default:
					values = append(values, "null")
				}
			}
			rows = append(rows, "("+strings.Join(values, ",")+")")
		}
		exec("insert into t values " + strings.Join(rows, ","))
	}
}

func checkSQL(t *testing.T, db *sql.DB, m *linear.Model, columns []linear.Column) {
	t.Helper()
	names := make([]string, len(columns))
	for c := range columns {
		names[c] = fmt.Sprintf("f%d", c)
	}
	want, err := m.PredictRows(context.Background(), columns, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	// In one step, and by scores in a subquery.
	scores := m.Scores(names)
	outer := make([]string, len(scores))
	for k := range scores {
		scores[k] += fmt.Sprintf(" as s%d", k)
		outer[k] = fmt.Sprintf("s%d", k)
	}
	for _, text := range []string{
		"select i, " + strings.Join(m.SQL(names), ", ") + " from t",
		"select i, " + strings.Join(m.Probabilities(outer), ", ") + " from (select i, " + strings.Join(scores, ", ") + " from t) as x",
	} {
		compare(t, db, text, want)
	}
}

func compare(t *testing.T, db *sql.DB, text string, want [][]float64) {
	t.Helper()
	rows, err := db.Query(text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var i int
		got := make([]float64, len(want))
		targets := []any{&i}
		for k := range got {
			targets = append(targets, &got[k])
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		for k, v := range got {
			if !(math.Abs(v-want[k][i]) <= 1e-12*max(1, math.Abs(want[k][i]))) {
				t.Fatalf("row %d, output %d: %v by SQL, %v by Go", i, k, v, want[k][i])
			}
		}
	}
	if rows.Err() != nil || n != len(want[0]) {
		t.Fatalf("%d rows of %d, %v", n, len(want[0]), rows.Err())
	}
}

// wild are rows that training did not see: other values, infinities, numbers at the end of their range, a new level with
// a quote.
func wild() []linear.Column {
	columns := sample(1_500, 2, 33).Columns
	for i, v := range []float64{math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.Inf(-1), 5e-324, 0} {
		for c := range 6 {
			columns[c].Numbers[i*7+c] = v
		}
	}
	columns[6].Levels = []string{"rome", "oslo", "Côte d'Or", "bern"}
	return columns
}

func models(t *testing.T) []*linear.Model {
	var out []*linear.Model
	for _, classes := range []int{0, 2, 3, 6} {
		d := sample(2_000, classes, 21)
		d.Columns[6].Levels = []string{"rome", "oslo", "bern", "Côte d'Or"}
		m, _ := mustTrain(t, d, linear.Params{Penalty: 0.001, L1Ratio: 0.2, MissingIndicators: classes != 3}, 2)
		out = append(out, m)
	}
	return out
}

func TestSQLAgrees(t *testing.T) {
	t.Parallel()
	for _, kind := range warehousetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db := warehousetest.SQL(t, kind)
			table(t, db, wild())
			for _, m := range models(t) {
				checkSQL(t, db, m, wild())
			}
		})
	}
}

func TestMain(m *testing.M) { pgtest.Main(m) }
