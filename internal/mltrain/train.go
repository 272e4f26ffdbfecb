// Package mltrain trains models from a query's rows and applies them to other rows. Its central functions are Train,
// which gives a judged model version ready to be registered, and ScoreSQL and ScoreRows, which apply one.
//
// Invariants:
//  1. The same set of rows, declaration and seed give the same version: artifact, report and data fingerprint, in any
//     row order and with any number of threads.
//  2. All rows of one value of the split's column stand on one side of the split, and of each fold.
//  3. Nothing is registered or written here: a training that fails leaves no trace.
//
// What is wrong with the data or the declaration comes back as diag.Findings, all that can be seen together.
package mltrain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/tree"
)

// Source runs a query in the warehouse.
type Source interface {
	Query(ctx context.Context, sql sqltext.Text) (array.RecordReader, error)
}

// Options say how to compute. The result does not depend on them.
type Options struct {
	Threads  int            // 0 = all processors
	Memory   int64          // bytes that the rows may take; 0 = no bound
	Progress func(Progress) // called now and then, never from two goroutines at once; may be nil
}

// Progress is how far a training is.
type Progress struct {
	Stage string `json:"stage"` // one of the Stage constants
	Done  int64  `json:"done"`
	Total int64  `json:"total"` // 0 = not known
}

// Stages of a training, in their order. Cross-validation counts trees of all folds.
const (
	StageRead     = "read rows"
	StageTrees    = "grow trees"
	StageEvaluate = "evaluate"
	StageFolds    = "cross-validate"
)

// Trained is a version that was trained and judged, not yet registered: Number, State, Created, RunID, Why and Gates are
// the registry's and the caller's to fill in.
type Trained struct {
	Version  model.Version
	Report   metric.Report
	Warnings []diag.Finding // what somebody should look at; also in the report, in short
}

// streams of random numbers of the split's seed. The forest's own start at 2³².
const (
	streamSplit = 1 + iota
	streamFolds
	streamPermutation
)

// Train reads the query's rows, trains on one side of the split and judges on the other; with Folds it also
// cross-validates over all rows. The version's forest is the one trained on the training side.
func Train(ctx context.Context, src Source, m pipeline.Model, sql sqltext.Text, o Options) (*Trained, error) {
	if err := checkModel(m); err != nil {
		return nil, err
	}
	if m.Threshold == 0 {
		m.Threshold = 0.5
	}
	t := &training{model: m, options: o, params: params(m)}
	if err := t.read(ctx, src, sql); err != nil {
		return nil, err
	}
	train, test, err := t.split()
	if err != nil {
		return nil, err
	}
	f, err := t.grow(ctx, train, StageTrees, 0, int64(t.params.Trees))
	if err != nil {
		return nil, err
	}
	report, err := t.judge(ctx, f, train, test)
	if err != nil {
		return nil, err
	}
	return t.trained(f, *report, len(train), sql)
}

// checkModel refuses declarations that no data can satisfy.
func checkModel(m pipeline.Model) error {
	var all diag.Findings
	add := func(summary, detail, fix string) {
		all = append(all, diag.Finding{At: m.At, Summary: summary, Detail: detail, Fix: fix})
	}
	if m.Forest == nil {
		return diag.Finding{At: m.At, Summary: "No algorithm", Detail: fmt.Sprintf("Model %q does not say what to train.", m.Name),
			Fix: "Add algorithm = random_forest()."}
	}
	if err := params(m).Check(); err != nil {
		add("Parameter out of range", fmt.Sprintf("random_forest of model %q: %v.", m.Name, err), "Change the parameter.")
	}
	if m.ID == "" || m.Target == "" {
		add("No id or target", fmt.Sprintf("Model %q must name the column of a row's id and the one to predict.", m.Name),
			`Add id = "…" and target = "…".`)
	}
	if !(m.Split.Test > 0 && m.Split.Test < 1) {
		add("Bad split", fmt.Sprintf("holdout(test = %v) of model %q: the share held out must lie between 0 and 1.", m.Split.Test, m.Name),
			"Write test = 0.2.")
	}
	if m.Folds != nil && m.Folds.K < 2 {
		add("Too few folds", fmt.Sprintf("cross_validation(k = %d) of model %q needs at least 2 folds.", m.Folds.K, m.Name), "Write k = 5.")
	}
	if m.Threshold < 0 || m.Threshold > 1 {
		add("Bad threshold", fmt.Sprintf("threshold = %v of model %q is not a probability.", m.Threshold, m.Name), "Write threshold = 0.5.")
	}
	return all.Err()
}

func params(m pipeline.Model) forest.Params {
	p := forest.Params{Seed: m.Split.Seed}
	if f := m.Forest; f != nil {
		p.Trees, p.MaxDepth, p.FeaturesPerSplit = f.Trees, f.MaxDepth, f.FeaturesPerSplit
		p.MinSplit, p.MinLeaf, p.Bins = f.MinSplit, f.MinLeaf, f.Bins
	}
	return p
}

