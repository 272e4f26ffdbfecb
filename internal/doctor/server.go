package doctor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/warehouse/driver"
)

// server is what a warehouse in a server says of itself.
type server struct {
	number         int64 // of the PostgreSQL it is or stands on, as 150018
	user, database string
	superuser      bool
	mayMakeSchemas bool
	encoding       string
	connections    int64 // that the server takes, but for those kept for superusers
	used           int64 // by others than Damson
	roleLimit      int64 // of connections; -1 = none
	locks          int64 // that the server has room for
	locked         int64
	autovacuum     bool
}

// serverSQL gives one row, on PostgreSQL 9.4 and later. max_connections and the rest are settings that everybody may read.
const serverSQL = `SELECT CAST(s.number AS bigint), CAST(current_user AS text), CAST(current_database() AS text), coalesce(r.rolsuper, false),
	has_database_privilege(current_database(), 'CREATE'), s.encoding, CAST(s.connections AS bigint) - CAST(s.kept AS bigint),
	(SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.datid IS NOT NULL AND coalesce(a.application_name, '') <> 'damson'),
	CAST(coalesce(r.rolconnlimit, -1) AS bigint),
	CAST(s.locks AS bigint) * (CAST(s.connections AS bigint) + CAST(s.prepared AS bigint)),
	(SELECT count(*) FROM pg_catalog.pg_locks AS l WHERE NOT l.fastpath), coalesce(s.autovacuum, 'on') = 'on'
FROM (SELECT max(CASE name WHEN 'server_version_num' THEN setting END) AS number,
		max(CASE name WHEN 'server_encoding' THEN setting END) AS encoding,
		max(CASE name WHEN 'max_connections' THEN setting END) AS connections,
		max(CASE name WHEN 'superuser_reserved_connections' THEN setting END) AS kept,
		max(CASE name WHEN 'max_locks_per_transaction' THEN setting END) AS locks,
		max(CASE name WHEN 'max_prepared_transactions' THEN setting END) AS prepared,
		max(CASE name WHEN 'autovacuum' THEN setting END) AS autovacuum
	FROM pg_catalog.pg_settings) AS s
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = current_user`

func askServer(ctx context.Context, q Query) (server, error) {
	r, err := q.one(ctx, serverSQL)
	if err != nil {
		return server{}, err
	}
	return server{number: r.whole(0), user: r.text(1), database: r.text(2), superuser: r.truth(3), mayMakeSchemas: r.truth(4), encoding: r.text(5),
		connections: r.whole(6), used: r.whole(7), roleLimit: r.whole(8), locks: r.whole(9), locked: r.whole(10), autovacuum: r.truth(11)}, nil
}

var kinds = map[string]string{"duckdb": "DuckDB", "postgres": "PostgreSQL", "greenplum": "Greenplum"}

func judgeVersion(c driver.Capabilities) []Check { return ok("%s %s", kinds[c.Kind], c.Version) }

func judgeEncoding(s server) []Check {
	switch s.encoding {
	case "UTF8":
		return ok("UTF8")
	case "SQL_ASCII":
		return []Check{{Status: Warning, What: "the database has no encoding (SQL_ASCII)",
			Why: "It keeps whatever bytes it is given. A text that is not UTF-8 stops the task that reads it.",
			Fix: "Move the data to a database made with ENCODING 'UTF8' TEMPLATE template0."}}
	}
	return []Check{{Status: Warning, What: "the database's encoding is " + s.encoding,
		Why: "Damson writes texts in UTF-8. A character that " + s.encoding + " does not have stops the task that writes it.",
		Fix: "Move the data to a database made with ENCODING 'UTF8' TEMPLATE template0."}}
}

// Crew is how many connections a server of Damson takes from the warehouse.
type Crew struct {
	Parallel int // tasks at a time
	Most     int // connections that the environment allows
}

