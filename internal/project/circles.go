package project

import (
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/project/declare"
)

// wait says that one task or run cannot end before another, or that one run makes another.
type wait struct {
	to    any // *declare.Task, or *declare.Pipeline for the end of its run
	at    diag.Pos
	says  string // "" inside of a pipeline
	loose bool   // may end by itself: something decides whether it comes to that
}

// checkCircles finds pipelines that wait for each other, and pipelines that start each other for ever.
func (l *loader) checkCircles() {
	waits := circles{next: l.waitsOf, report: func(trail []wait) {
		l.errorf(trail[0].at, "Pipelines wait for each other in a circle", "Remove one of these, or wait for an earlier run with offset.", "%s", tell(trail))
	}}
	starts := circles{next: l.startsOf, report: func(trail []wait) {
		for _, w := range trail {
			if w.loose {
				l.warn(trail[0].at, "Pipelines may start each other for ever", "Remove one of these, or let a short_circuit end it.", "%s", tell(trail))
				return
			}
		}
		l.errorf(trail[0].at, "Pipelines start each other for ever", "Remove one of these.", "%s", tell(trail))
	}}
	for _, d := range l.pipelines {
		starts.visit(d)
		for _, t := range d.Tasks {
			if t.Task.Sensor != nil || t.Task.Trigger != nil {
				waits.visit(t)
			}
		}
	}
}

// tell writes a circle's parts, one a line.
func tell(trail []wait) string {
	lines := make([]string, len(trail))
	for i, w := range trail {
		lines[i] = fmt.Sprintf("%s: %s", w.at, w.says)
	}
	return strings.Join(lines, "\n")
}

// waitsOf tells what a task, or the end of a pipeline's run, waits for.
func (l *loader) waitsOf(node any) []wait {
	var list []wait
	if d, ok := node.(*declare.Pipeline); ok {
		for _, t := range d.Tasks {
			list = append(list, wait{to: t})
		}
		return list
	}
	t := node.(*declare.Task)
	for _, e := range t.Upstream {
		list = append(list, wait{to: e.From})
	}
	if s := t.Task.Sensor; s != nil && s.Offset == 0 {
		other := l.byName[s.Pipeline]
		if other == nil || other == t.Pipeline {
			return list
		}
		w := wait{to: other, at: t.Task.At, says: fmt.Sprintf("%s.%s waits for %s", t.Pipeline.Pipeline.Name, t.Task.Name, s.Pipeline)}
		for _, task := range other.Tasks {
			if task.Task.Name == s.Task {
				w.to = task
				w.says += "." + s.Task
			}
		}
		list = append(list, w)
	}
	if tr := t.Task.Trigger; tr != nil && tr.Wait && tr.Date == "" {
		if other := l.byName[tr.Pipeline]; other != nil && other != t.Pipeline {
			list = append(list, wait{to: other, at: t.Task.At,
				says: fmt.Sprintf("%s.%s waits for the run of %s that it triggers", t.Pipeline.Pipeline.Name, t.Task.Name, tr.Pipeline)})
		}
	}
	return list
}

// startsOf tells which pipelines a run of this one makes run. What waits for its end is judged by waitsOf.
func (l *loader) startsOf(node any) []wait {
	d := node.(*declare.Pipeline)
	list := l.listeners[d]
	for _, t := range d.Tasks {
		tr := t.Task.Trigger
		if tr == nil || tr.Wait && tr.Date == "" {
			continue
		}
		if other := l.byName[tr.Pipeline]; other != nil && other != d {
			list = append(list[:len(list):len(list)], wait{to: other, at: t.Task.At, loose: true,
				says: fmt.Sprintf("%s.%s triggers %s", d.Pipeline.Name, t.Task.Name, tr.Pipeline)})
		}
	}
	return list
}

// findListeners notes which pipelines run when a table of another is written.
func (l *loader) findListeners(all []writer) {
	l.listeners = map[*declare.Pipeline][]wait{}
	writers := map[string][]writer{}
	for _, w := range all {
		writers[w.table] = append(writers[w.table], w)
	}
	for _, d := range l.pipelines {
		for _, name := range d.Pipeline.On {
			for _, w := range writers[tableKey(name)] {
				if from := w.task.Pipeline; from != d {
					l.listeners[from] = append(l.listeners[from], wait{to: d, at: placeOf(d.At, "on", d.Pipeline.At),
						says: fmt.Sprintf("%s runs when %s.%s writes %s", d.Pipeline.Name, from.Pipeline.Name, w.task.Task.Name, name)})
				}
			}
		}
	}
}

// circles walks a graph depth first and reports the circles that cross from one pipeline to another.
type circles struct {
	next   func(node any) []wait
	report func(trail []wait)
	seen   map[any]bool
	depth  map[any]int // of the nodes on the way to the present one
	way    []wait      // that led there
}

func (c *circles) visit(node any) {
	if c.seen == nil {
		c.seen, c.depth = map[any]bool{}, map[any]int{}
	}
	if c.seen[node] {
		return
	}
	c.seen[node] = true
	c.depth[node] = len(c.way)
	for _, w := range c.next(node) {
		c.way = append(c.way, w)
		if from, open := c.depth[w.to]; open {
			var trail []wait
			for _, w := range c.way[from:] {
				if w.says != "" {
					trail = append(trail, w)
				}
			}
			if len(trail) > 0 {
				c.report(trail)
			}
		} else {
			c.visit(w.to)
		}
		c.way = c.way[:len(c.way)-1]
	}
	delete(c.depth, node)
}
