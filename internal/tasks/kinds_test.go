package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/tasks"
	"damson/internal/template"
	"damson/internal/template/airflow"
	"damson/internal/warehouse/duckdb"
)

// renderer renders as a project does, without its variables and connections.
type renderer struct{ *project.Project }

func (r renderer) RenderText(_ *pipeline.Task, text string, c airflow.Context) (string, error) {
	t, findings := template.NewSet().Parse("pipelines/p.star", text)
	if findings.HasErrors() {
		return "", findings
	}
	out, err := t.Render(c.Names())
	return out.SQL(), err
}

func (r renderer) RenderFile(_ *pipeline.Task, file string, c airflow.Context) (sqltext.Text, error) {
	return r.Template(file).Render(c.Names())
}

// logged takes the lines of a task.
type logged struct {
	mu    sync.Mutex
	lines []string
	each  func(line string)
}

func (l *logged) add(level, format string, args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := level + ": " + fmt.Sprintf(format, args...)
	l.lines = append(l.lines, line)
	if l.each != nil {
		l.each(line)
	}
}

func (l *logged) Infof(format string, args ...any)  { l.add("info", format, args) }
func (l *logged) Warnf(format string, args ...any)  { l.add("warn", format, args) }
func (l *logged) Errorf(format string, args ...any) { l.add("error", format, args) }

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// stopped is a clock that stands still until it is moved.
type stopped struct{ now time.Time }

func (c *stopped) Now() time.Time                             { return c.now }
func (c *stopped) Sleep(context.Context, time.Duration) error { panic("a task sleeps") }

// openKinds is a shop whose project has these files, and two other pipelines.
func openKinds(t *testing.T, files map[string]string) *shop {
	t.Helper()
	all := map[string]string{
		"pipelines/others.star": `
weekly = pipeline(name = "weekly", schedule = "@weekly", start = "2007-04-01", params = {"n": 1, "text": "", "full": False})
weekly.sql("sum", file = "sql/one.sql")
byhand = pipeline(name = "byhand")
byhand.sql("sum", file = "sql/one.sql")
`,
		"sql/one.sql": "SELECT 1",
	}
	for name, text := range files {
		all[name] = text
	}
	s := open(t, all)
	s.of.Renderer, s.of.Parquet, s.of.ToParquet = renderer{s.of.Project}, duckdb.ReadParquet, duckdb.WriteParquet
	return s
}

// work is an attempt of a task, with other tasks in its pipeline, in the run of 2007-04-12.
func work(t *pipeline.Task, others ...*pipeline.Task) (engine.Work, *logged) {
	log := &logged{}
	start := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	if t.Name == "" {
		t.Name = "it"
	}
	t.At = diag.Pos{File: "pipelines/p.star", Line: 7}
	r := run.Run{ID: "p@2007-04-12", Pipeline: "p", Trigger: "scheduled", Start: start, End: start.AddDate(0, 0, 1)}
	return engine.Work{
		Pipeline: &pipeline.Pipeline{Name: "p", Timezone: "UTC", Tasks: append([]*pipeline.Task{t}, others...), Params: map[string]any{"city": "Beijing"}},
		Task:     t, Runs: []run.Run{r}, Claims: []run.Claim{{RunID: r.ID, Task: t.Name, Attempt: 1}}, Start: r.Start, End: r.End, Log: log,
	}, log
}

func (s *shop) execute(w engine.Work) (engine.Outcome, error) {
	return s.of.Executors()[w.Task.Kind].Execute(s.Context(), w)
}

