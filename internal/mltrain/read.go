package mltrain

import (
	"context"
	"crypto/md5"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// layout says which column of the query plays which part; -1 = none does.
type layout struct {
	id, target, weight, segment, group, fold int
	features                                 []int
}

// read fills t.rows from the query.
func (t *training) read(ctx context.Context, src Source, sql sqltext.Text) error {
	t.at = sql.Pos(0)
	reader, err := src.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("read the rows to train model %s on: %w", t.model.Name, err)
	}
	defer reader.Release()
	l, err := t.layout(reader.Schema())
	if err != nil {
		return err
	}
	t.rows = &frame{columns: make([][]float64, len(l.features)), ids: map[[md5.Size]byte]struct{}{}}
	for _, c := range l.features {
		t.rows.features = append(t.rows.features, reader.Schema().Field(c).Name)
	}
	t.rows.groups.used, t.rows.segments.used, t.rows.folds.used = l.group >= 0, l.segment >= 0, l.fold >= 0
	for reader.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.readBatch(reader.RecordBatch(), l); err != nil {
			return err
		}
		t.progress(StageRead, int64(len(t.rows.target)), 0)
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("read the rows to train model %s on: %w", t.model.Name, err)
	}
	t.rows.ids = nil
	return t.checkRows()
}

// layout finds every column that the model names and takes the others as features, collecting all that is wrong.
func (t *training) layout(schema *arrow.Schema) (layout, error) {
	m := t.model
	var all diag.Findings
	names := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		names[i] = f.Name
	}
	taken := make([]bool, len(names))
	part := func(what, name string) int {
		if name == "" {
			return -1
		}
		i := findName(names, name)
		if i < 0 {
			all = append(all, t.fail("Column missing", fmt.Sprintf("Model %q has %s = %q, and its source has the columns %s.", m.Name, what, name, strings.Join(names, ", ")),
				orElse(diag.DidYouMean(name, names), "Add the column to the source's SELECT, or change the model.")))
			return -1
		}
		taken[i] = true
		return i
	}
	l := layout{id: part("id", m.ID), target: part("target", m.Target), weight: part("weight", m.Weight),
		segment: part("segment", m.Segment), group: part("split by", m.Split.By), fold: -1}
	if m.Folds != nil {
		l.fold = part("cross_validation by", orElse(m.Folds.By, m.Split.By))
	}
	for _, name := range m.Exclude {
		part("exclude", name)
	}
	for i, f := range schema.Fields() {
		if taken[i] {
			continue
		}
		l.features = append(l.features, i)
		if !isNumber(f.Type) {
			all = append(all, t.notANumber(f))
		}
	}
	if len(l.features) > tree.MaxFeatures || len(all) == 0 && len(l.features) == 0 {
		all = append(all, t.fail("Wrong number of features", fmt.Sprintf("The source of model %q has %d columns besides those the model sets aside; a forest reads 1 to %d.",
			m.Name, len(l.features), tree.MaxFeatures), "Change the source's SELECT."))
	}
	if l.weight >= 0 && !isNumber(schema.Field(l.weight).Type) {
		all = append(all, t.fail("Weight is not a number", fmt.Sprintf("Column %q of model %q is %s.", m.Weight, m.Name, schema.Field(l.weight).Type), "Name a column of numbers."))
	}
	if l.target >= 0 && !isNumber(schema.Field(l.target).Type) {
		all = append(all, t.fail("Target is not 0 or 1", fmt.Sprintf("Column %q, the target of model %q, is %s.", m.Target, m.Name, schema.Field(l.target).Type),
			fmt.Sprintf("Write in the source's SELECT: case when %s = '…' then 1 else 0 end as label.", m.Target)))
	}
	return l, all.Err()
}

func (t *training) notANumber(f arrow.Field) diag.Finding {
	fix := fmt.Sprintf("Set it aside with exclude = [%q], or make a number of it in SQL.", f.Name)
	if isTime(f.Type) {
		fix = fmt.Sprintf("Set it aside with exclude = [%q], or make a number of it: extract(hour from %s).", f.Name, f.Name)
	}
	return t.fail("Feature is not a number",
		fmt.Sprintf("Column %q in the source of model %q is %s; features are numbers and booleans.", f.Name, t.model.Name, f.Type), fix)
}

