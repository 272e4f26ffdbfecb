// Package store keeps Damson's own metadata: runs, task runs, the history of their states, logs, model versions, and what
// the processes of a project tell each other. Its central type is Store, in front of a small driver for each database.
// Several processes may have a store over the same database.
//
// The package decides nothing: which state follows which is run.Next's business, when a model becomes champion is the
// registry's, who may lead is the scheduler's. It refuses a change that does not fit what is stored.
//
// Invariants:
//
//  1. What a method has acknowledged survives a crash of the process and of the machine.
//  2. A method's writes happen all or not at all.
//  3. A state changes only from the state that the change names, and a claimed task run only by a claim that is at least as new.
//  4. Every change is in the history.
//  5. Times have microseconds and come back in UTC.
//  6. A model has at most one champion.
//  7. A batch with a fence is written while that lease holds, or not at all: who takes the lease waits for batches under way.
//  8. Who waits (Wake) is signalled after each message that is committed, by whichever process.
package store

import (
	"context"
	"fmt"
	"sync"

	"damson/internal/run"
	"damson/internal/store/driver"
)

// Store is the open metadata. Its methods may be called concurrently.
type Store struct {
	db       driver.DB
	requests chan *request // to the one goroutine that writes
	done     chan struct{} // closed when that goroutine has ended
	closing  sync.RWMutex  // held for reading while a request is handed over
	closed   bool
	wakers   wakers
}

// New prepares the database d for use: it creates or upgrades the schema. A schema newer than this program knows is a
// diag.Finding. Close closes d as well.
func New(ctx context.Context, d driver.DB) (*Store, error) {
	s := &Store{db: d, requests: make(chan *request, groupSize), done: make(chan struct{})}
	s.wakers.init()
	if err := migrate(ctx, d); err != nil {
		return nil, fmt.Errorf("preparing the store: %w", d.Explain(err))
	}
	go s.serve()
	return s, nil
}

// Close ends the store after the writes under way, and all waiting.
func (s *Store) Close() error {
	s.closing.Lock()
	already := s.closed
	s.closed = true
	s.closing.Unlock()
	if already {
		return nil
	}
	s.wakers.close()
	close(s.requests)
	<-s.done
	return s.db.Close()
}

// StaleError says that a change did not fit what is stored: its From is not the present state, or a newer claim has the
// task run.
type StaleError struct {
	Change  run.Change
	Missing bool      // there is no such run or task run
	State   run.State // as stored
	Token   int64     // as stored
}

func (e *StaleError) Error() string {
	what := "run " + e.Change.RunID
	if e.Change.Task != "" {
		what = "task " + e.Change.Task + " of " + what
	}
	switch {
	case e.Missing:
		return what + " does not exist"
	case e.State != e.Change.From:
		return fmt.Sprintf("%s is %s, not %s: it cannot become %s", what, e.State, e.Change.From, e.Change.To)
	}
	return fmt.Sprintf("%s was claimed again (claim %d, this one is %d): it cannot become %s", what, e.Token, e.Change.Token, e.Change.To)
}
