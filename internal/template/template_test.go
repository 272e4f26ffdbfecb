package template_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/template"
	"damson/internal/template/airflow"
)

// parse fails the test when the template has mistakes.
func parse(t testing.TB, set *template.Set, file, text string) *template.Template {
	t.Helper()
	tpl, findings := set.Parse(file, text)
	if len(findings) > 0 {
		t.Fatalf("%s: %v", text, findings)
	}
	return tpl
}

func withMacros(t testing.TB, file, text string) *template.Set {
	t.Helper()
	set := template.NewSet()
	if findings := set.AddMacros(file, text); len(findings) > 0 {
		t.Fatal(findings)
	}
	return set
}

// brief gives findings as "place: summary: detail", without the fixes.
func brief(findings diag.Findings) []string {
	var out []string
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s: %s", f.At, f.Summary))
	}
	return out
}

func TestRenderErrorsHavePlaceReasonAndFix(t *testing.T) {
	t.Parallel()
	set := withMacros(t, "macros/m.sql", "{% macro twice(x) %}\n  {{ x * 2 }}{{ missing }}\n{% endmacro %}")
	parse(t, set, "sql/part.sql", "ok\n{{ 1 / 0 }}")
	for _, c := range []struct{ text, at, summary, detail, fix string }{
		{"select\n  {{ dss }}", "2:6", "Unknown template name", `"dss"`, `Did you mean "ds"?`},
		{"{{ params.shema }}", "1:11", "Unknown attribute", `params has no "shema"`, `Did you mean "schema"?`},
		{"{{ params['shema'] }}", "1:10", "Unknown attribute", `params has no "shema"`, `Did you mean "schema"?`},
		{"{{ var.value.buckt }}", "1:14", "Unknown attribute", `no variable "buckt"`, `Did you mean "bucket"?`},
		{"{{ var.value.other }}", "1:14", "Unknown attribute", `no variable "other"`, "damson.yaml"},
		{"{{ conn.nope.host }}", "1:9", "Unknown attribute", `no connection "nope"`, "damson.yaml"},
		{"{{ ti.xcom_pull('x') }}", "1:7", "Unknown attribute", "XCom", "Write a table"},
		{"{{ logical_date.mont }}", "1:17", "Unknown attribute", "datetime", `"month"`},
		{"{{ ds + 1 }}", "1:7", "Operator does not fit", "between a string and an integer", "~"},
		{"{{ [1][3] }}", "1:7", "No such item", "1 items", ""},
		{"{{ ds.strftime('%Y') }}", "1:7", "Unknown attribute", `no "strftime"`, ""},
		{"{{ macros.ds_add('x', 1) }}", "1:11", "Call of macros.ds_add", "is not a date of the form", ""},
		{"{{ logical_date.strftime('%Q') }}", "1:17", "Call of logical_date.strftime", "%Q", ""},
		{"{{ ds | int(nope=1) }}", "1:9", "Filter int", "nope", ""},
		{"{{ 5 | join }}", "1:8", "Filter join", "n integer is not a list", ""},
		{"{{ [3, 'a'] | sort }}", "1:15", "Filter sort", "", ""},
		{"{{ 'x' | random }}", "1:10", "Filter not supported", "macros.random", ""},
		{"{{ 'x' | escape }}", "1:10", "Filter not supported", "literal", ""},
		{"{% for x in 5 %}{% endfor %}", "1:13", "Nothing to loop over", "n integer", ""},
		{"{% for a, b in [(1, 2, 3)] %}{% endfor %}", "1:8", "Cannot be unpacked", "2 names", ""},
		{"{% set ns.x = 1 %}", "1:8", "Not a namespace", "ns", "namespace("},
		{"{{ twice(2) }}", "macros/m.sql:2:17", "Unknown template name", "In twice, called at sql/x.sql:1:4.", ""},
		{"{{ twice() }}", "macros/m.sql:2:6", "Argument not given", `"x"`, ""},
		{"{{ twice(1, 2) }}", "1:4", "Call of twice", "takes 1 arguments and was given 2", "twice(x) at macros/m.sql:1:10"},
		{"{{ twice(y=2) }}", "1:4", "Call of twice", `no parameter "y"`, ""},
		{"{% include 'part.sql' %}", "sql/part.sql:2:6", "Operator does not fit", "included at sql/x.sql:1:4", ""},
		{"{% include 'prt.sql' %}", "1:12", "Unknown template file", "prt.sql", ""},
		{"{% from 'm.sql' import thrice %}", "1:24", "Unknown macro", "thrice", `"twice"`},
		{"{% import 'm.sql' as m %}{{ m.thrice() }}", "1:31", "Unknown attribute", "thrice", `"twice"`},
	} {
		tpl := parse(t, set, "sql/x.sql", c.text)
		_, err := tpl.Render(day().Names())
		var f diag.Finding
		if !errors.As(err, &f) {
			t.Errorf("%s: got %v", c.text, err)
			continue
		}
		at := c.at
		if !strings.Contains(at, "sql:") {
			at = "sql/x.sql:" + at
		}
		if f.At.String() != at || f.Summary != c.summary || !strings.Contains(f.Detail, c.detail) || !strings.Contains(f.Fix, c.fix) {
			t.Errorf("%s: want %s %s … %s … %s, got\n%v", c.text, at, c.summary, c.detail, c.fix, f)
		}
	}
}

