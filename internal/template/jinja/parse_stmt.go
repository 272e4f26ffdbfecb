package jinja

import (
	"fmt"
	"strings"

	"damson/internal/diag"
)

// parser reads the statements of one file, one tag after the other.
type parser struct {
	*lexer
	home *File
	seg  int // index of the next segment

	// The tag being read.
	toks  []token
	i     int
	quiet bool // a mistake in this tag is recorded
	nodes int

	depth   int
	open    []block // the blocks around the current tag, outermost first
	aborted bool    // blocks nest too deep: the rest was not read
}

// block is an open {% … %} that waits for its end.
type block struct {
	name string
	at   int
	ends []string // the tags that end this part of it
}

// parse gives the statements of a file; findings are in p.
func (p *parser) parse() []Stmt {
	p.run()
	body, _ := p.statements()
	return body
}

// statements reads up to a tag that ends the innermost open block, or to the end of the file. The tag's keyword is
// returned, and the parser stands behind it, inside that tag.
func (p *parser) statements() (body []Stmt, end string) {
	for p.seg < len(p.segments) {
		s := p.segments[p.seg]
		p.seg++
		if s.kind == textSegment {
			body = append(body, &TextStmt{From: s.from, To: s.to})
			continue
		}
		p.toks, p.i, p.quiet, p.nodes = s.tokens, 0, s.bad, 0
		if s.kind == outputSegment {
			body = append(body, &OutputStmt{At: s.from, X: p.tuple()})
			p.endTag()
			continue
		}
		word := p.peek()
		if word.kind != nameToken {
			p.unexpected("the name of a statement")
			continue
		}
		p.i++
		if closes, outer := p.closes(word.text); closes {
			return body, word.text
		} else if outer {
			p.seg--
			return body, ""
		}
		if st := p.statement(word); st != nil {
			body = append(body, st)
		}
	}
	return body, ""
}

// closes reports whether a keyword ends the innermost block or, if not, one further out.
func (p *parser) closes(word string) (inner, outer bool) {
	for i := len(p.open) - 1; i >= 0; i-- {
		for _, end := range p.open[i].ends {
			if end == word {
				return i == len(p.open)-1, true
			}
		}
	}
	return false, false
}

// endTag reports what is left over before the end of the tag.
func (p *parser) endTag() {
	if t := p.peek(); t.kind != endToken {
		p.unexpected(fmt.Sprintf("%q", p.toks[len(p.toks)-1].text))
	}
}

// within reads the part of a block up to one of the tags that may end it, and gives that tag's keyword.
func (p *parser) within(word token, ends ...string) (body []Stmt, end string) {
	if !p.enter() {
		p.leave()
		p.seg, p.aborted = len(p.segments), true
		return nil, ""
	}
	defer p.leave()
	p.open = append(p.open, block{name: word.text, at: word.at, ends: ends})
	body, end = p.statements()
	p.open = p.open[:len(p.open)-1]
	if end == "" && !p.aborted {
		last := ends[len(ends)-1]
		p.lexer.fail(word.at, "Block not closed", fmt.Sprintf("The %s block that opens here has no {%% %s %%}.", word.text, last),
			fmt.Sprintf("Write {%% %s %%} after it.", last))
	}
	return body, end
}

var statementNames = []string{"call", "do", "filter", "for", "from", "if", "import", "include", "macro", "raw", "set", "with"}

// refused are Jinja's statements that SQL templates do without.
var refused = map[string]string{
	"extends":    "Templates do not inherit from one another: use a macro or include.",
	"block":      "Templates do not inherit from one another: use a macro or include.",
	"autoescape": "Nothing is escaped in SQL templates: the literal filter quotes a value.",
	"trans":      "Templates are not translated.",
	"break":      "Loops have no break: filter the loop, {% for x in rows if … %}.",
	"continue":   "Loops have no continue: filter the loop, {% for x in rows if … %}.",
}

func (p *parser) statement(word token) Stmt {
	switch word.text {
	case "if":
		return p.ifStatement(word)
	case "for":
		return p.forStatement(word)
	case "set":
		return p.setStatement(word)
	case "macro":
		return p.macroStatement(word)
	case "call":
		return p.callStatement(word)
	case "filter":
		return p.filterStatement(word)
	case "include":
		return p.includeStatement(word)
	case "import":
		return p.importStatement(word)
	case "from":
		return p.fromStatement(word)
	case "with":
		return p.withStatement(word)
	case "do":
		s := &DoStmt{X: p.tuple()}
		p.endTag()
		return s
	}
	p.unknownStatement(word)
	return nil
}

