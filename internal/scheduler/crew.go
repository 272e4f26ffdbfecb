package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// crew is the leader's view of all workers; it belongs to the loop's goroutine.
type crew struct {
	*Service
	lease    func() store.Lease
	leads    context.Context    // ends with the leadership
	members  map[string]*member // by the process's ID
	released []run.Claim        // executions of this process that were taken in and are not recorded yet
}

// member is a process as the leader sees it.
type member struct {
	store.Process
	used    int
	changed time.Time // when its beat was last seen to change, by this process's clock
	asked   time.Time // when it was last asked what it executes; zero = it was not
	counted bool      // it has answered
	gone    bool      // its beat stands still: it is nobody's worker until it moves again
}

// refresh takes in the processes as they are registered now. It gives those that have gone since, and those that have come.
func (c *crew) refresh(ctx context.Context, now time.Time) (gone, come []string, err error) {
	processes, err := c.store.Processes(ctx)
	if err != nil {
		return nil, nil, err
	}
	present := map[string]bool{}
	for _, p := range processes {
		present[p.ID] = true
		m := c.members[p.ID]
		switch {
		case m == nil, m.gone && m.Beat != p.Beat:
			m = &member{changed: now}
			c.members[p.ID] = m
			come = append(come, p.ID)
		case m.Beat != p.Beat:
			m.changed = now
		}
		m.Process = p
		if p.ID != c.o.ID && !m.gone && (now.Sub(m.changed) >= c.o.Lease || c.o.Dead != nil && c.o.Dead(p)) {
			m.gone = true
			gone = append(gone, p.ID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.members)) {
		if id != c.o.ID && !present[id] {
			if !c.members[id].gone {
				gone = append(gone, id)
			}
			delete(c.members, id)
		}
	}
	return gone, come, nil
}

// free is how many more executions a member takes.
func (m *member) free() int {
	if m.gone {
		return 0
	}
	return m.Slots - m.used
}

func (c *crew) Idle() bool {
	for _, m := range c.members {
		if m.free() > 0 {
			return true
		}
	}
	return false
}

// Place prefers this process, then the one with the most room.
func (c *crew) Place(t *pipeline.Task) (worker, why string) {
	needs, able, slots := t.NeedsWarehouse(), 0, 0
	var best *member
	for _, m := range c.members {
		if m.gone || needs && !m.Warehouse {
			continue
		}
		able++
		slots += m.Slots
		if m.free() > 0 && (best == nil || m.ID == c.o.ID || best.ID != c.o.ID && better(m, best)) {
			best = m
		}
	}
	switch {
	case best != nil:
		return best.ID, ""
	case able == 0 && needs:
		return "", "no live worker has the warehouse open"
	case slots == 0:
		return "", "no live worker executes tasks"
	}
	return "", fmt.Sprintf("all %d workers are busy", slots)
}

func better(a, b *member) bool {
	if a.free() != b.free() {
		return a.free() > b.free()
	}
	return a.ID < b.ID
}

func (c *crew) Take(worker string, w engine.Work) (*store.Message, error) {
	c.members[worker].used++
	if worker == c.o.ID {
		return nil, nil
	}
	m := message(worker, c.o.ID, msgAssign, toAssignment(c.lease().Token, w), c.clock.Now())
	return &m, nil
}

// Start begins work in this process; another process has its message.
func (c *crew) Start(ctx context.Context, worker string, w engine.Work, end func(engine.Ended) bool) {
	if worker == c.o.ID {
		c.shop.start(ctx, c.lease().Token, w, end)
	}
}

func (c *crew) Look(ctx context.Context, w engine.Work, end func(engine.Ended) bool) {
	c.shop.look(ctx, c.leads, w, end)
}

// Cancel tells the worker in the background: the loop does not wait for a store that is away.
func (c *crew) Cancel(worker string, w engine.Work, cause error) {
	what := cancellation{Claim: w.Claims[0], Why: cause.Error()}
	if worker == c.o.ID {
		c.shop.cancelled(what) // what was begun for an earlier leader has another context
		return
	}
	m := message(worker, c.o.ID, msgCancel, what, c.clock.Now())
	c.running.Go(func() {
		if err := c.store.Send(c.ended, m); err != nil {
			c.log.Warn("a worker could not be told to stop", "worker", worker, "task", what.Claim.Task, "error", err)
		}
	})
}

func (c *crew) Release(worker string, w engine.Work) {
	if m := c.members[worker]; m != nil {
		m.used--
	}
	if worker == c.o.ID {
		c.released = append(c.released, w.Claims[0])
	}
}

// recorded is called when all that was taken in is in the store.
func (c *crew) recorded() {
	for _, claim := range c.released {
		c.shop.recorded(claim)
	}
	c.released = c.released[:0]
}

func (c *crew) Wait() {}
