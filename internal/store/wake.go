package store

import (
	"context"
	"fmt"
	"sync"
)

// Wake gives a channel that is signalled soon after messages may have been sent, by this process (at once) or another. One
// signal may stand for many messages, and there may be signals without a message. The channel is closed when ctx ends or
// the store is closed. What was sent before Wake returned is not signalled: look first, then wait.
func (s *Store) Wake(ctx context.Context) (<-chan struct{}, error) {
	if !s.wakers.enter() {
		return nil, errClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	woken := make(chan struct{}, 1)
	ended, err := s.db.Watch(ctx, func() { signal(woken) })
	if err != nil {
		cancel()
		s.wakers.running.Done()
		return nil, fmt.Errorf("waiting for messages: %w", s.db.Explain(err))
	}
	s.wakers.add(woken)
	go func() {
		defer s.wakers.running.Done()
		select {
		case <-ctx.Done():
		case <-s.wakers.closing:
		}
		cancel()
		<-ended
		s.wakers.remove(woken)
		close(woken)
	}()
	return woken, nil
}

// signal leaves a signal unless there is one already.
func signal(woken chan<- struct{}) {
	select {
	case woken <- struct{}{}:
	default:
	}
}

// wakers are the channels of this process's waits.
type wakers struct {
	mu      sync.Mutex
	all     map[chan struct{}]bool
	closing chan struct{} // closed when all waits must end
	closed  bool
	running sync.WaitGroup
}

func (w *wakers) init() {
	w.all, w.closing = map[chan struct{}]bool{}, make(chan struct{})
}

// enter says that a wait begins; it may not once they are being closed.
func (w *wakers) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.running.Add(1)
	return true
}

func (w *wakers) add(woken chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[woken] = true
}

func (w *wakers) remove(woken chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, woken)
}

func (w *wakers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for woken := range w.all {
		signal(woken)
	}
}

// close ends all waits and returns when they have ended.
func (w *wakers) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.closing)
	w.running.Wait()
}