func (p *parser) unknownStatement(word token) {
	why := refused[word.text]
	switch {
	case why != "":
		p.fail(word.at, "Statement not supported", fmt.Sprintf("%q: %s", word.text, why), "")
	case word.text == "endraw":
		p.fail(word.at, "Unexpected end", "No raw block is open here.", "")
	case strings.HasPrefix(word.text, "end"), word.text == "else", word.text == "elif":
		detail := fmt.Sprintf("Nothing that %q could end is open here.", word.text)
		if n := len(p.open); n > 0 {
			b := p.open[n-1]
			at := p.src.Pos(b.at)
			detail = fmt.Sprintf("%q stands inside the %s block of line %d, which ends with %s.", word.text, b.name, at.Line, strings.Join(b.ends, " or "))
		}
		p.fail(word.at, "Unexpected end", detail, "")
	default:
		p.fail(word.at, "Unknown statement", fmt.Sprintf("%q is not a statement of templates.", word.text), diag.DidYouMean(word.text, statementNames))
	}
}

func (p *parser) ifStatement(word token) Stmt {
	s := &IfStmt{}
	end := "elif"
	for end == "elif" {
		b := IfBranch{Cond: p.tuple()}
		p.endTag()
		b.Body, end = p.within(word, "elif", "else", "endif")
		s.Branches = append(s.Branches, b)
	}
	if end == "else" {
		p.endTag()
		s.OrElse, end = p.within(word, "endif")
	}
	if end != "" {
		p.endTag()
	}
	return s
}

func (p *parser) forStatement(word token) Stmt {
	s := &ForStmt{At: word.at, Target: p.targets()}
	if !p.takeName("in") {
		p.unexpected(`"in" after the loop's variable`)
	}
	at := p.peek().at
	s.Iter = p.or()
	if p.isOp(",") {
		items := []Expr{s.Iter}
		for p.takeOp(",") && p.startsExpr() {
			items = append(items, p.or())
		}
		s.Iter = &TupleExpr{At: at, Items: items}
	}
	if p.takeName("if") {
		s.Filter = p.expr()
	}
	if t := p.peek(); p.takeName("recursive") {
		p.fail(t.at, "Statement not supported", "A recursive loop is not part of SQL templates.", "Use a macro that calls itself.")
	}
	p.endTag()
	var end string
	s.Body, end = p.within(word, "else", "endfor")
	if end == "else" {
		p.endTag()
		s.OrElse, end = p.within(word, "endfor")
	}
	if end != "" {
		p.endTag()
	}
	return s
}

// targets reads what a value is bound to: a name, or several with commas, with or without parentheses.
func (p *parser) targets() Target {
	first := p.target()
	if !p.isOp(",") {
		return first
	}
	all := Target{At: first.At, Parts: []Target{first}}
	for p.takeOp(",") && p.peek().kind != endToken && !p.isName("in") && !p.isOp("=") && !p.isOp(")") {
		all.Parts = append(all.Parts, p.target())
	}
	return all
}

func (p *parser) target() Target {
	t := p.peek()
	if p.takeOp("(") {
		if !p.enter() {
			p.leave()
			return Target{At: t.at}
		}
		defer p.leave()
		inner := p.targets()
		p.wantOp(")", "after the names")
		if inner.Parts == nil {
			return inner
		}
		inner.At = t.at
		return inner
	}
	if t.kind != nameToken {
		p.unexpected("a name")
		return Target{At: t.at}
	}
	switch t.text {
	case "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else":
		p.unexpected("a name that is not a word of the language")
		return Target{At: t.at}
	}
	p.i++
	return Target{At: t.at, Name: t.text}
}

func (p *parser) setStatement(word token) Stmt {
	to := p.targets()
	if p.takeOp(".") {
		attr := p.peek()
		if attr.kind != nameToken || to.Name == "" {
			p.unexpected("the name of an attribute")
		}
		to.Attr = attr.text
		p.next()
	}
	if p.takeOp("=") {
		s := &SetStmt{Target: to, Value: p.tuple()}
		p.endTag()
		return s
	}
	s := &SetBlockStmt{At: word.at, Target: to, Filters: p.filterChain()}
	if p.peek().kind != endToken {
		p.unexpected(`"=" or the end of the tag`)
	}
	if p.quiet { // whether a block was meant is not known: do not ask for its end
		return nil
	}
	var end string
	if s.Body, end = p.within(word, "endset"); end != "" {
		p.endTag()
	}
	return s
}

// filterChain reads "| filter | filter" without a value in front.
func (p *parser) filterChain() []*FilterExpr {
	var chain []*FilterExpr
	for p.takeOp("|") {
		chain = append(chain, p.filter(nil))
	}
	return chain
}

