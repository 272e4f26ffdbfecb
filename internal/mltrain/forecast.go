package mltrain

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/forest"
	"damson/internal/learn"
	"damson/internal/pipeline"
	"damson/internal/pushdown"
	"damson/internal/search"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/rows"
)

// Forecast is how a model would be trained on the rows that its source gives now, and about what either way takes.
type Forecast struct {
	Rows       int64 // with a target
	Features   int
	Inside     bool // in the database; else the rows are read
	Why        string
	Trials     int // of the search; 0 = nothing is searched
	TrialFolds int
	Folds      int            // of the cross-validation; 0 = there is none
	Memory     int64          // bytes that rows which are read take
	InDatabase *pushdown.Cost // nil = the algorithm can not be trained there
}

// Foresee asks the warehouse how many rows there are. memory is as in Options.
func Foresee(ctx context.Context, w *warehouse.Warehouse, m pipeline.Model, sql sqltext.Text, memory int64) (*Forecast, error) {
	algorithm, err := checkModel(m)
	if err != nil {
		return nil, err
	}
	t := newTraining(m, algorithm, Options{Warehouse: w})
	t.at = sql.Pos(0)
	s, err := w.Session(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	l, fields, err := t.schema(ctx, s, sql)
	if err != nil {
		return nil, err
	}
	var b sqltext.Builder
	counted := "*"
	if !algorithm.Clustering() {
		counted = sqltext.QuoteIdent(fields[l.target].Name)
	}
	b.Add("select count(" + counted + ") from (\n")
	b.Append(sql)
	b.Add("\n) as source")
	reader, err := s.Query(ctx, b.Text())
	if err != nil {
		return nil, err
	}
	found, err := rows.ReadOne(reader)
	if err != nil {
		return nil, err
	}
	f := &Forecast{Rows: found[0].(int64), Features: len(l.features)}
	f.Memory = f.Rows * rowBytes(algorithm, f.Features)
	f.choose(t, memory)
	if f.Inside {
		if err := t.checkInside(columnsOf(l, fields)); err != nil {
			return nil, err
		}
	}
	if m.Folds != nil {
		f.Folds = m.Folds.K
	}
	if m.Search != nil {
		f.Trials, f.TrialFolds = len(search.Points(*m.Search)), m.Search.Folds
	}
	if algorithm.Inside == nil {
		return f, nil
	}
	features := make([]arrow.Field, f.Features)
	for i, c := range l.features {
		features[i] = fields[c]
	}
	numbers, texts := countKinds(features)
	cost, err := f.inDatabase(m, algorithm, pushdown.Size{Rows: f.Rows, Numbers: numbers, Texts: texts})
	f.InDatabase = &cost
	return f, err
}

// Trainings is how many models are trained.
func (f *Forecast) Trainings() int { return f.Trials*f.TrialFolds + f.Folds + 1 }

// inDatabase adds up what a database does: it copies rows, looks at them, searches, trains the version and cross-validates.
func (f *Forecast) inDatabase(m pipeline.Model, a learn.Algorithm, all pushdown.Size) (pushdown.Cost, error) {
	training := part(all, 1-m.Split.Test)
	then, params, err := f.searching(m, a, training)
	if err != nil {
		return then, err
	}
	then = then.Plus(training.Packed()).Plus(training.Grown(params))
	then.Predictions += all.Rows - training.Rows
	if f.Folds > 0 {
		without := part(all, 1-1/float64(f.Folds))
		for range f.Folds {
			then = then.Plus(without.Packed()).Plus(without.Grown(params))
		}
		then.Predictions += all.Rows
	}
	then = then.Plus(all.Looked())
	copied := all.Copied()
	then.Temporary += copied.Temporary
	return copied.Plus(then), nil
}

// part is a share of the rows.
func part(of pushdown.Size, share float64) pushdown.Size {
	of.Rows = int64(float64(of.Rows) * share)
	return of
}

// searching is what the search takes, in which a fold keeps its bins for trials that want as many, and the parameters of the trial
// that takes most.
func (f *Forecast) searching(m pipeline.Model, a learn.Algorithm, training pushdown.Size) (all pushdown.Cost, most forest.Params, err error) {
	most = a.Inside(m)
	if m.Search == nil {
		return all, most, nil
	}
	without := part(training, 1-1/float64(f.TrialFolds))
	bins, visits := 0, int64(0)
	for _, p := range search.Points(*m.Search) {
		if m.Algorithm, err = p.Apply(m.Algorithm); err != nil {
			return all, most, err
		}
		params := a.Inside(m)
		each := without.Grown(params)
		if each.Visits > visits {
			most, visits = params, each.Visits
		}
		if params.Bins != bins {
			each, bins = each.Plus(without.Packed()), params.Bins
		}
		for range f.TrialFolds {
			all = all.Plus(each)
		}
		all.Predictions += training.Rows
	}
	all.Temporary *= int64(f.TrialFolds)
	return all, most, nil
}

// choose decides as Train does.
func (f *Forecast) choose(t *training, memory int64) {
	switch fits := memory == 0 || f.Memory <= memory; {
	case t.model.DataStays:
		f.Inside, f.Why = true, "data_stays = True"
	case fits:
		f.Why = "they fit in memory"
	case t.algorithm.Inside != nil && t.folded() && f.Rows*t.knownBytes() > memory:
		f.Inside, f.Why = true, "they do not fit in memory; nor do their folds, and the training will stop"
	case t.algorithm.Inside != nil:
		f.Inside, f.Why = true, "they do not fit in memory"
	default:
		f.Why = fmt.Sprintf("%s can only be trained so; they do not fit in memory, and the training will stop", t.algorithm.Name)
	}
}
