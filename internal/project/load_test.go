package project_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/template/airflow"
)

// brokenFS has one file that reads and one that does not.
type brokenFS struct{}

func (brokenFS) Open(name string) (fs.File, error) {
	if name == "b" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("disk error")}
	}
	return fstest.MapFS{"a": {Data: []byte("a")}, "b": {Data: []byte("b")}}.Open(name)
}

// TestSecrets follows a secret through everything that shows it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	secretFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secretFile, []byte("tok/en+42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := write(t, map[string]string{
		"damson.yaml": "name: s\nenvironments:\n  dev:\n    warehouse: \"postgres://app:${env:PW}@h/db\"\n  prod:\n    warehouse: \"postgres://${env:ABSENT}@h/db\"\n" +
			"vars:\n  token: ${file:" + filepath.ToSlash(secretFile) + "}\n  deep: {list: [\"${env:PW}\"]}\n  open: ${env:EMPTY:-plain}\n  none: ${env:EMPTY}\n  lit: $${env:X}\n",
		"pipelines/p.star": oneTask, "sql/x.sql": "select '{{ var.value.token }}' as x, '{{ var.value.open }}' as y, '{{ var.value.lit }}' as z\n",
	})
	opts := project.Options{Env: "dev", Getenv: func(name string) (string, bool) { return map[string]string{"PW": "pass-word!"}[name], name != "ABSENT" }}
	p, findings := project.Load(dir, opts)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if got, want := p.Environment.Warehouse.Reveal(), "postgres://app:pass-word!@h/db"; got != want {
		t.Errorf("Reveal = %q, want %q", got, want)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(data) + fmt.Sprintf("%v %+v %#v %s", p.Environment, p.Environment, p.Environment, p.Vars)
	for _, secret := range []string{"pass-word!", "tok/en+42"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q is shown in %s", secret, shown)
		}
		if got := p.Redact("before " + secret + " after"); got != "before ****** after" {
			t.Errorf("Redact = %q", got)
		}
	}
	if got := p.Redact("https://h/?t=tok%2Fen%2B42"); got != "https://h/?t=******" {
		t.Errorf("Redact of a URL = %q", got)
	}
	text, err := p.Render(p.Pipelines[0].Tasks[0], airflow.Context{})
	if want := "select 'tok/en+42' as x, 'plain' as y, '${env:X}' as z"; err != nil || strings.TrimSpace(text.SQL()) != want {
		t.Errorf("Render = %q, %v; want %q", text.SQL(), err, want)
	}
}

// TestServerKeys reads what a server is asked for, and refuses it where a reference turns out to be the embedded warehouse.
func TestServerKeys(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"pipelines/p.star": oneTask, "sql/x.sql": "select 1 as x", "damson.yaml": "name: e\nenvironments:\n  prod:\n" +
		"    warehouse: ${env:URL}\n    statement_timeout: 2h\n    lock_timeout: 500ms\n    max_connections: 12\n"})
	load := func(url string) (*project.Project, diag.Findings) {
		return project.Load(dir, project.Options{Getenv: func(string) (string, bool) { return url, true }})
	}
	p, findings := load("postgres://u@h/db")
	want := project.Limits{StatementTimeout: 2 * time.Hour, LockTimeout: 500 * time.Millisecond, MaxConnections: 12}
	if p.Environment.Limits != want || p.Environment.At.String() != "damson.yaml:4:16" || len(findings) > 0 {
		t.Errorf("got %+v at %s with %v", p.Environment.Limits, p.Environment.At, findings)
	}
	if _, findings := load("duckdb:x"); len(findings) != 3 || !strings.Contains(findings.Error(), "damson.yaml:7:5: Not for the embedded warehouse") {
		t.Errorf("with DuckDB: %v", findings)
	}
}

// TestEnvironment picks as documented.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	const two = "environments:\n  dev: {vars: {a: dev}}\n  prod: {warehouse: \"postgres://h/db\", memory: 1.5GiB, threads: 3}\n"
	tests := []struct{ name, yaml, env, want, variable string }{
		{"none declared", "", "", "dev duckdb:.damson/warehouse.duckdb 0 0", "project"},
		{"dev by its name", two, "", "dev duckdb:.damson/warehouse.duckdb 0 0", "dev"},
		{"asked for", two, "prod", "prod postgres://h/db 1610612736 3", "project"},
		{"by default_environment", "default_environment: prod\n" + two, "", "prod postgres://h/db 1610612736 3", "project"},
		{"asked for against default_environment", "default_environment: prod\n" + two, "dev", "dev duckdb:.damson/warehouse.duckdb 0 0", "dev"},
		{"the only one", "environments:\n  live: {}\n", "", "live duckdb:.damson/warehouse.duckdb 0 0", "project"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"damson.yaml": "name: e\nvars: {a: project}\n" + test.yaml, "pipelines/p.star": oneTask, "sql/x.sql": "select 1 as x"})
			p, findings := project.Load(dir, project.Options{Env: test.env})
			e := p.Environment
			if got := fmt.Sprintf("%s %s %d %d", e.Name, e.Warehouse, e.Limits.Memory, e.Limits.Threads); got != test.want || len(findings) > 0 {
				t.Errorf("environment %s, want %s; findings %v", got, test.want, findings)
			}
			if p.Vars["a"] != test.variable {
				t.Errorf("var a = %v, want %s", p.Vars["a"], test.variable)
			}
		})
	}
	for _, env := range []string{"prd", "other"} {
		dir := write(t, map[string]string{"damson.yaml": "name: e\n" + two})
		if _, findings := project.Load(dir, project.Options{Env: env}); !strings.Contains(findings.Error(), "Unknown environment (asked for with --env)") {
			t.Errorf("--env %s: %v", env, findings)
		}
	}
	dir := write(t, map[string]string{"damson.yaml": "name: e\n"})
	if _, findings := project.Load(dir, project.Options{Env: "prod"}); !strings.Contains(findings.Error(), "declares no environments") {
		t.Errorf("--env prod without environments: %v", findings)
	}
}

