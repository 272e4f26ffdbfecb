package project

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"damson/internal/diag"
	"damson/internal/pipeline"
)

// Load reads the project in dir. It always returns a Project, and all findings, sorted by place.
func Load(dir string, opts Options) (*Project, diag.Findings) {
	if opts.Getenv == nil {
		opts.Getenv = os.LookupEnv
	}
	if opts.ReadFile == nil {
		opts.ReadFile = os.ReadFile
	}
	p := &Project{Dir: absolute(dir), Source: absolute(dir)}
	if opts.Home != "" {
		p.Dir = absolute(opts.Home)
	}
	if f := isProject(p.Source); f != nil {
		return p, diag.Findings{*f}
	}
	text, broken := readText(p.Source, ConfigFile)
	if broken != nil {
		return p, diag.Findings{*broken}
	}
	c := readConfig(text, p, opts)
	t := readTree(p.Source)
	l := &loader{project: p, tree: t}
	l.findings = append(append(l.findings, c.findings...), t.findings...)
	parsed := make(chan struct{})
	go func() { // templates and declarations need nothing of each other
		defer close(parsed)
		l.templates = parseTemplates(t)
	}()
	e := &evaluation{bounds: defaultBounds(), defaults: c.defaults, checkGate: opts.CheckGate, print: opts.Print}
	e.evaluate(t.star)
	<-parsed
	l.findings = append(append(l.findings, e.findings...), l.templates.findings...)
	p.templates = l.templates
	l.check(e)
	l.findings.Sort()
	return p, l.findings
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// isProject says why dir is no project, or nil.
func isProject(dir string) *diag.Finding {
	info, err := os.Stat(dir)
	f := &diag.Finding{Severity: diag.Error, Summary: "No project here", Cause: err, Fix: "Make a project with `damson init DIR`, or say where it is with --project DIR."}
	switch {
	case err != nil:
		f.Detail = fmt.Sprintf("%s: %s.", dir, plainReason(err))
		return f
	case !info.IsDir():
		f.Detail = fmt.Sprintf("%s is not a directory.", dir)
		return f
	}
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err != nil {
		f.Cause, f.Detail = err, fmt.Sprintf("%s has no %s.", dir, ConfigFile)
		return f
	}
	return nil
}

// loader puts together what the files say: it resolves names, checks what needs several files, and fills the project in.
type loader struct {
	project  *Project
	tree     *tree
	findings diag.Findings

	templates *templates
	pipelines []*pipelineDecl
	models    map[string]*pipeline.Model
	said      map[string]bool // findings that were reported once
}

// check resolves and judges all declarations, in the order in which they build on each other.
func (l *loader) check(e *evaluation) {
	l.takeModels(e.models)
	l.takePipelines(e.pipelines)
	for _, d := range l.pipelines {
		l.resolveFiles(d)
	}
	tables := l.writers()
	for _, d := range l.pipelines {
		l.resolveOrder(d)
		l.resolveModels(d)
		l.resolveSources(d, tables)
		l.checkWriters(d)
		l.checkReads(d)
		l.checkTemplates(d)
	}
	if !e.incomplete() {
		l.unusedFiles()
	}
	l.versions()
	l.checkEmpty(e)
}

// takeModels keeps the first model of each name.
func (l *loader) takeModels(models []*pipeline.Model) {
	l.models = map[string]*pipeline.Model{}
	for _, m := range models {
		if before := l.models[m.Name]; before != nil && m.Name != "" {
			l.duplicate("model", m.Name, m.At, before.At)
			continue
		}
		l.models[m.Name] = m
		l.project.Models = append(l.project.Models, m)
	}
	sort.SliceStable(l.project.Models, func(i, j int) bool { return l.project.Models[i].Name < l.project.Models[j].Name })
}

// takePipelines keeps the first pipeline of each name, and in each the first task of each name.
func (l *loader) takePipelines(decls []*pipelineDecl) {
	seen := map[string]*pipelineDecl{}
	for _, d := range decls {
		p := d.pipeline
		if before := seen[p.Name]; before != nil && p.Name != "" {
			l.duplicate("pipeline", p.Name, p.At, before.pipeline.At)
			continue
		}
		seen[p.Name] = d
		tasks := map[string]*taskDecl{}
		kept := d.tasks[:0:0]
		for _, t := range d.tasks {
			if before := tasks[t.task.Name]; before != nil && t.task.Name != "" {
				l.duplicate("task", t.task.Name, t.task.At, before.task.At)
				continue
			}
			tasks[t.task.Name] = t
			kept = append(kept, t)
		}
		d.tasks = kept
		if len(kept) == 0 {
			l.warn(p.At, "No tasks", "Add one, for example with p.sql(…).", "Pipeline %s has no tasks, so its runs do nothing.", p.Name)
		}
		l.pipelines = append(l.pipelines, d)
		l.project.Pipelines = append(l.project.Pipelines, p)
	}
	sort.SliceStable(l.project.Pipelines, func(i, j int) bool { return l.project.Pipelines[i].Name < l.project.Pipelines[j].Name })
}

func (l *loader) duplicate(what, name string, at, before diag.Pos) {
	l.errorf(at, "Duplicate "+what, "Rename one of the two.", "A %s %q is declared at %s already.", what, name, before)
}

func (l *loader) errorf(at diag.Pos, summary, fix, detail string, args ...any) {
	l.findings = append(l.findings, diag.Finding{At: at, Severity: diag.Error, Summary: summary, Detail: fmt.Sprintf(detail, args...), Fix: fix})
}

func (l *loader) warn(at diag.Pos, summary, fix, detail string, args ...any) {
	l.findings = append(l.findings, diag.Finding{At: at, Severity: diag.Warning, Summary: summary, Detail: fmt.Sprintf(detail, args...), Fix: fix})
}

// checkEmpty warns of a project that declares nothing, unless a mistake explains that.
func (l *loader) checkEmpty(e *evaluation) {
	if len(e.pipelines) == 0 && !l.findings.HasErrors() {
		l.warn(diag.Pos{File: "pipelines"}, "No pipelines", "Declare one in pipelines/NAME.star: p = pipeline(name = \"…\").",
			"No file under pipelines/ declares a pipeline.")
	}
}
