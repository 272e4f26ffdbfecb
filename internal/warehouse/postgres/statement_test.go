package postgres

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"damson/internal/warehouse/driver"
)

func TestWhatAStatementIs(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]struct{ reads, writes, alters, client bool }{
		"SELECT 1":                      {reads: true},
		"/* x */ (SELECT 1)":            {reads: true},
		"VALUES (1)":                    {reads: true},
		"-- only a comment":             {writes: true},
		"WITH a AS (SELECT 1) SELECT 2": {reads: true},
		"WITH insert AS (SELECT 1), \"update\" (x) AS (SELECT 1) SELECT * FROM insert": {reads: true, writes: true},
		"WITH a AS (INSERT INTO t VALUES (1) RETURNING x) SELECT * FROM a":             {reads: true, writes: true},
		"WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a RETURNING x":               {writes: true},
		"WITH a AS (SELECT 'delete from') DELETE FROM t":                               {writes: true},
		"INSERT INTO t VALUES (1) RETURNING x":                                         {writes: true},
		"EXPLAIN ANALYZE DELETE FROM t":                                                {writes: true},
		"CREATE TABLE t (x int)":                                                       {writes: true},
		"CREATE TEMP TABLE t (x int)":                                                  {writes: true, alters: true},
		"CREATE TABLE pg_temp.t (x int)":                                               {writes: true, alters: true},
		"SET x = 1":                                                                    {writes: true, alters: true},
		"SELECT set_config('a', 'b', false)":                                           {reads: true, alters: true},
		"SELECT \"set_config\"":                                                        {reads: true},
		"DO $$ BEGIN END $$":                                                           {writes: true, alters: true},
		"COPY t FROM STDIN":                                                            {writes: true, client: true},
		"COPY (SELECT 1) TO STDOUT (FORMAT csv)":                                       {writes: true, client: true},
		"COPY t (stdin) FROM '/srv/stdin.csv'":                                         {writes: true},
	} {
		if isSelect(sql) != want.reads || mayWrite(sql) != want.writes || altersSession(sql) != want.alters || (refuseCopy(sql) != nil) != want.client {
			t.Errorf("%s: reads %t, may write %t, alters %t, client %v", sql, isSelect(sql), mayWrite(sql), altersSession(sql), refuseCopy(sql))
		}
	}
}

// TestErrorsOfServersThatAreNotHere reads errors of Greenplum, and of servers that speak another language.
func TestErrorsOfServersThatAreNotHere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		said    pgconn.PgError
		class   driver.Class
		message string
	}{
		{pgconn.PgError{Code: "22012", Message: "division by zero  (seg1 slice1 10.0.0.5:6000 pid=4711)"}, driver.DataError, "division by zero (seg1 slice1 10.0.0.5:6000 pid=4711)"},
		{pgconn.PgError{Code: "XX000", Message: "tuple concurrently updated"}, driver.Conflict, "tuple concurrently updated"},
		{pgconn.PgError{Code: "53200", Message: "Out of memory", Detail: "VM protect failed to allocate 8 bytes, 0 MB available"}, driver.OutOfMemory,
			"Out of memory\nVM protect failed to allocate 8 bytes, 0 MB available"},
		{pgconn.PgError{Code: "53100", Message: "could not extend file \"base/1\": No space left on device"}, driver.DiskFull, "could not extend file \"base/1\": No space left on device"},
		{pgconn.PgError{Code: "08006", Severity: "ERROR", Message: "foreign server is away"}, driver.Unclassified, "foreign server is away"},
		{pgconn.PgError{Code: "08006", Severity: "FATAL", Message: "terminating"}, driver.Connection, "terminating"},
		{pgconn.PgError{Code: "0A000", Routine: "RevalidateCachedQuery", Message: "gecachter Plan darf den Ergebnistyp nicht ändern"}, driver.Conflict,
			"gecachter Plan darf den Ergebnistyp nicht ändern"},
		{pgconn.PgError{Code: "?", Message: "what no manual has"}, driver.Unclassified, "what no manual has"},
	} {
		e := newError("", &c.said)
		if e.Class != c.class || e.Message != c.message {
			t.Errorf("%s is %q, %q; want %q, %q", c.said.Message, e.Class, e.Message, c.class, c.message)
		}
	}
	german := &pgconn.PgError{Code: "57014", Message: "storniere Anfrage wegen Zeitüberschreitung der Anfrage"}
	w := &Warehouse{server: server{statementTimeout: 100}}
	timeout, cancel := newError("", german), newError("", german)
	w.explainStop(timeout, german, 150, nil)
	w.explainStop(cancel, german, 50, nil)
	if timeout.Message == cancel.Message {
		t.Errorf("a timeout and a cancel are told alike: %s", timeout.Message)
	}
	if doubted(nil) != nil || !errors.Is(doubted(errClosed), errClosed) {
		t.Error("what is in no doubt is marked so")
	}
}
