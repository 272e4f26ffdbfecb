package engine

import (
	"container/heap"
	"fmt"

	"damson/internal/run"
)

// unit is what one execution takes: a task for adjacent runs.
type unit struct {
	runs []*runState
	node *node
}

// kindOfUnit tells apart what may be held up by different bounds, so that a full pool does not hide what can start.
type kindOfUnit struct {
	lane      *Lane
	pipeline  string
	pool      string
	warehouse bool // it needs the warehouse, which not every worker has
}

func (u unit) kind() kindOfUnit {
	r := u.runs[0]
	return kindOfUnit{r.lane, r.Pipeline, u.node.task.Pool, u.node.task.NeedsWarehouse()}
}

// readyQueue orders units by the class of their lane, then priority (higher first), then the earlier run, then the order of
// tasks. Units of a kind have a heap of their own.
type readyQueue struct{ heaps map[kindOfUnit]*unitHeap }

func (q *readyQueue) push(u unit) {
	k := u.kind()
	if q.heaps == nil {
		q.heaps = map[kindOfUnit]*unitHeap{}
	}
	h := q.heaps[k]
	if h == nil {
		h = &unitHeap{}
		q.heaps[k] = h
	}
	heap.Push(h, u)
	k.lane.waiting++
}

// head gives the first unit of a kind, without those of its runs that are not queued any more; false when there is none.
func (q *readyQueue) head(k kindOfUnit) (unit, bool) {
	h := q.heaps[k]
	for len(*h) > 0 {
		u := (*h)[0]
		stale := false
		for _, r := range u.runs {
			stale = stale || r.cells[u.node.index].State != run.Queued
		}
		if !stale {
			return u, true
		}
		q.pop(k)
		for _, r := range u.runs {
			if r.cells[u.node.index].State == run.Queued {
				q.push(unit{[]*runState{r}, r.nodes[u.node.index]})
			}
		}
	}
	delete(q.heaps, k)
	return unit{}, false
}

func (q *readyQueue) pop(k kindOfUnit) {
	heap.Pop(q.heaps[k])
	k.lane.waiting--
}

// next takes the first unit that nothing holds up, with a worker for it.
func (l *Loop) next() (u unit, worker string, ok bool) {
	var best kindOfUnit
	for k := range l.ready.heaps {
		head, some := l.ready.head(k)
		if !some || ok && !before(head, u) {
			continue
		}
		if at, why := l.room(head); why == "" {
			best, u, worker, ok = k, head, at, true
		}
	}
	if ok {
		l.ready.pop(best)
	}
	return u, worker, ok
}

// room gives a worker for a unit, or why it has to wait.
func (l *Loop) room(u unit) (worker, why string) {
	r, t := u.runs[0], u.node.task
	p, lane := r.flow.pipeline, r.lane
	if lane.paused(p.Name) {
		return "", "pipeline " + p.Name + " is paused"
	}
	if n := l.usage.pipelines[p.Name]; p.MaxActiveTasks > 0 && n >= p.MaxActiveTasks {
		return "", fmt.Sprintf("max_active_tasks of pipeline %s: %d of %d are running", p.Name, n, p.MaxActiveTasks)
	}
	if lane.Parallel > 0 && lane.working >= lane.Parallel {
		return "", fmt.Sprintf("%s executes at most %d at a time", lane.Name, lane.Parallel)
	}
	if t.Pool != "" && l.o.Pools != nil {
		size, used := l.o.Pools(t.Pool), l.usage.pools[t.Pool]
		if used+max(t.PoolSlots, 1) > size {
			return "", fmt.Sprintf("pool %s is full: %d of %d slots are taken by %s", t.Pool, used, size, l.holders(t.Pool))
		}
	}
	return l.crew.Place(t)
}

// holders names the task runs that have slots of a pool.
func (l *Loop) holders(pool string) string {
	var names []string
	for _, x := range l.executions() {
		if x.node.task.Pool == pool && !x.aside {
			names = append(names, x.runs[0].ID+" "+x.node.name)
		}
	}
	return list(names, 3)
}

// occupy counts an execution against the bounds, or, with by = -1, no more.
func (l *Loop) occupy(u unit, by int) {
	r, t := u.runs[0], u.node.task
	l.usage.pipelines[r.Pipeline] += by
	r.lane.working += by
	if t.Pool != "" {
		l.usage.pools[t.Pool] += by * max(t.PoolSlots, 1)
	}
}

// before orders units.
func before(x, y unit) bool {
	a, b := x.runs[0], y.runs[0]
	if a.lane.Class != b.lane.Class {
		return a.lane.Class < b.lane.Class
	}
	if p, q := x.node.task.Priority, y.node.task.Priority; p != q {
		return p > q
	}
	if c := a.Start.Compare(b.Start); c != 0 {
		return c < 0
	}
	if a.Pipeline != b.Pipeline {
		return a.Pipeline < b.Pipeline
	}
	return x.node.index < y.node.index
}

type unitHeap []unit

func (h unitHeap) Len() int           { return len(h) }
func (h unitHeap) Less(a, b int) bool { return before(h[a], h[b]) }
func (h unitHeap) Swap(a, b int)      { h[a], h[b] = h[b], h[a] }
func (h *unitHeap) Push(x any)        { *h = append(*h, x.(unit)) }

func (h *unitHeap) Pop() any {
	old := *h
	u := old[len(old)-1]
	old[len(old)-1] = unit{}
	*h = old[:len(old)-1]
	return u
}