// training is one call of Train under way.
type training struct {
	model    pipeline.Model
	options  Options
	params   forest.Params
	rows     *frame
	at       diag.Pos // of the query
	warnings []diag.Finding
}

// fail makes a finding about the model's declaration or, when that has no place, about its query.
func (t *training) fail(summary, detail, fix string) diag.Finding {
	at := t.model.At
	if at == (diag.Pos{}) {
		at = t.at
	}
	return diag.Finding{At: at, Summary: summary, Detail: detail, Fix: fix}
}

func (t *training) warn(summary, detail, fix string) {
	f := t.fail(summary, detail, fix)
	f.Severity = diag.Warning
	t.warnings = append(t.warnings, f)
}

func (t *training) progress(stage string, done, total int64) {
	if t.options.Progress != nil {
		t.options.Progress(Progress{stage, done, total})
	}
}

// split gives the rows of both sides. A group's side depends on the seed and its own text alone, so that a group that was
// once held out stays held out as others come.
func (t *training) split() (train, test []int32, err error) {
	draw := tree.NewDraw(t.model.Split.Seed, streamSplit)
	side := func(k tree.Key) bool { return draw.Below(k, t.model.Split.Test) }
	held := make([]bool, len(t.rows.groups.names))
	for g, name := range t.rows.groups.names {
		held[g] = side(tree.KeyOf(name))
	}
	for i := range t.rows.target {
		out := false
		if t.rows.groups.used {
			out = held[t.rows.groups.codes[i]]
		} else {
			out = side(t.rows.keys[i])
		}
		if out {
			test = append(test, int32(i))
		} else {
			train = append(train, int32(i))
		}
	}
	return train, test, t.checkSides(train, test)
}

// checkSides refuses a side without rows and training rows of one class; held-out rows of one class are a warning, because
// the forest is sound and only its AUC is not known.
func (t *training) checkSides(train, test []int32) error {
	groups := "rows"
	if t.rows.groups.used {
		groups = fmt.Sprintf("values of %q", t.model.Split.By)
	}
	fix := fmt.Sprintf("Take another seed, or another share, in holdout(test = %v, seed = %d); or give more %s.", t.model.Split.Test, t.model.Split.Seed, groups)
	for _, side := range []struct {
		name string
		rows []int32
	}{{"training", train}, {"held-out", test}} {
		counts := t.rows.classes(side.rows)
		switch {
		case len(side.rows) == 0:
			return t.fail("One side of the split is empty",
				fmt.Sprintf("The split of model %q by hash puts none of its %d %s on the %s side.", t.model.Name, t.rows.groupCount(), groups, side.name), fix)
		case counts[0] > 0 && counts[1] > 0:
		case side.name == "training":
			return t.fail("One class only on the training side",
				fmt.Sprintf("The %d training rows of model %q have %q = %d only.", len(train), t.model.Name, t.model.Target, t.rows.target[train[0]]), fix)
		default:
			t.warn("One class only on the held-out side",
				fmt.Sprintf("The %d held-out rows of model %q have %q = %d only, so that AUC is not defined and gates on it fail.", len(test), t.model.Name, t.model.Target, t.rows.target[test[0]]), fix)
		}
	}
	return nil
}

// grow trains a forest on some rows and counts its trees into the stage's progress.
func (t *training) grow(ctx context.Context, rows []int32, stage string, before, total int64) (*tree.Model, error) {
	done := make(chan int, 1)
	counted := make(chan struct{})
	go func() { // so that the caller's function is never called from two goroutines at once
		defer close(counted)
		most := 0
		for n := range done {
			if n > most {
				most = n
				t.progress(stage, before+int64(n), total)
			}
		}
	}()
	defer func() { <-counted }()
	defer close(done)
	d := tree.Data{Columns: t.rows.columns, Classes: 2, Class: t.rows.target, Keys: t.rows.keys, Rows: rows}
	return forest.Train(ctx, d, t.params, forest.Options{Threads: t.options.Threads, Progress: func(n, _ int) { done <- n }})
}

// trained puts the version together.
func (t *training) trained(f *tree.Model, report metric.Report, rows int, sql sqltext.Text) (*Trained, error) {
	for _, w := range t.warnings {
		report.Warnings = append(report.Warnings, w.Summary+": "+w.Detail)
	}
	spec, err := json.Marshal(t.model)
	if err != nil {
		return nil, fmt.Errorf("write the declaration of model %s as JSON: %w", t.model.Name, err)
	}
	judged, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("write the report of model %s as JSON: %w", t.model.Name, err)
	}
	hash := sha256.Sum256([]byte(sql.SQL()))
	return &Trained{
		Version: model.Version{
			Model: t.model.Name, Algorithm: "random_forest", Spec: spec, Features: slices.Clone(t.rows.features),
			Rows: int64(rows), Data: t.rows.fingerprint(), SQL: hex.EncodeToString(hash[:]),
			Hash: f.Hash(), Report: judged, Artifact: f.Encode(),
		},
		Report: report, Warnings: t.warnings,
	}, nil
}
