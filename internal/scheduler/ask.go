package scheduler

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/store"
)

// Post is the part of a store by which a command speaks to the leader.
type Post interface {
	Send(ctx context.Context, messages ...store.Message) error
	Receive(ctx context.Context, recipient string, after int64) ([]store.Message, error)
	Drop(ctx context.Context, ids ...int64) error
	Wake(ctx context.Context) (<-chan struct{}, error)
}

// Ask sends a request to the leader and waits for its answer. When none comes in time, the error says that the request stays:
// the leader, or the next one, will answer it.
func Ask(ctx context.Context, post Post, clk clock.Clock, r Request, patience time.Duration) (Answer, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wake, err := post.Wake(ctx)
	if err != nil {
		return Answer{}, err
	}
	reply := "command-" + rand.Text()
	if err := post.Send(ctx, NewRequest(reply, r, clk.Now())); err != nil {
		return Answer{}, err
	}
	late := make(chan struct{})
	go func() {
		if clk.Sleep(ctx, patience) == nil {
			close(late)
		}
	}()
	for {
		messages, err := post.Receive(ctx, reply, 0)
		if err != nil {
			return Answer{}, err
		}
		for _, m := range messages {
			var a Answer
			if err := json.Unmarshal(m.Body, &a); err != nil {
				return a, err
			}
			if err := post.Drop(ctx, m.ID); err != nil {
				return a, err
			}
			if a.Error != nil {
				return a, *a.Error
			}
			return a, nil
		}
		select {
		case <-wake:
		case <-late:
			return Answer{}, diag.Finding{Summary: "The server does not answer",
				Detail: "The request is in the store; it will be done as soon as a server leads.",
				Fix:    "See whether `damson serve` runs and can reach its store; `damson runs` shows what has become of the request."}
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}
