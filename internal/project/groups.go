package project

import (
	"damson/internal/diag"
	"damson/internal/project/declare"
)

// takeGroups judges the names of a pipeline's groups. A group and a task of one name could not be told apart by a branch.
func (l *loader) takeGroups(d *declare.Pipeline) {
	tasks := map[string]*declare.Task{}
	for _, t := range d.Tasks {
		tasks[t.Task.Name] = t
	}
	seen := map[string]*declare.Group{}
	kept := d.Groups[:0:0]
	for _, g := range d.Groups {
		if before := seen[g.Path]; before != nil {
			l.duplicate("group", g.Path, g.At, before.At)
			continue
		}
		seen[g.Path] = g
		kept = append(kept, g)
		if t := tasks[g.Path]; t != nil {
			l.errorf(g.At, "Group named like a task", "Rename one of the two.", "A task %q is declared at %s already.", g.Path, t.Task.At)
		}
		if len(d.Members(g)) == 0 {
			l.warn(g.At, "Empty group", "Add tasks to it, for example with g.sql(…), or remove it.",
				"Group %s of pipeline %s has no tasks: what is ordered before it and after it would not wait for each other.", g.Path, d.Pipeline.Name)
		}
	}
	d.Groups = kept
}

// placeOf is where a group's or a task's argument stands, or the declaration.
func placeOf(at map[string]diag.Pos, key string, otherwise diag.Pos) diag.Pos {
	if p, ok := at[key]; ok {
		return p
	}
	return otherwise
}
