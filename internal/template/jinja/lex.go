package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/template/value"
)

// A file is a row of segments: static text, {{ output }} tags and {% statement %} tags. Comments and the marks of raw
// blocks are gone after lexing, and so are the blanks that a "-" at the edge of a tag removes.
//
//	select 1 {%- if x %} , {{ y }} {% endif %}
//	└─text─┘ └statement┘└t┘└output┘ └─statement

type segmentKind uint8

const (
	textSegment segmentKind = iota
	outputSegment
	statementSegment
)

type segment struct {
	kind     segmentKind
	bad      bool // a token could not be read; the finding is recorded already
	from, to int  // text: the bytes it keeps; tags: the whole tag with its delimiters
	tokens   []token
}

type tokenKind uint8

const (
	endToken tokenKind = iota // the end of the tag; its text is the closing delimiter
	nameToken
	constToken // a string or number: its value
	opToken
)

type token struct {
	kind tokenKind
	at   int
	text string
	val  starlark.Value
}

// maxFindings ends the reading of a file that is not a template at all.
const maxFindings = 100

type lexer struct {
	src      *sqltext.Source
	text     string
	findings diag.Findings
	segments []segment
	tokens   []token // of all tags; segments hold slices of it
}

func (l *lexer) fail(at int, summary, detail, fix string) {
	l.findings = append(l.findings, diag.Finding{At: l.src.Pos(at), Summary: summary, Detail: detail, Fix: fix})
}

// run cuts the text into segments. Like Jinja it drops one line end at the end of the file.
func (l *lexer) run() {
	l.text = l.src.Text()
	l.tokens = make([]token, 0, len(l.text)/8)
	end := len(l.text)
	if strings.HasSuffix(l.text, "\n") {
		end--
		if end > 0 && l.text[end-1] == '\r' {
			end--
		}
	}
	trim := false // the tag before ended with "-"
	at := 0
	if strings.HasPrefix(l.text, "\ufeff") {
		at = len("\ufeff")
	}
	for at < end && len(l.findings) < maxFindings {
		open := nextOpen(l.text, at, end)
		minus := open+2 < end && l.text[open+2] == '-'
		l.static(at, open, trim, minus)
		if open == end {
			return
		}
		at, trim = l.tag(open, end)
	}
}

// nextOpen finds the next "{{", "{%" or "{#", or end.
func nextOpen(s string, at, end int) int {
	for at < end {
		i := strings.IndexByte(s[at:end], '{')
		if i < 0 || at+i+1 >= end {
			return end
		}
		at += i
		if c := s[at+1]; c == '{' || c == '%' || c == '#' {
			return at
		}
		at++
	}
	return end
}

// static keeps a stretch of text, without the blanks at the sides where a "-" stands.
func (l *lexer) static(from, to int, trimLeft, trimRight bool) {
	s := l.text[from:to]
	if trimRight {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
		to = from + len(s)
	}
	if trimLeft {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		from = to - len(s)
	}
	if from < to {
		l.segments = append(l.segments, segment{kind: textSegment, from: from, to: to})
	}
}

// tag reads one tag and gives the offset after it and whether it ended with "-".
func (l *lexer) tag(open, end int) (next int, trim bool) {
	kind := l.text[open+1]
	at := open + 2
	if at < end && (l.text[at] == '-' || l.text[at] == '+') {
		at++
	}
	if kind == '#' {
		return l.comment(open, at, end)
	}
	seg := segment{kind: outputSegment, from: open}
	closer := "}}"
	if kind == '%' {
		seg.kind, closer = statementSegment, "%}"
	}
	first := len(l.tokens)
	next, trim, seg.bad = l.tagTokens(open, at, end, closer)
	seg.to, seg.tokens = next, l.tokens[first:len(l.tokens):len(l.tokens)]
	if kind == '%' && len(seg.tokens) == 2 && seg.tokens[0].text == "raw" {
		return l.raw(open, next, end, trim)
	}
	l.segments = append(l.segments, seg)
	return next, trim
}

func (l *lexer) comment(open, at, end int) (next int, trim bool) {
	i := strings.Index(l.text[at:end], "#}")
	if i < 0 {
		l.fail(open, "Comment not closed", "The comment that opens here with {# has no end.", "Write #} after it.")
		return end, false
	}
	return at + i + 2, i > 0 && l.text[at+i-1] == '-'
}

// raw keeps everything up to {% endraw %} as static text.
func (l *lexer) raw(open, at, end int, trimLeft bool) (next int, trim bool) {
	for from := at; ; {
		i := strings.Index(l.text[from:end], "{%")
		if i < 0 {
			l.fail(open, "Block not closed", "The raw block that opens here has no end.", "Write {% endraw %} after it.")
			return end, false
		}
		tag := from + i
		inner := tag + 2
		minus := strings.HasPrefix(l.text[inner:end], "-")
		rest := strings.TrimLeft(strings.TrimLeft(l.text[inner:end], "-+"), " \t\r\n")
		if after, ok := strings.CutPrefix(rest, "endraw"); ok {
			after = strings.TrimLeft(after, " \t\r\n")
			closing := strings.TrimLeft(after, "-+")
			if strings.HasPrefix(closing, "%}") {
				l.static(at, tag, trimLeft, minus)
				return end - len(closing) + 2, strings.HasPrefix(after, "-")
			}
		}
		from = inner
	}
}

