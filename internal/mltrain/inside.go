package mltrain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
	"damson/internal/model"
	"damson/internal/pushdown"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// leftOut is what a report says of a training in the database.
const leftOut = "Trained in the database: permutation importance, dependence, the look for leaks and the baseline for drift need the rows, and were left out."

// maxInside is how many features are trained in the database: a table of PostgreSQL has 1,600 columns.
const maxInside = 1500

// inside trains in the database, which gives no training row away. The version's hash is the one that reading the rows gives.
func (t *training) inside(ctx context.Context, sql sqltext.Text) (*Trained, error) {
	t.at = sql.Pos(0)
	if t.options.Warehouse == nil {
		return nil, t.fail("No database to train in", fmt.Sprintf("Model %q has data_stays = True, and its rows come from no warehouse.", t.model.Name), "Remove data_stays.")
	}
	s, err := t.options.Warehouse.Session(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	l, fields, err := t.schema(ctx, s, sql)
	if err != nil {
		return nil, err
	}
	t.progress(StageStage, 0, 0)
	staged, err := pushdown.Stage(ctx, s, t.options.Warehouse.Kind(), sql, columnsOf(l, fields))
	if err != nil {
		return nil, fmt.Errorf("copy the rows to train model %s on: %w", t.model.Name, err)
	}
	trained, err := t.learnInside(ctx, staged, l, sql)
	if err != nil && !errors.As(err, new(diag.Finding)) && !errors.As(err, new(diag.Findings)) {
		err = fmt.Errorf("train model %s in the database: %w", t.model.Name, err)
	}
	return trained, err
}

// learnInside does what Train does, on staged rows.
func (t *training) learnInside(ctx context.Context, staged *pushdown.Rows, l layout, sql sqltext.Text) (*Trained, error) {
	facts, err := t.survey(ctx, staged, l)
	if err != nil {
		return nil, err
	}
	lesson := pushdown.Lesson{Params: t.algorithm.Inside(t.model), Progress: func(done, total int) { t.progress(StageInside, int64(done), int64(total)) }}
	if t.asked.texts {
		lesson.Classes.Texts = t.asked.classes
	} else if t.asked.kind != metric.Regression {
		lesson.Classes.Numbers = t.classNumbers()
	}
	t.holdOut(staged, facts)
	train, held, err := staged.Sides(ctx, lesson.Classes)
	if err != nil {
		return nil, err
	}
	if err := t.checkSides(train, held, facts.Groups); err != nil {
		return nil, err
	}
	if lesson.Levels, err = t.levels(ctx, staged, l); err != nil {
		return nil, err
	}
	if train.Rows > tree.MaxRows {
		return nil, t.cannot(fmt.Errorf("%d rows, and at most %d can be learned from", train.Rows, tree.MaxRows))
	}
	if classes := len(train.Classes); classes > 0 {
		lesson.Params.ClassWeights = t.classWeights(placesOf(classes), train.Classes)
		if _, err := tree.ClassWeights(lesson.Params.ClassWeights, classes); err != nil {
			return nil, t.cannot(err)
		}
	}
	m, err := staged.Learn(ctx, lesson)
	if err != nil {
		return nil, err
	}
	t.progress(StageEvaluate, 0, held.Rows)
	report, err := t.judgeInside(ctx, staged, m)
	if err != nil {
		return nil, err
	}
	report.Training = metric.Training{Rows: train.Rows, Groups: train.Groups, Skipped: staged.Skipped()}
	if t.asked.kind == metric.Binary {
		report.Training.Positives = train.Classes[1]
	}
	data, err := staged.Fingerprint(ctx)
	if err != nil {
		return nil, err
	}
	t.progress(StageEvaluate, held.Rows, held.Rows)
	return t.trained(learn.Trees(m, t.rows.features), *report, sql, model.Version{Rows: train.Rows, Data: data}, metric.Reference{Features: []metric.FeatureReference{}})
}

// schema finds the parts of the source's columns, without rows.
func (t *training) schema(ctx context.Context, s pushdown.Session, sql sqltext.Text) (l layout, fields []arrow.Field, err error) {
	var b sqltext.Builder
	b.Add("select * from (\n")
	b.Append(sql)
	b.Add("\n) as source limit 0")
	reader, err := s.Query(ctx, b.Text())
	if err != nil {
		return l, nil, fmt.Errorf("read the columns to train model %s on: %w", t.model.Name, err)
	}
	defer reader.Release()
	if l, err = t.layout(reader.Schema()); err != nil {
		return l, nil, err
	}
	fields = reader.Schema().Fields()
	t.rows = &frame{}
	for _, c := range l.features {
		t.rows.features = append(t.rows.features, learn.Feature{Name: fields[c].Name})
	}
	t.rows.groups.used, t.rows.segments.used = l.group >= 0, l.segment >= 0
	t.rows.labels.used = l.target >= 0 && cells.IsText(fields[l.target].Type)
	var all diag.Findings
	if n := len(l.features); n > maxInside {
		all = append(all, t.fail("Wrong number of features", fmt.Sprintf("The source of model %q has %d features; up to %d can be trained in the database.", t.model.Name, n, maxInside), "Change the source's SELECT."))
	}
	for what, c := range map[string]int{"id": l.id, "split by": l.group} {
		if c >= 0 && !pushdown.HasKey(fields[c]) {
			all = append(all, t.fail("Column can not be drawn by", fmt.Sprintf("Column %q, %s of model %q, is %s, whose text differs from database to database.", fields[c].Name, what, t.model.Name, fields[c].Type),
				fmt.Sprintf("Make it bigint or text in the source's SELECT: cast(%s as bigint).", fields[c].Name)))
		}
	}
	return l, fields, all.Err()
}

func columnsOf(l layout, fields []arrow.Field) (c pushdown.Columns) {
	for _, part := range []struct {
		to   *arrow.Field
		from int
	}{{&c.ID, l.id}, {&c.Target, l.target}, {&c.Weight, l.weight}, {&c.Segment, l.segment}, {&c.Group, l.group}, {&c.Time, l.time}} {
		if part.from >= 0 {
			*part.to = fields[part.from]
		}
	}
	for _, f := range l.features {
		c.Features = append(c.Features, fields[f])
	}
	return c
}

// survey judges the staged rows as read judges those it reads, and finds out what the target asks.
func (t *training) survey(ctx context.Context, staged *pushdown.Rows, l layout) (*pushdown.Facts, error) {
	facts, err := staged.Facts(ctx)
	if err != nil {
		return nil, err
	}
	t.rows.skipped = staged.Skipped()
	m := t.model
	for _, part := range []struct {
		null         bool
		what, column string
	}{{facts.NullID, "id", m.ID}, {facts.NullGroup, "split by", m.Split.By}, {facts.NullSegment, "segment", m.Segment}, {facts.NullTime && l.group < 0, "split time", m.Split.Time}} {
		if part.null {
			return nil, t.isNull(part.what, part.column)
		}
	}
	if facts.BadWeight != nil {
		return nil, t.badWeight(*facts.BadWeight)
	}
	if t.rows.labels.used {
		texts, err := staged.Texts(ctx, t.algorithm.Classes)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			t.rows.labels.Code(text)
		}
		if err := cmp.Or(t.checkClasses(len(texts)), t.unwritable(m.Target, texts)); err != nil {
			return nil, err
		}
	} else {
		numbers, err := staged.Numbers(ctx, t.algorithm.Classes)
		if err != nil {
			return nil, err
		}
		for _, y := range numbers {
			if err := t.checkNumber(y); err != nil {
				return nil, err
			}
		}
	}
	if err := t.checkRows(*facts); err != nil {
		return nil, err
	}
	return facts, t.understand(facts.Rows)
}

