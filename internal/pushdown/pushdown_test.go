package pushdown_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/forest"
	"damson/internal/pgtest"
	"damson/internal/pushdown"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// hard are rows that SQL and Go have to read alike: numbers with NULL, NaN, infinities, both zeros, ties, few and many
// different values; texts with NULL, the empty text, quotes and letters; more texts than bins; a constant, and nothing at all.
const hard = `select 'r' || cast(i as text) as id, 'group ' || cast(i % 60 as text) as grp,
  case when i % 19 = 0 then null when i % 23 = 0 then cast('NaN' as double precision) when i % 29 = 0 then cast('Infinity' as double precision)
    when i % 31 = 0 then cast('-Infinity' as double precision) else u1 end as x0,
  floor(u2 * 40) / 8 as x1, case when i % 3 = 0 then float8 '0' when i % 3 = 1 then float8 '-0' else u3 - 0.5 end as x2, u4 > 0.4 as x3,
  cast(i % 2000 as bigint) as x4, cast(null as double precision) as x5, float8 '1' as x6,
  case when i % 17 = 0 then null else case i % 7 when 0 then 'Bree' when 1 then 'O''Hara' when 2 then '' when 3 then 'Łódź' else 'elsewhere' end end as x7,
  'town ' || cast(floor(u5 * u5 * 400) as text) as x8, exp(20 * u4 - 10) as x9,
  case when u1 + u2 / 3 + case when i % 7 = 1 then 0.4 else 0.0 end > 0.8 then 1 else 0 end as late,
  case when u1 + u5 / 4 > 0.8 then 'Bus!' when u2 + u5 / 4 > 0.6 then 'walk' when i % 7 = 0 then 'boat' else 'it''s a car' end as mode,
  10 * u1 - 3 * u2 + case when i % 7 = 1 then 2 else 0 end + u5 / 7 as minutes
from (select i, cast((i * 7919 + 13) % 100003 as double precision) / 100003 as u1, cast((i * 104729 + 7) % 100019 as double precision) / 100019 as u2,
    cast((i * 1299709 + 5) % 997 as double precision) / 997 as u3, cast((i * 15485863 + 3) % 9973 as double precision) / 9973 as u4,
    cast((i * 32452843 + 11) % 99991 as double precision) / 99991 as u5
  from (select cast(n as bigint) as i from generate_series(1, 3000) as s(n)) as numbers) as drawn`

// streamHold is any stream of the seed that is not another's.
const streamHold = 1

