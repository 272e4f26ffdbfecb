package project

import (
	"fmt"
	"sort"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/pipeline"
)

// pipelineDecl is a pipeline while its files are evaluated.
type pipelineDecl struct {
	pipeline *pipeline.Pipeline
	defaults taskDefaults
	tasks    []*taskDecl
	frozen   bool                // its file has been read to the end
	at       map[string]diag.Pos // of the arguments that later checks speak of
}

// taskDecl is a task while its files are evaluated.
type taskDecl struct {
	task     *pipeline.Task
	pipeline *pipelineDecl
	upstream []edge
	at       map[string]diag.Pos
}

// edge says that a task runs after another, and where that is declared.
type edge struct {
	from *taskDecl
	name string // instead of from, when the file gave a name
	at   diag.Pos
}

// pos is the place of an argument, or of the task.
func (d *taskDecl) pos(key string) diag.Pos {
	if at, ok := d.at[key]; ok {
		return at
	}
	return d.task.At
}

// positions remembers where the arguments of a call stand.
func (c *call) positions() map[string]diag.Pos {
	at := make(map[string]diag.Pos, len(c.order))
	for _, key := range c.order {
		at[key] = c.place(key)
	}
	return at
}

// pipelineValue is what pipeline(…) gives.
type pipelineValue struct {
	decl    *pipelineDecl
	methods map[string]*starlark.Builtin
}

func (v *pipelineValue) String() string        { return fmt.Sprintf("pipeline(%q)", v.decl.pipeline.Name) }
func (v *pipelineValue) Type() string          { return "pipeline" }
func (v *pipelineValue) Freeze()               { v.decl.frozen = true }
func (v *pipelineValue) Truth() starlark.Bool  { return true }
func (v *pipelineValue) Hash() (uint32, error) { return starlark.String(v.decl.pipeline.Name).Hash() }

// Attr gives name and the methods that add tasks.
func (v *pipelineValue) Attr(name string) (starlark.Value, error) {
	if name == "name" {
		return starlark.String(v.decl.pipeline.Name), nil
	}
	if name == loadMethod {
		name = "load"
	}
	if m := v.methods[name]; m != nil {
		return m.BindReceiver(v), nil
	}
	return nil, nil
}

