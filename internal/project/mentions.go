package project

import (
	"strings"

	"damson/internal/sqltext"
)

// mention is a place of a SQL file that names a column.
type mention struct {
	column   string // in lower case, without its table
	offset   int
	clause   string // "WHERE", "ON", "HAVING", "QUALIFY", "CASE": what depends on it; "" = nothing
	nullTest bool   // it is only asked whether there is a value
	item     int    // the column of a SELECT that it takes part in, -1 = none
}

// mentions are the columns that a SQL file names, and what it calls the columns of its SELECTs: "" without AS.
type mentions struct {
	all     []mention
	aliases []string // by item
}

// notColumns are words that stand where columns do.
var notColumns = func() map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(`all and any array as asc between bigint boolean both by case cast char character cross current_date current_timestamp
		date day decimal desc distinct double else end escape except exists extract false filter first float float4 float8 following for from full
		group having hour ilike in inner int integer intersect interval into is join last lateral left like limit minute month natural not null
		nulls numeric offset on or order outer over partition preceding precision qualify range real recursive right row rows second select
		similar smallint some table text then time timestamp to true unbounded union using values varchar varying when where window with within year zone`) {
		words[w] = true
	}
	return words
}()

// readMentions reads words, not grammar, outside of what Jinja computes, strings and comments.
func readMentions(text string) mentions {
	sql := withoutJinja(text)
	var tokens []sqltext.Token
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if tok.Significant() {
			tokens = append(tokens, tok)
		}
	}
	r := &mentionReader{sql: sql, tokens: tokens, frames: []frame{{item: -1, outer: -1}}}
	for i := range tokens {
		r.read(i)
	}
	return r.found
}

// mentionReader goes through the words of a file.
type mentionReader struct {
	sql    string
	tokens []sqltext.Token
	frames []frame // one for each open parenthesis, and the file's own
	found  mentions
}

// frame is what is known between two parentheses.
type frame struct {
	clause  string
	selects bool // it has a SELECT of its own, and is between its SELECT and FROM
	item    int
	outer   int // the item that the parenthesis stands in
	cases   int // CASE without END
}

// word gives token i in lower case, a quoted name without its quotes; "" past the ends.
func (r *mentionReader) word(i int) string {
	if i < 0 || i >= len(r.tokens) {
		return ""
	}
	tok := r.tokens[i]
	text := r.sql[tok.From:tok.To]
	if tok.Kind == sqltext.QuotedName && len(text) > 1 {
		text = strings.ReplaceAll(text[1:len(text)-1], `""`, `"`)
	}
	return strings.ToLower(text)
}

func (r *mentionReader) read(i int) {
	f := &r.frames[len(r.frames)-1]
	if tok := r.tokens[i]; tok.Kind == sqltext.QuotedName {
		r.name(i)
		return
	}
	switch word := r.word(i); word {
	case "(":
		own := frame{clause: f.clause, item: f.item, outer: f.item}
		if f.cases > 0 {
			own.clause = "CASE"
		}
		r.frames = append(r.frames, own)
	case ")":
		if len(r.frames) > 1 {
			r.frames = r.frames[:len(r.frames)-1]
		}
	case ";":
		r.frames = []frame{{item: -1, outer: -1}}
	case ",":
		if f.selects {
			f.item = r.newItem()
		}
	case "select":
		*f = frame{selects: true, item: r.newItem(), outer: f.outer}
	case "from", "group", "order", "window", "limit", "union", "intersect", "except", "join":
		if word != "from" || f.selects || f.clause != "" { // extract(year from …) is none
			f.clause, f.selects, f.item = "", false, f.outer
		}
	case "where", "on", "having", "qualify":
		f.clause, f.selects, f.item = strings.ToUpper(word), false, f.outer
	case "case":
		f.cases++
	case "end":
		f.cases = max(f.cases-1, 0)
	case "as":
		if f.selects && f.cases == 0 {
			r.found.aliases[f.item] = r.word(i + 1)
		}
	default:
		r.name(i)
	}
}

func (r *mentionReader) newItem() int {
	r.found.aliases = append(r.found.aliases, "")
	return len(r.found.aliases) - 1
}

// name notes token i when it is the name of a column.
func (r *mentionReader) name(i int) {
	tok, f := r.tokens[i], &r.frames[len(r.frames)-1]
	word, next, before := r.word(i), r.word(i+1), r.word(i-1)
	switch {
	case !isName(tok), tok.Kind == sqltext.Word && notColumns[word]:
	case next == "." || next == "(" && tok.Kind == sqltext.Word: // a table, or a function
	case before == "as" || before == ":": // a new name, or a type
	default:
		m := mention{column: word, offset: tok.From, clause: f.clause, item: f.item}
		if f.cases > 0 {
			m.clause = "CASE"
		}
		m.nullTest = next == "is" && (r.word(i+2) == "null" || r.word(i+2) == "not" && r.word(i+3) == "null")
		r.found.all = append(r.found.all, m)
	}
}
