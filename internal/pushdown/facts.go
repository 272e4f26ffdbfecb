package pushdown

import (
	"context"
	"fmt"
)

// Facts are what has to be known of the rows before anything is learned from them.
type Facts struct {
	Rows      int64
	Twice     int64  // rows whose id another row has, too
	FirstTwin string // the first such id in the order of bytes
	NullID    bool
	NullGroup bool
	NullTime  bool
	NullFold  bool

	NullSegment bool
	BadWeight   *float64 // a weight that is none; NaN stands for NULL
	Empty       []int    // features without any value
	Groups      int64
}

// Facts asks for them.
func (r *Rows) Facts(ctx context.Context) (*Facts, error) {
	sql := "select count(*), count(id), count(grp), count(moment), count(segment), count(distinct id), count(distinct grp), count(fgrp)"
	for f := range r.columns.Features {
		sql += fmt.Sprintf(", count(f%d)", f)
	}
	var facts Facts
	r.present = nil
	err := r.each(ctx, sql+" from "+rowsTable, func(row []int64) error {
		n := row[0]
		facts = Facts{Rows: n, NullID: row[1] < n, NullGroup: r.columns.Group.Name != "" && row[2] < n, NullTime: r.columns.Time.Name != "" && row[3] < n,
			NullSegment: r.columns.Segment.Name != "" && row[4] < n, NullFold: r.columns.Fold.Name != "" && row[7] < n, Twice: row[1] - row[5], Groups: n}
		if r.columns.Group.Name != "" {
			facts.Groups = row[6]
		}
		for f, present := range row[8:] {
			r.present = append(r.present, present == n)
			if present == 0 {
				facts.Empty = append(facts.Empty, f)
			}
		}
		return nil
	})
	if err == nil && facts.Twice > 0 {
		facts.FirstTwin, err = r.firstTwin(ctx)
	}
	if err == nil && r.columns.Weight.Name != "" {
		facts.BadWeight, err = r.badWeight(ctx)
	}
	return &facts, err
}

// complete reports whether all rows are known to have a feature.
func (r *Rows) complete(f int) bool { return r.present != nil && r.present[f] }

func (r *Rows) firstTwin(ctx context.Context) (string, error) {
	found, err := r.all(ctx, fmt.Sprintf("select id from %s group by id having count(*) > 1 order by id%s limit 1", rowsTable, r.dialect.binary))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0][0].(string), nil
}

func (r *Rows) badWeight(ctx context.Context) (*float64, error) {
	found, err := r.all(ctx, "select coalesce(weight, float8 'NaN') from "+rowsTable+
		" where weight is null or not weight >= float8 '0' or weight >= float8 'Infinity' order by weight limit 1")
	if err != nil || len(found) == 0 {
		return nil, err
	}
	w := found[0][0].(float64)
	return &w, nil
}

// Texts gives the different texts of the target with their rows, at most most+1 of them.
func (r *Rows) Texts(ctx context.Context, most int) ([]string, error) {
	found, err := r.all(ctx, fmt.Sprintf("select distinct label from %s limit %d", rowsTable, most+1))
	texts := make([]string, len(found))
	for i, row := range found {
		texts[i] = row[0].(string)
	}
	return texts, err
}

// Numbers gives different numbers of the target, at most most+1 of them; before them one that is NaN or infinite, one that is no
// whole number, the least and the greatest, where there are such.
func (r *Rows) Numbers(ctx context.Context, most int) ([]float64, error) {
	var numbers []float64
	for _, sql := range []string{
		"where label = float8 'NaN' or label = float8 'Infinity' or label = float8 '-Infinity' order by label desc limit 1",
		"where floor(label) <> label order by label limit 1",
		"order by label limit 1",
		"order by label desc limit 1",
		fmt.Sprintf("group by label order by label limit %d", most+1),
	} {
		found, err := r.all(ctx, "select label from "+rowsTable+" "+sql)
		if err != nil {
			return nil, err
		}
		for _, row := range found {
			numbers = append(numbers, row[0].(float64))
		}
	}
	return numbers, nil
}

// Levels gives the texts of a feature on both sides of the split, at most most+1, in any order.
func (r *Rows) Levels(ctx context.Context, f, most int) ([]string, error) {
	found, err := r.all(ctx, fmt.Sprintf("select distinct f%d from %s where f%d is not null limit %d", f, rowsTable, f, most+1))
	levels := make([]string, len(found))
	for i, row := range found {
		levels[i] = row[0].(string)
	}
	return levels, err
}

// Side counts the rows of one side of the split.
type Side struct {
	Rows, Groups int64
	Classes      []int64
}

// Sides counts the training and the held-out rows.
func (r *Rows) Sides(ctx context.Context, of Classes) (train, held Side, err error) {
	train.Classes, held.Classes = make([]int64, of.number()), make([]int64, of.number())
	side := func(out int64) *Side {
		if out == 1 {
			return &held
		}
		return &train
	}
	out := "case when " + r.held + " then 1 else 0 end"
	err = r.each(ctx, fmt.Sprintf("select cast(out as bigint), cast(class as bigint), count(*) from (select %s as out, %s as class from %s) as sides group by out, class", out, of.sql(), rowsTable),
		func(row []int64) error {
			s := side(row[0])
			s.Rows += row[2]
			if len(s.Classes) > 0 {
				s.Classes[row[1]] += row[2]
			}
			return nil
		})
	train.Groups, held.Groups, r.training, r.out = train.Rows, held.Rows, train.Rows, held.Rows
	if err != nil || r.columns.Group.Name == "" {
		return train, held, err
	}
	err = r.each(ctx, fmt.Sprintf("select cast(out as bigint), count(distinct grp) from (select %s as out, grp from %s) as sides group by out", out, rowsTable),
		func(row []int64) error {
			side(row[0]).Groups = row[1]
			return nil
		})
	return train, held, err
}