// TestVersion changes with what a pipeline does, and with nothing else.
func TestVersion(t *testing.T) {
	t.Parallel()
	base := map[string]string{
		"damson.yaml":      "name: v\nvars: {least: 1, unit: m, unread: 1, key: '${env:KEY}'}\n",
		"pipelines/p.star": "m = model(name = \"m\", algorithm = random_forest(), id = \"id\", target = \"y\")\np = pipeline(name = \"p\", owner = \"me\")\np.sql(\"x\", into = \"a.x\") >> p.train(\"t\", model = m, source = \"a.x\")\n",
		"pipelines/q.star": "q = pipeline(name = \"q\")\nq.sql(\"y\")\n",
		"sql/x.sql":        "select {{ half(2) }} as x\nfrom t where x > {{ var.value.least }} and k = '{{ var.value.key }}'\n",
		"sql/y.sql":        "select 1 as y\n",
		"macros/m.sql":     "{% macro half(n) %}{{ whole(n) / 2 }}{% endmacro %}\n",
		"macros/n.sql":     "{% macro whole(n) %}{{ n }} /* {{ var.json.unit | default('') }} */{% endmacro %}\n",
		"macros/o.sql":     "{% macro never(n) %}{{ n }}{% endmacro %}\n",
	}
	key := "k3y"
	version := func(t *testing.T, change func(map[string]string)) string {
		files := map[string]string{}
		for k, v := range base {
			files[k] = v
		}
		change(files)
		p, findings := project.Load(write(t, files), project.Options{Getenv: func(string) (string, bool) { return key, true }})
		if findings.HasErrors() {
			t.Fatal(findings)
		}
		if all, err := json.Marshal(p); err != nil || bytes.Contains(all, []byte(key)) {
			t.Errorf("a secret is in the project: %s, %v", all, err)
		}
		return p.Pipelines[0].Version
	}
	edit := func(file, old, new string) func(map[string]string) {
		return func(files map[string]string) { files[file] = strings.ReplaceAll(files[file], old, new) }
	}
	key = "other"
	other := version(t, func(map[string]string) {})
	key = "k3y"
	first := version(t, func(map[string]string) {})
	if other == first {
		t.Error("another secret gives the same version")
	}
	tests := []struct {
		name   string
		change func(map[string]string)
		same   bool
	}{
		{"nothing", func(map[string]string) {}, true},
		{"line ends", edit("sql/x.sql", "\n", "\r\n"), true},
		{"a comment in Starlark", edit("pipelines/p.star", "p = ", "# moved down\np = "), true},
		{"another pipeline", edit("pipelines/q.star", "q.sql(", "q.sql(retries = 3, name = "), true},
		{"another pipeline's SQL", edit("sql/y.sql", "1", "2"), true},
		{"a macro that is not called", edit("macros/o.sql", "never", "not_ever"), true},
		{"a variable that nothing reads", edit("damson.yaml", "unread: 1", "unread: 2"), true},
		{"a variable that the SQL reads", edit("damson.yaml", "least: 1", "least: 2"), false},
		{"a variable that a macro's macro reads", edit("damson.yaml", "unit: m", "unit: km"), false},
		{"the SQL", edit("sql/x.sql", "from t", "from u"), false},
		{"a macro", edit("macros/m.sql", "/ 2", "/ 3"), false},
		{"a macro's macro", edit("macros/n.sql", "{{ n }} ", "{{ n + 1 }} "), false},
		{"a task's attribute", edit("pipelines/p.star", "into = \"a.x\"", "into = \"a.x\", retries = 1"), false},
		{"the owner", edit("pipelines/p.star", "\"me\"", "\"you\""), false},
		{"the model", edit("pipelines/p.star", "random_forest()", "random_forest(trees = 3)"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := version(t, test.change); (got == first) != test.same {
				t.Errorf("version %s, before %s; want the same: %v", got, first, test.same)
			}
		})
	}
}

