// Package diag says what is wrong and how to mend it. Its central type is Finding: where, what, why, fix. Mistakes in a
// project are collected as Findings and shown together; an operation that fails returns one Finding as its error.
//
// The package knows nothing of files, terminals or colours: it holds plain data and renders plain text.
package diag

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Pos is a place in a file of the project. Line and Col count from 1, Col in characters; 0 means "not known". File is
// relative to the project's directory, with forward slashes.
type Pos struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String gives "file:line:col", leaving out what is not known.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Severity tells whether a finding stops the work.
type Severity string

const (
	Error   Severity = "error"   // the project cannot run like this
	Warning Severity = "warning" // it can, but somebody should look
)

// Finding is one mistake or failure. Summary names it in a few words, Detail says why with the operands in it, Fix says
// what to do. The zero Severity counts as Error. A Finding is an error, so that operations can return it.
type Finding struct {
	At       Pos      `json:"at"`
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"`
	Detail   string   `json:"detail,omitempty"`
	Fix      string   `json:"fix,omitempty"`
	Cause    error    `json:"-"` // for errors.Is and errors.As only; Detail already tells it in words
}

// IsError reports whether the finding stops the work.
func (f Finding) IsError() bool { return f.Severity != Warning }

// Error renders the finding as a person reads it: the place and summary on the first line, then detail and fix indented.
func (f Finding) Error() string {
	var b strings.Builder
	if at := f.At.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if !f.IsError() {
		b.WriteString("warning: ")
	}
	b.WriteString(f.Summary)
	if f.Detail != "" {
		b.WriteString("\n  " + strings.ReplaceAll(f.Detail, "\n", "\n  "))
	}
	if f.Fix != "" {
		b.WriteString("\n  Fix: " + strings.ReplaceAll(f.Fix, "\n", "\n       "))
	}
	return b.String()
}

// Unwrap gives the cause, for errors.Is and errors.As.
func (f Finding) Unwrap() error { return f.Cause }

// AsFinding gives err as a Finding: the one it wraps, or a new one whose summary is op and whose detail is err's text.
func AsFinding(op string, err error) Finding {
	var f Finding
	if errors.As(err, &f) {
		return f
	}
	return Finding{Severity: Error, Summary: op, Detail: err.Error(), Cause: err}
}

// Findings are collected while a project is read: all of them, not only the first.
type Findings []Finding

// HasErrors reports whether one of them stops the work.
func (fs Findings) HasErrors() bool {
	for _, f := range fs {
		if f.IsError() {
			return true
		}
	}
	return false
}

// Sort orders them by file, line, column, and then as they were found.
func (fs Findings) Sort() {
	sort.SliceStable(fs, func(i, j int) bool {
		a, b := fs[i].At, fs[j].At
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Col < b.Col
	})
}

// Err gives the findings as one error, or nil when none of them stops the work.
func (fs Findings) Err() error {
	if !fs.HasErrors() {
		return nil
	}
	return fs
}

// Error renders all findings, one block each.
func (fs Findings) Error() string {
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = f.Error()
	}
	return strings.Join(texts, "\n")
}
