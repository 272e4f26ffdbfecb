package tree

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"damson/internal/sqltext"
)

// MaxSQLNodes bounds the models that are worth scoring as SQL: beyond it a database takes longer to plan and run the
// expression than it takes to stream the rows through PredictRows. docs/models.md has the measurements.
const MaxSQLNodes = 12_000

// Scoring is a model as SQL: subqueries one around the other, whose columns a database computes once for each row.
type Scoring struct {
	Steps   [][]Item // innermost first; the items of a step read the columns of the steps below it
	Outputs []string // one expression for each output of the model, over the columns of all steps
}

// Item is a column that a step adds.
type Item struct{ Name, Expression string }

// SQL writes the model over the given columns, in SQL that DuckDB, PostgreSQL and the Greenplum family read alike. Each
// column is a SQL expression of type double precision in which a missing value is NULL: wrap what may be NaN in SQLValue.
// Names of the steps' columns begin with prefix. It panics on another number of columns than the model has features.
//
// Depths stay far below the databases' limits: a CASE for each level of a tree, and sums of sums (a flat chain of 1,100
// terms is refused by DuckDB).
func (m *Model) SQL(columns []string, prefix string) Scoring {
	if len(columns) != len(m.features) {
		panic("tree: another number of columns than the model has features")
	}
	w := &sqlWriter{model: m, columns: columns}
	ready := w.categories(prefix)
	sums := make([]string, m.Outputs())
	for k := range sums {
		w.output = k
		w.sum()
		sums[k] = w.String()
		w.Reset()
	}
	if m.summed {
		return Scoring{ready, sums}
	}
	if m.kind == Forest {
		for k := range sums {
			sums[k] = fmt.Sprintf("(%s) / %s", sums[k], sqltext.Double(float64(len(m.trees))))
		}
		return Scoring{ready, sums}
	}
	for k := range sums {
		sums[k] = fmt.Sprintf("%s + (%s)", sqltext.Double(m.start[k]), sums[k])
	}
	switch {
	case m.classes == 0:
		return Scoring{ready, sums}
	case m.classes == 2:
		return Scoring{ready, []string{fmt.Sprintf("float8 '1' / (float8 '1' + %s)", sqlExp("-("+sums[0]+")"))}}
	}
	return softmaxSQL(ready, sums, prefix)
}

// categories prepares the columns of categories that splits use, in two steps: the position of a row's category, and what
// set needs of it, its bit and, where one word does not hold all, its word. The bit takes the column's place.
func (w *sqlWriter) categories(prefix string) (steps [][]Item) {
	used := map[uint16]bool{}
	for i := range w.model.trees {
		for _, n := range w.model.trees[i].nodes {
			if n.kind == setNode {
				used[n.feature] = true
			}
		}
	}
	if len(used) == 0 {
		return nil
	}
	w.words = make([]string, len(w.columns))
	w.columns = slices.Clone(w.columns)
	steps = make([][]Item, 2)
	for i := range w.model.features {
		if !used[uint16(i)] {
			continue
		}
		f := &w.model.features[i]
		position, bit := fmt.Sprintf("%sposition%d", prefix, i), fmt.Sprintf("%sbit%d", prefix, i)
		steps[0] = append(steps[0], Item{position, f.position(w.columns[i])})
		steps[1] = append(steps[1], Item{bit, fmt.Sprintf("bigint '1' << (%s %% %d)", position, wordBits)})
		w.columns[i] = bit
		if f.words() > 1 {
			w.words[i] = fmt.Sprintf("%sword%d", prefix, i)
			steps[1] = append(steps[1], Item{w.words[i], fmt.Sprintf("cast(floor(%s / %s) as integer)", position, sqltext.Double(wordBits))})
		}
	}
	return steps
}

// softmaxSQL computes the scores, the highest of them, and the exponentials in steps of their own: each is used K times.
func softmaxSQL(ready [][]Item, sums []string, prefix string) Scoring {
	scores, powers := make([]Item, len(sums)), make([]Item, len(sums))
	var scoreNames, powerNames []string
	highest := prefix + "highest"
	for k := range sums {
		scores[k] = Item{fmt.Sprintf("%sscore%d", prefix, k), sums[k]}
		powers[k] = Item{fmt.Sprintf("%spower%d", prefix, k), sqlExp(scores[k].Name + " - " + highest)}
		scoreNames, powerNames = append(scoreNames, scores[k].Name), append(powerNames, powers[k].Name)
	}
	s := Scoring{Steps: append(ready, scores, []Item{{highest, "greatest(" + strings.Join(scoreNames, ", ") + ")"}}, powers)}
	total := strings.Join(powerNames, " + ")
	for _, name := range powerNames {
		s.Outputs = append(s.Outputs, fmt.Sprintf("%s / (%s)", name, total))
	}
	return s
}

// sqlExp is Exp: PostgreSQL refuses to compute what does not fit.
func sqlExp(x string) string {
	return fmt.Sprintf("exp(least(greatest(%s, %s), %s))", x, sqltext.Double(-expLimit), sqltext.Double(expLimit))
}

// SQLNodes is the number of nodes that SQL writes: with many classes, a tree of a forest is written for each of them; a
// split of categories counts as the words that its set takes.
func (m *Model) SQLNodes() int {
	total, copies := 0, 1
	if m.sparse() {
		copies = m.classes
	}
	for k := range copies {
		w := &sqlWriter{model: m, output: k}
		for i := range m.trees {
			total += w.size(&m.trees[i], 0)
		}
	}
	return total
}

// SQLValue makes a column that SQL accepts from an expression of any number type.
func SQLValue(expression string) string {
	return fmt.Sprintf("nullif(cast(%s as double precision), float8 'NaN')", expression)
}

