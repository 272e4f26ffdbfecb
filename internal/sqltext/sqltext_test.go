package sqltext_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

func statements(parts []sqltext.Text) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p.SQL())
	}
	return out
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"nothing":                 {"", nil},
		"only comments":           {" -- a\n/* b */ ; ;; ", nil},
		"one without semicolon":   {"select 1", []string{"select 1"}},
		"two":                     {"select 1;\nselect 2;", []string{"select 1", "select 2"}},
		"comments around":         {"-- head\nselect 1 -- why\n; /* x */ select /* in */ 2 /* tail */", []string{"select 1", "select /* in */ 2"}},
		"string":                  {"select 'a;b', 'it''s; x'; select 2", []string{"select 'a;b', 'it''s; x'", "select 2"}},
		"escape string":           {`select E'a\';b'; select 2`, []string{`select E'a\';b'`, "select 2"}},
		"backslash is itself":     {`select 'a\'; select 2`, []string{`select 'a\'`, "select 2"}},
		"quoted name":             {`select ";" from "a"";b"; x`, []string{`select ";" from "a"";b"`, "x"}},
		"dollar quotes":           {"do $$ begin; end $$; do $a$ $$;$b$; $a$; x", []string{"do $$ begin; end $$", "do $a$ $$;$b$; $a$", "x"}},
		"dollar in a name":        {"select a$b$c; select $1; x", []string{"select a$b$c", "select $1", "x"}},
		"nested comment":          {"select 1 /* a /* ; */ ; */ + 2; x", []string{"select 1 /* a /* ; */ ; */ + 2", "x"}},
		"comment hides a quote":   {"select 1 -- it's\n; select 2", []string{"select 1", "select 2"}},
		"unclosed string":         {"select 'a; b", []string{"select 'a; b"}},
		"unclosed comment":        {"select 1; /* x; y", []string{"select 1"}},
		"rule with several":       {"create rule r as on insert to t do (delete from a; delete from b); x", []string{"create rule r as on insert to t do (delete from a; delete from b)", "x"}},
		"begin atomic":            {"create or replace function f() returns int begin atomic select 1; select case when true then 1 end; end; x", []string{"create or replace function f() returns int begin atomic select 1; select case when true then 1 end; end", "x"}},
		"transaction":             {"begin; insert into t values (1); end; x", []string{"begin", "insert into t values (1)", "end", "x"}},
		"planner hint stays":      {"/*+ SeqScan(t) */ select 1; x", []string{"/*+ SeqScan(t) */ select 1", "x"}},
		"letters of several byte": {"select 'ä;ö' as \"ü\"; select 'é'", []string{"select 'ä;ö' as \"ü\"", "select 'é'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, statements(sqltext.Plain("x.sql", c.sql).Split())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPosOfAFile(t *testing.T) {
	t.Parallel()
	text := sqltext.Plain("sql/a.sql", "select 'ä', x;\n\n  select y\n")
	parts := text.Split()
	for _, c := range []struct {
		text sqltext.Text
		find string
		want diag.Pos
	}{
		{text, "select", diag.Pos{File: "sql/a.sql", Line: 1, Col: 1}},
		{text, "x", diag.Pos{File: "sql/a.sql", Line: 1, Col: 13}},
		{parts[1], "select", diag.Pos{File: "sql/a.sql", Line: 3, Col: 3}},
		{parts[1], "y", diag.Pos{File: "sql/a.sql", Line: 3, Col: 10}},
	} {
		if got := c.text.Pos(strings.Index(c.text.SQL(), c.find)); got != c.want {
			t.Errorf("%q is at %v, got %v", c.find, c.want, got)
		}
	}
	if got := parts[1].Pos(9999); got.Line != 3 {
		t.Errorf("an offset behind the end is at %v", got)
	}
}

func TestBuilderKeepsPlaces(t *testing.T) {
	t.Parallel()
	src := sqltext.NewSource("sql/t.sql", "one {{ x }}\ntwo")
	var b sqltext.Builder
	b.Copy(src, 0, 4)
	b.Generate("a\nlong value", src, 4)
	b.Copy(src, 11, 15)
	inner := b.Text()

	var outer sqltext.Builder
	outer.Add("insert into t ")
	outer.Append(inner.Slice(2, len(inner.SQL())))
	outer.Add(" returning 1")
	text := outer.Text()
	if want := "insert into t e a\nlong value\ntwo returning 1"; text.SQL() != want {
		t.Fatalf("got %q, want %q", text.SQL(), want)
	}
	for find, want := range map[string]diag.Pos{
		"insert": {}, "e a": {File: "sql/t.sql", Line: 1, Col: 3}, "a\n": {File: "sql/t.sql", Line: 1, Col: 5},
		"value": {File: "sql/t.sql", Line: 1, Col: 5}, "two": {File: "sql/t.sql", Line: 2, Col: 1}, "returning": {},
	} {
		if got := text.Pos(strings.Index(text.SQL(), find)); got != want {
			t.Errorf("%q is at %v, want %v", find, got, want)
		}
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, schema, table, problem string }{
		{in: "geolife.trajectory", schema: "geolife", table: "trajectory"},
		{in: "GeoLife.Trajectory", schema: "geolife", table: "trajectory"},
		{in: "trajectory", table: "trajectory"},
		{in: `"Odd Name"."a""b"`, schema: "Odd Name", table: `a"b`},
		{in: "", problem: "empty"},
		{in: "a.b.c", problem: "3 parts"},
		{in: "a.", problem: "dot"},
		{in: ".a", problem: "does not belong"},
		{in: "a b", problem: "does not belong"},
		{in: "a; drop table b", problem: "does not belong"},
		{in: `""`, problem: "does not belong"},
		{in: `"open`, problem: "does not belong"},
		{in: "1a", problem: "does not belong"},
	} {
		schema, table, err := sqltext.ParseName(c.in)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%q: want an error with %q, got %v", c.in, c.problem, err)
			}
		} else if schema != c.schema || table != c.table || err != nil {
			t.Errorf("%q gives %q.%q %v", c.in, schema, table, err)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	if got := sqltext.QuoteIdent(`a"b`); got != `"a""b"` {
		t.Error(got)
	}
	if got := sqltext.QuoteLiteral(`it's \n`); got != `'it''s \n'` {
		t.Error(got)
	}
}

func TestIsSelect(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"select 1": true, "-- x\n/* y */ WITH a as (select 1) select 1": true, "(select 1)": true, "values (1)": true, "table t": true,
		"from t": true, "insert into t select 1": false, "": false, "'select'": false, "selection": false,
	} {
		if got := sqltext.IsSelect(sqltext.Plain("x.sql", sql)); got != want {
			t.Errorf("%q: got %v", sql, got)
		}
	}
}

