package doctor

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/warehouse/postgres"
)

// asUser is a URL with another user of the password "secret".
func asUser(t *testing.T, address, user string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "secret")
	return u.String()
}

var counter = make(chan int)

func init() {
	go func() {
		for n := 1; ; n++ {
			counter <- n
		}
	}()
}

// newUser makes a user with no rights.
func newUser(t *testing.T, w *postgres.Warehouse) string {
	t.Helper()
	name := fmt.Sprintf("doctor_%d", <-counter)
	run(t, w, "CREATE ROLE "+name+" LOGIN PASSWORD 'secret'")
	t.Cleanup(func() {
		ctx := context.Background()
		_, _ = w.Exec(ctx, "REASSIGN OWNED BY "+name+" TO damson")
		_, _ = w.Exec(ctx, "DROP OWNED BY "+name)
		_, _ = w.Exec(ctx, "DROP ROLE "+name)
	})
	return name
}

var shop = map[string]string{
	"damson.yaml": "name: shop\nenvironments:\n  dev: {warehouse: 'postgres://h/db'}\n",
	"pipelines/p.star": `p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12", end = "2007-04-30")
p.sql("daily", into = "geo.daily", partition_by = "tdate", native = "day")
p.sql("copy", into = "out.copy")
p.python("cluster", file = "python/cluster.py", inputs = {"points": "raw.points", "gone": "raw.gone"})
p.sql("far", into = "out.far")
`,
	"python/cluster.py":      "print(1)\n",
	"sql/daily.sql":          "select date '{{ ds }}' as tdate, 1 as x\n",
	"sql/copy.sql":           "select a.id, raw.nothing from raw.source a\n",
	"sql/far.sql":            "select similarity('a', 'b') as s,\n  '{\"a\": 1}'::hstore as h, st_nowhere_at_all(1) as g\n",
	"migrations/V001__f.sql": "create extension if not exists citext;\ncreate function out.f() returns int language plpython3u as $$ return 1 $$;\n",
}

