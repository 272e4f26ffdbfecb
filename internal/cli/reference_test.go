package cli_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"damson/internal/cli"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md from the commands' own help")

const referenceHead = `# The command line

Made from the commands' own help by ` + "`go test ./internal/cli -run Reference -update`" + `.

Exit codes: 0 success; 1 the work failed (findings, failed tasks); 2 wrong usage, nothing was tried. Lists and shows take
` + "`--json`" + `. Colours and live progress appear on terminals only; ` + "`NO_COLOR`" + ` turns colours off. While one process works on a
project, others may look (` + "`runs`, `tasks`, `logs`, `model list`" + `) and decide on models; what else they ask for a running server does.
What only reads records (these, ` + "`why`, `backfills`" + `), decisions on models, ` + "`pause` and `unpause`" + ` work in a project with mistakes, too.

` + "`damson completion bash|zsh|fish|powershell`" + ` prints a script for the shell that completes commands, flags, pipelines, tasks,
runs, dates, and models with their versions and aliases.
`

// TestReference compares docs/cli.md with the help of every command.
func TestReference(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString(referenceHead)
	describeCommand(t, &page, nil)
	path := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page.String() {
		t.Error("docs/cli.md does not say what --help says: run `go test ./internal/cli -run Reference -update`")
	}
}

var commandLine = regexp.MustCompile(`(?m)^  ([a-z]+)  `)

// describeCommand adds the help of a command and, below it, of its subcommands.
func describeCommand(t *testing.T, page *strings.Builder, words []string) {
	var out bytes.Buffer
	if code := cli.Main(append(words[:len(words):len(words)], "--help"), nil, &out, &out); code != 0 {
		t.Fatalf("damson %s --help ends with %d:\n%s", strings.Join(words, " "), code, &out)
	}
	text := strings.TrimRight(out.String(), "\n")
	if len(words) > 0 {
		page.WriteString("\n## damson " + strings.Join(words, " ") + "\n")
	}
	page.WriteString("\n```\n" + text + "\n```\n")
	before, _, _ := strings.Cut(text, "\nFlags:")
	for _, m := range commandLine.FindAllStringSubmatch(before, -1) {
		if m[1] != "help" && m[1] != "damson" {
			describeCommand(t, page, append(words[:len(words):len(words)], m[1]))
		}
	}
}