func TestParseFindsAllMistakes(t *testing.T) {
	t.Parallel()
	text := strings.Join([]string{
		"select {{ 1 + }}, {{ ok }}",
		"{% if x %}{% endfor %}{% endif %}",
		"{% nope %} {% extends 'x' %}",
		"{{ a b }} {{ (1 }} {{ [1) }}",
		"{{ x is }} {{ x | }} {{ x. }}",
		"{% for in y %}{% endfor %}",
		"{% macro m(a=1, b, b) %}{% endmacro %}",
		"{{ unclosed",
		"{{ fine }} {{ 'no end }}",
		"{{ a & b }} {{ f(a=1, 2) }}",
		"{% set a.b.c = 1 %} {% set 1 = 2 %}",
		"{% call 5 %}{% endcall %}",
		"{% while x %}",
		"{% for x in y %}",
		"{# comment",
	}, "\n")
	_, findings := template.NewSet().Parse("x.sql", text)
	want := []string{
		"x.sql:1:15: Template not understood",
		"x.sql:2:14: Unexpected end",
		"x.sql:3:4: Unknown statement",
		"x.sql:3:15: Statement not supported",
		"x.sql:4:6: Template not understood",
		"x.sql:4:17: Brackets do not match",
		"x.sql:4:25: Brackets do not match",
		"x.sql:5:9: Template not understood",
		"x.sql:5:19: Template not understood",
		"x.sql:5:28: Template not understood",
		"x.sql:6:8: Template not understood",
		"x.sql:7:17: Template not understood",
		"x.sql:8:1: Tag not closed",
		"x.sql:9:15: Template not understood",
		"x.sql:10:6: Template not understood",
		"x.sql:10:23: Template not understood",
		"x.sql:11:11: Template not understood",
		"x.sql:11:28: Template not understood",
		"x.sql:12:9: Template not understood",
		"x.sql:13:4: Unknown statement",
		"x.sql:14:4: Block not closed",
		"x.sql:15:1: Comment not closed",
	}
	if diff := cmp.Diff(want, brief(findings)); diff != "" {
		t.Errorf("%s\n%v", diff, findings)
	}
}

func TestPlacesLeadBack(t *testing.T) {
	t.Parallel()
	set := withMacros(t, "macros/geo.sql", "-- distances\n{% macro km(a) %}dist(\n  {{ a }}){% endmacro %}")
	parse(t, set, "sql/where.sql", "where tdate\n  = '{{ ds }}'")
	tpl := parse(t, set, "sql/x.sql", strings.Join([]string{
		"select {{ km('lat') }},",
		"{% for c in ['a', 'b'] %}  col_{{ c }},",
		"{% endfor %}",
		"{% macro own() %}inside{{ caller() }}{% endmacro -%}",
		"{% call own() %} called{% endcall %}",
		"ä from t {{ 'value' }} end",
		"{% include 'where.sql' %}",
		"{% filter upper %}loud{% endfilter %} tail",
	}, "\n"))
	text, err := tpl.Render(day().Names())
	if err != nil {
		t.Fatal(err)
	}
	sql := text.SQL()
	for _, c := range []struct{ find, at string }{
		{"select", "sql/x.sql:1:1"}, {"dist(", "macros/geo.sql:2:18"}, {"lat", "macros/geo.sql:3:3"}, {")", "macros/geo.sql:3:10"},
		{",\n", "sql/x.sql:1:23"}, {"col_a", "sql/x.sql:2:28"}, {"a,", "sql/x.sql:2:32"}, {"col_b", "sql/x.sql:2:28"},
		{"inside", "sql/x.sql:4:18"}, {"called", "sql/x.sql:5:18"}, {"from t", "sql/x.sql:6:3"}, {"value", "sql/x.sql:6:10"},
		{"end\n", "sql/x.sql:6:24"}, {"where", "sql/where.sql:1:1"}, {"= '", "sql/where.sql:2:3"}, {"2018", "sql/where.sql:2:6"},
		{"LOUD", "sql/x.sql:8:4"}, {"tail", "sql/x.sql:8:39"},
	} {
		i := strings.Index(sql, c.find)
		if i < 0 {
			t.Fatalf("%q is not in %q", c.find, sql)
		}
		if got := text.Pos(i).String(); got != c.at {
			t.Errorf("%q comes from %s, want %s", c.find, got, c.at)
		}
	}
}

