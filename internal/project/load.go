package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	p := &Project{Dir: dir}
	if abs, err := filepath.Abs(dir); err == nil {
		p.Dir = abs
	}
	if f := isProject(p.Dir); f != nil {
		return p, diag.Findings{*f}
	}
	p.files = []string{ConfigFile}
	text, broken := readText(p.Dir, ConfigFile)
	if broken != nil {
		return p, diag.Findings{*broken}
	}
	c := readConfig(text, p, opts)
	t := readTree(p.Dir)
	p.files = append(p.files, t.paths...)
	slices.Sort(p.files)
	l := &loader{project: p, tree: t, defaultsAt: c.poolsAt}
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
	byName    map[string]*pipelineDecl
	programs  map[string]*sourceFile
	listeners map[*pipelineDecl][]wait // of the tables that a pipeline writes
	models    map[string]*pipeline.Model
	said      map[string]bool // findings that were reported once
	// incomplete says that a file was not read to its end, so that what is not there may only not be known.
	incomplete bool
	// defaultsAt is where damson.yaml gives the pool and pool_slots of tasks that do not.
	defaultsAt map[string]diag.Pos
}

// check resolves and judges all declarations, in the order in which they build on each other.
func (l *loader) check(e *evaluation) {
	l.takeModels(e.models)
	l.incomplete = e.incomplete()
	l.programs = make(map[string]*sourceFile, len(l.tree.programs))
	for _, f := range l.tree.programs {
		l.programs[f.path] = f
	}
	l.takePipelines(e.pipelines)
	for _, d := range l.pipelines {
		l.resolveFiles(d)
	}
	tables := l.writers()
	for _, d := range l.pipelines {
		l.resolveOrder(d)
		l.resolveModels(d)
		l.resolveSources(d, tables)
		l.resolveDatasets(d, tables)
		l.checkWriters(d)
		l.checkReads(d)
		l.checkTemplates(d)
		l.checkChoices(d)
		l.checkPools(d)
		l.checkOthers(d)
	}
	l.findListeners(tables)
	l.checkCircles()
	if !l.incomplete {
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
	l.byName = map[string]*pipelineDecl{}
	for _, d := range decls {
		p := d.pipeline
		if before := l.byName[p.Name]; before != nil && p.Name != "" {
			l.duplicate("pipeline", p.Name, p.At, before.pipeline.At)
			continue
		}
		l.byName[p.Name] = d
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
		l.takeGroups(d)
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