func (p *parser) filterStatement(word token) Stmt {
	s := &FilterStmt{At: word.at}
	s.Filters = append([]*FilterExpr{p.filter(nil)}, p.filterChain()...)
	p.endTag()
	var end string
	if s.Body, end = p.within(word, "endfilter"); end != "" {
		p.endTag()
	}
	return s
}

func (p *parser) macroStatement(word token) Stmt {
	name := p.target()
	def := &MacroDef{Name: name.Name, At: name.At, Src: p.src, Home: p.home}
	p.wantOp("(", "after the macro's name")
	def.Params = p.params()
	p.endTag()
	p.macroBody(def, word, "endmacro")
	return &MacroStmt{Def: def}
}

// params reads a macro's parameters after the opening parenthesis.
func (p *parser) params() []MacroParam {
	var params []MacroParam
	for !p.takeOp(")") {
		if p.peek().kind == endToken {
			p.unexpected(`")" after the parameters`)
			return params
		}
		t := p.target()
		param := MacroParam{Name: t.Name, At: t.At}
		if p.takeOp("=") {
			param.DefaultValue = p.expr()
		} else if n := len(params); n > 0 && params[n-1].DefaultValue != nil {
			p.fail(t.At, "Template not understood", fmt.Sprintf("The parameter %q without a default stands after one with a default.", t.Name), "")
		}
		for _, other := range params {
			if other.Name == t.Name {
				p.fail(t.At, "Parameter declared twice", fmt.Sprintf("%q is already a parameter.", t.Name), "")
			}
		}
		params = append(params, param)
		if !p.isOp(")") {
			p.wantOp(",", "between the parameters")
		}
	}
	return params
}

// macroBody reads a macro up to its end.
func (p *parser) macroBody(def *MacroDef, word token, ends string) {
	var end string
	if def.Body, end = p.within(word, ends); end != "" {
		p.endTag()
	}
	p.home.MacroDefs = append(p.home.MacroDefs, def)
}

func (p *parser) callStatement(word token) Stmt {
	s := &CallStmt{At: word.at, Caller: &MacroDef{Name: "caller", At: word.at, Src: p.src, Home: p.home}}
	if p.takeOp("(") {
		s.Caller.Params = p.params()
	}
	t := p.peek()
	call, ok := p.expr().(*CallExpr)
	if !ok {
		p.fail(t.at, "Template not understood", "A call block calls a macro, for example {% call wrap(2) %}.", "")
		call = &CallExpr{At: t.at, Fn: p.bad()}
	}
	s.Call = call
	p.endTag()
	p.macroBody(s.Caller, word, "endcall")
	return s
}

func (p *parser) includeStatement(word token) Stmt {
	s := &IncludeStmt{At: word.at, File: p.expr()}
	if p.takeName("ignore") {
		if !p.takeName("missing") {
			p.unexpected(`"missing" after "ignore"`)
		}
		s.IgnoreMissing = true
	}
	s.Alone = p.withContext()
	p.endTag()
	return s
}

// withContext reads "with context" or "without context" and reports the latter.
func (p *parser) withContext() (without bool) {
	t := p.peek()
	if p.isName("with") || p.isName("without") {
		p.i++
		if !p.takeName("context") {
			p.unexpected(fmt.Sprintf(`"context" after %q`, t.text))
		}
		return t.text == "without"
	}
	return false
}

func (p *parser) importStatement(word token) Stmt {
	s := &ImportStmt{At: word.at, File: p.expr()}
	if !p.takeName("as") {
		p.unexpected(`"as" and a name after the file`)
	}
	s.As = p.target().Name
	p.withContext()
	p.endTag()
	return s
}

func (p *parser) fromStatement(word token) Stmt {
	s := &FromStmt{At: word.at, File: p.expr()}
	if !p.takeName("import") {
		p.unexpected(`"import" after the file`)
	}
	for p.peek().kind == nameToken {
		if p.isName("with") || p.isName("without") {
			break
		}
		t := p.target()
		n := ImportName{At: t.At, Name: t.Name, As: t.Name}
		if p.takeName("as") {
			n.As = p.target().Name
		}
		s.Names = append(s.Names, n)
		if !p.takeOp(",") {
			break
		}
	}
	if len(s.Names) == 0 {
		p.unexpected("the name of a macro")
	}
	p.withContext()
	p.endTag()
	return s
}

func (p *parser) withStatement(word token) Stmt {
	s := &WithStmt{}
	for p.peek().kind == nameToken {
		s.Names = append(s.Names, p.target())
		p.wantOp("=", "after the name")
		s.Values = append(s.Values, p.expr())
		if !p.takeOp(",") {
			break
		}
	}
	p.endTag()
	var end string
	if s.Body, end = p.within(word, "endwith"); end != "" {
		p.endTag()
	}
	return s
}
