package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"damson/internal/sqltext"
)

// session is a session of the server.
type session struct {
	pid                      int64
	user, application, doing string
	since                    time.Duration // of its transaction, or of its wait
	query                    string
}

// wait is a session that waits for a lock, and one that stands in its way.
type wait struct {
	waiting, holding session
	table            string // "" = a lock of something else, such as a row
}

// waitSQL gives who waits for whom in this database. pg_blocking_pids looks at the lock table, so it is asked of those only that wait.
const waitSQL = `SELECT w.pid, coalesce(CAST(w.usename AS text), ''), coalesce(w.application_name, ''), coalesce(w.state, ''),
	coalesce(CAST(extract(epoch FROM clock_timestamp() - w.query_start) AS double precision), 0), coalesce(w.query, ''),
	h.pid, coalesce(CAST(h.usename AS text), ''), coalesce(h.application_name, ''), coalesce(h.state, ''),
	coalesce(CAST(extract(epoch FROM clock_timestamp() - h.xact_start) AS double precision), 0), coalesce(h.query, ''),
	coalesce((SELECT CAST(CAST(l.relation AS regclass) AS text) FROM pg_catalog.pg_locks AS l WHERE l.pid = w.pid AND NOT l.granted AND l.relation IS NOT NULL
		AND l.locktype = 'relation' LIMIT 1), '')
FROM (SELECT a.*, pg_catalog.pg_blocking_pids(a.pid) AS blockers FROM pg_catalog.pg_stat_activity AS a
	WHERE a.datname = current_database() AND a.wait_event_type = 'Lock') AS w
JOIN pg_catalog.pg_stat_activity AS h ON h.pid = ANY (w.blockers)
ORDER BY w.query_start, w.pid, h.pid LIMIT 20`

// longSQL gives sessions whose transaction is open for an hour, or that have done nothing in one for five minutes.
const longSQL = `SELECT a.pid, coalesce(CAST(a.usename AS text), ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
	CAST(extract(epoch FROM clock_timestamp() - a.xact_start) AS double precision), coalesce(a.query, '')
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND (a.xact_start < clock_timestamp() - interval '1 hour'
	OR a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - interval '5 minutes')
ORDER BY a.xact_start, a.pid LIMIT 20`

// sessionAt reads six columns.
func (r row) sessionAt(i int) session {
	return session{r.whole(i), r.text(i + 1), r.text(i + 2), r.text(i + 3), time.Duration(r.real(i+4) * float64(time.Second)), r.text(i + 5)}
}

// activity is what others do in the database.
type activity struct {
	waits []wait
	long  []session
}

func askActivity(ctx context.Context, q Query, waits string) (a activity, err error) {
	all, err := q.all(ctx, waits)
	if err != nil {
		return a, err
	}
	for _, r := range all {
		a.waits = append(a.waits, wait{r.sessionAt(0), r.sessionAt(6), r.text(12)})
	}
	all, err = q.all(ctx, longSQL)
	for _, r := range all {
		a.long = append(a.long, r.sessionAt(0))
	}
	return a, err
}

func judgeActivity(a activity) []Check {
	var checks []Check
	for _, w := range a.waits {
		what := "a session waits for a lock"
		if w.table != "" {
			what = "a session waits for a lock on " + w.table
		}
		checks = append(checks, Check{Status: Warning, What: fmt.Sprintf("%s, for %s", what, w.waiting.since.Round(time.Second)),
			Why: fmt.Sprintf("%s waits for %s. Damson's tasks may wait as well.", upper(w.waiting.String()), w.holding),
			Fix: fmt.Sprintf("Let the latter end its transaction, or end it: SELECT pg_terminate_backend(%d);", w.holding.pid)})
	}
	for _, s := range a.long {
		checks = append(checks, Check{Status: Warning, What: fmt.Sprintf("a transaction is open for %s", s.since.Round(time.Second)),
			Why: fmt.Sprintf("%s. It keeps its locks, and rows that were deleted since cannot be cleaned up.", upper(s.String())),
			Fix: fmt.Sprintf("Let it end, or end it: SELECT pg_terminate_backend(%d);", s.pid)})
	}
	if len(checks) > 0 {
		return checks
	}
	return ok("nobody waits for a lock, no transaction is open for long")
}

// String says who it is and what it does, without the literals of its statement: passwords stand in them.
func (s session) String() string {
	who := fmt.Sprintf("process %d", s.pid)
	if s.user != "" {
		who += " (user " + s.user
		if s.application != "" {
			who += ", " + s.application
		}
		who += ")"
	}
	if s.query == "" {
		return who
	}
	doing := "running"
	if strings.HasPrefix(s.doing, "idle") {
		doing = s.doing + " after"
	}
	return fmt.Sprintf("%s, %s: %s", who, doing, withoutLiterals(s.query))
}

// longestQuery is how much of a statement is shown, in characters.
const longestQuery = 80

func withoutLiterals(sql string) string {
	var b strings.Builder
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		switch tok.Kind {
		case sqltext.String:
			b.WriteString("'…'")
		case sqltext.Space, sqltext.Comment:
			b.WriteByte(' ')
		default:
			b.WriteString(sql[tok.From:tok.To])
		}
	}
	characters := []rune(strings.Join(strings.Fields(b.String()), " "))
	if len(characters) > longestQuery {
		return string(characters[:longestQuery]) + "…"
	}
	return string(characters)
}

// upper begins a sentence.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
