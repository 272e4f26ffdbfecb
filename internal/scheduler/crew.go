package scheduler

import (
	"context"
	"fmt"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// crew is the leader's view of all workers; it belongs to the loop's goroutine.
type crew struct {
	*Service
	lease   func() store.Lease
	members map[string]*member // by the process's ID
	ends    map[string]ending  // executions in other processes, by the key of each claim
}

// member is a process as the leader sees it.
type member struct {
	store.Process
	used    int
	changed time.Time // when its beat was last seen to change, by this process's clock
	asked   bool      // it was asked what it executes
	counted bool      // it has answered
	gone    bool
}

// ending is who wants to know what an execution in another process comes to.
type ending struct {
	worker string
	end    func(engine.Ended) bool
}

// refresh takes in the processes as they are registered now and gives those that have gone since.
func (c *crew) refresh(ctx context.Context, now time.Time) (gone []string, err error) {
	processes, err := c.store.Processes(ctx)
	if err != nil {
		return nil, err
	}
	present := map[string]bool{}
	for _, p := range processes {
		present[p.ID] = true
		m := c.members[p.ID]
		if m == nil {
			m = &member{changed: now}
			c.members[p.ID] = m
		} else if m.Beat != p.Beat {
			m.changed = now
		}
		m.Process = p
		if p.ID != c.o.ID && (now.Sub(m.changed) >= c.o.Lease || c.o.Dead != nil && c.o.Dead(p)) {
			m.gone = true
		}
	}
	for id, m := range c.members {
		if id != c.o.ID && (m.gone || !present[id]) {
			gone = append(gone, id)
			delete(c.members, id)
		}
	}
	return gone, nil
}

// free is how many more executions a member takes.
func (m *member) free() int { return m.Slots - m.used }

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
		if needs && !m.Warehouse {
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

func (c *crew) Start(ctx context.Context, worker string, w engine.Work, end func(engine.Ended) bool) {
	if worker == c.o.ID && !c.shop.has(w.Claims[0]) {
		c.shop.start(ctx, w, end)
		return
	}
	for _, claim := range w.Claims {
		c.ends[key(claim)] = ending{worker, end}
	}
}

// has reports whether an execution is under way here, begun for an earlier leader.
func (w *workshop) has(c run.Claim) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs[key(c)] != nil
}

func (c *crew) Look(ctx context.Context, w engine.Work, end func(engine.Ended) bool) {
	c.shop.look(ctx, w, end)
}

// Cancel tells the worker in the background: the loop does not wait for a store that is away.
func (c *crew) Cancel(worker string, w engine.Work, cause error) {
	what := cancellation{Claim: w.Claims[0], Why: cause.Error()}
	if worker == c.o.ID {
		c.shop.cancelled(what) // what was begun for an earlier leader has another context
		return
	}
	m := message(worker, c.o.ID, msgCancel, what, c.clock.Now())
	go func() {
		if err := c.store.Send(c.ended, m); err != nil {
			c.log.Warn("a worker could not be told to stop", "worker", worker, "task", what.Claim.Task, "error", err)
		}
	}()
}

func (c *crew) Release(worker string, w engine.Work) {
	if m := c.members[worker]; m != nil {
		m.used--
	}
	for _, claim := range w.Claims {
		delete(c.ends, key(claim))
	}
}

func (c *crew) Wait() {}

// outcome hands in what an execution elsewhere came to; false when nobody waits for it.
func (c *crew) outcome(o outcome) bool {
	e, ok := c.ends[key(o.Claims[0])]
	if ok {
		for _, claim := range o.Claims {
			delete(c.ends, key(claim))
		}
		go e.end(o.ended()) // the loop reads it in its own time
	}
	return ok
}
