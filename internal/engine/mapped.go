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

// expand makes the task runs of a mapped task's items.
func (l *Loop) expand(r *runState, i int, items []any) {
	l.addItems(r, i, items)
	if len(items) == 0 {
		l.move(r, i, run.EventSkipped, "there are no items")
		return
	}
	var missing []string
	wanted := func(j int) bool { return r.nodes[j].parent == i && r.nodes[j].item.Index < len(items) }
	for j := range r.nodes {
		if n, c := r.nodes[j], &r.cells[j]; wanted(j) && !c.present {
			missing = append(missing, n.name)
			c.State, c.present = run.Scheduled, true
			r.open++
			r.lane.progress.Tasks++
		}
	}
	if len(missing) > 0 {
		l.batch.Tasks = append(l.batch.Tasks, store.NewTasks{RunID: r.ID, Tasks: missing})
	}
	l.move(r, i, run.EventDeferred, fmt.Sprintf("one task run for each of %d items", len(items)))
	for j, n := range r.nodes {
		if !wanted(j) {
			if c := &r.cells[j]; n.parent == i && c.present && c.State.Ended() && c.State != run.Removed {
				r.open++ // move counts it as ended again
				l.move(r, j, run.EventRemoved, "there is no such item any more")
			}
			continue
		}
		if r.cells[j].State.Ended() { // an item of before the task was cleared
			l.clearCell(r, j, "its task was cleared")
		}
		l.unsettle = append(l.unsettle, place{r, j})
	}
	r.cells[i].kids = len(items)
}

// addItems gives the run nodes and cells for items that it has none for yet.
func (l *Loop) addItems(r *runState, i int, items []any) {
	parent := r.nodes[i]
	known := map[string]int{}
	for j, n := range r.nodes {
		if n.parent == i {
			known[n.name] = j
		}
	}
	for k, value := range items {
		name := ItemName(parent.name, k)
		j, ok := known[name]
		if !ok {
			j = len(r.nodes)
			r.nodes = append(slices.Clip(r.nodes), &node{task: parent.task, name: name, index: j, selected: true, parent: i})
			r.cells = append(r.cells, cell{TaskRun: run.TaskRun{RunID: r.ID, Task: name}, alone: true})
		}
		r.nodes[j].item = &Item{Index: k, Value: value}
	}
}

// itemEnded ends a mapped task with the last of its items.
func (l *Loop) itemEnded(r *runState, i int) {
	c := &r.cells[i]
	if c.kids--; c.kids > 0 {
		return
	}
	if c.State == run.Deferred {
		l.finishItems(r, i)
		return
	}
	l.unsettle = append(l.unsettle, place{r, i}) // it was cleared and waits for them
}

// finishItems ends a mapped task whose items have all ended.
func (l *Loop) finishItems(r *runState, i int) {
	var failed []string
	for j, n := range r.nodes {
		if n.parent == i && (r.cells[j].State == run.Failed || r.cells[j].State == run.UpstreamFailed) {
			failed = append(failed, n.name)
		}
	}
	if len(failed) == 0 {
		l.move(r, i, run.EventSucceeded, "")
		l.wrote(r, r.nodes[i])
		return
	}
	l.move(r, i, run.EventFailed, fmt.Sprintf("%d of its items failed: %s", len(failed), list(failed, 3)))
}

// readItems puts back the items of mapped tasks: of one that waits for them as well as of one that was cleared, whose items
// of before are cleared with it when it tells its items anew.
func (l *Loop) readItems(r *runState, stored map[string]run.TaskRun) {
	for i, n := range r.flow.nodes {
		if n.task.Map == nil {
			continue
		}
		var m mapped
		if text := r.cells[i].Result; text != nil {
			_ = json.Unmarshal(text, &m) // a result that is not one of items has none
		}
		items := m.Items
		for len(items) < len(stored) {
			if _, ok := stored[ItemName(n.name, len(items))]; !ok {
				break
			}
			items = append(items, nil)
		}
		l.addItems(r, i, items)
		for j := len(r.flow.nodes); j < len(r.nodes); j++ {
			if t, ok := stored[r.nodes[j].name]; ok && r.nodes[j].parent == i {
				r.cells[j].TaskRun, r.cells[j].present = t, true
			}
		}
	}
}

// endItems ends what is open of the items of a task that tells them anew before they run again.
func (a *admission) endItems(r *runState, i int) {
	for j, n := range r.nodes {
		if n.parent == i && r.cells[j].present && !r.cells[j].State.Ended() {
			a.shift(place{r, j}, run.EventMarkedSkipped, "its task was cleared")
		}
	}
}
