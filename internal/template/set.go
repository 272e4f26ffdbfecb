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
	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// Limits bound one rendering. A zero field takes its default.
type Limits struct {
	Steps  int // expressions and statements evaluated; default 5,000,000
	Output int // bytes of the text, and of any one string on the way; default 16 MiB
}

// Set is the macros of a project and the templates that use them. Macros come first, then templates.
type Set struct {
	Limits Limits
}

// NewSet gives an empty set.
func NewSet() *Set { return &Set{} }

// AddMacros reads a macro file: each of its macros becomes a name that every template of the set may call.
func (s *Set) AddMacros(file, text string) diag.Findings { return nil }

// Parse reads a template and adds it to the set, where others may include it. The template is usable for Names and Check
// even with findings.
func (s *Set) Parse(file, text string) (*Template, diag.Findings) { return &Template{}, nil }

// Check finds the unknown names, filters and tests inside the macro files.
func (s *Set) Check(known []string) diag.Findings { return nil }

// Template is one parsed file.
type Template struct{}

// Ref is a global name that a template reads.
type Ref struct {
	Name     string   // "params"
	Attr     string   // the first attribute or constant key after it, "" when there is none or it is computed
	Path     string   // all of them: "value.schema" of var.value.schema
	At       diag.Pos // of the name
	Optional bool     // guarded by `is defined` or `default`
}

// File is the name the template was parsed with.
func (t *Template) File() string { return "" }

// Names lists the global names the template reads, itself and through the macros and templates it uses.
func (t *Template) Names() []Ref { return nil }

// Check finds unknown names, filters and tests in the template and in what it includes; known are the names that will be
// given to Render. Macro files are checked by Set.Check.
func (t *Template) Check(known []string) diag.Findings { return nil }

// Render gives the template's text with these values of its names. An error is a diag.Finding.
func (t *Template) Render(vars starlark.StringDict) (sqltext.Text, error) { return sqltext.Text{}, nil }
