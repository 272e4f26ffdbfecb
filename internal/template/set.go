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
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"damson/internal/diag"
	"damson/internal/template/airflow"
	"damson/internal/template/builtin"
	"damson/internal/template/jinja"
	"damson/internal/template/value"
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
	l.Output = min(l.Output, value.MaxText)
	return l
}

// Set is the macros of a project and the templates that use them. Add the macros first, then parse the templates; the
// latter may be done by several goroutines.
type Set struct {
	Limits Limits

	macros     map[string]*jinja.MacroDef // by name
	macroFiles []*Template

	mu    sync.RWMutex
	files map[string]*jinja.File // by name, macro files too
}

// NewSet gives an empty set.
func NewSet() *Set {
	return &Set{macros: map[string]*jinja.MacroDef{}, files: map[string]*jinja.File{}}
}

// AddMacros reads a macro file: each of its macros becomes a name that every template of the set may call. Text outside
// of macros is ignored.
func (s *Set) AddMacros(file, text string) diag.Findings {
	t, findings := s.Parse(file, text)
	s.macroFiles = append(s.macroFiles, t)
	for _, def := range t.file.Macros() {
		at := t.file.Src.Pos(def.At)
		other := s.macros[def.Name]
		switch {
		case def.Name == "":
		case other != nil:
			findings = append(findings, diag.Finding{At: at, Severity: diag.Error, Summary: "Macro defined twice",
				Detail: fmt.Sprintf("%q is a macro already, at %s.", def.Name, other.Src.Pos(other.At)), Fix: "Rename one of them."})
		case reserved[def.Name]:
			findings = append(findings, diag.Finding{At: at, Severity: diag.Error, Summary: "Macro name taken",
				Detail: fmt.Sprintf("%q is a name that every template can read already; the macro could not be called.", def.Name), Fix: "Rename the macro."})
		default:
			s.macros[def.Name] = def
		}
	}
	return findings
}

// reserved are the names that mean something in every template.
var reserved = func() map[string]bool {
	names := map[string]bool{"loop": true, "varargs": true, "kwargs": true, "caller": true}
	for name := range builtin.Globals {
		names[name] = true
	}
	for _, name := range append(airflow.Names(), airflow.MappedNames()...) {
		names[name] = true
	}
	return names
}()

// Parse reads a template and adds it to the set, where others may include it. The template is usable for Names and Check
// even with findings.
func (s *Set) Parse(file, text string) (*Template, diag.Findings) {
	f, findings := jinja.Parse(file, text)
	for _, def := range f.MacroDefs {
		noteReads(f, def)
	}
	s.mu.Lock()
	s.files[file] = f
	s.mu.Unlock()
	return &Template{set: s, file: f}, findings
}

// noteReads notes which of the names that only macros know a macro reads.
func noteReads(f *jinja.File, def *jinja.MacroDef) {
	uses := map[string]bool{}
	w := walker{home: f, shallow: true, visit: func(r reference) { uses[r.name] = true }}
	w.statements(def.Body)
	def.Varargs, def.Kwargs, def.Caller = uses["varargs"], uses["kwargs"], uses["caller"]
}

// find gives the first of the files that the set knows: under its full name, beside the file that asks, or in sql/ or
// macros/.
func (s *Set) find(from string, names []string) *jinja.File {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range names {
		for _, file := range []string{name, path.Join(path.Dir(from), name), path.Join("sql", name), path.Join("macros", name)} {
			if f := s.files[file]; f != nil {
				return f
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
		f.Fix = diag.DidYouMean(names[0], slices.Sorted(maps.Keys(s.files)))
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
	set  *Set
	file *jinja.File
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
func (t *Template) File() string { return t.file.Name() }

// Names lists the global names the template reads, itself and through the macros and templates it uses.
func (t *Template) Names() []Ref {
	var refs []Ref
	seen := map[*jinja.MacroDef]bool{}
	var follow func(*jinja.MacroDef)
	visit := func(r reference) {
		if def := t.set.macros[r.name]; def != nil {
			follow(def)
			return
		}
		if builtin.Globals[r.name] == nil {
			refs = append(refs, Ref{Name: r.name, Attr: r.attr, Path: r.path, At: r.src.Pos(r.at), Optional: r.optional})
		}
	}
	follow = func(def *jinja.MacroDef) {
		if !seen[def] {
			seen[def] = true
			w := &walker{set: t.set, home: def.Home, visit: visit, follow: follow}
			w.moduleOf(def)
		}
	}
	w := &walker{set: t.set, home: t.file, visit: visit, follow: follow, later: t.file.TopNames()}
	w.statements(t.file.Body)
	return refs
}

// moduleOf walks a macro as a call from another file does: what its own file sets and imports, then the macro.
func (w *walker) moduleOf(def *jinja.MacroDef) {
	w.later = def.Home.TopNames()
	for _, st := range def.Home.Body {
		switch st := st.(type) {
		case *jinja.SetStmt, *jinja.SetBlockStmt, *jinja.ImportStmt, *jinja.FromStmt:
			w.statement(st)
		case *jinja.MacroStmt:
			w.addMacro(st.Def.Name, st.Def)
		}
	}
	used := map[*jinja.MacroDef]bool{}
	visit := w.visit
	var walk func(*jinja.MacroDef)
	walk = func(d *jinja.MacroDef) {
		if !used[d] {
			used[d] = true
			inner := &walker{set: w.set, home: w.home, follow: w.follow, modules: w.modules, inMacro: true}
			for _, name := range w.later {
				if w.macros[name] == nil || w.macros[name].Home != w.home {
					inner.bound = append(inner.bound, name)
				}
			}
			inner.visit = func(r reference) {
				if sibling := w.macros[r.name]; sibling != nil && sibling.Home == w.home {
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
	w := &walker{set: t.set, home: t.file, later: t.file.TopNames()}
	w.report = func(f diag.Finding) { findings = append(findings, f) }
	w.visit = func(r reference) {
		if r.optional || slices.Contains(known, r.name) || builtin.Globals[r.name] != nil || t.set.macros[r.name] != nil {
			return
		}
		all := append(append(slices.Clone(known), slices.Sorted(maps.Keys(t.set.macros))...), append(w.later, slices.Sorted(maps.Keys(builtin.Globals))...)...)
		findings = append(findings, unknownName(r.src.Pos(r.at), r.name, all))
	}
	w.statements(t.file.Body)
	findings.Sort()
	return findings
}
