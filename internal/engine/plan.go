package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/run"
)

// Rerun says what happens to runs of the plan's intervals that have ended before.
type Rerun string

const (
	RerunNone   Rerun = "none"   // they stay as they are; only what never ran is run
	RerunFailed Rerun = "failed" // failed tasks, those that failed with them and all that come after them run again
	RerunAll    Rerun = "all"    // every task runs again
)

// Plan is what to run.
type Plan struct {
	Pipeline  *pipeline.Pipeline
	Intervals []run.Interval // in time order, each start once
	// Tasks restricts the plan to these; none = all. Where one comes after another through tasks that are left out, it still
	// does. A run that is made for some tasks has only these.
	Tasks   []string
	Rerun   Rerun          // "" = none
	Params  map[string]any // of new runs, and of ended ones that run again; nil leaves those theirs
	Trigger string         // of new runs: "scheduled", "backfill" or "manual"; "" = backfill
	// MaxActiveRuns overrides the pipeline's: 0 = as the pipeline says, -1 = no limit.
	MaxActiveRuns int
	// Batch bounds how many adjacent runs are opened together, as one active run, so that tasks that allow it are executed
	// once for all of them; 0 or 1 = off.
	Batch int
}

// check refuses intervals that are out of order, and fills in what is left open.
func (p *Plan) check() error {
	if p.Trigger == "" {
		p.Trigger = "backfill"
	}
	if p.Rerun == "" {
		p.Rerun = RerunNone
	}
	for k := 1; k < len(p.Intervals); k++ {
		if a, b := p.Intervals[k-1].Start, p.Intervals[k].Start; !a.Before(b) {
			return diag.Finding{Summary: "The data intervals are out of order",
				Detail: fmt.Sprintf("%s does not come before %s.", a.Format(time.RFC3339), b.Format(time.RFC3339)),
				Fix:    "Give the earlier date first and each date once."}
		}
	}
	return nil
}

// flow is a pipeline's tasks in their order, as a plan runs them. It does not change once it is laid out.
type flow struct {
	pipeline *pipeline.Pipeline
	nodes    []*node
	place    map[string]int
	past     bool // a selected task depends on its past
}

// node is a task of the pipeline and its place in the order, or one item of a mapped task.
type node struct {
	task     *pipeline.Task
	name     string // of its task runs: the task's, with "[3]" for an item
	index    int
	selected bool
	batch    bool
	up, down []int // nearest selected tasks before and after
	children []int // directly after it, selected or not
	item     *Item // of one item of a mapped task
	parent   int   // of an item: the mapped task's node; else -1
}

// layOut makes the nodes and the edges between the selected ones.
func (e *Engine) layOut(plan Plan) (*flow, error) {
	p := plan.Pipeline
	names := p.TaskNames()
	for _, name := range plan.Tasks {
		if !slices.Contains(names, name) {
			return nil, unknownTask(p, name)
		}
	}
	f := &flow{pipeline: p, place: make(map[string]int, len(names))}
	nearest := make([][]int, len(names))
	for i, task := range p.Tasks {
		n := &node{task: task, name: task.Name, index: i, parent: -1, selected: len(plan.Tasks) == 0 || slices.Contains(plan.Tasks, task.Name)}
		n.batch = task.Batch && !dependsOnPast(task) && plan.Batch > 1
		if n.selected && e.executors != nil && e.executors[task.Kind] == nil {
			return nil, diag.Finding{At: task.At, Summary: "Nothing here executes tasks of this kind",
				Detail: fmt.Sprintf("Task %s is of kind %q.", task.Name, task.Kind), Fix: "Choose other tasks."}
		}
		f.past = f.past || n.selected && dependsOnPast(task)
		f.place[task.Name] = i
		f.nodes = append(f.nodes, n)
		if err := f.link(n, nearest); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// link puts a node after those that its task comes after. nearest gives, for each node, itself when it is selected, or
// the selected ones before it.
func (f *flow) link(n *node, nearest [][]int) error {
	for _, u := range n.task.Upstream {
		j, ok := f.place[u]
		if !ok || j == n.index {
			return diag.Finding{At: n.task.At, Summary: "The tasks are not in order",
				Detail: fmt.Sprintf("Task %s runs after %q, which does not come before it in pipeline %s.", n.name, u, f.pipeline.Name),
				Fix:    "Run \"damson validate\"."}
		}
		f.nodes[j].children = append(f.nodes[j].children, n.index)
		if f.nodes[j].selected {
			n.up = append(n.up, j)
		} else {
			n.up = append(n.up, nearest[j]...)
		}
	}
	slices.Sort(n.up)
	n.up = slices.Compact(n.up)
	nearest[n.index] = n.up
	if n.selected {
		for _, j := range n.up {
			f.nodes[j].down = append(f.nodes[j].down, n.index)
		}
	}
	return nil
}

// dependsOnPast reports whether a task looks at the run before.
func dependsOnPast(t *pipeline.Task) bool { return t.DependsOnPast || t.WaitForDownstream }

// unknownTask says that a pipeline has no such task.
func unknownTask(p *pipeline.Pipeline, name string) error {
	fix := diag.DidYouMean(name, p.TaskNames())
	if fix == "" {
		fix = "Its tasks are: " + strings.Join(p.TaskNames(), ", ") + "."
	}
	return diag.Finding{At: p.At, Summary: "Unknown task", Detail: fmt.Sprintf("Pipeline %s has no task %q.", p.Name, name), Fix: fix}
}

// selectedNames lists the tasks of the flow that are run.
func (f *flow) selectedNames() []string {
	var names []string
	for _, n := range f.nodes {
		if n.selected {
			names = append(names, n.name)
		}
	}
	return names
}
