package tasks

import (
	"context"
	"fmt"
	"math"
	"slices"

	"damson/internal/diag"
	"damson/internal/engine"
)

// mostItems bounds the task runs that one mapped task makes in a run.
const mostItems = 1000

// mapped stands before every executor: it answers when a mapped task is asked for its items, and refuses work for which
// this process lacks the warehouse.
type mapped struct {
	engine.Executor
	*Shop
}

// Execute gives the items, or executes.
func (e mapped) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	if w.Task.NeedsWarehouse() && e.Warehouse == nil {
		return engine.Outcome{}, diag.Finding{At: w.Task.At, Summary: "No warehouse is open here",
			Detail: fmt.Sprintf("Task %s (%s) reads or writes the warehouse, and this process has none open.", w.Task.Name, w.Task.Kind),
			Fix:    "Let the process run it that has the warehouse open."}
	}
	if !w.Mapped {
		return e.Executor.Execute(ctx, w)
	}
	items, err := e.Expand(ctx, w)
	if items == nil {
		items = []any{}
	}
	return engine.Outcome{Items: items}, err
}

// Expand gives the items of a mapped task: those declared, or one for each row of its SQL file. A row of one column is its
// value, one of several a dict; NULL is nil, dates and times are texts.
func (s *Shop) Expand(ctx context.Context, w engine.Work) ([]any, error) {
	m := w.Task.Map
	if m.File == "" {
		items := make([]any, len(m.Items))
		for i, v := range m.Items {
			items[i] = plainItem(v)
		}
		return items, nil
	}
	a, err := s.ask(ctx, w, m.File, mostItems)
	if err != nil {
		return nil, err
	}
	if a.more {
		return nil, engine.GiveUp(diag.Finding{At: diag.Pos{File: m.File}, Summary: "Too many items",
			Detail: fmt.Sprintf("The SELECT gives more than %d rows; task %s would make a task run for each.", mostItems, w.Task.Name),
			Fix:    "Give fewer rows, or let one task run work on many of them."})
	}
	for i, name := range a.columns {
		if slices.Contains(a.columns[:i], name) {
			return nil, engine.GiveUp(diag.Finding{At: diag.Pos{File: m.File}, Summary: "Two columns of one name",
				Detail: fmt.Sprintf("The SELECT gives the column %q twice; an item has a name once.", name), Fix: "Name one of them differently with AS."})
		}
	}
	items := make([]any, len(a.rows))
	for i, row := range a.rows {
		if len(row) == 1 {
			items[i] = plainItem(row[0])
			continue
		}
		dict := make(map[string]any, len(row))
		for k, name := range a.columns {
			dict[name] = plainItem(row[k])
		}
		items[i] = dict
	}
	return items, nil
}

// plainItem is an item as a template reads it, the same before and after it was kept as JSON, which does not tell 3.0 from 3.
func plainItem(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plainItem(e)
		}
		return list
	case map[string]any:
		dict := make(map[string]any, len(v))
		for k, e := range v {
			dict[k] = plainItem(e)
		}
		return dict
	}
	return v
}
