package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"damson/internal/run"
	"damson/internal/store"
)

// A mapped task is executed once to tell its items. It is then deferred while a task run of each item, named "task[3]", goes
// its own way with its own attempts and retries, and ends when they all have: failed when one of them failed.

// mapped is the result by which a mapped task remembers its items.
type mapped struct {
	Items []any `json:"items"`
}

// ItemName names the task run of one item.
func ItemName(task string, index int) string { return task + "[" + strconv.Itoa(index) + "]" }

// MappedTask gives the task of an item's name, or the name itself.
func MappedTask(name string) string {
	if at := strings.LastIndexByte(name, '['); at > 0 && strings.HasSuffix(name, "]") {
		return name[:at]
	}
	return name
}

// expand makes the task runs of a mapped task's items. Those that are there from before the task was cleared run again; those
// that have no item any more are removed.
func (l *Loop) expand(r *runState, i int, items []any) {
	l.addItems(r, i, items)
	if len(items) == 0 {
		l.move(r, i, run.EventSkipped, "there are no items")
		return
	}
	l.move(r, i, run.EventDeferred, fmt.Sprintf("one task run for each of %d items", len(items)))
	var missing []string
	for j, n := range r.nodes {
		c := &r.cells[j]
		switch {
		case n.parent != i:
			continue
		case !c.present:
			missing = append(missing, n.name)
			c.State, c.present = run.Scheduled, true
			r.open++
			r.lane.progress.Tasks++
		case n.item == nil:
			if c.State != run.Removed {
				r.open++ // move counts it as ended again
				l.move(r, j, run.EventRemoved, "there is no such item any more")
			}
			continue
		default:
			l.clearCell(r, j, "its task was cleared")
		}
		l.unsettle = append(l.unsettle, place{r, j})
	}
	if len(missing) > 0 {
		l.batch.Tasks = append(l.batch.Tasks, store.NewTasks{RunID: r.ID, Tasks: missing})
	}
}

// addItems gives the run a node and a cell for each item, and counts those that are to end. What stands for items from before
// has no item then, unless it is among these.
func (l *Loop) addItems(r *runState, i int, items []any) {
	r.nodes = slices.Clone(r.nodes) // until now they may be the flow's
	known := map[string]int{}
	for j, n := range r.nodes {
		if n.parent == i {
			known[n.name] = j
			r.nodes[j] = itemNode(r.nodes[i], n.name, j, nil)
		}
	}
	for k, value := range items {
		name := ItemName(r.nodes[i].name, k)
		j, ok := known[name]
		if !ok {
			j = r.addItem(i, name)
		}
		r.nodes[j] = itemNode(r.nodes[i], name, j, &Item{Index: k, Value: value})
	}
	r.cells[i].kids = len(items)
}

func itemNode(parent *node, name string, index int, item *Item) *node {
	return &node{task: parent.task, name: name, index: index, selected: true, parent: parent.index, item: item}
}

// addItem gives the run a node and a cell for an item of task i that it has none for.
func (r *runState) addItem(i int, name string) int {
	j := len(r.nodes)
	r.nodes = append(r.nodes, itemNode(r.nodes[i], name, j, nil))
	r.cells = append(r.cells, cell{TaskRun: run.TaskRun{RunID: r.ID, Task: name}, alone: true})
	return j
}

// itemEnded ends a mapped task with the last of its items.
func (l *Loop) itemEnded(r *runState, i int) {
	c := &r.cells[i]
	if c.kids--; c.kids > 0 || c.State != run.Deferred {
		return
	}
	var failed []string
	for j, n := range r.nodes {
		if n.parent == i && (r.cells[j].State == run.Failed || r.cells[j].State == run.UpstreamFailed) {
			failed = append(failed, n.name)
		}
	}
	if len(failed) == 0 {
		l.move(r, i, run.EventSucceeded, "")
		return
	}
	l.move(r, i, run.EventFailed, fmt.Sprintf("%d of its items failed: %s", len(failed), list(failed, 3)))
}

// readItems puts back the items of mapped tasks as they are stored. Where the task itself is to run again, what stands for
// its items from before is over.
func (a *admission) readItems(r *runState, stored map[string]run.TaskRun) {
	for i, n := range r.flow.nodes {
		c := &r.cells[i]
		if n.task.Map == nil || !c.present {
			continue
		}
		var m mapped
		if c.State == run.Deferred && json.Unmarshal(c.Result, &m) == nil {
			a.addItems(r, i, m.Items)
		}
		for k := 0; ; k++ {
			t, ok := stored[ItemName(n.name, k)]
			if !ok {
				break
			}
			j := slices.IndexFunc(r.nodes, func(n *node) bool { return n.name == t.Task })
			if j < 0 {
				r.nodes = slices.Clone(r.nodes)
				j = r.addItem(i, t.Task)
			}
			r.cells[j].TaskRun, r.cells[j].present = t, true
			if c.State == run.Deferred && t.State.Ended() {
				c.kids--
			}
		}
	}
}

// endItems ends the items of a task that is to run again: it tells them anew.
func (a *admission) endItems(r *runState, i int) {
	for j, n := range r.nodes {
		if n.parent == i && r.cells[j].present && !r.cells[j].State.Ended() {
			a.shift(place{r, j}, run.EventMarkedSkipped, "its task was cleared")
		}
	}
}
