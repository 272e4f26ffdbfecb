package project_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/template/airflow"
)

// TestRenderTexts renders what tasks declare as templates, with the item of a mapped task.
func TestRenderTexts(t *testing.T) {
	t.Parallel()
	p, _ := project.Load("testdata/good", fixtureOptions())
	report, err := p.Pipeline("report")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2007, 4, 15, 0, 0, 0, 0, time.UTC)
	ctx := airflow.Context{Pipeline: "report", Start: day, End: day.AddDate(0, 0, 1), Params: map[string]any{"city": "Xi'an"}}
	cluster, ping := report.Task("cluster"), report.Task("ping")
	if args, err := p.RenderTexts(cluster, cluster.Process.Args, ctx); err != nil || !slices.Equal(args, []string{"--city", "Xi'an"}) {
		t.Errorf("args = %q, %v", args, err)
	}
	if env, err := p.RenderDict(cluster, cluster.Process.Env, ctx); err != nil || !reflect.DeepEqual(env, map[string]string{"TOKEN": "hunter2"}) {
		t.Errorf("env = %q, %v", env, err)
	}
	if choose, err := p.RenderText(report.Task("choose"), report.Task("choose").Branch.Choose, ctx); err != nil || choose != "files" {
		t.Errorf("choose = %q, %v", choose, err)
	}
	text, err := p.RenderFile(cluster, cluster.Process.Inputs[1].File, ctx)
	if want := "select * from geolife.trajectory where tdate = '2007-04-15' and city = 'Xi'an'"; err != nil || strings.TrimSpace(text.SQL()) != want {
		t.Errorf("input = %q, %v", text.SQL(), err)
	}
	var f diag.Finding
	if _, err := p.RenderText(ping, ping.HTTP.URL, ctx); !errors.As(err, &f) || f.At.String() != "pipelines/daily_report.star:24:13" {
		t.Errorf("a URL without its item: %v", err)
	}
	if _, err := p.RenderText(ping, "{{ of_no_task }}", ctx); !errors.As(err, &f) || f.At != ping.At {
		t.Errorf("a text of no task: %v", err)
	}
	if _, err := p.Render(cluster, ctx); !errors.As(err, &f) || f.Summary != "No SQL to render" {
		t.Errorf("Render of a program: %v", err)
	}
	ctx.Item, ctx.MapIndex, ctx.HasItem = map[string]any{"name": "a"}, 7, true
	if url, err := p.RenderText(ping, ping.HTTP.URL, ctx); err != nil || url != "https://crm.example/a" {
		t.Errorf("url = %q, %v", url, err)
	}
	if headers, err := p.RenderDict(ping, ping.HTTP.Headers, ctx); err != nil || headers["X-Number"] != "7" {
		t.Errorf("headers = %q, %v", headers, err)
	}
	ctx.Item = "it's"
	if text, err := p.Render(report.Task("cities"), ctx); err != nil || strings.TrimSpace(text.SQL()) != "select 'it''s' as city, 7 as n" {
		t.Errorf("Render of a mapped task: %q, %v", text.SQL(), err)
	}
}

// TestGroupOrder lets groups stand for their first and last tasks, whatever is declared first.
func TestGroupOrder(t *testing.T) {
	t.Parallel()
	const declared = `p = pipeline(name = "p")
s = lambda of, name: of.shell(name, command = "true")
g = p.group("g")
h = g.group("h")
i = g.group("i")
before, after, late = s(p, "before"), s(p, "after"), s(p, "late")
before >> g >> after
h >> i
a, b, c = s(h, "a"), s(h, "b"), s(i, "c")
a >> b
d = s(g, "d")
i << d
[g, d] >> late
s(p, "named").map(over = ["x"])
p.shell("waits", command = "true", upstream = ["g.h", "late"])
e = s(p, "e")
e << [h, after]
chain(p.group("x"), [s(p.group("y"), "f")], e)
`
	dir := write(t, map[string]string{"damson.yaml": "name: g\n", "pipelines/p.star": declared})
	p, findings := project.Load(dir, project.Options{})
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	var got []string
	for _, task := range p.Pipelines[0].Tasks {
		got = append(got, fmt.Sprintf("%s(%s)<%s", task.Name, task.Group, strings.Join(task.Upstream, " ")))
	}
	want := "before()< a(g.h)<before b(g.h)<a d(g)<before c(g.i)<b d after()<c late()<c d named()< waits()<b late f(y)< e()<after b f"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// TestFiles lists what decides a project, also what cannot be read, and nothing that Python or people leave beside it.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"damson.yaml": "name: f\nvars: {a: '${file:secret}'}\n", "pipelines/p.star": "p = pipeline(name = \"p\")\np.python(\"x\")\n", "lib/l.star": "",
		"python/x.py": "import y", "python/lib/y.py": "", "python/data/z.json": "{}", "python/__pycache__/x.pyc": "c", "python/.hidden": "",
		"shell/s.sh": "true", "sql/bad.sql": "\x00", "sql/readme.md": "", "macros/m.sql": "{% macro m() %}{% endmacro %}",
		"migrations/V1__a.sql": "select 1", "migrations/2.SQL": "select 2", "migrations/README.md": "", "notes.txt": "", "secret": "s",
	})
	const want = "damson.yaml lib/l.star macros/m.sql migrations/2.SQL migrations/V1__a.sql pipelines/p.star python/data/z.json python/lib/y.py python/x.py shell/s.sh sql/bad.sql"
	p, findings := project.Load(dir, project.Options{})
	if !findings.HasErrors() {
		t.Error("sql/bad.sql is a finding")
	}
	for what, files := range map[string][]string{"Project.Files": p.Files(), "Files": project.Files(dir)} {
		if got := strings.Join(files, " "); got != want {
			t.Errorf("%s = %s\nwant %s", what, got, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "damson.yaml")); err != nil {
		t.Fatal(err)
	}
	if p, _ := project.Load(dir, project.Options{}); len(p.Files()) > 0 {
		t.Errorf("without a project: %v", p.Files())
	}
}

