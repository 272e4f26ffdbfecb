package mltrain

import (
	"cmp"
	"context"
	"crypto/md5"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/mltrain/cells"
	"damson/internal/pushdown"
	"damson/internal/sqltext"
)

// layout says which column of the query plays which part; -1 = none does.
type layout struct {
	id, target, weight, segment, group, fold, time int
	features                                       []int
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
		field := reader.Schema().Field(c)
		t.rows.features = append(t.rows.features, learn.Feature{Name: field.Name})
		var texts *codes
		if cells.IsText(field.Type) {
			texts = new(codes)
		}
		t.rows.texts = append(t.rows.texts, texts)
	}
	t.rows.groups.used, t.rows.segments.used, t.rows.folds.used = l.group >= 0, l.segment >= 0, l.fold >= 0
	t.rows.labels.used = l.target >= 0 && cells.IsText(reader.Schema().Field(l.target).Type)
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
	facts := pushdown.Facts{Rows: int64(len(t.rows.target)), Twice: t.rows.twice, FirstTwin: t.rows.firstTwin}
	for f, c := range t.rows.columns {
		if !slices.ContainsFunc(c, func(v float64) bool { return v == v }) {
			facts.Empty = append(facts.Empty, f)
		}
	}
	if err := t.checkRows(facts); err != nil {
		return err
	}
	t.rows.sortLevels()
	t.rows.arrange()
	if err := t.understand(facts.Rows); err != nil {
		return err
	}
	t.renumber()
	return nil
}

// loadedFile is the column in which a load task keeps the name of a row's file: it says where a row came from, not what it is.
const loadedFile = "_file"

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
		i := cells.Find(names, name)
		if i < 0 {
			all = append(all, t.fail("Column missing", fmt.Sprintf("Model %q has %s = %q, and its source has the columns %s.", m.Name, what, name, strings.Join(names, ", ")),
				cmp.Or(diag.DidYouMean(name, names), "Add the column to the source's SELECT, or change the model.")))
			return -1
		}
		taken[i] = true
		return i
	}
	l := layout{id: part("id", m.ID), target: part("target", m.Target), weight: part("weight", m.Weight),
		segment: part("segment", m.Segment), group: part("split by", m.Split.By), time: part("split time", m.Split.Time), fold: -1}
	if m.Folds != nil {
		l.fold = part("cross_validation by", t.foldBy())
	}
	for _, name := range m.Exclude {
		part("exclude", name)
	}
	for i, f := range schema.Fields() {
		if taken[i] || f.Name == loadedFile {
			continue
		}
		l.features = append(l.features, i)
		if !cells.IsNumber(f.Type) && !(cells.IsText(f.Type) && t.algorithm.Texts) {
			all = append(all, t.notAFeature(f))
		}
	}
	if most := t.algorithm.Features; len(l.features) > most || len(all) == 0 && len(l.features) == 0 {
		all = append(all, t.fail("Wrong number of features", fmt.Sprintf("The source of model %q has %d columns besides those the model sets aside; %s reads 1 to %d.",
			m.Name, len(l.features), t.algorithm.Name, most), "Change the source's SELECT."))
	}
	if l.weight >= 0 && !cells.IsNumber(schema.Field(l.weight).Type) {
		all = append(all, t.fail("Weight is not a number", fmt.Sprintf("Column %q of model %q is %s.", m.Weight, m.Name, schema.Field(l.weight).Type), "Name a column of numbers."))
	}
	if l.time >= 0 && !cells.IsMoment(schema.Field(l.time).Type) {
		all = append(all, t.fail("Not a time", fmt.Sprintf("Column %q, the time of the split of model %q, is %s.", m.Split.Time, m.Name, schema.Field(l.time).Type), "Name a column of dates, timestamps or numbers."))
	}
	if l.target >= 0 {
		all = append(all, t.checkTarget(schema.Field(l.target))...)
	}
	return l, all.Err()
}

// foldBy is the column whose groups the cross-validation keeps together.
func (t *training) foldBy() string {
	if t.model.Folds == nil {
		return ""
	}
	return cmp.Or(t.model.Folds.By, t.model.Split.By)
}

// notAFeature refuses a column, unless the algorithm takes it.
func (t *training) notAFeature(f arrow.Field) diag.Finding {
	aside := fmt.Sprintf("Set it aside with exclude = [%q]", f.Name)
	switch {
	case cells.IsTime(f.Type):
		return t.fail("Feature is not a number", fmt.Sprintf("Column %q in the source of model %q is %s; features are numbers, booleans and texts.", f.Name, t.model.Name, f.Type),
			fmt.Sprintf("%s, or make a number of it: extract(hour from %s).", aside, f.Name))
	case cells.IsText(f.Type) && t.algorithm.Clustering():
		return t.fail("Feature is not a number", fmt.Sprintf("Column %q in the source of model %q is %s; %s reads numbers and booleans.", f.Name, t.model.Name, f.Type, t.algorithm.Name),
			fmt.Sprintf("%s, or make numbers of its values: case when %s = … then 1 else 0 end.", aside, f.Name))
	case cells.IsText(f.Type):
		return t.fail("Feature is not a number", fmt.Sprintf("Column %q in the source of model %q is %s; %s reads numbers and booleans.", f.Name, t.model.Name, f.Type, t.algorithm.Name),
			fmt.Sprintf("%s, make a number of it in SQL, or take %s.", aside, learn.Others(func(a learn.Algorithm) bool { return a.Texts })))
	}
	return t.fail("Feature is not a number", fmt.Sprintf("Column %q in the source of model %q is %s; features are numbers, booleans and texts.", f.Name, t.model.Name, f.Type),
		aside+", or make a number of it in SQL.")
}

