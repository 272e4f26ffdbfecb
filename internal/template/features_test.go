package template_test

import (
	"strings"
	"testing"

	"damson/internal/template"
	"damson/internal/template/airflow"
)

// TestFeatures writes SELECT items for columns, in one line each, and says what cannot be asked for.
func TestFeatures(t *testing.T) {
	t.Parallel()
	const finite = `case when "v" - "v" = 0 then cast("v" as double precision) end`
	tests := []struct{ name, text, want string }{
		{"one", `{{ features.columns("v", "mean") }}`, `avg(` + finite + `) as "v__mean"`},
		{"parameters", `{{ features.columns("v", "quantile__q_0.9") }}`, `percentile_cont(0.9) within group (order by ` + finite + `) as "v__quantile__q_0.9"`},
		{"named", `{{ features.columns("v", [{"p90": "quantile__q_0.9"}, "maximum"]) }}`,
			`percentile_cont(0.9) within group (order by ` + finite + `) as "v__p90",` + "\n" + `max(` + finite + `) as "v__maximum"`},
		{"odd name", `{{ features.columns('a"b', "maximum") }}`, `max(case when "a""b" - "a""b" = 0 then cast("a""b" as double precision) end) as "a""b__maximum"`},
		{"own name", `{% set features = "mine" %}{{ features }}`, "mine"},
		{"unknown", `{{ features.columns("v", ["mean", "medain"]) }}`, `There is no calculator "medain". Did you mean "median"?`},
		{"several", `{{ features.columns("v", ["meen", "medain"]) }}`, `There is no calculator "meen". (And 1 more like it.)`},
		{"order", `{{ features.columns("v", "c3__lag_1") }}`, `c3__lag_1 cannot be computed by GROUP BY.`},
		{"set", `{{ features.columns("v", "efficient") }}`, `cannot be computed by GROUP BY. (And `},
		{"no columns", `{{ features.columns([], "minimal") }}`, "Nothing is asked for"},
		{"no text", `{{ features.minimal(7) }}`, "Its columns must be the name of a column or a list of names"},
		{"no calculator", `{{ features.columns("v", [7]) }}`, "Its calculators must be a set such as 'minimal'"},
		{"attribute", `{{ features.minmal("v") }}`, `Did you mean "minimal"?`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tmpl, findings := template.NewSet().Parse("sql/x.sql", test.text)
			if len(findings) > 0 || len(tmpl.Check(airflow.Names())) > 0 {
				t.Fatal(findings, tmpl.Check(airflow.Names()))
			}
			text, err := tmpl.Render(day().Names())
			got := text.SQL()
			if err != nil {
				got = strings.Join(strings.Fields(err.Error()), " ")
			}
			if got != test.want && (err == nil || !strings.Contains(strings.ReplaceAll(got, "Fix: ", ""), test.want)) {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestMinimalFeatures has tsfresh's ten for each column.
func TestMinimalFeatures(t *testing.T) {
	t.Parallel()
	tmpl, _ := template.NewSet().Parse("sql/x.sql", `select {{ features.minimal(["speed", "turn"]) }} from t`)
	text, err := tmpl.Render(day().Names())
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"speed", "turn"} {
		for _, name := range []string{"sum_values", "median", "mean", "length", "standard_deviation", "variance", "root_mean_square", "maximum", "absolute_maximum", "minimum"} {
			if strings.Count(text.SQL(), ` as "`+column+"__"+name+`"`) != 1 {
				t.Errorf("%s__%s is not there once", column, name)
			}
		}
	}
}
