package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"damson/internal/diag"
)

// oldest is the oldest PostgreSQL, as its server_version_num.
const oldest = 130000

// Sight is what a server says of itself, and of the store in it.
type Sight struct {
	Place      string // database and server, without user and password
	Version    string // of the server
	TooOld     bool
	ReadOnly   bool          // as a standby is
	Schema     bool          // the store's schema is there
	MayMake    bool          // the user may make it, or, when it is there, tables in it
	Ahead      time.Duration // how far the server's clock is ahead of this machine's
	Doubt      time.Duration // half of the round trip, by which Ahead may be wrong
	Free, Uses int           // connections that the server has left, and that a process of Damson uses at most
}

// lookSQL gives one row.
const lookSQL = `SELECT current_setting('server_version'), current_setting('server_version_num'), pg_is_in_recovery(),
	EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1),
	COALESCE((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), has_database_privilege(current_database(), 'CREATE')),
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- (SELECT count(*)::int FROM pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid())`

// Look asks the server of url, and changes nothing. Errors are those of Open. patience bounds each attempt to connect; now is this
// machine's clock.
func Look(ctx context.Context, url string, patience time.Duration, now func() time.Time) (s Sight, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return s, unreadable()
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = patience
	}
	d := &database{config: config}
	s.Place, s.Uses = d.place(), readers+2
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return s, d.Explain(err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var number string
	err = conn.QueryRow(ctx, lookSQL, schema).Scan(&s.Version, &number, &s.ReadOnly, &s.Schema, &s.MayMake, &s.Free)
	if err != nil {
		return s, d.Explain(err)
	}
	n, _ := strconv.Atoi(number) // 0 is too old
	s.TooOld = n < oldest
	var server time.Time
	began := now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`, pgx.QueryExecModeSimpleProtocol).Scan(&server); err != nil {
		return s, d.Explain(err)
	}
	ended := now()
	s.Doubt = ended.Sub(began) / 2
	s.Ahead = server.Sub(began.Add(s.Doubt))
	return s, nil
}

// unreadable is the error of a URL, which it does not show: the password may be in it.
func unreadable() error {
	return diag.Finding{Summary: "The store's address cannot be read",
		Detail: "It is not a PostgreSQL URL.",
		Fix:    "Write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with characters such as @, / and # in the password as %40, %2F and %23."}
}
