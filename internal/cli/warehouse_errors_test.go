package cli_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"damson/internal/pgtest"
)

// serverProject is a project over a warehouse in a server, with a task for each thing that can go wrong in it.
type serverProject struct {
	t      *testing.T
	dir    string
	server *pgtest.Server
	admin  string // URL of the database as its owner
}

// appPassword is what the project's user logs in with; no output may show it.
const appPassword = "quince#stone/of-tests"

func newServerProject(t *testing.T) *serverProject {
	p := &serverProject{t: t, dir: t.TempDir(), server: pgtest.Start(t)}
	p.admin = p.server.Database(t)
	p.sql("CREATE ROLE app LOGIN PASSWORD '" + appPassword + "'")
	writeFile(t, p.dir, "pipelines/p.star", `p = pipeline(name = "p")
p.sql("plain", into = "demo.plain")
p.sql("reads")
p.sql("far", into = "demo.far")
p.sql("makes")
p.sql("big", into = "demo.big")
`)
	writeFile(t, p.dir, "sql/plain.sql", "select 1 as x\n")
	writeFile(t, p.dir, "sql/reads.sql", "create table demo.mine as\n  select * from other.secrets\n")
	writeFile(t, p.dir, "sql/far.sql", "select 1 as x,\n  similarity('a', 'b') as s\n")
	writeFile(t, p.dir, "sql/makes.sql", "select 1;\ncreate extension dblink\n")
	writeFile(t, p.dir, "sql/big.sql", "select x, repeat(md5(cast(x as text)), 20) as t from generate_series(1, 100000) as g(x)\n")
	return p
}

// sql runs statements as the database's owner.
func (p *serverProject) sql(statements ...string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.admin)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, s := range statements {
		if _, err := conn.Exec(p.t.Context(), s); err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
	}
}

// url is the warehouse's as the project's user, changed.
func (p *serverProject) url(change func(u *url.URL)) string {
	u, err := url.Parse(p.admin)
	if err != nil {
		p.t.Fatal(err)
	}
	u.User = url.UserPassword("app", appPassword)
	if change != nil {
		change(u)
	}
	return u.String()
}

// damson runs a command that has to fail, over the warehouse of a URL, and gives all that it prints.
func (p *serverProject) damson(warehouse string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command("damson", append([]string{"--project", p.dir}, args...)...)
	cmd.Env = append(os.Environ(), "DEMO_URL="+warehouse)
	out, err := cmd.CombinedOutput()
	if err == nil {
		p.t.Errorf("%v went well:\n%s", args, out)
	}
	for _, secret := range []string{appPassword, url.QueryEscape(appPassword), url.PathEscape(appPassword), "quince", "wrong-stone"} {
		if strings.Contains(string(out), secret) {
			p.t.Errorf("%v shows the password:\n%s", args, out)
		}
	}
	return string(out)
}

// expect compares an error: its place and summary, what it says, and one way to mend it.
func (p *serverProject) expect(name, out, place string, parts ...string) {
	p.t.Helper()
	if !strings.Contains(out, place) {
		p.t.Errorf("%s: nothing at %q in\n%s", name, place, out)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			p.t.Errorf("%s: no %q in\n%s", name, part, out)
		}
	}
	if n := strings.Count(out, "Fix: "); n != 1 {
		p.t.Errorf("%s: %d errors in\n%s", name, n, out)
	}
}

