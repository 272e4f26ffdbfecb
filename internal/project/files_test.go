package project_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"damson/internal/project"
)

// write makes a project of files in a fresh directory; the values are their bytes.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const oneTask = "p = pipeline(name = \"p\")\np.sql(\"x\", into = \"a.x\")\n"

// TestOddFiles gives one clear finding for every file that is no text, and none for marks that editors leave.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	good := map[string]string{"damson.yaml": "name: odd\n", "pipelines/p.star": oneTask, "sql/x.sql": "select 1 as x\n"}
	tests := []struct {
		name, file, text, want string
	}{
		{"windows line ends and byte order mark", "sql/x.sql", "\xef\xbb\xbfselect 1 as x\r\nfrom t\r\n", ""},
		{"windows line ends in Starlark", "pipelines/p.star", "\xef\xbb\xbf" + strings.ReplaceAll(oneTask, "\n", "\r\n"), ""},
		{"windows line ends in YAML", "damson.yaml", "\xef\xbb\xbfname: odd\r\nvars:\r\n  a: 1\r\n", ""},
		{"empty SQL file", "sql/x.sql", "", "sql/x.sql:1:1: Empty SQL file"},
		{"SQL file of comments", "sql/x.sql", "-- later\n/* perhaps */\n", "sql/x.sql:1:1: Empty SQL file"},
		{"binary file", "sql/x.sql", "select\n ä\x00", "sql/x.sql:2:3: Not a text file"},
		{"latin-1", "sql/x.sql", "select 'gr\xfcn'", "sql/x.sql:1:11: Not a text file"},
		{"UTF-16", "pipelines/p.star", "\xff\xfep\x00", "pipelines/p.star: Not UTF-8"},
		{"huge file", "sql/x.sql", strings.Repeat("-- x\n", 1<<20), "sql/x.sql: File too large"},
		{"binary damson.yaml", "damson.yaml", "name: a\x00", "damson.yaml:1:8: Not a text file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for name, text := range good {
				files[name] = text
			}
			files[test.file] = test.text
			_, findings := project.Load(write(t, files), project.Options{})
			switch {
			case test.want == "" && len(findings) > 0:
				t.Errorf("findings:\n%s", findings.Error())
			case test.want != "" && !strings.HasPrefix(findings.Error(), test.want):
				t.Errorf("want %s first, have:\n%s", test.want, findings.Error())
			case test.want != "" && test.file == "sql/x.sql" && len(findings) != 1:
				t.Errorf("want one finding only, have:\n%s", findings.Error())
			}
		})
	}
}

// TestOddEntries covers what a folder can hold besides files.
func TestOddEntries(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need rights on Windows")
	}
	dir := write(t, map[string]string{
		"damson.yaml": "name: odd\n", "sql/y.sql/keep": "", "sql/.hidden.sql": "", "elsewhere/x.sql": "select 1 as x\n",
		"pipelines/p.star": "p = pipeline(name = \"p\")\n[p.sql(n) for n in [\"linked\", \"loop\", \"y\"]]\n",
	})
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	link("loop.sql", "sql/loop.sql")
	link("../elsewhere/x.sql", "sql/linked.sql")
	link("..", "sql/everything")
	_, findings := project.Load(dir, project.Options{})
	for _, want := range []string{"sql/everything: Symbolic link to a directory", "sql/loop.sql: Broken symbolic link", "sql/y.sql: Directory instead of a file"} {
		if !strings.Contains(findings.Error(), want) {
			t.Errorf("want %q in:\n%s", want, findings.Error())
		}
	}
	if len(findings) != 3 {
		t.Errorf("want 3 findings, have:\n%s", findings.Error())
	}
}

// TestUnreadable names the file that may not be read.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("the superuser may read everything")
	}
	dir := write(t, map[string]string{"damson.yaml": "name: odd\n", "pipelines/p.star": oneTask, "sql/x.sql": "select 1 as x\n"})
	if err := os.Chmod(filepath.Join(dir, "sql", "x.sql"), 0); err != nil {
		t.Fatal(err)
	}
	if _, findings := project.Load(dir, project.Options{}); !strings.HasPrefix(findings.Error(), "sql/x.sql: Not readable") || len(findings) != 1 {
		t.Errorf("findings:\n%s", findings.Error())
	}
}

// TestFind walks up to the nearest project.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"damson.yaml": "name: a\n", "sql/deep/x.sql": ""})
	got, err := project.Find(filepath.Join(dir, "sql", "deep"))
	if err != nil || got != dir {
		t.Errorf("Find = %q, %v; want %q", got, err, dir)
	}
	if _, err = project.Find(t.TempDir()); err == nil || !strings.Contains(err.Error(), "damson init") || !strings.Contains(err.Error(), "--project") {
		t.Errorf("Find outside of a project: %v", err)
	}
	for _, none := range []string{filepath.Join(dir, "nowhere"), filepath.Join(dir, "damson.yaml"), filepath.Join(dir, "sql")} {
		if _, findings := project.Load(none, project.Options{}); !findings.HasErrors() || !strings.Contains(findings.Error(), "damson init") {
			t.Errorf("Load(%s): %v", none, findings)
		}
	}
}

// TestInit makes a project that has no findings, and touches nothing when it cannot.
func TestInit(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "new", "project")
	if err := project.Init(dir, project.Empty()); err != nil {
		t.Fatal(err)
	}
	p, findings := project.Load(dir, project.Options{})
	if len(findings) > 0 || len(p.Pipelines) != 1 {
		t.Errorf("the starter project has findings: %v", findings)
	}
	if data, err := os.ReadFile(filepath.Join(dir, ".gitignore")); err != nil || !bytes.Contains(data, []byte(".damson/")) {
		t.Errorf(".gitignore: %q, %v", data, err)
	}
	if err := project.Init(dir, project.Empty()); err == nil || !strings.Contains(err.Error(), "is a project already") {
		t.Errorf("a second Init: %v", err)
	}
	empty := filepath.Join(base, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := project.Init(empty, project.Empty()); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := project.Init(file, project.Empty()); err == nil {
		t.Error("Init over a file succeeds")
	}
	if err := project.Init(filepath.Join(base, "broken", "a"), brokenFS{}); err == nil {
		t.Error("Init of unreadable files succeeds")
	}
	left, _ := os.ReadDir(base)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "empty file new" {
		t.Errorf("left behind: %s", got)
	}
}
