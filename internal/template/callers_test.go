package template_test

import (
	"fmt"
	"strings"
	"testing"

	"damson/internal/template"
)

func TestTextOfAMacroKnowsItsCallers(t *testing.T) {
	t.Parallel()
	set := template.NewSet()
	if fs := set.AddMacros("macros/m.sql", "{% macro low(x) %}low{{ x }}{% endmacro %}\n{% macro high() %}{{ low(1) }} high{% endmacro %}"); fs != nil {
		t.Fatal(fs)
	}
	if _, fs := set.Parse("sql/part.sql", "part"); fs != nil {
		t.Fatal(fs)
	}
	tmpl, fs := set.Parse("sql/a.sql", "own\n  {{ high() }}\n{% include 'part.sql' %}\n{{ low(2) | upper }}")
	if fs != nil {
		t.Fatal(fs)
	}
	text, err := tmpl.Render(nil)
	if err != nil {
		t.Fatal(err)
	}
	for find, want := range map[string]string{
		"own":  "sql/a.sql:1:1 []",
		"low1": "macros/m.sql:1:19 [macros/m.sql:2:22 sql/a.sql:2:6]",
		"high": "macros/m.sql:2:32 [sql/a.sql:2:6]",
		"part": "sql/part.sql:1:1 [sql/a.sql:3:4]",
		"LOW2": "sql/a.sql:4:1 []",
	} {
		at := strings.Index(text.SQL(), find)
		if got := fmt.Sprint(text.Pos(at), " ", text.Callers(at)); got != want {
			t.Errorf("%q is from %s, want %s", find, got, want)
		}
	}
}
