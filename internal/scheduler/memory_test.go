package scheduler_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// memory is a store without a disk. It checks what a store can see of the invariants as it is written.
type memory struct {
	wrong func(format string, args ...any)
	check func(c run.Change) // called with the lock held, before a change of a task run to running

	mu        sync.Mutex
	runs      map[string]*run.Run
	tasks     map[string]map[string]*run.TaskRun
	clears    map[string]int
	lease     store.Lease
	processes map[string]store.Process
	messages  []store.Message
	ids       int64
	pipelines map[string]store.PipelineState
	backfills map[string]store.Backfill
	updates   []store.DatasetUpdate
	reasons   map[string]store.Reason
	alerts    []store.Alert
	wakers    map[chan struct{}]bool
	deferred  map[run.Claim]bool   // attempts that were deferred at some time
	starts    map[run.Claim]int64  // the token of the leader that recorded the start
	told      map[string]*counting // what a process has told leaders of what it executes
	began     time.Time
	story     []string // what happened, for a seed that fails
	trace     []string // the calls as well; nil = nobody wants them
}

var _ scheduler.Store = (*memory)(nil)

func newMemory(wrong func(string, ...any)) *memory {
	return &memory{wrong: wrong, runs: map[string]*run.Run{}, tasks: map[string]map[string]*run.TaskRun{}, clears: map[string]int{},
		processes: map[string]store.Process{}, pipelines: map[string]store.PipelineState{}, backfills: map[string]store.Backfill{},
		reasons: map[string]store.Reason{}, wakers: map[chan struct{}]bool{},
		deferred: map[run.Claim]bool{}, starts: map[run.Claim]int64{}, told: map[string]*counting{}, began: time.Now()}
}

// tell adds to the story.
func (m *memory) tell(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(format, args...)
}

// note is tell with the lock held.
func (m *memory) note(format string, args ...any) {
	line := fmt.Sprintf("%11.6f ", time.Since(m.began).Seconds()) + fmt.Sprintf(format, args...)
	m.story = append(m.story, line)
	if m.trace != nil {
		m.trace = append(m.trace, line)
	}
}

// happens adds a call to the trace.
func (m *memory) happens(process, kind string, about []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.trace != nil {
		m.trace = append(m.trace, fmt.Sprintf("%14.9f %s %s %v", time.Since(m.began).Seconds(), process, kind, about))
	}
}

func (m *memory) Runs(_ context.Context, f store.RunFilter) ([]run.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []run.Run
	for _, r := range m.runs {
		if (f.Pipeline == "" || r.Pipeline == f.Pipeline) && (f.IDs == nil || slices.Contains(f.IDs, r.ID)) &&
			(len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
			(f.From.IsZero() || !r.Start.Before(f.From)) && (f.To.IsZero() || !r.Start.After(f.To)) {
			found = append(found, *r)
		}
	}
	slices.SortFunc(found, func(a, b run.Run) int {
		return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.Pipeline, b.Pipeline))
	})
	if f.Newest {
		slices.Reverse(found)
	}
	if f.Limit > 0 && len(found) > f.Limit {
		found = found[:f.Limit]
	}
	return found, nil
}

func (m *memory) TaskRuns(_ context.Context, runIDs ...string) ([]run.TaskRun, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []run.TaskRun
	for _, id := range runIDs {
		for _, name := range slices.Sorted(maps.Keys(m.tasks[id])) {
			found = append(found, *m.tasks[id][name])
		}
	}
	return found, nil
}

// Commit does what a store does with a batch, all or nothing: the fence and the changes are what can be refused.
func (m *memory) Commit(_ context.Context, b store.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case b.Fence > 0 && b.Fence != m.lease.Token:
		return store.ErrDeposed
	case b.Fence == 0 && len(b.Changes)+len(b.Runs)+len(b.Pipelines)+len(b.Backfills) > 0:
		m.wrong("invariant 1: somebody who does not lead changes runs")
	}
	if err := m.fits(b); err != nil {
		return err
	}
	for _, r := range b.Runs {
		m.create(r)
	}
	for _, t := range b.Tasks {
		m.gain(t)
	}
	for _, c := range b.Changes {
		m.apply(c, b.Fence)
	}
	for _, p := range b.Pipelines {
		m.pipelines[p.Name] = p
	}
	for _, one := range b.Backfills {
		m.backfills[one.ID] = one
	}
	m.updates = append(m.updates, b.Updates...)
	for i := range m.updates {
		m.updates[i].ID = int64(i + 1)
	}
	for _, r := range b.Reasons {
		m.reasons[r.Subject] = r
	}
	m.alerts = append(m.alerts, b.Alerts...)
	m.drop(b.Done)
	m.send(b.Send)
	return nil
}

// fits reports the first change that does not fit what is stored.
func (m *memory) fits(b store.Batch) error {
	states := map[string]run.State{}
	for _, r := range b.Runs {
		if m.runs[r.ID] == nil {
			states[r.ID+" "] = r.State
			for _, t := range r.Tasks {
				states[r.ID+" "+t] = run.Scheduled
			}
		}
	}
	for _, t := range b.Tasks {
		for _, name := range t.Tasks {
			if m.tasks[t.RunID][name] == nil {
				states[t.RunID+" "+name] = run.Scheduled
			}
		}
	}
	for _, c := range b.Changes {
		k := c.RunID + " " + c.Task
		now, ok := states[k]
		if !ok {
			r, t := m.runs[c.RunID], m.tasks[c.RunID][c.Task]
			switch {
			case r == nil || c.Task != "" && t == nil:
				return &store.StaleError{Change: c, Missing: true}
			case c.Task == "":
				now = r.State
			case t.Token > c.Token:
				return &store.StaleError{Change: c, State: t.State, Token: t.Token}
			default:
				now = t.State
			}
		}
		if now != c.From {
			return &store.StaleError{Change: c, State: now}
		}
		next := run.Next
		if c.Task == "" {
			next = run.NextRun
		}
		if to, err := next(c.From, c.Event); err != nil || to != c.To {
			m.wrong("invariant 2: %+v: %v", c, err)
		}
		states[k] = c.To
	}
	return nil
}

func (m *memory) create(r store.NewRun) {
	if m.runs[r.ID] != nil {
		return
	}
	for _, other := range m.runs {
		if other.Pipeline == r.Pipeline && other.Start.Equal(r.Start) {
			m.wrong("invariant 3: %s and %s are runs of the same data interval", r.ID, other.ID)
		}
	}
	one := r.Run
	m.runs[r.ID], m.tasks[r.ID] = &one, map[string]*run.TaskRun{}
	m.gain(store.NewTasks{RunID: r.ID, Tasks: r.Tasks})
}

func (m *memory) gain(t store.NewTasks) {
	for _, name := range t.Tasks {
		if m.tasks[t.RunID][name] == nil {
			m.tasks[t.RunID][name] = &run.TaskRun{RunID: t.RunID, Task: name, State: run.Scheduled}
		}
	}
}

func (m *memory) apply(c run.Change, fence int64) {
	m.note("%s %s: %s (attempt %d) %s", c.RunID, c.Task, c.Event, c.Attempt, c.Reason)
	if c.Task == "" {
		r := m.runs[c.RunID]
		r.State, r.Reason = c.To, c.Reason
		if c.Version != "" {
			r.Version = c.Version
		}
		return
	}
	t := m.tasks[c.RunID][c.Task]
	t.State, t.Attempt, t.Failures, t.Token = c.To, c.Attempt, c.Failures, c.Token
	t.NotBefore, t.Reason, t.Result = c.NotBefore, c.Reason, c.Result
	claim := run.Claim{RunID: c.RunID, Task: c.Task, Attempt: c.Attempt}
	switch {
	case c.Event == run.EventCleared:
		m.clears[c.RunID+" "+c.Task]++
	case c.Event == run.EventDeferred:
		m.deferred[claim] = true
	case c.Event == run.EventStarted:
		t.Started = c.At
		m.starts[claim] = fence
		m.check(c)
	}
}

func (m *memory) Lease(context.Context) (store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease, nil
}

func (m *memory) Lead(_ context.Context, seen store.Lease, holder string) (store.Lease, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lease != seen {
		return m.lease, false, nil
	}
	m.lease = store.Lease{Holder: holder, Token: seen.Token + 1, Beat: seen.Beat + 1}
	m.note("%s leads", holder)
	return m.lease, true, nil
}

func (m *memory) BeatLease(_ context.Context, l store.Lease) (store.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lease.Holder != l.Holder || m.lease.Token != l.Token {
		return store.Lease{}, store.ErrDeposed
	}
	m.lease.Beat++
	return m.lease, nil
}

func (m *memory) Resign(_ context.Context, l store.Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lease.Holder != l.Holder || m.lease.Token != l.Token {
		return store.ErrDeposed
	}
	m.lease.Holder = ""
	m.lease.Token++
	return nil
}

func (m *memory) Register(_ context.Context, p store.Process) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.Beat = m.processes[p.ID].Beat + 1
	m.processes[p.ID] = p
	return nil
}

func (m *memory) BeatProcess(_ context.Context, id string, warehouse bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.processes[id]
	if !ok {
		return store.ErrUnregistered
	}
	p.Beat++
	p.Warehouse = warehouse
	m.processes[id] = p
	return nil
}

func (m *memory) Unregister(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.processes, id)
	return nil
}

func (m *memory) Processes(context.Context) ([]store.Process, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.processes), func(a, b store.Process) int { return strings.Compare(a.ID, b.ID) }), nil
}

func (m *memory) PipelineStates(context.Context) ([]store.PipelineState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.pipelines), func(a, b store.PipelineState) int { return strings.Compare(a.Name, b.Name) }), nil
}

func (m *memory) Backfills(_ context.Context, onlyOpen bool) ([]store.Backfill, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []store.Backfill
	for _, id := range slices.Sorted(maps.Keys(m.backfills)) {
		if b := m.backfills[id]; !onlyOpen || b.State == scheduler.BackfillOpen {
			all = append(all, b)
		}
	}
	return all, nil
}

func (m *memory) DatasetUpdates(_ context.Context, after int64, _ int) ([]store.DatasetUpdate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.updates[min(int(after), len(m.updates)):]), nil
}

func (m *memory) StandingReasons(context.Context) (all []store.Reason, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.reasons {
		if r.Text != "" {
			all = append(all, r)
		}
	}
	return all, nil
}

func (m *memory) Alerts(context.Context, int) ([]store.Alert, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.alerts), nil
}

func (m *memory) Send(_ context.Context, messages ...store.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.send(messages)
	return nil
}

func (m *memory) send(messages []store.Message) {
	for _, one := range messages {
		m.ids++
		one.ID = m.ids
		m.messages = append(m.messages, one)
		if one.Kind == "census" && one.Recipient == scheduler.Leader {
			m.counts(one)
		}
	}
	if len(messages) > 0 {
		for c := range m.wakers {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// counting is the latest leader that a process has told what it executes, and all that it has named.
type counting struct {
	token int64
	named map[run.Claim]bool
}

// counts takes note of a process's answer to a census.
func (m *memory) counts(answer store.Message) {
	var body struct {
		Token     int64         `json:"token"`
		Executing [][]run.Claim `json:"executing"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		m.wrong("%s answers a census with %s: %v", answer.Sender, answer.Body, err)
	}
	c := m.told[answer.Sender]
	if c == nil {
		c = &counting{named: map[run.Claim]bool{}}
		m.told[answer.Sender] = c
	}
	c.token = max(c.token, body.Token)
	for _, claims := range body.Executing {
		for _, claim := range claims {
			c.named[claim] = true
		}
	}
}

func (m *memory) Receive(_ context.Context, recipient string, after int64) (all []store.Message, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.messages {
		if one.Recipient == recipient && one.ID > after {
			all = append(all, one)
		}
	}
	return all, nil
}

func (m *memory) Drop(_ context.Context, ids ...int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(ids)
	return nil
}

func (m *memory) drop(ids []int64) {
	if len(ids) > 0 {
		m.messages = slices.DeleteFunc(m.messages, func(one store.Message) bool { return slices.Contains(ids, one.ID) })
	}
}

func (m *memory) Recipients(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := map[string]bool{}
	for _, one := range m.messages {
		names[one.Recipient] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (m *memory) Wake(ctx context.Context) (<-chan struct{}, error) {
	c := make(chan struct{}, 1)
	m.mu.Lock()
	m.wakers[c] = true
	m.mu.Unlock()
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.wakers, c)
		close(c)
	})
	return c, nil
}
