package tree_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	"damson/internal/forest"
	"damson/internal/pgtest"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse/warehousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fill puts the rows in table t: i, f0, f1, … NULL stands for every second missing value, NaN for the others.
func fill(t testing.TB, db *sql.DB, columns [][]float64) {
	t.Helper()
	names := columnNames(len(columns))
	exec := func(text string) {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table t (i integer, " + strings.Join(names, " float8, ") + " float8)")
	n := len(columns[0])
	for lo := 0; lo < n; lo += 1000 {
		var rows []string
		for i := lo; i < min(lo+1000, n); i++ {
			values := []string{fmt.Sprint(i)}
			for _, c := range columns {
				values = append(values, sqlValue(c[i], i))
			}
			rows = append(rows, "("+strings.Join(values, ",")+")")
		}
		exec("insert into t values " + strings.Join(rows, ","))
	}
}

func sqlValue(v float64, i int) string {
	switch {
	case math.IsNaN(v) && i%2 == 0:
		return "null"
	case math.IsNaN(v):
		return "float8 'NaN'"
	}
	return sqltext.Double(v)
}

func columnNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	return names
}

// scoringSQL scores table t as the training package does: values made ready once, then the steps.
func scoringSQL(m *tree.Model) string {
	names := columnNames(m.Features())
	ready := make([]string, len(names))
	for i, name := range names {
		ready[i] = tree.SQLValue(name) + " as " + name
	}
	scoring := m.SQL(names, "s_")
	from := fmt.Sprintf("(select i, %s from t offset 0)", strings.Join(ready, ", "))
	for n, step := range scoring.Steps {
		var items []string
		for _, item := range step {
			items = append(items, item.Expression+" as "+item.Name)
		}
		from = fmt.Sprintf("(select *, %s from %s as step%d offset 0)", strings.Join(items, ", "), from, n)
	}
	return fmt.Sprintf("select i, %s from %s as x", strings.Join(scoring.Outputs, ", "), from)
}

func TestSQLGivesTheSameOutputs(t *testing.T) {
	t.Parallel()
	for _, name := range warehousetest.Kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := warehousetest.SQL(t, name)
			unseen := sample(10_000, 0, 12, true).Columns
			fill(t, db, unseen)
			each(t, func(t *testing.T, m *tree.Model) { checkSQL(t, db, m, unseen) })
		})
	}
}

// checkSQL compares the database's outputs with Go's: they are the same to the last bit where no exp is asked for.
func checkSQL(t *testing.T, db *sql.DB, m *tree.Model, columns [][]float64) {
	t.Helper()
	want, err := m.PredictRows(context.Background(), columns, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "set jit = off"); err != nil && !strings.Contains(err.Error(), "unrecognized") {
		t.Fatal(err)
	}
	rows, err := conn.QueryContext(context.Background(), scoringSQL(m))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tolerance := 0.0
	if m.Kind() == tree.Boosted && m.Classes() > 0 {
		tolerance = 1e-12
	}
	i, got := 0, make([]float64, len(want))
	into := []any{&i}
	for k := range got {
		into = append(into, &got[k])
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for k := range got {
			if !(math.Abs(got[k]-want[k][i]) <= tolerance) {
				t.Fatalf("row %d, output %d: %v by SQL, %v by Go", i, k, got[k], want[k][i])
			}
		}
	}
	if rows.Err() != nil || n != len(want[0]) {
		t.Fatalf("%d rows of %d, %v", n, len(want[0]), rows.Err())
	}
}

// TestLargestSQLRuns scores with the largest forests that MaxSQLNodes lets through, wide and deep.
func TestLargestSQLRuns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	db := warehousetest.SQL(t, "duckdb")
	unseen := sample(300, 0, 13, true).Columns
	fill(t, db, unseen)
	for _, p := range []forest.Params{
		{Trees: 24, MaxDepth: 8, MinLeaf: 1, Bins: 255},
		{Trees: 1, MaxDepth: 64, MinLeaf: 1, Bins: 255},
		{Trees: 2000, MaxDepth: 1, MinLeaf: 1, Bins: 10},
	} {
		m, err := grow(2, p)
		if err != nil {
			t.Fatal(err)
		}
		if m.Nodes() > tree.MaxSQLNodes {
			t.Fatalf("%d nodes", m.Nodes())
		}
		checkSQL(t, db, m, unseen)
	}
}

// TestSQLIsWritten keeps the text under review, for trees made by hand.
func TestSQLIsWritten(t *testing.T) {
	t.Parallel()
	d := tree.Data{Columns: [][]float64{{0, 1, 2, 3}, {0, 1, 1, 0}}, Categories: []int{0, 3}, Classes: 2, Class: []uint8{0, 0, 1, 1}, Keys: make([]tree.Key, 4)}.WithRows()
	b, err := tree.Cut(context.Background(), d, 255, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(n0, n1 uint64) *tree.Node { return &tree.Node{Counts: []uint64{n0, n1}, Rows: n0 + n1} }
	occur := []uint8{1, 2}
	f := tree.NewForest(b, 2, []uint64{1, 1})
	f.Add(b,
		&tree.Node{Split: tree.Split{Bin: 1, MissingLeft: true}, Left: leaf(3, 1), Right: leaf(0, 5)},
		&tree.Node{Split: tree.Split{Bin: 4}, Left: leaf(1, 0), Right: leaf(2, 1)},
		&tree.Node{Split: tree.Split{Feature: 1, Categories: tree.Prefix(occur[:1], occur, true), MissingLeft: true}, Left: leaf(1, 0), Right: leaf(2, 1)},
		&tree.Node{Split: tree.Split{Feature: 1, Categories: tree.Prefix(occur[:1], occur, false)}, Left: leaf(1, 0), Right: leaf(2, 1)},
	)
	third := "float8 '0.3333333333333333'"
	want := `((case when a <= float8 '0.5' or a is null then float8 '0.25' else float8 '1' end` +
		` + case when a is not null then float8 '0' else ` + third + ` end` +
		` + case when s_bit1 is null or (bigint '5' & s_bit1) <> 0 then float8 '0' else ` + third + ` end` +
		` + case when (bigint '1' & s_bit1) <> 0 then float8 '0' else ` + third + ` end)) / float8 '4'`
	steps := []string{
		`s_position1 = case when "B" >= float8 '0' and "B" <= float8 '2' and "B" = floor("B") then cast("B" as integer) end`,
		`s_bit1 = bigint '1' << (s_position1 % 63)`,
	}
	got := f.SQL([]string{"a", `"B"`}, "s_")
	if got.Outputs[0] != want {
		t.Errorf("got  %s\nwant %s", got.Outputs[0], want)
	}
	for i, want := range steps {
		if item := got.Steps[i][0]; item.Name+" = "+item.Expression != want {
			t.Errorf("got  %s\nwant %s", item, want)
		}
	}
}
