package project_test

import (
	"strings"
	"testing"

	"damson/internal/project"
)

// TestReads warns where a task reads a table that another one writes later or at any time, and nowhere else.
func TestReads(t *testing.T) {
	t.Parallel()
	const star = `p = pipeline(name = "p")
make = p.sql("make", into = "geo.made")
read = p.sql("read", into = "geo.read")
`
	const no = ""
	for name, c := range map[string]struct{ star, sql, want string }{
		"no order":                    {no, "select *\nfrom geo.made", "sql/read.sql:2:6: warning: Reads a table before it is written\n  Task read reads geo.made, which task make writes, but does not run after it.\n  Fix: make >> read"},
		"a wrong order":               {"read >> make\n", "select * from geo.made", "Fix: Turn their order around: make >> read."},
		"join, quotes, capitals":      {no, "select * from x join \"geo\".MADE using (a)", "sql/read.sql:1:22: warning"},
		"in a list":                   {no, "select * from x.y a, geo.made b", "sql/read.sql:1:22: warning"},
		"between Jinja":               {no, "{# it's #}select * from {% if 1 %}geo.made{% endif %}", "warning: Reads"},
		"in order":                    {"make >> read\n", "select * from geo.made", no},
		"in order through another":    {"make >> p.sql('s', file = 'sql/s.sql') >> read\n", "select * from geo.made", no},
		"its own table":               {no, "select * from geo.read", no},
		"a part of the name":          {no, "select * from geo.made_up, xgeo.made, geo.made.x", no},
		"in a string":                 {no, "select 'from geo.made'", no},
		"in a comment":                {no, "select 1 -- from geo.made\n/* from geo.made */", no},
		"in Jinja":                    {no, "select {{ 'from geo.made' | length }} {# from geo.made #}", no},
		"a CTE of the same name":      {no, "with made as (select 1) select * from made", no},
		"deleted from and filled":     {no, "delete from geo.made; insert into geo.made select 1; drop table if exists geo.made", no},
		"a column":                    {no, "select geo.made from x.y as geo", no},
		"a function":                  {no, "select * from geo.made(1)", no},
		"the rows of the run before":  {"p.sql('past', file = 'sql/read.sql', depends_on_past = True) >> make\nmake >> read\n", "select * from geo.made", no},
		"one of two writers is first": {"p.sql('more', file = 'sql/s.sql', into = 'geo.both', mode = 'append')\np.sql('most', file = 'sql/s.sql', into = 'geo.both', mode = 'append') >> read\n", "select * from geo.both", no},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, findings := project.Load(write(t, map[string]string{
				"damson.yaml": "name: r\n", "pipelines/p.star": star + c.star,
				"sql/make.sql": "select 1 as x", "sql/read.sql": c.sql, "sql/s.sql": "select 1 as x",
			}), project.Options{})
			var text []string
			for _, f := range findings {
				if f.Summary != "Unused SQL file" {
					text = append(text, f.Error())
				}
			}
			got := strings.Join(text, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
