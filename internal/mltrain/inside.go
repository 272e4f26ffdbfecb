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

// Bounds of the rows that a database keeps to train on.
const (
	maxInside = 1500 // features: a table of PostgreSQL has 1,600 columns
	pageRoom  = 7600 // bytes of a row's features in PostgreSQL, where rows lie in pages of 8 kB, and texts beside them
	textPlace = 18   // bytes that stay of a text which lies beside its row
)

// trainInside trains in the database, which gives no features of a row away. The version's hash is the one that reading the rows gives.
func (t *training) trainInside(ctx context.Context, sql sqltext.Text) (*Trained, error) {
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
	columns := columnsOf(l, fields)
	if err := t.checkInside(columns); err != nil {
		return nil, err
	}
	t.progress(StageStage, 0, 0)
	staged, err := pushdown.Stage(ctx, s, t.options.Warehouse.Kind(), sql, columns)
	if err != nil {
		return nil, fmt.Errorf("copy the rows to train model %s on: %w", t.model.Name, err)
	}
	trained, err := t.learnInside(ctx, staged, l, sql)
	if err != nil && !errors.As(err, new(diag.Finding)) && !errors.As(err, new(diag.Findings)) {
		err = fmt.Errorf("train model %s in the database: %w", t.model.Name, err)
	}
	return trained, err
}

// database is where the rows lie of a training that does not read them.
type database struct {
	*pushdown.Rows
	folds *pushdown.Folds // that rows are dealt out to now
}

// learnInside does what Train does, on staged rows.
func (t *training) learnInside(ctx context.Context, staged *pushdown.Rows, l layout, sql sqltext.Text) (*Trained, error) {
	t.inside = &database{Rows: staged}
	facts, err := t.survey(ctx, staged, l)
	if err != nil {
		return nil, err
	}
	if err := t.holdOut(ctx, staged, facts); err != nil {
		return nil, err
	}
	train, held, err := staged.Sides(ctx, t.classesInside(placesOf(len(t.asked.classes))))
	if err != nil {
		return nil, err
	}
	if err := t.checkSides(train, held, facts.Groups); err != nil {
		return nil, err
	}
	if err := t.levels(ctx, staged, l); err != nil {
		return nil, err
	}
	if train.Rows > tree.MaxRows {
		return nil, t.cannot(fmt.Errorf("%d rows, and at most %d can be learned from", train.Rows, tree.MaxRows))
	}
	if err := t.leaksInside(ctx, facts); err != nil {
		return nil, err
	}
	rows, test, err := t.known(ctx, facts.Rows)
	if err != nil {
		return nil, err
	}
	if err := t.search(ctx, rows); err != nil {
		return nil, err
	}
	m, outputs, err := t.versionInside(ctx, train, int64(len(test)))
	if err != nil {
		return nil, err
	}
	report, err := t.judgeInside(ctx, m, test, outputs)
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
	reference, err := staged.Reference(ctx, t.referred(report.Importance))
	if err != nil {
		return nil, err
	}
	t.progress(StageEvaluate, held.Rows, held.Rows)
	return t.trained(learn.Trees(m, t.rows.features), *report, sql, model.Version{Rows: train.Rows, Data: data}, reference)
}

// classesInside gives some of the classes as the database finds them.
func (t *training) classesInside(some []int) (c pushdown.Classes) {
	numbers := t.classNumbers()
	for _, class := range some {
		if t.asked.texts {
			c.Texts = append(c.Texts, t.asked.classes[class])
		} else {
			c.Numbers = append(c.Numbers, numbers[class])
		}
	}
	return c
}

// fitInside trains on rows of some classes, which are counted.
func (t *training) fitInside(ctx context.Context, part *pushdown.Part, some []int, counts []int64, progress func(done, total int)) (*tree.Model, error) {
	lesson := pushdown.Lesson{Params: t.algorithm.Inside(t.model), Classes: t.classesInside(some), Progress: progress}
	for _, own := range t.rows.features {
		lesson.Levels = append(lesson.Levels, own.Levels)
	}
	if len(some) > 0 {
		lesson.Params.ClassWeights = t.classWeights(some, counts)
		if _, err := tree.ClassWeights(lesson.Params.ClassWeights, len(some)); err != nil {
			return nil, t.cannot(err)
		}
	}
	return part.Learn(ctx, lesson)
}

// scoring writes a model as the database applies it.
func (t *training) scoring(m *tree.Model) pushdown.Applied {
	return applied(learn.Trees(m, t.rows.features).SQL(t.inside.FeatureNames(), "x"))
}

