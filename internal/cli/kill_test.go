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

// killProject's daily tasks write two tables. Task pause writes to the gate in the middle of its transaction: when the gate
// is a named pipe, it waits there for the test.
var killProject = map[string]string{
	"damson.yaml": "name: kill\nvars:\n  gate: GATE\n",
	"pipelines/kill.star": `
daily = pipeline(name = "daily", schedule = "@daily", start = "2024-01-01", max_active_runs = 2)
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
copy (select '{{ ds }}') to '{{ var.value.gate }}' (format csv, header false, use_tmp_file false);
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

// TestKilledBackfillContinues kills -9 a backfill in the middle of a transaction, again and again at later days, and
// compares the rows at the end with those of an undisturbed backfill.
func TestKilledBackfillContinues(t *testing.T) {
	t.Parallel()
	undisturbed := writeKillProject(t, "/dev/null")
	damson(t, undisturbed, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-08")
	want := damson(t, undisturbed, "query", killQuery, "--format", "csv")

	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Skipf("named pipes are needed to stop a task at a known place: %v", err)
	}
	dir := writeKillProject(t, gate)
	for kills := range 4 {
		killAfter(t, dir, gate, kills)
	}
	setGate(t, dir, "/dev/null")
	out := damson(t, dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-08")
	if !strings.Contains(out, "taken over from a process that died") {
		t.Errorf("the last backfill does not tell that it took work over:\n%s", out)
	}
	if got := damson(t, dir, "query", killQuery, "--format", "csv"); got != want {
		t.Errorf("after four kills:\n%s\nundisturbed:\n%s", got, want)
	}
}

// killAfter starts a backfill, lets pass tasks through the gate and kills it while the next one stands there.
func killAfter(t *testing.T, dir, gate string, pass int) {
	t.Helper()
	cmd := exec.Command("damson", "--project", dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-08", "--parallel", "2")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range pass + 1 {
		pipe, err := os.Open(gate) // returns once a task has opened it for writing
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(pipe); err != nil {
			t.Fatal(err)
		}
		pipe.Close()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatalf("the backfill ended before it was killed:\n%s", output.String())
	}
}

// TestInterruptedBackfillContinues sends Ctrl-C while a task runs a long query: the SQL stops, the process ends in good
// order and says how to go on, and the next backfill finishes.
func TestInterruptedBackfillContinues(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Skipf("named pipes are needed to stop a task at a known place: %v", err)
	}
	dir := writeKillProject(t, gate)
	long := "copy (select 1) to '{{ var.value.gate }}' (format csv, use_tmp_file false);\n" +
		"select count(*) from range(100000000) a, range(100000) b where a.range * b.range = -1;\n"
	writeFile(t, dir, "sql/pause.sql", long)
	cmd := exec.Command("damson", "--project", dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-02")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.Open(gate)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(pipe); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(output.String(), "interrupted") {
		t.Fatalf("Ctrl-C gave %v:\n%s", err, output.String())
	}
	writeFile(t, dir, "sql/pause.sql", killProject["sql/pause.sql"])
	setGate(t, dir, "/dev/null")
	out := damson(t, dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-02")
	if !strings.Contains(out, "done, 2 runs of 2") {
		t.Errorf("the next backfill said:\n%s", out)
	}
}

// TestSecondProcessIsTurnedAway starts a second backfill while the first holds the project.
func TestSecondProcessIsTurnedAway(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Skipf("named pipes are needed to stop a task at a known place: %v", err)
	}
	dir := writeKillProject(t, gate)
	first := exec.Command("damson", "--project", dir, "backfill", "daily", "--from", "2024-01-01", "--to", "2024-01-01")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(gate, os.O_RDONLY, 0) // the first process now stands in its transaction
	if err != nil {
		t.Fatal(err)
	}
	second, err := exec.Command("damson", "--project", dir, "backfill", "daily").CombinedOutput()
	if err == nil || !strings.Contains(string(second), "Another process works on this project") || !strings.Contains(string(second), "backfill daily") {
		t.Errorf("the second process got %v:\n%s", err, second)
	}
	if out := damson(t, dir, "runs"); !strings.Contains(out, "daily@2024-01-01") {
		t.Errorf("runs does not work meanwhile:\n%s", out)
	}
	if _, err := io.ReadAll(pipe); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if err := first.Wait(); err != nil {
		t.Errorf("the first process failed: %v", err)
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

func writeKillProject(t *testing.T, gate string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range killProject {
		writeFile(t, dir, name, text)
	}
	setGate(t, dir, gate)
	return dir
}

func setGate(t *testing.T, dir, gate string) {
	t.Helper()
	writeFile(t, dir, "damson.yaml", strings.Replace(killProject["damson.yaml"], "GATE", gate, 1))
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
