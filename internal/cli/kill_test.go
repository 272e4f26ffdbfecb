package cli_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// killProject's daily tasks write two tables. Task pause writes to two gates in the middle of its transaction: when they
// are named pipes, it waits at each for the test to read.
var killProject = map[string]string{
	"damson.yaml": "name: kill\nvars:\n  first_gate: FIRST\n  second_gate: SECOND\n",
	"pipelines/kill.star": `
daily = pipeline(name = "daily", schedule = "@daily", start = "2024-01-01", max_active_runs = 1)
numbers = daily.sql("numbers", into = "k.numbers", partition_by = "day")
pause = daily.sql("pause")
sums = daily.sql("sums", into = "k.sums", partition_by = "day")
log = daily.sql("log", into = "k.log", mode = "append")
numbers >> pause >> sums
numbers >> log
`,
	"sql/numbers.sql": "select date '{{ ds }}' as day, range as n from range(1000)\n",
	"sql/pause.sql": `create schema if not exists k;
create table if not exists k.paused (day date);
insert into k.paused values (date '{{ ds }}');
copy (select 1) to '{{ var.value.first_gate }}' (format csv, use_tmp_file false);
copy (select 2) to '{{ var.value.second_gate }}' (format csv, use_tmp_file false);
`,
	"sql/sums.sql": "select day, sum(n)::bigint as total from k.numbers where day = date '{{ ds }}' group by day\n",
	"sql/log.sql":  "select date '{{ ds }}' as day, '{{ run_id }}' as run\n",
}

// killQuery shows every row that a lost or doubled task would change.
const killQuery = `select 'numbers' as what, day, count(*)::varchar as v, sum(n)::varchar as s from k.numbers group by day
union all select 'sums', day, total::varchar, '' from k.sums
union all select 'paused', day, count(*)::varchar, '' from k.paused group by day
union all select 'log', day, run, count(*)::varchar from k.log group by day, run
order by 1, 2, 3`

// gates are the two files that task pause writes to.
type gates struct{ first, second string }

// open are gates that hold nobody up.
var open = gates{os.DevNull, os.DevNull}

// newGates makes named pipes.
func newGates(t *testing.T) gates {
	t.Helper()
	dir := t.TempDir()
	g := gates{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	for _, pipe := range []string{g.first, g.second} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Skipf("named pipes are needed to stop a task at a known place: %v", err)
		}
	}
	return g
}

// pass reads what a task writes to the pipe; it waits until there is a writer.
func pass(t *testing.T, pipe string) {
	t.Helper()
	f, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadAll(f); err != nil {
		t.Fatal(err)
	}
}

// startBackfill starts a backfill of the days from 1 to last.
func startBackfill(t *testing.T, dir, last string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command("damson", "--project", dir, "backfill", "daily", "--from", "2024-01-01", "--to", last, "--parallel", "2")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &output
}

// TestKilledBackfillContinues kills -9 a backfill in the middle of a transaction, again and again at later days, and
// compares the rows at the end with those of an undisturbed backfill.
func TestKilledBackfillContinues(t *testing.T) {
	t.Parallel()
	undisturbed := writeKillProject(t, open)
	damson(t, undisturbed, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-12")
	want := damson(t, undisturbed, "query", killQuery, "--format", "csv")

	g := newGates(t)
	dir := writeKillProject(t, g)
	for days := range 4 {
		cmd, output := startBackfill(t, dir, "2024-01-12")
		for range days {
			pass(t, g.first)
			pass(t, g.second)
		}
		pass(t, g.first) // the task now waits at its second gate, inside its transaction
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatalf("the backfill ended before it was killed:\n%s", output.String())
		}
	}
	setGates(t, dir, open)
	out := damson(t, dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-12")
	if !strings.Contains(out, "taken over from a process that died") {
		t.Errorf("the last backfill does not tell that it took work over:\n%s", out)
	}
	if got := damson(t, dir, "query", killQuery, "--format", "csv"); got != want {
		t.Errorf("after four kills:\n%s\nundisturbed:\n%s", got, want)
	}
}

// TestInterruptedBackfillContinues sends Ctrl-C while a task runs a long query: the SQL stops, the process ends in good
// order and says how to go on, and the next backfill finishes.
func TestInterruptedBackfillContinues(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := writeKillProject(t, g)
	long := "copy (select 1) to '{{ var.value.first_gate }}' (format csv, use_tmp_file false);\n" +
		"select count(*) from range(100000000) a, range(100000) b where a.range * b.range = -1;\n"
	writeFile(t, dir, "sql/pause.sql", long)
	cmd, output := startBackfill(t, dir, "2024-01-02")
	pass(t, g.first)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(output.String(), "interrupted") {
		t.Fatalf("Ctrl-C gave %v:\n%s", err, output.String())
	}
	writeFile(t, dir, "sql/pause.sql", killProject["sql/pause.sql"])
	setGates(t, dir, open)
	out := damson(t, dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-02")
	if !strings.Contains(out, "done, 2 runs of 2") {
		t.Errorf("the next backfill said:\n%s", out)
	}
}

// TestSecondProcessIsTurnedAway starts a second backfill while the first stands in the middle of a transaction.
func TestSecondProcessIsTurnedAway(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := writeKillProject(t, g)
	first, output := startBackfill(t, dir, "2024-01-01")
	pass(t, g.first)
	second, err := exec.Command("damson", "--project", dir, "backfill", "daily", "--to", "2024-01-02").CombinedOutput()
	if err == nil || !strings.Contains(string(second), "Another process works on this project") || !strings.Contains(string(second), "backfill daily") {
		t.Errorf("the second process got %v:\n%s", err, second)
	}
	if out := damson(t, dir, "runs"); !strings.Contains(out, "daily@2024-01-01  running") {
		t.Errorf("runs does not work meanwhile:\n%s", out)
	}
	pass(t, g.second)
	if err := first.Wait(); err != nil {
		t.Errorf("the first process failed: %v\n%s", err, output.String())
	}
}

// damson runs a command line on the project and returns what it printed; it must succeed.
func damson(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("damson", append([]string{"--project", dir}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("damson %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

func writeKillProject(t *testing.T, g gates) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range killProject {
		writeFile(t, dir, name, text)
	}
	setGates(t, dir, g)
	return dir
}

func setGates(t *testing.T, dir string, g gates) {
	t.Helper()
	writeFile(t, dir, "damson.yaml", strings.NewReplacer("FIRST", g.first, "SECOND", g.second).Replace(killProject["damson.yaml"]))
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