// applied gives SQL as package pushdown takes it.
func applied(scoring learn.Scoring) pushdown.Applied {
	out := pushdown.Applied{Steps: make([][]pushdown.Step, len(scoring.Steps)), Outputs: scoring.Outputs}
	for i, items := range scoring.Steps {
		for _, own := range items {
			out.Steps[i] = append(out.Steps[i], pushdown.Step(own))
		}
	}
	return out
}

// versionInside trains the version and applies it to the held-out rows.
func (t *training) versionInside(ctx context.Context, train pushdown.Side, held int64) (*tree.Model, [][]float64, error) {
	split := t.inside.Split()
	m, err := t.fitInside(ctx, split, placesOf(len(train.Classes)), train.Classes, func(done, total int) { t.progress(StageInside, int64(done), int64(total)) })
	if err != nil {
		return nil, nil, err
	}
	t.progress(StageEvaluate, 0, held)
	if parts := m.Parts(); t.model.DataStays && len(parts)*len(parts[0]) > 1 {
		t.warn("Scoring reads the rows", fmt.Sprintf("This version of model %q has %d nodes; above %d score tasks stream their rows through Damson.", t.model.Name, m.SQLNodes(), tree.MaxSQLNodes),
			"If rows to be scored are to stay in the database as well, take fewer trees, a smaller max_depth or a larger min_leaf.")
	}
	outputs, err := split.Predict(ctx, m, t.scoring)
	return m, outputs, err
}

// dealInside tells the database how rows of these groups were dealt out.
func (t *training) dealInside(ctx context.Context, c *codes, d pushdown.Deal) (err error) {
	column := t.foldBy()
	switch {
	case !c.used:
		d.By = pushdown.ByRow
	case c == &t.rows.groups:
		d.By, column = pushdown.ByGroup, t.model.Split.By
	default:
		d.By = pushdown.ByFoldGroup
	}
	if err := t.unwritable(column, c.Names); err != nil {
		return err
	}
	t.inside.folds, err = t.inside.Deal(ctx, d)
	return err
}

// predictInside does in the database what predictRead does.
func (t *training) predictInside(ctx context.Context, f foldRows) ([][]float64, error) {
	counts := make([]int64, len(f.some))
	for i, class := range f.some {
		counts[i] = f.side.Classes[class]
	}
	part := t.inside.folds.Part(f.part, f.side.Rows)
	m, err := t.fitInside(ctx, part, f.some, counts, func(done, total int) { t.progress(StageFolds, int64(f.part*total+done), int64(f.of*total)) })
	if err != nil {
		return nil, err
	}
	outputs, err := part.Predict(ctx, m, t.scoring)
	if err == nil && len(outputs[0]) != len(f.test) {
		err = fmt.Errorf("the database has %d rows in fold %d, and %d were dealt out to it", len(outputs[0]), f.part+1, len(f.test))
	}
	return outputs, err
}

// dealtInside lets the database forget the folds.
func (t *training) dealtInside(ctx context.Context) error {
	if t.inside == nil {
		return nil
	}
	return t.inside.folds.Drop(ctx)
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
	t.rows.groups.used, t.rows.segments.used, t.rows.folds.used = l.group >= 0, l.segment >= 0, l.fold >= 0
	t.rows.labels.used = l.target >= 0 && cells.IsText(fields[l.target].Type)
	return l, fields, nil
}

