package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// tour is the README's first stop, the demo, which takes long and is made once for all tests.
var tour struct {
	once sync.Once
	dir  string // where the README's reader stands after it
	err  error
}

// readmeDemo gives a copy of the directory after the README's first commands, which make damson-demo, and the commands that are left.
func readmeDemo(t *testing.T) (dir string, rest []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		rest = append(rest, block[1])
	}
	if len(rest) == 0 || rest[0] != "damson demo --no-serve\ncd damson-demo\n" {
		t.Fatal("README.md does not begin with the demo in its ```sh blocks")
	}
	tour.once.Do(func() {
		if tour.dir, tour.err = os.MkdirTemp("", "damson-readme-"); tour.err == nil {
			tour.err = shellIn(tour.dir, rest[0])
		}
	})
	if tour.err != nil {
		t.Fatal(tour.err)
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tour.dir)); err != nil {
		t.Fatal(err)
	}
	return dir, rest[1:]
}

// shellIn runs a script, and gives all it has written when it fails.
func shellIn(dir, script string) error {
	cmd := exec.Command("sh", "-e", "-x", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w:\n%s", err, out)
	}
	return nil
}

// TestReadme runs the README's commands, in their order and as they stand, in an empty directory.
func TestReadme(t *testing.T) {
	t.Parallel()
	dir, rest := readmeDemo(t)
	if err := shellIn(filepath.Join(dir, "damson-demo"), strings.Join(rest, "")); err != nil {
		t.Error(err)
	}
}

// TestReadmeLinks checks that the files which the README and the docs name are there.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}
