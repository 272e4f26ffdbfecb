package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/sqlite"
)

// writeProject writes files into a new directory, with FIRST and SECOND replaced by the gates.
func writeProject(t *testing.T, g gates, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		writeFile(t, dir, name, strings.NewReplacer("FIRST", g.first, "SECOND", g.second).Replace(text))
	}
	return dir
}

// gateProject has a shell task that waits at two gates, and one after it.
var gateProject = map[string]string{
	"damson.yaml": "name: gate\n",
	"pipelines/gate.star": `
p = pipeline(name = "p")
p.shell("pause", command = "echo 1 > FIRST; echo 2 > SECOND") >> p.shell("after", command = "true")
`}

// peek opens the store of a project that a server works on.
func peek(t *testing.T, dir string) *store.Store {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, ".damson", "store.sqlite"))
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

// taskRun gives a task's run of the only run there is; it is empty before there is one.
func taskRun(t *testing.T, s *store.Store, task string) run.TaskRun {
	t.Helper()
	runs, err := s.Runs(t.Context(), store.RunFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		tasks, err := s.TaskRuns(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range tasks {
			if one.Task == task {
				return one
			}
		}
	}
	return run.TaskRun{}
}

// awaitState waits until a task has come to a state.
func awaitState(t *testing.T, s *store.Store, task string, want run.State) run.TaskRun {
	t.Helper()
	var got run.TaskRun
	eventually(t, func() string {
		if got = taskRun(t, s, task); got.State == want {
			return ""
		}
		return task + " is " + string(got.State) + ", not " + string(want)
	})
	return got
}

// command starts a damson command that may end when it wants, or is killed with the test.
func command(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("damson", append([]string{"--project", dir}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// askToEnd sends SIGTERM and waits until the server has taken notice: it offers no slots any more.
func askToEnd(t *testing.T, s *server, records *store.Store) {
	t.Helper()
	s.signal(syscall.SIGTERM)
	eventually(t, func() string {
		processes, err := records.Processes(t.Context())
		if err != nil || len(processes) != 1 || processes[0].Slots > 0 {
			return "the server takes work all the same"
		}
		return ""
	})
}

// TestServerDrains asks a server to end while a task is under way: the task ends well, the one after it does not begin, and
// the next server goes on with that.
func TestServerDrains(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := writeProject(t, g, gateProject)
	s := serve(t, dir, "--drain", "1h")
	records := peek(t, dir)
	command(t, dir, "run", "p")
	pass(t, g.first)
	askToEnd(t, s, records)
	pass(t, g.second)
	if err := s.end(t); err != nil {
		t.Errorf("the server ended with %v:\n%s", err, s.log)
	}
	if pause, after := taskRun(t, records, "pause"), taskRun(t, records, "after"); pause.State != run.Success || after.State.Ended() {
		t.Errorf("pause is %s, after is %s", pause.State, after.State)
	}
	next := serve(t, dir)
	if after := awaitState(t, records, "after", run.Success); after.Attempt != 1 {
		t.Errorf("after succeeded at attempt %d", after.Attempt)
	}
	next.stop(t)
}

// TestSecondSignalEndsServer sends SIGTERM twice: the second does not wait for the task, which the next server runs again.
func TestSecondSignalEndsServer(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := writeProject(t, g, gateProject)
	s := serve(t, dir, "--drain", "1h")
	records := peek(t, dir)
	command(t, dir, "run", "p")
	pass(t, g.first)
	askToEnd(t, s, records)
	s.signal(syscall.SIGTERM)
	if err := s.end(t); err == nil {
		t.Errorf("the server says that it ended in good order:\n%s", s.log)
	}
	next := serve(t, dir)
	pass(t, g.first)
	pass(t, g.second)
	if pause := awaitState(t, records, "pause", run.Success); pause.Attempt != 2 || pause.Failures != 0 {
		t.Errorf("pause succeeded at attempt %d after %d failures", pause.Attempt, pause.Failures)
	}
	awaitState(t, records, "after", run.Success)
	next.stop(t)
}

// endlessSQL takes a table that others want, and then hours.
const endlessSQL = `create or replace table x.t as select 1 as n;
copy (select 1) to 'FIRST' (format csv, use_tmp_file false);
select count(*) from range(100000000) a, range(100000) b where a.range * b.range = -1;
`

// TestTimedOutSQLIsGone has a task time out in the middle of SQL: within seconds its statement has ended, and the next task
// has the table.
func TestTimedOutSQLIsGone(t *testing.T) {
	t.Parallel()
	dir := writeProject(t, open, map[string]string{"damson.yaml": "name: late\n",
		"pipelines/p.star": `
p = pipeline(name = "p")
p.sql("first") >> p.sql("long", timeout = "1s") >> p.sql("next", trigger_rule = "all_done")
`,
		"sql/first.sql": "create schema x; create table x.t (n bigint);\n", "sql/long.sql": endlessSQL,
		"sql/next.sql": "create or replace table x.t as select 2 as n;\n"})
	s := serve(t, dir)
	records := peek(t, dir)
	command(t, dir, "run", "p")
	next, long := awaitState(t, records, "next", run.Success), taskRun(t, records, "long")
	if took := long.Ended.Sub(long.Started); long.State != run.Failed || !strings.Contains(long.Reason, "timed out after 1s") || took > 6*time.Second {
		t.Errorf("long is %s after %s: %s", long.State, took, long.Reason)
	}
	if took := next.Ended.Sub(long.Ended); took > 5*time.Second {
		t.Errorf("the next task needed %s", took)
	}
	s.stop(t)
	if got := damson(t, dir, "query", "select n from x.t", "--format", "csv"); got != "n\n2\n" {
		t.Errorf("the table has:\n%s", got)
	}
}

// TestClearCancelsRunningTask clears, and then marks, a task that a server executes: its SQL ends within seconds, it runs
// again, and what comes after it runs once it is marked.
func TestClearCancelsRunningTask(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := writeProject(t, g, map[string]string{"damson.yaml": "name: cleared\n",
		"pipelines/p.star": `
p = pipeline(name = "p", schedule = "@daily", start = "2024-01-01", end = "2024-01-01")
p.sql("first") >> p.sql("long") >> p.sql("next")
`,
		"sql/first.sql": "create schema x; create table x.t (n bigint);\n", "sql/long.sql": endlessSQL,
		"sql/next.sql": "insert into x.t values (2);\n"})
	s := serve(t, dir)
	records := peek(t, dir)
	command(t, dir, "run", "p", "--date", "2024-01-01")
	pass(t, g.first)
	began := time.Now()
	damson(t, dir, "clear", "p@2024-01-01", "--task", "long", "--yes")
	pass(t, g.first)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the cleared task began again after %s", took)
	}
	began = time.Now()
	damson(t, dir, "mark", "p@2024-01-01", "success", "--task", "long", "--yes")
	awaitState(t, records, "next", run.Success)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the task after the marked one ended after %s", took)
	}
	if long := taskRun(t, records, "long"); long.State != run.Success || long.Attempt != 2 {
		t.Errorf("long is %s, attempt %d", long.State, long.Attempt)
	}
	s.stop(t)
	if got := damson(t, dir, "query", "select n from x.t", "--format", "csv"); got != "n\n2\n" {
		t.Errorf("the table has more than what was marked or committed:\n%s", got)
	}
}

// TestServerTakesInChanges edits a project while it runs: a good change is used within a second or so, a bad one is reported
// and changes nothing.
func TestServerTakesInChanges(t *testing.T) {
	t.Parallel()
	star := func(word string) string {
		return `pipeline(name = "p", schedule = "every 1s", start = "2024-01-01").shell("say", command = "echo ` + word + ` >> said.txt")` + "\n"
	}
	dir := writeProject(t, open, map[string]string{"damson.yaml": "name: edited\n", "pipelines/p.star": star("one")})
	s := serve(t, dir)
	said := func() []string {
		text, err := os.ReadFile(filepath.Join(dir, "said.txt"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	awaitWord := func(word string, after int) {
		t.Helper()
		eventually(t, func() string {
			if all := said(); len(all) > after && all[len(all)-1] == word {
				return ""
			}
			return "nobody says " + word + ":\n" + s.log.String()
		})
	}
	awaitWord("one", 0)
	began := time.Now()
	writeFile(t, dir, "pipelines/p.star", star("two"))
	s.await(t, "the project has changed")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the change was taken in after %s", took)
	}
	awaitWord("two", 0)
	writeFile(t, dir, "pipelines/p.star", "pipeline(nam = 1)\n")
	s.await(t, "the version before stays in use")
	awaitWord("two", len(said())+1)
	writeFile(t, dir, "pipelines/p.star", star("three"))
	awaitWord("three", 0)
	s.stop(t)
}

// TestServersShareWork runs two servers over one PostgreSQL store and one project: tasks without tables run in both, and the
// second takes warehouse and lead when the first is killed.
func TestServersShareWork(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := writeProject(t, g, map[string]string{"damson.yaml": "name: shared\n",
		"pipelines/p.star": `
both = pipeline(name = "both")
both.shell("writer", command = "echo 1 > FIRST")
both.shell("reader", command = "cat FIRST")

table = pipeline(name = "table")
table.sql("rows", into = "x.rows")
`,
		"sql/rows.sql": "select 1 as n\n"})
	url := pgtest.Database(t)
	start := func() *server {
		return startServer(t, dir, []string{"DAMSON_STORE=" + url}, "serve", "--listen", "", "--lease", "1s", "--parallel", "1")
	}
	first := start()
	first.await(t, "this process leads")
	second := start()
	second.await(t, "another process has the embedded warehouse open")
	if out := damson(t, dir, "--store", url, "run", "both"); !strings.Contains(out, "success") { // each waits for the other
		t.Errorf("two tasks at a time in two processes:\n%s", out)
	}
	first.kill()
	second.await(t, "this process leads")
	if out := damson(t, dir, "--store", url, "run", "table"); !strings.Contains(out, "success") {
		t.Errorf("after the first server's end:\n%s", out)
	}
	second.stop(t)
}