func TestMacrosOfTheSet(t *testing.T) {
	t.Parallel()
	set := withMacros(t, "macros/geo.sql", "{% set r = 6371 %}\n{% macro radius() %}{{ r }}{% endmacro %}\n{% macro twice(x) %}{{ x }}{{ x }}{{ radius() }}{% endmacro %}\nignored text")
	for text, want := range map[string]string{
		"{{ twice('a') }}": "aa6371",
		"{{ twice('a') | upper }}{{ twice(1) ~ '!' }}":                                "AA6371116371!",
		"{% import 'macros/geo.sql' as geo %}{{ geo.radius() }}{{ geo.r }}":           "63716371",
		"{% from 'geo.sql' import radius as rad, twice %}{{ rad() }}{{ twice('b') }}": "6371bb6371",
		"{% set twice = 5 %}{{ twice }}":                                              "5",
		"{% set l = ['x', 'y'] %}{{ l | map('upper') | join(',') }}":                  "X,Y",
		"{% include ['none.sql', 'nor.sql'] ignore missing %}-":                       "-",
	} {
		out, err := parse(t, set, "sql/x.sql", text).Render(day().Names())
		if err != nil || out.SQL() != want {
			t.Errorf("%s: got %q, %v; want %q", text, out.SQL(), err, want)
		}
	}
	findings := set.AddMacros("macros/more.sql", "{% macro twice() %}{% endmacro %}{% macro ds() %}{% endmacro %}{% macro range() %}{% endmacro %}")
	if diff := cmp.Diff([]string{"macros/more.sql:1:10: Macro defined twice", "macros/more.sql:1:43: Macro name taken", "macros/more.sql:1:73: Macro name taken"}, brief(findings)); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	set := withMacros(t, "macros/m.sql", "{% macro m(a, b=1) %}{{ a }}{{ typo_in_macro }}{% endmacro %}")
	parse(t, set, "sql/frag.sql", "{{ x }}{{ from_fragment }}")
	parse(t, set, "sql/self.sql", "{% include 'sql/self.sql' %}")
	for text, want := range map[string][]string{
		"{{ ds }}{{ params.x }}{{ range(3) }}{{ m(1) }}{{ loop }}": {"1:50: Unknown template name"},
		"{{ dss }}": {"1:4: Unknown template name"},
		"{{ x | default(1) }}{{ y is defined }}{{ z.a.b | d }}":                                               nil,
		"{% if x is defined and x > 1 %}{{ x }}{% endif %}{{ x }}":                                            {"1:53: Unknown template name"},
		"{% if x is not defined %}{% set x = 1 %}{% endif %}{{ x }}":                                          nil,
		"{% if x is undefined or x %}{% else %}{{ x }}{% endif %}":                                            nil,
		"{{ x if x is defined else y }}":                                                                      {"1:27: Unknown template name"},
		"{% for a, b in rows if a %}{{ a }}{{ b }}{{ loop.index }}{% endfor %}{{ a }}":                        {"1:16: Unknown template name", "1:73: Unknown template name"},
		"{% set x, y = 1, 2 %}{{ x }}{{ y }}{% set z %}{{ x }}{% endset %}{{ z }}":                            nil,
		"{% macro f(a, b=a) %}{{ a }}{{ b }}{{ later }}{{ varargs }}{% endmacro %}{% set later = 1 %}{{ a }}": {"1:96: Unknown template name"},
		"{% with a = 1 %}{{ a }}{% endwith %}{{ a }}":                                                         {"1:40: Unknown template name"},
		"{% call(i) m(1) %}{{ i }}{% endcall %}{{ i }}":                                                       {"1:42: Unknown template name"},
		"{{ ds | uper }}{{ ds is evn }}{{ [] | map('uper') }}{{ [] | select('evn') }}":                        {"1:9: Unknown filter", "1:25: Unknown test", "1:43: Unknown filter", "1:68: Unknown test"},
		"{{ m() }}{{ m(1, 2, 3) }}{{ m(1, c=2) }}":                                                            {"1:21: Too many arguments", "1:36: Unknown argument"},
		"{% set x = 1 %}{% include 'frag.sql' %}":                                                             {"sql/frag.sql:1:11: Unknown template name"},
		"{% include 'self.sql' %}":                                                                            {"sql/self.sql:1:4: Templates include one another"},
		"{% include 'frg.sql' %}{% import 'nope.sql' as n %}":                                                 {"1:12: Unknown template file", "1:34: Unknown template file"},
		"{% from 'm.sql' import m as k, q %}{{ k(1, 2, 3) }}":                                                 {"1:32: Unknown macro", "1:47: Too many arguments"},
		"{% import 'm.sql' as k %}{{ k.m(1) }}{{ k.q() }}":                                                    {"1:41: Unknown macro"},
		"{% include params.file %}":                                                                           nil,
		"{{ {'a': aa}[bb] }}{{ ds[cc:dd] }}{{ -ee ~ ff }}{% do gg %}":                                         {"1:10: Unknown template name", "1:14: Unknown template name", "1:26: Unknown template name", "1:29: Unknown template name", "1:39: Unknown template name", "1:44: Unknown template name", "1:55: Unknown template name"},
	} {
		findings := parse(t, set, "sql/x.sql", text).Check(airflow.Names())
		var got []string
		for _, line := range brief(findings) {
			got = append(got, strings.TrimPrefix(line, "sql/x.sql:"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
	if got := brief(set.Check(airflow.Names())); len(got) != 1 || got[0] != "macros/m.sql:1:32: Unknown template name" {
		t.Errorf("macros: %v", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	set := withMacros(t, "macros/m.sql", "{% set base = env %}{% macro a() %}{{ b() }}{{ base }}{% endmacro %}{% macro b() %}{{ ds }}{% endmacro %}{% macro unused() %}{{ ts }}{% endmacro %}")
	for text, want := range map[string][]string{
		"{{ params.x }}{{ params['y'].z }}{{ params[ds] }}": {"params.x", "params.y.z", "ds", "params"},
		"{{ var.value.get('k', run_id) }}":                  {"var.value.get", "run_id"},
		"{{ x | default(1) }}{{ y.a is defined }}":          {"x?", "y.a?"},
		"{{ a() }}{{ a() }}":                                {"env", "ds"},
		"{% import 'm.sql' as m %}{{ m.b() }}":              {"env", "ds"},
		"{% from 'm.sql' import b %}{{ b() }}":              {"env", "ds"},
		"{% set ds = 1 %}{{ ds }}{{ range(3) }}":            nil,
	} {
		var got []string
		for _, r := range parse(t, set, "sql/x.sql", text).Names() {
			s := r.Name
			if r.Path != "" {
				s += "." + r.Path
			}
			if r.Optional {
				s += "?"
			}
			if r.At.Line == 0 || r.Attr != strings.Split(r.Path, ".")[0] {
				t.Errorf("%s: %+v", text, r)
			}
			got = append(got, s)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}

// TestRenderIsBounded renders templates that would run or grow without end.
func TestRenderIsBounded(t *testing.T) {
	t.Parallel()
	set := template.NewSet()
	set.Limits = template.Limits{Steps: 100_000, Output: 1 << 20}
	parse(t, set, "sql/self.sql", "x{% include 'self.sql' %}")
	for _, text := range []string{
		"{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
		"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() | upper }}",
		"{% include 'self.sql' %}",
		"{{ 'x' * 1000000000 }}",
		"{{ [0] * 1000000000 }}",
		"{{ 9 ** 9999 }}",
		"{{ '%1000000000d' % 1 }}",
		"{{ '{:1000000000}'.format(1) }}",
		"{{ 'x'.zfill(1000000000) }}",
		"{{ 'x' | center(1000000000) }}",
		"{{ range(1000000000000) | list }}",
		"{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
		"{% set ns = namespace(l=[1]) %}{% for i in range(20) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
		"{% set ns = namespace(n=7) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
		"{% set a = 'x' * 100000 %}{{ a.replace('x', a).replace('x', a) }}",
		"{% set a = 'x' * 100000 %}{{ a | replace('x', a) | length }}",
		"{% set a = 'x' * 1000000 %}{% for i in range(1000) %}{{ a }}{% endfor %}",
		"{% set l = [] %}{% for i in range(100000) %}{% do l.append('x' * 1000000) %}{% endfor %}",
		"{% set l = [] %}{% do l.append(l) %}{% for i in range(100000) %}{% do l.extend(l) %}{% endfor %}",
	} {
		out, err := parse(t, set, "sql/x.sql", text).Render(day().Names())
		var f diag.Finding
		if !errors.As(err, &f) || f.At.Line == 0 {
			t.Errorf("%s: rendered %d bytes, %v", text, len(out.SQL()), err)
		}
	}
}

func TestContextInATimeZone(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone data:", err)
	}
	start := time.Date(2018, 3, 25, 0, 0, 0, 0, berlin) // the clocks change on this day
	c := airflow.Context{Start: start.UTC(), End: start.AddDate(0, 0, 1).UTC(), Location: berlin, RunID: "r"}
	for text, want := range map[string]string{
		"{{ ds }} {{ ts }}":                          "2018-03-25 2018-03-25T00:00:00+01:00",
		"{{ data_interval_end }}":                    "2018-03-26 00:00:00+02:00",
		"{{ prev_ds }} {{ next_ds }}":                "2018-03-24 2018-03-26",
		"{{ logical_date + macros.timedelta(1) }}":   "2018-03-26 00:00:00+02:00",
		"{{ data_interval_end - logical_date }}":     "23:00:00",
		"{{ logical_date.in_timezone('UTC') | ts }}": "2018-03-24T23:00:00+00:00",
	} {
		out, err := parse(t, template.NewSet(), "x.sql", text).Render(c.Names())
		if err != nil || out.SQL() != want {
			t.Errorf("%s: got %q, %v; want %q", text, out.SQL(), err, want)
		}
	}
}

func TestPreviousIntervals(t *testing.T) {
	t.Parallel()
	date := func(s string) time.Time {
		d, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct{ start, end, prev string }{
		{"2018-03-01 00:00", "2018-04-01 00:00", "2018-02-01"},
		{"2018-01-01 00:00", "2018-04-01 00:00", "2017-10-01"},
		{"2018-03-05 00:00", "2018-03-12 00:00", "2018-02-26"},
		{"2018-03-01 00:00", "2018-03-01 01:00", "2018-02-28"},
		{"2018-03-01 00:00", "2018-03-01 00:00", "2018-03-01"},
	} {
		names := airflow.Context{Start: date(c.start), End: date(c.end)}.Names()
		if got := names["prev_ds"]; got != starlark.String(c.prev) {
			t.Errorf("%s to %s: %s, want %s", c.start, c.end, got, c.prev)
		}
	}
}

func TestRandomValuesFollowTheRun(t *testing.T) {
	t.Parallel()
	tpl := parse(t, template.NewSet(), "x.sql", "{{ macros.uuid.uuid4() }} {{ macros.random() }} {{ macros.random.randint(1, 1000000) }}")
	render := func(run string) string {
		c := day()
		c.RunID = run
		out, err := tpl.Render(c.Names())
		if err != nil {
			t.Fatal(err)
		}
		return out.SQL()
	}
	first, again := render("a"), render("a")
	if first != again {
		t.Error("a second rendering of the same run differs")
	}
	if first == render("b") {
		t.Error("two runs have the same random values")
	}
}

func TestContextNamesAreThose(t *testing.T) {
	t.Parallel()
	names := day().Names()
	for _, name := range airflow.Names() {
		if names[name] == nil {
			t.Errorf("%s has no value", name)
		}
	}
	if len(names) != len(airflow.Names()) {
		t.Errorf("%d values for %d names", len(names), len(airflow.Names()))
	}
	c := day()
	c.PrevStart = time.Date(2018, 2, 28, 0, 0, 0, 0, time.UTC)
	c.Extra = starlark.StringDict{"item": starlark.MakeInt(7)}
	out, err := parse(t, template.NewSet(), "x.sql", "{{ prev_data_interval_start_success }} {{ prev_end_date_success }} {{ item }} {{ params.schema }} {{ conn.dwh.get_uri() }} {{ warehouse.kind }} {{ env }} {{ ['it\\'s', 1, none, true] | literal }} {{ 'Odd' | ident }}").Render(c.Names())
	want := `2018-02-28 00:00:00+00:00 None 7 analytics postgres://etl:s@db.example.com:5432/public duckdb dev 'it''s', 1, NULL, TRUE "Odd"`
	if err != nil || out.SQL() != want {
		t.Errorf("got %q %v", out.SQL(), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"{{ ds }}", "{% for x in [1] %}{{ loop.index }}{% endfor %}", "{% raw %}{{ {% endraw %}", "{%- macro m(a, b=1) -%}{{ a ~ b }}{% endmacro %}{{ m(1)|upper }}",
		"{% if a is defined %}{% elif b %}{% else %}{% endif %}", "{# x #}{{ 'a' if b else c }}", "{% set a, b = 1, 2 %}{% set c %}x{% endset %}", "{% call m() %}{% endcall %}", "{{ a[1:2, ::3] }}{{ {1: 2} }}",
		"{% from 'a' import b as c %}{% include x ignore missing %}{% with a=1 %}{% endwith %}", "{{ '\\x41\\u00e4' 1_0.5e3 0x1f }}", "{{ '%5.2f' % 1 }}{{ '{:>5}'.format(2) }}{{ range(9) | batch(2) | list }}", "{{((((", "{{ not not - - x }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set := template.NewSet()
		set.Limits = template.Limits{Steps: 10_000, Output: 1 << 16}
		set.AddMacros("macros/m.sql", text)
		tpl, findings := set.Parse("x.sql", text)
		tpl.Names()
		tpl.Check(airflow.Names())
		out, err := tpl.Render(starlark.StringDict{"x": starlark.MakeInt(1), "a": starlark.String("s")})
		if findings.HasErrors() && err == nil {
			t.Error("a template with mistakes renders")
		}
		if err == nil {
			for i := range len(out.SQL()) {
				if p := out.Pos(i); p.Line < 1 {
					t.Fatalf("byte %d comes from %v", i, p)
				}
			}
		}
	})
}

func TestOneTemplateForSeveralGoroutines(t *testing.T) {
	t.Parallel()
	set := withMacros(t, "macros/m.sql", "{% set k = [1, 2] %}{% macro m(x) %}{{ x }}{{ k }}{% endmacro %}")
	tpl := parse(t, set, "sql/x.sql", "{% set l = [] %}{% for i in range(50) %}{% do l.append(m(i)) %}{% endfor %}{{ l | join(',') }}{{ params.countries }}")
	results := make(chan string)
	for range 8 {
		go func() {
			out, err := tpl.Render(day().Names())
			results <- fmt.Sprint(out.SQL(), err)
		}()
	}
	first := <-results
	for range 7 {
		if other := <-results; other != first {
			t.Errorf("%s\n%s", first, other)
		}
	}
	if !strings.HasPrefix(first, "0[1, 2],1[1, 2],") {
		t.Error(first)
	}
}

// TestMappedNames gives item and map_index to the runs of a mapped task, and to no others.
func TestMappedNames(t *testing.T) {
	t.Parallel()
	tpl := parse(t, template.NewSet(), "x.sql", "{% if item is defined %}{{ map_index }}: {{ item.city }}, {{ item['n'] }}{% else %}none{% endif %}")
	c := day()
	for _, want := range []string{"none", "2: Beijing, 7"} {
		out, err := tpl.Render(c.Names())
		if err != nil || out.SQL() != want {
			t.Errorf("got %q %v, want %q", out.SQL(), err, want)
		}
		c.Item, c.MapIndex, c.HasItem = map[string]any{"city": "Beijing", "n": 7}, 2, true
	}
	for _, name := range airflow.MappedNames() {
		if _, err := parse(t, template.NewSet(), "x.sql", "{{ "+name+" }}").Render(day().Names()); err == nil {
			t.Errorf("%s has a value outside of a mapped task", name)
		}
	}
}
