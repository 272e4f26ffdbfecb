package parallel_test

import (
	"context"
	"sync/atomic"
	"testing"

	"damson/internal/parallel"
)

func TestEveryPieceOfWorkIsDoneOnce(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{0, 1, 3, 100} {
		for _, n := range []int{0, 1, 50} {
			done := make([]atomic.Int64, n)
			if err := parallel.Each(t.Context(), n, threads, func(i int) { done[i].Add(1) }); err != nil {
				t.Fatal(err)
			}
			for i := range done {
				if got := done[i].Load(); got != 1 {
					t.Errorf("%d threads did work %d of %d %d times", threads, i, n, got)
				}
			}
		}
	}
}

func TestNothingIsBegunAfterTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	begun := 0
	if err := parallel.Each(ctx, 10, 1, func(int) {
		if begun++; begun == 3 {
			cancel()
		}
	}); err == nil || begun != 3 {
		t.Errorf("%d pieces begun, error %v", begun, err)
	}
}

func TestPiecesAreOfOneGoroutine(t *testing.T) {
	t.Parallel()
	var pieces atomic.Int64
	sums := make(chan *int, 4)
	err := parallel.EachWith(t.Context(), 1000, 4, func() *int {
		pieces.Add(1)
		own := new(int)
		sums <- own
		return own
	}, func(_ int, own *int) { *own++ })
	total := 0
	for range pieces.Load() {
		total += *<-sums
	}
	if err != nil || pieces.Load() > 4 || total != 1000 {
		t.Errorf("%d pieces have counted %d, error %v", pieces.Load(), total, err)
	}
}
