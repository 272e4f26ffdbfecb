package project

import (
	"sort"

	"damson/internal/diag"
)

// takeGroups judges the names of a pipeline's groups. A group and a task of one name could not be told apart by a branch.
func (l *loader) takeGroups(d *pipelineDecl) {
	tasks := map[string]*taskDecl{}
	for _, t := range d.tasks {
		tasks[t.task.Name] = t
	}
	seen := map[string]*groupDecl{}
	kept := d.groups[:0:0]
	for _, g := range d.groups {
		if before := seen[g.path]; before != nil {
			l.duplicate("group", g.path, g.at, before.at)
			continue
		}
		seen[g.path] = g
		kept = append(kept, g)
		if t := tasks[g.path]; t != nil {
			l.errorf(g.at, "Group named like a task", "Rename one of the two.", "A task %q is declared at %s already.", g.path, t.task.At)
		}
		if len(d.members(g)) == 0 {
			l.warn(g.at, "Empty group", "Add tasks to it, for example with g.sql(…), or remove it.",
				"Group %s of pipeline %s has no tasks: what is ordered before it and after it would not wait for each other.", g.path, d.pipeline.Name)
		}
	}
	d.groups = kept
}

// members lists the tasks of a group and of the groups in it.
func (d *pipelineDecl) members(g *groupDecl) []*taskDecl {
	var list []*taskDecl
	for _, t := range d.tasks {
		if g.holds(t.group) {
			list = append(list, t)
		}
	}
	return list
}

// expandGroups turns orders with groups into orders of tasks: what stands before a group stands before its first tasks,
// those that wait for none of the group, and what stands after it, after its last. Orders inside a group decide which
// these are, so they come before orders around it.
func (l *loader) expandGroups(d *pipelineDecl, byName map[string]*taskDecl) {
	orders := append(d.orders, d.namedGroups(byName)...)
	sort.SliceStable(orders, func(i, j int) bool { return orders[i].depth() > orders[j].depth() })
	for _, o := range orders {
		if inner, outer := o.nested(); outer != nil {
			l.errorf(o.at, "Order between a group and its own part", "Order the tasks of the group among each other.",
				"%s belongs to group %s.", inner.name(), outer.path)
			continue
		}
		froms := d.ends(o.from, byName, false)
		for _, to := range d.ends(o.to, byName, true) {
			for _, from := range froms {
				to.upstream = append(to.upstream, edge{from: from, at: o.at})
			}
		}
	}
}

// namedGroups takes out of the tasks' upstream the names that are no task's but a group's.
func (d *pipelineDecl) namedGroups(byName map[string]*taskDecl) []groupOrder {
	if len(d.groups) == 0 {
		return nil
	}
	groups := map[string]*groupDecl{}
	for _, g := range d.groups {
		groups[g.path] = g
	}
	var orders []groupOrder
	for _, t := range d.tasks {
		kept := t.upstream[:0]
		for _, e := range t.upstream {
			if g := groups[e.name]; g != nil && e.from == nil && byName[e.name] == nil {
				orders = append(orders, groupOrder{from: endpoint{group: g}, to: endpoint{task: t}, at: e.at})
				continue
			}
			kept = append(kept, e)
		}
		t.upstream = kept
	}
	return orders
}

// depth is how many groups have both sides of the order in them.
func (o groupOrder) depth() int {
	n := 0
	for g := o.from.inside(); g != nil; g = g.parent {
		if g.holds(o.to.inside()) {
			n++
		}
	}
	return n
}

// nested gives the side that is a part of the other side's group, and that group; nil when none is.
func (o groupOrder) nested() (inner endpoint, outer *groupDecl) {
	switch {
	case o.from.group != nil && o.from.group.holds(o.to.inside()):
		return o.to, o.from.group
	case o.to.group != nil && o.to.group.holds(o.from.inside()):
		return o.from, o.to.group
	}
	return endpoint{}, nil
}

// ends gives the tasks that stand for an endpoint: itself, or a group's first or last tasks.
func (d *pipelineDecl) ends(p endpoint, byName map[string]*taskDecl, first bool) []*taskDecl {
	if p.task != nil {
		return []*taskDecl{p.task}
	}
	members := d.members(p.group)
	inner := map[*taskDecl]bool{} // has a neighbour in the group on the side asked for
	for _, t := range members {
		for _, e := range t.upstream {
			from := e.from
			if from == nil {
				from = byName[e.name]
			}
			if from == nil || !p.group.holds(from.group) {
				continue
			}
			if first {
				inner[t] = true
			} else {
				inner[from] = true
			}
		}
	}
	var ends []*taskDecl
	for _, t := range members {
		if !inner[t] {
			ends = append(ends, t)
		}
	}
	return ends
}

// after tells what stands directly after a task: the tasks, and the names of the groups that these are in.
func (d *pipelineDecl) after(t *taskDecl) (tasks []*taskDecl, names []string) {
	groups := map[string]bool{}
	for _, next := range d.tasks {
		for _, e := range next.upstream {
			if e.from != t {
				continue
			}
			tasks = append(tasks, next)
			names = append(names, next.task.Name)
			for g := next.group; g != nil; g = g.parent {
				if !groups[g.path] && !g.holds(t.group) {
					groups[g.path] = true
				}
			}
			break
		}
	}
	return tasks, append(names, sortedKeys(groups)...)
}

// placeOf is where a group's or a task's argument stands, or the declaration.
func placeOf(at map[string]diag.Pos, key string, otherwise diag.Pos) diag.Pos {
	if p, ok := at[key]; ok {
		return p
	}
	return otherwise
}
