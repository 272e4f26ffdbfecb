package project_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/diag"
	"damson/internal/project"
)

var update = flag.Bool("update", false, "rewrite golden files")

// wanted is a finding that a fixture announces on the faulty line: `# want: text` or `-- want: text`; the text is a part of the rendered finding.
// A file EXPECT holds those that no comment can hold, as `place: text`.
var wanted = regexp.MustCompile(`(?:#|--|/\*) want: (.*?)\s*(?:\*/)?$`)

type expectation struct{ place, text string }

// TestFixtures loads every project under testdata/fixtures and compares its findings with those announced.
func TestFixtures(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/fixtures/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			_, findings := project.Load(dir, fixtureOptions())
			compareFindings(t, findings, expectations(t, dir))
		})
	}
}

func fixtureOptions() project.Options {
	env := map[string]string{"DAMSON_TEST_SET": "hunter2"}
	return project.Options{
		Getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		CheckGate: func(expr string) error {
			if strings.Contains(expr, ">=") {
				return nil
			}
			return diag.Finding{Summary: "Bad gate", Detail: fmt.Sprintf("%q compares nothing.", expr), Fix: "Write auc >= 0.85."}
		},
	}
}

// compareFindings matches each announced finding with one that is there, by line and by a part of its text, and both ways.
func compareFindings(t *testing.T, findings diag.Findings, want []expectation) {
	t.Helper()
	used := make([]bool, len(findings))
	for _, w := range want {
		found := false
		for i, f := range findings {
			at := f.At
			at.Col = 0
			text := f.Error()
			if !used[i] && (w.place == at.String() || w.place == f.At.String()) && strings.Contains(strings.Join(strings.Fields(text), " "), w.text) {
				used[i], found = true, true
				break
			}
		}
		if !found {
			t.Errorf("%s: want a finding with %q", w.place, w.text)
		}
	}
	for i, f := range findings {
		if !used[i] {
			t.Errorf("not announced: %s", f.Error())
		}
		if f.Summary == "" || f.Detail == "" || f.Fix == "" && !strings.HasSuffix(f.At.File, ".sql") {
			t.Errorf("finding without summary, detail or fix: %+v", f)
		}
	}
}

func expectations(t *testing.T, dir string) []expectation {
	t.Helper()
	var list []expectation
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		lines := bufio.NewScanner(file)
		for n := 1; lines.Scan(); n++ {
			if rel == "EXPECT" {
				place, text, _ := strings.Cut(lines.Text(), ": ")
				list = append(list, expectation{place, text})
				continue
			}
			if m := wanted.FindStringSubmatch(lines.Text()); m != nil {
				for _, text := range strings.Split(m[1], " && ") {
					list = append(list, expectation{fmt.Sprintf("%s:%d", rel, n), text})
				}
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestGood compares a project without mistakes with its golden form.
func TestGood(t *testing.T) {
	t.Parallel()
	p, findings := project.Load("testdata/good", fixtureOptions())
	if len(findings) > 0 {
		t.Fatalf("findings in a good project:\n%s", findings.Error())
	}
	p.Dir = "DIR"
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/good.json", got)
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; run with -update when this is meant (-want +got):\n%s", path, diff)
	}
}
