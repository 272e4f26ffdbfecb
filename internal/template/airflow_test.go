package template_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/template"
	"damson/internal/template/airflow"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// day is the context of a daily run of the first of March 2018.
func day() airflow.Context {
	start := time.Date(2018, 3, 1, 0, 0, 0, 0, time.UTC)
	return airflow.Context{
		Pipeline: "events", Task: "load", Owner: "data", RunID: "scheduled__2018-03-01T00:00:00+00:00", Trigger: "scheduled",
		Environment: "dev", WarehouseKind: "duckdb", Schedule: "@daily", Start: start, End: start.AddDate(0, 0, 1), Attempt: 2,
		Now:    time.Date(2018, 3, 2, 0, 5, 0, 0, time.UTC),
		Params: map[string]any{"schema": "analytics", "countries": []any{"de", "fr"}},
		Vars:   map[string]string{"roles": `{"readers": ["bi", "ops"]}`, "bucket": "s3"},
		Conns:  map[string]airflow.Conn{"dwh": {Host: "db.example.com", Port: 5432, Login: "etl", Password: "s", Schema: "public", Type: "postgres"}},
	}
}

// TestAirflowScripts renders scripts as Airflow users write them.
func TestAirflowScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/airflow/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tpl, findings := template.NewSet().Parse(file, string(script))
			findings = append(findings, tpl.Check(airflow.Names())...)
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			text, err := tpl.Render(day().Names())
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".sql") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(text.SQL()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text.SQL()); diff != "" {
				t.Errorf("run with -update to accept:\n%s", diff)
			}
		})
	}
}

func BenchmarkRenderScript(b *testing.B) {
	script, err := os.ReadFile("testdata/airflow/partition.sql")
	if err != nil {
		b.Fatal(err)
	}
	tpl, findings := template.NewSet().Parse("sql/partition.sql", string(script))
	if err := findings.Err(); err != nil {
		b.Fatal(err)
	}
	c := day()
	for b.Loop() {
		if _, err := tpl.Render(c.Names()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkContextNames(b *testing.B) {
	c := day()
	for b.Loop() {
		c.Names()
	}
}

// BenchmarkParseAndCheck reads the templates of a project of 12,000 tasks.
func BenchmarkParseAndCheck(b *testing.B) {
	const tasks = 12_000
	known := airflow.Names()
	for b.Loop() {
		set := template.NewSet()
		set.AddMacros("macros/day.sql", "{% macro day(c) %}{{ c }} >= '{{ data_interval_start }}'{% endmacro %}")
		for i := range tasks {
			tpl, findings := set.Parse(fmt.Sprintf("sql/task_%d.sql", i), "select id, name, {{ params.x | default(1) }} as x\nfrom raw.t_"+fmt.Sprint(i)+"\nwhere {{ day('tdate') }} and tdate = '{{ ds }}'\n{% if warehouse.kind == 'greenplum' %}distributed by (id){% endif %}\n")
			findings = append(findings, tpl.Check(known)...)
			if len(tpl.Names()) != 4 || len(findings) > 0 {
				b.Fatal(findings, tpl.Names())
			}
		}
	}
}
