package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"damson/internal/run"
	"damson/internal/store"
)

// gate stands between one simulated process and the store: it is where the process crashes, is stopped for a while, and where
// answers get lost. What goes wrong is decided by the time and the call, not by the order of goroutines.
type gate struct {
	*memory
	seed uint64
	lies float64 // chance that a call that worked reports an error

	mu     sync.Mutex
	dead   bool
	frozen time.Time // until then nothing gets through
	plan   crash
	kill   func() // ends the process's context
}

// crash is when a process dies: at the first call of a kind after a time, before or after its effect.
type crash struct {
	kind   string // "" = it does not
	after  time.Time
	effect bool
}

var kinds = []string{"Commit", "Commit", "Commit", "BeatLease", "BeatProcess", "Send", "Drop", "Receive", "Lead", "Runs", "TaskRuns", "Register"}

func (g *gate) disturb(rng *rand.Rand) {
	g.lies = []float64{0, 0, 0.03, 0.1}[rng.IntN(4)]
	if rng.IntN(2) == 0 {
		g.plan = crash{kinds[rng.IntN(len(kinds))], time.Now().Add(time.Duration(rng.Int64N(int64(100 * time.Second)))), rng.IntN(2) == 0}
	}
}

var errGone = errors.New("the process has crashed")

func (g *gate) crash() {
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	g.kill()
}

func (g *gate) isDead() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}

// thaw waits as long as the process is stopped.
func (g *gate) thaw() {
	for {
		g.mu.Lock()
		d := time.Until(g.frozen)
		g.mu.Unlock()
		if d <= 0 {
			return
		}
		time.Sleep(d)
	}
}

func call[T any](g *gate, kind string, do func() (T, error)) (result T, err error) {
	g.thaw()
	g.mu.Lock()
	dead := g.dead
	crash := g.plan.kind == kind && !time.Now().Before(g.plan.after)
	effect := g.plan.effect
	g.mu.Unlock()
	if dead {
		return result, errGone
	}
	if crash {
		if effect {
			_, _ = do()
		}
		g.crash()
		return result, errGone
	}
	if result, err = do(); err == nil && g.lies > 0 {
		h := fnv.New64a()
		fmt.Fprint(h, g.seed, kind, time.Now().UnixNano())
		if float64(h.Sum64()>>11)/(1<<53) < g.lies {
			var none T
			return none, errors.New("the answer got lost")
		}
	}
	return result, err
}

type nothing struct{}

func (g *gate) do(kind string, do func() error) error {
	_, err := call(g, kind, func() (nothing, error) { return nothing{}, do() })
	return err
}

func (g *gate) Commit(ctx context.Context, b store.Batch) error {
	return g.do("Commit", func() error { return g.memory.Commit(ctx, b) })
}

func (g *gate) BeatLease(ctx context.Context, l store.Lease) (store.Lease, error) {
	return call(g, "BeatLease", func() (store.Lease, error) { return g.memory.BeatLease(ctx, l) })
}

func (g *gate) Lease(ctx context.Context) (store.Lease, error) {
	return call(g, "Lease", func() (store.Lease, error) { return g.memory.Lease(ctx) })
}

func (g *gate) Lead(ctx context.Context, seen store.Lease, holder string) (l store.Lease, got bool, err error) {
	err = g.do("Lead", func() (err error) { l, got, err = g.memory.Lead(ctx, seen, holder); return err })
	return l, got, err
}

func (g *gate) Resign(ctx context.Context, l store.Lease) error {
	return g.do("Resign", func() error { return g.memory.Resign(ctx, l) })
}

func (g *gate) Register(ctx context.Context, p store.Process) error {
	return g.do("Register", func() error { return g.memory.Register(ctx, p) })
}

func (g *gate) BeatProcess(ctx context.Context, id string, warehouse bool) error {
	return g.do("BeatProcess", func() error { return g.memory.BeatProcess(ctx, id, warehouse) })
}

func (g *gate) Unregister(ctx context.Context, id string) error {
	return g.do("Unregister", func() error { return g.memory.Unregister(ctx, id) })
}

func (g *gate) Send(ctx context.Context, m ...store.Message) error {
	return g.do("Send", func() error { return g.memory.Send(ctx, m...) })
}

func (g *gate) Drop(ctx context.Context, ids ...int64) error {
	return g.do("Drop", func() error { return g.memory.Drop(ctx, ids...) })
}

func (g *gate) Receive(ctx context.Context, who string, after int64) ([]store.Message, error) {
	return call(g, "Receive", func() ([]store.Message, error) { return g.memory.Receive(ctx, who, after) })
}

func (g *gate) Runs(ctx context.Context, f store.RunFilter) ([]run.Run, error) {
	return call(g, "Runs", func() ([]run.Run, error) { return g.memory.Runs(ctx, f) })
}

func (g *gate) TaskRuns(ctx context.Context, ids ...string) ([]run.TaskRun, error) {
	return call(g, "TaskRuns", func() ([]run.TaskRun, error) { return g.memory.TaskRuns(ctx, ids...) })
}

func (g *gate) Processes(ctx context.Context) ([]store.Process, error) {
	return call(g, "Processes", func() ([]store.Process, error) { return g.memory.Processes(ctx) })
}