// takes: a task has up to two, one that reads and one that writes; one more looks at locks.
func (c Crew) takes() int64 { return int64(min(c.Most, 2*c.Parallel)) + 1 }

// fewest is what one task takes.
const fewest = 3

func judgeConnections(s server, crew Crew, at diag.Pos) []Check {
	free, why := s.connections-s.used, fmt.Sprintf("The server takes %d connections, and others have %d of them.", s.connections, s.used)
	fix := "Stop what holds connections, or raise max_connections on the server."
	if s.roleLimit >= 0 && !s.superuser && s.roleLimit < free {
		free, why = s.roleLimit, fmt.Sprintf("User %q may have %d at a time.", s.user, s.roleLimit)
		fix = fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT -1, or a higher number.", ident(s.user))
	}
	free = max(free, 0)
	why += fmt.Sprintf(" A server of Damson with %s at a time takes up to %d.", plural(crew.Parallel, "task"), crew.takes())
	switch {
	case free < fewest:
		return []Check{{Status: Problem, At: at, What: fmt.Sprintf("%d connections are free", free), Why: why, Fix: fix}}
	case free < crew.takes():
		return []Check{{Status: Warning, At: at, What: fmt.Sprintf("%d connections are free", free), Why: why,
			Fix: fix + fmt.Sprintf(" Or set max_connections: %d of the environment in damson.yaml.", max(free-1, 2))}}
	}
	return ok("%d free, a server takes up to %d", free, crew.takes())
}

// fullLocks is the share of the lock table from which there is a warning. A transaction over a table with many partitions takes a
// lock of each.
const fullLocks = 0.7

func judgeLocks(s server) []Check {
	if s.locks > 0 && float64(s.locked) > fullLocks*float64(s.locks) {
		return []Check{{Status: Warning, What: fmt.Sprintf("%d of %d locks are taken", s.locked, s.locks),
			Why: "When none is left, statements fail with \"out of shared memory\". A statement over a table with many partitions takes a lock of each.",
			Fix: "Raise max_locks_per_transaction on the server, and start it again."}}
	}
	return ok("%d of %d locks taken", s.locked, s.locks)
}

// mostDrift is how far the clocks may be apart.
const mostDrift = 2 * time.Second

// drift is how far a server's clock is ahead of this machine's, and by how much that may be wrong: half of the question's round trip.
type drift struct{ ahead, doubt time.Duration }

// clockTries: the fastest of so many questions tells the clock best.
const clockTries = 3

// askClock compares the clocks.
func askClock(ctx context.Context, q Query, c clock.Clock) (best drift, err error) {
	for try := range clockTries {
		began := c.Now()
		r, err := q.one(ctx, "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")
		if err != nil {
			return drift{}, err
		}
		d := drift{doubt: c.Now().Sub(began) / 2}
		server := time.Unix(0, int64(r.real(0)*float64(time.Second)))
		d.ahead = server.Sub(began.Add(d.doubt))
		if try == 0 || d.doubt < best.doubt {
			best = d
		}
	}
	return best, nil
}

func judgeClock(d drift) []Check {
	away := d.ahead.Abs()
	if away-d.doubt <= mostDrift {
		return ok("the same within %s", max(away, d.doubt, time.Millisecond).Round(time.Millisecond))
	}
	word := "ahead of"
	if d.ahead < 0 {
		word = "behind"
	}
	return []Check{{Status: Warning, What: fmt.Sprintf("the server's clock is %s %s this machine's", away.Round(100*time.Millisecond), word),
		Why: "Schedules and records go by this machine's clock, and now() in SQL by the server's: rows of the last minutes can fall into the wrong interval.",
		Fix: "Have both machines set their clocks by the network (chrony, systemd-timesyncd)."}}
}

// atLeast reports whether the server is or stands on a PostgreSQL from a major version on.
func (s server) atLeast(major int64) bool { return s.number >= major*10000 }

func number(n int64) string { return strconv.FormatInt(n, 10) }