// rowBytes is about what a row takes, with its share of the ids' table.
func rowBytes(a learn.Algorithm, features int) int64 { return int64(features)*a.Bytes + 96 }

// readBatch appends the batch's rows that have a target.
func (t *training) readBatch(batch arrow.RecordBatch, l layout) error {
	f := t.rows
	first := len(f.target)
	keep, err := t.readTargets(batch, l)
	if err != nil {
		return err
	}
	f.skipped += batch.NumRows() - int64(len(keep))
	if bound := t.options.Memory; bound > 0 && int64(len(f.target))*rowBytes(t.algorithm, len(f.columns)) > bound {
		t.tooLarge = true
		return t.fail("Training rows do not fit in memory",
			fmt.Sprintf("Model %q has %d features; %d rows read so far would take more than the %d MiB allowed, and more rows follow.", t.model.Name, len(f.features), len(f.target), bound>>20),
			"Select fewer rows or columns in the source, raise memory in damson.yaml, or take random_forest or decision_tree, which are then trained in the database.")
	}
	for to, from := range l.features {
		if f.texts[to] == nil {
			f.columns[to] = cells.AppendNumbers(f.columns[to], batch.Column(from), keep)
			continue
		}
		f.columns[to] = f.texts[to].Append(f.columns[to], batch.Column(from), keep)
		if n := len(f.texts[to].Names); n > maxLevels {
			return t.tooManyTexts(f.features[to].Name)
		}
	}
	if l.time >= 0 {
		if f.times, err = t.readTimes(f.times, batch.Column(l.time), keep); err != nil {
			return err
		}
	}
	if l.weight >= 0 {
		f.weights = cells.AppendNumbers(f.weights, batch.Column(l.weight), keep)
		for _, w := range f.weights[first:] {
			if !(w >= 0) || math.IsInf(w, 1) {
				return t.badWeight(w)
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
			c.codes.add(cells.TextOf(column, i))
		}
	}
	return t.readIDs(batch, l, keep, first)
}

func (t *training) tooManyTexts(name string) diag.Finding {
	return t.fail("Too many categories", fmt.Sprintf("Column %q of model %q has more than %d different texts; a text is a feature when its values come again.", name, t.model.Name, maxLevels),
		fmt.Sprintf("Set it aside with exclude = [%q], or make coarser groups of it in the source's SELECT.", name))
}

func (t *training) badWeight(w float64) diag.Finding {
	return t.fail("Bad weight", fmt.Sprintf("Column %q, the weight of model %q, holds %v; weights are 0 or more, and never NULL.", t.model.Weight, t.model.Name, w), "Mend it in the source's SELECT: coalesce(…, 0).")
}

func (t *training) readIDs(batch arrow.RecordBatch, l layout, keep []int, first int) error {
	column := batch.Column(l.id)
	for k, i := range keep {
		if column.IsNull(i) {
			return t.isNull("id", batch.ColumnName(l.id))
		}
		t.rows.addDigest(first+k, t.rows.addID(cells.TextOf(column, i)))
	}
	return nil
}

// readTimes appends the given rows' times as Unix seconds. With groups they may be NULL, which is NaN.
func (t *training) readTimes(out []float64, column arrow.Array, rows []int) ([]float64, error) {
	for _, i := range rows {
		if column.IsNull(i) && !t.rows.groups.used {
			return nil, t.isNull("split time", t.model.Split.Time)
		}
	}
	switch a := column.(type) {
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return cells.AppendEach(out, a, rows, func(i int) float64 { return float64(a.Value(i).ToTime(unit).UnixMicro()) / 1e6 }), nil
	case *array.Date32:
		return cells.AppendEach(out, a, rows, func(i int) float64 { return float64(a.Value(i)) * 86_400 }), nil
	}
	return cells.AppendNumbers(out, column, rows), nil
}

func (t *training) isNull(what, column string) diag.Finding {
	where := "in a row that has a target"
	if t.algorithm.Clustering() {
		where = "in a row"
	}
	return t.fail("Column is NULL", fmt.Sprintf("Column %q, %s of model %q, is NULL %s.", column, what, t.model.Name, where),
		fmt.Sprintf("Leave such rows out in the source's SELECT: where %s is not null.", column))
}

// checkRows judges the rows as a whole.
func (t *training) checkRows(facts pushdown.Facts) error {
	f, m, n := t.rows, t.model, facts.Rows
	if n == 0 {
		detail := fmt.Sprintf("The source of model %q gives no rows.", m.Name)
		if f.skipped > 0 {
			detail = fmt.Sprintf("The source of model %q gives %d rows, and %q is NULL in all of them.", m.Name, f.skipped, m.Target)
		}
		return t.fail("No rows to train on", detail, "Run the tasks that fill the source's tables first, or change its WHERE.")
	}
	if facts.Twice > 0 {
		return t.fail("Id is not unique", fmt.Sprintf("Column %q, the id of model %q, has the value %q more than once; %d of %d rows repeat an id.", m.ID, m.Name, facts.FirstTwin, facts.Twice, n),
			"Name a column that is different in every row, or make the source's SELECT give each row once.")
	}
	if f.skipped > 0 {
		t.warn("Rows without target", fmt.Sprintf("%d rows of model %q were left out, because %q is NULL; %d were used.", f.skipped, m.Name, m.Target, n), "Leave them out in the source's WHERE to be rid of this warning.")
	}
	for _, i := range facts.Empty {
		t.warn("Feature without values", fmt.Sprintf("Column %q of model %q is NULL or NaN in every row, and cannot be of use.", f.features[i].Name, m.Name),
			fmt.Sprintf("Compute it in the source's SELECT, or set it aside with exclude = [%q].", f.features[i].Name))
	}
	return nil
}
