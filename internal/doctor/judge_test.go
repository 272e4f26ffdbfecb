package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/migrate"
)

// TestJudgements judges facts; each expectation is a part of the one check that comes out.
func TestJudgements(t *testing.T) {
	t.Parallel()
	const gb = 1 << 30
	fine := server{user: "app", database: "shop", encoding: "UTF8", connections: 97, used: 10, roleLimit: -1, locks: 6400, locked: 8, autovacuum: true}
	with := func(change func(*server)) server { s := fine; change(&s); return s }
	crew := Crew{Parallel: 4, Most: 32}
	for name, c := range map[string]struct {
		checks []Check
		want   string
	}{
		"plenty of room":              {judgeRoom(Room{Free: 5e9, Files: -1}, "/d", "x"), "ok: 5.0 GB free for x"},
		"little room":                 {judgeRoom(Room{Free: 5e8, Files: 9}, "/d", "x"), "warning: 500 MB free"},
		"hardly any room":             {judgeRoom(Room{Free: 5e6, Files: 9}, "/d", "x"), "problem: 5.0 MB free"},
		"no inode":                    {judgeRoom(Room{Free: 5e9, Files: 0}, "/d", "x"), "problem: no more files"},
		"memory by default":           {judgeMemory(0, memory{10 * gb, 10 * gb}, diag.Pos{}), "ok: the warehouse may take 8.6 GB of 11 GB"},
		"more memory than there is":   {judgeMemory(20*gb, memory{10 * gb, 10 * gb}, diag.Pos{File: "damson.yaml"}), "this machine has 11 GB"},
		"a control group":             {judgeMemory(0, memory{10 * gb, 2 * gb}, diag.Pos{}), "this process may have (its control group) 2.1 GB"},
		"no memory known":             {judgeMemory(0, memory{}, diag.Pos{}), "not_checked"},
		"UTF8":                        {judgeEncoding(fine), "ok"},
		"another encoding":            {judgeEncoding(with(func(s *server) { s.encoding = "LATIN1" })), "warning: the database's encoding is LATIN1"},
		"no encoding":                 {judgeEncoding(with(func(s *server) { s.encoding = "SQL_ASCII" })), "warning: the database has no encoding"},
		"connections":                 {judgeConnections(fine, crew, diag.Pos{}), "ok: 87 free, a server takes up to 9"},
		"few connections":             {judgeConnections(with(func(s *server) { s.used = 90 }), crew, diag.Pos{}), "max_connections: 6 of the environment"},
		"no connections":              {judgeConnections(with(func(s *server) { s.used = 99 }), crew, diag.Pos{}), "problem: 0 connections are free"},
		"a limit of the role":         {judgeConnections(with(func(s *server) { s.roleLimit = 4 }), crew, diag.Pos{}), "ALTER ROLE app CONNECTION LIMIT"},
		"a superuser has no limit":    {judgeConnections(with(func(s *server) { s.roleLimit, s.superuser = 1, true }), crew, diag.Pos{}), "ok"},
		"locks":                       {judgeLocks(fine), "ok"},
		"hardly any lock left":        {judgeLocks(with(func(s *server) { s.locked = 6000 })), "max_locks_per_transaction"},
		"the same clock":              {judgeClock(drift{time.Second, time.Millisecond}), "ok"},
		"a clock ahead":               {judgeClock(drift{3 * time.Second, 10 * time.Millisecond}), "warning: the server's clock is 3s ahead of this machine's"},
		"a clock behind":              {judgeClock(drift{-3 * time.Second, 10 * time.Millisecond}), "3s behind this machine's"},
		"a slow network":              {judgeClock(drift{3 * time.Second, 2 * time.Second}), "ok"},
		"autovacuum off":              {judgeStatistics(with(func(s *server) { s.autovacuum = false }), "postgres", nil), "warning: autovacuum is off"},
		"none on Greenplum":           {judgeStatistics(with(func(s *server) { s.autovacuum = false }), "greenplum", nil), "ok"},
		"no statistics":               {judgeStatistics(fine, "postgres", []statistics{{Table: Table{"geo", "Big"}, bytes: 10 << 20, unknown: 10 << 20}}), `ANALYZE geo."Big";`},
		"old statistics":              {judgeStatistics(fine, "postgres", []statistics{{Table: Table{"geo", "x"}, bytes: 10 << 20, rows: 100, live: 100, modified: 60}}), "with old statistics"},
		"a small table":               {judgeStatistics(fine, "postgres", []statistics{{bytes: 1 << 20, unknown: 1 << 20}}), "ok"},
		"dead rows":                   {judgeStatistics(fine, "postgres", []statistics{{Table: Table{"geo", "x"}, bytes: 10 << 20, rows: 100, live: 100, dead: 200}}), "VACUUM geo.x;"},
		"nobody waits":                {judgeActivity(activity{}), "ok"},
		"an old store":                {judgeStore(Store{Place: "s", Has: 1, Knows: 2}), "warning: the store is of an older Damson"},
		"a new store":                 {judgeStore(Store{Place: "s", Has: 3, Knows: 2}), "problem: the store is newer"},
		"a standby":                   {judgeStore(Store{Server: &StoreServer{ReadOnly: true, MayMake: true}}), "problem: the store cannot be written"},
		"no rights to the store":      {judgeStore(Store{Server: &StoreServer{}}), "problem: the store's user has too few rights"},
		"an old server of the store":  {judgeStore(Store{Server: &StoreServer{TooOld: true}}), "problem: the store's PostgreSQL is too old"},
		"a store's connections":       {judgeStoreConnections(StoreServer{Free: 3, Uses: 6}), "warning: 3 connections"},
		"no connection of a store":    {judgeStoreConnections(StoreServer{Free: 0, Uses: 6}), "problem: 0 connections"},
		"no server, schedules":        {judgeLeader(nil, true), "ok: none runs; schedules need one"},
		"a silent server":             {judgeLeader(&Leader{Name: "process 7", Silent: diag.Finding{Detail: "Nothing came."}}, true), "Process 7 leads the project. Nothing came."},
		"a server of another version": {judgeLeader(&Leader{Name: "process 7", Version: "v1", Own: "v2"}, true), "Process 7 is Damson v1, and this one is v2."},
		"a server":                    {judgeLeader(&Leader{Name: "process 7", Address: "http://h"}, true), "ok: process 7 at http://h"},
		"no Python":                   {checkPython(context.Background(), []string{"p.t"}, "python9", false), "problem: Python is not there"},
		"something that is no Python": {checkPython(context.Background(), []string{"p.t"}, "/bin/false", true), "problem: Python does not start"},
		"pending migrations":          {judgeMigrations([]migrate.Entry{entry(1, migrate.Applied), entry(2, migrate.Pending), entry(3, migrate.Pending)}), "warning: 2 migrations pending\n  Not applied yet: V2__m and V3__m."},
		"a migration half-way":        {judgeMigrations([]migrate.Entry{entry(1, migrate.Pending), entry(2, migrate.HalfWay)}), "problem: A migration stands half-way [migrations/V2__m.sql]"},
		"migrations in order":         {judgeMigrations([]migrate.Entry{entry(1, migrate.Applied)}), "ok: 1 migration, all in order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := text(c.checks); !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant %q", got, c.want)
			}
			for _, one := range c.checks {
				if one.Status != OK && one.Status != NotChecked && (one.Why == "" || one.Fix == "") {
					t.Errorf("%+v tells no reason or no cure", one)
				}
			}
		})
	}
}