// TestSuperuserOfAnEmptyDatabase has all rights and nothing made.
func TestSuperuserOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	checks := Examine(t.Context(), patientOf(loaded(t, shop), address))
	for name, want := range map[string]string{
		"reach":      "ok: here\n",
		"version":    "ok: PostgreSQL ",
		"encoding":   "ok: UTF8\n",
		"clock":      "ok: the same within ",
		"rights":     "warning: raw.gone is not there [pipelines/p.star:4:1]\n  Task p.cluster reads it, and no task or migration of the project makes it.\n",
		"partitions": "ok: 1 table ready for the next interval, 1 of them made by the first run\n",
		"migrations": "warning: 1 migration pending\n",
		"activity":   "ok: ",
		"locks":      "ok: ",
		"languages":  "problem: language plpython3u ",
		"extensions": "problem: extension pg_trgm has not been made in this database [sql/far.sql:1:8]\n  The server has it, and the function similarity comes with it.\n  Fix: In this database, or in a migration: CREATE EXTENSION pg_trgm;\n" +
			"problem: extension hstore has not been made in this database [sql/far.sql:2:15]\n",
	} {
		if got := named(checks, "warehouse", name); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := named(checks, "project", "python"); !strings.HasPrefix(got, "problem: Python is not there\n  p.cluster needs it, and python-that-is-not-there is not on this machine.\n") {
		t.Error(got)
	}
	w := open(t, address)
	run(t, w, "CREATE EXTENSION pg_trgm", "CREATE EXTENSION hstore")
	checks = Examine(t.Context(), patientOf(loaded(t, shop), address))
	if got := named(checks, "warehouse", "extensions"); strings.Contains(got, "pg_trgm") || strings.Contains(got, "hstore") || !strings.Contains(got, "postgis") {
		t.Errorf("with two extensions made:\n%s", got)
	}
	var made any
	r, err := w.Query(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname IN ('damson', 'geo', 'out', 'raw')")
	if err == nil {
		r.Next()
		made = r.RecordBatch().Column(0).ValueStr(0)
		r.Release()
	}
	if made != "0" {
		t.Errorf("looking has made %v schemas, %v", made, err)
	}
}

// TestRights has a user who lacks one right after the other.
func TestRights(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	owner := open(t, address)
	user := newUser(t, owner)
	p := patientOf(loaded(t, shop), asUser(t, address, user))
	look := func() string {
		t.Helper()
		return strings.ReplaceAll(named(Examine(t.Context(), p), "warehouse", "rights"), user, "USER")
	}
	all := look()
	for _, schema := range []string{"damson", "geo", "out"} {
		if !strings.Contains(all, "schema "+schema+` is not there, and "USER" may not make it`) || !strings.Contains(all, "CREATE SCHEMA "+schema+" AUTHORIZATION USER;") {
			t.Errorf("nothing of schema %s in\n%s", schema, all)
		}
	}
	run(t, owner, "CREATE SCHEMA damson AUTHORIZATION "+user, "CREATE SCHEMA geo", "CREATE SCHEMA out", "GRANT USAGE, CREATE ON SCHEMA geo TO "+user,
		"GRANT USAGE ON SCHEMA out TO "+user, "CREATE SCHEMA raw", "CREATE TABLE raw.source (id int)", "CREATE TABLE raw.points (id int)", "CREATE TABLE raw.gone (id int)",
		"GRANT USAGE ON SCHEMA raw TO "+user, "GRANT SELECT ON raw.points, raw.gone TO "+user,
		"CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY RANGE (tdate)", "GRANT SELECT, INSERT, DELETE ON geo.daily TO "+user,
		"CREATE TABLE out.copy (id int)", "GRANT SELECT ON out.copy TO "+user)
	golden(t, "rights.txt", look())
	run(t, owner, "GRANT SELECT ON raw.source TO "+user, "ALTER TABLE geo.daily OWNER TO "+user, "GRANT INSERT, DELETE ON out.copy TO "+user, "GRANT CREATE ON SCHEMA out TO "+user)
	if got := look(); got != "ok: \"USER\" may write 3 schemas, and what else is read\n" {
		t.Errorf("with all rights:\n%s", got)
	}
}

// TestTables has tables that are cut otherwise than declared, and one that nobody has analysed.
func TestTables(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	w := open(t, address)
	run(t, w, "CREATE SCHEMA geo", "CREATE SCHEMA out", "CREATE TABLE out.copy (id int) WITH (autovacuum_enabled = false)", "INSERT INTO out.copy SELECT generate_series(1, 300000)",
		"CREATE TABLE geo.daily (tdate date, x bigint) PARTITION BY RANGE (tdate)")
	p := patientOf(loaded(t, shop), address)
	look := func(name string) string {
		t.Helper()
		return named(Examine(t.Context(), p), "warehouse", name)
	}
	if got := look("statistics"); got != "warning: 1 large table without statistics\n  The database plans without knowing their rows: out.copy (11 MB).\n  Fix: ANALYZE out.copy;\n" {
		t.Errorf("before ANALYZE:\n%s", got)
	}
	run(t, w, "ANALYZE out.copy")
	if got := look("statistics"); got != "ok: 2 tables looked at\n" {
		t.Errorf("after ANALYZE:\n%s", got)
	}
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1", "ok: 1 table ready for the next interval, 0 of them made by the first run\n"},
		{"CREATE TABLE geo.y2007 PARTITION OF geo.daily FOR VALUES FROM ('2007-01-01') TO ('2008-01-01')",
			"warning: geo.daily has partitions that overlap the next interval's [pipelines/p.star:2:1]\n  Rows of 2007-04-30 belong to geo.y2007 (2007-01-01 to before 2008-01-01), with those of other intervals"},
		{"DROP TABLE geo.y2007; ", ""},
		{"CREATE TABLE geo.rest PARTITION OF geo.daily DEFAULT", "warning: rows of the next interval go to the default partition of geo.daily"},
		{"CREATE TABLE geo.d30 PARTITION OF geo.daily FOR VALUES FROM ('2007-04-30') TO ('2007-05-01')", "ok: 1 table ready"},
		{"DROP TABLE geo.daily", "ok: 1 table ready for the next interval, 1 of them made by the first run"},
		{"CREATE TABLE geo.daily (x bigint, tdate date) PARTITION BY RANGE (x)", "warning: geo.daily has no partitions that can be exchanged"},
		{"DROP TABLE geo.daily", ""},
		{"CREATE TABLE geo.daily (odate date, tdate date) PARTITION BY RANGE (odate)", "warning: geo.daily is cut by odate, not by tdate"},
	} {
		run(t, w, strings.TrimSuffix(c.sql, "; "))
		if got := look("partitions"); !strings.HasPrefix(got, c.want) {
			t.Errorf("after %s:\n%s\nwant %s", c.sql, got, c.want)
		}
	}
}

// TestWaits sees who waits for whom.
func TestWaits(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	w := open(t, address)
	run(t, w, "CREATE SCHEMA geo", "CREATE TABLE geo.x (a int)")
	holder, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.Background()) }()
	if _, err := holder.Exec(t.Context(), "LOCK TABLE geo.x IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer close(waited)
		_, _ = w.Exec(ctx, "SELECT count(*) FROM geo.x")
	}()
	var a activity
	for end := time.Now().Add(time.Minute); len(a.waits) == 0 && time.Now().Before(end); {
		if a, err = askActivity(t.Context(), w.Query, waitSQL); err != nil {
			t.Fatal(err)
		}
	}
	got := text(judgeActivity(a))
	if !strings.HasPrefix(got, "warning: a session waits for a lock on geo.x, for 0s\n  Process ") || !strings.Contains(got, "idle in transaction after: LOCK TABLE geo.x") {
		t.Errorf("got\n%s", got)
	}
	stop()
	<-waited
}

// TestUnreachable has warehouses that cannot be opened: one problem, and what depends on it is not checked.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	for _, bad := range []string{asUser(t, address, "damson"), "postgres://u:secret@host.invalid/db", "postgres://u:secret@127.0.0.1:1/db"} {
		checks := Examine(t.Context(), patientOf(loaded(t, shop), bad))
		problems, not := 0, 0
		for _, c := range checks {
			switch {
			case c.Area != "warehouse":
			case c.Status == Problem && c.Name == "reach" && c.At.String() == "damson.yaml:3:20" && c.Fix != "":
				problems++
			case c.Status == NotChecked:
				not++
			default:
				t.Errorf("%+v", c)
			}
			if strings.Contains(fmt.Sprint(c), "secret") {
				t.Errorf("the password is in %v", c)
			}
		}
		if problems != 1 || not < 8 {
			t.Errorf("%d problems, %d not checked", problems, not)
		}
	}
}
