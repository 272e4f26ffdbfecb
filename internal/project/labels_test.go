package project_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"damson/internal/project"
)

// labelLeaks loads a project and gives what was found of "Features depend on the label", a line each.
func labelLeaks(t *testing.T, files map[string]string) string {
	t.Helper()
	p, findings := project.Load(write(t, files), project.Options{})
	var text []string
	for _, f := range findings {
		if f.Summary == "Features depend on the label" {
			text = append(text, f.At.String()+" "+f.Detail)
		} else if f.IsError() {
			t.Errorf("%v", f)
		}
	}
	if n := len(p.LabelLeaks("m")); n < len(text) {
		t.Errorf("a training would be told %d of %d", n, len(text))
	}
	return strings.Join(text, "\n")
}

// copied reads the files of a project that lies elsewhere in this repository, with one more pipeline.
func copied(t *testing.T, dir, more string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"damson.yaml", "pipelines/*.star", "sql/*.sql", "macros/*.sql"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(dir, path)
			files[name] = string(text)
		}
	}
	if more != "" {
		files["pipelines/more.star"] = more
	}
	return files
}

// TestTheTalksOwnLeakIsFound trains and scores on the rows of the talk's pipeline: its filter of outliers knows the label.
func TestTheTalksOwnLeakIsFound(t *testing.T) {
	t.Parallel()
	got := labelLeaks(t, copied(t, "../cli/testdata/talk", `
m = model(name = "m", algorithm = random_forest(), id = "trajectory_id", target = "label", exclude = ["tdate", "uid"])
p = pipeline(name = "more")
p.train("learn", model = m, source = "talk.tsfresh_model_features")
p.score("predict", model = m, source = "talk.tsfresh_predict_features", into = "talk.walk_prediction")
`))
	if !strings.HasPrefix(got, "sql/trajectory_speed_walk.sql:7:8 Task trajectory_speed_walk: a WHERE looks at mode, of which label, the target of model m, is made") {
		t.Errorf("got\n%s", got)
	}
	if strings.Contains(got, "\n") {
		t.Errorf("more was found:\n%s", got)
	}
}

// TestTheExampleIsBlindToLabels has the project of the talk without its bug.
func TestTheExampleIsBlindToLabels(t *testing.T) {
	t.Parallel()
	const modes = `
mode = model(name = "m", algorithm = logistic_regression(), id = "window_id", target = "mode", exclude = ["uid", "tdate", "segment_id", "label"])
pipeline(name = "more").train("learn", model = mode, source = "geolife.model_features")
`
	for _, more := range []string{"", modes} {
		if got := labelLeaks(t, copied(t, "../../examples/geolife", more)); got != "" {
			t.Errorf("got\n%s", got)
		}
	}
}

func TestConditionsOnLabels(t *testing.T) {
	t.Parallel()
	const (
		raw     = "select id, x, kind from raw.point"
		blind   = "select p.id, x, y, kind from a.one p join raw.more using (id) where x > 0"
		labels  = "select id, x, y, case when kind = 'walk' then 1 else 0 end as label from a.two where kind is not null"
		unknown = "select id, x, y from a.two where kind is null"
	)
	for name, c := range map[string]struct{ one, two, train, want string }{
		"nothing":                      {raw, blind, labels, ""},
		"a filter":                     {raw, blind + " and kind <> 'car'", labels, "sql/two.sql:1:79 Task two: a WHERE looks at kind"},
		"a filter of the raw rows":     {raw + " where kind is null or x < case kind when 'walk' then 15 else 150 end", "select id, x, x as y, kind from a.one", labels, "sql/one.sql:1:"},
		"cleaning of the labels alone": {"select id, kind from raw.said where kind in ('walk', 'car')", "select id, x, y, kind from raw.point left join a.one using (id)", labels, ""},
		"a join":                       {raw, "select p.id, x, y, kind from a.one p join raw.more m on m.id = p.id and (p.kind = m.kind)", labels, "a ON looks at kind"},
		"groups by what they hold":     {raw, "select id, avg(x) as x, max(y) as y, kind from a.one join raw.more using (id) group by id, kind having count(*) > 3 or max(kind) = 'walk'", labels, "a HAVING looks at kind"},
		"a column made of it":          {raw, "select id, case when kind = 'walk' then least(x, 3) else x end as x, y, kind from a.one join raw.more using (id)", labels, "a CASE looks at kind"},
		"an aggregate of some":         {raw, "select id, sum(x) filter (where kind = 'car') as x, 1 as y, kind from a.one group by id, kind", labels, "a WHERE looks at kind"},
		"in a subquery":                {raw, "select id, x, y, kind from (select * from a.one where \"kind\" in ('car', 'walk')) as p join raw.more using (id)", labels, "a WHERE looks at kind"},
		"the label made on the way":    {"select id, x, kind = 'walk' as label from raw.point", "select id, x, y, label as kind from a.one join raw.more using (id) where not label or x < 15", "select id, x, y, kind as label from a.two", "a WHERE looks at label"},
		"in rows to learn from only":   {raw, blind, labels + " and (kind <> 'car' or x > 1)", ""},
		"in a string and a comment":    {raw, blind + " and y <> 'kind = 1' -- kind = 'walk'", labels, ""},
		"a table and a function of it": {raw, blind + " and kind.id > 1 and kind(x) > 1", labels, ""},
		"only whether it is there":     {raw, blind + " and (kind is not null or x > 1)", labels, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := labelLeaks(t, map[string]string{
				"damson.yaml": "name: r\n", "sql/one.sql": c.one, "sql/two.sql": c.two, "sql/learn.sql": c.train, "sql/unknown.sql": unknown,
				"pipelines/p.star": `m = model(name = "m", algorithm = random_forest(), id = "id", target = "label")
p = pipeline(name = "p")
one = p.sql("one", into = "a.one")
two = p.sql("two", into = "a.two")
one >> two >> [p.train("learn", model = m, source = "learn"), p.score("s", model = m, source = "unknown", into = "a.s")]
`})
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
