package project

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/declare"
	"damson/internal/project/source"
	"damson/internal/sqltext"
	"damson/internal/template"
	"damson/internal/template/airflow"
)

// templates are all parsed SQL files and macros of a project.
type templates struct {
	set      *template.Set
	files    map[string]*sqlFile // by path
	macros   []*macroFile
	inline   map[string]*template.Template // of texts in declarations, by text
	inlineAt map[inlineKey]diag.Pos
	owners   map[string]*macroFile // of each macro, by its name
	findings diag.Findings
}

// sqlFile is one SQL file and who uses it.
type sqlFile struct {
	*source.File
	template *template.Template
	refs     []template.Ref
	macros   []*macroFile // it names
	includes []string     // paths
	reads    []tableRead
	asTask   bool // a sql task runs it
	used     bool
}

// macroFile is one file of macros.
type macroFile struct {
	*source.File
	names  []string
	macros []*macroFile // other files it names macros of
	used   bool
}

var (
	macroHead   = regexp.MustCompile(`\{%[-+]?\s*macro\s+([A-Za-z_]\w*)`)
	includeHead = regexp.MustCompile(`\{%[-+]?\s*(?:include|import|from)\s+["']([^"']+)["']`)
)

// parseTemplates parses and checks every SQL file and every macro.
func parseTemplates(t *source.Tree) *templates {
	ts := &templates{set: template.NewSet(), files: make(map[string]*sqlFile, len(t.SQL)), inline: map[string]*template.Template{},
		inlineAt: map[inlineKey]diag.Pos{}}
	owners := map[string]*macroFile{}
	ts.owners = owners
	for _, f := range t.Macros {
		m := &macroFile{File: f}
		for _, head := range macroHead.FindAllStringSubmatch(f.Text, -1) {
			m.names = append(m.names, head[1])
			owners[head[1]] = m
		}
		ts.macros = append(ts.macros, m)
		ts.findings = append(ts.findings, ts.set.AddMacros(f.Path, f.Text)...)
	}
	known := knownNames()
	ts.findings = append(ts.findings, ts.set.Check(known)...)
	for _, m := range ts.macros {
		m.macros = macrosIn(m.Text, owners, m)
	}
	texts := slices.Concat(t.SQL, t.Migrations)
	files := make([]*sqlFile, len(texts))
	problems := make([]diag.Findings, len(texts))
	source.Parallel(len(files), func(i int) {
		files[i] = &sqlFile{File: texts[i]}
		files[i].template, problems[i] = ts.set.Parse(texts[i].Path, texts[i].Text)
	})
	for _, f := range files {
		ts.files[f.Path] = f
	}
	source.Parallel(len(files), func(i int) { // what a file includes must have been parsed
		f := files[i]
		problems[i] = append(problems[i], f.template.Check(known)...)
		f.refs = f.template.Names()
		if isBlank(f.Text) {
			problems[i] = append(problems[i], diag.Finding{At: diag.Pos{File: f.Path, Line: 1, Col: 1}, Severity: diag.Error, Summary: "Empty SQL file",
				Detail: fmt.Sprintf("%s has no statement.", f.Path), Fix: "Write the SQL, or delete the file and what names it."})
		}
		f.macros = macrosIn(f.Text, owners, nil)
		f.reads = tableReads(f.Text)
		ts.resolveIncludes(f)
	})
	for _, fs := range problems {
		ts.findings = append(ts.findings, fs...)
	}
	return ts
}

// isBlank reports whether a file has neither SQL nor template: only blanks and comments.
func isBlank(text string) bool {
	for at := 0; at < len(text); {
		tok := sqltext.Next(text, at)
		if tok.Significant() {
			return false
		}
		at = tok.To
	}
	return true
}

// macrosIn finds the macro files whose macros a text names. Reading words instead of Jinja, it may find one too many and
// never one too few.
func macrosIn(text string, owners map[string]*macroFile, self *macroFile) []*macroFile {
	if len(owners) == 0 {
		return nil
	}
	var found []*macroFile
	for from := 0; from < len(text); {
		to := from
		for source.WordAt(text, to) {
			to++
		}
		if to > from {
			if m := owners[text[from:to]]; m != nil && m != self && !slices.Contains(found, m) {
				found = append(found, m)
			}
		}
		from = to + 1
	}
	return found
}

