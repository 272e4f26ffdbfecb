package mltrain

import (
	"context"
	"fmt"

	"damson/internal/learn"
	"damson/internal/mltrain/cells"
	"damson/internal/pipeline"
	"damson/internal/pushdown"
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
	if canInside(m, algorithm) {
		texts := 0
		for _, c := range l.features {
			if cells.IsText(fields[c].Type) {
				texts++
			}
		}
		cost := pushdown.Predict(f.Rows, f.Features-texts, texts, algorithm.Inside(m))
		f.InDatabase = &cost
	}
	return f, nil
}

// canInside reports whether a database can train the model.
func canInside(m pipeline.Model, a learn.Algorithm) bool {
	return a.Inside != nil && m.Folds == nil && m.Search == nil
}

// choose decides as Train does.
func (f *Forecast) choose(t *training, memory int64) {
	switch fits := memory == 0 || f.Memory <= memory; {
	case t.model.DataStays:
		f.Inside, f.Why = true, "data_stays = True"
	case fits:
		f.Why = "they fit in memory"
	case canInside(t.model, t.algorithm):
		f.Inside, f.Why = true, "they do not fit in memory"
	default:
		f.Why = fmt.Sprintf("%s can only be trained so; they do not fit in memory, and the training will stop", t.algorithm.Name)
	}
}
