// Package mltrain trains models from a query's rows. Its central function is Train, which gives a judged model version ready to be
// registered; package scoring applies it. What it asks of a way to learn is in package learn.
//
// Invariants:
//  1. The same set of rows, declaration and seed give the same version: artifact, report and data fingerprint, in any
//     row order and with any number of threads.
//  2. All rows of one value of the split's column stand on one side of the split, and of each fold.
//  3. What is asked (two classes, several, a number; clusters) follows from the target's values and the algorithm, and is kept with
//     the version, as are the texts that features held.
//  4. Nothing is registered or written here: a training that fails leaves no trace.
//  5. Trained in the database (inside.go, insidelooks.go), a model has the same hash as when its rows are read, and the same rows give the
//     same errors, warnings and figures.
//
// What is wrong with the data or the declaration comes back as diag.Findings, all that can be seen together.
package mltrain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/heldout"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/pushdown"
	"damson/internal/search"
	"damson/internal/sqltext"
	"damson/internal/tree"
	"damson/internal/warehouse"
)

// Source runs a query in the warehouse.
type Source interface {
	Query(ctx context.Context, sql sqltext.Text) (array.RecordReader, error)
}

// Options say how to compute. What is learned does not depend on them.
type Options struct {
	Warnings []diag.Finding   // what is known against the rows already; the report has them, too
	Threads  int              // 0 = all processors
	Memory   int64            // bytes that the rows may take; 0 = no bound
	Progress func(Progress)   // called now and then, never from two goroutines at once; may be nil
	Now      func() time.Time // times the trials of a search; nil = they are not timed
	// Warehouse is where the source's rows are, and where models are trained whose rows stay or do not fit in memory; nil = nowhere.
	Warehouse *warehouse.Warehouse
}

// Progress is how far a training is.
type Progress struct {
	Stage string `json:"stage"` // one of the Stage constants
	Done  int64  `json:"done"`
	Total int64  `json:"total"`          // 0 = not known
	Note  string `json:"note,omitempty"` // what has come out, for people
}

