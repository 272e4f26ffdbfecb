package mltrain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/fold"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/search"
	"damson/internal/tree"
)

// checkParameters refuses parameters out of range, those that a search would try, too.
func checkParameters(own learn.Algorithm, m pipeline.Model) error {
	if m.Search == nil {
		return own.Check(m)
	}
	return search.Check(*m.Search, m.Algorithm, func(a pipeline.Algorithm) error {
		m.Algorithm = a
		return own.Check(m)
	})
}

// search gives the model the best parameters of those that its declaration allows, found by cross-validation on the training
// side alone. The folds are dealt by the groups of the cross-validation, or else of the split.
func (t *training) search(ctx context.Context, train []int32) error {
	s := t.model.Search
	if s == nil {
		return nil
	}
	groups := &t.rows.folds
	if !groups.used {
		groups = &t.rows.groups
	}
	dealt, err := t.deal(ctx, train, groups, s.Folds, tree.NewDraw(s.Seed, streamSearch), s.Method+"_search", "folds")
	if err != nil {
		return err
	}
	table := &search.Table{Metric: s.Metric, Groups: int64(len(train)), Rows: int64(len(train))}
	if table.Metric == "" {
		table.Metric = metric.Telling(t.asked.kind)
	}
	if groups.used {
		table.Groups = int64(groups.distinct(train))
	}
	if err := t.checkFolds(train, dealt, table.Metric); err != nil {
		return err
	}
	table.Lower, _ = metric.Ranks(table.Metric)
	total := len(search.Points(*s))
	tried := int64(0)
	judge := func(ctx context.Context, a pipeline.Algorithm, part int) (float64, bool, error) {
		t.progress(StageSearch, tried, int64(total*s.Folds))
		tried++
		own := *t // with the trial's parameters, and without its progress and warnings
		own.model.Algorithm, own.options.Progress, own.warnings = a, nil, nil
		learn, watch := fold.Part(train, dealt, part)
		if own.algorithm.Clustering() {
			return own.judgeTrial(ctx, table.Metric, learn, watch)
		}
		outputs, err := own.predictFold(ctx, part, s.Folds, learn, watch)
		if err != nil {
			return 0, false, err
		}
		score, known := own.judged(watch, outputs).Value(table.Metric)
		return score, known, nil
	}
	note := func(text string) {
		if t.options.Progress != nil {
			t.options.Progress(Progress{StageSearch, tried, int64(total * s.Folds), text})
		}
	}
	t.model.Algorithm, err = search.Run(ctx, *s, t.model.Algorithm, table,
		search.Trying{Judge: judge, Now: t.options.Now, Done: func(trial search.Trial) { note(table.Line(trial, total)) }})
	if errors.Is(err, search.ErrUndefined) {
		return t.fail("Nothing to rank by", fmt.Sprintf("None of the %d trials of model %q has the metric %s in every one of the %d folds.", total, t.model.Name, table.Metric, s.Folds),
			"Take another metric, fewer folds, or give more groups.")
	}
	if err != nil {
		return err
	}
	t.trials = table
	note(table.Summary())
	return t.dealtInside(ctx)
}

// needBoth are the metrics that rows of one of two classes do not define.
var needBoth = []string{"auc", "pr_auc", "precision", "recall", "f1"}

// checkFolds refuses, before anything is trained, folds that cannot be learned without or judged.
func (t *training) checkFolds(train []int32, dealt []int, name string) error {
	both := t.asked.kind == metric.Binary && slices.Contains(needBoth, strings.TrimPrefix(name, "segment."))
	for part := range t.model.Search.Folds {
		learn, watch := fold.Part(train, dealt, part)
		some, lacking := occurring(t.sideOf(learn).Classes)
		if len(some) == 1 {
			return t.oneClass(fmt.Sprintf("Without fold %d, the remaining %d rows", part+1, len(learn)), some[0], "from which nothing can be learned")
		}
		if len(lacking) > 0 {
			t.warn("A class of one fold only", fmt.Sprintf("Without fold %d of its search, model %q has no row with %q = %s to learn from, and its rows count as predicted wrong in every trial.",
				part+1, t.model.Name, t.model.Target, diag.FirstOf(t.names(lacking))), "Give more groups that have the class, or leave it out.")
		}
		if some, _ := occurring(t.sideOf(watch).Classes); both && len(some) == 1 {
			return t.oneClass(fmt.Sprintf("In fold %d, the %d rows", part+1, len(watch)), some[0], "which does not define "+name)
		}
	}
	return nil
}

func (t *training) oneClass(where string, class int, why string) error {
	s := t.model.Search
	return t.fail("One class only in a fold of the search",
		fmt.Sprintf("%s of the training side of model %q have %q = %s only, %s.", where, t.model.Name, t.model.Target, t.asked.classes[class], why),
		fmt.Sprintf("Take fewer folds or another seed in %s_search(folds = %d, seed = %d), or give more groups.", s.Method, s.Folds, s.Seed))
}

// judged gives the metrics of some rows.
func (t *training) judged(rows []int32, outputs [][]float64) metric.Report {
	none := &codes{}
	switch t.asked.kind {
	case metric.Binary:
		return metric.Judge(t.binary(rows, outputs, none), t.model.Threshold)
	case metric.Multiclass:
		return metric.JudgeClasses(t.several(rows, outputs, none))
	}
	return metric.JudgeNumbers(t.numbers(rows, outputs, none))
}
