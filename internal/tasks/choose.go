package tasks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
)

// branchExecutor chooses among the tasks directly after a branch. Like a condition and a sensor it writes nothing to the
// warehouse, not even a ledger row: what it has decided is its result, and to decide again does no harm.
type branchExecutor struct{ *Shop }

// Execute names the chosen tasks. None is a choice too: all that stands directly after the branch is skipped then.
func (e branchExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	names, err := e.names(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	chosen, err := resolve(w, names)
	if err != nil {
		return engine.Outcome{}, engine.GiveUp(err)
	}
	choice := run.Choice{Tasks: chosen}
	if len(chosen) == 0 {
		w.Log.Infof("it chose nothing: all tasks directly after it are skipped")
	} else {
		w.Log.Infof("it chose %s", strings.Join(chosen, ", "))
	}
	return engine.Outcome{Result: choice, Choice: &choice}, nil
}

// names gives the names as the SELECT or the template has them.
func (e branchExecutor) names(ctx context.Context, w engine.Work) ([]string, error) {
	b := w.Task.Branch
	if b.File == "" {
		text, err := e.renderText(ctx, w, b.Choose)
		return pipeline.Choices(text), err
	}
	a, err := e.ask(ctx, w, b.File, mostItems)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, row := range a.rows {
		switch name := row[0].(type) {
		case nil:
		case string:
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		default:
			names = append(names, shown(name))
		}
	}
	return names, nil
}

// renderText renders a text of the work's task.
func (s *Shop) renderText(ctx context.Context, w engine.Work, text string) (string, error) {
	c, err := s.workContext(ctx, w)
	if err != nil {
		return "", err
	}
	return s.Renderer.RenderText(w.Task, text, c)
}

// after lists the tasks that stand directly after one.
func after(p *pipeline.Pipeline, task string) []*pipeline.Task {
	var all []*pipeline.Task
	for _, t := range p.Tasks {
		if slices.Contains(t.Upstream, task) {
			all = append(all, t)
		}
	}
	return all
}

// resolve gives the tasks directly after the branch that the names mean, in the pipeline's order: tasks by their names, or
// by the name of a group they are in.
func resolve(w engine.Work, names []string) ([]string, error) {
	next := after(w.Pipeline, w.Task.Name)
	chosen := []string{}
	known := make([]string, 0, len(next))
	met := map[string]bool{}
	for _, t := range next {
		known = append(known, t.Name)
		own := []string{t.Name}
		for group := t.Group; group != ""; group = outer(group) {
			own = append(own, group)
			if !slices.Contains(known, group) {
				known = append(known, group)
			}
		}
		for _, name := range names {
			if slices.Contains(own, name) {
				met[name] = true
				if !slices.Contains(chosen, t.Name) {
					chosen = append(chosen, t.Name)
				}
			}
		}
	}
	for _, name := range names {
		if !met[name] {
			return nil, notAfter(w, name, known)
		}
	}
	return chosen, nil
}

// outer is the group around a group, "" when there is none.
func outer(group string) string { return group[:max(0, strings.LastIndexByte(group, '.'))] }

func notAfter(w engine.Work, name string, known []string) error {
	f := diag.Finding{At: w.Task.At, Summary: "The branch chose a task that is not directly after it",
		Detail: fmt.Sprintf("%s chose %q. Directly after it stand: %s.", w.Task.Name, name, strings.Join(known, ", ")),
		Fix:    diag.DidYouMean(name, known)}
	if len(known) == 0 {
		f.Detail = fmt.Sprintf("%s chose %q, and no task stands directly after it.", w.Task.Name, name)
	}
	if f.Fix == "" {
		f.Fix = fmt.Sprintf("Let it choose one of them, or declare %s >> %s.", w.Task.Name, name)
	}
	if file := w.Task.Branch.File; file != "" {
		f.Detail += " The name came from " + file + "."
	}
	return f
}

// conditionExecutor is a short_circuit: nothing after it runs unless its condition holds.
type conditionExecutor struct{ *Shop }

// Execute looks at the condition.
func (e conditionExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	c := w.Task.Condition
	var value any
	why := ""
	if c.File != "" {
		a, err := e.ask(ctx, w, c.File, 1)
		if err != nil {
			return engine.Outcome{}, err
		}
		value = a.first()
		why = fmt.Sprintf("%s gives %s", c.File, given(a))
	} else {
		text, err := e.renderText(ctx, w, c.When)
		if err != nil {
			return engine.Outcome{}, err
		}
		value = text
		why = fmt.Sprintf("its condition gives %q", e.Project.Redact(text))
	}
	choice := run.Choice{Tasks: []string{}}
	if truthy(value) {
		for _, t := range after(w.Pipeline, w.Task.Name) {
			choice.Tasks = append(choice.Tasks, t.Name)
		}
	} else {
		choice.Stop = why + ", which is not true"
	}
	w.Log.Infof("%s", why)
	return engine.Outcome{Result: choice, Choice: &choice}, nil
}

// given tells the first value of an answer.
func given(a answer) string {
	if len(a.rows) == 0 {
		return "no row"
	}
	return shown(a.first())
}
