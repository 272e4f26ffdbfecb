package declare

import (
	"strings"
	"testing"

	"damson/internal/project/source"
)

// TestBounds stops declarations that eat the machine, with bounds small enough for a test.
func TestBounds(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"steps", "def f():\n    for i in range(900000):\n        for j in range(900000):\n            pass\nf()\n", "Too many steps"},
		{"memory by doubling a text", "def f():\n    s = \"0123456789\"\n    for i in range(28):\n        s = s + s\n    x = 0\n    for i in range(900000):\n        x += i\nf()\n", "Too much memory"},
		{"tasks", "p = pipeline(name = \"p\")\n[p.sql(\"t%d\" % i) for i in range(20)]\n", "more than 10 tasks"},
		{"pipelines", "[pipeline(name = \"p%d\" % i) for i in range(20)]\n", "more than 5 pipelines"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := bounds{steps: 4_000_000, heap: 256 << 20, elements: 1_000_000, tasks: 10, pipelines: 5}
			if test.name == "memory by doubling a text" {
				b.steps = 1 << 40
			}
			e := &evaluation{bounds: b}
			e.evaluate([]*source.File{{Path: "pipelines/p.star", Text: test.text}})
			if len(e.findings) == 0 || !strings.Contains(e.findings.Error(), test.want) {
				t.Errorf("want %q, have %v", test.want, e.findings)
			}
		})
	}
}

// TestDepth refuses what would exhaust the parser's stack, and survives what comes near.
func TestDepth(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"brackets", "x = 1\ny = " + strings.Repeat("(", 100_000), "Split the expression"},
		{"minus signs", "x = " + strings.Repeat("-", 1_000_000) + "1\n", "Split the expression"},
		{"a long sum", "x = 1" + strings.Repeat("+1", 500_000) + "\n", ""},
		{"not", "x = " + strings.Repeat("not ", 250_000) + "1\n", "Split the expression"},
		{"attributes", "x = 'a'" + strings.Repeat(".a", 500_000) + "\n", "string has no .a field"},
		{"large", strings.Repeat("# x\n", 300_000), "pipelines/p.star: File too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := &evaluation{bounds: defaultBounds()}
			e.evaluate([]*source.File{{Path: "pipelines/p.star", Text: test.text}})
			if got := e.findings.Error(); test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("want %q, have %.300s", test.want, got)
			}
		})
	}
}

// TestFreeLoad leaves strings and comments alone.
func TestFreeLoad(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`p.load("a.load")`, `p.` + loadMethod + `("a.load")`},
		{"load(\"x.star\", \"y\")", "load(\"x.star\", \"y\")"},
		{"p. load(1) # p.load", "p. " + loadMethod + "(1) # p.load"},
		{"p.loader(1); p.load_all", "p.loader(1); p.load_all"},
		{`"\".load" + '''x.load''' + p.load`, `"\".load" + '''x.load''' + p.` + loadMethod},
		{"\"\"\"\n.load\n\"\"\"\np.load", "\"\"\"\n.load\n\"\"\"\np." + loadMethod},
		{"\"open\np.load", "\"open\np." + loadMethod},
		{"# p.load", "# p.load"},
	}
	for _, test := range tests {
		if got := freeLoad(test.text); got != test.want {
			t.Errorf("freeLoad(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}
