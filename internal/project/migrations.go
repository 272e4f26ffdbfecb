package project

import (
	"fmt"
	"slices"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/sqltext"
	"damson/internal/template/airflow"
)

// migrationNames are what the template of a migration may read: the project's settings. A migration belongs to no run, and it
// should become the same SQL whenever it is applied.
var migrationNames = []string{"conn", "env", "environment", "var", "warehouse"}

// RenderMigration gives the SQL of a migration's variant. The error is a diag.Finding.
func (p *Project) RenderMigration(v migrate.Variant) (sqltext.Text, error) {
	tmpl := p.Template(v.File)
	if tmpl == nil {
		return sqltext.Text{}, diag.Finding{At: diag.Pos{File: v.File}, Severity: diag.Error, Summary: "Missing SQL file",
			Detail: fmt.Sprintf("The project has no file %s.", v.File), Fix: "Run `damson validate`."}
	}
	all := p.bindProject(airflow.Context{}).Names()
	names := make(starlark.StringDict, len(migrationNames))
	for _, name := range migrationNames {
		names[name] = all[name]
	}
	return tmpl.Render(names)
}

// checkMigrations judges the files of migrations/, and renders those that are for the environment's warehouse.
func (l *loader) checkMigrations() {
	files := make([]migrate.File, len(l.tree.Migrations))
	for i, f := range l.tree.Migrations {
		files[i] = migrate.File{Path: f.Path, Text: f.Text}
	}
	var findings diag.Findings
	l.project.Migrations, findings = migrate.Read(files)
	l.findings = append(l.findings, findings...)
	for _, m := range l.project.Migrations {
		for _, v := range m.Variants {
			l.checkMigrationNames(v)
		}
		if v, ok := m.For(l.project.Environment.Kind()); ok {
			l.checkRendering(v)
		}
	}
}

// checkMigrationNames judges the names that a migration's template reads.
func (l *loader) checkMigrationNames(v migrate.Variant) {
	for _, ref := range l.templates.files[v.File].refs {
		switch {
		case ref.Optional:
		case slices.Contains(knownNames(), ref.Name) && !slices.Contains(migrationNames, ref.Name):
			l.once(diag.Finding{At: ref.At, Severity: diag.Error, Summary: "A run's name in a migration",
				Detail: fmt.Sprintf("%s is a migration, which belongs to no run, so %s is not there.", v.File, ref.Name),
				Fix:    "Read var, conn, env or warehouse only."})
		case ref.Name == "var":
			l.checkVar(ref)
		case ref.Name == "conn":
			l.checkConn(ref)
		}
	}
}

// checkRendering renders a migration unless what it is made of has findings, which would explain the same.
func (l *loader) checkRendering(v migrate.Variant) {
	texts := map[string]string{}
	for _, f := range l.templates.including(v.File) {
		texts[f.Path] = f.Text
		addMacros(texts, f.macros)
	}
	if slices.ContainsFunc(l.findings, func(f diag.Finding) bool { _, ok := texts[f.At.File]; return ok && f.IsError() }) {
		return
	}
	if _, err := l.project.RenderMigration(v); err != nil {
		l.findings = append(l.findings, diag.AsFinding("The migration cannot be rendered", err))
	}
}
