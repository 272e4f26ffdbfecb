package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres/wire"
)

// holder is a session that holds a lock which another waits for.
type holder struct {
	pid                      int
	user, application, state string
	since                    string // when its transaction began
	query                    string
}

// String says who it is, for people.
func (h holder) String() string {
	who := fmt.Sprintf("process %d of the server", h.pid)
	if h.user != "" {
		who += fmt.Sprintf(" (user %s", h.user)
		if h.application != "" {
			who += ", " + h.application
		}
		who += ")"
	}
	if h.since != "" {
		who += ", in a transaction since " + h.since
	}
	if h.query == "" {
		return who
	}
	if strings.HasPrefix(h.state, "idle") {
		return who + ", " + h.state + " after: " + wire.Shorten(h.query, longestQuote)
	}
	return who + ", running: " + wire.Shorten(h.query, longestQuote)
}

// waitedFor tells in a line of its own for whom a statement waited; "" when nobody is known.
func waitedFor(held []holder) string {
	if len(held) == 0 {
		return ""
	}
	texts := make([]string, len(held))
	for i, h := range held {
		texts[i] = h.String()
	}
	return "\nIt waited for a lock held by " + strings.Join(texts, "; and by ") + "."
}

// explainLock tells who holds the lock that a statement did not get.
func (w *Warehouse) explainLock(e *driver.Error, said *pgconn.PgError, held []holder) {
	if limit := w.server.lockTimeout; limit > 0 && strings.Contains(said.Message, "lock timeout") {
		e.Message = fmt.Sprintf("The statement waited %s for a lock, its lock_timeout, and gave up.", limit)
	}
	e.Message += waitedFor(held)
	if len(held) == 0 {
		e.Hint = "Look at pg_locks for who holds it, and run again when that is done; lock_timeout of the environment in damson.yaml says how long to wait."
		return
	}
	e.Hint = fmt.Sprintf("Run again when that is done, or end it: SELECT pg_terminate_backend(%d). lock_timeout of the environment in damson.yaml says how long to wait.", held[0].pid)
}

// watchEvery is how often a long statement is looked at when the server has no lock_timeout.
const watchEvery = 5 * time.Second

// lockWatch looks, while a statement runs, at who makes it wait: once the server has given up the wait, nothing tells any
// more. It looks from another connection, and only at statements that run for long: twice in a lock_timeout, so that it sees
// each wait that ends by one.
type lockWatch struct {
	w     *Warehouse
	pid   uint32
	every time.Duration

	ctx    context.Context // of the questions
	cancel context.CancelFunc

	mu    sync.Mutex
	timer *time.Timer
	over  bool
	held  []holder
	busy  sync.WaitGroup
}

// watchLocks begins to watch the connection's statement.
func (c *conn) watchLocks() *lockWatch {
	every := watchEvery
	if t := c.w.server.lockTimeout; t > 0 {
		every = min(every, t/2)
	}
	l := &lockWatch{w: c.w, pid: c.pg.PID(), every: every}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(every, l.look)
	return l
}

func (l *lockWatch) look() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	l.busy.Add(1)
	l.mu.Unlock()
	held := l.w.holders(l.ctx, l.pid)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(held) > 0 { // a look that comes as the wait ends sees nobody any more
		l.held = held
	}
	if !l.over {
		l.timer.Reset(l.every)
	}
	l.busy.Done()
}

// end ends the watch and gives who was seen last. Only a statement that has failed waits for a look that is under way.
func (l *lockWatch) end(failed bool) []holder {
	l.mu.Lock()
	l.over = true
	l.timer.Stop()
	l.mu.Unlock()
	if !failed {
		l.cancel()
	}
	l.busy.Wait()
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// holdersSQL names the sessions that a process waits for. Their statements are NULL for a user who may not see them.
const holdersSQL = `SELECT a.pid, COALESCE(a.usename, ''), COALESCE(a.application_name, ''), COALESCE(a.state, ''),
	COALESCE(to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ''), COALESCE(a.query, '')
FROM pg_catalog.pg_stat_activity a WHERE a.pid = ANY (pg_catalog.pg_blocking_pids(%d)) ORDER BY a.xact_start, a.pid LIMIT 3`

// holders asks who makes a process of the server wait; nothing when nobody does or the question fails.
func (w *Warehouse) holders(ctx context.Context, pid uint32) []holder {
	ctx, cancel := context.WithTimeout(ctx, advicePatience)
	defer cancel()
	var held []holder
	for _, row := range w.aside(ctx, fmt.Sprintf(holdersSQL, pid)) {
		h := holder{user: row[1], application: row[2], state: row[3], since: row[4], query: row[5]}
		h.pid, _ = strconv.Atoi(row[0])
		held = append(held, h)
	}
	return held
}

// aside asks the server something beside the user's work, on a connection of its own. It gives the rows as texts, and none
// when the question fails: it is asked for advice only.
func (w *Warehouse) aside(ctx context.Context, sql string) [][]string {
	c, err := w.watch.Acquire(ctx)
	if err != nil {
		return nil
	}
	defer c.Release()
	result := c.Conn().PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return nil
	}
	return texts(result)
}