func entry(version int64, state migrate.State) migrate.Entry {
	return migrate.Entry{Version: version, Label: fmt.Sprint("V", version), Name: "m", File: fmt.Sprintf("migrations/V%d__m.sql", version), State: state,
		Row: &migrate.Row{File: "x"}}
}

// TestStepsGoOn has steps that hang, fail and panic at nothing: the others are taken, in their order, and nobody waits for long.
func TestStepsGoOn(t *testing.T) {
	t.Parallel()
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	good := func(context.Context) ([]Check, error) { return ok("good"), nil }
	steps := []step{
		{"a", "first", 0, good},
		{"a", "hangs", time.Millisecond, func(context.Context) ([]Check, error) { <-forever; return nil, nil }},
		{"a", "fails", 0, func(context.Context) ([]Check, error) {
			return nil, diag.Finding{Summary: "No right", Detail: "why", Fix: "fix"}
		}},
		{"a", "breaks", 0, func(context.Context) ([]Check, error) { return ok("not this"), errors.New("broken pipe") }},
		{"a", "last", 0, good},
	}
	want := "ok: good\nwarning: no answer within 1ms\n  It was not waited for any longer, so nothing is known about it.\n" +
		"  Fix: Look whether the machine or server is overloaded or locked, and try again.\n" +
		"warning: No right\n  why\n  Fix: fix\nwarning: could not be looked at\n  broken pipe\nok: good\n"
	if got := text(take(t.Context(), 1, steps)); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestState tells of directories that cannot be used.
func TestState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := text(checkState(dir + "/.damson")); got != "ok: the first run makes .damson\n" {
		t.Error(got)
	}
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := text(checkState(dir + "/file")); !strings.HasPrefix(got, "problem: the state directory is a file") {
		t.Error(got)
	}
	if got := text(checkState("/proc/damson")); !strings.HasPrefix(got, "problem: the state directory cannot be written") {
		t.Error(got)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

// TestMemory reads Linux's files.
func TestMemory(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/proc/meminfo": "MemFree: 1 kB\nMemTotal:       2048 kB\n"}
	read := func(path string) ([]byte, error) {
		if text, there := files[path]; there {
			return []byte(text), nil
		}
		return nil, os.ErrNotExist
	}
	if got := memoryOf(read); got != (memory{2 << 20, 2 << 20}) {
		t.Errorf("without a group: %v", got)
	}
	files["/sys/fs/cgroup/memory.max"] = "max\n"
	if got := memoryOf(read); got != (memory{2 << 20, 2 << 20}) {
		t.Errorf("a group without bound: %v", got)
	}
	files["/sys/fs/cgroup/memory.max"] = "1048576\n"
	if got := memoryOf(read); got != (memory{2 << 20, 1 << 20}) {
		t.Errorf("a bounded group: %v", got)
	}
}

// TestQueriesHideLiterals shows who blocks without what may be a password.
func TestQueriesHideLiterals(t *testing.T) {
	t.Parallel()
	a := activity{waits: []wait{{session{1, "app", "", "active", 3 * time.Second, "select 1"},
		session{2, "dba", "psql", "idle in transaction", time.Minute, "ALTER ROLE app PASSWORD 'plum-stone' -- plum-stone"}, "geo.x"}}}
	want := "warning: a session waits for a lock on geo.x, for 3s\n  Process 1 (user app), running: select 1 waits for process 2 (user dba, psql), idle in transaction after: " +
		"ALTER ROLE app PASSWORD '…'. Damson's tasks may wait as well.\n  Fix: Let the latter end its transaction, or end it: SELECT pg_terminate_backend(2);\n"
	if got := text(judgeActivity(a)); got != want {
		t.Errorf("got\n%s", got)
	}
}
