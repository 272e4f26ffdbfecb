package postgres

import (
	"strings"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// word is a significant token of a statement.
type word struct {
	text  string // in lower case, save in quotes
	kind  sqltext.Kind
	from  int
	depth int // open parentheses around it
}

// words gives a statement's first significant tokens, at most so many; most < 0 means all.
func words(sql string, most int) []word {
	var all []word
	depth := 0
	for at := 0; at < len(sql) && len(all) != most; {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if !tok.Significant() {
			continue
		}
		text := sql[tok.From:tok.To]
		if tok.Kind == sqltext.Word {
			text = strings.ToLower(text)
		}
		if text == ")" {
			depth--
		}
		all = append(all, word{text: text, kind: tok.Kind, from: tok.From, depth: depth})
		if text == "(" {
			depth++
		}
	}
	return all
}

// isSelect reports whether a statement that gives columns only reads: a SELECT, VALUES or TABLE, also behind WITH. An INSERT
// with RETURNING gives columns as well.
func isSelect(sql string) bool {
	first := words(sql, 1)
	if len(first) == 0 {
		return false
	}
	switch first[0].text {
	case "select", "values", "table", "(":
		return true
	case "with":
		return !writesBehindWith(words(sql, -1))
	}
	return false
}

// writesBehindWith reports whether it is an INSERT, UPDATE, DELETE or MERGE that stands behind the list of a WITH. One of
// these words with AS or a parenthesis behind it is the name of a common table.
func writesBehindWith(all []word) bool {
	for i, w := range all[:len(all)-1] {
		if w.depth > 0 || w.kind != sqltext.Word {
			continue
		}
		switch next := all[i+1].text; w.text {
		case "insert", "update", "delete", "merge":
			if next != "as" && next != "(" {
				return true
			}
		}
	}
	return false
}

// mayWrite reports whether a statement that gives columns may change rows: then its rows are read to their end rather than
// the statement stopped when nobody wants them.
func mayWrite(sql string) bool {
	if !isSelect(sql) {
		return true
	}
	for _, w := range words(sql, -1) {
		switch w.text {
		case "insert", "update", "delete", "merge":
			if w.kind == sqltext.Word {
				return true
			}
		}
	}
	return false
}

// plainStatements leave nothing behind in their session, functions and temporary tables aside.
var plainStatements = map[string]bool{
	"select": true, "with": true, "values": true, "table": true, "(": true, "insert": true, "update": true, "delete": true,
	"merge": true, "explain": true, "copy": true, "truncate": true, "create": true, "alter": true, "drop": true, "grant": true,
	"revoke": true, "comment": true, "analyze": true, "vacuum": true, "lock": true, "refresh": true, "show": true, "reindex": true,
}

// sessionWords are those that make one of the plain statements leave something behind.
var sessionWords = map[string]bool{
	"temp": true, "temporary": true, "pg_temp": true, "set_config": true, "setseed": true, "pg_advisory_lock": true,
	"pg_advisory_lock_shared": true, "pg_try_advisory_lock": true, "pg_try_advisory_lock_shared": true,
}

// altersSession reports whether a statement visibly leaves something behind in its session.
func altersSession(sql string) bool {
	for i, w := range words(sql, -1) {
		if i == 0 && !plainStatements[w.text] || w.kind == sqltext.Word && sessionWords[w.text] {
			return true
		}
	}
	return false
}

// refuseCopy refuses a COPY from or to the client: the server would wait for ever for rows that nobody sends.
func refuseCopy(sql string) error {
	if first := words(sql, 1); len(first) == 0 || first[0].text != "copy" {
		return nil
	}
	for _, w := range words(sql, -1) {
		if w.kind == sqltext.Word && (w.text == "stdin" || w.text == "stdout") && w.depth == 0 {
			return &driver.Error{
				Class:    driver.Syntax,
				Message:  "COPY from or to the client has no client here.",
				Hint:     "Bring files in with a load task, and rows out with `damson query --out`.",
				Position: w.from,
			}
		}
	}
	return nil
}