// checkInside refuses columns that SQL cannot learn from as Go does.
func (t *training) checkInside(c pushdown.Columns) error {
	var all diag.Findings
	if n := len(c.Features); n > maxInside {
		all = append(all, t.fail("Wrong number of features", fmt.Sprintf("The source of model %q has %d features; up to %d can be trained in the database.", t.model.Name, n, maxInside), "Change the source's SELECT."))
	} else if numbers, texts := countKinds(c.Features); t.options.Warehouse.Kind() != "duckdb" && 8*numbers+textPlace*texts > pageRoom {
		all = append(all, t.fail("Rows are too wide for the database", fmt.Sprintf("The source of model %q has %d numbers and %d texts as features; PostgreSQL keeps a row in a page of 8 kB, which has room for %d numbers, or %d texts.",
			t.model.Name, numbers, texts, pageRoom/8, pageRoom/textPlace), "Take fewer features, or remove data_stays."))
	}
	for _, part := range []struct {
		what  string
		field arrow.Field
	}{{"id", c.ID}, {"split by", c.Group}, {"cross_validation by", c.Fold}} {
		if f := part.field; f.Name != "" && !pushdown.HasKey(f) {
			all = append(all, t.fail("Column can not be drawn by", fmt.Sprintf("Column %q, %s of model %q, is %s, whose text differs from database to database.", f.Name, part.what, t.model.Name, f.Type),
				fmt.Sprintf("Make it bigint or text in the source's SELECT: cast(%s as bigint).", f.Name)))
		}
	}
	return all.Err()
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
	if l.fold >= 0 && l.fold != l.group {
		c.Fold = fields[l.fold]
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
	}{{facts.NullID, "id", m.ID}, {facts.NullGroup, "split by", m.Split.By}, {facts.NullSegment, "segment", m.Segment}, {facts.NullFold, "cross_validation by", t.foldBy()},
		{facts.NullTime && l.group < 0, "split time", m.Split.Time}} {
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
func (t *training) holdOut(ctx context.Context, staged *pushdown.Rows, facts *pushdown.Facts) error {
	s := t.model.Split
	if s.Time != "" && !t.rows.groups.used {
		return staged.HoldOutLast(ctx, int64(float64(facts.Rows-1)*(1-s.Test)))
	}
	staged.HoldOutGroups(tree.NewDraw(s.Seed, streamSplit), s.Test)
	return nil
}

// levels finds the texts of features.
func (t *training) levels(ctx context.Context, staged *pushdown.Rows, l layout) error {
	for f := range l.features {
		if !staged.IsText(f) {
			continue
		}
		levels, err := staged.Levels(ctx, f, maxLevels)
		if err != nil {
			return err
		}
		own := &t.rows.features[f]
		if len(levels) > maxLevels {
			return t.tooManyTexts(own.Name)
		}
		slices.Sort(levels)
		own.Levels = levels
		if err := t.unwritable(own.Name, own.Levels); err != nil {
			return err
		}
	}
	return nil
}

// known brings what may be known here of held-out rows, and of all of so many rows when they are dealt out to folds.
func (t *training) known(ctx context.Context, rows int64) (train, test []int32, err error) {
	all := t.folded()
	if bound := t.options.Memory; all && bound > 0 && rows*t.knownBytes() > bound {
		return nil, nil, t.fail("Folds do not fit in memory",
			fmt.Sprintf("Of each of the %d rows of model %q, cross_validation and search keep target, groups and prediction, which take more than the %d MiB allowed.", rows, t.model.Name, bound>>20),
			"Select fewer rows in the source, raise memory in damson.yaml, or remove cross_validation and search.")
	}
	reader, err := t.inside.Known(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Release()
	for reader.Next() {
		batch := reader.RecordBatch()
		first := len(t.rows.keys)
		t.addKnown(batch.Columns(), int(batch.NumRows()))
		for i, held := range batch.Column(7).(*array.Int64).Int64Values() {
			if held == 1 {
				test = append(test, int32(first+i))
			} else {
				train = append(train, int32(first+i))
			}
		}
	}
	t.renumber()
	return train, test, reader.Err()
}

// folded reports whether rows are dealt out to folds.
func (t *training) folded() bool { return t.model.Folds != nil || t.model.Search != nil }

// knownBytes is about what is kept of a row that is dealt out: key, target, weight, fold, codes of three groups, and outputs.
func (t *training) knownBytes() int64 { return 48 + 8*int64(max(1, len(t.asked.classes))) }

// addKnown takes key, label, weight, segment and groups of rows.
func (t *training) addKnown(columns []arrow.Array, n int) {
	f, rows := t.rows, placesOf(n)
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
	for i, c := range []*codes{&f.segments, &f.groups, &f.folds} {
		if texts, ok := columns[4+i].(*array.String); ok && c.used {
			for _, row := range rows {
				c.add(texts.Value(row))
			}
		}
	}
}

// judgeInside judges the held-out rows by what the model's SQL gives for them.
func (t *training) judgeInside(ctx context.Context, m *tree.Model, test []int32, outputs [][]float64) (*metric.Report, error) {
	t.keep(test, outputs)
	report, err := t.verdict(ctx, test, outputs)
	if err != nil {
		return nil, err
	}
	if t.asked.kind == metric.Binary && !t.asked.plain() {
		report.ClassNames = t.asked.classes
	}
	report.Inside = true
	if report.Importance, report.Dependence, err = t.effectsInside(ctx, m, len(test)); err != nil {
		return nil, err
	}
	if t.model.Folds != nil {
		report.Folds, err = t.crossValidate(ctx)
	}
	return report, err
}

// placesOf numbers so many classes.
func placesOf(n int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	return places
}

// countKinds tells how many features are numbers, and texts.
func countKinds(features []arrow.Field) (numbers, texts int) {
	for _, f := range features {
		if cells.IsText(f.Type) {
			texts++
		} else {
			numbers++
		}
	}
	return numbers, texts
}