// result executes and gives the result as JSON.
func (s *shop) result(w engine.Work) string {
	s.Helper()
	o, err := s.execute(w)
	if err != nil {
		s.Fatalf("%s: %v\n%s", w.Task.Name, err, w.Log)
	}
	text, err := json.Marshal(o.Result)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// fails executes a task that fails with a finding at its place, whose text has all of these parts.
func (s *shop) fails(w engine.Work, hopeless bool, parts ...string) {
	s.Helper()
	o, err := s.execute(w)
	var f diag.Finding
	if err == nil || !errors.As(err, &f) {
		s.Fatalf("%+v, %v: not a finding", o, err)
	}
	for _, part := range append(parts, f.At.File) {
		if !strings.Contains(err.Error(), part) {
			s.Errorf("%v\nlacks %q", err, part)
		}
	}
	if f.At.File == "" {
		s.Errorf("%v: at no place", err)
	}
	if given := errors.As(err, new(engine.Hopeless)); given != hopeless {
		s.Errorf("%v: hopeless is %v, want %v", err, given, hopeless)
	}
}

func (s *shop) ledger() string {
	s.Helper()
	return s.table(`SELECT task, attempt, result FROM damson.ledger ORDER BY ALL`)
}

// nothingLeft checks that a task has removed its temporary files.
func (s *shop) nothingLeft() {
	s.Helper()
	left, err := filepath.Glob(filepath.Join(s.of.Project.Dir, ".damson/tmp/task-*"))
	if err != nil || len(left) > 0 {
		s.Errorf("%v are left, %v", left, err)
	}
}

func (s *shop) write(name, text string) {
	s.Helper()
	path := filepath.Join(s.of.Project.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		s.Fatal(err)
	}
}

// TestMappedItems: declared items and rows become items, the same as they are after a journey through JSON.
func TestMappedItems(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{
		"sql/cities.sql": `SELECT * FROM (VALUES ('Beijing', 1, 2.5, DATE '2007-04-12'), (NULL, 2, 3.0, NULL)) AS v(city, n, x, day) ORDER BY n`,
		"sql/names.sql":  `SELECT '{{ ds }}' || chr(CAST(65 + i AS integer)) FROM range(2) AS r(i) ORDER BY 1`,
		"sql/many.sql":   `SELECT i FROM range(1001) AS r(i)`,
		"sql/twice.sql":  `SELECT 1 AS a, 2 AS a`,
		"sql/none.sql":   `SELECT 1 WHERE false`,
	})
	for _, c := range []struct {
		m    pipeline.Map
		want string
	}{
		{pipeline.Map{Items: []any{"a", 1.0, true, []any{2.0}}}, `["a",1,true,[2]]`},
		{pipeline.Map{File: "sql/names.sql"}, `["2007-04-12A","2007-04-12B"]`},
		{pipeline.Map{File: "sql/cities.sql"}, `[{"city":"Beijing","day":"2007-04-12","n":1,"x":2.5},{"city":null,"day":null,"n":2,"x":3}]`},
		{pipeline.Map{File: "sql/none.sql"}, `[]`},
	} {
		w, _ := work(&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "exit 1"}, Map: &c.m})
		w.Mapped = true
		o, err := s.execute(w)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := json.Marshal(o.Items); string(text) != c.want || o.Items == nil {
			t.Errorf("%s, want %s", text, c.want)
		}
	}
	for file, part := range map[string]string{"sql/many.sql": "more than 1000 rows", "sql/twice.sql": `"a" twice`} {
		w, _ := work(&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "exit 1"}, Map: &pipeline.Map{File: file}})
		w.Mapped = true
		s.fails(w, true, part, file)
	}
}

// TestBranch chooses tasks and groups among those directly after it.
func TestBranch(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{
		"sql/choose.sql": `SELECT * FROM (VALUES ('small'), (NULL), ('weekly')) AS v(name)`,
	})
	after := []*pipeline.Task{
		{Name: "small", Upstream: []string{"it"}},
		{Name: "large", Group: "weekly", Upstream: []string{"it"}},
		{Name: "deep", Group: "weekly.inner", Upstream: []string{"it"}},
		{Name: "later", Group: "weekly", Upstream: []string{"large"}},
	}
	for _, c := range []struct {
		b    pipeline.Branch
		want string
	}{
		{pipeline.Branch{File: "sql/choose.sql"}, `{"tasks":["small","large","deep"]}`},
		{pipeline.Branch{Choose: "{{ 'weekly.inner' if ds == '2007-04-12' else 'small' }}"}, `{"tasks":["deep"]}`},
		{pipeline.Branch{Choose: " large,\nsmall "}, `{"tasks":["small","large"]}`},
		{pipeline.Branch{Choose: "{{ '' }}"}, `{"tasks":[]}`},
	} {
		w, _ := work(&pipeline.Task{Kind: pipeline.BranchTask, Branch: &c.b}, after...)
		if got := s.result(w); got != c.want {
			t.Errorf("%+v: %s, want %s", c.b, got, c.want)
		}
		if o, _ := s.execute(w); o.Choice == nil || o.Choice.Stop != "" {
			t.Errorf("%+v: the choice is %v", c.b, o.Choice)
		}
	}
	for name, part := range map[string]string{"smal": `Did you mean "small"?`, "later": "small, large, weekly, deep, weekly.inner", "it": "is not directly after it"} {
		w, _ := work(&pipeline.Task{Kind: pipeline.BranchTask, Branch: &pipeline.Branch{Choose: name}}, after...)
		s.fails(w, true, part)
	}
	if got := s.ledger(); got != "" {
		t.Errorf("a branch wrote to the ledger: %s", got)
	}
}

