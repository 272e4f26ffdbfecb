package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/warehouse"
)

func shell(command string) *pipeline.Task {
	return &pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: command}}
}

// TestTablesInAndOut: a program finds its inputs as Parquet files, and the file it writes goes into the table, with the
// ledger row, as often as it runs.
func TestTablesInAndOut(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{"sql/of_day.sql": `SELECT * FROM geo.points WHERE tdate = '{{ ds }}'`})
	s.exec(`CREATE SCHEMA geo; CREATE TABLE geo.points AS SELECT DATE '2007-04-12' + CAST(i % 2 AS integer) AS tdate, i AS n, TIME '10:30:00' AS at,
		i / 3.0 AS x, i % 2 = 0 AS even, TIMESTAMP '2007-04-12 01:02:03.5' AS ts, CASE WHEN i > 2 THEN 'ünï' END AS name FROM range(6) AS r(i)`)
	task := shell(`cp "$DAMSON_INPUT_OF_DAY" "$DAMSON_OUTPUT"; test -s "$DAMSON_INPUT_ALL_POINTS"`)
	task.Process.Inputs = []pipeline.Input{{Name: "of_day", File: "sql/of_day.sql"}, {Name: "all-points", Table: "geo.points"}}
	task.Process.Target = &pipeline.Target{Into: "geo.copy", PartitionBy: "tdate", Mode: pipeline.Replace}
	w, _ := work(task)
	for attempt, want := range []string{`{"rows":3,"created":true}`, `{"rows":3,"replaced":3}`} {
		w.Claims[0].Attempt = attempt + 1
		if got := s.result(w); got != want {
			t.Errorf("it reports %s, want %s", got, want)
		}
	}
	if got := s.table(`SELECT count(*) FROM (SELECT * FROM geo.copy EXCEPT SELECT * FROM geo.points) AS d`) + s.table(`SELECT count(*), min(typeof("at")), min(typeof(ts)) FROM geo.copy`); got != "03 TIME TIMESTAMP" {
		t.Errorf("the copy is not the rows of the day: %s", got)
	}
	if got := s.ledger(); got != "it 1 {\"rows\":3,\"created\":true}\nit 2 {\"rows\":3,\"replaced\":3}" {
		t.Errorf("the ledger has %s", got)
	}
	if _, err := s.execute(w); !errors.Is(err, warehouse.ErrCommitted) {
		t.Errorf("the same attempt again gives %v", err)
	}
	if got := s.table(`SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'staged%'`); got != "0" {
		t.Errorf("%s tables that were only on the way stayed", got)
	}
	only := shell(`test -s "$DAMSON_INPUT_A"`)
	only.Name, only.Process.Inputs = "only", []pipeline.Input{{Name: "a", Table: "geo.points"}}
	w, _ = work(only)
	if got := s.result(w); got != `{"exit_code":0}` || !strings.Contains(s.ledger(), `only 1 {"exit_code":0}`) {
		t.Errorf("%s; the ledger has %s", got, s.ledger())
	}
	s.nothingLeft()
}

