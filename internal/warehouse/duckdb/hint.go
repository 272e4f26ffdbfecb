//go:build duckdb_arrow

package duckdb

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// How DuckDB's messages name things.
var (
	noTable    = regexp.MustCompile(`^Table with name "?([^"]+?)"? does not exist`)
	missing    = regexp.MustCompile(`(?:[Rr]eferenced (?:column|table)|column (?:named|with name)|[Ww]ith name) "?([^" ]+)"?`)
	candidates = regexp.MustCompile(`^(Candidate (\w+)|Did you mean):*[ :]*"`)
	inQuotes   = regexp.MustCompile(`"((?:[^"]|"")*)"`)
	wanted     = regexp.MustCompile(`'(\w+)\((.*)\)'|"(\w+)\((.*)\)"`)
)

// asWritten gives the error's table with the schema that the statement names, which DuckDB leaves out.
func asWritten(sql string, e *driver.Error) string {
	if e.Table == "" || e.Position < 0 || e.Position >= len(sql) {
		return e.Table
	}
	to := e.Position
	for to < len(sql) {
		tok := sqltext.Next(sql, to)
		if tok.Kind != sqltext.Word && tok.Kind != sqltext.QuotedName && sql[tok.From:tok.To] != "." {
			break
		}
		to = tok.To
	}
	schema, table, err := sqltext.ParseName(sql[e.Position:to])
	if err != nil || schema == "" || !strings.EqualFold(table, e.Table) {
		return e.Table
	}
	return schema + "." + table
}

// hintStarts are how the lines begin with which DuckDB proposes a cure.
var hintStarts = []string{"\nDid you mean", "\nCandidate", "\n\nPossible solutions", "\nHint:", "\n\nLINE ", "\nEither add it to the GROUP BY"}

// splitHint separates what is wrong from the cure that DuckDB proposes, and says both in fewer words.
func splitHint(text string) (message, hint string) {
	cut := len(text)
	for _, start := range hintStarts {
		if i := strings.Index(text, start); i >= 0 {
			cut = min(cut, i)
		}
	}
	message, hint = strings.TrimSpace(text[:cut]), strings.TrimSpace(text[cut:])
	return fewerFunctions(message), plainHint(message, hint)
}

// plainHint turns a list of candidates into a question when one of them is near the name that is missing, and else into
// what there is. What DuckDB itself finds near is often far, such as a table of its catalog.
func plainHint(message, hint string) string {
	m := candidates.FindStringSubmatch(hint)
	if m == nil {
		return hint
	}
	line, rest, _ := strings.Cut(hint, "\n")
	var names []string
	for _, q := range inQuotes.FindAllStringSubmatch(line, -1) {
		names = append(names, q[1])
	}
	plain := ""
	if m := missing.FindStringSubmatch(message); m != nil {
		plain = nearest(m[1], names)
	}
	if plain == "" && m[2] != "" {
		plain = there(m[2]) + ": " + strings.Join(names, ", ") + "."
	}
	return strings.TrimSpace(plain + "\n" + rest)
}

// nearest asks for the candidate that is near the name, or whose last part is.
func nearest(name string, names []string) string {
	if asked := diag.DidYouMean(name, names); asked != "" {
		return asked
	}
	last := func(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }
	for _, n := range names {
		if diag.Nearest(last(name), []string{last(n)}) != "" {
			return fmt.Sprintf("Did you mean %q?", n)
		}
	}
	return ""
}

// there begins the list of what DuckDB calls candidates.
func there(what string) string {
	switch what {
	case "bindings":
		return "Columns there"
	case "tables":
		return "Tables there"
	}
	return "Names there"
}

// mostFunctions is how many forms of a function a message lists.
const mostFunctions = 3

// fewerFunctions cuts the list of a function's forms to those nearest to the call: by the number of arguments, then by how
// many have the type that was given.
func fewerFunctions(message string) string {
	const head = "\tCandidate functions:\n"
	before, list, ok := strings.Cut(message, head)
	if !ok {
		return message
	}
	forms := strings.Split(strings.TrimSpace(list), "\n")
	for i := range forms {
		forms[i] = strings.TrimSpace(forms[i])
	}
	var given []string
	if m := wanted.FindStringSubmatch(before); m != nil {
		given = arguments(m[2] + m[4])
	}
	sort.SliceStable(forms, func(i, j int) bool { return farFrom(given, forms[i]) < farFrom(given, forms[j]) })
	more := len(forms) - mostFunctions
	text := strings.TrimSpace(before) + "\nIts forms are: " + strings.Join(forms[:min(mostFunctions, len(forms))], ", ")
	if more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// farFrom measures how badly a form f(A, B) -> C takes arguments of the given types.
func farFrom(given []string, form string) int {
	_, inner, _ := strings.Cut(form, "(")
	if end := strings.LastIndex(inner, ") ->"); end >= 0 {
		inner = inner[:end]
	}
	takes := arguments(inner)
	far := 100 * max(len(takes)-len(given), len(given)-len(takes))
	for i, t := range takes {
		if i >= len(given) || t != "ANY" && t != given[i] {
			far++
		}
	}
	return far
}

// arguments gives the types of an argument list; that a value is a literal does not count.
func arguments(list string) []string {
	if list == "" {
		return nil
	}
	parts := strings.Split(list, ", ")
	for i, p := range parts {
		if parts[i] = strings.TrimSuffix(p, "_LITERAL"); parts[i] == "STRING" {
			parts[i] = "VARCHAR"
		}
	}
	return parts
}
