package declare

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"damson/internal/diag"
	"damson/internal/project/source"
)

// ordering collects what is wrong with the order of a pipeline's tasks.
type ordering struct{ findings diag.Findings }

func (o *ordering) errorf(at diag.Pos, summary, fix, detail string, args ...any) {
	o.findings = append(o.findings, diag.Finding{At: at, Severity: diag.Error, Summary: summary, Detail: fmt.Sprintf(detail, args...), Fix: fix})
}

// Resolve turns the declared order into names, finds cycles, and puts the tasks into a topological order. It is called
// once, when names stand for one task each.
func (d *Pipeline) Resolve() diag.Findings {
	o := &ordering{}
	byName := map[string]*Task{}
	for _, t := range d.Tasks {
		byName[t.Task.Name] = t
	}
	o.expandGroups(d, byName)
	for _, t := range d.Tasks {
		o.resolveUpstream(d, t, byName)
	}
	o.sortTasks(d)
	return o.findings
}

func (o *ordering) resolveUpstream(d *Pipeline, t *Task, byName map[string]*Task) {
	kept := t.Upstream[:0]
	names := map[string]bool{}
	for _, e := range t.Upstream {
		if e.From != nil {
			e.Name = e.From.Task.Name
		}
		e.From = byName[e.Name] // of two tasks with one name the first counts
		if e.From == nil {
			all := make([]string, 0, len(d.Tasks))
			for _, other := range d.Tasks {
				all = append(all, other.Task.Name)
			}
			for _, g := range d.Groups {
				all = append(all, g.Path)
			}
			fix := diag.DidYouMean(e.Name, all)
			if fix == "" {
				fix = "Name a task or group of the same pipeline: " + source.ListNames(all) + "."
			}
			o.errorf(e.At, "Unknown task", fix, "Task %s runs after %q, which pipeline %s does not have.", t.Task.Name, e.Name, d.Pipeline.Name)
			continue
		}
		if !names[e.Name] {
			names[e.Name] = true
			kept = append(kept, e)
			t.Task.Upstream = append(t.Task.Upstream, e.Name)
		}
	}
	t.Upstream = kept
	sort.Strings(t.Task.Upstream)
}

// sortTasks orders the tasks: each comes after what it waits for, and of those free to swap the one declared first.
func (o *ordering) sortTasks(d *Pipeline) {
	done := map[*Task]bool{}
	open := append([]*Task(nil), d.Tasks...)
	ordered := make([]*Task, 0, len(open))
	waiting := map[*Task]int{}
	after := map[*Task][]*Task{}
	place := map[*Task]int{}
	for i, t := range open {
		place[t] = i
		waiting[t] = len(t.Upstream)
		for _, e := range t.Upstream {
			after[e.From] = append(after[e.From], t)
		}
	}
	var ready []int // places, a sorted list: pipelines are small
	for i, t := range open {
		if waiting[t] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		t := open[ready[0]]
		ready = ready[1:]
		ordered = append(ordered, t)
		done[t] = true
		for _, next := range after[t] {
			if waiting[next]--; waiting[next] == 0 {
				at := sort.SearchInts(ready, place[next])
				ready = slices.Insert(ready, at, place[next])
			}
		}
	}
	for _, t := range open {
		if !done[t] {
			ordered = append(ordered, t)
		}
	}
	if len(done) < len(open) {
		o.cycle(open, done)
	}
	d.Tasks = ordered
	for _, t := range ordered {
		d.Pipeline.Tasks = append(d.Pipeline.Tasks, t.Task)
	}
}

// cycle reports one finding for each circle among the tasks that could not be ordered.
func (o *ordering) cycle(tasks []*Task, done map[*Task]bool) {
	for _, t := range tasks {
		if done[t] {
			continue
		}
		trail := t.circle(done)
		if trail == nil {
			continue // it only waits for a circle
		}
		var names, places []string
		for i, e := range trail {
			next := trail[(i+1)%len(trail)].From.Task.Name
			done[e.From] = true
			names = append(names, e.From.Task.Name)
			places = append(places, fmt.Sprintf("%s: %s >> %s", e.At, e.From.Task.Name, next))
		}
		names = append(names, names[0])
		o.errorf(trail[len(trail)-1].At, "Tasks wait for each other in a circle", "Remove one of these orders.",
			"%s\n%s", strings.Join(names, " → "), strings.Join(places, "\n"))
	}
}

// circle gives the shortest way from t along the order back to t, as the edges on it, or nil.
func (t *Task) circle(done map[*Task]bool) []Edge {
	type step struct {
		next *Task
		edge Edge
	}
	came := map[*Task]step{}
	queue := []*Task{t}
	for len(queue) > 0 && came[t].next == nil {
		at := queue[0]
		queue = queue[1:]
		for _, e := range at.Upstream {
			if _, seen := came[e.From]; !seen && !done[e.From] {
				came[e.From] = step{next: at, edge: e}
				queue = append(queue, e.From)
			}
		}
	}
	if came[t].next == nil {
		return nil
	}
	trail := []Edge{came[t].edge}
	for node := came[t].next; node != t; node = came[node].next {
		trail = append(trail, came[node].edge)
	}
	return trail
}