// TestCondition: NULL, no row, "", 0, "false", "no" and "none" are false.
func TestCondition(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	values := map[string]bool{"NULL": false, "0": false, "0.0": false, "''": false, "'No'": false, "'none'": false, "'false'": false, "false": false, "' 0 '": false,
		"1": true, "-1": true, "'yes'": true, "true": true, "DATE '2007-04-12'": true, "'nan'": true, "1 WHERE false": false}
	names := map[string]string{}
	for value := range values {
		names[value] = fmt.Sprintf("sql/c%d.sql", len(names))
		files[names[value]] = "SELECT " + value
	}
	s := openKinds(t, files)
	next := &pipeline.Task{Name: "next", Upstream: []string{"it"}}
	check := func(c pipeline.Condition, want bool) {
		w, log := work(&pipeline.Task{Kind: pipeline.ShortCircuitTask, Condition: &c}, next)
		o, err := s.execute(w)
		if err != nil || o.Choice == nil {
			t.Fatal(c, err)
		}
		if goes := len(o.Choice.Tasks) == 1; goes != want || (o.Choice.Stop == "") != want {
			t.Errorf("%+v gives %+v\n%s", c, o.Choice, log)
		}
	}
	for value, want := range values {
		check(pipeline.Condition{File: names[value]}, want)
	}
	for text, want := range map[string]bool{"{{ ds == '2007-04-12' }}": true, "{{ 1 > 2 }}": false, "{{ none }}": false, " 0": false, "0.00": false, "x": true} {
		check(pipeline.Condition{When: text}, want)
	}
	w, _ := work(&pipeline.Task{Kind: pipeline.ShortCircuitTask, Condition: &pipeline.Condition{File: names["NULL"]}})
	if o, _ := s.execute(w); o.Choice.Stop != names["NULL"]+" gives NULL, which is not true" {
		t.Errorf("it stops because %s", o.Choice.Stop)
	}
}

// TestWithoutAWarehouse: what touches none runs where none is open, and what does says so.
func TestWithoutAWarehouse(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	s.of.Warehouse = nil
	w, _ := work(&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "true"}})
	if got := s.result(w); got != `{"exit_code":0}` {
		t.Error(got)
	}
	for _, task := range []*pipeline.Task{
		{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "true", Inputs: []pipeline.Input{{Name: "a", Table: "s.t"}}}},
		{Kind: pipeline.SensorTask, Sensor: &pipeline.Sensor{File: "sql/one.sql"}},
	} {
		w, _ := work(task)
		s.fails(w, false, "No warehouse is open here")
	}
}

// TestALongStatementIsStopped: a statement that would run for days ends soon after its context.
func TestALongStatementIsStopped(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{"sql/long.sql": `CREATE TABLE geo_a AS SELECT 1 AS a;
		CREATE TABLE geo_b AS SELECT count(*) AS n FROM range(100000000) AS a(i), range(100000000) AS b(j) WHERE (i * j) % 7 = 3`})
	w, log := work(&pipeline.Task{Kind: pipeline.SQLTask, SQL: &pipeline.SQL{File: "sql/long.sql"}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var began time.Time
	log.each = func(line string) { // the first statement is done, the second begins
		began = time.Now()
		cancel()
	}
	if o, err := s.of.Executors()[pipeline.SQLTask].Execute(ctx, w); err == nil {
		t.Errorf("it ended with %+v", o)
	}
	if took := time.Since(began); began.IsZero() || took > 5*time.Second {
		t.Errorf("it took %s\n%s", took, log)
	}
	if got := s.table(`SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'geo%'`); got != "0" {
		t.Errorf("%s tables of it stayed", got)
	}
}

// TestPreview shows what a task would do, without secrets and without doing it.
func TestPreview(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{"sql/today.sql": "SELECT '{{ ds }}' AS day"})
	target := &pipeline.Target{Into: "geo.x", PartitionBy: "tdate", Mode: pipeline.Replace}
	for _, c := range []struct {
		task *pipeline.Task
		want string
	}{
		{&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "echo '{{ ds }}' > x", Env: map[string]string{"A": "b c"}}},
			"A='b c' sh -c 'echo '\\''2007-04-12'\\'' > x'\n"},
		{&pipeline.Task{Kind: pipeline.PythonTask, Process: &pipeline.Process{File: "python/a.py", Args: []string{"--day", "{{ ds }}"}, Target: target,
			Inputs: []pipeline.Input{{Name: "points", Table: "geo.points"}, {Name: "today", File: "sql/today.sql"}}}},
			`# the rows of this are in the Parquet file $DAMSON_INPUT_POINTS
select * from "geo"."points"
# the rows of this are in the Parquet file $DAMSON_INPUT_TODAY
SELECT '2007-04-12' AS day
# the rows of the Parquet file $DAMSON_OUTPUT: replacing the rows of geo.x with tdate in [2007-04-12 00:00, 2007-04-13 00:00)
python3 python/a.py --day 2007-04-12
`},
		{&pipeline.Task{Kind: pipeline.HTTPTask, HTTP: &pipeline.HTTP{Method: "POST", URL: "https://u:pw@x.example/{{ item }}?key=k",
			Headers: map[string]string{"X-Key": "k", "content-type": "text/plain"}, Body: "b"}, Map: &pipeline.Map{Items: []any{"one", "two"}}},
			"-- the first of 2 items\nPOST https://x.example/one\nX-Key: ******\ncontent-type: text/plain\n\nb\n"},
		{&pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "echo {{ item }}"}, Map: &pipeline.Map{File: "sql/today.sql"}},
			"-- task it (shell) runs for each row of this\nSELECT '2007-04-12' AS day"},
		{&pipeline.Task{Kind: pipeline.BranchTask, Branch: &pipeline.Branch{Choose: "a, b"}}, "-- of the tasks directly after it these run:\na\nb\n"},
		{&pipeline.Task{Kind: pipeline.BranchTask, Branch: &pipeline.Branch{File: "sql/today.sql"}},
			"-- of the tasks directly after it, or groups of them, those run that this names\nSELECT '2007-04-12' AS day"},
		{&pipeline.Task{Kind: pipeline.ShortCircuitTask, Condition: &pipeline.Condition{When: "{{ ds > '2008' }}"}},
			"-- what comes after it runs if this is true, and it is false:\nFalse\n"},
		{&pipeline.Task{Kind: pipeline.SensorTask, Sensor: &pipeline.Sensor{Files: "data/{{ ds }}/*.csv", Every: time.Minute}},
			"-- waits for a file that matches data/2007-04-12/*.csv; looks every 1m\n"},
		{&pipeline.Task{Kind: pipeline.SensorTask, Sensor: &pipeline.Sensor{File: "sql/today.sql", Every: time.Minute}},
			"-- waits for the first value of this to be true; looks every 1m\nSELECT '2007-04-12' AS day"},
		{&pipeline.Task{Kind: pipeline.TriggerTask, Trigger: &pipeline.Trigger{Pipeline: "weekly", Params: map[string]string{"n": "7", "text": "7"}}},
			"-- runs pipeline weekly for the data interval from 2007-04-08 00:00\nn = 7\ntext = \"7\"\n"},
	} {
		w, _ := work(c.task)
		got, err := s.of.Preview(t.Context(), w.Pipeline, w.Task, w.Runs[0])
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.task.Kind, err, got, c.want)
		}
	}
}