// TestVersionOfKinds changes with the programs, inputs, items and texts of a pipeline's tasks.
func TestVersionOfKinds(t *testing.T) {
	t.Parallel()
	base := map[string]string{
		"damson.yaml": "name: v\nvars: {host: h, lib: 1, cond: 1, unread: 1}\npools: {db: 2, other: 3}\n",
		"pipelines/p.star": "p = pipeline(name = \"p\")\np.python(\"x\", inputs = {\"a\": \"input\"}, args = [\"{{ lib() }}\"], pool = \"db\") >> p.http(\"h\", url = \"https://{{ var.value.host }}\")\n" +
			"p.sql(\"each\").map(over = \"items\")\np.short_circuit(\"when\") >> p.http(\"i\", url = \"https://h\").map(over = [1])\n",
		"pipelines/q.star": "pipeline(name = \"q\").shell(\"y\", command = \"true\")\n",
		"python/x.py":      "import y", "python/y.py": "pass", "shell/y.sh": "true",
		"sql/input.sql": "select 1 as a", "sql/items.sql": "select 1 as a", "sql/each.sql": "select {{ item }}", "sql/when.sql": "select {{ var.value.cond }} = 1",
		"macros/m.sql": "{% macro lib() %}{{ var.value.lib }}{% endmacro %}",
	}
	version := func(t *testing.T, file, old, new string) string {
		files := map[string]string{}
		for k, v := range base {
			files[k] = v
		}
		files[file] = strings.ReplaceAll(files[file], old, new)
		p, findings := project.Load(write(t, files), project.Options{})
		if findings.HasErrors() {
			t.Fatal(findings)
		}
		return p.Pipelines[0].Version
	}
	first := version(t, "damson.yaml", "", "")
	tests := []struct {
		name, file, old, new string
		same                 bool
	}{
		{"the program", "python/x.py", "import y", "import y, sys", false},
		{"a module beside it", "python/y.py", "pass", "x = 1", false},
		{"a new module", "python/z.py", "", "x = 1", false},
		{"a script of another pipeline", "shell/y.sh", "true", "false", true},
		{"an input", "sql/input.sql", "1", "2", false},
		{"the file of items", "sql/items.sql", "1", "2", false},
		{"a listed item", "pipelines/p.star", "over = [1]", "over = [2]", false},
		{"a condition", "sql/when.sql", "= 1", "= 2", false},
		{"a variable of a condition", "damson.yaml", "cond: 1", "cond: 2", false},
		{"a variable of a URL", "damson.yaml", "host: h", "host: i", false},
		{"a variable of an argument's macro", "damson.yaml", "lib: 1", "lib: 2", false},
		{"an argument's macro", "macros/m.sql", "{{ var.value.lib }}", "{{ var.value.lib }}!", false},
		{"a pool", "pipelines/p.star", "\"db\"", "\"other\"", false},
		{"the size of a pool", "damson.yaml", "db: 2", "db: 5", true},
		{"a variable that nothing reads", "damson.yaml", "unread: 1", "unread: 2", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := version(t, test.file, test.old, test.new); (got == first) != test.same {
				t.Errorf("version %s, before %s; want the same: %v", got, first, test.same)
			}
		})
	}
}