// Stages of a training, in their order. An algorithm that has trees counts those, cross-validation those of all folds.
const (
	StageRead     = "read rows"
	StageStage    = "copy rows to a temporary table of the database"
	StageInside   = "train in the database"
	StageSearch   = "search parameters"
	StageTrees    = "grow trees"
	StageFit      = "fit"
	StageLeaks    = "look for leaks"
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

// streams of random numbers of the split's seed. An algorithm's own start at 2³².
const (
	streamSplit = 1 + iota
	streamFolds
	_
	streamAside
	streamSearch
	streamHalves
	streamLeakSample

	streamShuffles = 5 << 32 // plus the feature's and the shuffle's number
)

// maxLevels is how many different texts a feature may hold.
const maxLevels = 10_000

// Train reads the query's rows, trains on one side of the split and judges on the other; with Folds it also
// cross-validates over all rows. The version is what was learned on the training side.
func Train(ctx context.Context, src Source, m pipeline.Model, sql sqltext.Text, o Options) (*Trained, error) {
	algorithm, err := checkModel(m)
	if err != nil {
		return nil, err
	}
	if m.Threshold == 0 {
		m.Threshold = 0.5
	}
	t := newTraining(m, algorithm, o)
	if m.DataStays {
		return t.trainInside(ctx, sql)
	}
	if err := t.read(ctx, src, sql); err != nil {
		if t.tooLarge && algorithm.Inside != nil && o.Warehouse != nil {
			return newTraining(m, algorithm, o).trainInside(ctx, sql)
		}
		return nil, err
	}
	train, test, err := t.split()
	if err != nil {
		return nil, err
	}
	if err := t.lookForLeaks(ctx, test); err != nil {
		return nil, err
	}
	if err := t.search(ctx, train); err != nil {
		return nil, err
	}
	p, err := t.learn(ctx, train)
	if err != nil {
		return nil, err
	}
	report, err := t.judge(ctx, p, train, test)
	if err != nil {
		return nil, err
	}
	return t.trained(p, *report, sql, model.Version{Rows: int64(len(train)), Data: t.rows.fingerprint()}, t.reference(train, report.Importance))
}

func newTraining(m pipeline.Model, a learn.Algorithm, o Options) *training {
	return &training{model: m, options: o, algorithm: a, warnings: slices.Clone(o.Warnings), low: math.Inf(1), high: math.Inf(-1)}
}

// checkModel refuses declarations that no data can satisfy.
func checkModel(m pipeline.Model) (learn.Algorithm, error) {
	var all diag.Findings
	add := func(summary, detail, fix string) {
		all = append(all, diag.Finding{At: m.At, Summary: summary, Detail: detail, Fix: fix})
	}
	own, ok := learn.Of(m.Algorithm.Name())
	if !ok {
		return own, diag.Finding{At: m.At, Summary: "No algorithm", Detail: fmt.Sprintf("Model %q does not say what to train.", m.Name),
			Fix: "Add algorithm = random_forest()."}
	}
	if err := checkParameters(own, m); err != nil {
		add("Parameter out of range", fmt.Sprintf("%s of model %q: %v.", own.Name, m.Name, err), "Change the parameter.")
	}
	if own.Clustering() && m.Folds != nil {
		add("Not for clusters", fmt.Sprintf("Model %q has cross_validation and is a %s, whose clusters would have other numbers in every fold.", m.Name, own.Name), "Remove cross_validation.")
	}
	if m.ID == "" || m.Target == "" && !own.Clustering() {
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
	if m.DataStays && own.Inside == nil {
		add("Can not be trained in the database", fmt.Sprintf("Model %q has data_stays = True; only random_forest and decision_tree are trained in the database.", m.Name),
			"Take one of them, or remove data_stays.")
	}
	if m.Threshold < 0 || m.Threshold > 1 {
		add("Bad threshold", fmt.Sprintf("threshold = %v of model %q is not a probability.", m.Threshold, m.Name), "Write threshold = 0.5.")
	}
	return own, all.Err()
}

// training is one call of Train under way.
type training struct {
	model     pipeline.Model
	options   Options
	algorithm learn.Algorithm
	asked     question
	rows      *frame
	values    map[float64]struct{} // of a target of numbers that are classes, while reading
	at        diag.Pos             // of the query
	warnings  []diag.Finding
	isNumber  bool          // the target is a number, though the algorithm learns classes as well
	low, high float64       // of a target of numbers, while reading
	tooLarge  bool          // the rows do not fit in memory
	labels    []string      // values of the target that clusters are compared with
	trials    *search.Table // nil = nothing was searched
	kept      heldout.Rows  // predictions of held-out rows
	inside    *database     // nil = the rows are read
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
		t.options.Progress(Progress{Stage: stage, Done: done, Total: total})
	}
}

// split gives the rows of both sides. A group's side depends on the seed and its own text alone, so that a group that was
// once held out stays held out as others come. With a time and no groups the last rows are held out.
func (t *training) split() (train, test []int32, err error) {
	draw := tree.NewDraw(t.model.Split.Seed, streamSplit)
	side := func(k tree.Key) bool { return draw.Below(k, t.model.Split.Test) }
	held := make([]bool, len(t.rows.groups.Names))
	for g, name := range t.rows.groups.Names {
		held[g] = side(tree.KeyOf(name))
	}
	cut := 0.0
	if t.rows.times != nil && !t.rows.groups.used {
		sorted := slices.Sorted(slices.Values(t.rows.times))
		cut = sorted[int(float64(len(sorted)-1)*(1-t.model.Split.Test))]
	}
	for i := range t.rows.target {
		out := false
		switch {
		case t.rows.groups.used:
			out = held[t.rows.groups.codes[i]]
		case t.rows.times != nil:
			out = t.rows.times[i] > cut
		default:
			out = side(t.rows.keys[i])
		}
		if out {
			test = append(test, int32(i))
		} else {
			train = append(train, int32(i))
		}
	}
	return train, test, t.checkSides(t.sideOf(train), t.sideOf(test), int64(t.rows.groupCount()))
}

// checkSides refuses a side without rows and a training side that lacks a class; a held-out side that lacks one is a
// warning, because the model is sound and only some of its metrics are not known.
func (t *training) checkSides(train, test pushdown.Side, all int64) error {
	groups := "rows"
	if t.rows.groups.used {
		groups = fmt.Sprintf("values of %q", t.model.Split.By)
	}
	fix := fmt.Sprintf("Take another seed, or another share, in holdout(test = %v, seed = %d); or give more %s.", t.model.Split.Test, t.model.Split.Seed, groups)
	for _, side := range []struct {
		name string
		rows pushdown.Side
	}{{"training", train}, {"held-out", test}} {
		if side.rows.Rows == 0 {
			return t.fail("One side of the split is empty",
				fmt.Sprintf("The split of model %q puts none of its %d %s on the %s side.", t.model.Name, all, groups, side.name), fix)
		}
		some, lacking := occurring(side.rows.Classes)
		if len(lacking) == 0 {
			continue
		}
		summary := fmt.Sprintf("Classes missing on the %s side", side.name)
		detail := fmt.Sprintf("The %d %s rows of model %q have no row with %q = %s", side.rows.Rows, side.name, t.model.Name, t.model.Target, diag.FirstOf(t.names(lacking)))
		if len(some) == 1 {
			summary = fmt.Sprintf("One class only on the %s side", side.name)
			detail = fmt.Sprintf("The %d %s rows of model %q have %q = %s only", side.rows.Rows, side.name, t.model.Name, t.model.Target, t.asked.classes[some[0]])
		}
		if side.name == "training" {
			return t.fail(summary, detail+".", fix)
		}
		unknown := "AUC is"
		if t.asked.kind != metric.Binary {
			unknown = "macro_auc and the classes' metrics are"
		}
		t.warn(summary, fmt.Sprintf("%s, so that %s not defined and gates on it fail.", detail, unknown), fix)
	}
	return nil
}

// sideOf counts rows; of numbers there are no classes.
func (t *training) sideOf(rows []int32) pushdown.Side {
	s := pushdown.Side{Rows: int64(len(rows))}
	if len(t.asked.classes) > 0 {
		s.Classes = t.rows.classes(rows, len(t.asked.classes))
	}
	return s
}

// occurring parts classes into those that some rows have, and those that they lack.
func occurring(counts []int64) (some, lacking []int) {
	for class, n := range counts {
		if n > 0 {
			some = append(some, class)
		} else {
			lacking = append(lacking, class)
		}
	}
	return some, lacking
}

func (t *training) names(classes []int) []string {
	names := make([]string, len(classes))
	for i, class := range classes {
		names[i] = t.asked.classes[class]
	}
	return names
}

// learn trains the version on the training side.
func (t *training) learn(ctx context.Context, rows []int32) (learn.Predictor, error) {
	stage := StageTrees
	total := int64(t.algorithm.Steps(t.model))
	if total == 0 {
		stage = StageFit
	}
	classes := placesOf(len(t.asked.classes))
	t.progress(stage, 0, total)
	p, warnings, err := t.fit(ctx, rows, classes, stage, 0, total)
	for _, w := range warnings {
		t.warn("Look at how it was trained", fmt.Sprintf("%s of model %q: %s", t.algorithm.Name, t.model.Name, w), "Change the declaration, or set aside the column that is meant.")
	}
	return p, err
}

// fit trains on some rows, which have the given classes only, and counts its steps into the stage's progress.
func (t *training) fit(ctx context.Context, rows []int32, classes []int, stage string, before, total int64) (learn.Predictor, []string, error) {
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
	l := learn.Lesson{Model: t.model, Features: t.rows.features, Columns: t.rows.columns, Target: t.rows.target, Classes: len(classes),
		Keys: t.rows.keys, Rows: rows, Threads: t.options.Threads, Step: func(n int) { done <- n },
		Aside: func(share float64) (learn, watch []int32) { return t.aside(rows, share) }}
	if len(classes) > 0 {
		counts := t.rows.classes(rows, len(t.asked.classes))
		own := make([]int64, len(classes))
		for i, class := range classes {
			own[i] = counts[class]
		}
		l.Weights = t.classWeights(classes, own)
	}
	if len(classes) < len(t.asked.classes) {
		l.Target = t.renumbered(classes)
	}
	p, warnings, err := t.algorithm.Train(ctx, l)
	if err != nil && ctx.Err() == nil && !errors.As(err, new(diag.Finding)) {
		err = t.cannot(err)
	}
	return p, warnings, err
}

// cannot says why an algorithm refuses what it is given.
func (t *training) cannot(err error) diag.Finding {
	return t.fail("Can not be trained", fmt.Sprintf("%s of model %q: %s.", t.algorithm.Name, t.model.Name, strings.TrimSuffix(err.Error(), ".")),
		"Change the declaration or the source's SELECT.")
}

// aside splits the rows of a training side once more.
func (t *training) aside(rows []int32, share float64) (learn, watch []int32) {
	draw := tree.NewDraw(t.model.Split.Seed, streamAside)
	out := make([]bool, len(t.rows.groups.Names))
	for g, name := range t.rows.groups.Names {
		out[g] = draw.Below(tree.KeyOf(name), share)
	}
	for _, r := range rows {
		if t.rows.groups.used && out[t.rows.groups.codes[r]] || !t.rows.groups.used && draw.Below(t.rows.keys[r], share) {
			watch = append(watch, r)
		} else {
			learn = append(learn, r)
		}
	}
	return learn, watch
}

// renumbered gives rows their class's place among some classes; rows of others have any.
func (t *training) renumbered(classes []int) []float64 {
	place := make([]float64, len(t.asked.classes))
	for i, class := range classes {
		place[class] = float64(i)
	}
	out := make([]float64, len(t.rows.target))
	for i, y := range t.rows.target {
		out[i] = place[int(y)]
	}
	return out
}

// trained completes the version, which knows its rows.
func (t *training) trained(p learn.Predictor, report metric.Report, sql sqltext.Text, v model.Version, looked metric.Reference) (*Trained, error) {
	for _, w := range t.warnings {
		place := ""
		if w.At != (diag.Pos{}) && w.At != t.model.At && w.At != t.at {
			place = " (" + w.At.String() + ")"
		}
		report.Warnings = append(report.Warnings, w.Summary+": "+w.Detail+place)
	}
	spec, err := json.Marshal(t.model)
	if err != nil {
		return nil, fmt.Errorf("write the declaration of model %s as JSON: %w", t.model.Name, err)
	}
	judged, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("write the report of model %s as JSON: %w", t.model.Name, err)
	}
	reference, err := json.Marshal(looked)
	if err != nil {
		return nil, fmt.Errorf("write what the training rows of model %s look like as JSON: %w", t.model.Name, err)
	}
	hash := sha256.Sum256([]byte(sql.SQL()))
	v.Model, v.Algorithm, v.Spec, v.Features, v.Kind = t.model.Name, t.algorithm.Name, spec, t.rows.names(), string(t.asked.kind)
	v.SQL, v.Report, v.Reference, v.Artifact = hex.EncodeToString(hash[:]), judged, reference, p.Encode()
	v.Search, v.HeldOut = t.trials.Encode(), t.kept.Encode()
	if !t.asked.plain() {
		v.Classes, v.TextClasses = t.asked.classes, t.asked.texts
	}
	for _, f := range t.rows.features {
		if f.Levels != nil {
			if v.Levels == nil {
				v.Levels = map[string][]string{}
			}
			v.Levels[f.Name] = f.Levels
		}
	}
	v.Hash = hashOf(p, v)
	return &Trained{Version: v, Report: report, Warnings: t.warnings}, nil
}

// hashOf names what was learned, together with what the numbers in it stand for.
func hashOf(p learn.Predictor, v model.Version) string {
	if len(v.Classes) == 0 && len(v.Levels) == 0 {
		return p.Hash()
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %q %v", p.Hash(), v.Classes, v.TextClasses)
	for _, name := range v.Features {
		if levels, ok := v.Levels[name]; ok {
			fmt.Fprintf(h, " %q %q", name, levels)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
