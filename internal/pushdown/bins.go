package pushdown

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"damson/internal/forest"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// Bounds of what one statement brings when edges are looked for.
const (
	fetchAll  = 1000 // a column with up to so many different values is brought whole, counted
	fetchSome = 2000 // of others, about so many values around where the next edges should be
)

// span is a stretch of positions in a sorted column.
type span struct{ from, to int }

// run is a tree.Run, or the column's last one.
type run struct {
	tree.Run
	last bool
}

// cut gives the edges of a column of numbers.
func (p *Part) cut(ctx context.Context, f, bins int, seed int64) (edges []float64, err error) {
	where := fmt.Sprintf("%s and f%d is not null", p.learned, f)
	if draw, share := tree.BinSample(seed, int(p.training)); share < 1 {
		where += " and " + draw.BelowSQL("hi", "lo", share)
	}
	// 0 and -0 are one value. Of equal values the last one is kept, whose number says how many there are up to it.
	sql := fmt.Sprintf(`create temporary table %s as
select value, upto, following from (select value, row_number() over (order by value) as upto, lead(value) over (order by value) as following
  from (select case when f%d = float8 '0' then float8 '0' else f%d end as value from %s as r where %s) as present) as sorted
where following is null or following <> value`,
		runsTable, f, f, p.from, where)
	if _, err := p.exec(ctx, sql); err != nil {
		return nil, err
	}
	var values, distinct int
	err = p.each(ctx, "select count(*), coalesce(max(upto), 0) from "+runsTable, func(row []int64) error {
		distinct, values = int(row[0]), int(row[1])
		return nil
	})
	if err != nil {
		return nil, err
	}
	c := tree.NewCutter(values, distinct, bins)
	for c.Target() > 0 {
		spans := []span{{1, values}}
		if distinct > max(fetchAll, bins) {
			spans = likely(c, float64(values)/float64(distinct))
		}
		runs, err := p.runs(ctx, c.Target(), spans)
		if err != nil {
			return nil, err
		}
		take(c, spans, runs)
	}
	_, err = p.exec(ctx, "drop table "+runsTable)
	return c.Edges(), err
}

// likely gives where the next edges are to be found. A run is about so many values long, which makes the places less and less
// sure: each edge may lie behind its target by a run's length, and moves those after it.
func likely(c *tree.Cutter, length float64) (spans []span) {
	budget := float64(fetchSome)
	for k, at := range c.Targets(math.MaxInt) {
		s := span{at, at + int(math.Ceil(2*(length-1)*float64(k+1)))}
		if n := len(spans); n > 0 && s.from <= spans[n-1].to+1 {
			s.from = spans[n-1].from
			s.to = max(s.to, spans[n-1].to)
			spans = spans[:n-1]
		}
		spans = append(spans, s)
		if budget -= float64(s.to-at)/length + 1; budget < 0 {
			break
		}
	}
	return spans
}

// runs brings the runs that end in the spans, and the first one that ends at the target or behind.
func (r *Rows) runs(ctx context.Context, target int, spans []span) (runs []run, err error) {
	var b strings.Builder
	writeSpans(&b, "upto", spans)
	found, err := r.all(ctx, fmt.Sprintf("select value, upto, following from %s where upto = (select min(upto) from %s where upto >= %d) or %s order by upto",
		runsTable, runsTable, target, b.String()))
	for _, row := range found {
		own := run{tree.Run{Value: row[0].(float64), Last: int(row[1].(int64))}, row[2] == nil}
		if !own.last {
			own.Next = row[2].(float64)
		}
		runs = append(runs, own)
	}
	return runs, err
}

// writeSpans writes the condition that a column lies in one of the spans, by bisection.
func writeSpans(b *strings.Builder, column string, spans []span) {
	if len(spans) == 1 {
		fmt.Fprintf(b, "%s between %d and %d", column, spans[0].from, spans[0].to)
		return
	}
	half := len(spans) / 2
	fmt.Fprintf(b, "case when %s < %d then ", column, spans[half].from)
	writeSpans(b, column, spans[:half])
	b.WriteString(" else ")
	writeSpans(b, column, spans[half:])
	b.WriteString(" end")
}

// take closes bins as far as the runs of the spans tell, one at least.
func take(c *tree.Cutter, spans []span, runs []run) {
	first := true
	for target := c.Target(); target > 0; target = c.Target() {
		at, _ := slices.BinarySearchFunc(runs, target, func(r run, target int) int { return cmp.Compare(r.Last, target) })
		inside := slices.ContainsFunc(spans, func(s span) bool { return s.from <= target && at < len(runs) && runs[at].Last <= s.to })
		switch {
		case !first && !inside:
			return
		case at == len(runs) || runs[at].last:
			c.End()
			return
		}
		c.Take(runs[at].Run)
		first = false
	}
}