// tagTokens reads tokens up to the closing delimiter that stands outside brackets, and appends an end token.
func (l *lexer) tagTokens(open, at, end int, closer string) (next int, trim, bad bool) {
	var brackets []byte
	for {
		for at < end && isBlank(l.text[at]) {
			at++
		}
		rest := l.text[at:end]
		if len(brackets) == 0 {
			edge := 0
			if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
				edge = 1
			}
			if strings.HasPrefix(rest[edge:], closer) {
				l.tokens = append(l.tokens, token{kind: endToken, at: at, text: closer})
				return at + edge + 2, edge == 1 && rest[0] == '-', false
			}
		}
		if rest == "" || nextOpen(rest, 0, min(2, len(rest))) == 0 {
			return l.unclosed(open, end, closer, brackets)
		}
		tok, n, problem := readToken(rest)
		if problem != "" {
			l.fail(at, "Template not understood", problem, "")
			return l.skipTag(at, end, closer)
		}
		tok.at = at
		l.tokens = append(l.tokens, tok)
		if tok.kind == opToken {
			switch tok.text[0] {
			case '(', '[', '{':
				brackets = append(brackets, tok.text[0])
			case ')', ']', '}':
				if len(brackets) == 0 {
					l.fail(at, "Brackets do not match", fmt.Sprintf("%q closes a bracket that is not open.", tok.text), "")
					return l.skipTag(at, end, closer)
				}
				if last := brackets[len(brackets)-1]; last != opening(tok.text[0]) {
					l.fail(at, "Brackets do not match", fmt.Sprintf("%q stands where the %q before it should be closed.", tok.text, string(last)), "")
					return l.skipTag(at, end, closer)
				}
				brackets = brackets[:len(brackets)-1]
			}
		}
		at += n
	}
}

func opening(closing byte) byte {
	switch closing {
	case ')':
		return '('
	case ']':
		return '['
	}
	return '{'
}

// unclosed reports a tag without its end. The text after the tag's first line is read on as if the tag ended there.
func (l *lexer) unclosed(open, end int, closer string, brackets []byte) (next int, trim, bad bool) {
	detail := fmt.Sprintf("The tag that opens here with %s has no %s.", l.text[open:open+2], closer)
	if len(brackets) > 0 {
		detail = fmt.Sprintf("A %q inside the tag that opens here is not closed.", string(brackets[len(brackets)-1]))
	}
	l.fail(open, "Tag not closed", detail, "Write "+closer+" where the tag ends.")
	return l.skipTag(open+2, end, closer)
}

// skipTag goes on after a mistake: behind the next closing delimiter, or else behind the end of the line.
func (l *lexer) skipTag(at, end int, closer string) (next int, trim, bad bool) {
	l.tokens = append(l.tokens, token{kind: endToken, at: at, text: closer})
	rest := l.text[at:end]
	i := strings.Index(rest, closer)
	if j := nextOpen(rest, 0, len(rest)); i >= 0 && i < j {
		return at + i + 2, i > 0 && rest[i-1] == '-', true
	}
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		return at + i, false, true
	}
	return end, false, true
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

// operators, the longer ones first where one begins like another.
var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "|", ".", ",", ":", "(", ")", "[", "]", "{", "}", "=", "<", ">"}

// readToken reads the token at the head of s, its length in bytes, or says what is wrong.
func readToken(s string) (tok token, n int, problem string) {
	c := s[0]
	switch {
	case c == '\'' || c == '"':
		return readString(s)
	case '0' <= c && c <= '9':
		v, n, problem := value.ReadNumber(s)
		if problem != "" {
			return tok, 0, problem
		}
		return token{kind: constToken, text: s[:n], val: v}, n, ""
	}
	for n < len(s) && (s[n] == '_' || 'a' <= s[n]|0x20 && s[n]|0x20 <= 'z' || n > 0 && '0' <= s[n] && s[n] <= '9') {
		n++
	}
	for n < len(s) && s[n] >= utf8.RuneSelf {
		r, size := utf8.DecodeRuneInString(s[n:])
		if !unicode.IsLetter(r) && (n == 0 || !unicode.IsDigit(r)) {
			break
		}
		n += size
		for n < len(s) && (s[n] == '_' || 'a' <= s[n]|0x20 && s[n]|0x20 <= 'z' || '0' <= s[n] && s[n] <= '9') {
			n++
		}
	}
	if n > 0 {
		return token{kind: nameToken, text: s[:n]}, n, ""
	}
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return token{kind: opToken, text: op}, len(op), ""
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	switch r {
	case '&':
		return tok, 0, "\"&\" is not an operator of templates; write and."
	case '!':
		return tok, 0, "\"!\" is not an operator of templates; write not, or != to compare."
	}
	return tok, 0, fmt.Sprintf("%q has no meaning inside a tag.", string(r))
}

// readString reads a string constant with Python's escapes.
func readString(s string) (tok token, n int, problem string) {
	quote := s[0]
	for n = 1; n < len(s) && s[n] != quote; n++ {
		if s[n] == '\\' {
			n++
		}
	}
	if n >= len(s) {
		return tok, 0, "The string that opens here is not closed."
	}
	return token{kind: constToken, text: s[:n+1], val: starlark.String(unescape(s[1:n]))}, n + 1, ""
}

var simpleEscapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': `"`, '\n': "",
	'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '0': "\x00"}

// unescape replaces Python's backslash escapes; one that Python does not know stays as written.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		digits := 0
		switch s[i] {
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		}
		if digits > 0 && i+digits < len(s) {
			if r, err := strconv.ParseUint(s[i+1:i+1+digits], 16, 32); err == nil && r <= unicode.MaxRune {
				b.WriteRune(rune(r))
				i += digits
				continue
			}
		}
		if e, ok := simpleEscapes[s[i]]; ok {
			b.WriteString(e)
		} else {
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
