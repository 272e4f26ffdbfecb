// Package pushdown trains forests where the rows are: in the database, by SQL. Its central type is Rows, a temporary table of
// what a model learns from; a Part says which of them one forest learns from, and which it is judged on: the two sides of the split, or
// all folds but one and that one. The database cuts bins, draws bootstrap samples and counts histograms; Go sees counts, chooses
// splits, and sends back where rows go next. The database also counts what leaks are told by (leaks.go), tries what
// features do to a model (trials.go), and counts what rows look like (reference.go; tally.go for rows to be scored).
//
// Invariants:
//  1. The forest is the one that forest.Train grows of the same rows: the same draws, bins and sums, all of them exact in SQL. So are
//     counts; means, variances and correlations are, up to rounding.
//  2. The source is read once; all that follows sees what was read then.
//  3. What leaves the database are counts, sums and correlations, the values at the bins' edges, texts that features and the target
//     hold, and of rows that something is judged on what Known and Predict give: never a feature.
//  4. All that is made is temporary and belongs to one session: when it ends, however it ends, nothing is left.
//
// The SQL is DuckDB's, PostgreSQL's and that of the Greenplum family (6 and later); what they write differently stands in
// dialect.go. The package judges no values: it tells facts, and its caller refuses.
package pushdown

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse/rows"
)

// Session is a session of a database, in which temporary tables last until its end.
type Session interface {
	Exec(ctx context.Context, text sqltext.Text) (int64, error)
	Query(ctx context.Context, text sqltext.Text) (array.RecordReader, error)
}

// Columns say which columns of the source play which part. Name "" = none does. Types are those of the session's Query.
type Columns struct {
	ID, Target, Weight, Segment, Group, Time arrow.Field
	Fold                                     arrow.Field // the group of the cross-validation, when it is another than the split's
	Features                                 []arrow.Field
}

// Rows are the rows to learn from, in a temporary table: those that have a target.
//
//	id, hi, lo     the id as text, and the two numbers of its key
//	label          the target, a text or a double
//	grp            the split's group as text
//	ghi, glo       the key of what keeps rows together: that group, where there is none that of the cross-validation, else the segment
//	segment, weight, moment
//	fgrp           the group of the cross-validation as text
//	f0, f1, …      the features: double, or text; NULL when missing
type Rows struct {
	session  Session
	dialect  dialect
	columns  Columns
	skipped  int64
	held     string // the condition to be held out
	training int64  // rows that are not
	out      int64  // rows that are
	present  []bool // by feature: all rows have it; nil = not known
}

// Names of the temporary tables.
const (
	rowsTable  = "damson_rows"
	runsTable  = "damson_runs"
	binsTable  = "damson_bins"
	levelTable = "damson_levels"
	foldsTable = "damson_folds"
	cutTable   = "damson_cut"

	countsTable = "damson_counts"
	sampleTable = "damson_sample"
	longTable   = "damson_long"
)

// Stage reads the source into a temporary table. kind is the database's, as the warehouse tells it.
func Stage(ctx context.Context, s Session, kind string, source sqltext.Text, c Columns) (*Rows, error) {
	r := &Rows{session: s, dialect: dialectOf(kind), columns: c}
	var b sqltext.Builder
	b.Add("create temporary table " + rowsTable + " as\nselect " + r.dialect.key("idhash", "hi", "lo") + ", id, label, segment, weight, moment, fgrp, grp, " + r.dialect.key("grouphash", "ghi", "glo"))
	for f := range c.Features {
		b.Add(fmt.Sprintf(", f%d", f))
	}
	b.Add("\nfrom (select *, md5(id) as idhash, md5(coalesce(grp, fgrp, segment)) as grouphash from (select " + strings.Join(stagedItems(c), ",\n  ") + "\nfrom (\n")
	b.Append(source)
	b.Add("\n) as source" + r.dialect.hash + ") as named" + r.dialect.hash + ") as hashed")
	if _, err := s.Exec(ctx, b.Text()); err != nil {
		return nil, err
	}
	for _, set := range r.dialect.settings {
		if _, err := r.exec(ctx, set); err != nil {
			return nil, err
		}
	}
	var err error
	r.skipped, err = r.exec(ctx, "delete from "+rowsTable+" where label is null")
	return r, err
}