// resolveIncludes finds the SQL and macro files a template includes or imports, looking where package template looks.
func (ts *templates) resolveIncludes(f *sqlFile) {
	if !strings.Contains(f.Text, "{%") {
		return
	}
	for _, head := range includeHead.FindAllStringSubmatch(f.Text, -1) {
		for _, name := range []string{head[1], path.Join(path.Dir(f.Path), head[1]), "sql/" + head[1], "macros/" + head[1]} {
			i := slices.IndexFunc(ts.macros, func(m *macroFile) bool { return m.Path == name })
			if i >= 0 && !slices.Contains(f.macros, ts.macros[i]) {
				f.macros = append(f.macros, ts.macros[i])
			}
			if ts.files[name] != nil {
				f.includes = append(f.includes, name)
			}
			if i >= 0 || ts.files[name] != nil {
				break
			}
		}
	}
}

// inlineKey finds the place of a text of a declaration: by the task that has it, and by its letters.
type inlineKey struct {
	task diag.Pos
	text string
}

// checkTemplates judges what the templates of a pipeline's tasks read.
func (l *loader) checkTemplates(d *declare.Pipeline) {
	for _, t := range d.Tasks {
		for _, text := range taskTexts(t.Task) {
			l.checkText(d, t, text)
		}
		for _, file := range t.Task.SQLFiles() {
			if f := l.templates.files[file]; f != nil {
				mapped := t.Task.Map != nil && t.Task.Map.File != file
				l.checkRefs(d, t, f.refs, nil, mapped)
			}
		}
	}
}

// checkText parses a templated text of a declaration; whatever is wrong in it is reported at the argument.
func (l *loader) checkText(d *declare.Pipeline, t *declare.Task, text taskText) {
	at := t.Pos(text.key)
	tmpl, findings := l.templates.set.Parse(fmt.Sprintf("%s (%s of %s)", at.File, text.key, t.Task.Name), text.text)
	l.templates.inline[text.text] = tmpl
	key := inlineKey{t.Task.At, text.text}
	if _, there := l.templates.inlineAt[key]; !there {
		l.templates.inlineAt[key] = at
	}
	for _, f := range append(findings, tmpl.Check(knownNames())...) {
		if f.At = at; f.Fix == "" {
			f.Fix = "Correct the template."
		}
		l.findings = append(l.findings, f)
	}
	l.checkRefs(d, t, tmpl.Names(), &at, t.Task.Map != nil)
}

// knownNames are the names a template may read; checkRefs judges those of mapped tasks.
func knownNames() []string { return append(airflow.Names(), airflow.MappedNames()...) }

// checkRefs judges the names a template reads: parameters, variables and connections must be declared, and a batch has no
// single date. at, when given, is where to report instead of in the template; mapped says that there is an item to read.
func (l *loader) checkRefs(d *declare.Pipeline, t *declare.Task, refs []template.Ref, at *diag.Pos, mapped bool) {
	for _, ref := range refs {
		if at != nil {
			ref.At = *at
		}
		if t.Task.Batch && slices.Contains(airflow.SingleDateNames(), ref.Name) {
			l.errorf(ref.At, "Single date in a batch", "Read data_interval_start and data_interval_end instead, or remove batch = True.",
				"Task %s of pipeline %s may cover several data intervals at once (batch = True); %s is the date of one.", t.Task.Name, d.Pipeline.Name, ref.Name)
		}
		if !mapped && !ref.Optional && slices.Contains(airflow.MappedNames(), ref.Name) {
			l.errorf(ref.At, "Item outside of a mapped task", "Map the task with .map(over = […]), or define the name with {% set %}.",
				"Task %s of pipeline %s has no items, so %s is not there.", t.Task.Name, d.Pipeline.Name, ref.Name)
		}
		if ref.Optional || ref.Attr == "" {
			continue
		}
		switch ref.Name {
		case "params":
			l.checkParam(d, t, ref)
		case "var":
			l.checkVar(ref)
		case "conn":
			l.checkConn(ref)
		}
	}
}

func (l *loader) checkParam(d *declare.Pipeline, t *declare.Task, ref template.Ref) {
	if _, ok := d.Pipeline.Params[ref.Attr]; ok || ref.Attr == "get" {
		return
	}
	names := slices.Sorted(maps.Keys(d.Pipeline.Params))
	fix := diag.DidYouMean(ref.Attr, names)
	if fix == "" {
		fix = fmt.Sprintf("Add params = {%q: …} to pipeline %s.", ref.Attr, d.Pipeline.Name)
	}
	l.errorf(ref.At, "Undeclared parameter", fix, "Task %s reads params.%s, which pipeline %s does not declare.", t.Task.Name, ref.Attr, d.Pipeline.Name)
}