// unwritable refuses texts that no SQL can hold.
func (t *training) unwritable(column string, texts []string) error {
	if !slices.ContainsFunc(texts, func(s string) bool { return strings.ContainsRune(s, 0) }) {
		return nil
	}
	return t.fail("Text can not be written in SQL", fmt.Sprintf("Column %q of model %q holds a text with the character NUL, by which it can not be trained in the database.", column, t.model.Name),
		fmt.Sprintf("Remove it in the source's SELECT: replace(%s, chr(0), '').", column))
}

// holdOut splits the rows as split does.
func (t *training) holdOut(staged *pushdown.Rows, facts *pushdown.Facts) {
	if s := t.model.Split; s.Time != "" && !t.rows.groups.used {
		staged.HoldOutLast(int64(float64(facts.Rows-1) * (1 - s.Test)))
	} else {
		staged.HoldOutGroups(tree.NewDraw(s.Seed, streamSplit), s.Test)
	}
}

// levels finds the texts of features.
func (t *training) levels(ctx context.Context, staged *pushdown.Rows, l layout) ([][]pushdown.Level, error) {
	all := make([][]pushdown.Level, len(l.features))
	for f := range all {
		if !staged.IsText(f) {
			continue
		}
		levels, err := staged.Levels(ctx, f, maxLevels)
		if err != nil {
			return nil, err
		}
		own := &t.rows.features[f]
		if len(levels) > maxLevels {
			return nil, t.tooManyTexts(own.Name)
		}
		slices.SortFunc(levels, func(a, b pushdown.Level) int { return strings.Compare(a.Text, b.Text) })
		own.Levels = []string{}
		for _, level := range levels {
			own.Levels = append(own.Levels, level.Text)
		}
		if err := t.unwritable(own.Name, own.Levels); err != nil {
			return nil, err
		}
		all[f] = levels
	}
	return all, nil
}

