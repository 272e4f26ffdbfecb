// Package template renders SQL files written in Jinja, with Airflow's names. Its central type is Set: the macros of a
// project and the templates that may use them. Values are Starlark's (go.starlark.net), so that a template and a pipeline
// mean the same by an operator, a method and a comparison.
//
// Templates are strict: a name, attribute or key that is not there is a finding with file, line and column, unless the
// template asks whether it `is defined` or gives a `default`. Rendered text knows the template line of each of its parts.
// The package reads no files and no clock, and runs nothing but the template: no inheritance between templates, no HTML
// escaping, no unbounded loops.
//
// Invariants:
//  1. Parse never stops at the first mistake, and neither Parse nor Render panics or runs forever, whatever the text.
//  2. Templates do not change once parsed; one template may be rendered by several goroutines at once.
//  3. Static text leads back to its own line and column; the output of an expression leads back to its `{{`.
package template

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// Limits bound one rendering. A zero field takes its default.
type Limits struct {
	Steps  int // expressions and statements evaluated; default 5,000,000
	Output int // bytes of the text, and of any one string on the way; default 16 MiB, at most 32 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = 5_000_000
	}
	if l.Output == 0 {
		l.Output = 16 << 20
	}
	l.Output = min(l.Output, maxText)
	return l
}

// Set is the macros of a project and the templates that use them. Add the macros first, then parse the templates; the
// latter may be done by several goroutines.
type Set struct {
	Limits Limits

	macros     map[string]*macroDef // by name
	macroFiles []*Template

	mu        sync.RWMutex
	templates map[string]*Template // by file, macro files too
}

// NewSet gives an empty set.
func NewSet() *Set {
	return &Set{macros: map[string]*macroDef{}, templates: map[string]*Template{}}
}

// AddMacros reads a macro file: each of its macros becomes a name that every template of the set may call. Text outside
// of macros is ignored.
func (s *Set) AddMacros(file, text string) diag.Findings {
	t, findings := s.Parse(file, text)
	s.macroFiles = append(s.macroFiles, t)
	for _, def := range t.macros() {
		at := t.src.Pos(def.at)
		other := s.macros[def.name]
		switch {
		case def.name == "":
		case other != nil:
			findings = append(findings, diag.Finding{At: at, Severity: diag.Error, Summary: "Macro defined twice",
				Detail: fmt.Sprintf("%q is a macro already, at %s.", def.name, other.src.Pos(other.at)), Fix: "Rename one of them."})
		case reserved[def.name]:
			findings = append(findings, diag.Finding{At: at, Severity: diag.Error, Summary: "Macro name taken",
				Detail: fmt.Sprintf("%q is a name that every template can read already; the macro could not be called.", def.name), Fix: "Rename the macro."})
		default:
			s.macros[def.name] = def
		}
	}
	return findings
}

// reserved are the names that mean something in every template.
var reserved = func() map[string]bool {
	names := map[string]bool{"loop": true, "varargs": true, "kwargs": true, "caller": true}
	for name := range globals {
		names[name] = true
	}
	for _, name := range ContextNames() {
		names[name] = true
	}
	return names
}()

// Parse reads a template and adds it to the set, where others may include it. The template is usable for Names and Check
// even with findings.
func (s *Set) Parse(file, text string) (*Template, diag.Findings) {
	t := &Template{set: s, src: sqltext.NewSource(file, text)}
	p := &parser{lexer: &lexer{src: t.src}, home: t}
	t.body = p.parse()
	p.findings.Sort()
	t.broken = p.findings.HasErrors()
	s.mu.Lock()
	s.templates[file] = t
	s.mu.Unlock()
	return t, p.findings
}

// find gives the first of the files that the set knows: under its full name, beside the file that asks, or in sql/ or
// macros/.
func (s *Set) find(from string, names []string) *Template {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range names {
		for _, file := range []string{name, path.Join(path.Dir(from), name), path.Join("sql", name), path.Join("macros", name)} {
			if t := s.templates[file]; t != nil {
				return t
			}
		}
	}
	return nil
}

func (s *Set) unknownFile(names []string) diag.Finding {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := diag.Finding{Severity: diag.Error, Summary: "Unknown template file",
		Detail: fmt.Sprintf("The project has no file %s in sql/ or macros/.", strings.Join(names, " or "))}
	if len(names) > 0 {
		f.Fix = diag.DidYouMean(names[0], sortedKeys(s.templates))
	}
	return f
}

// Check finds the unknown names, filters and tests inside the macro files.
func (s *Set) Check(known []string) diag.Findings {
	var findings diag.Findings
	for _, t := range s.macroFiles {
		findings = append(findings, t.Check(known)...)
	}
	findings.Sort()
	return findings
}

