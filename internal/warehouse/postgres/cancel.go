package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

const (
	// cancelPatience is how long the server may take to end a statement that it was asked to stop; then the connection is
	// closed.
	cancelPatience = 10 * time.Second
	// requestPatience bounds the request itself, which is a connection of its own.
	requestPatience = 5 * time.Second
)

// stopper stops the statement of a connection when its context ends. It implements ctxwatch.Handler.
//
// pgx's own handler breaks off its request when the statement ends meanwhile, and has to sleep lest the request hit the next
// statement. This one waits until the server has closed the request's connection: the signal is then delivered, and a
// session that is idle takes no notice of it.
type stopper struct {
	conn *pgconn.PgConn
	done chan struct{}
}

func newStopper(conn *pgconn.PgConn) ctxwatch.Handler { return &stopper{conn: conn} }

// HandleCancel asks the server to stop the statement, and sees to it that nobody waits for its end for ever.
func (s *stopper) HandleCancel(context.Context) {
	s.done = make(chan struct{})
	_ = s.conn.Conn().SetDeadline(time.Now().Add(cancelPatience)) // fails on a connection that is closed already
	go func() {
		defer close(s.done)
		ctx, cancel := context.WithTimeout(context.Background(), requestPatience)
		defer cancel()
		_ = s.conn.CancelRequest(ctx) // when it does not get through, the deadline ends the wait
	}()
}

// HandleUnwatchAfterCancel waits for the request's end.
func (s *stopper) HandleUnwatchAfterCancel() {
	<-s.done
	_ = s.conn.Conn().SetDeadline(time.Time{})
}
