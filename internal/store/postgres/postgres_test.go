package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"damson/internal/diag"
	"damson/internal/pgtest"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/driver"
	"damson/internal/store/postgres"
	"damson/internal/store/storetest"
)

// crashURL names, in a child process, the database to write until it is killed.
const crashURL = "DAMSON_TEST_CRASH_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(crashURL); url != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(url))
		os.Exit(1)
	}
	code := m.Run()
	pgtest.Stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func writeUntilKilled(url string) error {
	db, err := postgres.Open(context.Background(), url)
	if err != nil {
		return err
	}
	s, err := store.New(context.Background(), db)
	if err != nil {
		return err
	}
	return storetest.WriteUntilKilled(s, os.Stdout)
}

func fresh(t *testing.T) storetest.Open { return at(pgtest.Database(t)) }

func at(url string) storetest.Open {
	return func(t *testing.T) driver.DB {
		t.Helper()
		db, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
}

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, fresh)
}

func TestCrash(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashURL+"="+url)
	child.Stderr = os.Stderr
	storetest.Crash(t, at(url), child)
}

// TestOpenTogether has processes that meet an empty database at once.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	const processes = 6
	errs := make(chan error, processes)
	for range processes {
		go func() {
			errs <- func() error {
				db, err := postgres.Open(context.Background(), url)
				if err != nil {
					return err
				}
				s, err := store.New(context.Background(), db)
				if err != nil {
					return errors.Join(err, db.Close())
				}
				return s.Close()
			}()
		}()
	}
	for range processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestServerRestarts has a store whose server is stopped, and killed: it fails while the server is away and works again
// without being opened again; who waits is woken.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url := server.Database(t)
	s := open(t, url)
	woken, err := s.Wake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	say := func(text string) error {
		line := run.LogLine{Claim: run.Claim{RunID: "r", Task: "x", Attempt: 1}, Text: text}
		return s.Commit(t.Context(), store.Batch{Lines: []run.LogLine{line}})
	}
	if err := say("before"); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){server.Stop, server.Kill} {
		end()
		for range 2 {
			wantFinding(t, say("lost"), "store's server does not answer")
			_, err := s.Logs(t.Context(), "r", "x", 0)
			wantFinding(t, err, "store's server does not answer")
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if err := say(fmt.Sprint("after ", i)); err != nil {
			t.Errorf("the first write after a restart: %v", err)
		}
		<-woken
		end()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if err := say(fmt.Sprint("unnoticed ", i)); err != nil { // on the connection of before
			t.Errorf("the first write after a restart that nobody noticed: %v", err)
		}
		<-woken
	}
	lines, err := s.Logs(t.Context(), "r", "x", 0)
	if err != nil || len(lines) != 5 {
		t.Errorf("%d lines are there (%v), want the 5 that were acknowledged", len(lines), err)
	}
}

func wantFinding(t *testing.T, err error, summary string) {
	t.Helper()
	var f diag.Finding
	if !errors.As(err, &f) || !strings.Contains(f.Summary, summary) {
		t.Errorf("the error is %v, want a finding about %q", err, summary)
		return
	}
	if f.Detail == "" || f.Fix == "" {
		t.Errorf("the finding %q does not say why and what to do", f.Summary)
	}
	if strings.Contains(f.Error(), pgtest.Password) || strings.Contains(f.Error(), "secret") {
		t.Errorf("the finding shows the password: %s", f.Error())
	}
}

// admin runs SQL as the superuser.
func admin(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// with changes a URL.
func with(t *testing.T, address string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func TestCannotOpen(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	good := server.Database(t)
	admin(t, good, `CREATE ROLE poor LOGIN PASSWORD 'secret'`)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	poor := with(t, good, func(u *url.URL) { u.User = url.UserPassword("poor", "secret") })
	for address, summary := range map[string]string{
		"postgres://u:secret@host:port/x": "address cannot be read",
		with(t, good, func(u *url.URL) { u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(free)) }): "does not answer",
		with(t, good, func(u *url.URL) { u.Host = "nowhere.invalid" }):                                 "host is unknown",
		with(t, good, func(u *url.URL) { u.User = url.UserPassword(pgtest.User, "secret") }):           "refuses the user",
		with(t, good, func(u *url.URL) { u.Path = "/none" }):                                           "database does not exist",
		with(t, good, func(u *url.URL) { u.RawQuery = "sslmode=require" }):                             "does not answer",
		poor: "too few rights",
	} {
		_, err := postgres.Open(t.Context(), address)
		wantFinding(t, err, summary)
	}

	admin(t, good, `CREATE SCHEMA damson_store AUTHORIZATION poor`)
	s := open(t, poor) // the schema is there: no right to create one is needed
	if _, err := s.Lease(t.Context()); err != nil {
		t.Errorf("a user with a schema of its own: %v", err)
	}
	admin(t, good, `REVOKE ALL ON ALL TABLES IN SCHEMA damson_store FROM poor`, `ALTER ROLE poor CONNECTION LIMIT 0`)
	wantFinding(t, s.Commit(t.Context(), store.Batch{Alerts: []store.Alert{{}}}), "too few rights")
	_, err = postgres.Open(t.Context(), poor)
	wantFinding(t, err, "no free connection")
}

// TestReadOnly has a server that takes no writes, as a standby.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, url+"&default_transaction_read_only=on")
	wantFinding(t, s.Commit(t.Context(), store.Batch{Alerts: []store.Alert{{}}}), "cannot be written")
}

