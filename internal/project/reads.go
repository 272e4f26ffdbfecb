package project

import (
	"fmt"
	"strings"

	"damson/internal/project/declare"
	"damson/internal/sqltext"
)

// tableRead is a place of a SQL file that reads a table: a name with its schema after FROM, JOIN, USING or a comma.
type tableRead struct {
	table  string // as tableKey writes it
	offset int
}

// tableReads finds the tables that the SQL of a template reads, outside of what Jinja computes, strings and comments. It
// reads words, not grammar: a name without schema, which may be that of a CTE, is not taken, and neither is a table that a
// statement deletes from.
func tableReads(text string) []tableRead {
	sql := withoutJinja(text)
	var reads []tableRead
	var before, last string // the two latest words or signs, in lower case
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if !tok.Significant() {
			continue
		}
		if end := nameEnd(sql, tok); end > 0 && readsAfter(before, last) && !strings.HasPrefix(sql[end:], "(") {
			reads = append(reads, tableRead{tableKey(sql[tok.From:end]), tok.From})
			at = end
		}
		before, last = last, strings.ToLower(sql[tok.From:tok.To])
	}
	return reads
}

// readsAfter reports whether a name that follows these two words is that of a table to read.
func readsAfter(before, last string) bool {
	switch last {
	case "from":
		return before != "delete"
	case "join", "using", ",":
		return true
	}
	return false
}

// nameEnd gives where the name schema.table ends that begins with the token; 0 when there is none of just two parts.
func nameEnd(sql string, tok sqltext.Token) int {
	parts := 0
	for isName(tok) {
		parts++
		if tok.To == len(sql) || sql[tok.To] != '.' {
			break
		}
		if tok.To+1 == len(sql) {
			return 0
		}
		tok = sqltext.Next(sql, tok.To+1)
		if !isName(tok) {
			return 0
		}
	}
	if parts != 2 {
		return 0
	}
	return tok.To
}

func isName(tok sqltext.Token) bool {
	return tok.Kind == sqltext.Word || tok.Kind == sqltext.QuotedName
}

// withoutJinja puts blanks in the place of expressions, statements and comments of Jinja, so that every other byte stays
// where it is.
func withoutJinja(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	out := []byte(text)
	for from := 0; ; {
		start := strings.IndexByte(text[from:], '{')
		if start < 0 || from+start+1 >= len(text) {
			return string(out)
		}
		start += from
		closing := map[byte]string{'{': "}}", '%': "%}", '#': "#}"}[text[start+1]]
		if closing == "" {
			from = start + 1
			continue
		}
		end := len(text)
		if n := strings.Index(text[start+2:], closing); n >= 0 {
			end = start + 2 + n + 2
		}
		for i := start; i < end; i++ {
			out[i] = ' '
		}
		from = end
	}
}

// checkReads warns of tasks that read a table which a task of the same pipeline writes without being ordered before. A
// task that writes the table itself reads what was there, and so does one with depends_on_past.
func (l *loader) checkReads(d *declare.Pipeline) {
	makers := map[string][]*declare.Task{}
	for _, t := range d.Tasks {
		if into := t.Task.Into(); strings.Contains(into, ".") {
			makers[tableKey(into)] = append(makers[tableKey(into)], t)
		}
	}
	for _, t := range d.Tasks {
		if t.Task.DependsOnPast {
			continue
		}
		for _, f := range l.templates.uses(t.Task) {
			said := map[string]bool{}
			for _, r := range f.reads {
				if len(makers[r.table]) > 0 && !said[r.table] {
					said[r.table] = true
					l.checkRead(t, makers[r.table], sqltext.NewSource(f.Path, f.Text), r)
				}
			}
		}
	}
}

// checkRead judges one read of a table that the makers write. One of them before the reader is enough: the others may add
// to the table later.
func (l *loader) checkRead(reader *declare.Task, makers []*declare.Task, src *sqltext.Source, r tableRead) {
	for _, m := range makers {
		if m == reader || reader.WaitsFor(m, map[*declare.Task]bool{}) {
			return
		}
	}
	maker := makers[0]
	fix := fmt.Sprintf("%s >> %s", maker.Task.Name, reader.Task.Name)
	if maker.WaitsFor(reader, map[*declare.Task]bool{}) {
		fix = fmt.Sprintf("Turn their order around: %s >> %s. If the rows of the run before are meant, set depends_on_past = True on %s.",
			maker.Task.Name, reader.Task.Name, reader.Task.Name)
	}
	l.warn(src.Pos(r.offset), "Reads a table before it is written", fix, "Task %s reads %s, which task %s writes, but does not run after it.",
		reader.Task.Name, maker.Task.Into(), maker.Task.Name)
}
