package pushdown

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"damson/internal/leak"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// Looks say what Leaks looks at.
type Looks struct {
	Classes    Classes
	ClassNames []string
	Halves     tree.Draw // into which of two halves a row comes, with all that it is kept together with
	Sample     tree.Draw // which rows bins are cut from: this share
	Share      float64
	Segments   bool // whether segments have rows on both sides, as groups of the cross-validation have
	Times      bool // whether training rows are later than held-out ones
}

// Leaks counts what leak.Check counts, of the same halves and bins.
func (r *Rows) Leaks(ctx context.Context, l Looks) (e leak.Evidence, err error) {
	groups := []grouping{{"fgrp", r.columns.Fold.Name}, {"segment", r.columns.Segment.Name}}
	if !l.Segments {
		groups = groups[:1]
	}
	for _, of := range groups {
		if of.name == "" {
			continue
		}
		straddle, err := r.straddling(ctx, of)
		if err != nil {
			return e, err
		}
		e.Groups = append(e.Groups, straddle)
	}
	if l.Times {
		if e.Times, err = r.overlap(ctx); err != nil {
			return e, err
		}
	}
	if e.Rows, err = r.repeats(ctx); err != nil {
		return e, err
	}
	looked, err := r.lookAt(ctx, l)
	if err != nil {
		return e, err
	}
	for _, own := range looked {
		e.Features = append(e.Features, own.Feature)
	}
	e.Same, err = r.twins(ctx, looked)
	if err != nil {
		return e, err
	}
	_, err = r.exec(ctx, "drop table "+sampleTable)
	return e, err
}

// looked is what was found of a feature.
type looked struct {
	leak.Feature
	text  bool
	kinds int64  // different texts, "missing" being one
	print string // the same of all features that are equal, and of few others
}

