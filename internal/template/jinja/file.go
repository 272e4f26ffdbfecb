// Package jinja reads templates written in Jinja. Its central type is File: the statements and expressions of one file, each
// with its offset.
//
// It knows the grammar and nothing of what a name, a filter or a test means: package template runs and checks what was
// read here. Statements that SQL has no use for (extends, block, autoescape, trans) are findings that say what to do instead.
//
// Invariants:
//  1. Parse never stops at the first mistake, never panics and always ends, whatever the text.
//  2. Nothing changes a file once it is parsed, but for the reads of its macros, which who walks it notes before others see it.
package jinja

import (
	"damson/internal/diag"
	"damson/internal/sqltext"
)

// File is one file as read.
type File struct {
	Src  *sqltext.Source
	Body []Stmt
	// MacroDefs are all macros and call blocks, inner ones first.
	MacroDefs []*MacroDef
	Broken    bool // it has mistakes: what was read of it is not rendered
}

// Parse reads a file. What could be read is there even with findings.
func Parse(name, text string) (*File, diag.Findings) {
	f := &File{Src: sqltext.NewSource(name, text)}
	p := &parser{lexer: &lexer{src: f.Src}, home: f}
	f.Body = p.parse()
	p.findings.Sort()
	f.Broken = p.findings.HasErrors()
	return f, p.findings
}

// Name is the name the file was read with.
func (f *File) Name() string { return f.Src.File() }

// Macros lists the macros that the top level defines.
func (f *File) Macros() []*MacroDef {
	var defs []*MacroDef
	for _, st := range f.Body {
		if m, ok := st.(*MacroStmt); ok {
			defs = append(defs, m.Def)
		}
	}
	return defs
}

// Macro gives a macro of the top level, or nil.
func (f *File) Macro(name string) *MacroDef {
	for _, def := range f.Macros() {
		if def.Name == name {
			return def
		}
	}
	return nil
}

// TopNames lists the names that the top level binds.
func (f *File) TopNames() []string {
	var names []string
	var collect func(body []Stmt)
	var targets func(to Target)
	targets = func(to Target) {
		for _, part := range to.Parts {
			targets(part)
		}
		if to.Parts == nil && to.Attr == "" {
			names = append(names, to.Name)
		}
	}
	collect = func(body []Stmt) {
		for _, st := range body {
			switch st := st.(type) {
			case *SetStmt:
				targets(st.Target)
			case *SetBlockStmt:
				targets(st.Target)
			case *MacroStmt:
				names = append(names, st.Def.Name)
			case *ImportStmt:
				names = append(names, st.As)
			case *FromStmt:
				for _, n := range st.Names {
					names = append(names, n.As)
				}
			case *IfStmt:
				for _, b := range st.Branches {
					collect(b.Body)
				}
				collect(st.OrElse)
			}
		}
	}
	collect(f.Body)
	return names
}