// stagedItems are the source's columns as Rows names them.
func stagedItems(c Columns) []string {
	label := number(c.Target)
	if isText(c.Target) {
		label = text(c.Target)
	}
	items := []string{text(c.ID) + " as id", label + " as label", orNull(c.Segment, text) + " as segment",
		orNull(c.Weight, number) + " as weight", orNull(c.Time, moment) + " as moment", orNull(c.Group, text) + " as grp", orNull(c.Fold, text) + " as fgrp"}
	for f, own := range c.Features {
		if isText(own) {
			items = append(items, fmt.Sprintf("%s as f%d", text(own), f))
		} else {
			items = append(items, fmt.Sprintf("nullif(%s, float8 'NaN') as f%d", number(own), f))
		}
	}
	return items
}

func isText(f arrow.Field) bool { return f.Type != nil && arrow.TypeEqual(f.Type, rows.TextType) }

// orNull writes a column, or a text that is NULL where there is none.
func orNull(f arrow.Field, write func(arrow.Field) string) string {
	if f.Name == "" {
		return "cast(null as text)"
	}
	return write(f)
}

// text writes a column as the text that its key is made of; a time with a zone is told in the session's, which is UTC.
func text(f arrow.Field) string {
	name := sqltext.QuoteIdent(f.Name)
	if f.Type.ID() == arrow.TIMESTAMP {
		name = "cast(" + name + " as timestamp)"
	}
	return "cast(" + name + " as text)"
}

// number writes a column as double precision.
func number(f arrow.Field) string {
	name := sqltext.QuoteIdent(f.Name)
	if arrow.TypeEqual(f.Type, rows.BooleanType) {
		return fmt.Sprintf("case when %s then float8 '1' when not %s then float8 '0' end", name, name)
	}
	return "cast(" + name + " as double precision)"
}

// moment writes a column that orders rows in time; a number that is NaN comes before all others, as in Go.
func moment(f arrow.Field) string {
	if arrow.TypeEqual(f.Type, rows.DateType) || arrow.TypeEqual(f.Type, rows.TimestampType) {
		return sqltext.QuoteIdent(f.Name)
	}
	return fmt.Sprintf("case when %s = float8 'NaN' then float8 '-Infinity' else %s end", number(f), number(f))
}

// HasKey reports whether SQL makes the same key of a column's values as Go does.
func HasKey(f arrow.Field) bool { return !arrow.TypeEqual(f.Type, rows.DoubleType) }

// HoldOutGroups holds out rows whose groups, or ids where there are no groups, the draw puts below the share.
func (r *Rows) HoldOutGroups(d tree.Draw, share float64) {
	r.held = d.BelowSQL("ghi", "glo", share)
	if r.columns.Group.Name == "" {
		r.held = d.BelowSQL("hi", "lo", share)
	}
}

// HoldOutLast holds out rows from after the given one in the order of time, counted from 0.
func (r *Rows) HoldOutLast(ctx context.Context, position int64) error {
	r.held = "moment > (select moment from " + cutTable + ")"
	_, err := r.exec(ctx, fmt.Sprintf("create temporary table %s as select moment from %s order by moment limit 1 offset %d", cutTable, rowsTable, position))
	return err
}

// foldGroup is the column of the cross-validation's groups.
func (r *Rows) foldGroup() string {
	if r.columns.Fold.Name == "" {
		return "grp"
	}
	return "fgrp"
}

// IsText reports whether a feature holds texts.
func (r *Rows) IsText(f int) bool { return isText(r.columns.Features[f]) }

// Skipped is the number of rows without target.
func (r *Rows) Skipped() int64 { return r.skipped }

func (r *Rows) exec(ctx context.Context, sql string) (int64, error) {
	return r.session.Exec(ctx, sqltext.Plain("", sql))
}

// all gives the rows of a small result.
func (r *Rows) all(ctx context.Context, sql string) ([][]any, error) {
	reader, err := r.session.Query(ctx, sqltext.Plain("", sql))
	if err != nil {
		return nil, err
	}
	return rows.ReadAll(reader)
}

// each visits the rows of a result of integers.
func (r *Rows) each(ctx context.Context, sql string, visit func(row []int64) error) error {
	reader, err := r.session.Query(ctx, sqltext.Plain("", sql))
	if err != nil {
		return err
	}
	defer reader.Release()
	var row []int64
	for reader.Next() {
		batch := reader.RecordBatch()
		row = make([]int64, batch.NumCols())
		columns := make([]*array.Int64, batch.NumCols())
		for c := range columns {
			columns[c] = batch.Column(c).(*array.Int64)
		}
		for i := range int(batch.NumRows()) {
			for c, column := range columns {
				row[c] = column.Value(i)
			}
			if err := visit(row); err != nil {
				return err
			}
		}
	}
	return reader.Err()
}
