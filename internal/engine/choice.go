package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"damson/internal/pipeline"
	"damson/internal/run"
)

// passedOver says why task i is skipped although its trigger rule holds: a branch before it chose others, or a condition
// before it, however far, did not hold. "" when neither is so. It looks at what those tasks recorded, so that a clear of the
// task alone meets the same decision.
func (r *runState) passedOver(i int) string {
	for _, j := range r.before(i) {
		if r.nodes[j].task.Kind != pipeline.ShortCircuitTask {
			continue
		}
		if c, ok := r.choice(j); ok && c.Stop != "" {
			return fmt.Sprintf("%s stopped here: %s", r.nodes[j].name, c.Stop)
		}
	}
	for _, u := range r.nodes[i].task.Upstream {
		j := r.flow.place[u]
		if r.nodes[j].task.Kind != pipeline.BranchTask {
			continue
		}
		if c, ok := r.choice(j); ok && !r.chosen(j, i, c) {
			return fmt.Sprintf("%s chose %s", u, orNothing(c.Tasks))
		}
	}
	return ""
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing after it"
	}
	return strings.Join(names, ", ")
}

// choice is what a branch or condition decided, when it has.
func (r *runState) choice(j int) (c run.Choice, ok bool) {
	if r.cells[j].State != run.Success || r.cells[j].Result == nil {
		return c, false
	}
	return c, json.Unmarshal(r.cells[j].Result, &c) == nil
}

// chosen reports whether a choice of branch j lets task i run: it is among the chosen, or comes after one of them.
func (r *runState) chosen(j, i int, c run.Choice) bool {
	names := func(t *pipeline.Task) bool {
		return slices.ContainsFunc(c.Tasks, func(name string) bool {
			return t.Name == name || t.Group == name || strings.HasPrefix(t.Group, name+".")
		})
	}
	if names(r.nodes[i].task) {
		return true
	}
	before := r.before(i)
	return slices.ContainsFunc(r.nodes[j].children, func(k int) bool { return names(r.nodes[k].task) && slices.Contains(before, k) })
}

// before lists the nodes of all tasks that task i comes after.
func (r *runState) before(i int) []int {
	seen := map[int]bool{}
	var all []int
	for todo := []int{i}; len(todo) > 0; todo = todo[1:] {
		for _, u := range r.nodes[todo[0]].task.Upstream {
			if j := r.flow.place[u]; !seen[j] {
				seen[j] = true
				all = append(all, j)
				todo = append(todo, j)
			}
		}
	}
	return all
}