// judgeInside judges the held-out rows by what the model's SQL gives for them.
func (t *training) judgeInside(ctx context.Context, staged *pushdown.Rows, m *tree.Model) (*metric.Report, error) {
	outputs, err := t.outputsInside(ctx, staged, m)
	if err != nil {
		return nil, err
	}
	t.renumber()
	t.keep(t.rows.all(), outputs)
	report, err := t.verdict(ctx, t.rows.all(), outputs)
	if err != nil {
		return nil, err
	}
	if t.asked.kind == metric.Binary && !t.asked.plain() {
		report.ClassNames = t.asked.classes
	}
	for f, gain := range m.Importance() {
		report.Importance = append(report.Importance, metric.Importance{Feature: t.rows.features[f].Name, Gain: gain})
	}
	slices.SortStableFunc(report.Importance, func(a, b metric.Importance) int {
		return cmp.Or(cmp.Compare(b.Gain, a.Gain), cmp.Compare(a.Feature, b.Feature))
	})
	report.Inside = true
	report.Warnings = append(report.Warnings, leftOut)
	return report, nil
}

// outputsInside adds the parts of the model up.
func (t *training) outputsInside(ctx context.Context, staged *pushdown.Rows, m *tree.Model) (outputs [][]float64, err error) {
	parts := m.Parts()
	if len(parts) == 1 && len(parts[0]) == 1 {
		return t.heldOut(ctx, staged, m, true)
	}
	if t.model.DataStays {
		t.warn("Scoring reads the rows", fmt.Sprintf("This version of model %q has %d nodes; above %d score tasks stream their rows through Damson.", t.model.Name, m.SQLNodes(), tree.MaxSQLNodes),
			"If rows to be scored are to stay in the database as well, take fewer trees, a smaller max_depth or a larger min_leaf.")
	}
	for i, part := range parts {
		var sums [][]float64
		for k, one := range part {
			own, err := t.heldOut(ctx, staged, one, i == 0 && k == 0)
			if err != nil {
				return nil, err
			}
			sums = added(sums, own)
		}
		outputs = added(outputs, sums)
	}
	for _, output := range outputs {
		for i := range output {
			output[i] /= float64(m.Trees())
		}
	}
	return outputs, nil
}

// added adds more to sums, which may be nil.
func added(sums, more [][]float64) [][]float64 {
	if sums == nil {
		return more
	}
	for k, output := range more {
		for i, v := range output {
			sums[k][i] += v
		}
	}
	return sums
}

// heldOut brings the outputs for held-out rows and, the first time, what else the report needs of them.
func (t *training) heldOut(ctx context.Context, staged *pushdown.Rows, m *tree.Model, first bool) (outputs [][]float64, err error) {
	scoring := learn.Trees(m, t.rows.features).SQL(staged.FeatureNames(), "x")
	steps := make([][]pushdown.Step, len(scoring.Steps))
	for i, items := range scoring.Steps {
		for _, own := range items {
			steps[i] = append(steps[i], pushdown.Step(own))
		}
	}
	reader, err := staged.HeldOut(ctx, steps, scoring.Outputs)
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	outputs = make([][]float64, len(scoring.Outputs))
	for reader.Next() {
		batch := reader.RecordBatch()
		rows := make([]int, batch.NumRows())
		for i := range rows {
			rows[i] = i
		}
		for k := range outputs {
			outputs[k] = cells.AppendNumbers(outputs[k], batch.Column(6+k), rows)
		}
		if first {
			t.addHeldOut(batch.Columns()[:6], rows)
		}
	}
	return outputs, reader.Err()
}

// addHeldOut takes key, label, weight, segment and group of held-out rows.
func (t *training) addHeldOut(columns []arrow.Array, rows []int) {
	f := t.rows
	hi, lo := columns[0].(*array.Int64), columns[1].(*array.Int64)
	for _, row := range rows {
		f.keys = append(f.keys, tree.KeyOfParts(hi.Value(row), lo.Value(row)))
	}
	if f.labels.used {
		f.target = f.labels.Append(f.target, columns[2], rows)
	} else {
		f.target = cells.AppendNumbers(f.target, columns[2], rows)
	}
	if t.model.Weight != "" {
		f.weights = cells.AppendNumbers(f.weights, columns[3], rows)
	}
	for i, c := range []*codes{&f.segments, &f.groups} {
		if texts, ok := columns[4+i].(*array.String); ok && c.used {
			for _, row := range rows {
				c.add(texts.Value(row))
			}
		}
	}
}

// placesOf numbers so many classes.
func placesOf(n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	return places
}
