package console_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/cli/console"
)

// printed is the grid on a terminal of so many characters, without colours.
func printed(t *testing.T, g *console.Grid, width int) string {
	t.Helper()
	t.Setenv("NO_COLOR", "1")
	var out bytes.Buffer
	g.Print(&console.App{Out: &out, Terminal: true, Width: width})
	text := strings.NewReplacer("\x1b[2m", "", "\x1b[0m", "").Replace(out.String())
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
			t.Errorf("%d characters on a terminal of %d: %s", n, width, line)
		}
	}
	return text
}

func TestSentencesAreNotCut(t *testing.T) {
	g := console.NewGrid("model", ">version", "why").Sentences()
	g.Add("walk", "2", "gate auc >= 0.99 failed: auc is 0.981")
	g.Add("walk", "1", "first version")
	for _, c := range []struct {
		width int
		want  string
	}{
		{60, `
model  version  why
walk         2  gate auc >= 0.99 failed: auc is 0.981
walk         1  first version
`},
		{45, `
model  version  why
walk         2  gate auc >= 0.99 failed: auc
                is 0.981
walk         1  first version
`},
		{30, `
model  version
walk         2
    gate auc >= 0.99 failed:
    auc is 0.981
walk         1
    first version
`},
		{13, `
model
walk
    version
    2; gate
    auc >=
    0.99
    failed:
    auc is
    0.981
walk
    version
    1; first
    version
`},
	} {
		if diff := cmp.Diff(c.want, "\n"+printed(t, g, c.width)); diff != "" {
			t.Errorf("at %d characters (-want +got)\n%s", c.width, diff)
		}
	}
}

func TestOtherLinesAreCut(t *testing.T) {
	g := console.NewGrid("a", "b")
	g.Add("0123456789", "0123456789")
	if got := printed(t, g, 16); !strings.Contains(got, "0123456789  012…") {
		t.Errorf("the line is\n%s", got)
	}
}