// Template is one parsed file.
type Template struct {
	set    *Set
	src    *sqltext.Source
	body   []stmt
	broken bool // it has syntax errors: what was read of it is not rendered
}

// Ref is a global name that a template reads.
type Ref struct {
	Name     string   // "params"
	Attr     string   // the first attribute or constant key after it, "" when there is none or it is computed
	Path     string   // all of them: "value.schema" of var.value.schema
	At       diag.Pos // of the name
	Optional bool     // guarded by `is defined` or `default`
}

// File is the name the template was parsed with.
func (t *Template) File() string { return t.src.File() }

// macros lists the macros that the top level defines.
func (t *Template) macros() []*macroDef {
	var defs []*macroDef
	for _, st := range t.body {
		if m, ok := st.(*macroStmt); ok {
			defs = append(defs, m.def)
		}
	}
	return defs
}

// macro gives a macro of the top level, or nil.
func (t *Template) macro(name string) *macroDef {
	for _, def := range t.macros() {
		if def.name == name {
			return def
		}
	}
	return nil
}

// topNames lists the names that the top level binds.
func (t *Template) topNames() []string {
	var names []string
	var collect func(body []stmt)
	var targets func(to target)
	targets = func(to target) {
		for _, part := range to.parts {
			targets(part)
		}
		if to.parts == nil && to.attr == "" {
			names = append(names, to.name)
		}
	}
	collect = func(body []stmt) {
		for _, st := range body {
			switch st := st.(type) {
			case *setStmt:
				targets(st.target)
			case *setBlockStmt:
				targets(st.target)
			case *macroStmt:
				names = append(names, st.def.name)
			case *importStmt:
				names = append(names, st.as)
			case *fromStmt:
				for _, n := range st.names {
					names = append(names, n.as)
				}
			case *ifStmt:
				for _, b := range st.branches {
					collect(b.body)
				}
				collect(st.orElse)
			}
		}
	}
	collect(t.body)
	return names
}

// Names lists the global names the template reads, itself and through the macros and templates it uses.
func (t *Template) Names() []Ref {
	var refs []Ref
	seen := map[*macroDef]bool{}
	var follow func(*macroDef)
	visit := func(r reference) {
		if def := t.set.macros[r.name]; def != nil {
			follow(def)
			return
		}
		if globals[r.name] == nil {
			refs = append(refs, Ref{Name: r.name, Attr: r.attr, Path: r.path, At: r.src.Pos(r.at), Optional: r.optional})
		}
	}
	follow = func(def *macroDef) {
		if !seen[def] {
			seen[def] = true
			w := &walker{set: t.set, home: def.home, visit: visit, follow: follow}
			w.moduleOf(def)
		}
	}
	w := &walker{set: t.set, home: t, visit: visit, follow: follow, later: t.topNames()}
	w.statements(t.body)
	return refs
}

// moduleOf walks a macro as a call from another file does: what its own file sets and imports, then the macro.
func (w *walker) moduleOf(def *macroDef) {
	w.later = def.home.topNames()
	for _, st := range def.home.body {
		switch st := st.(type) {
		case *setStmt, *setBlockStmt, *importStmt, *fromStmt:
			w.statement(st)
		case *macroStmt:
			w.addMacro(st.def.name, st.def)
		}
	}
	used := map[*macroDef]bool{}
	visit := w.visit
	var walk func(*macroDef)
	walk = func(d *macroDef) {
		if !used[d] {
			used[d] = true
			inner := &walker{set: w.set, home: w.home, follow: w.follow, modules: w.modules, inMacro: true}
			for _, name := range w.later {
				if w.macros[name] == nil || w.macros[name].home != w.home {
					inner.bound = append(inner.bound, name)
				}
			}
			inner.visit = func(r reference) {
				if sibling := w.macros[r.name]; sibling != nil && sibling.home == w.home {
					walk(sibling)
					return
				}
				visit(r)
			}
			inner.macroBody(d)
		}
	}
	walk(def)
}

// Check finds unknown names, filters and tests in the template and in what it includes; known are the names that will be
// given to Render. Macro files are checked by Set.Check.
func (t *Template) Check(known []string) diag.Findings {
	var findings diag.Findings
	w := &walker{set: t.set, home: t, later: t.topNames()}
	w.report = func(f diag.Finding) { findings = append(findings, f) }
	w.visit = func(r reference) {
		if r.optional || slices.Contains(known, r.name) || globals[r.name] != nil || t.set.macros[r.name] != nil {
			return
		}
		all := append(append(slices.Clone(known), sortedKeys(t.set.macros)...), append(w.later, sortedKeys(globals)...)...)
		findings = append(findings, unknownName(r.src.Pos(r.at), r.name, all))
	}
	w.statements(t.body)
	findings.Sort()
	return findings
}
