package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/declare"
	"damson/internal/project/source"
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
	p.files = []string{ConfigFile}
	text, broken := source.ReadText(p.Source, ConfigFile)
	if broken != nil {
		return p, diag.Findings{*broken}
	}
	c := readConfig(text, p, opts)
	t := source.ReadTree(p.Source)
	p.files = append(p.files, t.Paths...)
	slices.Sort(p.files)
	l := &loader{project: p, tree: t, defaultsAt: c.poolsAt}
	l.findings = append(append(l.findings, c.findings...), t.Findings...)
	parsed := make(chan struct{})
	go func() { // templates and declarations need nothing of each other
		defer close(parsed)
		l.templates = parseTemplates(t)
	}()
	declared := declare.Read(t.Star, declare.Options{Defaults: c.defaults, CheckGate: opts.CheckGate, Print: opts.Print})
	<-parsed
	l.findings = append(append(l.findings, declared.Findings...), l.templates.findings...)
	p.templates = l.templates
	l.check(declared)
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
		f.Detail = fmt.Sprintf("%s: %s.", dir, source.PlainReason(err))
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
	tree     *source.Tree
	findings diag.Findings

	templates *templates
	pipelines []*declare.Pipeline
	byName    map[string]*declare.Pipeline
	programs  map[string]*source.File
	listeners map[*declare.Pipeline][]wait // of the tables that a pipeline writes
	models    map[string]*pipeline.Model
	said      map[string]bool // findings that were reported once
	// incomplete says that a file was not read to its end, so that what is not there may only not be known.
	incomplete bool
	// defaultsAt is where damson.yaml gives the pool and pool_slots of tasks that do not.
	defaultsAt map[string]diag.Pos
}

// check resolves and judges all declarations, in the order in which they build on each other.
func (l *loader) check(e declare.Declared) {
	l.takeModels(e.Models)
	l.incomplete = e.Incomplete
	l.programs = make(map[string]*source.File, len(l.tree.Programs))
	for _, f := range l.tree.Programs {
		l.programs[f.Path] = f
	}
	l.takePipelines(e.Pipelines)
	for _, d := range l.pipelines {
		l.resolveFiles(d)
	}
	tables := l.writers()
	for _, d := range l.pipelines {
		l.findings = append(l.findings, d.Resolve()...)
		l.resolveModels(d)
		l.resolveSources(d, tables)
		l.resolveDatasets(d, tables)
		l.checkWriters(d)
		l.checkReads(d)
		l.checkTemplates(d)
		l.checkChoices(d)
		l.checkFeatures(d)
		l.checkPools(d)
		l.checkOthers(d)
	}
	l.checkMigrations()
	l.findListeners(tables)
	l.checkCircles()
	if !l.incomplete {
		l.unusedFiles()
	}
	l.versions()
	l.checkLabels()
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
func (l *loader) takePipelines(decls []*declare.Pipeline) {
	l.byName = map[string]*declare.Pipeline{}
	for _, d := range decls {
		p := d.Pipeline
		if before := l.byName[p.Name]; before != nil && p.Name != "" {
			l.duplicate("pipeline", p.Name, p.At, before.Pipeline.At)
			continue
		}
		l.byName[p.Name] = d
		tasks := map[string]*declare.Task{}
		kept := d.Tasks[:0:0]
		for _, t := range d.Tasks {
			if before := tasks[t.Task.Name]; before != nil && t.Task.Name != "" {
				l.duplicate("task", t.Task.Name, t.Task.At, before.Task.At)
				continue
			}
			tasks[t.Task.Name] = t
			kept = append(kept, t)
		}
		d.Tasks = kept
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
func (l *loader) checkEmpty(e declare.Declared) {
	if len(e.Pipelines) == 0 && !l.findings.HasErrors() {
		l.warn(diag.Pos{File: "pipelines"}, "No pipelines", "Declare one in pipelines/NAME.star: p = pipeline(name = \"…\").",
			"No file under pipelines/ declares a pipeline.")
	}
}
