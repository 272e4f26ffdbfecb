package engine

import (
	"time"

	"damson/internal/run"
)

// group is a set of adjacent runs that are opened together and count as one active run. Without batches it is one run.
//
// A task that may be batched waits until it is decided for all runs of the group and then runs for all that are ready; any
// other task runs for one interval after the other where the pipeline bounds its active runs, as it would without batches.
// A batched task is one point in the order of the group's work, so that no cycle can arise: no edge leads from one run to
// an earlier one, and a task that depends on its past is never batched.
type group struct {
	runs      []*runState
	open      int
	ordered   bool          // tasks that are not batched run for one interval after the other
	undecided []int         // by node: opened task runs that are scheduled
	waiting   [][]*runState // by node: queued for a batch
	turn      []int         // by node: first run of the group whose task run has not ended
}

// newGroup binds the runs together.
func newGroup(runs []*runState, nodes int, ordered bool) *group {
	g := &group{runs: runs, ordered: ordered && len(runs) > 1, undecided: make([]int, nodes), turn: make([]int, nodes),
		waiting: make([][]*runState, nodes)}
	for k, r := range runs {
		r.group, r.position = g, k
	}
	g.count()
	return g
}

// count sees anew what is undecided and whose turn it is: while a group waits to be opened, what an earlier loop has begun of
// it may end.
func (g *group) count() {
	clear(g.undecided)
	clear(g.turn)
	for i := range g.undecided { // without the items of mapped tasks, which are never batched
		for _, r := range g.runs {
			if r.cells[i].State == run.Scheduled && !r.cells[i].alone {
				g.undecided[i]++
			}
		}
		g.advance(i)
	}
}

// moved keeps the number of undecided task runs that a batch waits for.
func (g *group) moved(c *cell, i int, from, to run.State) {
	if i >= len(g.undecided) || c.alone { // an item of a mapped task is never batched
		return
	}
	if from == run.Scheduled {
		g.undecided[i]--
	}
	if to == run.Scheduled {
		g.undecided[i]++
	}
}

// secede takes a run, and those after it, out of the batches of its group: it waits for somebody to mend its past, and the
// others shall not wait with it.
func (l *Loop) secede(r *runState) {
	g := r.group
	for _, later := range g.runs[r.position:] {
		for i := range g.undecided {
			if c := &later.cells[i]; c.State == run.Scheduled && !c.alone && later.nodes[i].batch {
				c.alone = true
				g.undecided[i]--
			}
		}
	}
	for i := range g.undecided {
		l.release(g, i)
	}
}

// advance moves the turn past what has ended or is not there.
func (g *group) advance(i int) {
	for g.turn[i] < len(g.runs) {
		c := &g.runs[g.turn[i]].cells[i]
		if c.present && !c.State.Ended() {
			return
		}
		g.turn[i]++
	}
}

// nextInTurn makes the next interval's task run ready after one has ended.
func (l *Loop) nextInTurn(g *group, i int) {
	if !g.ordered || i >= len(g.turn) {
		return
	}
	before := g.turn[i]
	g.advance(i)
	if g.turn[i] == before || g.turn[i] == len(g.runs) {
		return
	}
	r := g.runs[g.turn[i]]
	if c := &r.cells[i]; c.State == run.Queued && r.opened && (c.alone || !r.nodes[i].batch) {
		l.ready.push(unit{[]*runState{r}, r.nodes[i]})
	}
}

// enqueue makes a queued task run ready, or lets it wait for its turn or its batch.
func (l *Loop) enqueue(r *runState, i int) {
	n, c, g := r.nodes[i], &r.cells[i], r.group
	switch {
	case n.parent >= 0:
		l.ready.push(unit{[]*runState{r}, n})
	case n.batch && !c.alone && len(g.runs) > 1:
		g.waiting[i] = append(g.waiting[i], r)
		l.release(g, i)
	case g.ordered && g.turn[i] != r.position:
	default:
		l.ready.push(unit{[]*runState{r}, n})
	}
}

// release makes a batch ready when nothing of its group is undecided any more, in pieces without gaps.
func (l *Loop) release(g *group, i int) {
	if i >= len(g.undecided) || g.undecided[i] > 0 || len(g.waiting[i]) == 0 {
		return
	}
	in := make([]bool, len(g.runs))
	for _, r := range g.waiting[i] {
		in[r.position] = true
	}
	g.waiting[i] = nil
	l.pushPieces(g, i, in)
}

// pushPieces makes the runs at the given positions ready, adjacent ones together.
func (l *Loop) pushPieces(g *group, i int, in []bool) {
	for from := 0; from < len(in); from++ {
		to := from
		for to < len(in) && in[to] {
			to++
		}
		if to > from {
			l.ready.push(unit{g.runs[from:to:to], g.runs[from].nodes[i]})
			from = to
		}
	}
}

// retryAt queues a task run again when its time has come.
func (l *Loop) retryAt(r *runState, i int, at time.Time) {
	due := func() {
		if c := &r.cells[i]; c.State == run.UpForRetry && c.NotBefore.Equal(at) && l.stopped == nil {
			c.NotBefore = time.Time{}
			l.move(r, i, run.EventRetryDue, "")
			l.enqueue(r, i)
		}
	}
	if !at.After(l.now) {
		due()
		return
	}
	l.alarms.set(at, due)
}
