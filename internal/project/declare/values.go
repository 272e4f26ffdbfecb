package declare

import (
	"fmt"
	"sort"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/pipeline"
)

// Pipeline is a pipeline while its files are evaluated.
type Pipeline struct {
	Pipeline *pipeline.Pipeline
	defaults TaskDefaults
	Tasks    []*Task
	Groups   []*Group
	orders   []groupOrder        // those with a group on a side
	frozen   bool                // its file has been read to the end
	At       map[string]diag.Pos // of the arguments that later checks speak of
}

// Task is a task while its files are evaluated.
type Task struct {
	Task     *pipeline.Task
	Pipeline *Pipeline
	Group    *Group // the innermost one, nil = none
	Upstream []Edge
	At       map[string]diag.Pos
}

// Edge says that a task runs after another, and where that is declared.
type Edge struct {
	From *Task
	Name string // instead of From, when the file gave a name
	At   diag.Pos
}

// Pos is the place of an argument, or of the task.
func (d *Task) Pos(key string) diag.Pos {
	if at, ok := d.At[key]; ok {
		return at
	}
	return d.Task.At
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
	decl *Pipeline
	e    *evaluation
}

func (v *pipelineValue) String() string        { return fmt.Sprintf("pipeline(%q)", v.decl.Pipeline.Name) }
func (v *pipelineValue) Type() string          { return "pipeline" }
func (v *pipelineValue) Freeze()               { v.decl.frozen = true }
func (v *pipelineValue) Truth() starlark.Bool  { return true }
func (v *pipelineValue) Hash() (uint32, error) { return starlark.String(v.decl.Pipeline.Name).Hash() }

// Attr gives name and the methods that add tasks.
func (v *pipelineValue) Attr(name string) (starlark.Value, error) {
	if name == "name" {
		return starlark.String(v.decl.Pipeline.Name), nil
	}
	return v.e.method(v, name), nil
}

// AttrNames lists them.
func (v *pipelineValue) AttrNames() []string { return v.e.attrNames() }

func (v *pipelineValue) holds() (*Pipeline, *Group) { return v.decl, nil }

// holder is what tasks are added to: a pipeline, or a group of one.
type holder interface {
	starlark.Value
	holds() (*Pipeline, *Group)
}

// method gives the method of a holder, nil when there is none of that name.
func (e *evaluation) method(of holder, name string) starlark.Value {
	if name == loadMethod {
		name = "load"
	}
	if m := e.methods[name]; m != nil {
		return m.BindReceiver(of)
	}
	return nil
}

func (e *evaluation) attrNames() []string {
	names := []string{"name"}
	for name := range e.methods {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// taskValue is what p.sql(…) and its like give. Order is set with >> and <<.
type taskValue struct {
	decl *Task
	e    *evaluation
}

func (v *taskValue) String() string        { return fmt.Sprintf("task(%q)", v.decl.Task.Name) }
func (v *taskValue) Type() string          { return "task" }
func (v *taskValue) Freeze()               {}
func (v *taskValue) Truth() starlark.Bool  { return true }
func (v *taskValue) Hash() (uint32, error) { return starlark.String(v.decl.Task.Name).Hash() }

// Attr gives name, into: the table the task writes, None when it writes none, and the method map.
func (v *taskValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(v.decl.Task.Name), nil
	case "into":
		if table := v.decl.Task.Into(); table != "" {
			return starlark.String(table), nil
		}
		return starlark.None, nil
	case "map":
		return starlark.NewBuiltin("map", v.e.mapTask).BindReceiver(v), nil
	}
	return nil, nil
}

// AttrNames lists them.
func (v *taskValue) AttrNames() []string { return []string{"into", "map", "name"} }

// Binary sets order: a >> b, a >> [b, c], [a, b] >> c, and the same with <<. It gives the right side, so that orders chain.
func (v *taskValue) Binary(op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	return v.e.ordered(v, op, other, side)
}

// ordered is the operators >> and << of tasks and groups.
func (e *evaluation) ordered(v starlark.Value, op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op != syntax.GTGT && op != syntax.LTLT {
		return nil, nil
	}
	left, right := v, other
	if side == starlark.Right {
		left, right = other, v
	}
	before, after := left, right
	if op == syntax.LTLT {
		before, after = right, left
	}
	if err := e.setOrder(before, after); err != nil {
		return nil, err
	}
	return right, nil
}

// setOrder lets every task of after wait for every task of before.
func (e *evaluation) setOrder(before, after starlark.Value) error {
	froms, err := endpoints(before)
	if err != nil {
		return err
	}
	tos, err := endpoints(after)
	if err != nil {
		return err
	}
	var at diag.Pos
	if t := e.running.Load(); t != nil {
		at = e.innermost(t)
	}
	for _, to := range tos {
		for _, from := range froms {
			e.link(from, to, at)
		}
	}
	return nil
}

// link lets to wait for from. What groups have to do with it is found out when all their tasks are known.
func (e *evaluation) link(from, to endpoint, at diag.Pos) {
	if from.holder() != to.holder() {
		e.findings = append(e.findings, diag.Finding{At: at, Severity: diag.Error, Summary: "Tasks of two pipelines",
			Detail: fmt.Sprintf("%s belongs to pipeline %s, %s to %s; order is set inside one pipeline.", from.name(),
				from.holder().Pipeline.Name, to.name(), to.holder().Pipeline.Name),
			Fix: "Put both into one pipeline."})
		return
	}
	if from.task != nil && to.task != nil {
		to.task.Upstream = append(to.task.Upstream, Edge{From: from.task, At: at})
		return
	}
	d := from.holder()
	d.orders = append(d.orders, groupOrder{from: from, to: to, at: at})
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
	part any // learning, values, pipeline.Search, pipeline.Holdout, pipeline.Folds or pipeline.Retrain
}

func (v *record) String() string        { return v.what + "(…)" }
func (v *record) Type() string          { return v.what }
func (v *record) Freeze()               {}
func (v *record) Truth() starlark.Bool  { return true }
func (v *record) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", v.what) }
