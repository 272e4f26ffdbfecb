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
	until   time.Time // the loop is to be woken then at the latest; zero = only by alarms
	armed   time.Time // what the sleeper sleeps for; zero = there is none
	cancel  context.CancelFunc
	sleeper sync.WaitGroup
}

type alarm struct {
	at    time.Time
	order int // alarms of the same time ring in the order in which they were set
	index int // in the heap; -1 = it is not there any more
	fire  func()
}

func newAlarms(clk clock.Clock) *alarms { return &alarms{clock: clk, wake: make(chan struct{}, 1)} }

func (a *alarms) set(at time.Time, fire func()) *alarm {
	one := &alarm{at: at, order: a.heap.made, fire: fire}
	heap.Push(&a.heap, one)
	a.heap.made++
	return one
}

// drop takes back an alarm that may have rung: what it holds would else be kept until its time.
func (a *alarms) drop(one *alarm) {
	if one != nil && one.index >= 0 {
		heap.Remove(&a.heap, one.index)
	}
}

func (a *alarms) none() bool { return len(a.heap.alarms) == 0 }

// arm lets the sleeper wake the loop at the earliest alarm.
func (a *alarms) arm() {
	at := a.until
	if !a.none() && (at.IsZero() || a.heap.alarms[0].at.Before(at)) {
		at = a.heap.alarms[0].at
	}
	if at.IsZero() {
		return
	}
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
		heap.Pop(&a.heap).(*alarm).fire()
	}
}

// stop ends the sleeper, and takes back its signal; alarms stay.
func (a *alarms) stop() {
	if a.cancel != nil {
		a.cancel()
		a.sleeper.Wait()
	}
	signalled(a.wake)
	a.armed, a.cancel = time.Time{}, nil
}

type alarmHeap struct {
	alarms []*alarm
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

func (h *alarmHeap) Swap(i, j int) {
	h.alarms[i], h.alarms[j] = h.alarms[j], h.alarms[i]
	h.alarms[i].index, h.alarms[j].index = i, j
}

func (h *alarmHeap) Push(x any) {
	one := x.(*alarm)
	one.index = len(h.alarms)
	h.alarms = append(h.alarms, one)
}

func (h *alarmHeap) Pop() any {
	last := len(h.alarms) - 1
	one := h.alarms[last]
	one.index = -1
	h.alarms[last] = nil
	h.alarms = h.alarms[:last]
	return one
}
