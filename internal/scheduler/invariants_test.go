package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"damson/internal/engine"
	"damson/internal/run"
)

// mayStart checks invariants 4 and 8 for a task run that starts; the store's lock is held.
func (w *world) mayStart(c run.Change) {
	m, r := w.store, w.store.runs[c.RunID]
	p := w.pipelines[r.Pipeline]
	task := p.Task(engine.MappedTask(c.Task))
	if task.Name == c.Task {
		var upstream []run.State
		for _, u := range task.Upstream {
			if t := m.tasks[c.RunID][u]; t != nil {
				upstream = append(upstream, t.State)
			}
		}
		if d := run.Decide(run.TriggerRule(task.TriggerRule), upstream); d.Verdict != run.VerdictRun && len(upstream) == len(task.Upstream) {
			w.wrong("invariant 4: %s of %s starts although %s", c.Task, c.RunID, d.Reason)
		}
	}
	if before := m.runs[run.NewID(r.Pipeline, r.Start.Add(-time.Minute))]; task.DependsOnPast && before != nil && !w.asks && !w.isCalm() {
		if d := run.CanRun(true, m.tasks[before.ID][task.Name].State); d.Verdict != run.VerdictRun && task.Name == c.Task {
			w.wrong("invariant 4: %s of %s starts although %s", c.Task, c.RunID, d.Reason)
		}
	}
	pool, active := 0, map[string]bool{}
	for id, tasks := range m.tasks {
		for name, t := range tasks {
			if t.State != run.Running {
				continue
			}
			other := w.pipelines[m.runs[id].Pipeline]
			if other.Task(engine.MappedTask(name)).Pool != "" {
				pool++
			}
			if other == p {
				key := id + " " + name
				if other.Task(engine.MappedTask(name)).Batch { // several intervals may be one execution
					key = name
				}
				active[key] = true
			}
		}
	}
	if task.Pool != "" && !task.Batch && pool > w.catalogue.Pools["db"] && !w.anyBatchInPool() {
		w.wrong("invariant 8: %d slots of the pool are taken", pool)
	}
	if p.MaxActiveTasks > 0 && len(active) > p.MaxActiveTasks {
		w.wrong("invariant 8: %d tasks of %s are running", len(active), p.Name)
	}
}

func (w *world) anyBatchInPool() bool {
	for _, p := range w.pipelines {
		for _, t := range p.Tasks {
			if t.Pool != "" && t.Batch {
				return true
			}
		}
	}
	return false
}

func (w *world) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

// mayExecute checks invariants 5 and 6 for an execution that begins.
func (w *world) mayExecute(p *process, work engine.Work) {
	m := w.store
	m.mu.Lock()
	defer m.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range work.Claims {
		t := m.tasks[c.RunID][c.Task]
		m.note("%s executes %s %s (attempt %d)", p.name, c.RunID, c.Task, c.Attempt)
		if t.Attempt < c.Attempt {
			w.wrong("invariant 5: %+v executes while attempt %d is recorded", c, t.Attempt)
		}
		if by, twice := w.executed[c]; twice && !m.deferred[c] {
			w.wrong("invariant 6: %+v is executed in %s and again in %s", c, by, p.name)
		}
		if told := m.told[p.name]; told != nil && m.starts[c] < told.token && !told.named[c] && !m.deferred[c] {
			w.wrong("invariant 5: %+v begins in %s after a later leader was told that it is not executed there", c, p.name)
		}
		w.executed[c] = p.name
	}
}

func (p *process) Committed(_ context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return p.ledger("Committed", claims, false)
}

// Settle closes the attempts that have not committed.
func (p *process) Settle(_ context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	return p.ledger("Settle", claims, true)
}

func (p *process) Taken(_ context.Context, claims []run.Claim) (map[run.Claim]bool, error) {
	found, err := p.ledger("Taken", claims, false)
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	taken := map[run.Claim]bool{}
	for _, c := range claims {
		_, committed := found[c]
		taken[c] = committed || p.closed[c]
	}
	return taken, err
}

// ledger is the ledger's answer.
func (p *process) ledger(question string, claims []run.Claim, settle bool) (map[run.Claim]json.RawMessage, error) {
	w := p.world
	answer, err := call(p.gate, question, func() (map[run.Claim]json.RawMessage, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		found := map[run.Claim]json.RawMessage{}
		for _, c := range claims {
			if row, ok := w.rows[c]; ok {
				found[c] = row
			} else if settle {
				w.closed[c] = true
			}
		}
		return found, nil
	}, claims)
	if p.gate.isDead() {
		return nil, nil // nobody hears it, but who asks would ask for ever
	}
	return answer, err
}

// commit writes the ledger, and checks invariants 5 and 7.
func (w *world) commit(p *process, work engine.Work, o engine.Outcome) (engine.Outcome, error) {
	if !work.Task.NeedsWarehouse() {
		return o, nil
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range work.Claims {
		if w.closed[c] {
			w.store.note("%s may not commit %s %s (attempt %d)", p.name, c.RunID, c.Task, c.Attempt)
			return o, errors.New("this attempt was given up")
		}
	}
	for _, c := range work.Claims {
		w.store.note("%s commits %s %s (attempt %d)", p.name, c.RunID, c.Task, c.Attempt)
		if !w.store.stands(c) {
			w.wrong("invariant 5: %+v commits and is not recorded as running", c)
		}
		k := fmt.Sprintf("%s %s %d", c.RunID, c.Task, w.store.clears[c.RunID+" "+c.Task])
		if w.commits[k]++; w.commits[k] > 1 {
			w.wrong("invariant 7: %+v commits again", c)
		}
		w.rows[c] = json.RawMessage(`{}`)
	}
	return o, nil
}

// stands reports whether the attempt is recorded as running; the lock is held.
func (m *memory) stands(c run.Claim) bool {
	t := m.tasks[c.RunID][c.Task]
	return t != nil && t.Attempt == c.Attempt && t.State == run.Running
}