// TestOrder keeps the declared order where the tasks are free.
func TestOrder(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"damson.yaml": "name: o\n",
		"pipelines/p.star": `p = pipeline(name = "p")
z, y, x, w, v, u = [p.sql(n, file = "sql/s.sql") for n in ["z", "y", "x", "w", "v", "u"]]
u >> z
[y, x] >> w << v
chain(y, [x, v])
`, "sql/s.sql": "select 1 as x",
	})
	p, findings := project.Load(dir, project.Options{})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if got := strings.Join(p.Pipelines[0].TaskNames(), " "); got != "y x v w u z" {
		t.Errorf("order %s", got)
	}
	if got := strings.Join(p.Pipelines[0].Task("w").Upstream, " "); got != "v x y" {
		t.Errorf("w waits for %s", got)
	}
}

// TestNames says which names there are.
func TestNames(t *testing.T) {
	t.Parallel()
	p, _ := project.Load("testdata/good", fixtureOptions())
	if _, err := p.Pipeline("geolive"); err == nil || !strings.Contains(err.Error(), `Did you mean "geolife"?`) || !strings.Contains(err.Error(), "geolife_model_training") {
		t.Errorf("Pipeline: %v", err)
	}
	if _, err := p.Model("run"); err == nil || !strings.Contains(err.Error(), "walk") {
		t.Errorf("Model: %v", err)
	}
	if m, err := p.Model("walk"); err != nil || m.Forest.Trees != 20 {
		t.Errorf("Model(walk) = %+v, %v", m, err)
	}
}

// TestRender renders a task's SQL and a load's files with the project's variables and the run's dates.
func TestRender(t *testing.T) {
	t.Parallel()
	p, _ := project.Load("testdata/good", fixtureOptions())
	daily, err := p.Pipeline("geolife")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	ctx := airflow.Context{Pipeline: "geolife", Start: day, End: day.AddDate(0, 0, 1), Params: daily.Params}
	text, err := p.Render(daily.Task("clean_daily_trajectory"), ctx)
	if want := "select *, (speed / 1.609344) as mph from geolife.trajectory where tdate = '2007-04-12' and speed < 15"; err != nil || strings.TrimSpace(text.SQL()) != want {
		t.Errorf("Render = %q, %v\nwant %q", text.SQL(), err, want)
	}
	root, globs, err := p.LoadFiles(daily.Task("land"), ctx)
	if err != nil || root != "" || strings.Join(globs, " ") != "data/*/Trajectory/*.plt" {
		t.Errorf("LoadFiles = %q, %q, %v", root, globs, err)
	}
	var f diag.Finding
	if _, err := p.Render(daily.Task("land"), ctx); !errors.As(err, &f) {
		t.Errorf("Render of a load: %v", err)
	}
}

// TestPrint hands over what a file prints, with its place.
func TestPrint(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"damson.yaml": "name: p\n", "pipelines/p.star": oneTask + "print(\"hello\", 1 + 1)\n", "sql/x.sql": "select 1 as x"})
	var got string
	project.Load(dir, project.Options{Print: func(at diag.Pos, text string) { got = at.String() + " " + text }})
	if got != "pipelines/p.star:3:6 hello 2" {
		t.Errorf("printed %q", got)
	}
}

// TestHome reads a project from a copy of its files: what runs works in the real directory all the same.
func TestHome(t *testing.T) {
	t.Parallel()
	home := write(t, map[string]string{"damson.yaml": "name: changed\n", "secrets/token": "s3cret\n"})
	snapshot := write(t, map[string]string{
		"damson.yaml":      "name: s\nvars:\n  token: ${file:secrets/token}\n",
		"pipelines/p.star": oneTask, "sql/x.sql": "select '{{ var.value.token }}' as x\n",
	})
	p, findings := project.Load(snapshot, project.Options{Home: home})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if p.Name != "s" || p.Dir != home || p.Source != snapshot {
		t.Errorf("project %s of %s read from %s", p.Name, p.Dir, p.Source)
	}
	if got := p.Redact("s3cret"); got == "s3cret" {
		t.Error("the secret file beside the real project was not read")
	}
}

func TestSecretsThatAreCut(t *testing.T) {
	t.Parallel()
	p, findings := project.Load(write(t, map[string]string{"damson.yaml": "name: s\nvars:\n  token: ${file:token}\n", "token": "sécret\n"}), project.Options{})
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	for text, want := range map[string]string{
		"it says sé\uFFFD": "it says ******", "it says sécre": "it says ******", "sécret, and then own-k": "******, and then ******", "nothing to see": "nothing to see",
		"it ends with s": "it ends with s",
	} {
		if got := p.RedactCut(text, "own-key"); got != want {
			t.Errorf("of %q is left %q, want %q", text, got, want)
		}
	}
}
