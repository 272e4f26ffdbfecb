package sqltext

import "strings"

// Split gives the statements of a script, without the semicolons between them and without the blanks and comments around
// each. A comment that opens with /*+ stays at the head of its statement: it is a hint to the planner. Empty statements
// are left out.
//
// A semicolon divides unless it stands in a string, a quoted name, a comment, in parentheses (CREATE RULE … DO (a; b)),
// or between BEGIN ATOMIC and END in the body of a function; these are the rules of PostgreSQL's psql.
func (t Text) Split() []Text {
	var (
		sql        = t.SQL()
		statements []Text
		part       statement
	)
	for at := 0; at < len(sql); {
		tok := Next(sql, at)
		at = tok.To
		if tok.Kind == Semicolon && part.parens <= 0 && part.blocks == 0 {
			statements = part.appendTo(statements, t)
			part = statement{}
			continue
		}
		part.take(sql, tok)
	}
	return part.appendTo(statements, t)
}

// statement is what Split knows of the statement it is reading.
type statement struct {
	from, to int    // of the significant part
	begun    bool   // from is known
	parens   int    // open parentheses
	blocks   int    // open BEGIN and CASE in the body of a function
	words    int    // read so far
	head     string // the initials of the first words: "cf", "cp", "corf", "corp" create a function or procedure
}

func (s *statement) take(sql string, tok Token) {
	text := sql[tok.From:tok.To]
	if !tok.Significant() && !strings.HasPrefix(text, "/*+") {
		return
	}
	if !s.begun {
		s.from, s.begun = tok.From, true
	}
	if tok.Kind == Comment {
		return // a hint opens a statement but does not make one
	}
	s.to = tok.To
	switch {
	case text == "(":
		s.parens++
	case text == ")":
		s.parens--
	case tok.Kind == Word:
		s.word(strings.ToLower(text))
	}
}

// word follows the words that open and close blocks in the body of a function.
func (s *statement) word(w string) {
	if s.words < 4 {
		switch w {
		case "create", "or", "replace", "function", "procedure":
			s.head += w[:1]
		default:
			s.head += "."
		}
	}
	s.words++
	function := strings.HasPrefix(s.head, "cf") || strings.HasPrefix(s.head, "cp") || s.head == "corf" || s.head == "corp"
	if !function || s.parens != 0 {
		return
	}
	switch {
	case w == "begin", w == "case" && s.blocks > 0:
		s.blocks++
	case w == "end" && s.blocks > 0:
		s.blocks--
	}
}

func (s *statement) appendTo(statements []Text, t Text) []Text {
	if s.to == 0 {
		return statements
	}
	return append(statements, t.Slice(s.from, s.to))
}

// IsSelect reports whether the text gives rows: its first keyword is SELECT, WITH, VALUES, TABLE or FROM, or it opens
// with a parenthesis.
func IsSelect(t Text) bool {
	sql := t.SQL()
	for at := 0; at < len(sql); {
		tok := Next(sql, at)
		at = tok.To
		if !tok.Significant() {
			continue
		}
		switch strings.ToLower(sql[tok.From:tok.To]) {
		case "select", "with", "values", "table", "from", "(":
			return true
		}
		return false
	}
	return false
}