func (l *loader) checkVar(ref template.Ref) {
	kind, rest, _ := strings.Cut(ref.Path, ".")
	name, _, _ := strings.Cut(rest, ".")
	if kind != "value" && kind != "json" || name == "" || name == "get" {
		return
	}
	if _, ok := l.project.Vars[name]; ok {
		return
	}
	fix := diag.DidYouMean(name, slices.Sorted(maps.Keys(l.project.Vars)))
	if fix == "" {
		fix = fmt.Sprintf("Add it under vars: in %s, or under the vars: of environment %s.", ConfigFile, l.project.Environment.Name)
	}
	l.once(diag.Finding{At: ref.At, Severity: diag.Error, Summary: "Undeclared variable", Fix: fix,
		Detail: fmt.Sprintf("var.%s.%s is read here, and %s does not declare it for environment %s.", kind, name, ConfigFile, l.project.Environment.Name)})
}

func (l *loader) checkConn(ref template.Ref) {
	if _, ok := l.project.Conns[ref.Attr]; ok || ref.Attr == "get" {
		return
	}
	fix := diag.DidYouMean(ref.Attr, slices.Sorted(maps.Keys(l.project.Conns)))
	if fix == "" {
		fix = fmt.Sprintf("Add it under connections: in %s.", ConfigFile)
	}
	l.once(diag.Finding{At: ref.At, Severity: diag.Error, Summary: "Undeclared connection", Fix: fix,
		Detail: fmt.Sprintf("conn.%s is read here, and %s does not declare it for environment %s.", ref.Attr, ConfigFile, l.project.Environment.Name)})
}

// once reports a finding that belongs to a file, however many tasks use the file.
func (l *loader) once(f diag.Finding) {
	if l.said == nil {
		l.said = map[string]bool{}
	}
	key := f.At.String() + "\n" + f.Detail
	if !l.said[key] {
		l.said[key] = true
		l.findings = append(l.findings, f)
	}
}

// unusedFiles warns of SQL files that no task runs or includes, and of macro files none of whose macros is named.
func (l *loader) unusedFiles() {
	ts := l.templates
	for _, d := range l.pipelines {
		for _, t := range d.Tasks {
			for _, f := range ts.uses(t.Task) {
				f.used = true
			}
		}
	}
	for _, f := range l.tree.Migrations {
		for _, used := range ts.including(f.Path) {
			used.used = true
		}
	}
	names := slices.Sorted(maps.Keys(ts.files))
	for _, name := range names {
		f := ts.files[name]
		if !f.used {
			l.warn(diag.Pos{File: f.Path}, "Unused SQL file", "Add a task for it, or delete it.", "No task runs %s.", f.Path)
		}
		for _, m := range f.macros {
			m.used = true
		}
	}
	for _, m := range ts.macros {
		for _, other := range m.macros {
			other.used = true
		}
	}
	for _, m := range ts.macros {
		if !m.used && !l.namedInTexts(m) {
			l.warn(diag.Pos{File: m.Path}, "Unused macros", "Call one of its macros, or delete the file.", "No SQL file names a macro of %s.", m.Path)
		}
	}
}

// namedInTexts reports whether a templated text of a declaration names a macro of the file.
func (l *loader) namedInTexts(m *macroFile) bool {
	owners := map[string]*macroFile{}
	for _, name := range m.names {
		owners[name] = m
	}
	for text := range l.templates.inline {
		if len(macrosIn(text, owners, nil)) > 0 {
			return true
		}
	}
	return false
}

// uses lists the SQL files a task reads, and what these include, each once.
func (ts *templates) uses(t *pipeline.Task) []*sqlFile { return ts.including(t.SQLFiles()...) }

// including lists the SQL files of these names, and what they include, each once.
func (ts *templates) including(names ...string) []*sqlFile {
	var files []*sqlFile
	for _, name := range names {
		if f := ts.files[name]; f != nil {
			files = append(files, f)
		}
	}
	for i := 0; i < len(files); i++ {
		for _, name := range files[i].includes {
			if f := ts.files[name]; !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files
}
