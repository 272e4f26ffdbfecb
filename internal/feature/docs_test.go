package feature_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"damson/internal/feature"
)

var update = flag.Bool("update", false, "write the table of docs/features.md")

// TestDocsListAllCalculators keeps the table of docs/features.md.
func TestDocsListAllCalculators(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/features.md", "-update -->\n", "<!-- end -->"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	have, tail, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatal("the marks of the table are gone")
	}
	var b strings.Builder
	b.WriteString("| name | parameters | value | usual | |\n|---|---|---|---|---|\n")
	for _, c := range feature.Calculators() {
		where := ""
		if c.SQL {
			where = "SQL"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %d | %s |\n", c.Name, c.Parameters, strings.ReplaceAll(c.Formula, "|", `\|`), c.Usual, where)
	}
	if have == b.String() {
		return
	}
	if !*update {
		t.Fatal("docs/features.md differs from the register: go test ./internal/feature -run Docs -update")
	}
	if err := os.WriteFile(file, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
