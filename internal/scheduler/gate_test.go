package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"damson/internal/run"
	"damson/internal/store"
)

// gate stands between one simulated process and the store: it is where calls take their time, where the process crashes or is
// stopped for a while, and where answers get lost. What happens to a call is drawn from the seed, the process, the call and the
// time, not from the order of goroutines. Since no two calls have their effect at the same instant, a seed replays.
type gate struct {
	*memory
	seed uint64
	name string // of the process

	mu     sync.Mutex
	luck   luck
	dead   bool
	frozen time.Time // until then nothing gets through
	plan   []mishap
	kill   func() // ends the process's context
}

// luck is what may become of a call.
type luck struct {
	lies float64 // chance that a call that worked reports an error
	slow float64 // chance that a call takes seconds, before its effect or after
}

// mishap is when a process dies, or is stopped for a while: at the first call of a kind after a time, before or after its effect.
type mishap struct {
	kind   string
	after  time.Time
	effect bool
	stop   time.Duration // 0 = it dies
}

var kinds = []string{"Commit", "Commit", "Commit", "BeatLease", "BeatProcess", "Send", "Drop", "Receive", "Lead", "Runs", "TaskRuns", "Register",
	"Committed", "PipelineStates", "Resign"}

func (g *gate) disturb(rng *rand.Rand) {
	g.luck = luck{lies: []float64{0, 0, 0.03, 0.1}[rng.IntN(4)], slow: []float64{0, 0, 0.01, 0.1}[rng.IntN(4)]}
	for range rng.IntN(4) {
		m := mishap{kind: kinds[rng.IntN(len(kinds))], after: time.Now().Add(time.Duration(rng.Int64N(int64(100 * time.Second)))), effect: rng.IntN(2) == 0}
		if rng.IntN(3) > 0 {
			m.stop = time.Duration(rng.Int64N(int64(25 * time.Second)))
		}
		g.plan = append(g.plan, m)
	}
}

// meets gives the mishap that a call meets now, if any.
func (g *gate) meets(kind string) (m mishap, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.IndexFunc(g.plan, func(m mishap) bool { return m.kind == kind && !time.Now().Before(m.after) })
	if at < 0 {
		return m, false
	}
	m = g.plan[at]
	g.plan = slices.Delete(g.plan, at, at+1)
	return m, true
}

// calmDown lets nothing more go wrong but what has begun to.
func (g *gate) calmDown() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plan, g.luck = nil, luck{}
}

// freeze stops the process for a while.
func (g *gate) freeze(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.frozen = time.Now().Add(d)
	g.tell("%s is stopped for %s", g.name, d)
}

var errGone = errors.New("the process has crashed")

func (g *gate) crash() {
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	g.tell("%s crashes", g.name)
	g.kill()
}

func (g *gate) isDead() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}

// take lets time pass, and more as long as the process is stopped. What waited together goes on one by one.
func (g *gate) take(d time.Duration) {
	time.Sleep(d)
	for {
		g.mu.Lock()
		left := time.Until(g.frozen)
		g.mu.Unlock()
		if left <= 0 {
			return
		}
		time.Sleep(left + d)
	}
}

// drawn is what becomes of one call.
type drawn struct {
	before, after time.Duration // its effect
	lie           bool
}

func (g *gate) draw(kind string, about ...any) drawn {
	g.mu.Lock()
	l := g.luck
	g.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprint(h, g.name, kind, time.Now().UnixNano(), about)
	rng := rand.New(rand.NewPCG(g.seed, h.Sum64()))
	lasts := func() time.Duration {
		d := time.Microsecond + time.Duration(rng.Int64N(int64(2*time.Millisecond)))
		if rng.Float64() < l.slow {
			d += time.Duration(rng.Int64N(int64(20 * time.Second)))
		}
		return d
	}
	return drawn{before: lasts(), after: lasts(), lie: rng.Float64() < l.lies}
}

func call[T any](g *gate, kind string, do func() (T, error), about ...any) (result T, err error) {
	var none T
	d := g.draw(kind, about...)
	g.take(d.before)
	m, met := g.meets(kind)
	switch {
	case g.isDead():
		return none, errGone
	case met && m.stop > 0 && !m.effect:
		g.freeze(m.stop)
		g.take(d.before)
	case met && !m.effect:
		g.crash()
		return none, errGone
	}
	g.happens(g.name, kind, about)
	result, err = do()
	switch {
	case met && m.stop > 0 && m.effect:
		g.freeze(m.stop)
	case met && m.effect:
		g.crash()
		return none, errGone
	}
	g.take(d.after)
	switch {
	case g.isDead():
		return none, errGone
	case err == nil && d.lie:
		return none, errors.New("the answer got lost")
	}
	return result, err
}

type nothing struct{}

func (g *gate) do(kind string, do func() error, about ...any) error {
	_, err := call(g, kind, func() (nothing, error) { return nothing{}, do() }, about...)
	return err
}

func (g *gate) Commit(ctx context.Context, b store.Batch) error {
	return g.do("Commit", func() error { return g.memory.Commit(ctx, b) }, b.Fence, len(b.Changes), len(b.Send))
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
	return g.do("Unregister", func() error { return g.memory.Unregister(ctx, id) }, id)
}

func (g *gate) Send(ctx context.Context, m ...store.Message) error {
	return g.do("Send", func() error { return g.memory.Send(ctx, m...) }, m[0].Recipient, m[0].Kind, string(m[0].Body))
}

func (g *gate) Drop(ctx context.Context, ids ...int64) error {
	return g.do("Drop", func() error { return g.memory.Drop(ctx, ids...) }, ids)
}

func (g *gate) Receive(ctx context.Context, who string, after int64) ([]store.Message, error) {
	return call(g, "Receive", func() ([]store.Message, error) { return g.memory.Receive(ctx, who, after) }, who)
}

func (g *gate) Recipients(ctx context.Context) ([]string, error) {
	return call(g, "Recipients", func() ([]string, error) { return g.memory.Recipients(ctx) })
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

func (g *gate) PipelineStates(ctx context.Context) ([]store.PipelineState, error) {
	return call(g, "PipelineStates", func() ([]store.PipelineState, error) { return g.memory.PipelineStates(ctx) })
}

func (g *gate) Backfills(ctx context.Context, onlyOpen bool) ([]store.Backfill, error) {
	return call(g, "Backfills", func() ([]store.Backfill, error) { return g.memory.Backfills(ctx, onlyOpen) })
}

func (g *gate) DatasetUpdates(ctx context.Context, after int64, limit int) ([]store.DatasetUpdate, error) {
	return call(g, "DatasetUpdates", func() ([]store.DatasetUpdate, error) { return g.memory.DatasetUpdates(ctx, after, limit) })
}

func (g *gate) StandingReasons(ctx context.Context) ([]store.Reason, error) {
	return call(g, "StandingReasons", func() ([]store.Reason, error) { return g.memory.StandingReasons(ctx) })
}

func (g *gate) Alerts(ctx context.Context, limit int) ([]store.Alert, error) {
	return call(g, "Alerts", func() ([]store.Alert, error) { return g.memory.Alerts(ctx, limit) })
}
