// Package pgtest starts real PostgreSQL servers for tests. Its central function is Database: a fresh database on a server
// that all tests of a test binary share. Start gives a test a server of its own, which it may stop, kill and start again;
// Launch gives one to a program that is no test, a benchmark.
//
// A server listens on a free port of 127.0.0.1, keeps fsync on as a real one does, and dies with the test process. It needs
// PostgreSQL's programs (Debian: postgresql; `make test` installs them); a test that needs it fails without them, it is not
// skipped. A package that calls Database calls Main, or Stop, in its TestMain.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// User is the servers' superuser, Password what it logs in with.
const (
	User     = "damson"
	Password = "p@ss/word-of-tests"
)

// dirPrefix begins the names of data directories; the number of the test process follows.
const dirPrefix = "damson-pg-"

// startPatience is how long a server may take to start, on a busy machine and after a crash.
const startPatience = time.Minute

var (
	shared struct {
		once   sync.Once
		server *Server
		err    error
	}
	databases atomic.Int64
)

// Database makes an empty database on the shared server and gives its URL. It is dropped at the end of the test.
func Database(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = start(Config{}) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server.Database(t)
}

// Main runs a package's tests and ends the shared server.
func Main(m *testing.M) {
	code := m.Run()
	Stop()
	os.Exit(code)
}

// Stop ends the shared server, if there is one, and removes its data.
func Stop() {
	shared.once.Do(func() { shared.err = errors.New("the shared PostgreSQL server has been stopped") })
	if shared.server != nil {
		shared.server.remove()
	}
}

// Server is a PostgreSQL server of its own.
type Server struct {
	dir    string // holds data/ and log
	bin    string
	config Config
	port   int
	output *os.File

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
}

// Config makes a server other than usual; the zero value is a usual one.
type Config struct {
	Certificate, Key []byte   // in PEM; with them the server speaks TLS
	HBA              string   // lines of pg_hba.conf instead of the usual, which let in who has the password, with TLS or without
	Settings         []string // of the server, "name=value"
}

// Start starts a server that lives until the end of the test.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, Config{})
}

// StartWith starts a server other than usual that lives until the end of the test.
func StartWith(t testing.TB, c Config) *Server {
	t.Helper()
	s, err := start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.remove)
	return s
}

// Launch starts a server for a program, which calls Remove at its end.
func Launch() (*Server, error) { return start(Config{}) }

// Remove ends the server and removes its data.
func (s *Server) Remove() { s.remove() }

// Port is where the server listens on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// URL is that of the server's database "postgres".
func (s *Server) URL() string { return s.url("postgres") }

func (s *Server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(User, Password), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Database makes an empty database and gives its URL. It is dropped at the end of the test if the server runs then.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name, err := s.create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !s.Running() {
			return
		}
		if err := s.admin(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

// Create makes an empty database that stays and gives its URL.
func (s *Server) Create() (string, error) {
	name, err := s.create()
	return s.url(name), err
}

func (s *Server) create() (name string, err error) {
	name = fmt.Sprintf("test_%d", databases.Add(1))
	return name, s.admin(`CREATE DATABASE ` + name + ` TEMPLATE template0`)
}

func (s *Server) admin(query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return fmt.Errorf("connecting to the test server: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, query); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// start makes a cluster and starts its server.
func start(c Config) (s *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	removeLeftovers()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	s = &Server{dir: dir, bin: bin, config: c}
	defer func() {
		if err != nil {
			s.remove()
			err = fmt.Errorf("starting PostgreSQL for tests: %w", err)
		}
	}()
	if err := s.initialise(); err != nil {
		return nil, err
	}
	for range 5 { // another process may take the free port first
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// initialise makes the data directory.
func (s *Server) initialise() error {
	if err := os.Chmod(s.dir, 0o755); err != nil { // another user owns what is in it
		return err
	}
	output, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	s.output = output
	data, password := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := giveAway(data); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", data, "-U", User, "--pwfile", password, "-A", "scram-sha-256",
		"-E", "UTF8", "--locale", "C", "--no-sync")
	cmd.Dir = data
	cmd.SysProcAttr = attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.configure(data)
}

// configure writes the files that the server's Config asks for.
func (s *Server) configure(data string) error {
	files := map[string][]byte{"server.crt": s.config.Certificate, "server.key": s.config.Key, "pg_hba.conf": []byte(s.config.HBA)}
	for name, content := range files {
		if len(content) == 0 {
			continue
		}
		path := filepath.Join(data, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := giveAway(path); err != nil {
			return err
		}
	}
	return nil
}

// Start starts the server again after Stop or Kill, on the same port, and returns once it takes connections.
func (s *Server) Start() error {
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "shared_buffers=64MB", "-c", "max_connections=100",
		"-c", "lc_messages=C", "-c", "logging_collector=off", "-c", "log_destination=stderr", "-c", "autovacuum_naptime=10s")
	settings := s.config.Settings
	if s.config.Certificate != nil {
		settings = append(slices.Clone(settings), "ssl=on")
	}
	for _, setting := range settings {
		cmd.Args = append(cmd.Args, "-c", setting)
	}
	cmd.Dir = filepath.Join(s.dir, "data")
	cmd.SysProcAttr = attributes()
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	started, ready, ended := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go run(cmd, started, func() { s.copyLog(bufio.NewReader(log), ready) }, ended)
	if err := <-started; err != nil {
		return err
	}
	s.cmd, s.ended = cmd, ended
	select {
	case <-ready:
		return nil
	case <-ended:
		return fmt.Errorf("PostgreSQL has ended:\n%s", s.Log())
	case <-time.After(startPatience):
		s.Kill()
		return fmt.Errorf("PostgreSQL does not get ready:\n%s", s.Log())
	}
}

// copyLog writes the log to its file and closes ready when the server takes connections. Lines may be long: a statement that
// fails stands in one. Were the rest left unread, the server would wait for ever to write it.
func (s *Server) copyLog(log *bufio.Reader, ready chan<- struct{}) {
	told := false
	for {
		line, err := log.ReadString('\n')
		fmt.Fprint(s.output, line)
		if !told && strings.Contains(line, "database system is ready to accept connections") {
			close(ready)
			told = true
		}
		if err != nil {
			return
		}
	}
}

// Log is what the server has written.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.output.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Running says whether the server has been started and not ended.
func (s *Server) Running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Stop ends the server as an administrator does: connections are closed, what was committed is written.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGQUIT) }

func (s *Server) end(signal syscall.Signal) {
	if s.Running() {
		_ = s.cmd.Process.Signal(signal)
		<-s.ended
	}
}

func (s *Server) remove() {
	s.Kill()
	if s.output != nil {
		_ = s.output.Close()
	}
	_ = os.RemoveAll(s.dir)
}

// programs finds the directory of PostgreSQL's programs: that of the newest version.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("these tests need PostgreSQL's programs (initdb, postgres): `make test` installs them on Debian; " +
			"elsewhere install PostgreSQL 13 or later and put its programs on PATH")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// removeLeftovers removes the data of test processes that were killed.
func removeLeftovers() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) && !alive(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

// alive says whether a server still runs on the data in dir, by the process number it leaves there.
func alive(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, convErr := strconv.Atoi(first)
	return err != nil || convErr != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