// sqlWriter writes one output.
type sqlWriter struct {
	strings.Builder
	model   *Model
	columns []string // of categories, their bits
	words   []string // of categories that take more than one word
	output  int
}

// sum adds the output's trees in the order and the chunks of block.predict.
func (w *sqlWriter) sum() {
	scores := w.model.scores()
	rounds := len(w.model.trees) / scores
	for round := range rounds {
		switch {
		case round == 0 && rounds > 1:
			w.WriteString("(")
		case round > 0 && round%sumChunk == 0:
			w.WriteString(") + (")
		case round > 0:
			w.WriteString(" + ")
		}
		w.node(&w.model.trees[round*scores+w.output%scores], 0)
	}
	if rounds > 1 {
		w.WriteString(")")
	}
}

// uniform gives the value of the output when all leaves under i agree on it. Only shares of many classes are looked at:
// most classes do not occur under most nodes.
func (w *sqlWriter) uniform(t *tree, i int) (value float64, ok bool) {
	n := t.nodes[i]
	switch {
	case n.kind == leafNode:
		return w.value(t, n), true
	case !w.model.sparse():
		return 0, false
	}
	left, ok := w.uniform(t, i+1)
	if !ok {
		return 0, false
	}
	right, ok := w.uniform(t, int(n.next))
	return left, ok && left == right
}

// value is what a leaf adds to the output.
func (w *sqlWriter) value(t *tree, n node) float64 {
	if !w.model.sparse() {
		return n.value
	}
	l := t.leaves[n.next]
	for _, c := range t.counts[l.from:l.to] {
		if int(c.class) == w.output {
			return c.share
		}
	}
	return 0
}

// size counts the nodes that node writes.
func (w *sqlWriter) size(t *tree, i int) int {
	if _, ok := w.uniform(t, i); ok {
		return 1
	}
	n := t.nodes[i]
	own := 1
	if n.kind == setNode {
		own = w.model.features[n.feature].words()
	}
	return own + w.size(t, i+1) + w.size(t, int(n.next))
}

// node relies on a comparison with NULL not being true, so that a missing value takes the ELSE.
func (w *sqlWriter) node(t *tree, i int) {
	if v, ok := w.uniform(t, i); ok {
		w.WriteString(sqltext.Double(v))
		return
	}
	n := t.nodes[i]
	w.WriteString("case when ")
	if n.kind == setNode {
		w.set(n, &t.sets[int(n.value)])
	} else {
		w.threshold(n)
	}
	w.WriteString(" then ")
	w.node(t, i+1)
	w.WriteString(" else ")
	w.node(t, int(n.next))
	w.WriteString(" end")
}

// threshold writes the condition to go left at a split of numbers.
func (w *sqlWriter) threshold(n node) {
	column := w.columns[n.feature]
	switch {
	case !math.IsInf(n.value, 1):
		w.WriteString(column + " <= " + sqltext.Double(n.value))
		if n.missingLeft {
			w.WriteString(" or " + column + " is null")
		}
	case n.missingLeft:
		w.WriteString("true")
	default:
		w.WriteString(column + " is not null")
	}
}

// wordBits is how many categories a bigint tells apart; its sign stays out of it.
const wordBits = 63

// words is the number of bigints that a set of the feature's categories takes.
func (f *feature) words() int { return (f.last() + wordBits - 1) / wordBits }

// set writes the condition to go left at a split of categories: the bit of the row's category in the set, which stands in
// one or several words. DuckDB would turn each list of IN into a join, and comparisons one by one take long to plan.
func (w *sqlWriter) set(n node, s *set) {
	bit := w.columns[n.feature]
	if n.missingLeft {
		w.WriteString(bit + " is null or ")
	}
	words := w.model.features[n.feature].words()
	if words == 1 {
		w.WriteString("(" + s.word(0) + " & " + bit + ") <> 0")
		return
	}
	w.WriteString("(case " + w.words[n.feature])
	for i := range words - 1 {
		fmt.Fprintf(w, " when %d then %s", i, s.word(i))
	}
	w.WriteString(" else " + s.word(words-1) + " end & " + bit + ") <> 0")
}

// word is the i-th word of the set, from bin 1 on.
func (s *set) word(i int) string {
	word := uint64(0)
	for b := range wordBits {
		if bin := 1 + i*wordBits + b; bin <= MaxBins && s.has(uint8(bin)) {
			word |= 1 << b
		}
	}
	return fmt.Sprintf("bigint '%d'", word)
}

// position writes a category's bin less one as an integer: NULL for a missing one and, where each has a bin of its own, for one
// that was not declared.
func (f *feature) position(column string) string {
	if f.kept == nil {
		return fmt.Sprintf("case when %s >= %s and %s <= %s and %s = floor(%s) then cast(%s as integer) end",
			column, sqltext.Double(0), column, sqltext.Double(float64(f.categories-1)), column, column, column)
	}
	w := &sqlWriter{}
	w.WriteString("case when " + column + " is null then null else ")
	w.keep(column, f.kept, 0)
	w.WriteString(" end")
	return w.String()
}

// keep searches for the column's value among the kept categories, of which the first has position at.
func (w *sqlWriter) keep(column string, kept []uint32, at int) {
	half := len(kept) / 2
	value := sqltext.Double(float64(kept[half]))
	if len(kept) == 1 {
		fmt.Fprintf(w, "case when %s = %s then %d else %d end", column, value, at, pooledBin-1)
		return
	}
	w.WriteString("case when " + column + " < " + value + " then ")
	w.keep(column, kept[:half], at)
	w.WriteString(" else ")
	w.keep(column, kept[half:], at+half)
	w.WriteString(" end")
}