// TestWarehouseErrors makes what goes wrong with a warehouse in a server go wrong: each gives one error that says where, what, why and
// how to mend it, and none shows the password.
func TestWarehouseErrors(t *testing.T) {
	t.Parallel()
	p := newServerProject(t)
	writeFile(t, p.dir, "damson.yaml", "name: demo\nenvironments:\n  prod:\n    warehouse: ${env:DEMO_URL}\n    lock_timeout: 1s\n    statement_timeout: 1m\n")
	good := p.url(nil)
	const line = "damson.yaml:4:16: The warehouse's database "
	for name, c := range map[string]struct {
		url   string
		parts []string
	}{
		"wrong password": {p.url(func(u *url.URL) { u.User = url.UserPassword("app", "wrong-stone") }), []string{`does not take the password of user "app"`, "Check user and password"}},
		"no such user":   {p.url(func(u *url.URL) { u.User = url.UserPassword("nobody-here", appPassword) }), []string{`user "nobody-here"`}},
		"no such host":   {p.url(func(u *url.URL) { u.Host = "db.invalid:5432" }), []string{`No address was found for the host "db.invalid".`, "Correct the host"}},
		"nothing there":  {p.url(func(u *url.URL) { u.Host = "127.0.0.1:1" }), []string{"Nothing takes connections at 127.0.0.1:1.", "Start PostgreSQL there"}},
		"no database":    {p.url(func(u *url.URL) { u.Path = "/demmo" }), []string{`There is no database "demmo"`, "createdb demmo"}},
		"no TLS":         {p.url(func(u *url.URL) { u.RawQuery = "sslmode=require" }), []string{"speaks no TLS", "sslmode=disable"}},
		"not Greenplum":  {p.url(func(u *url.URL) { u.Scheme = "greenplum" }), []string{"Its URL begins with greenplum://", "Begin the URL with postgres://."}},
	} {
		p.expect(name, p.damson(c.url, "run", "p", "--task", "plain"), line, c.parts...)
		if out := p.damson(c.url, "doctor"); !strings.Contains(out, "PROBLEM      reach") || !strings.Contains(out, "1 problem, 0 warnings") {
			t.Errorf("doctor, %s:\n%s", name, out)
		}
	}
	p.expect("no schema of its own", p.damson(good, "run", "p", "--task", "plain"), "damson.yaml:4:16: Damson may not make its own tables",
		"permission denied for database", `TO "app"`)
	p.sql("CREATE SCHEMA damson AUTHORIZATION app")
	p.expect("no schema", p.damson(good, "run", "p", "--task", "plain"), "\n  sql/plain.sql:1: The warehouse refuses access", "permission denied for database", "GRANT CREATE ON DATABASE")
	p.sql("CREATE SCHEMA demo", "GRANT USAGE ON SCHEMA demo TO app", "CREATE SCHEMA other", "CREATE TABLE other.secrets (a int)", "GRANT USAGE ON SCHEMA other TO app")
	p.expect("no table", p.damson(good, "run", "p", "--task", "plain"), "\n  sql/plain.sql:1: The warehouse refuses access", "permission denied for schema demo",
		`GRANT USAGE, CREATE ON SCHEMA "demo" TO "app"`)
	p.sql("GRANT CREATE ON SCHEMA demo TO app")
	p.expect("no SELECT", p.damson(good, "run", "p", "--task", "reads"), "\n  sql/reads.sql:1: The warehouse refuses access", "permission denied for table secrets", "GRANT SELECT ON")
	p.expect("an extension that is missing", p.damson(good, "run", "p", "--task", "far"), "\n  sql/far.sql:2:3: Unknown name in the SQL", "the extension pg_trgm")
	p.expect("an extension that it may not make", p.damson(good, "run", "p", "--task", "makes"), "\n  sql/makes.sql:2: The warehouse refuses access",
		`permission denied to create extension "dblink"`, "As a superuser")
}

// TestLockedTable waits for a table that another session has locked, no longer than lock_timeout, and says who has it.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	p := newServerProject(t)
	p.sql("CREATE SCHEMA demo AUTHORIZATION app", "CREATE SCHEMA damson AUTHORIZATION app", "CREATE TABLE demo.plain (x int)", "ALTER TABLE demo.plain OWNER TO app")
	writeFile(t, p.dir, "damson.yaml", "name: demo\nenvironments:\n  prod:\n    warehouse: ${env:DEMO_URL}\n    lock_timeout: 3s\n")
	conn, err := pgx.Connect(t.Context(), p.admin+"&application_name=the-other")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE demo.plain"); err != nil {
		t.Fatal(err)
	}
	out := p.damson(p.url(nil), "run", "p", "--task", "plain")
	p.expect("a locked table", out, "\n  sql/plain.sql:1: Another session holds the lock", "The statement waited 3s for a lock, its lock_timeout, and gave up.",
		"the-other", fmt.Sprintf("SELECT pg_terminate_backend(%d)", conn.PgConn().PID()), "lock_timeout of the environment in damson.yaml")
}

