package cluster_test

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	_ "github.com/jackc/pgx/v5/stdlib"

	"damson/internal/cluster"
	"damson/internal/pgtest"
	"damson/internal/sqltext"
)

// wild are rows that training did not see: infinities, missing values, numbers at the ends of their range, and such that lie at a
// mean or a centre but for the last bit, whose squares leave the range of numbers.
func wild(m *cluster.Model) [][]float64 {
	columns := numbers(heaps(500, 9, 4, 33))[:m.Features()]
	for c, own := range columns {
		ends := []float64{math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.Inf(-1), 5e-324, 1e-200, 0, math.NaN()}
		for _, k := range m.Clusters() {
			v := m.Value(c, k.Centre[c])
			ends = append(ends, v, math.Nextafter(v, math.Inf(1)))
		}
		mean := m.Value(c, 0)
		for i, v := range append(ends, mean, math.Nextafter(mean, math.Inf(-1))) {
			own[i*(c+5)] = v
		}
	}
	return columns
}

// clusterings are standardised and not, of many columns and of one, around 0 and of tiny numbers.
func clusterings(t *testing.T) []*cluster.Model {
	var out []*cluster.Model
	for _, standardise := range []bool{true, false} {
		p := standard
		p.Standardise = standardise
		columns := heaps(2_000, 6, 1, 21)
		for i := range columns[4].Numbers {
			columns[4].Numbers[i] = float64(i%3-1) * 1e-90
		}
		columns[4].Numbers[0], columns[4].Numbers[2] = 0, 0
		m, _ := mustTrain(t, columns, p, 2)
		out = append(out, m)
	}
	p := standard
	p.K = 2
	m, _ := mustTrain(t, heaps(500, 3, 1, 5)[:1], p, 1)
	out = append(out, m)
	// A centre at 0 exactly: whatever is near it has a square that is not 0 and yet too small for a number.
	around := cluster.Column{Name: "x"}
	for i := range 300 {
		around.Numbers = append(around.Numbers, float64(i%3-1)*1e-90)
	}
	p.K, p.Standardise = 3, false
	m, _ = mustTrain(t, []cluster.Column{around}, p, 1)
	return append(out, m)
}

// checkSQL compares with Go, bit by bit.
func checkSQL(t *testing.T, db *sql.DB, m *cluster.Model) {
	t.Helper()
	columns := wild(m)
	if _, err := db.Exec("drop table if exists t"); err != nil {
		t.Fatal(err)
	}
	definition, names := []string{"i integer"}, make([]string, len(columns))
	for c := range columns {
		names[c] = fmt.Sprintf("f%d", c)
		definition = append(definition, names[c]+" double precision")
	}
	var rows []string
	for i := range columns[0] {
		values := []string{fmt.Sprint(i)}
		for c := range columns {
			if v := columns[c][i]; v == v {
				values = append(values, sqltext.Double(v))
			} else {
				values = append(values, "null")
			}
		}
		rows = append(rows, "("+strings.Join(values, ",")+")")
	}
	if _, err := db.Exec("create table t (" + strings.Join(definition, ", ") + "); insert into t values " + strings.Join(rows, ",")); err != nil {
		t.Fatal(err)
	}
	wantClusters, wantDistances, err := m.PredictRows(t.Context(), columns, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	steps, own, distance := m.SQL(names, "x")
	from := "t"
	for n, step := range steps {
		text := "select *"
		for _, item := range step {
			text += ", " + item.Expression + " as " + item.Name
		}
		from = fmt.Sprintf("(%s from %s offset 0) as step%d", text, from, n)
	}
	got, err := db.Query("select i, " + own + ", " + distance + " from " + from)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	n := 0
	for ; got.Next(); n++ {
		var i, number int
		var d float64
		if err := got.Scan(&i, &number, &d); err != nil {
			t.Fatal(err)
		}
		if float64(number) != wantClusters[i] || d != wantDistances[i] {
			t.Fatalf("row %d: cluster %d at %v by SQL, %v at %v by Go", i, number, d, wantClusters[i], wantDistances[i])
		}
	}
	if got.Err() != nil || n != len(columns[0]) {
		t.Fatalf("%d rows of %d, %v", n, len(columns[0]), got.Err())
	}
}

func TestSQLAgreesInDuckDB(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, m := range clusterings(t) {
		checkSQL(t, db, m)
	}
}

func TestSQLAgreesInPostgreSQL(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("pgx", pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, m := range clusterings(t) {
		checkSQL(t, db, m)
	}
}
