package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"damson/internal/clock"
	"damson/internal/store"
)

// Service is one process's part in keeping a project running.
type Service struct {
	store    Store
	projects Projects
	clock    clock.Clock
	o        Options
	log      *slog.Logger
	shop     *workshop
	ended    context.Context // ends with the process
	running  sync.WaitGroup  // what has to end with it
	leaving  atomic.Bool     // it takes no more work
	seen     map[int64]bool  // messages to this process that have been dealt with and may still be in the store
}

// New makes a service; Run starts it.
func New(s Store, projects Projects, clk clock.Clock, o Options) *Service {
	if o.Lease <= 0 {
		o.Lease = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	service := &Service{store: s, projects: projects, clock: clk, o: o, log: o.Log, seen: map[int64]bool{}}
	service.shop = newWorkshop(service)
	return service
}

// Run takes part until ctx ends, then ends what is under way in order: the lease is given back, work is drained or
// interrupted, and the process is struck off. The error is one that goes on being met; a store that is away for a while is
// waited for.
func (s *Service) Run(ctx context.Context) error {
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	defer s.running.Wait()
	defer end()
	s.ended = ended
	s.shop.telling, s.shop.hurry = context.WithCancel(ended)
	wake, err := s.join(ctx)
	if err != nil {
		return err
	}
	err = s.attend(ctx, wake)
	if gone := s.store.Unregister(ended, s.o.ID); err == nil && gone != nil {
		s.log.Warn("this process could not be struck off", "error", gone)
	}
	return err
}

// join makes this process one of those around the store. A store that goes away just then has half a minute to come back.
func (s *Service) join(ctx context.Context) (wake <-chan struct{}, err error) {
	for until := s.clock.Now().Add(30 * time.Second); ; {
		if wake == nil {
			wake, err = s.store.Wake(s.ended)
		}
		if wake != nil {
			err = s.store.Register(ctx, s.process())
		}
		if err == nil || s.clock.Now().After(until) || s.clock.Sleep(ctx, tick/4) != nil {
			return wake, err
		}
	}
}

// process is how this process is known to the others: one that is about to end offers no slots.
func (s *Service) process() store.Process {
	p := store.Process{ID: s.o.ID, Host: s.o.Host, PID: s.o.PID, Started: s.clock.Now(), Slots: s.o.Parallel, Warehouse: s.shop.books() != nil,
		Leads: s.o.Leads, Address: s.o.Address, Version: s.o.Version}
	if s.leaving.Load() {
		p.Slots, p.Leads = 0, false
	}
	return p
}

// attendance is a service's standing among the others. It belongs to one goroutine, which others signal by poke when there is
// something new: one signal may stand for much, and what has happened is looked at in the same order each time.
type attendance struct {
	*Service
	ctx     context.Context
	news    chan struct{}
	opened  chan error // what came of opening the warehouse
	mayLead bool
	seen    store.Lease
	since   time.Time  // when seen was first seen, by this process's clock
	led     chan error // of the leadership under way; nil = this process does not lead
	retry   time.Time  // not to lead before
	closed  chan struct{}
}

func (a *attendance) poke() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// attend beats, reads this process's messages and leads when it is its turn. When ctx ends, or the warehouse cannot be opened,
// it goes on to do so until its leadership and what it executes have ended.
func (s *Service) attend(ctx context.Context, wake <-chan struct{}) (failed error) {
	a := &attendance{Service: s, ctx: ctx, news: make(chan struct{}, 1), opened: make(chan error, 1)}
	beats := s.o.Lease / 4
	s.running.Go(func() { s.beat(beats) })
	s.running.Go(func() { a.pokeEvery(beats) })
	s.running.Go(func() {
		for range wake {
			a.poke()
		}
	})
	defer context.AfterFunc(ctx, a.poke)()
	if s.o.Open != nil {
		s.running.Go(a.open) // waited for: what it opens is the caller's to close
	}
	for {
		<-a.news
		if ctx.Err() != nil && !s.leaving.Load() {
			a.leave()
		}
		select {
		case err := <-a.opened:
			if a.mayLead = err == nil && s.o.Leads; err != nil && ctx.Err() == nil {
				failed = err
				a.leave()
			}
		default:
		}
		select {
		case err := <-a.led:
			a.lostLead(err)
		default:
		}
		select {
		case <-a.closed:
			return failed
		default:
		}
		s.readMessages()
		s.shop.strays.flush()
		switch {
		case !s.leaving.Load():
			a.campaign()
		case a.led == nil && a.closed == nil:
			a.close()
		}
	}
}

// open opens the warehouse when that is possible. The next beat tells the others.
func (a *attendance) open() {
	defer a.poke()
	l, err := a.o.Open(a.ctx)
	if err == nil {
		a.shop.opened(l)
		a.beatOnce(a.ctx)
	}
	a.opened <- err
}

// pokeEvery has the service look at what nothing announces, until the process ends.
func (a *attendance) pokeEvery(d time.Duration) {
	for a.clock.Sleep(a.ended, d) == nil {
		a.poke()
	}
}

// close lets the work under way end.
func (a *attendance) close() {
	a.closed = make(chan struct{})
	go func() {
		defer a.poke()
		a.shop.close(a.o.Drain)
		close(a.closed)
	}()
}

// leave tells the others that this process takes no more work.
func (a *attendance) leave() {
	a.leaving.Store(true)
	if err := a.Service.store.Register(a.ended, a.process()); err != nil {
		a.log.Warn("the others could not be told that this process is about to end", "error", err)
	}
}

// lostLead is called when a leadership has ended.
func (a *attendance) lostLead(err error) {
	a.led = nil
	if a.ctx.Err() == nil {
		a.log.Warn("this process leads no more", "error", err)
		a.retry = a.clock.Now().Add(tick)
	}
}

// beat shows that the process lives.
func (s *Service) beat(every time.Duration) {
	for s.clock.Sleep(s.ended, every) == nil {
		s.beatOnce(s.ended)
	}
}

// beatOnce shows that the process lives. One that was taken for dead and struck off comes back: what it executed has been
// given to others, and the leader tells it so when it asks.
func (s *Service) beatOnce(ctx context.Context) {
	err := s.store.BeatProcess(ctx, s.o.ID, s.shop.books() != nil)
	if errors.Is(err, store.ErrUnregistered) {
		err = s.store.Register(ctx, s.process())
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("the store does not take this process's beat", "error", err)
	}
}

// campaign takes the lease when nobody holds it, when its holder has not beaten for the length of a lease, or when that
// holder is known to be gone.
func (a *attendance) campaign() {
	now := a.clock.Now()
	if !a.mayLead || a.led != nil || now.Before(a.retry) {
		return
	}
	l, err := a.Service.store.Lease(a.ctx)
	if err != nil {
		return
	}
	if l != a.seen || a.since.IsZero() {
		a.seen, a.since = l, now
	}
	if l.Holder != "" && l.Holder != a.o.ID && !a.o.Alone && now.Sub(a.since) < a.o.Lease && !a.holderDead(l.Holder) {
		return
	}
	mine, got, err := a.Service.store.Lead(a.ctx, l, a.o.ID)
	if err != nil || !got {
		return
	}
	led := make(chan error, 1)
	a.led = led
	go func() {
		defer a.poke()
		led <- a.lead(a.ctx, mine)
	}()
}

// holderDead reports whether the holder is a process that is known to have ended.
func (a *attendance) holderDead(id string) bool {
	if a.o.Dead == nil {
		return false
	}
	processes, err := a.Service.store.Processes(a.ctx)
	if err != nil {
		return false
	}
	for _, p := range processes {
		if p.ID == id {
			return a.o.Dead(p)
		}
	}
	return false
}

// readMessages deals with what others tell this process.
func (s *Service) readMessages() {
	messages, err := s.store.Receive(s.ended, s.o.ID, 0)
	if err != nil {
		return
	}
	var ids []int64
	present := map[int64]bool{}
	for _, m := range messages {
		ids = append(ids, m.ID)
		present[m.ID] = true
		if s.seen[m.ID] {
			continue
		}
		s.seen[m.ID] = true
		if err := s.told(m); err != nil {
			s.log.Warn("a message could not be read", "kind", m.Kind, "from", m.Sender, "error", err)
		}
	}
	for id := range s.seen {
		if !present[id] {
			delete(s.seen, id)
		}
	}
	if len(ids) > 0 {
		if err := s.store.Drop(s.ended, ids...); err != nil {
			s.log.Warn("messages stay in the store", "error", err)
		}
	}
}

// told deals with one message.
func (s *Service) told(m store.Message) error {
	switch m.Kind {
	case msgAssign:
		return read(m, s.shop.assigned)
	case msgCancel:
		return read(m, s.shop.cancelled)
	case msgCensus:
		return read(m, func(c census) {
			c.Executing = s.shop.executing(c.Token)
			if err := s.store.Send(s.ended, message(Leader, s.o.ID, msgCensus, c, s.clock.Now())); err != nil {
				s.log.Warn("the leader could not be told what is executed here; it will ask again", "error", err)
			}
		})
	}
	return fmt.Errorf("no process understands %q", m.Kind)
}

// read gives a message's body to f.
func read[T any](m store.Message, f func(T)) error {
	var body T
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return err
	}
	f(body)
	return nil
}
