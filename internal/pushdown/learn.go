package pushdown

import (
	"context"
	"fmt"
	"strings"

	"damson/internal/forest"
	"damson/internal/tree"
)

// Lesson is what is to be learned.
type Lesson struct {
	Params   forest.Params
	Classes  Classes
	Levels   [][]string            // of features of texts: all there are, sorted
	Progress func(done, total int) // steps: a feature that is cut, a tree that is grown; may be nil
	done     *int
}

// Bounds of what one statement counts.
const (
	treesAtOnce = 32
	nodesAtOnce = 3000    // splits and leaves in the SQL that tells where rows go
	wordsAtOnce = 4 << 20 // of histograms
)

// Learn grows the forest.
func (p *Part) Learn(ctx context.Context, l Lesson) (*tree.Model, error) {
	if err := l.Params.Check(); err != nil {
		return nil, err
	}
	l.done = new(int)
	if err := p.pack(ctx, l); err != nil {
		return nil, err
	}
	levels, err := forest.NewLevels(forest.Summary{Bins: p.packed.bins, Classes: l.Classes.number(), Scale: p.packed.scale, Mean: p.packed.mean}, l.Params)
	if err != nil {
		return nil, err
	}
	if err := p.roots(ctx, l, levels); err != nil {
		return nil, err
	}
	most := max(1, wordsAtOnce/(128*(l.Classes.number()+2)))
	for asks := levels.Next(most); len(asks) > 0; asks = levels.Next(most) {
		if err := p.count(ctx, l, levels, asks); err != nil {
			return nil, err
		}
		l.grown(levels.Done())
	}
	if p.once {
		return levels.Model(), p.drop(ctx)
	}
	return levels.Model(), nil
}

// step counts a column that was cut, grown trees.
func (l Lesson) step() {
	*l.done++
	l.grown(0)
}

func (l Lesson) grown(trees int) {
	if l.Progress != nil {
		l.Progress(*l.done+trees, len(l.Levels)+l.Params.Trees)
	}
}

// drawn gives a FROM item of the rows that a tree's bootstrap has drawn, with how often.
func (p *Part) drawn(of forest.Params, number int) string {
	if of.WholeRows {
		return fmt.Sprintf("(select bins, class, number, 1 as times from %s) as drawn", p.binsTable())
	}
	times, some := tree.PoissonSQL("draw")
	return fmt.Sprintf("(select bins, class, number, %s as times from (select bins, class, number, %s as draw from %s) as draws where %s) as drawn",
		times, tree.NewDraw(of.Seed, tree.StreamTrees+uint64(number)).SQL("hi", "lo"), p.binsTable(), some)
}

// sums are the columns of a count: rows, and the sum of their numbers.
func (l Lesson) sums() string {
	if l.Classes.number() > 0 {
		return "cast(sum(times) as bigint) as rows_drawn, bigint '0' as total"
	}
	return "cast(sum(times) as bigint) as rows_drawn, cast(sum(times * number) as bigint) as total"
}

// roots counts all rows, and those of each tree.
func (p *Part) roots(ctx context.Context, l Lesson, levels *forest.Levels) error {
	all := fmt.Sprintf("select cast(class as bigint), %s from (select class, number, 1 as times from %s) as whole group by class", l.sums(), p.binsTable())
	err := p.each(ctx, all, func(row []int64) error {
		levels.AddAll(int(row[0]), uint64(row[1]), row[2])
		return nil
	})
	for from := 0; from < l.Params.Trees && err == nil; from += treesAtOnce {
		var parts []string
		for i := from; i < min(from+treesAtOnce, l.Params.Trees); i++ {
			parts = append(parts, fmt.Sprintf("select bigint '%d' as tree, cast(class as bigint) as class, %s from %s group by class", i, l.sums(), p.drawn(l.Params, i)))
		}
		err = p.union(ctx, parts, func(row []int64) error {
			levels.AddRoot(int(row[0]), int(row[1]), uint64(row[2]), row[3])
			return nil
		})
	}
	return err
}

// union visits the rows of several SELECTs of integers.
func (r *Rows) union(ctx context.Context, parts []string, visit func(row []int64) error) error {
	sql := strings.Join(parts, "\nunion all\n")
	if r.dialect.streams {
		return r.each(ctx, sql, visit)
	}
	if _, err := r.exec(ctx, "create or replace temporary table "+countsTable+" as "+sql); err != nil {
		return err
	}
	return r.each(ctx, "select * from "+countsTable, visit)
}
