package declare

import (
	"fmt"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/pipeline"
)

// Group is a group of tasks while its files are evaluated.
type Group struct {
	Path     string // the groups it is in, then its own name: "features.windows"
	Parent   *Group
	pipeline *Pipeline
	At       diag.Pos
}

// Holds reports whether a task or group is inside g; a group is inside itself.
func (g *Group) Holds(inner *Group) bool {
	for ; inner != nil; inner = inner.Parent {
		if inner == g {
			return true
		}
	}
	return false
}

// endpoint is a side of an order: a task or a group.
type endpoint struct {
	task  *Task
	group *Group
}

func (p endpoint) holder() *Pipeline {
	if p.task != nil {
		return p.task.Pipeline
	}
	return p.group.pipeline
}

func (p endpoint) name() string {
	if p.task != nil {
		return p.task.Task.Name
	}
	return p.group.Path
}

// inside is the group that the endpoint is, or that its task is in.
func (p endpoint) inside() *Group {
	if p.task != nil {
		return p.task.Group
	}
	return p.group
}

// groupOrder says that the tasks of to wait for those of from.
type groupOrder struct {
	from, to endpoint
	at       diag.Pos
}

// endpoints reads a task, a group, or a list of them.
func endpoints(v starlark.Value) ([]endpoint, error) {
	one := func(v starlark.Value) (endpoint, bool) {
		switch v := v.(type) {
		case *taskValue:
			return endpoint{task: v.decl}, true
		case *groupValue:
			return endpoint{group: v.decl}, true
		}
		return endpoint{}, false
	}
	if p, ok := one(v); ok {
		return []endpoint{p}, nil
	}
	items, ok := sequence(v)
	if !ok {
		return nil, fmt.Errorf("order is set between tasks, groups and lists of them, not with %s", showValue(v))
	}
	list := make([]endpoint, len(items))
	for i, item := range items {
		if list[i], ok = one(item); !ok {
			return nil, fmt.Errorf("order is set between tasks, groups and lists of them; the list holds %s", showValue(item))
		}
	}
	return list, nil
}

// groupValue is what p.group(…) gives. It takes in tasks as its pipeline does, and stands in orders for all its tasks.
type groupValue struct {
	decl *Group
	e    *evaluation
}

func (v *groupValue) String() string        { return fmt.Sprintf("group(%q)", v.decl.Path) }
func (v *groupValue) Type() string          { return "group" }
func (v *groupValue) Freeze()               {}
func (v *groupValue) Truth() starlark.Bool  { return true }
func (v *groupValue) Hash() (uint32, error) { return starlark.String(v.decl.Path).Hash() }

// Attr gives name, with the names of the groups around it, and the methods that add tasks.
func (v *groupValue) Attr(name string) (starlark.Value, error) {
	if name == "name" {
		return starlark.String(v.decl.Path), nil
	}
	return v.e.method(v, name), nil
}

// AttrNames lists them.
func (v *groupValue) AttrNames() []string { return v.e.attrNames() }

func (v *groupValue) holds() (*Pipeline, *Group) { return v.decl.pipeline, v.decl }

// Binary sets order, as with tasks.
func (v *groupValue) Binary(op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	return v.e.ordered(v, op, other, side)
}

// declareGroup is p.group(…) and g.group(…).
func (e *evaluation) declareGroup(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	decl, parent := b.Receiver().(holder).holds()
	if decl.frozen {
		return nil, fmt.Errorf("pipeline %s belongs to another file: its groups are declared there, or by a function that file calls",
			decl.Pipeline.Name)
	}
	if e.tasks++; e.tasks > e.bounds.tasks { // a group costs about what a task does
		return nil, fmt.Errorf("the project declares more than %d tasks and groups", e.bounds.tasks)
	}
	c := e.newCall(t, "group", args, kwargs, "name")
	g := &Group{Parent: parent, pipeline: decl, At: c.at}
	g.Path = c.plainName("name", "features")
	c.finish()
	if parent != nil {
		g.Path = parent.Path + "." + g.Path
	}
	decl.Groups = append(decl.Groups, g)
	return &groupValue{decl: g, e: e}, nil
}

// datasetValue is what dataset(…) gives: a table whose writing makes a pipeline run.
type datasetValue struct{ name string }

func (v *datasetValue) String() string        { return fmt.Sprintf("dataset(%q)", v.name) }
func (v *datasetValue) Type() string          { return "dataset" }
func (v *datasetValue) Freeze()               {}
func (v *datasetValue) Truth() starlark.Bool  { return true }
func (v *datasetValue) Hash() (uint32, error) { return starlark.String(v.name).Hash() }

// dataset is dataset(…).
func (e *evaluation) dataset(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "dataset", args, kwargs, "name")
	v := &datasetValue{name: c.required("name", "shop.orders")}
	if v.name != "" {
		c.checkTable("name", v.name)
	}
	c.finish()
	return v, nil
}