var _ tasks.Renderer = renderer{}

// TestThroughTheEngine: choices, waits and items mean to the engine what they mean here.
func TestThroughTheEngine(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	s.engine = engine.New(s.store, s.of.Warehouse, s.of.Executors(), s.of.Clock, engine.Options{})
	task := func(name string, t pipeline.Task, upstream ...string) *pipeline.Task {
		t.Name, t.Upstream, t.At = name, upstream, diag.Pos{File: "pipelines/p.star", Line: 1}
		return &t
	}
	p := &pipeline.Pipeline{Name: "p", Schedule: "@daily", Timezone: "UTC", Tasks: []*pipeline.Task{
		task("choose", pipeline.Task{Kind: pipeline.BranchTask, Branch: &pipeline.Branch{Choose: "many"}}),
		task("many", pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "echo {{ item }} > item_{{ map_index }}"},
			Map: &pipeline.Map{Items: []any{"a", "b"}}}, "choose"),
		task("other", pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "false"}}, "choose"),
		task("arrived", pipeline.Task{Kind: pipeline.SensorTask, Sensor: &pipeline.Sensor{Files: "item_1", Every: time.Second}}, "many"),
		task("stop", pipeline.Task{Kind: pipeline.ShortCircuitTask, Condition: &pipeline.Condition{When: "{{ 0 }}"}}, "arrived"),
		task("nothing", pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "exit 99"}}, "choose"),
		task("never", pipeline.Task{Kind: pipeline.ShellTask, Process: &pipeline.Process{Command: "false"}}, "stop"),
	}}
	if _, err := s.engine.Run(t.Context(), engine.Plan{Pipeline: p, Intervals: localDays(t, "UTC", "2007-04-12", 1)}); err != nil {
		t.Fatal(err)
	}
	runs, err := s.store.TaskRuns(t.Context(), "p@2007-04-12")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range runs {
		got = append(got, fmt.Sprintf("%s %s %s", r.Task, r.State, r.Reason))
	}
	want := `arrived success 
choose success 
many success 
many[0] success 
many[1] success 
never skipped stop stopped here: its condition gives "0", which is not true
nothing skipped choose chose many
other skipped choose chose many
stop success `
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	for i, item := range []string{"a\n", "b\n"} {
		text, err := os.ReadFile(filepath.Join(s.of.Project.Dir, fmt.Sprintf("item_%d", i)))
		if err != nil || string(text) != item {
			t.Errorf("item %d is %q, %v", i, text, err)
		}
	}
}