func TestTheForestIsTheOneGrownInMemory(t *testing.T) {
	t.Parallel()
	params := forest.Params{Trees: 6, MaxDepth: 6, FeaturesPerSplit: 3, MinSplit: 2, MinLeaf: 2, Bins: 60, Seed: 7}
	for name, test := range map[string]struct {
		target string
		change func(p *forest.Params)
	}{
		"two classes":  {"late", func(p *forest.Params) { p.Bins = 255 }},
		"four classes": {"mode", func(p *forest.Params) { p.ClassWeights = []float64{1, 2, 0.5, 1} }},
		"numbers":      {"minutes", func(p *forest.Params) { p.FeaturesPerSplit = 0 }},
		"one tree":     {"late", func(p *forest.Params) { *p = forest.DecisionTree(*p); p.Alpha, p.MaxDepth = 0.0002, 12 }},
	} {
		warehouses := warehousetest.Each(t)
		warehouses["greenplum"] = warehouses["postgres"] // its SQL is read by PostgreSQL, too
		for kind, w := range warehouses {
			t.Run(name+" on "+kind, func(t *testing.T) {
				t.Parallel()
				p := params
				test.change(&p)
				source := sqltext.Plain("sql/hard.sql", hard)
				want, err := forest.Train(t.Context(), inMemory(t, w, source, test.target), p, forest.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if got := pushed(t, w, kind, source, test.target, p); !bytes.Equal(got.Encode(), want.Encode()) {
					t.Errorf("the database grew forest %.12s of %d nodes, Go %.12s of %d", got.Hash(), got.Nodes(), want.Hash(), want.Nodes())
				}
			})
		}
	}
}

// columnsOf finds the parts by their names in hard.
func columnsOf(t *testing.T, s pushdown.Session, source sqltext.Text, target string) (c pushdown.Columns) {
	t.Helper()
	r, err := s.Query(t.Context(), sqltext.Plain("", "select * from ("+source.SQL()+") as source limit 0"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for _, f := range r.Schema().Fields() {
		switch {
		case f.Name == "id":
			c.ID = f
		case f.Name == "grp":
			c.Group = f
		case f.Name == target:
			c.Target = f
		case f.Name[0] == 'x':
			c.Features = append(c.Features, f)
		}
	}
	return c
}

// pushed grows the forest in the database, by the SQL of that kind.
func pushed(t *testing.T, w *warehouse.Warehouse, kind string, source sqltext.Text, target string, p forest.Params) *tree.Model {
	t.Helper()
	s, err := w.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	columns := columnsOf(t, s, source, target)
	r, err := pushdown.Stage(t.Context(), s, kind, source, columns)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Facts(t.Context()); err != nil { // which also tells what features no row lacks
		t.Fatal(err)
	}
	r.HoldOutGroups(tree.NewDraw(p.Seed, streamHold), 0.2)
	l := pushdown.Lesson{Params: p, Levels: make([][]string, len(columns.Features))}
	switch target {
	case "late":
		l.Classes.Numbers = []float64{0, 1}
	case "mode":
		if l.Classes.Texts, err = r.Texts(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		slices.Sort(l.Classes.Texts)
	}
	if _, _, err := r.Sides(t.Context(), l.Classes); err != nil {
		t.Fatal(err)
	}
	for f, own := range columns.Features {
		if own.Type == arrow.BinaryTypes.String {
			if l.Levels[f], err = r.Levels(t.Context(), f, 1000); err != nil {
				t.Fatal(err)
			}
			slices.Sort(l.Levels[f])
		}
	}
	m, err := r.Split().Learn(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// inMemory reads the same rows as package forest takes them.
func inMemory(t *testing.T, w *warehouse.Warehouse, source sqltext.Text, target string) tree.Data {
	t.Helper()
	reader, err := w.Query(context.Background(), source)
	if err != nil {
		t.Fatal(err)
	}
	schema := reader.Schema()
	all, err := rows.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	hold := tree.NewDraw(7, streamHold)
	var d tree.Data

	for i, row := range all {
		d.Keys = append(d.Keys, tree.KeyOf(row[0].(string)))
		if !hold.Below(tree.KeyOf(row[1].(string)), 0.2) {
			d.Rows = append(d.Rows, int32(i))
		}
	}
	for c, f := range schema.Fields() {
		switch {
		case f.Name == target && target == "minutes":
			d.Number = numbers(all, c)
		case f.Name == target:
			codes, classes := coded(all, c)
			d.Classes = len(classes)
			for _, code := range codes {
				d.Class = append(d.Class, uint8(code))
			}
		case f.Name[0] == 'x' && f.Type == arrow.BinaryTypes.String:
			codes, levels := coded(all, c)
			d.Columns, d.Categories = append(d.Columns, codes), append(d.Categories, len(levels)+1)
		case f.Name[0] == 'x':
			d.Columns, d.Categories = append(d.Columns, numbers(all, c)), append(d.Categories, 0)
		}
	}

	return d
}

func numbers(all [][]any, c int) []float64 {
	out := make([]float64, len(all))
	for i, row := range all {
		switch v := row[c].(type) {
		case float64:
			out[i] = v
		case int64:
			out[i] = float64(v)
		case bool:
			if v {
				out[i] = 1
			}
		default:
			out[i] = math.NaN()
		}
	}
	return out
}

// coded numbers a column's values in their order.
func coded(all [][]any, c int) (codes []float64, names []string) {
	for _, row := range all {
		if row[c] != nil {
			names = append(names, fmt.Sprint(row[c]))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, row := range all {
		code := math.NaN()
		if row[c] != nil {
			at, _ := slices.BinarySearch(names, fmt.Sprint(row[c]))
			code = float64(at)
		}
		codes = append(codes, code)
	}
	return codes, names
}