// TestWhatAProgramIsTold: its environment is what Damson tells it and the task declares, and not what Damson has itself.
func TestWhatAProgramIsTold(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	s.of.Environ = append(os.Environ(), "DB_PASSWORD=secret", "LC_TIME=C", "HOME=/nowhere")
	task := shell(`env | grep -v '^PATH=\|^PWD=\|^_=\|^LANG\|^TMPDIR\|PROXY\|proxy\|CERT\|BUNDLE\|^SHLVL\|^OLDPWD\|^SHELL=\|^USER=\|^LOGNAME=\|^TZ=' | sort; pwd; cat "$DAMSON_CONTEXT"; echo to stderr >&2`)
	task.Process.Env = map[string]string{"CITY": "{{ params.city }} {{ item.n }}", "HOME": "/there", "DAMSON_DS": "spoilt"}
	task.Map = &pipeline.Map{Items: []any{1}}
	w, log := work(task)
	w.Pipeline.Timezone = "Asia/Shanghai"
	w.Runs[0].Start, w.Runs[0].End = w.Start.Add(-8*time.Hour), w.End.Add(-8*time.Hour)
	w.Start, w.End = w.Runs[0].Start, w.Runs[0].End
	w.Runs[0].Params = map[string]any{"city": "Xi'an"}
	w.Item = &engine.Item{Index: 3, Value: map[string]any{"n": 7.0}}
	s.result(w)
	var said, complaints []string // the two pipes are read side by side: a line of one may come in the middle of the other's
	for line := range strings.Lines(log.String() + "\n") {
		line = strings.TrimSuffix(line, "\n")
		if complaint, ok := strings.CutPrefix(line, "warn: "); ok {
			complaints = append(complaints, complaint)
		} else {
			said = append(said, strings.TrimPrefix(line, "info: "))
		}
	}
	text := strings.Join(said, "\n")
	at := strings.Index(text, "{\n")
	head := strings.Split(text[:at], "\n")
	want := []string{"CITY=Xi'an 7", "DAMSON_ATTEMPT=1", "DAMSON_CONTEXT=", "DAMSON_DATA_INTERVAL_END=2007-04-13T00:00:00+08:00",
		"DAMSON_DATA_INTERVAL_START=2007-04-12T00:00:00+08:00", "DAMSON_DS=2007-04-12", "DAMSON_MAP_INDEX=3", "DAMSON_PIPELINE=p",
		"DAMSON_RUN_ID=p@2007-04-12", "DAMSON_TASK=it", "HOME=/there", "LC_TIME=C", s.of.Project.Dir, ""}
	if len(head) != len(want) {
		t.Fatalf("it has\n%s", text)
	}
	for i := range want {
		if head[i] != want[i] && !(strings.HasSuffix(want[i], "CONTEXT=") && strings.HasPrefix(head[i], want[i]+s.of.Project.Dir)) {
			t.Errorf("it has %s, want %s", head[i], want[i])
		}
	}
	var facts map[string]any
	if err := json.Unmarshal([]byte(text[at:]), &facts); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if facts["ds"] != "2007-04-12" || facts["map_index"] != 3.0 || facts["params"].(map[string]any)["city"] != "Xi'an" || facts["item"].(map[string]any)["n"] != 7.0 {
		t.Errorf("its facts are %v", facts)
	}
	if !slices.Equal(complaints, []string{"to stderr"}) {
		t.Errorf("on standard error it said %q", complaints)
	}
}

// TestHowProgramsFail: each way has its finding at the task, and leaves nothing.
func TestHowProgramsFail(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{"shell/there.sh": "exit 0"})
	s.exec(`CREATE SCHEMA geo; CREATE TABLE geo.points AS SELECT DATE '2007-04-13' AS tdate, 1 AS n`)
	target := &pipeline.Target{Into: "geo.copy", PartitionBy: "tdate", Mode: pipeline.Replace}
	with := func(t *pipeline.Task, target *pipeline.Target) *pipeline.Task {
		t.Process.Target = target
		t.Process.Inputs = []pipeline.Input{{Name: "points", Table: "geo.points"}}
		return t
	}
	for _, c := range []struct {
		task     *pipeline.Task
		hopeless bool
		parts    []string
	}{
		{shell("echo one >&2; echo two >&2; exit 3"), false, []string{"The program failed", "exit code 3", "one\n  two", "damson logs p@2007-04-12 it"}},
		{shell("no-such-program-here"), false, []string{"exit code 127", "not find"}},
		{shell("kill -KILL $$"), false, []string{"ended by signal 9", "memory"}},
		{&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{File: "shell/gone.sh"}}, true, []string{"Missing program", "shell/gone.sh"}},
		{with(shell("true"), target), false, []string{"The program wrote no rows", "DAMSON_OUTPUT", "geo.copy"}},
		{with(shell(`echo no parquet > "$DAMSON_OUTPUT"`), target), false, []string{"The program's rows cannot be read"}},
		{with(shell(`head -c 100 "$DAMSON_INPUT_POINTS" > "$DAMSON_OUTPUT"`), target), false, []string{"The program's rows cannot be read"}},
		{with(shell(`cp "$DAMSON_INPUT_POINTS" "$DAMSON_OUTPUT"`), target), false, []string{"Rows outside the data interval", "rows are those that the program wrote"}},
		{with(shell(`cp "$DAMSON_INPUT_POINTS" "$DAMSON_OUTPUT"`), &pipeline.Target{Into: "geo.copy", PartitionBy: "day"}), false, []string{`names the column "day"`, "the program gives"}},
		{&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "true", Inputs: []pipeline.Input{{Name: "a", Table: "geo.nothing"}}}}, false, []string{"nothing"}},
	} {
		w, _ := work(c.task)
		s.fails(w, c.hopeless, c.parts...)
	}
	if got := s.ledger() + s.table(`SELECT count(*) FROM information_schema.tables WHERE table_name = 'copy' OR table_name LIKE 'staged%'`); got != "0" {
		t.Errorf("something was written: %s", got)
	}
	s.nothingLeft()
}

