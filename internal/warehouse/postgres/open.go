package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"damson/internal/diag"
)

// Kinds of database behind the protocol.
const (
	postgres  = "postgres"
	greenplum = "greenplum"
)

const (
	// DefaultMaxConns is how many connections a process has at a time when nobody says.
	DefaultMaxConns = 32

	connectTimeout = 10 * time.Second
	idleTimeout    = 5 * time.Minute
	// pingAfter is how long a connection may lie idle before it is asked whether it still lives.
	pingAfter = 100 * time.Millisecond
)

// place is where a database is, without its password.
type place struct {
	database, user, host string
	port                 uint16
}

func (p place) server() string { return net.JoinHostPort(p.host, strconv.Itoa(int(p.port))) }

func (p place) String() string { return fmt.Sprintf("database %q at %s", p.database, p.server()) }

// server is what a server says of itself.
type server struct {
	kind, version                 string
	number                        int // of the version of PostgreSQL, or of the one that Greenplum stands on, as 150018
	asyncCommit                   bool
	statementTimeout, lockTimeout time.Duration
}

// oldGreenplum reports whether it is a Greenplum that keeps partitions in catalogs of its own.
func (s server) oldGreenplum() bool { return s.kind == greenplum && s.number < 120000 }

// Open opens the database of a URL (postgres://, postgresql:// or greenplum://USER:PASSWORD@HOST:PORT/DATABASE). What it
// leaves out comes from PostgreSQL's usual environment variables and password file; its parameters are those of libpq,
// pool_max_conns, and any setting of the server's, such as search_path. A database that cannot be reached, or is not what the
// URL says, is a diag.Finding.
func Open(ctx context.Context, url string, o Options) (*Warehouse, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	if scheme == greenplum {
		url = postgres + "://" + rest
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil || rest == "" {
		return nil, unreadable() // neither url nor err: they may show the password
	}
	configure(config, o)
	w := &Warehouse{place: place{
		database: config.ConnConfig.Database, user: config.ConnConfig.User, host: config.ConnConfig.Host, port: config.ConnConfig.Port,
	}}
	w.patience = config.ConnConfig.ConnectTimeout
	err = w.connect(ctx, config)
	for err != nil && giveUpWish(config.ConnConfig.RuntimeParams, err) {
		err = w.connect(ctx, config)
	}
	if err != nil {
		return nil, w.openError(ctx, err)
	}
	if err := w.check(scheme); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// wishes are settings that some servers have not, and that all can be used without: Greenplum 6 has no jit, a server before
// PostgreSQL 14, or on some systems, no client_connection_check_interval.
var wishes = []string{"jit", "client_connection_check_interval"}

// giveUpWish removes the wish that a server has refused a session for, and reports whether there was one.
func giveUpWish(settings map[string]string, err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.Code != "42704" && said.Code != "22023" {
		return false
	}
	for _, name := range wishes {
		if _, wished := settings[name]; wished && strings.Contains(said.Message, `"`+name+`"`) {
			delete(settings, name)
			return true
		}
	}
	return false
}

// checkClient is how often the server looks, while a statement runs, whether its client is still there. Of a process that was
// killed nothing else tells before the statement has rows to send.
const checkClient = 2 * time.Second

// configure bounds the pool and makes every session alike, whatever the server's defaults.
func configure(config *pgxpool.Config, o Options) {
	c := config.ConnConfig
	if _, given := c.RuntimeParams["pool_max_conns"]; !given && !strings.Contains(c.ConnString(), "pool_max_conns") {
		config.MaxConns = DefaultMaxConns
	}
	if o.MaxConns > 0 {
		config.MaxConns = int32(o.MaxConns)
	}
	config.MaxConnIdleTime = idleTimeout
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > pingAfter }
	config.PingTimeout = connectTimeout
	if c.ConnectTimeout == 0 || o.ConnectTimeout > 0 {
		c.ConnectTimeout = cmp.Or(o.ConnectTimeout, connectTimeout)
	}
	c.BuildContextWatcherHandler = newStopper
	set := func(name, value string, force bool) {
		if _, given := c.RuntimeParams[name]; !given || force {
			c.RuntimeParams[name] = value
		}
	}
	set("application_name", "damson", false)
	set("jit", "off", false) // compiling a scoring statement takes 30 times as long as running it
	set("client_connection_check_interval", strconv.FormatInt(checkClient.Milliseconds(), 10), false)
	set("tcp_keepalives_idle", "30", false) // s; a client whose machine is gone is missed after a minute, not after two hours
	set("tcp_keepalives_interval", "10", false)
	set("tcp_keepalives_count", "3", false)
	set("TimeZone", "UTC", true)           // a timestamp with time zone is read in UTC, also inside of texts
	set("DateStyle", "ISO, MDY", true)     // as are dates
	set("IntervalStyle", "postgres", true) // and intervals
	set("extra_float_digits", "3", true)   // a double's text gives the same double again, on Greenplum 6 as well
	set("client_encoding", "UTF8", true)
	set("standard_conforming_strings", "on", true)
	if o.StatementTimeout > 0 {
		set("statement_timeout", strconv.FormatInt(o.StatementTimeout.Milliseconds(), 10), true)
	}
	if o.LockTimeout > 0 {
		set("lock_timeout", strconv.FormatInt(o.LockTimeout.Milliseconds(), 10), true)
	}
}

// connect makes the pools and asks the server who it is.
func (w *Warehouse) connect(ctx context.Context, config *pgxpool.Config) (err error) {
	if w.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	if err = w.ask(ctx); err != nil {
		w.pool.Close()
		return err
	}
	aside := config.Copy()
	aside.MaxConns, aside.MinConns, aside.MinIdleConns = 1, 0, 0
	if w.server.lockTimeout > 0 {
		aside.MinConns = 1 // ready when somebody waits
	}
	aside.MaxConnIdleTime = time.Minute
	delete(aside.ConnConfig.RuntimeParams, "statement_timeout")
	delete(aside.ConnConfig.RuntimeParams, "lock_timeout")
	if w.watch, err = pgxpool.NewWithConfig(ctx, aside); err != nil {
		w.pool.Close()
	}
	return err
}

// serverSQL gives one row; a setting that a server does not have is NULL. Timeouts are in milliseconds.
const serverSQL = `SELECT version(), max(CASE name WHEN 'server_version' THEN setting END), max(CASE name WHEN 'server_version_num' THEN setting END),
	max(CASE name WHEN 'gp_server_version' THEN setting END), max(CASE name WHEN 'synchronous_commit' THEN setting END),
	max(CASE name WHEN 'statement_timeout' THEN setting END), max(CASE name WHEN 'lock_timeout' THEN setting END)
FROM pg_catalog.pg_settings WHERE name IN ('server_version', 'server_version_num', 'gp_server_version', 'synchronous_commit', 'statement_timeout', 'lock_timeout')`

// ask fills server.
func (w *Warehouse) ask(ctx context.Context) error {
	c, err := w.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	results, err := c.Conn().PgConn().Exec(ctx, serverSQL).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return errors.New("the server does not tell its version")
	}
	w.server = newServer(texts(results[0])[0], results[0].Rows[0][3] != nil)
	return nil
}

