package store

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"strings"
)

// All writes go through one goroutine. It takes the requests that have come while the last transaction was on its way to
// the disk and commits them together: one fsync for several callers. Each request stands behind a savepoint, so that
// each caller has its own error.

// groupSize bounds how many requests share a transaction.
const groupSize = 64

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
	ses := &session{s: s}
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

// session is the connection that writes, with its prepared statements. Only the writing goroutine uses it. Its statements
// run without the callers' contexts: one caller who gives up must not break the others' transaction.
type session struct {
	s          *Store
	conn       *sql.Conn
	statements map[string]*sql.Stmt
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

// transaction fails when nothing was committed although a request went well.
func (ses *session) transaction(group []*request) error {
	if err := ses.connect(); err != nil {
		return err
	}
	if _, err := ses.exec(ses.s.db.Dialect().Begin); err != nil {
		return err
	}
	if len(group) == 1 {
		if group[0].err = group[0].work(ses); group[0].err != nil {
			_, err := ses.exec("ROLLBACK")
			return err
		}
	} else if err := ses.eachBehindSavepoint(group); err != nil {
		_, rollback := ses.exec("ROLLBACK")
		return errors.Join(err, rollback)
	}
	if _, err := ses.exec("COMMIT"); err != nil {
		_, _ = ses.exec("ROLLBACK") // SQLite keeps the transaction open when the disk is full
		return err
	}
	return nil
}

func (ses *session) eachBehindSavepoint(group []*request) error {
	for _, r := range group {
		if _, err := ses.exec("SAVEPOINT request"); err != nil {
			return err
		}
		if r.err = r.work(ses); r.err != nil {
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

func (ses *session) connect() (err error) {
	if ses.conn == nil {
		ses.conn, err = ses.s.db.Writer().Conn(context.Background())
		ses.statements = map[string]*sql.Stmt{}
	}
	return err
}

// drop gives the connection up, and with it its transaction and statements.
func (ses *session) drop() {
	if ses.conn == nil {
		return
	}
	for _, st := range ses.statements {
		_ = st.Close()
	}
	_ = ses.conn.Raw(func(any) error { return sqldriver.ErrBadConn }) // so that the pool does not use it again
	_ = ses.conn.Close()
	ses.conn = nil
}

// prepared gives the statement of a query, prepared once.
func (ses *session) prepared(query string) (*sql.Stmt, error) {
	if st := ses.statements[query]; st != nil {
		return st, nil
	}
	st, err := ses.conn.PrepareContext(context.Background(), ses.s.rebind(query))
	if err != nil {
		return nil, err
	}
	ses.statements[query] = st
	return st, nil
}

// exec runs a statement and says how many rows it changed.
func (ses *session) exec(query string, args ...any) (int64, error) {
	st, err := ses.prepared(query)
	if err != nil {
		return 0, err
	}
	result, err := st.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads one row.
func (ses *session) row(query string, args []any, into ...any) error {
	st, err := ses.prepared(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(context.Background(), args...).Scan(into...)
}

// rebind writes a query's "?" as the dialect's parameters.
func (s *Store) rebind(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteString(s.db.Dialect().Placeholder(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// valuesList is "(?,?), (?,?)": rows times columns.
func valuesList(rows, columns int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(row+", ", rows), ", ")
}