// AttrNames lists them.
func (v *pipelineValue) AttrNames() []string {
	names := []string{"name"}
	for name := range v.methods {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// taskValue is what p.sql(…) and its like give. Order is set with >> and <<.
type taskValue struct {
	decl *taskDecl
	e    *evaluation
}

func (v *taskValue) String() string        { return fmt.Sprintf("task(%q)", v.decl.task.Name) }
func (v *taskValue) Type() string          { return "task" }
func (v *taskValue) Freeze()               {}
func (v *taskValue) Truth() starlark.Bool  { return true }
func (v *taskValue) Hash() (uint32, error) { return starlark.String(v.decl.task.Name).Hash() }

// Attr gives name, and into: the table the task writes, None when it writes none.
func (v *taskValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(v.decl.task.Name), nil
	case "into":
		if table := v.decl.task.Into(); table != "" {
			return starlark.String(table), nil
		}
		return starlark.None, nil
	}
	return nil, nil
}

// AttrNames lists them.
func (v *taskValue) AttrNames() []string { return []string{"into", "name"} }

// Binary sets order: a >> b, a >> [b, c], [a, b] >> c, and the same with <<. It gives the right side, so that orders chain.
func (v *taskValue) Binary(op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op != syntax.GTGT && op != syntax.LTLT {
		return nil, nil
	}
	left, right := starlark.Value(v), other
	if side == starlark.Right {
		left, right = other, v
	}
	before, after := left, right
	if op == syntax.LTLT {
		before, after = right, left
	}
	if err := v.e.setOrder(before, after); err != nil {
		return nil, err
	}
	return right, nil
}

// setOrder lets every task of after wait for every task of before.
func (e *evaluation) setOrder(before, after starlark.Value) error {
	froms, err := tasksOf(before)
	if err != nil {
		return err
	}
	tos, err := tasksOf(after)
	if err != nil {
		return err
	}
	for _, to := range tos {
		for _, from := range froms {
			e.link(from, to)
		}
	}
	return nil
}

// link lets to wait for from.
func (e *evaluation) link(from, to *taskDecl) {
	at := to.task.At
	if t := e.running.Load(); t != nil {
		at = e.innermost(t)
	}
	if from.pipeline != to.pipeline {
		e.findings = append(e.findings, diag.Finding{At: at, Severity: diag.Error, Summary: "Tasks of two pipelines",
			Detail: fmt.Sprintf("%s belongs to pipeline %s, %s to %s; order is set inside one pipeline.", from.task.Name,
				from.pipeline.pipeline.Name, to.task.Name, to.pipeline.pipeline.Name),
			Fix: "Put both tasks into one pipeline."})
		return
	}
	to.upstream = append(to.upstream, edge{from: from, at: at})
}

// innermost is where the evaluation stands.
func (e *evaluation) innermost(t *starlark.Thread) diag.Pos {
	for depth := range t.CallStackDepth() {
		if pos := t.CallFrame(depth).Pos; pos.Filename() != "<builtin>" && pos.Line > 0 {
			return e.callPos(pos)
		}
	}
	return diag.Pos{}
}

// tasksOf reads a task or a list of tasks.
func tasksOf(v starlark.Value) ([]*taskDecl, error) {
	if t, ok := v.(*taskValue); ok {
		return []*taskDecl{t.decl}, nil
	}
	items, ok := sequence(v)
	if !ok {
		return nil, fmt.Errorf("order is set between tasks and lists of tasks, not with %s", showValue(v))
	}
	var decls []*taskDecl
	for _, item := range items {
		t, ok := item.(*taskValue)
		if !ok {
			return nil, fmt.Errorf("order is set between tasks and lists of tasks; the list holds %s", showValue(item))
		}
		decls = append(decls, t.decl)
	}
	return decls, nil
}

// chain(a, b, [c, d], e) orders its arguments one after the other. Two lists in a row are paired element by element, as in
// Airflow, and must have the same length.
func (e *evaluation) chain(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 {
		return nil, fmt.Errorf("chain takes tasks and lists of tasks, no keywords")
	}
	for i := 1; i < len(args); i++ {
		before, isList := sequence(args[i-1])
		after, alsoList := sequence(args[i])
		if !isList || !alsoList {
			if err := e.setOrder(args[i-1], args[i]); err != nil {
				return nil, err
			}
			continue
		}
		if len(before) != len(after) {
			return nil, fmt.Errorf("chain pairs neighbouring lists, but one has %d tasks and the next %d", len(before), len(after))
		}
		for k := range before {
			if err := e.setOrder(before[k], after[k]); err != nil {
				return nil, err
			}
		}
	}
	return starlark.None, nil
}

// modelValue is what model(…) gives.
type modelValue struct{ model *pipeline.Model }

func (v *modelValue) String() string        { return fmt.Sprintf("model(%q)", v.model.Name) }
func (v *modelValue) Type() string          { return "model" }
func (v *modelValue) Freeze()               {}
func (v *modelValue) Truth() starlark.Bool  { return true }
func (v *modelValue) Hash() (uint32, error) { return starlark.String(v.model.Name).Hash() }

// Attr gives name.
func (v *modelValue) Attr(name string) (starlark.Value, error) {
	if name == "name" {
		return starlark.String(v.model.Name), nil
	}
	return nil, nil
}

// AttrNames lists it.
func (v *modelValue) AttrNames() []string { return []string{"name"} }

// record is what random_forest(…), holdout(…) and cross_validation(…) give: a checked part of a model.
type record struct {
	what string
	part any // pipeline.RandomForest, pipeline.Holdout or pipeline.Folds
}

func (v *record) String() string        { return v.what + "(…)" }
func (v *record) Type() string          { return v.what }
func (v *record) Freeze()               {}
func (v *record) Truth() starlark.Bool  { return true }
func (v *record) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", v.what) }
