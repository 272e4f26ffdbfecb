package store

import (
	"context"
	"errors"
)

// All writes go through one goroutine. It takes the requests that have come while the last transaction was on its way to
// the disk and commits them together: one fsync for several callers. It first tries all of them together; when one is
// refused, the transaction is done again with each request behind a savepoint, so that each caller has its own error. A
// request's work must therefore bear to be done more than once.

// groupSize bounds how many requests share a transaction.
const groupSize = 64

// transactionTries bounds how often a transaction is done again that lost a conflict or its connection.
const transactionTries = 4

// request is one method call's writes.
type request struct {
	ctx  context.Context // looked at before the work starts; work that has started is finished
	work func(*session) error
	err  error
	done chan struct{}
}

var errClosed = errors.New("the store is closed")

// write has work done in a transaction and returns once that is durable.
func (s *Store) write(ctx context.Context, work func(*session) error) error {
	r := &request{ctx: ctx, work: work, done: make(chan struct{})}
	s.closing.RLock()
	if s.closed {
		s.closing.RUnlock()
		return errClosed
	}
	s.requests <- r
	s.closing.RUnlock()
	<-r.done
	return s.db.Explain(r.err)
}

// serve is the goroutine that writes.
func (s *Store) serve() {
	defer close(s.done)
	ses := newSession(s)
	defer ses.drop()
	for r := range s.requests {
		group := s.gather(r)
		ses.commit(group)
		for _, r := range group {
			close(r.done)
		}
	}
}

// gather adds to first the requests that are waiting already.
func (s *Store) gather(first *request) []*request {
	group := []*request{first}
	for len(group) < groupSize {
		select {
		case r, ok := <-s.requests:
			if !ok {
				return group
			}
			group = append(group, r)
		default:
			return group
		}
	}
	return group
}

// commit does the requests' work in one transaction and leaves each request's error in it.
func (ses *session) commit(group []*request) {
	live := group[:0:0]
	for _, r := range group {
		if r.err = r.ctx.Err(); r.err == nil {
			live = append(live, r)
		}
	}
	if len(live) == 0 {
		return
	}
	if err := ses.transaction(live); err != nil {
		ses.drop() // whatever state the connection is in, the next transaction does not inherit it
		for _, r := range live {
			if r.err == nil {
				r.err = err
			}
		}
	}
}

// transaction fails when nothing was committed although a request went well, or when nobody knows.
func (ses *session) transaction(group []*request) error {
	together := true
	for try := 1; ; try++ {
		if err := ses.connect(); err != nil {
			return err
		}
		unknown, err := ses.attempt(group, together)
		if err == nil {
			return nil
		}
		ses.rollback()
		switch {
		case unknown:
			return err
		case ses.transient(err):
			ses.drop()
			if try == transactionTries {
				return err
			}
		case !together:
			return err
		case len(group) == 1 && ses.remote == nil:
			group[0].err = err // what a second attempt would find as well
			return nil
		default:
			together = false
		}
	}
}

// attempt does all requests' work, either together, where the error is that of the first refused, or each behind a
// savepoint with an error of its own. unknown says that the database may have committed all the same.
func (ses *session) attempt(group []*request, together bool) (unknown bool, err error) {
	ses.begin(together)
	if err := ses.later(nil, ses.s.db.Dialect().Begin); err != nil {
		return false, err
	}
	work := ses.eachBehindSavepoint
	if together {
		work = ses.allTogether
	}
	if err := work(group); err != nil {
		return false, err
	}
	sent := ses.sent
	if _, err := ses.exec("COMMIT"); err != nil {
		return ses.remote != nil, err // SQLite keeps the transaction open when the disk is full: it is rolled back
	}
	if sent {
		ses.s.wakers.wake()
	}
	return false, nil
}

func (ses *session) allTogether(group []*request) error {
	for _, r := range group {
		r.err = nil
		if err := r.work(ses); err != nil {
			return err
		}
	}
	return ses.flush()
}

func (ses *session) eachBehindSavepoint(group []*request) error {
	for _, r := range group {
		if _, err := ses.exec("SAVEPOINT request"); err != nil {
			return err
		}
		if r.err = r.work(ses); r.err != nil {
			if ses.transient(r.err) {
				return r.err
			}
			if _, err := ses.exec("ROLLBACK TO SAVEPOINT request"); err != nil {
				return errors.Join(r.err, err) // what broke the request broke the transaction
			}
		}
		if _, err := ses.exec("RELEASE SAVEPOINT request"); err != nil {
			return err
		}
	}
	return nil
}