// TestDurable has a server whose default is not to wait for the disk.
func TestDurable(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	for given, want := range map[string]string{"off": "on", "remote_apply": "remote_apply"} {
		db, err := postgres.Open(t.Context(), address+"&synchronous_commit="+given)
		if err != nil {
			t.Fatal(err)
		}
		var have string
		if err := db.Writer().QueryRowContext(t.Context(), `SHOW synchronous_commit`).Scan(&have); err != nil || have != want {
			t.Errorf("synchronous_commit=%s became %s (%v), want %s", given, have, err, want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDeadlock has two processes that change the same rows in opposite order: both go well.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t) + "&deadlock_timeout=10ms"
	stores := []*store.Store{open(t, url), open(t, url)}
	errs := make(chan error, 2)
	const states = 200
	const rounds = 3 // each loss is a commit of the other: nobody loses more often than the store tries again
	for i, s := range stores {
		go func() {
			var all []store.PipelineState
			for n := range states {
				if i == 1 {
					n = states - 1 - n
				}
				all = append(all, store.PipelineState{Name: fmt.Sprint("p", n)})
			}
			for range rounds {
				if err := s.Commit(context.Background(), store.Batch{Pipelines: all}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range stores {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestServerCrash kills the server under a writer: each line that was acknowledged is there, and of each batch that was not
// either all or nothing.
func TestServerCrash(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := open(t, server.Database(t))
	const lines = 50
	acknowledged, failed, ended := make(chan int, 10_000), make(chan error, 1), make(chan int, 1)
	go func() {
		n := 1
		for ; n < cap(acknowledged); n++ {
			var b store.Batch
			for range lines {
				b.Lines = append(b.Lines, run.LogLine{Claim: run.Claim{RunID: "r", Task: "x", Attempt: n}, Text: "x"})
			}
			if err := s.Commit(context.Background(), b); err != nil {
				failed <- err
				break
			}
			acknowledged <- n
		}
		ended <- n
	}()
	for range 100 {
		<-acknowledged
	}
	server.Kill()
	n := <-ended // the batch that failed
	var f diag.Finding
	if err := <-failed; !errors.As(err, &f) {
		t.Errorf("a write under which the server dies: %v, want a finding", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= n; attempt++ {
		have, err := s.Logs(t.Context(), "r", "x", attempt)
		if err != nil {
			t.Fatal(err)
		}
		if len(have) != lines && (attempt < n || len(have) != 0) {
			t.Errorf("batch %d of %d has %d lines", attempt, n, len(have))
		}
	}
}

// TestLook sees a server with and without a store in it, and makes none.
func TestLook(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for _, there := range []bool{false, true} {
		s, err := postgres.Look(t.Context(), url, 10*time.Second, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if s.Schema != there || !s.MayMake || s.TooOld || s.ReadOnly || s.Version == "" || s.Free < 1 || s.Uses < 2 {
			t.Errorf("with a store %t: %+v", there, s)
		}
		if s.Ahead.Abs() > s.Doubt+time.Second || strings.Contains(s.Place, pgtest.Password) {
			t.Errorf("%+v", s)
		}
		db, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if there {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, _, err := store.Look(t.Context(), db); err == nil {
			t.Error("an empty schema has a version")
		}
		s2, err := store.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if has, knows, err := store.Look(t.Context(), db); has != knows || has == 0 || err != nil {
			t.Errorf("has %d, knows %d, %v", has, knows, err)
		}
		if err := s2.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := postgres.Look(t.Context(), "postgres://u:hush-hush@nowhere.invalid/x", time.Second, time.Now); err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "The store's host is unknown") {
		t.Errorf("an unknown host: %v", err)
	}
}