// TestStatementTimeout stops a statement that takes too long.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	p := newServerProject(t)
	p.sql("CREATE SCHEMA demo AUTHORIZATION app", "CREATE SCHEMA damson AUTHORIZATION app")
	writeFile(t, p.dir, "damson.yaml", "name: demo\nenvironments:\n  prod:\n    warehouse: ${env:DEMO_URL}\n    statement_timeout: 2s\n    max_connections: 2\n")
	writeFile(t, p.dir, "sql/plain.sql", "select cast(pg_sleep(600) as text) as x\n")
	p.expect("a slow statement", p.damson(p.url(nil), "run", "p", "--task", "plain"), "\n  sql/plain.sql:1: The statement was stopped", "its statement_timeout",
		"raise statement_timeout of the environment in damson.yaml")
}

// TestFullWarehouseDisk fills a small disk of the server's.
func TestFullWarehouseDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("making a disk of its own for the server takes root: mount(8) of a tmpfs")
	}
	p := newServerProject(t)
	disk, err := os.MkdirTemp("", "damson-small-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(disk) })
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() {
		p.server.Kill()
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	place := filepath.Join(disk, "space")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "postgres", place).CombinedOutput(); err != nil {
		t.Skipf("the server runs as no user postgres: %v %s", err, out)
	}
	p.sql("CREATE TABLESPACE small LOCATION '"+place+"'", "GRANT CREATE ON TABLESPACE small TO app", "CREATE SCHEMA demo AUTHORIZATION app",
		"CREATE SCHEMA damson AUTHORIZATION app")
	writeFile(t, p.dir, "damson.yaml", "name: demo\nenvironments:\n  prod:\n    warehouse: ${env:DEMO_URL}\n")
	address := p.url(func(u *url.URL) { u.RawQuery += "&default_tablespace=small" })
	p.expect("a full disk", p.damson(address, "run", "p", "--task", "big"), "\n  sql/big.sql:1: The disk is full", "No space left on device", "Make room on the disk of the database server")
}

// TestSilentServer has doctor meet a port that takes connections and never answers.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	writeFile(t, dir, "damson.yaml", fmt.Sprintf("name: demo\nenvironments:\n  prod:\n    warehouse: 'postgres://app@%s/demo?sslmode=disable'\n", l.Addr()))
	writeFile(t, dir, "pipelines/p.star", "p = pipeline(name = \"p\")\n")
	began := time.Now()
	out, err := exec.Command("damson", "--project", dir, "doctor").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "does not answer within 4s") || !strings.Contains(string(out), "damson.yaml:4:16") {
		t.Errorf("%v\n%s", err, out)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestDoctorOfServer examines a project while a server has its embedded warehouse open, and one over a shared store.
func TestDoctorOfServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "damson.yaml", "name: demo\n")
	writeFile(t, dir, "pipelines/p.star", "p = pipeline(name = \"p\")\np.sql(\"x\", into = \"demo.x\")\n")
	writeFile(t, dir, "sql/x.sql", "select 1 as x\n")
	writeFile(t, dir, "migrations/V1__a.sql", "create table a (x int)\n")
	damson(t, dir, "migrate", "up")
	s := startServer(t, dir, nil, "serve", "--listen", "127.0.0.1:0")
	s.await(t, "this process leads")
	out := strings.Join(strings.Fields(damson(t, dir, "doctor")), " ")
	for _, want := range []string{"is open in the server at http://127.0.0.1:", fmt.Sprintf("process %d on ", s.cmd.Process.Pid), "1 migration, all in order", "all is well"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	s.stop(t)
	store := pgtest.Database(t)
	if out := damson(t, dir, "--store", store, "doctor"); !strings.Contains(out, "the first run makes database") || !strings.Contains(out, "free, a process uses up to 6") {
		t.Errorf("without a store yet:\n%s", out)
	}
	s = startServer(t, dir, []string{"DAMSON_STORE=" + store}, "serve", "--listen", "", "--lease", "2s")
	s.await(t, "this process leads")
	out = damson(t, dir, "--store", store, "doctor")
	if !strings.Contains(out, fmt.Sprintf("process %d on ", s.cmd.Process.Pid)) || strings.Contains(out, url.PathEscape(pgtest.Password)) {
		t.Errorf("over a shared store:\n%s", out)
	}
	s.stop(t)
}
