package sqltext

import (
	"strings"
	"unicode/utf8"
)

// Kind is what a token is.
type Kind uint8

const (
	Space      Kind = iota // blanks and line ends
	Comment                // -- to the end of the line, or /* … */, which may nest
	Word                   // a keyword or a name without quotes
	QuotedName             // "…"
	String                 // '…', E'…' or $tag$…$tag$
	Number                 // digits, with a fraction or an exponent; $1 as well
	Semicolon              // ;
	Symbol                 // any other character
)

// Token is a piece of SQL: its bytes are sql[From:To].
type Token struct {
	Kind     Kind
	From, To int
}

// Significant reports whether the token means something to the database.
func (t Token) Significant() bool { return t.Kind != Space && t.Kind != Comment }

// Next gives the token that starts at an offset inside sql. A string or comment that is not closed reaches to the end.
// Every token has at least one byte, and tokens leave no gaps: the next one starts at To.
func Next(sql string, at int) Token {
	rest := sql[at:]
	c := rest[0]
	tok := func(k Kind, n int) Token { return Token{Kind: k, From: at, To: at + n} }
	switch {
	case isSpace(c):
		n := 1
		for n < len(rest) && isSpace(rest[n]) {
			n++
		}
		return tok(Space, n)
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return tok(Comment, n)
		}
		return tok(Comment, len(rest))
	case strings.HasPrefix(rest, "/*"):
		return tok(Comment, commentLen(rest))
	case c == '\'':
		return tok(String, quotedLen(rest, '\'', false))
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		return tok(String, 1+quotedLen(rest[1:], '\'', true))
	case c == '"':
		return tok(QuotedName, quotedLen(rest, '"', false))
	case c == '$':
		return dollar(rest, tok)
	case isWordStart(c):
		n := 1
		for n < len(rest) && isWordPart(rest[n]) {
			n++
		}
		return tok(Word, n)
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return tok(Number, numberLen(rest))
	case c == ';':
		return tok(Semicolon, 1)
	}
	return tok(Symbol, 1)
}

// dollar reads what starts with $: a $tag$-quoted string, a parameter $1, or the sign alone.
func dollar(rest string, tok func(Kind, int) Token) Token {
	n := 1
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if n > 1 {
		return tok(Number, n)
	}
	if n < len(rest) && isWordStart(rest[n]) {
		for n < len(rest) && isWordPart(rest[n]) && rest[n] != '$' {
			n++
		}
	}
	if n == len(rest) || rest[n] != '$' {
		return tok(Symbol, 1)
	}
	tag := rest[:n+1]
	if end := strings.Index(rest[len(tag):], tag); end >= 0 {
		return tok(String, len(tag)+end+len(tag))
	}
	return tok(String, len(rest))
}

// commentLen is the length of the block comment at the head of s; block comments nest, as in the SQL standard.
func commentLen(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// quotedLen is the length of the quoted piece at the head of s; a doubled quote is part of it, and so is a quote after a
// backslash when escapes is set.
func quotedLen(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

func numberLen(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || s[n] == '.' || s[n] == '_') {
		n++
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if m < len(s) && isDigit(s[m]) {
			for n = m; n < len(s) && isDigit(s[n]); n++ {
			}
		}
	}
	return n
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'
}
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWordStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}
func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }
