package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"damson/internal/run"
	"damson/internal/store"
)

// memory is a store without a disk. It checks every change against run.Next (invariant 2) and refuses second runs of an
// interval (invariant 1).
type memory struct {
	mu     sync.Mutex
	runs   []*run.Run
	byID   map[string]*run.Run
	tasks  map[string]map[string]*run.TaskRun
	clears map[string]int // by run and task: how often it was cleared
	past   []run.Change
	lines  []run.LogLine
	wrong  func(format string, args ...any)
	quiet  bool // keep no history
}

func newMemory(wrong func(string, ...any)) *memory {
	return &memory{byID: map[string]*run.Run{}, tasks: map[string]map[string]*run.TaskRun{}, clears: map[string]int{}, wrong: wrong}
}

func (m *memory) CreateRuns(_ context.Context, runs []run.Run, tasks []string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	created := 0
	for _, r := range runs {
		if slices.ContainsFunc(m.runs, func(o *run.Run) bool { return o.Pipeline == r.Pipeline && o.Start.Equal(r.Start) }) && len(m.runs) < 100 {
			continue
		}
		if m.byID[r.ID] != nil {
			m.wrong("invariant 1: run %s is made twice", r.ID)
		}
		created++
		m.runs = append(m.runs, &r)
		m.byID[r.ID] = &r
		m.tasks[r.ID] = map[string]*run.TaskRun{}
		for _, name := range tasks {
			m.tasks[r.ID][name] = &run.TaskRun{RunID: r.ID, Task: name, State: run.Scheduled}
		}
	}
	slices.SortStableFunc(m.runs, func(a, b *run.Run) int { return a.Start.Compare(b.Start) })
	return created, nil
}

func (m *memory) AddTasks(_ context.Context, runID string, tasks []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range tasks {
		if m.tasks[runID][name] == nil {
			m.tasks[runID][name] = &run.TaskRun{RunID: runID, Task: name, State: run.Scheduled}
		}
	}
	return nil
}

func (m *memory) Runs(_ context.Context, f store.RunFilter) ([]run.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []run.Run
	for _, r := range m.runs {
		if (f.Pipeline == "" || r.Pipeline == f.Pipeline) && (len(f.IDs) == 0 || slices.Contains(f.IDs, r.ID)) &&
			(f.From.IsZero() || !r.Start.Before(f.From)) && (f.To.IsZero() || !r.Start.After(f.To)) {
			found = append(found, *r)
		}
	}
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
		for _, t := range m.tasks[id] {
			found = append(found, *t)
		}
	}
	slices.SortFunc(found, func(a, b run.TaskRun) int { return compareStrings(a.RunID+"\x00"+a.Task, b.RunID+"\x00"+b.Task) })
	return found, nil
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Apply works on copies, so that a change that does not fit leaves nothing behind.
func (m *memory) Apply(_ context.Context, changes []run.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	type key struct{ run, task string }
	states := map[key]run.State{}
	for _, c := range changes {
		k := key{c.RunID, c.Task}
		now, seen := states[k]
		if !seen {
			r, t := m.byID[c.RunID], m.tasks[c.RunID][c.Task]
			switch {
			case r == nil || c.Task != "" && t == nil:
				return &store.StaleError{Change: c, Missing: true}
			case c.Task == "":
				now = r.State
			default:
				now = t.State
				if t.Token > c.Token {
					return &store.StaleError{Change: c, State: now, Token: t.Token}
				}
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
	for _, c := range changes {
		m.make(c)
	}
	if !m.quiet {
		m.past = append(m.past, changes...)
	}
	return nil
}

func (m *memory) make(c run.Change) {
	if c.Task == "" {
		r := m.byID[c.RunID]
		r.State, r.Reason = c.To, c.Reason
		if c.Params != nil {
			r.Params = c.Params
		}
		if c.To == run.Running {
			r.Started = c.At
		}
		return
	}
	t := m.tasks[c.RunID][c.Task]
	t.State, t.Attempt, t.Failures, t.Token = c.To, c.Attempt, c.Failures, c.Token
	t.NotBefore, t.Reason, t.Result = c.NotBefore, c.Reason, c.Result
	if c.Event == run.EventCleared {
		m.clears[c.RunID+" "+c.Task]++
	}
}

// Commit does what a store does with a batch, all or nothing: changes are what can be refused.
func (m *memory) Commit(ctx context.Context, b store.Batch) error {
	if err := m.AddLogs(ctx, b.Lines); err != nil {
		return err
	}
	for _, r := range b.Runs {
		if _, err := m.CreateRuns(ctx, []run.Run{r.Run}, r.Tasks); err != nil {
			return err
		}
	}
	for _, t := range b.Tasks {
		if err := m.AddTasks(ctx, t.RunID, t.Tasks); err != nil {
			return err
		}
	}
	return m.Apply(ctx, b.Changes)
}

func (m *memory) AddLogs(_ context.Context, lines []run.LogLine) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, lines...)
	return nil
}

// states gives every run's and task run's state by name.
func (m *memory) states() map[string]run.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]run.State{}
	for id, r := range m.byID {
		all[id] = r.State
		for name, t := range m.tasks[id] {
			all[id+" "+name] = t.State
		}
	}
	return all
}

func (m *memory) task(runID, name string) run.TaskRun {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tasks[runID][name]; t != nil {
		return *t
	}
	return run.TaskRun{}
}

func (m *memory) cleared(runID, name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clears[runID+" "+name]
}

// history tells a task run's events in words: "queued started succeeded".
func (m *memory) history(runID, name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := ""
	for _, c := range m.past {
		if c.RunID == runID && c.Task == name {
			text += " " + string(c.Event)
		}
	}
	if text == "" {
		return ""
	}
	return text[1:]
}

// books is a warehouse's ledger.
type books struct {
	mu     sync.Mutex
	rows   map[run.Claim]json.RawMessage
	sealed map[run.Claim]bool
}

func newBooks() *books {
	return &books{rows: map[run.Claim]json.RawMessage{}, sealed: map[run.Claim]bool{}}
}

func (b *books) Committed(_ context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[run.Claim]json.RawMessage{}
	for _, c := range claims {
		if row, ok := b.rows[c]; ok {
			found[c] = row
		}
	}
	return found, nil
}

func (b *books) Settle(ctx context.Context, claims []run.Claim) (map[run.Claim]json.RawMessage, error) {
	found, err := b.Committed(ctx, claims)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range claims {
		if _, ok := found[c]; !ok {
			b.sealed[c] = true
		}
	}
	return found, err
}

func (b *books) Taken(ctx context.Context, claims []run.Claim) (map[run.Claim]bool, error) {
	found, err := b.Committed(ctx, claims)
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := map[run.Claim]bool{}
	for _, c := range claims {
		if _, ok := found[c]; ok || b.sealed[c] {
			taken[c] = true
		}
	}
	return taken, err
}

// commit writes all claims at once.
func (b *books) commit(claims []run.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range claims {
		if b.sealed[c] {
			panic(fmt.Sprintf("%+v commits after it was settled that it has not", c))
		}
	}
	for _, c := range claims {
		b.rows[c] = json.RawMessage(fmt.Sprintf(`{"attempt":%d}`, c.Attempt))
	}
}
