package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// A listener that has lost its connection tries to get another: at once, then after pauses that double.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
	// quiet is how long a listener hears nothing before it asks whether its server is still there: a connection that a
	// network has silently dropped looks like one on which nobody says anything.
	quiet = 30 * time.Second
)

// Watch listens on a connection of its own.
func (d *database) Watch(ctx context.Context, signal func()) (<-chan struct{}, error) {
	conn, err := d.listen(ctx)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			hear(ctx, conn, signal)
			hangUp(conn)
			if conn = d.listenAgain(ctx); conn == nil {
				return
			}
			signal() // for what was said meanwhile
		}
		hangUp(conn)
	}()
	return ended, nil
}

func (d *database) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, d.config.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		hangUp(conn)
		return nil, err
	}
	return conn, nil
}

// hear signals each notification until ctx ends or the connection breaks.
func hear(ctx context.Context, conn *pgx.Conn, signal func()) {
	for {
		wait, cancel := context.WithTimeout(ctx, quiet)
		_, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			signal()
		case ctx.Err() != nil:
			return
		case !silent || !answers(ctx, conn):
			return
		}
	}
}

func answers(ctx context.Context, conn *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return conn.Ping(ctx) == nil
}

// listenAgain gives a new connection, nil when ctx has ended.
func (d *database) listenAgain(ctx context.Context) *pgx.Conn {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		conn, err := d.listen(ctx)
		if err == nil {
			return conn
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// hangUp closes a connection without waiting long for a server that may be gone.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
