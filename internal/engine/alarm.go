package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"damson/internal/clock"
)

// alarms are what the loop does at some time: retries, timeouts. One goroutine sleeps until the earliest.
type alarms struct {
	clock   clock.Clock
	wake    chan struct{}
	heap    alarmHeap
	armed   time.Time // what the sleeper sleeps for; zero = there is none
	cancel  context.CancelFunc
	sleeper sync.WaitGroup
}

type alarm struct {
	at    time.Time
	order int // alarms of the same time ring in the order in which they were set
	fire  func()
}

func newAlarms(clk clock.Clock) *alarms { return &alarms{clock: clk, wake: make(chan struct{}, 1)} }

func (a *alarms) set(at time.Time, fire func()) {
	heap.Push(&a.heap, alarm{at, a.heap.made, fire})
	a.heap.made++
}

func (a *alarms) none() bool { return len(a.heap.alarms) == 0 }

// arm lets the sleeper wake the loop at the earliest alarm.
func (a *alarms) arm() {
	if a.none() {
		return
	}
	at := a.heap.alarms[0].at
	if !a.armed.IsZero() && !at.Before(a.armed) {
		return
	}
	a.stop()
	ctx, cancel := context.WithCancel(context.Background())
	a.armed, a.cancel = at, cancel
	a.sleeper.Go(func() {
		if a.clock.Sleep(ctx, at.Sub(a.clock.Now())) == nil {
			select {
			case a.wake <- struct{}{}:
			default:
			}
		}
	})
}

// ring does what is due.
func (a *alarms) ring(now time.Time) {
	if !a.armed.IsZero() && !now.Before(a.armed) {
		a.stop()
	}
	for !a.none() && !a.heap.alarms[0].at.After(now) {
		heap.Pop(&a.heap).(alarm).fire()
	}
}

// stop ends the sleeper; alarms stay.
func (a *alarms) stop() {
	if a.cancel != nil {
		a.cancel()
		a.sleeper.Wait()
	}
	a.armed, a.cancel = time.Time{}, nil
}

type alarmHeap struct {
	alarms []alarm
	made   int
}

func (h *alarmHeap) Len() int { return len(h.alarms) }

func (h *alarmHeap) Less(i, j int) bool {
	a, b := h.alarms[i], h.alarms[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.order < b.order
}

func (h *alarmHeap) Swap(i, j int) { h.alarms[i], h.alarms[j] = h.alarms[j], h.alarms[i] }
func (h *alarmHeap) Push(x any)    { h.alarms = append(h.alarms, x.(alarm)) }

func (h *alarmHeap) Pop() any {
	last := len(h.alarms) - 1
	a := h.alarms[last]
	h.alarms[last] = alarm{}
	h.alarms = h.alarms[:last]
	return a
}