// lookAt examines all features.
func (r *Rows) lookAt(ctx context.Context, l Looks) ([]looked, error) {
	constant, err := r.ofFeatures(ctx, rowsTable+" where not ("+r.held+")", func(f int, name string) string {
		return fmt.Sprintf("case when count(%[1]s) = 0 or count(%[1]s) = count(*) and min(%[1]s) = max(%[1]s) then 1 else 0 end", name)
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.exec(ctx, fmt.Sprintf("create temporary table %s as select hi, lo, id, %s from %s where %s", sampleTable, strings.Join(r.FeatureNames(), ", "), rowsTable, l.Sample.BelowSQL("hi", "lo", l.Share))); err != nil {
		return nil, err
	}
	present, err := r.ofFeatures(ctx, sampleTable, func(f int, name string) string { return "count(" + name + ")" })
	if err != nil {
		return nil, err
	}
	lines, err := r.ofFeatures(ctx, rowsTable, func(f int, name string) string {
		if l.Classes.number() > 0 || r.IsText(f) {
			return "null"
		}
		return correlation("label", name)
	})
	if err != nil {
		return nil, err
	}
	out := make([]looked, len(r.columns.Features))
	for f := range out {
		out[f].Name, out[f].text, out[f].Constant = r.columns.Features[f].Name, r.IsText(f), constant[f] == 1
		if out[f].Constant {
			continue
		}
		coded := &coding{expression: fmt.Sprintf("f%d", f), print: fmt.Sprint(out[f].text)}
		if !out[f].text {
			if err := r.cutForLooks(ctx, f, int(present[f]), coded); err != nil {
				return nil, err
			}
		}
		if l.Classes.number() > 0 {
			err = r.tellsClass(ctx, l, coded, &out[f])
		} else {
			err = r.tellsNumber(ctx, l, coded, lines[f], &out[f])
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ofFeatures computes a number for each feature, 0 where it is not defined.
func (r *Rows) ofFeatures(ctx context.Context, from string, write func(f int, name string) string) ([]float64, error) {
	var items []string
	for f, name := range r.FeatureNames() {
		items = append(items, "cast("+write(f, name)+" as double precision)")
	}
	found, err := r.all(ctx, "select "+strings.Join(items, ", ")+" from "+from)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(items))
	for f, value := range found[0] {
		if v, ok := value.(float64); ok && v == v {
			out[f] = v
		}
	}
	return out, nil
}

// correlation writes that of two columns over the rows where both are numbers of use, NULL where there are too few.
func correlation(a, b string) string {
	x := fmt.Sprintf("case when abs(%s) <= %s then %s end", a, sqltext.Double(leak.LargestNumber), a)
	y := fmt.Sprintf("case when abs(%s) <= %s then %s end", b, sqltext.Double(leak.LargestNumber), b)
	spread := sqltext.Double(leak.LeastSpread)
	return fmt.Sprintf("case when count(case when %s is not null then %s end) >= %d and stddev_pop(%s) > %s and stddev_pop(%s) > %s then corr(%s, %s) end", x, y, leak.LeastPairs, x, spread, y, spread, x, y)
}

// coding numbers the values of a feature.
type coding struct {
	expression string // SQL: a bin, or the text itself
	print      string // what features that are equal have in common
	known      map[any]int
}

// code gives a value's number. What is missing, NULL, has one, too.
func (c *coding) code(value any) int {
	at, ok := c.known[value]
	if !ok {
		if c.known == nil {
			c.known = map[any]int{}
		}
		at = len(c.known)
		c.known[value] = at
	}
	return at
}

// cutForLooks cuts bins of a number, of which so many rows of the sample have one.
func (r *Rows) cutForLooks(ctx context.Context, f, present int, c *coding) error {
	edges, err := r.at(ctx, fmt.Sprintf("f%d", f), sampleTable, fmt.Sprintf("f%d is not null", f), leak.Places(present))
	if err != nil {
		return err
	}
	c.expression = "cast(" + tree.BinSQL(fmt.Sprintf("f%d", f), edges) + " as bigint)"
	c.print += fmt.Sprint(edges)
	return nil
}

// at gives the different values that stand at some places of a sorted column, counted from 0.
func (r *Rows) at(ctx context.Context, column, table, where string, places []int) ([]float64, error) {
	if len(places) == 0 {
		return nil, nil
	}
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(places), " ", ", "), "[]")
	found, err := r.all(ctx, fmt.Sprintf("select value from (select %s as value, row_number() over (order by %s) - 1 as place from %s where %s) as sorted where place in (%s) order by value",
		column, column, table, where, list))
	values := make([]float64, len(found))
	for i, row := range found {
		values[i] = row[0].(float64)
	}
	return slices.Compact(values), err
}

// inHalves is a FROM item of all rows with half, code and target.
func (r *Rows) inHalves(l Looks, code, target string) string {
	hi, lo := "hi", "lo"
	if r.columns.Group.Name != "" || r.columns.Fold.Name != "" || r.columns.Segment.Name != "" {
		hi, lo = "ghi", "glo"
	}
	return fmt.Sprintf("(select cast(case when %s then 1 else 0 end as bigint) as half, %s as code, %s as target from %s) as halves", l.Halves.BelowSQL(hi, lo, 0.5), code, target, rowsTable)
}

// tellsClass counts rows by half, code and class.
func (r *Rows) tellsClass(ctx context.Context, l Looks, c *coding, out *looked) error {
	found, err := r.all(ctx, "select half, code, target, count(*) from "+r.inHalves(l, c.expression, "cast("+l.Classes.sql()+" as bigint)")+" group by half, code, target")
	if err != nil {
		return err
	}
	for _, row := range found {
		c.code(row[1])
	}
	classes := l.Classes.number()
	counts := leak.NewCounts(classes, len(c.known))
	for _, row := range found {
		counts.Halves[row[0].(int64)][c.code(row[1])*classes+int(row[2].(int64))] = row[3].(int64)
	}
	out.AUC, out.Class = counts.Best(l.ClassNames)
	out.kinds = int64(len(c.known))
	each := make([]string, len(c.known))
	for value, code := range c.known {
		each[code] = fmt.Sprint(counts.Halves[0][code*classes:(code+1)*classes], counts.Halves[1][code*classes:(code+1)*classes], out.named(value))
	}
	out.print = printOf(c, each)
	return nil
}

// tellsNumber describes the target by half and code. line is the feature's correlation with the target.
func (r *Rows) tellsNumber(ctx context.Context, l Looks, c *coding, line float64, out *looked) error {
	found, err := r.all(ctx, "select half, code, count(*), avg(target), var_pop(target) from "+r.inHalves(l, c.expression, "label")+" group by half, code")
	if err != nil {
		return err
	}
	for _, row := range found {
		c.code(row[1])
	}
	means := [2][]leak.Mean{make([]leak.Mean, len(c.known)), make([]leak.Mean, len(c.known))}
	for _, row := range found {
		means[row[0].(int64)][c.code(row[1])] = leak.Mean{Rows: row[2].(int64), Mean: row[3].(float64), Variance: row[4].(float64)}
	}
	out.R2 = min(1, max(leak.Explained(means), line*line))
	out.kinds = int64(len(c.known))
	each := make([]string, len(c.known))
	for value, code := range c.known {
		each[code] = fmt.Sprint(means[0][code].Rows, means[1][code].Rows, out.named(value))
	}
	out.print = printOf(c, each)
	return nil
}

// named gives what equal features have in common of a code: of a number its bin, of a text whether it is there.
func (l *looked) named(value any) any {
	if l.text {
		return value == nil
	}
	return value
}

func printOf(c *coding, each []string) string {
	slices.Sort(each)
	return c.print + strings.Join(each, ";")
}