// significant gives the bytes of sql that mean something, without the semicolons between statements.
func significant(sql string) string {
	var b strings.Builder
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		if tok.Significant() && tok.Kind != sqltext.Semicolon {
			b.WriteString(sql[tok.From:tok.To])
		}
		at = tok.To
	}
	return b.String()
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"select 1; select ';'", "do $a$;$a$;/*/*;*/;*/", `E'\';';"`, "create function f() begin atomic a; end; b", "(;);", "$$", "'", "/*+ x */;", "1e+;.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		var joined strings.Builder
		for _, s := range sqltext.Plain("x.sql", sql).Split() {
			if s.SQL() == "" || strings.TrimSpace(s.SQL()) != s.SQL() && !strings.ContainsAny(s.SQL(), "'\"$") {
				t.Errorf("statement %q of %q", s.SQL(), sql)
			}
			joined.WriteString(significant(s.SQL()))
			if p := s.Pos(0); p.Line < 1 || p.Col < 1 {
				t.Errorf("no position: %v", p)
			}
		}
		if got, want := joined.String(), significant(sql); got != want {
			t.Errorf("split of %q keeps %q, want %q", sql, got, want)
		}
	})
}

func TestAskedLeadsBackToTheDeclaration(t *testing.T) {
	t.Parallel()
	at := diag.Pos{File: "pipelines/p.star", Line: 7, Col: 3}
	text := sqltext.Asked(at, "select *\nfrom m.t")
	for _, offset := range []int{0, 5, 9, 100} {
		if got := text.Pos(offset); got != at {
			t.Errorf("offset %d is at %s", offset, got)
		}
	}
	if text.SQL() != "select *\nfrom m.t" {
		t.Errorf("%q", text.SQL())
	}
}