// pack makes the table that histograms are counted on, unless the part has it from the lesson before: of the rows to learn from the
// key, the class or the number, and the bins of all features in one value.
func (p *Part) pack(ctx context.Context, l Lesson) error {
	if p.packed != nil && p.packed.asked == l.Params.Bins {
		return nil
	}
	if err := p.drop(ctx); err != nil {
		return err
	}
	b, err := p.bins(ctx, l)
	if err != nil {
		return err
	}
	own := packed{bins: b, asked: l.Params.Bins}
	number := "0"
	if l.Classes.number() == 0 {
		if number, err = p.fixNumbers(ctx, &own); err != nil {
			return err
		}
	}
	bins, from := make([]string, b.Features()), p.from+" as r"
	for f := range bins {
		if !b.Categorical(f) {
			bins[f] = p.dialect.bin(b, f, fmt.Sprintf("r.f%d", f))
			continue
		}
		table := fmt.Sprintf("%s%d", levelTable, f)
		if err := p.levels(ctx, table, f, l.Levels[f], b); err != nil {
			return err
		}
		bins[f] = fmt.Sprintf("coalesce(%s.bin, 0)", table)
		from += fmt.Sprintf(" left join %s on %s.level = r.f%d", table, table, f)
	}
	_, err = p.exec(ctx, fmt.Sprintf("create temporary table %s as select r.hi, r.lo, %s as class, %s as number, %s as bins from %s where %s",
		p.binsTable(), l.Classes.sql(), number, p.dialect.pack(bins), from, p.learned))
	if err != nil {
		return err
	}
	p.packed = &own
	for f := range bins {
		if b.Categorical(f) {
			if _, err := p.exec(ctx, fmt.Sprintf("drop table %s%d", levelTable, f)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bins cuts all columns.
func (p *Part) bins(ctx context.Context, l Lesson) (*tree.Bins, error) {
	columns := make([]tree.BinColumn, len(p.columns.Features))
	var err error
	for f := range columns {
		if isText(p.columns.Features[f]) {
			columns[f].Counts, err = p.occurrences(ctx, f, l.Levels[f])
		} else {
			columns[f].Edges, err = p.cut(ctx, f, l.Params.Bins, l.Params.Seed)
		}
		if err != nil {
			return nil, err
		}
		l.step()
	}
	return tree.AssembleBins(columns), nil
}

// occurrences counts the texts of a feature in the rows to learn from, and as one more text those that training did not see.
func (p *Part) occurrences(ctx context.Context, f int, levels []string) ([]int64, error) {
	found, err := p.all(ctx, fmt.Sprintf("select f%d, count(*) from %s as r where %s and f%d is not null group by f%d", f, p.from, p.learned, f, f))
	counts := make([]int64, len(levels)+1)
	for _, row := range found {
		if at, known := slices.BinarySearch(levels, row[0].(string)); known {
			counts[at] = row[1].(int64)
		}
	}
	return counts, err
}

// fixNumbers gives the SQL of the target as an integer, the mean taken off: tree.Fixed, whose two additions round to the nearest.
func (p *Part) fixNumbers(ctx context.Context, of *packed) (string, error) {
	found, err := p.all(ctx, fmt.Sprintf("select max(abs(label)), count(*) from %s as r where %s", p.from, p.learned))
	if err != nil {
		return "", err
	}
	largest, n := found[0][0].(float64), found[0][1].(int64)
	of.scale = forest.Scale(largest, int(n))
	fixed := fmt.Sprintf("cast((label * %s + %s) - %s as bigint)", sqltext.Double(of.scale), sqltext.Double(tree.RoundMagic), sqltext.Double(tree.RoundMagic))
	err = p.each(ctx, fmt.Sprintf("select cast(sum(%s) as bigint) from %s as r where %s", fixed, p.from, p.learned), func(row []int64) error {
		of.mean = row[0] / n
		return nil
	})
	return fmt.Sprintf("%s - bigint '%d'", fixed, of.mean), err
}

// levels makes a table of a feature's texts and their bins.
func (r *Rows) levels(ctx context.Context, table string, f int, levels []string, b *tree.Bins) error {
	if _, err := r.exec(ctx, "create temporary table "+table+" (level text, bin integer)"); err != nil {
		return err
	}
	if len(levels) == 0 {
		return nil
	}
	values := make([]string, len(levels))
	for i, level := range levels {
		values[i] = fmt.Sprintf("(%s, %d)", sqltext.QuoteLiteral(level), b.Of(f, i))
	}
	_, err := r.exec(ctx, "insert into "+table+" values "+strings.Join(values, ", "))
	return err
}
