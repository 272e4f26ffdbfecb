package cluster

import (
	"fmt"
	"math"
	"strings"

	"damson/internal/sqltext"
)

// Item is what a step of SQL adds: an expression under a name.
type Item struct{ Name, Expression string }

// SQL writes the nearest cluster, as a bigint, and the distance to its centre over the given columns, which DuckDB, PostgreSQL
// and the Greenplum family read alike. A column is a SQL expression of type double precision in which a missing value is NULL.
// The items of a step read the columns of the step before; their names begin with prefix. It panics when there are not as many
// columns as features.
func (m *Model) SQL(columns []string, prefix string) (steps [][]Item, cluster, distance string) {
	if len(columns) != len(m.features) {
		panic("cluster: another number of columns than the model has features")
	}
	used := m.used()
	var places, gaps []Item
	for _, f := range used {
		places = append(places, Item{fmt.Sprintf("%sz%d", prefix, f), m.features[f].placeSQL(columns[f])})
	}
	var names []string
	for c := range m.clusters {
		gaps = append(gaps, Item{fmt.Sprintf("%sd%d", prefix, c), m.gapSQL(c, used, places)})
		names = append(names, gaps[c].Name)
	}
	least := prefix + "least"
	var choice strings.Builder
	choice.WriteString("cast(case")
	for c, name := range names[:len(names)-1] {
		fmt.Fprintf(&choice, " when %s = %s then %d", name, least, c)
	}
	fmt.Fprintf(&choice, " else %d end as bigint)", len(names)-1)
	steps = [][]Item{places, gaps, {{least, "least(" + strings.Join(names, ", ") + ")"}}}
	return steps, choice.String(), "sqrt(" + least + ")"
}

// placeSQL writes a coordinate as place computes it.
func (f *feature) placeSQL(column string) string {
	text := "case when " + column + " is null then float8 '0'"
	for _, infinite := range []float64{math.Inf(1), math.Inf(-1)} {
		text += fmt.Sprintf(" when %s = %s then %s", column, sqltext.Double(infinite), sqltext.Double(f.place(infinite)))
	}
	deviation := fmt.Sprintf("%s - %s", column, sqltext.Double(f.mean))
	text += fmt.Sprintf(" when abs(%s) < %s then float8 '0'", deviation, sqltext.Double(f.near()))
	far := fmt.Sprintf("least(greatest(%s, %s), %s)", deviation, sqltext.Double(-f.far()), sqltext.Double(f.far()))
	if f.divisor != 1 {
		far += " / " + sqltext.Double(f.divisor)
	}
	return text + " else " + far + " end"
}

// gapSQL writes the squared distance from a centre, added up as gaps does.
func (m *Model) gapSQL(c int, used []int, places []Item) string {
	if len(used) == 1 {
		d := fmt.Sprintf("(%s - %s)", places[0].Name, sqltext.Double(m.clusters[c].Centre[used[0]]))
		return d + " * " + d
	}
	half := len(used) / 2
	return "(" + m.gapSQL(c, used[:half], places[:half]) + " + " + m.gapSQL(c, used[half:], places[half:]) + ")"
}

// Nodes says how large the SQL is: what DuckDB takes to plan it grows with the square of its columns, the coordinates and the
// distances.
func (m *Model) Nodes() int {
	columns := len(m.used()) + len(m.clusters)
	return columns * columns
}
