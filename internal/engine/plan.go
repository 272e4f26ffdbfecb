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
	Params  map[string]any // of new runs
	Trigger string         // of new runs: "scheduled", "backfill" or "manual"; "" = backfill
	// MaxActiveRuns overrides the pipeline's: 0 = as the pipeline says, -1 = no limit.
	MaxActiveRuns int
	// Batch bounds how many adjacent runs are opened together, as one active run, so that tasks that allow it are executed
	// once for all of them; 0 or 1 = off.
	Batch int
}

// prepare checks a plan and lays out its tasks.
func (e *Engine) prepare(plan Plan) (*drive, error) {
	if plan.Trigger == "" {
		plan.Trigger = "backfill"
	}
	if plan.Rerun == "" {
		plan.Rerun = RerunNone
	}
	d := &drive{Engine: e, plan: plan, under: map[*execution]bool{}, alarms: newAlarms(e.clock),
		lines: &lineBuffer{written: make(chan struct{}, 1), drop: e.opts.Logs == nil}, done: make(chan *execution, e.opts.Parallel)}
	d.bounds()
	if err := d.layOut(); err != nil {
		return nil, err
	}
	for k := 1; k < len(plan.Intervals); k++ {
		if a, b := plan.Intervals[k-1].Start, plan.Intervals[k].Start; !a.Before(b) {
			return nil, diag.Finding{Summary: "The data intervals are out of order",
				Detail: fmt.Sprintf("%s does not come before %s.", a.Format(time.RFC3339), b.Format(time.RFC3339)),
				Fix:    "Give the earlier date first and each date once."}
		}
	}
	return d, nil
}

// layOut makes the nodes and the edges between the selected ones.
func (d *drive) layOut() error {
	p := d.plan.Pipeline
	names := p.TaskNames()
	for _, name := range d.plan.Tasks {
		if !slices.Contains(names, name) {
			return unknownTask(p, name)
		}
	}
	place := make(map[string]int, len(names))
	nearest := make([][]int, len(names))
	for i, task := range p.Tasks {
		n := &node{task: task, index: i, selected: len(d.plan.Tasks) == 0 || slices.Contains(d.plan.Tasks, task.Name)}
		n.batch = task.Batch && !task.DependsOnPast && d.plan.Batch > 1
		if n.selected && d.executors[task.Kind] == nil {
			return diag.Finding{At: task.At, Summary: "Nothing here executes tasks of this kind",
				Detail: fmt.Sprintf("Task %s is of kind %q.", task.Name, task.Kind), Fix: "Choose other tasks."}
		}
		place[task.Name] = i
		d.nodes = append(d.nodes, n)
		for _, u := range task.Upstream {
			j, ok := place[u]
			if !ok {
				return diag.Finding{At: task.At, Summary: "The tasks are not in order",
					Detail: fmt.Sprintf("Task %s runs after %q, which does not come before it in pipeline %s.", task.Name, u, p.Name),
					Fix:    "Run \"damson validate\"."}
			}
			d.nodes[j].children = append(d.nodes[j].children, i)
			if d.nodes[j].selected {
				n.up = append(n.up, j)
			} else {
				n.up = append(n.up, nearest[j]...)
			}
		}
		slices.Sort(n.up)
		n.up = slices.Compact(n.up)
		nearest[i] = n.up
		if n.selected {
			for _, j := range n.up {
				d.nodes[j].down = append(d.nodes[j].down, i)
			}
		}
	}
	return nil
}

// unknownTask says that a pipeline has no such task.
func unknownTask(p *pipeline.Pipeline, name string) error {
	fix := diag.DidYouMean(name, p.TaskNames())
	if fix == "" {
		fix = "Its tasks are: " + strings.Join(p.TaskNames(), ", ") + "."
	}
	return diag.Finding{At: p.At, Summary: "Unknown task", Detail: fmt.Sprintf("Pipeline %s has no task %q.", p.Name, name), Fix: fix}
}

// selectedNames lists the tasks of the plan.
func (d *drive) selectedNames() []string {
	var names []string
	for _, n := range d.nodes {
		if n.selected {
			names = append(names, n.task.Name)
		}
	}
	return names
}
