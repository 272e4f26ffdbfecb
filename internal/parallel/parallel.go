// Package parallel shares work out among goroutines.
package parallel

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Threads gives how many goroutines are meant: 0 stands for one a processor.
func Threads(threads int) int {
	if threads <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return threads
}

// Each calls work(0) … work(n-1) on so many goroutines (0 = one a processor) and waits for all. When ctx ends it starts no further one.
func Each(ctx context.Context, n, threads int, work func(i int)) error {
	return EachWith(ctx, n, threads, func() struct{} { return struct{}{} }, func(i int, _ struct{}) { work(i) })
}

// EachWith is Each with a piece that each goroutine has for itself.
func EachWith[T any](ctx context.Context, n, threads int, piece func() T, work func(i int, own T)) error {
	var next atomic.Int64
	loop := func() {
		own := piece()
		for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
			work(i, own)
		}
	}
	if threads = min(Threads(threads), n); threads == 1 {
		loop()
		return ctx.Err()
	}
	var running sync.WaitGroup
	for range threads {
		running.Go(loop)
	}
	running.Wait()
	return ctx.Err()
}