// readBatch appends the batch's rows that have a target.
func (t *training) readBatch(batch arrow.RecordBatch, l layout) error {
	f := t.rows
	targets, keep, err := t.targets(batch.Column(l.target))
	if err != nil {
		return err
	}
	f.skipped += batch.NumRows() - int64(len(keep))
	first := len(f.target)
	f.target = append(f.target, targets...)
	if bound := t.options.Memory; bound > 0 && int64(len(f.target))*f.bytesPerRow() > bound {
		return t.fail("Training rows do not fit in memory",
			fmt.Sprintf("Model %q has %d features; %d rows read so far would take more than the %d MiB allowed, and more rows follow.", t.model.Name, len(f.features), len(f.target), bound>>20),
			"Select fewer rows or columns in the source, or raise the memory limit.")
	}
	for to, from := range l.features {
		f.columns[to] = appendNumbers(f.columns[to], batch.Column(from), keep)
	}
	if l.weight >= 0 {
		f.weights = appendNumbers(f.weights, batch.Column(l.weight), keep)
		for _, w := range f.weights[first:] {
			if !(w >= 0) || math.IsInf(w, 1) {
				return t.fail("Bad weight", fmt.Sprintf("Column %q, the weight of model %q, holds %v; weights are 0 or more, and never NULL.", t.model.Weight, t.model.Name, w), "Mend it in the source's SELECT: coalesce(…, 0).")
			}
		}
	}
	for _, c := range []struct {
		codes  *codes
		column int
		what   string
	}{{&f.groups, l.group, "split by"}, {&f.segments, l.segment, "segment"}, {&f.folds, l.fold, "cross_validation by"}} {
		if c.column < 0 {
			continue
		}
		column := batch.Column(c.column)
		for _, i := range keep {
			if column.IsNull(i) {
				return t.isNull(c.what, batch.ColumnName(c.column))
			}
			c.codes.add(textOf(column, i))
		}
	}
	return t.readIDs(batch, l, keep, first)
}

func (t *training) readIDs(batch arrow.RecordBatch, l layout, keep []int, first int) error {
	column := batch.Column(l.id)
	for k, i := range keep {
		if column.IsNull(i) {
			return t.isNull("id", batch.ColumnName(l.id))
		}
		t.rows.addDigest(first+k, t.rows.addID(textOf(column, i)))
	}
	return nil
}

func (t *training) isNull(what, column string) diag.Finding {
	return t.fail("Column is NULL", fmt.Sprintf("Column %q, %s of model %q, is NULL in a row that has a target.", column, what, t.model.Name),
		fmt.Sprintf("Leave such rows out in the source's SELECT: where %s is not null.", column))
}

// targets gives the classes of the rows that have one, and those rows' indices in the batch.
func (t *training) targets(column arrow.Array) (targets []uint8, rows []int, err error) {
	all := make([]int, column.Len())
	for i := range all {
		all[i] = i
	}
	rows = all[:0]
	for i, v := range appendNumbers(nil, column, all) {
		switch {
		case v == 0 || v == 1:
			targets = append(targets, uint8(v))
			rows = append(rows, i)
		case column.IsNull(i):
		default:
			return nil, nil, t.fail("Target is not 0 or 1", fmt.Sprintf("Column %q, the target of model %q, holds %v.", t.model.Target, t.model.Name, v),
				"Make it 0, 1, true or false in the source's SELECT; NULL means not known.")
		}
	}
	return targets, rows, nil
}

// checkRows judges the rows as a whole.
func (t *training) checkRows() error {
	f, m := t.rows, t.model
	n := len(f.target)
	if n == 0 {
		detail := fmt.Sprintf("The source of model %q gives no rows.", m.Name)
		if f.skipped > 0 {
			detail = fmt.Sprintf("The source of model %q gives %d rows, and %q is NULL in all of them.", m.Name, f.skipped, m.Target)
		}
		return t.fail("No rows to train on", detail, "Run the tasks that fill the source's tables first, or change its WHERE.")
	}
	if f.twice > 0 {
		return t.fail("Id is not unique", fmt.Sprintf("Column %q, the id of model %q, has the value %q more than once; %d of %d rows repeat an id.", m.ID, m.Name, f.firstTwin, f.twice, n),
			"Name a column that is different in every row, or make the source's SELECT give each row once.")
	}
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i)
	}
	if counts := f.classes(all); counts[0] == 0 || counts[1] == 0 {
		return t.fail("One class only", fmt.Sprintf("All %d rows of model %q have %q = %d; a model learns from both 0 and 1.", n, m.Name, m.Target, f.target[0]),
			"Check how the source's SELECT makes the target, and that rows of both classes are loaded.")
	}
	if f.skipped > 0 {
		t.warn("Rows without target", fmt.Sprintf("%d rows of model %q were left out, because %q is NULL; %d were used.", f.skipped, m.Name, m.Target, n), "Leave them out in the source's WHERE to be rid of this warning.")
	}
	for i, c := range f.columns {
		if !slices.ContainsFunc(c, func(v float64) bool { return v == v }) {
			t.warn("Feature without values", fmt.Sprintf("Column %q of model %q is NULL or NaN in every row, and cannot be of use.", f.features[i], m.Name),
				fmt.Sprintf("Compute it in the source's SELECT, or set it aside with exclude = [%q].", f.features[i]))
		}
	}
	return nil
}

// findName looks for a column as SQL does: by its exact name, else without regard to case.
func findName(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
