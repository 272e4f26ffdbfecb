package pushdown

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/forest"
)

// A count's key is made of three numbers: the question, the bin and the class.
const (
	classesOfKey = 128 // tree.MaxClasses and more; a bin times it is still a smallint
	binsOfKey    = 256
)

// count answers the questions, those of some trees in one statement.
func (p *Part) count(ctx context.Context, l Lesson, levels *forest.Levels, asks []forest.Ask) error {
	var parts []string
	nodes := 0
	flush := func() error {
		err := p.union(ctx, parts, func(row []int64) error {
			key := int(row[0])
			return levels.Add(key/(binsOfKey*classesOfKey), key/classesOfKey%binsOfKey, key%classesOfKey, uint64(row[1]), row[2])
		})
		parts, nodes = nil, 0
		return err
	}
	for from := 0; from < len(asks); {
		to := from
		for to < len(asks) && asks[to].Tree == asks[from].Tree {
			to++
		}
		w := router{Rows: p.Rows}
		w.write(levels.Route(asks[from].Tree))
		w.size += to - from
		if len(parts) > 0 && (nodes+w.size > nodesAtOnce || len(parts) == treesAtOnce) {
			if err := flush(); err != nil {
				return err
			}
		}
		routed := fmt.Sprintf("select bins, class, number, times, %s as node from %s", w.String(), p.drawn(l.Params, asks[from].Tree))
		parts, nodes, from = append(parts, p.histograms(l, routed, asks[from:to], from)), nodes+w.size, to
	}
	return flush()
}

// histograms writes the SELECT that answers questions of one tree, of which the first has the given number. routed gives rows with
// their nodes.
func (p *Part) histograms(l Lesson, routed string, asks []forest.Ask, first int) string {
	if p.dialect.sets && mostAsks(asks) <= mostSets {
		return p.bySets(l, routed, asks, first)
	}
	wanted := make([]string, len(asks))
	for i, ask := range asks {
		wanted[i] = fmt.Sprintf("(%d, %d, %d)", ask.Node, ask.Feature, (first+i)*binsOfKey*classesOfKey)
	}
	return fmt.Sprintf(`select cast(key as bigint) as key, %s
from (select wanted.ask + %s * %d + class as key, number, times from (%s) as routed
  join (values %s) as wanted (node, feature, ask) on wanted.node = routed.node) as counted
group by key`, l.sums(), p.dialect.unpack("routed.bins", "wanted.feature"), classesOfKey, routed, strings.Join(wanted, ", "))
}

// mostSets is how many features of a node one pass over the rows counts.
const mostSets = 32

// mostAsks is how many questions there are of one node.
func mostAsks(asks []forest.Ask) int {
	most, of := 0, map[int]int{}
	for _, ask := range asks {
		of[ask.Node]++
		most = max(most, of[ask.Node])
	}
	return most
}

// bySets counts a node's first feature, second and so on as grouping sets, whose keys a row looks up by its node: no row has to be
// joined with the questions about it. The keys stand in a subquery of their own, since PostgreSQL, which cannot know how many there
// are, would sort the rows when it thinks that hashing them takes much memory.
func (p *Part) bySets(l Lesson, routed string, asks []forest.Ask, first int) string {
	nodes := 0
	for _, ask := range asks {
		nodes = max(nodes, ask.Node+1)
	}
	width := mostAsks(asks)
	questions, features := make([][]string, width), make([][]string, width)
	for k := range width {
		questions[k], features[k] = nulls(nodes), nulls(nodes)
	}
	of := map[int]int{}
	for i, ask := range asks {
		k := of[ask.Node]
		of[ask.Node]++
		questions[k][ask.Node], features[k][ask.Node] = fmt.Sprint((first+i)*binsOfKey*classesOfKey), fmt.Sprint(ask.Feature)
	}
	names, keys := make([]string, width), make([]string, width)
	for k := range width {
		names[k] = fmt.Sprintf("k%d", k)
		keys[k] = fmt.Sprintf("%s + %s * %d + class as %s", element(questions[k], "node"), p.dialect.unpack("bins", element(features[k], "node")), classesOfKey, names[k])
	}
	key := "coalesce(" + strings.Join(names, ", ") + ")"
	return fmt.Sprintf(`select cast(%s as bigint) as key, rows_drawn, total
from (select %s, %s from (select number, times, %s from (%s%s) as routed where node is not null%s) as keyed
  group by grouping sets ((%s))) as counted
where %s is not null`, key, strings.Join(names, ", "), l.sums(), strings.Join(keys, ", "), routed, p.dialect.fence, p.dialect.fence, strings.Join(names, "), ("), key)
}

func nulls(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "null"
	}
	return all
}

// element writes the value with a number, from 0.
func element(values []string, number string) string {
	return fmt.Sprintf("(cast('[0:%d]={%s}' as integer[]))[%s]", len(values)-1, strings.Join(values, ","), number)
}

// router writes where rows go.
type router struct {
	strings.Builder
	*Rows
	size int
}

func (w *router) write(b *forest.Branch) {
	w.size++
	switch {
	case b == nil:
		w.WriteString("null")
		return
	case b.Node >= 0:
		fmt.Fprint(w, b.Node)
		return
	}
	f := int(b.Split.Feature)
	w.WriteString("case when " + b.Split.SQL(w.dialect.unpack("bins", fmt.Sprint(f)), w.complete(f)) + " then ")
	w.write(b.Left)
	w.WriteString(" else ")
	w.write(b.Right)
	w.WriteString(" end")
}
