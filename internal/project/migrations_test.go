package project_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/project"
)

// TestMigrations renders each migration for the environment's warehouse, with the project's variables, macros and connections, and
// leads a place in the SQL back to its file.
func TestMigrations(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"damson.yaml": "name: m\ndefault_environment: dev\nenvironments:\n  dev: {vars: {schema: a}}\n  big: {warehouse: 'greenplum://h/db', vars: {schema: b}}\n" +
			"connections: {crm: {host: crm.example}}\n",
		"pipelines/p.star": oneTask, "sql/x.sql": "select 1 as x\n", "macros/m.sql": "{% macro id() %}id {% if warehouse.kind == 'duckdb' %}int{% else %}bigint{% endif %}{% endmacro %}\n",
		"migrations/V002__b.sql":          "select '{{ conn.crm.host }}', '{{ env }}'\n",
		"migrations/V001__a.sql":          "create table {{ var.value.schema }}.t\r\n({{ id() }});\r\n",
		"migrations/V001__a.postgres.sql": "create table {{ var.value.schema }}.p ({{ id() }});\n",
	})
	for env, want := range map[string]string{
		"dev": "create table a.t\n(id int);|select 'crm.example', 'dev'",
		"big": "create table b.p (id bigint);|select 'crm.example', 'big'",
	} {
		p, findings := project.Load(dir, project.Options{Env: env})
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		var got []string
		for _, m := range p.Migrations {
			v, ok := m.For(p.Environment.Kind())
			text, err := p.RenderMigration(v)
			if !ok || err != nil {
				t.Fatalf("%s in %s: %v, %v", m, env, ok, err)
			}
			if at := text.Pos(0); at.File != v.File || at.Line != 1 {
				t.Errorf("%s begins at %s", v.File, at)
			}
			got = append(got, strings.TrimSpace(text.SQL()))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", env, got, want)
		}
	}
	p, _ := project.Load(dir, project.Options{})
	_, err := p.RenderMigration(migrate.Variant{File: "migrations/V009__none.sql"})
	if f := (diag.Finding{}); !errors.As(err, &f) || f.At.File != "migrations/V009__none.sql" {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestMigrationsAndVersions: what a pipeline does has not changed with a migration.
func TestMigrationsAndVersions(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"damson.yaml": "name: m\n", "pipelines/p.star": oneTask, "sql/x.sql": "select 1 as x\n"})
	before, _ := project.Load(dir, project.Options{})
	if err := os.Mkdir(filepath.Join(dir, "migrations"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "migrations", "V1__a.sql"), []byte("select 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	after, findings := project.Load(dir, project.Options{})
	if len(findings) > 0 || len(after.Migrations) != 1 || after.Version != before.Version || after.Pipelines[0].Version != before.Pipelines[0].Version {
		t.Errorf("%d migrations, versions %s and %s, findings %v", len(after.Migrations), before.Version, after.Version, findings)
	}
}
