package template_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/template"
	"damson/internal/template/airflow"
	"damson/internal/template/datetime"
)

// jinjaValues are VALUES of testdata/jinja.py.
func jinjaValues() starlark.StringDict {
	start := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	vars := starlark.StringDict{"start": datetime.New(start), "datetime": datetime.DateTimeClass(start), "timedelta": datetime.TimeDeltaClass,
		"pair": starlark.Tuple{starlark.String("x"), starlark.String("y")}}
	for name, v := range map[string]any{
		"n": 3, "f": 2.5, "s": "Hello World", "none_value": nil, "flag": true, "empty": []any{},
		"names": []any{"b", "A", "c", "a"}, "numbers": []any{3, 1, 2},
		"ds": "2018-01-01",
	} {
		vars[name] = airflow.FromGo(v)
	}
	vars["d"] = ordered("one", 1, "two", map[string]any{"three": 3}, "items_", []any{1, 2})
	vars["rows"] = starlark.NewList([]starlark.Value{
		ordered("name", "walk", "kind", "foot", "km", 2),
		ordered("name", "bike", "kind", "wheel", "km", 9),
		ordered("name", "run", "kind", "foot", "km", 5)})
	return vars
}

// ordered gives a dict whose keys stand in the order given.
func ordered(pairs ...any) starlark.Value {
	d := starlark.NewDict(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		if err := d.SetKey(airflow.FromGo(pairs[i]), airflow.FromGo(pairs[i+1])); err != nil {
			panic(err)
		}
	}
	return d
}

// TestJinja compares with what Jinja itself renders (testdata/jinja.py).
func TestJinja(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/jinja.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ Template, Output, Error string }
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			tpl, findings := template.NewSet().Parse("x.sql", c.Template)
			err := findings.Err()
			var out string
			if err == nil {
				text, e := tpl.Render(jinjaValues())
				out, err = text.SQL(), e
			}
			switch {
			case c.Error != "" && err == nil:
				t.Errorf("%s\nrendered %q, and Jinja refuses it (%s)", c.Template, out, c.Error)
			case c.Error == "" && err != nil:
				t.Errorf("%s\nJinja gives %q, got the error\n%v", c.Template, c.Output, err)
			case out != c.Output:
				t.Errorf("%s\nJinja gives %q\ngot         %q", c.Template, c.Output, out)
			}
		})
	}
}