// TestExitCode99 skips, with what the program said last as the reason.
func TestExitCode99(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	task := shell("echo nothing new >&2; exit 99")
	task.Process.Target = &pipeline.Target{Into: "geo.copy"}
	w, _ := work(task)
	o, err := s.execute(w)
	if err != nil || o.Skip != "its program ended with exit code 99: nothing new" || s.ledger() != "" {
		t.Errorf("%+v, %v; ledger %s", o, err, s.ledger())
	}
}

// TestPython runs a Python file with arguments, whose modules are those of the project, on the interpreter that is chosen.
func TestPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("tests need python3: %v", err)
	}
	s := openKinds(t, map[string]string{
		"python/p/it.py":  "import lib, os, sys, json\nprint(lib.NAME, sys.argv[1], json.load(open(os.environ['DAMSON_CONTEXT']))['params']['city'])\nsys.exit(int(sys.argv[2]))",
		"python/lib.py":   "NAME = 'lib'",
		"python/wrong.py": "import no_such_module",
	})
	task := &pipeline.Task{Kind: pipeline.PythonTask, Process: &pipeline.Process{File: "python/p/it.py", Args: []string{"{{ ds }} x", "0"}}}
	w, log := work(task)
	if got := s.result(w); got != `{"exit_code":0}` || log.String() != "info: lib 2007-04-12 x Beijing" {
		t.Errorf("%s\n%s", got, log)
	}
	task.Process.File = "python/wrong.py"
	s.fails(w, false, "exit code 1", "ModuleNotFoundError: No module named 'no_such_module'")

	task.Process.File = "python/p/it.py"
	path := os.Getenv("PATH")
	s.of.Environ = []string{"PATH=" + t.TempDir()}
	s.fails(w, true, "python3", "DAMSON_PYTHON", "python3 -m venv .venv")
	s.of.Environ = []string{"PATH=" + path, "DAMSON_PYTHON=" + t.TempDir() + "/python9"}
	s.fails(w, true, "python9")
	s.write(".venv/bin/python", "#!/bin/sh\necho venv $VIRTUAL_ENV; exec '"+python+"' \"$@\"\n")
	if err := os.Chmod(filepath.Join(s.of.Project.Dir, ".venv/bin/python"), 0o777); err != nil {
		t.Fatal(err)
	}
	s.of.Environ = append(os.Environ(), "DAMSON_PYTHON=")
	w, log = work(task)
	s.result(w)
	if want := "info: venv " + s.of.Project.Dir + "/.venv\ninfo: lib"; !strings.HasPrefix(log.String(), want) {
		t.Errorf("%s, want %s", log, want)
	}
}

// TestAProgramIsStopped: the end of the context ends a program and what it started within five seconds, also one that does
// not want to, and leaves no files.
func TestAProgramIsStopped(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	w, log := work(shell(`trap "" TERM; (trap "" TERM; while :; do sleep 1; done) & echo ready; wait; sleep 100`))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	var began time.Time
	log.each = func(string) { began = time.Now(); cancel(why) }
	_, err := s.of.Executors()[pipeline.ShellTask].Execute(ctx, w)
	if took := time.Since(began); !errors.Is(err, why) || took > 5*time.Second {
		t.Errorf("%v after %s", err, took)
	}
	s.nothingLeft()
}

// TestRoomsOfTheDead: what a process that is gone left is cleared away, what is in use is not.
func TestRoomsOfTheDead(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	s.write(".damson/tmp/task-1/lock", "")
	s.write(".damson/tmp/task-1/input_0.parquet", "large")
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	task := shell(`ls .damson/tmp; echo now; read go < "$FIFO"; test -e "$DAMSON_CONTEXT" && echo still here`)
	task.Process.Env = map[string]string{"FIFO": fifo}
	w, log := work(task)
	log.each = func(line string) {
		if line == "info: now" { // meanwhile another task makes a room and clears away the old ones
			other, _ := work(shell("true"))
			s.result(other)
			if err := os.WriteFile(fifo, []byte("go\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	s.result(w)
	if strings.Contains(log.String()+"\n", "task-1\n") || !strings.HasSuffix(log.String(), "still here") {
		t.Errorf("it saw\n%s", log)
	}
	s.nothingLeft()
}
