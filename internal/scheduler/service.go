package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	defer end()
	s.ended = ended
	wake, err := s.store.Wake(ended)
	if err != nil {
		return err
	}
	if err := s.register(ctx); err != nil {
		return err
	}
	opened := make(chan error, 1)
	if s.o.Open != nil {
		go s.open(ctx, opened)
	}
	err = s.attend(ctx, wake, opened)
	s.shop.close(s.o.Drain)
	if gone := s.store.Unregister(ended, s.o.ID); err == nil && gone != nil {
		s.log.Warn("this process could not be struck off", "error", gone)
	}
	return err
}

func (s *Service) process(warehouse bool) store.Process {
	return store.Process{ID: s.o.ID, Host: s.o.Host, PID: s.o.PID, Started: s.clock.Now(), Slots: s.o.Parallel, Warehouse: warehouse,
		Leads: s.o.Leads, Address: s.o.Address, Version: s.o.Version}
}

// register adds this process to the others. A store that goes away just then has half a minute to come back.
func (s *Service) register(ctx context.Context) error {
	until := s.clock.Now().Add(30 * time.Second)
	for {
		err := s.store.Register(ctx, s.process(s.shop.books() != nil))
		if err == nil || s.clock.Now().After(until) || s.clock.Sleep(ctx, 250*time.Millisecond) != nil {
			return err
		}
	}
}

// open opens the warehouse when that is possible. The others learn of it now or, when the store is away, by a later beat.
func (s *Service) open(ctx context.Context, opened chan<- error) {
	l, err := s.o.Open(ctx)
	if err == nil {
		s.shop.opened(l)
		if late := s.store.BeatProcess(ctx, s.o.ID, true); late != nil {
			s.log.Warn("the store does not take yet that the warehouse is open here", "error", late)
		}
	}
	opened <- err
}

// attend beats, reads this process's messages and leads when it is its turn, until ctx ends.
func (s *Service) attend(ctx context.Context, wake <-chan struct{}, opened <-chan error) error {
	beats := s.o.Lease / 4
	a := &attendance{Service: s, ctx: ctx}
	go s.beat(ctx, beats)
	timer := s.timer(ctx, beats)
	for {
		select {
		case <-ctx.Done():
			return a.end()
		case err := <-opened:
			if err != nil {
				return errors.Join(err, a.end())
			}
			a.mayLead = s.o.Leads
		case <-wake:
		case <-timer:
		case err := <-a.led:
			a.led = nil
			if ctx.Err() == nil {
				s.log.Warn("this process leads no more", "error", err)
				a.retry = s.clock.Now().Add(tick)
			}
		}
		s.readMessages(ctx)
		a.campaign()
	}
}

// timer signals every d until ctx ends.
func (s *Service) timer(ctx context.Context, d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		for s.clock.Sleep(ctx, d) == nil {
			select {
			case c <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// beat shows that the process lives.
func (s *Service) beat(ctx context.Context, every time.Duration) {
	for s.clock.Sleep(ctx, every) == nil {
		err := s.store.BeatProcess(ctx, s.o.ID, s.shop.books() != nil)
		if errors.Is(err, store.ErrUnregistered) { // it was stopped for so long that it was taken for dead
			err = s.store.Register(ctx, s.process(s.shop.books() != nil))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the store does not take this process's beat", "error", err)
		}
	}
}

// attendance is a service's standing among the others.
type attendance struct {
	*Service
	ctx     context.Context
	mayLead bool
	seen    store.Lease
	since   time.Time  // when seen was first seen, by this process's clock
	led     chan error // of the leadership under way; nil = this process does not lead
	retry   time.Time  // not to lead before
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
	a.led = make(chan error, 1)
	go func(led chan<- error) { led <- a.lead(a.ctx, mine) }(a.led)
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

// end waits for the leadership to end.
func (a *attendance) end() error {
	if a.led == nil {
		return nil
	}
	return <-a.led
}

// readMessages deals with what others tell this process.
func (s *Service) readMessages(ctx context.Context) {
	messages, err := s.store.Receive(ctx, s.o.ID, 0)
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
		if err := s.store.Drop(ctx, ids...); err != nil && ctx.Err() == nil {
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
			c.Executing = s.shop.executing()
			if err := s.store.Send(s.ended, message(Leader, s.o.ID, msgCensus, c, s.clock.Now())); err != nil {
				s.log.Warn("the leader could not be told what is executed here", "error", err)
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
