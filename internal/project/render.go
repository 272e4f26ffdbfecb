package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/source"
	"damson/internal/sqltext"
	"damson/internal/template"
	"damson/internal/template/airflow"
)

// Template gives the parsed SQL file of that path ("sql/x.sql"), nil when the project has none.
func (p *Project) Template(file string) *template.Template {
	if p.templates == nil || p.templates.files[file] == nil {
		return nil
	}
	return p.templates.files[file].template
}

// Render gives the SQL of the file that the task itself runs or reads as it will run; programs are no SQL. Variables,
// connections, environment and the kind of warehouse are the project's; whatever else ctx tells is the run's. The error is
// a diag.Finding.
func (p *Project) Render(t *pipeline.Task, ctx airflow.Context) (sqltext.Text, error) {
	if t.File() == "" || t.Process != nil {
		return sqltext.Text{}, diag.Finding{At: t.At, Severity: diag.Error, Summary: "No SQL to render",
			Detail: fmt.Sprintf("Task %s (%s) runs no SQL file.", t.Name, t.Kind), Fix: "Render a task that has one."}
	}
	return p.RenderFile(t, t.File(), ctx)
}

// RenderFile gives the SQL of one of the task's SQLFiles, such as that of an input, as Render does.
func (p *Project) RenderFile(t *pipeline.Task, file string, ctx airflow.Context) (sqltext.Text, error) {
	tmpl := p.Template(file)
	if tmpl == nil {
		return sqltext.Text{}, diag.Finding{At: t.At, Severity: diag.Error, Summary: "Missing SQL file",
			Detail: fmt.Sprintf("Task %s reads %s, which is not there.", t.Name, file), Fix: "Run `damson validate`."}
	}
	return tmpl.Render(p.bind(t, ctx).Names())
}

// RenderText gives a templated text of the task's declaration, such as a URL or an argument; one without template is given
// back as it is. The error is a diag.Finding at the argument in the task's Starlark file.
func (p *Project) RenderText(t *pipeline.Task, text string, ctx airflow.Context) (string, error) {
	list, err := p.RenderTexts(t, []string{text}, ctx)
	if err != nil {
		return "", err
	}
	return list[0], nil
}

// RenderTexts does what RenderText does for each of the texts.
func (p *Project) RenderTexts(t *pipeline.Task, list []string, ctx airflow.Context) ([]string, error) {
	var names starlark.StringDict
	out := make([]string, len(list))
	for i, text := range list {
		if out[i] = text; !source.IsTemplated(text) {
			continue
		}
		if names == nil {
			names = p.bind(t, ctx).Names()
		}
		rendered, err := p.renderText(t, text, names)
		if err != nil {
			return nil, err
		}
		out[i] = rendered
	}
	return out, nil
}

// RenderDict does what RenderText does for each value of a dict.
func (p *Project) RenderDict(t *pipeline.Task, dict map[string]string, ctx airflow.Context) (map[string]string, error) {
	keys := slices.Sorted(maps.Keys(dict))
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = dict[key]
	}
	list, err := p.RenderTexts(t, list, ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(keys))
	for i, key := range keys {
		out[key] = list[i]
	}
	return out, nil
}

func (p *Project) renderText(t *pipeline.Task, text string, names starlark.StringDict) (string, error) {
	var tmpl *template.Template
	if p.templates != nil {
		tmpl = p.templates.inline[text]
	}
	if tmpl == nil {
		return "", diag.Finding{At: t.At, Severity: diag.Error, Summary: "Not a template of the project",
			Detail: fmt.Sprintf("Task %s has %q.", t.Name, text), Fix: "Run `damson validate`."}
	}
	out, err := tmpl.Render(names)
	if err != nil {
		f := diag.AsFinding("Rendering a text", err)
		if f.At = t.At; p.templates.inlineAt[inlineKey{t.At, text}].Line > 0 {
			f.At = p.templates.inlineAt[inlineKey{t.At, text}]
		}
		return "", f
	}
	return out.SQL(), nil
}

// LoadFiles gives the root and the globs of a load task, rendered.
func (p *Project) LoadFiles(t *pipeline.Task, ctx airflow.Context) (root string, globs []string, err error) {
	list, err := p.RenderTexts(t, append([]string{t.Load.Root}, t.Load.Files...), ctx)
	if err != nil {
		return "", nil, err
	}
	return list[0], list[1:], nil
}

// bind completes a run's context with what the project knows.
func (p *Project) bind(t *pipeline.Task, ctx airflow.Context) airflow.Context {
	ctx.Task = t.Name
	p.bindPipeline(&ctx)
	return p.bindProject(ctx)
}

// bindProject fills in what is the same for every run.
func (p *Project) bindProject(ctx airflow.Context) airflow.Context {
	ctx.Environment = p.Environment.Name
	ctx.WarehouseKind = p.Environment.Kind()
	ctx.Vars = make(map[string]string, len(p.Vars))
	for name, v := range p.Vars {
		ctx.Vars[name] = variableText(v)
	}
	ctx.Conns = make(map[string]airflow.Conn, len(p.Conns))
	for id, c := range p.Conns {
		extra := make(map[string]any, len(c.Extra))
		for k, v := range c.Extra {
			extra[k] = v.Reveal()
		}
		ctx.Conns[id] = airflow.Conn{ID: id, Type: c.Type, Host: c.Host.Reveal(), Login: c.Login.Reveal(),
			Password: c.Password.Reveal(), Schema: c.Schema.Reveal(), Port: c.Port, Extra: extra}
	}
	return ctx
}

// bindPipeline fills in what the pipeline of the run declares: a run's own params stand over the declared ones.
func (p *Project) bindPipeline(ctx *airflow.Context) {
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