// datasets reads a list of datasets, or one alone. A task stands for the table it writes.
func (c *call) datasets(key string) []string {
	v := c.value(key)
	if v == nil {
		return nil
	}
	items, ok := sequence(v)
	if !ok {
		items = []starlark.Value{v}
	}
	var names []string
	for _, item := range items {
		name := ""
		switch item := item.(type) {
		case *datasetValue:
			name = item.name
		case *taskValue:
			if name = item.decl.Task.Into(); name == "" {
				c.report(c.place(key), "Task without a table", "Name a task that has into, or a dataset.", "Task %s writes no table.", item.decl.Task.Name)
			}
		default:
			c.wrong(key, "a dataset, a task with into, or a list of them", item, `[dataset("shop.orders")]`)
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// maxItems bounds what a task is mapped over by a list: more items belong into a table.
const maxItems = 1000

// unmappable says of a kind of task why it cannot be mapped; a kind with no reason can.
var unmappable = map[pipeline.Kind]string{
	pipeline.LoadTask:         "a load finds all its files by one glob and tells which it has loaded",
	pipeline.TrainTask:        "each run of it would make a version of the same model",
	pipeline.ScoreTask:        "it writes all rows of its source at once",
	pipeline.FeaturesTask:     "it writes all series of its source at once",
	pipeline.BranchTask:       "it chooses once for all tasks after it",
	pipeline.ShortCircuitTask: "it decides once for all tasks after it",
	pipeline.SensorTask:       "it waits once for the run",
	pipeline.TriggerTask:      "its runs of the other pipeline would be one and the same",
}

// mapTask is task.map(over = …), which gives the task.
func (e *evaluation) mapTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	v := b.Receiver().(*taskValue)
	td := v.decl
	if td.Pipeline.frozen {
		return nil, fmt.Errorf("task %s belongs to another file: it is mapped there", td.Task.Name)
	}
	c := e.newCall(t, "map", args, kwargs, "over")
	m := c.over("over", td.Task.Name)
	c.finish()
	if td.At == nil {
		td.At = map[string]diag.Pos{}
	}
	td.At["over"] = c.place("over")
	switch {
	case unmappable[td.Task.Kind] != "":
		c.report(c.place("over"), "Cannot be mapped", "Remove .map(…), or map a sql, python, shell or http task.",
			"Task %s is a %s task: %s.", td.Task.Name, td.Task.Kind, unmappable[td.Task.Kind])
	case td.Task.Map != nil:
		c.report(c.place("over"), "Mapped twice", "Keep one of the two.", "Task %s is mapped already.", td.Task.Name)
	case td.Task.Batch:
		c.report(c.place("over"), "Mapped and batched", "Remove batch = True, or .map(…).",
			"Task %s may cover several data intervals at once (batch = True), and its items belong to one.", td.Task.Name)
	default:
		c.mapTarget(td.Task)
		td.Task.Map = m
	}
	return v, nil
}

// mapTarget refuses what the task runs of a mapped task would erase of each other.
func (c *call) mapTarget(t *pipeline.Task) {
	tg := t.Target()
	if tg == nil || tg.Into == "" || tg.Mode != pipeline.Replace {
		return
	}
	what := "the whole table"
	if tg.PartitionBy != "" {
		what = "all rows of the data interval"
	}
	c.report(c.place("over"), "Items erase each other", `Add mode = "merge" with keys, or mode = "append", or write one table from all items.`,
		"Each task run of %s replaces %s in %s, so only the rows of the last item would stay.", t.Name, what, tg.Into)
}

// over reads what a task is mapped over: a list of items, or the SQL file that gives them.
func (c *call) over(key, task string) *pipeline.Map {
	v := c.value(key)
	if v == nil {
		c.report(c.at, "Missing argument", `Add over = ["a", "b"], or over = "name of a SQL file".`, "map of task %s needs over.", task)
		return &pipeline.Map{}
	}
	if name, ok := starlark.AsString(v); ok && name != "" {
		return &pipeline.Map{File: name}
	}
	items, ok := sequence(v)
	switch {
	case !ok:
		c.wrong(key, "a list of items, or the name of a SQL file", v, `["Beijing", "Shanghai"]`)
	case len(items) == 0:
		c.report(c.place(key), "Nothing to map over", "Name at least one item.", "over of task %s is an empty list.", task)
	case len(items) > maxItems:
		c.report(c.place(key), "Too many items", "Keep the items in a table, and write over = \"name of the SQL file that reads them\".",
			"over of task %s lists %d items; a declaration has at most %d.", task, len(items), maxItems)
		return &pipeline.Map{}
	}
	m := &pipeline.Map{}
	for i, item := range items {
		value, err := plainValue(item, 0)
		if err == nil && value == nil {
			err = fmt.Errorf("None")
		}
		if err != nil {
			c.report(c.place(key), "Wrong type", "Use texts, numbers, booleans, lists and dicts.", "Item %d of task %s is %s.", i, task, err)
			continue
		}
		m.Items = append(m.Items, value)
	}
	return m
}
