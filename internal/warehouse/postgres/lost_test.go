package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

// When a proxy cuts the connection through which a statement goes.
const (
	before = "before the server has it"
	during = "while the server works at it"
	after  = "after the server has done it"
)

// proxy passes bytes between clients and a server, and cuts connections at a statement.
type proxy struct {
	server    string // host:port
	statement []byte
	when      string

	mu   sync.Mutex
	left int // cuts to come
}

// through gives a URL that leads through a proxy, which cuts so many connections at a statement.
func through(t *testing.T, address, statement, when string, cuts int) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host, statement: []byte(statement), when: when, left: cuts}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.pass(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return with(t, address, func(u *url.URL) { u.Host = l.Addr().String() })
}

// cut reports whether a message is the one at which to cut.
func (p *proxy) cut(message []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 || !bytes.Contains(message, p.statement) {
		return false
	}
	p.left--
	return true
}

// cancelRequest is how the message begins by which pgx has the server stop what a lost connection was about.
var cancelRequest = []byte{0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e}

// pass passes one client's bytes.
func (p *proxy) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	var answers io.Writer = client
	var mu sync.Mutex // guards answers
	var back sync.WaitGroup
	back.Go(func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				client.Close()
				return
			}
			mu.Lock()
			_, err = answers.Write(buffer[:n])
			mu.Unlock()
			if err != nil {
				server.Close()
				client.Close()
				return
			}
		}
	})
	defer back.Wait()
	defer server.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.HasPrefix(buffer[:n], cancelRequest) {
			return // a network that loses connections does not get this through either
		}
		if !p.cut(buffer[:n]) {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
			continue
		}
		switch p.when {
		case after:
			mu.Lock()
			answers = cutter{} // the answer ends the connection
			mu.Unlock()
			_, _ = server.Write(buffer[:n])
			_, _ = client.Read(buffer) // until that has happened
		case during:
			_, _ = server.Write(buffer[:n])
		}
		return
	}
}

// cutter is where an answer goes that must not arrive.
type cutter struct{}

