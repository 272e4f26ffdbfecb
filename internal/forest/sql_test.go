package forest

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
)

// duckTable opens an embedded database with the rows in table t: i, f0, f1, … NULL stands for every second missing value,
// NaN for the others.
func duckTable(t testing.TB, columns [][]float64) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	names := columnNames(len(columns))
	exec := func(text string) {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table t (i integer, " + strings.Join(names, " double, ") + " double)")
	n := len(columns[0])
	for lo := 0; lo < n; lo += 1000 {
		var rows []string
		for i := lo; i < min(lo+1000, n); i++ {
			values := []string{fmt.Sprint(i)}
			for _, c := range columns {
				values = append(values, duckValue(c[i], i))
			}
			rows = append(rows, "("+strings.Join(values, ",")+")")
		}
		exec("insert into t values " + strings.Join(rows, ","))
	}
	return db
}

func duckValue(v float64, i int) string {
	switch {
	case math.IsNaN(v) && i%2 == 0:
		return "null"
	case math.IsNaN(v):
		return "float8 'NaN'"
	}
	return SQLDouble(v)
}

func columnNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	return names
}

// scoringSQL scores table t as the training package does: values made ready once, then the expression.
func scoringSQL(f *Forest) string {
	names := columnNames(f.Features())
	ready := make([]string, len(names))
	for i, name := range names {
		ready[i] = SQLValue(name) + " as " + name
	}
	return fmt.Sprintf("select i, %s as p from (select i, %s from t) as x", f.SQL(names), strings.Join(ready, ", "))
}

func TestSQLGivesTheSameProbabilities(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]Params{
		"talk": talk,
		"deep": {Trees: 7, MaxDepth: 20, MinLeaf: 3, Bins: 255, Seed: 1},
		"one":  {Trees: 1, MaxDepth: 64, MinLeaf: 1, Bins: 255, Seed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := mustTrain(t, sampleData(3000, 10, 11), p, 2)
			unseen := sampleData(10_000, 10, 12).Columns
			checkSQL(t, duckTable(t, unseen), f, unseen)
		})
	}
}

// checkSQL compares the database's probabilities with Go's: they are the same to the last bit.
func checkSQL(t *testing.T, db *sql.DB, f *Forest, columns [][]float64) {
	t.Helper()
	want, err := f.PredictRows(context.Background(), columns, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(scoringSQL(f))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var i int
		var p float64
		if err := rows.Scan(&i, &p); err != nil {
			t.Fatal(err)
		}
		if p != want[i] {
			t.Fatalf("row %d: %v by SQL, %v by Go", i, p, want[i])
		}
	}
	if rows.Err() != nil || n != len(want) {
		t.Fatalf("%d rows of %d, %v", n, len(want), rows.Err())
	}
}

// TestLargestSQLRuns scores with the largest forests that MaxSQLNodes lets through, wide and deep.
func TestLargestSQLRuns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	d := sampleData(20_000, 10, 11)
	unseen := sampleData(300, 10, 13).Columns
	db := duckTable(t, unseen)
	for _, p := range []Params{
		{Trees: 24, MaxDepth: 8, MinLeaf: 1, Bins: 255},
		{Trees: 1, MaxDepth: 64, MinLeaf: 1, Bins: 255},
		{Trees: 2000, MaxDepth: 1, MinLeaf: 1, Bins: 10},
	} {
		f := mustTrain(t, d, p, 2)
		if f.Nodes() > MaxSQLNodes {
			t.Fatalf("%d nodes", f.Nodes())
		}
		checkSQL(t, db, f, unseen)
	}
}

func TestSQLIsWritten(t *testing.T) {
	t.Parallel()
	f := &Forest{features: 2, trees: []tree{
		{nodes: []node{{value: 0.5, next: 2, missingLeft: true}, {kind: leafNode, value: 0.25}, {kind: leafNode, value: 1}}},
		{nodes: []node{{value: math.Inf(1), feature: 1, next: 2}, {kind: leafNode, value: 0}, {kind: leafNode, value: 1.0 / 3}}},
	}}
	want := `((case when a <= float8 '0.5' or a is null then float8 '0.25' else float8 '1' end` +
		` + case when "B" is not null then float8 '0' else float8 '0.3333333333333333' end)) / float8 '2'`
	if got := f.SQL([]string{"a", `"B"`}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
