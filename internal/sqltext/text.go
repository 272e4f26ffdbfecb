// Package sqltext holds SQL that knows where it came from. Its central type is Text: SQL whose every byte leads back to a
// line and column of the file it was written in, through templates, loops, includes and macros. Text can be cut into
// statements and pieces, and put together again, without losing the way back.
//
// The package reads tokens, as the databases' own lexers do; it does not parse SQL and knows no dialect's grammar.
//
// Invariants:
//  1. A Text never changes. Pieces share the memory of the whole.
//  2. Offsets are bytes; columns are characters.
//  3. Split loses only blanks, comments and the semicolons between statements.
package sqltext

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"damson/internal/diag"
)

// Source is the text of one file, in which an offset is a line and a column.
type Source struct {
	file string
	text string
}

// NewSource gives the source for a file's text.
func NewSource(file, text string) *Source { return &Source{file: file, text: text} }

// File is the name the source was made with.
func (s *Source) File() string { return s.file }

// Text is the whole text of the file.
func (s *Source) Text() string { return s.text }

// Pos gives the line and column of a byte of the file; an offset outside the text counts as its nearest end.
func (s *Source) Pos(offset int) diag.Pos {
	offset = max(0, min(offset, len(s.text)))
	before := s.text[:offset]
	lineStart := strings.LastIndexByte(before, '\n') + 1
	return diag.Pos{
		File: s.file,
		Line: strings.Count(before, "\n") + 1,
		Col:  utf8.RuneCountInString(before[lineStart:]) + 1,
	}
}

// Text is SQL together with the places its parts came from. The zero Text is empty SQL from nowhere.
type Text struct {
	whole    string // this text and what it was cut from
	from, to int    // this text is whole[from:to]
	marks    []mark // ordered by offset in whole
	calls    []call // that marks name by their number
}

// mark says where the bytes of a Text from one offset on came from, up to the next mark.
type mark struct {
	offset int
	source *Source // nil: from no file
	at     int     // in source
	copied bool    // the bytes stand in source one after the other; else all of them came from the place at
	by     int32   // number of the call that wrote the bytes, from 1; 0: none
}

// call is a place from which another file's text was asked for: a macro called or a file included.
type call struct {
	source *Source
	at     int
	by     int32 // the call around it
}

// Plain gives the SQL of a file as it stands: every line is that file's line.
func Plain(file, sql string) Text {
	return Text{whole: sql, to: len(sql), marks: []mark{{source: NewSource(file, sql), copied: true}}}
}

// Asked gives SQL that a declaration asked for, such as the SELECT that stands for a table: all of it leads back to that place.
func Asked(at diag.Pos, sql string) Text {
	before := strings.Repeat("\n", max(at.Line-1, 0)) + strings.Repeat(" ", max(at.Col-1, 0))
	var b Builder
	b.Generate(sql, NewSource(at.File, before), len(before))
	return b.Text()
}

// SQL is the text itself.
func (t Text) SQL() string { return t.whole[t.from:t.to] }

// Pos gives the place that the byte at offset in SQL() came from; an offset outside counts as the nearest end. It is the
// zero Pos for a text that came from no file.
func (t Text) Pos(offset int) diag.Pos {
	at := t.from + max(0, min(offset, t.to-t.from))
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].offset > at }) - 1
	if i < 0 || t.marks[i].source == nil {
		return diag.Pos{}
	}
	m := t.marks[i]
	if !m.copied {
		return m.source.Pos(m.at)
	}
	return m.source.Pos(m.at + at - m.offset)
}

// Callers gives the places that had the byte at offset written by a macro or an included file, the nearest first; none for
// a byte that stands in its own file.
func (t Text) Callers(offset int) []diag.Pos {
	at := t.from + max(0, min(offset, t.to-t.from))
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].offset > at }) - 1
	if i < 0 {
		return nil
	}
	var places []diag.Pos
	for by := t.marks[i].by; by > 0; by = t.calls[by-1].by {
		c := t.calls[by-1]
		places = append(places, c.source.Pos(c.at))
	}
	return places
}

// Slice gives the bytes [from, to) of SQL(), which still know where they came from. Bounds outside count as the ends.
func (t Text) Slice(from, to int) Text {
	n := t.to - t.from
	from = max(0, min(from, n))
	to = max(from, min(to, n))
	return Text{whole: t.whole, from: t.from + from, to: t.from + to, marks: t.marks, calls: t.calls}
}

// Builder puts a Text together from pieces. The zero Builder is ready for use.
type Builder struct {
	sql   strings.Builder
	marks []mark
	calls []call
	by    int32 // the call that is under way
}

// Len is the number of bytes written so far.
func (b *Builder) Len() int { return b.sql.Len() }

// String is the SQL written so far, without the places.
func (b *Builder) String() string { return b.sql.String() }

// Enter says that what is written from here on was asked for at the given offset of a source, until the matching Leave.
func (b *Builder) Enter(s *Source, at int) {
	b.calls = append(b.calls, call{source: s, at: at, by: b.by})
	b.by = int32(len(b.calls))
}

// Leave ends what Enter began.
func (b *Builder) Leave() { b.by = b.calls[b.by-1].by }

// Copy writes the bytes [from, to) of a source; each keeps its own place.
func (b *Builder) Copy(s *Source, from, to int) {
	if from < to {
		b.marks = append(b.marks, mark{offset: b.sql.Len(), source: s, at: from, copied: true, by: b.by})
		b.sql.WriteString(s.text[from:to])
	}
}

// Generate writes text that the source's piece at the given offset produced: all of it leads back to that one place.
func (b *Builder) Generate(text string, s *Source, at int) {
	if text != "" {
		b.marks = append(b.marks, mark{offset: b.sql.Len(), source: s, at: at, by: b.by})
		b.sql.WriteString(text)
	}
}

// Add writes text that no file holds, such as the INSERT around a user's SELECT.
func (b *Builder) Add(text string) {
	if text != "" {
		b.marks = append(b.marks, mark{offset: b.sql.Len()})
		b.sql.WriteString(text)
	}
}

// Append writes another Text with its places.
func (b *Builder) Append(t Text) {
	if t.from == t.to {
		return
	}
	shift, before := b.sql.Len()-t.from, int32(len(b.calls))
	for _, c := range t.calls {
		c.by = b.around(c.by, before)
		b.calls = append(b.calls, c)
	}
	first := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].offset > t.from }) - 1
	for i := max(first, 0); i < len(t.marks) && t.marks[i].offset < t.to; i++ {
		m := t.marks[i]
		if skip := t.from - m.offset; skip > 0 {
			m.offset = t.from
			if m.copied {
				m.at += skip
			}
		}
		m.offset += shift
		m.by = b.around(m.by, before)
		b.marks = append(b.marks, m)
	}
	b.sql.WriteString(t.SQL())
}

// around renumbers a call of a text that is appended behind so many others; what no call wrote belongs to the one under way.
func (b *Builder) around(by, before int32) int32 {
	if by == 0 {
		return b.by
	}
	return by + before
}

// Text gives what was written. The builder may be written to further without changing it.
func (b *Builder) Text() Text {
	sql := b.sql.String()
	return Text{whole: sql, to: len(sql), marks: b.marks[:len(b.marks):len(b.marks)], calls: b.calls[:len(b.calls):len(b.calls)]}
}

// Grow makes room for a text of about so many bytes in so many pieces.
func (b *Builder) Grow(bytes, pieces int) {
	b.sql.Grow(bytes)
	b.marks = slices.Grow(b.marks, pieces)
}