func (cutter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// lostHouse is a warehouse through a proxy that cuts, with a table that counts what was done.
func lostHouse(t *testing.T, address, statement, when string, cuts int) (wh *warehouse.Warehouse, looking *postgres.Warehouse) {
	t.Helper()
	looking = open(t, address, postgres.Options{})
	exec(t, looking, `CREATE TABLE done (x bigint)`)
	if _, err := warehouse.New(t.Context(), looking); err != nil { // makes Damson's tables, which the proxy must not see
		t.Fatal(err)
	}
	wh, err := warehouse.New(t.Context(), open(t, through(t, address, statement, when, cuts), postgres.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	return wh, looking
}

var oneClaim = []run.Claim{{RunID: "r", Task: "t", Attempt: 1}}

// insertDone is a function for Do that counts its calls and writes one row.
func insertDone(ctx context.Context, calls *int) func(tx *warehouse.Tx) (any, error) {
	return func(tx *warehouse.Tx) (any, error) {
		*calls++
		return tx.Exec(ctx, sqltext.Plain("x.sql", `INSERT INTO done VALUES (1)`))
	}
}

func TestConnectionLostAtCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when            string
		cuts, calls     int
		committed, fail bool
	}{
		{when: before, cuts: 1, calls: 2, committed: true},
		{when: during, cuts: 1, calls: 1, committed: true},
		{when: after, cuts: 1, calls: 1, committed: true},
		{when: before, cuts: 2, calls: 3, committed: true},
		{when: before, cuts: 9, calls: 3, fail: true},
	} {
		t.Run(fmt.Sprintf("%s, %d times", c.when, c.cuts), func(t *testing.T) {
			t.Parallel()
			wh, looking := lostHouse(t, pgtest.Database(t), "COMMIT", c.when, c.cuts)
			if c.when == during { // the server works at COMMIT for a second
				exec(t, looking, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$`,
					`CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON done DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()`)
			}
			calls := 0
			err := wh.Do(t.Context(), oneClaim, insertDone(t.Context(), &calls))
			if (err != nil) != c.fail || calls != c.calls {
				t.Errorf("%d calls, want %d; error %v", calls, c.calls, err)
			}
			if err != nil {
				if e := asError(t, err); e.Class != driver.Connection || !e.InDoubt {
					t.Errorf("%q %v, in doubt: %t", e.Class, e, e.InDoubt)
				}
			}
			want := int64(0)
			if c.committed {
				want = 1
			}
			if got := ask(t, looking, `SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM damson.ledger)`)[0]; got[0] != want || got[1] != want {
				t.Errorf("rows and ledger are %v, want %d of each", got, want)
			}
		})
	}
}

// TestDoubtWithoutClaims has nothing that could tell whether the transaction was committed.
func TestDoubtWithoutClaims(t *testing.T) {
	t.Parallel()
	wh, _ := lostHouse(t, pgtest.Database(t), "COMMIT", after, 1)
	calls := 0
	err := wh.Do(t.Context(), nil, insertDone(t.Context(), &calls))
	if e := asError(t, err); !e.InDoubt || calls != 1 || !strings.Contains(err.Error(), "It is not known whether") {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// TestConnectionLostBeforeCommit loses the connection inside the transaction, so that nothing of it is left.
func TestConnectionLostBeforeCommit(t *testing.T) {
	t.Parallel()
	for _, when := range []string{before, during, after} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			for _, claims := range [][]run.Claim{nil, oneClaim} {
				wh, looking := lostHouse(t, pgtest.Database(t), "INSERT INTO done", when, 1)
				calls := 0
				if err := wh.Do(t.Context(), claims, insertDone(t.Context(), &calls)); err != nil || calls != 2 {
					t.Errorf("%d calls, %v", calls, err)
				}
				if n := ask(t, looking, `SELECT count(*) FROM done`)[0][0]; n != int64(1) {
					t.Errorf("%v rows are there", n)
				}
			}
		})
	}
}

// TestOutsideOfTransactions loses the connection of single statements.
func TestOutsideOfTransactions(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	looking := open(t, address, postgres.Options{})
	exec(t, looking, `CREATE TABLE done (x bigint)`)
	w := open(t, through(t, address, "INSERT INTO done", after, 1), postgres.Options{})
	e := failure(t, w, `INSERT INTO done VALUES (1)`)
	if e.Class != driver.Connection || !e.InDoubt || e.Hint == "" {
		t.Errorf("%q %v, in doubt: %t", e.Class, e, e.InDoubt)
	}
	if n := ask(t, w, `SELECT count(*) FROM done`)[0][0]; n != int64(1) {
		t.Errorf("%v rows are there", n)
	}
	w = open(t, through(t, address, "generate_series", during, 1), postgres.Options{})
	if _, err := w.Describe(t.Context(), w, `SELECT x FROM generate_series(1, 2) AS g(x)`); err != nil {
		t.Errorf("a look that changes nothing is not tried again: %v", err)
	}
}

// TestServerRestarts kills the server under a transaction, and under connections that lie idle.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	wh, err := warehouse.New(t.Context(), open(t, server.Database(t), postgres.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	do := func(statements ...string) error {
		return wh.Do(t.Context(), nil, func(tx *warehouse.Tx) (any, error) {
			_, err := tx.Script(t.Context(), sqltext.Plain("x.sql", strings.Join(statements, ";")), nil)
			return nil, err
		})
	}
	if err := do(`CREATE TABLE x (x bigint)`); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){server.Stop, server.Kill} {
		calls := 0
		err := wh.Do(t.Context(), []run.Claim{{RunID: "r", Task: "t", Attempt: i}}, func(tx *warehouse.Tx) (any, error) {
			if calls++; calls == 1 {
				end()
				go func() {
					if err := server.Start(); err != nil {
						t.Error(err)
					}
				}()
			}
			return tx.Exec(t.Context(), sqltext.Plain("x.sql", `INSERT INTO x VALUES (1)`))
		})
		if err != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, err)
		}
		end()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if columns, err := wh.Table(t.Context(), "x"); err != nil || len(columns) != 1 {
			t.Errorf("the first question after a restart that nobody noticed: %v, %v", columns, err)
		}
		if err := do(`INSERT INTO x VALUES (1)`); err != nil {
			t.Error(err)
		}
	}
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = wh.Do(ctx, nil, func(*warehouse.Tx) (any, error) { return nil, nil })
	if e := asError(t, err); e.Class != driver.Connection || e.InDoubt || !strings.Contains(e.Message, "Nothing takes connections") {
		t.Errorf("a server that is away: %q %v, in doubt: %t", e.Class, e, e.InDoubt)
	}
}
