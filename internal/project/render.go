package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/template"
)

// Template gives the parsed SQL file of that path ("sql/x.sql"), nil when the project has none.
func (p *Project) Template(file string) *template.Template {
	if p.templates == nil || p.templates.files[file] == nil {
		return nil
	}
	return p.templates.files[file].template
}

// Render gives the SQL of a sql, train or score task as it will run. Variables, connections, environment and the kind of
// warehouse are the project's; whatever else ctx tells is the run's. The error is a diag.Finding.
func (p *Project) Render(t *pipeline.Task, ctx template.Context) (sqltext.Text, error) {
	if t.File() == "" {
		return sqltext.Text{}, diag.Finding{At: t.At, Severity: diag.Error, Summary: "No SQL to render",
			Detail: fmt.Sprintf("Task %s (%s) reads no SQL file.", t.Name, t.Kind), Fix: "Render a task that has one."}
	}
	tmpl := p.Template(t.File())
	if tmpl == nil {
		return sqltext.Text{}, diag.Finding{At: t.At, Severity: diag.Error, Summary: "Missing SQL file",
			Detail: fmt.Sprintf("Task %s runs %s, which is not there.", t.Name, t.File()), Fix: "Run `damson validate`."}
	}
	return tmpl.Render(p.bind(t, ctx).Names())
}

// LoadFiles gives the root and the globs of a load task, rendered.
func (p *Project) LoadFiles(t *pipeline.Task, ctx template.Context) (root string, globs []string, err error) {
	names := p.bind(t, ctx).Names()
	render := func(text string) string {
		if !isTemplated(text) || err != nil {
			return text
		}
		tmpl := p.templates.inline[text]
		if tmpl == nil {
			err = diag.Finding{At: t.At, Severity: diag.Error, Summary: "Not a template", Detail: fmt.Sprintf("%q.", text), Fix: "Run `damson validate`."}
			return text
		}
		out, failed := tmpl.Render(names)
		if failed != nil {
			f := diag.AsFinding("Rendering a file name", failed)
			f.At, err = t.At, f
		}
		return out.SQL()
	}
	root = render(t.Load.Root)
	for _, glob := range t.Load.Files {
		globs = append(globs, render(glob))
	}
	return root, globs, err
}

// bind completes a run's context with what the project knows.
func (p *Project) bind(t *pipeline.Task, ctx template.Context) template.Context {
	ctx.Task = t.Name
	p.bindPipeline(&ctx)
	ctx.Environment = p.Environment.Name
	ctx.WarehouseKind = p.Environment.Kind()
	ctx.Vars = make(map[string]string, len(p.Vars))
	for name, v := range p.Vars {
		ctx.Vars[name] = variableText(v)
	}
	ctx.Conns = make(map[string]template.Conn, len(p.Conns))
	for id, c := range p.Conns {
		extra := make(map[string]any, len(c.Extra))
		for k, v := range c.Extra {
			extra[k] = v.Reveal()
		}
		ctx.Conns[id] = template.Conn{ID: id, Type: c.Type, Host: c.Host.Reveal(), Login: c.Login.Reveal(),
			Password: c.Password.Reveal(), Schema: c.Schema.Reveal(), Port: c.Port, Extra: extra}
	}
	return ctx
}

// bindPipeline fills in what the pipeline of the run declares: a run's own params stand over the declared ones.
func (p *Project) bindPipeline(ctx *template.Context) {
	pl, err := p.Pipeline(ctx.Pipeline)
	if err != nil {
		return // the context belongs to no pipeline of the project; it must bring all that its template reads
	}
	if ctx.Owner == "" {
		ctx.Owner = pl.Owner
	}
	if ctx.Schedule == "" {
		ctx.Schedule = pl.Schedule
	}
	if loc, err := time.LoadLocation(pl.Timezone); err == nil && ctx.Location == nil {
		ctx.Location = loc
	}
	params := make(map[string]any, len(pl.Params)+len(ctx.Params))
	maps.Copy(params, pl.Params)
	maps.Copy(params, ctx.Params)
	ctx.Params = params
}

// Kind is the kind of the environment's warehouse: "duckdb", "postgres" or "greenplum".
func (e Environment) Kind() string {
	kind, _, _ := strings.Cut(e.Warehouse.Reveal(), ":")
	if kind == "postgresql" {
		return "postgres"
	}
	return kind
}

// variableText is a variable as var.value.x gives it: a text as it is, anything else as JSON, which var.json.x reads.
func variableText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case Secret:
		return v.Reveal()
	}
	data, err := json.Marshal(revealed(v))
	if err != nil {
		panic(fmt.Sprintf("project: a variable that JSON cannot hold: %v", err)) // YAML values always fit
	}
	return string(data)
}

// revealed is a value with its secrets in the open.
func revealed(v any) any {
	switch v := v.(type) {
	case Secret:
		return v.Reveal()
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = revealed(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = revealed(e)
		}
		return m
	}
	return v
}