// WaitsFor reports whether other stands before t, directly or not.
func (t *Task) WaitsFor(other *Task, seen map[*Task]bool) bool {
	seen[t] = true
	for _, e := range t.Upstream {
		if e.From == other || e.From != nil && !seen[e.From] && e.From.WaitsFor(other, seen) {
			return true
		}
	}
	return false
}

// Members lists the tasks of a group and of the groups in it.
func (d *Pipeline) Members(g *Group) []*Task {
	var list []*Task
	for _, t := range d.Tasks {
		if g.Holds(t.Group) {
			list = append(list, t)
		}
	}
	return list
}

// expandGroups turns orders with groups into orders of tasks: what stands before a group stands before its first tasks,
// those that wait for none of the group, and what stands after it, after its last. Orders inside a group decide which
// these are, so they come before orders around it.
func (o *ordering) expandGroups(d *Pipeline, byName map[string]*Task) {
	orders := append(d.orders, d.namedGroups(byName)...)
	sort.SliceStable(orders, func(i, j int) bool { return orders[i].depth() > orders[j].depth() })
	for _, r := range orders {
		if inner, outer := r.nested(); outer != nil {
			o.errorf(r.at, "Order between a group and its own part", "Order the tasks of the group among each other.",
				"%s belongs to group %s.", inner.name(), outer.Path)
			continue
		}
		froms := d.ends(r.from, byName, false)
		for _, to := range d.ends(r.to, byName, true) {
			for _, from := range froms {
				to.Upstream = append(to.Upstream, Edge{From: from, At: r.at})
			}
		}
	}
}

// namedGroups takes out of the tasks' upstream the names that are no task's but a group's.
func (d *Pipeline) namedGroups(byName map[string]*Task) []groupOrder {
	if len(d.Groups) == 0 {
		return nil
	}
	groups := map[string]*Group{}
	for _, g := range d.Groups {
		groups[g.Path] = g
	}
	var orders []groupOrder
	for _, t := range d.Tasks {
		kept := t.Upstream[:0]
		for _, e := range t.Upstream {
			if g := groups[e.Name]; g != nil && e.From == nil && byName[e.Name] == nil {
				orders = append(orders, groupOrder{from: endpoint{group: g}, to: endpoint{task: t}, at: e.At})
				continue
			}
			kept = append(kept, e)
		}
		t.Upstream = kept
	}
	return orders
}

// depth is how many groups have both sides of the order in them.
func (o groupOrder) depth() int {
	n := 0
	for g := o.from.inside(); g != nil; g = g.Parent {
		if g.Holds(o.to.inside()) {
			n++
		}
	}
	return n
}

// nested gives the side that is a part of the other side's group, and that group; nil when none is.
func (o groupOrder) nested() (inner endpoint, outer *Group) {
	switch {
	case o.from.group != nil && o.from.group.Holds(o.to.inside()):
		return o.to, o.from.group
	case o.to.group != nil && o.to.group.Holds(o.from.inside()):
		return o.from, o.to.group
	}
	return endpoint{}, nil
}

// ends gives the tasks that stand for an endpoint: itself, or a group's first or last tasks.
func (d *Pipeline) ends(p endpoint, byName map[string]*Task, first bool) []*Task {
	if p.task != nil {
		return []*Task{p.task}
	}
	members := d.Members(p.group)
	inner := map[*Task]bool{} // has a neighbour in the group on the side asked for
	for _, t := range members {
		for _, e := range t.Upstream {
			from := e.From
			if from == nil {
				from = byName[e.Name]
			}
			if from == nil || !p.group.Holds(from.Group) {
				continue
			}
			if first {
				inner[t] = true
			} else {
				inner[from] = true
			}
		}
	}
	var ends []*Task
	for _, t := range members {
		if !inner[t] {
			ends = append(ends, t)
		}
	}
	return ends
}

// After tells what stands directly After a task: the tasks, and the names of the groups that these are in.
func (d *Pipeline) After(t *Task) (tasks []*Task, names []string) {
	groups := map[string]bool{}
	for _, next := range d.Tasks {
		for _, e := range next.Upstream {
			if e.From != t {
				continue
			}
			tasks = append(tasks, next)
			names = append(names, next.Task.Name)
			for g := next.Group; g != nil; g = g.Parent {
				if !groups[g.Path] && !g.Holds(t.Group) {
					groups[g.Path] = true
				}
			}
			break
		}
	}
	return tasks, append(names, slices.Sorted(maps.Keys(groups))...)
}
