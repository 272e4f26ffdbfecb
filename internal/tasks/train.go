package tasks

import (
	"context"
	"fmt"

	"damson/internal/engine"
	"damson/internal/mltrain"
	"damson/internal/model"
	"damson/internal/stale"
	"damson/internal/warehouse"
)

// trainExecutor trains a model and hands it to the registry.
type trainExecutor struct{ *Shop }

// trainResult is what a training reports.
type trainResult struct {
	Model   string             `json:"model"`
	Version int                `json:"version"`
	State   model.State        `json:"state"`
	Rows    int64              `json:"rows"`
	Stale   int                `json:"to_score_again,omitempty"` // runs that other versions scored, when this one is champion
	Why     string             `json:"why"`
	Hash    string             `json:"hash"`
	Metrics map[string]float64 `json:"metrics"` // on held-out rows
}

// toScoreAgain counts the runs of score tasks that other versions scored, and tells of them, when a version has become champion. The
// version stands, whatever goes wrong here.
func (e trainExecutor) toScoreAgain(ctx context.Context, w engine.Work, v model.Version) (n int) {
	if v.State != model.Champion {
		return 0
	}
	all, err := stale.Find(ctx, e.Past, e.Project.Pipelines, v.Model, model.Reference{}, v.Number)
	for _, s := range all {
		n += len(s.Runs)
		w.Log.Infof("%s: damson model rescore %s", s, v.Model)
	}
	if err != nil {
		w.Log.Warnf("What other versions have scored is not known: %s", err)
	}
	return n
}

// Execute trains on the rows of the source, has the gates judge the version and registers it. A crash between registering
// and the ledger repeats the training, which the registry recognizes as the same.
func (e trainExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	m, err := e.Project.Model(w.Task.Train.Model)
	if err != nil {
		return engine.Outcome{}, err
	}
	source, err := e.source(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	why, due, err := e.due(ctx, w, *m, source)
	if err != nil {
		return engine.Outcome{}, err
	}
	if !due {
		return engine.Outcome{Skip: why}, nil
	}
	columns, err := e.Warehouse.Describe(ctx, source)
	if err != nil {
		return engine.Outcome{}, err
	}
	if err := mltrain.CheckColumns(*m, columns); err != nil {
		return engine.Outcome{}, err
	}
	limits := e.Project.Environment.Limits
	stage := ""
	trained, err := mltrain.Train(ctx, e.Warehouse, *m, source, mltrain.Options{
		Threads: limits.Threads, Memory: limits.Memory, Warnings: e.Project.LabelLeaks(m.Name), Warehouse: e.Warehouse, Now: e.Clock.Now,
		Progress: func(p mltrain.Progress) {
			if p.Stage != stage {
				stage = p.Stage
				w.Log.Infof("%s", stage)
			}
			if p.Note != "" {
				w.Log.Infof("%s", p.Note)
			}
		},
	})
	if err != nil {
		return engine.Outcome{}, err
	}
	for _, f := range trained.Warnings {
		w.Log.Warnf("%s", f.Error())
	}
	v := trained.Version
	v.RunID = w.Runs[0].ID
	v.Why = fmt.Sprintf("task %s of run %s (%s): %s", w.Task.Name, v.RunID, w.Runs[0].Trigger, why)
	registered, err := e.Registry.Register(ctx, *m, v, trained.Report)
	if err != nil {
		return engine.Outcome{}, err
	}
	w.Log.Infof("version %d of model %s is %s: %s", registered.Version.Number, m.Name, registered.Version.State, registered.Reason)
	result := trainResult{
		Model: m.Name, Version: registered.Version.Number, State: registered.Version.State, Rows: v.Rows, Why: registered.Reason, Stale: e.toScoreAgain(ctx, w, registered.Version),
		Hash: v.Hash, Metrics: trained.Report.Metrics,
	}
	err = e.Warehouse.Do(ctx, w.Claims, func(*warehouse.Tx) (any, error) { return result, nil })
	return engine.Outcome{Result: result}, err
}