// newServer reads the row of serverSQL.
func newServer(row []string, isGreenplum bool) server {
	milliseconds := func(s string) time.Duration {
		n, _ := strconv.Atoi(s) // a server without the setting has no such timeout
		return time.Duration(n) * time.Millisecond
	}
	s := server{kind: postgres, asyncCommit: row[4] == "off", statementTimeout: milliseconds(row[5]), lockTimeout: milliseconds(row[6])}
	s.version, _, _ = strings.Cut(row[1], " ")
	s.number, _ = strconv.Atoi(row[2]) // 0 is refused as too old
	if isGreenplum {
		s.kind = greenplum
		gp, _, _ := strings.Cut(row[3], " ")
		family := ""
		for _, name := range []string{"Cloudberry", "Greengage"} {
			if strings.Contains(row[0], name) {
				family = name + " "
			}
		}
		s.version = fmt.Sprintf("%s%s (PostgreSQL %s)", family, gp, s.version)
	}
	return s
}

// The oldest versions: Greenplum 6 stands on PostgreSQL 9.4.
const (
	oldestPostgres  = 130000
	oldestGreenplum = 90400
)

// check refuses a database that is not what the URL says, or too old.
func (w *Warehouse) check(scheme string) error {
	said := postgres
	if scheme == greenplum {
		said = greenplum
	}
	names := map[string]string{postgres: "PostgreSQL", greenplum: "Greenplum"}
	summary := fmt.Sprintf("The warehouse's %s cannot be used", w.place)
	if said != w.server.kind {
		return diag.Finding{Severity: diag.Error, Summary: summary,
			Detail: fmt.Sprintf("Its URL begins with %s:// and the server is %s %s.", scheme, names[w.server.kind], w.server.version),
			Fix:    fmt.Sprintf("Begin the URL with %s://.", w.server.kind)}
	}
	oldest, least := oldestPostgres, "PostgreSQL 13"
	if w.server.kind == greenplum {
		oldest, least = oldestGreenplum, "Greenplum 6"
	}
	if w.server.number < oldest {
		return diag.Finding{Severity: diag.Error, Summary: summary,
			Detail: fmt.Sprintf("The server is %s %s; Damson needs %s or later.", names[w.server.kind], w.server.version, least),
			Fix:    "Upgrade the server, or name another in damson.yaml."}
	}
	return nil
}

func unreadable() error {
	return diag.Finding{Severity: diag.Error, Summary: "The warehouse's address cannot be read",
		Detail: "It is not a PostgreSQL URL.",
		Fix:    "Write postgres://USER:PASSWORD@HOST:PORT/DATABASE (or greenplum://…), with characters such as @, / and # in the password as %40, %2F and %23."}
}
