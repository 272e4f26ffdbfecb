package jinja

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// The grammar is Jinja's, loosest first:
//
//	tuple    = cond {"," cond}
//	cond     = or ["if" or ["else" cond]]
//	or       = and {"or" and}
//	and      = not {"and" not}
//	not      = "not" not | compare
//	compare  = sum {("==" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "in") sum}
//	sum      = concat {("+" | "-") concat}
//	concat   = product {"~" product}
//	product  = power {("*" | "/" | "//" | "%") power}
//	power    = unary {"**" unary}
//	unary    = ("-" | "+") unary | postfix {"|" filter | "is" ["not"] test}
//	postfix  = primary {"." name | "[" index "]" | "(" args ")"}
//
// A mistake empties the rest of the tag: every rule then sees its end and returns, and only the first is recorded.

const (
	maxDepth = 200  // nesting of brackets and blocks
	maxNodes = 5000 // of one tag; a chain of operators nests as deep as it is long
)

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != endToken {
		p.i++
	}
	return t
}

// fail records a mistake and skips to the end of the tag.
func (p *parser) fail(at int, summary, detail, fix string) {
	if !p.quiet {
		p.lexer.fail(at, summary, detail, fix)
	}
	p.quiet = true
	p.i = len(p.toks) - 1
}

func (p *parser) isOp(text string) bool {
	t := p.toks[p.i]
	return t.kind == opToken && t.text == text
}

func (p *parser) isName(text string) bool {
	t := p.toks[p.i]
	return t.kind == nameToken && t.text == text
}

func (p *parser) takeOp(text string) bool {
	if p.isOp(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) takeName(text string) bool {
	if p.isName(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) wantOp(text, where string) {
	if !p.takeOp(text) {
		p.unexpected(fmt.Sprintf("%q %s", text, where))
	}
}

// unexpected reports the token that stands where something else should.
func (p *parser) unexpected(wanted string) {
	t := p.peek()
	found := fmt.Sprintf("%q", t.text)
	if t.kind == endToken {
		found = "the end of the tag"
	}
	p.fail(t.at, "Template not understood", fmt.Sprintf("Expected %s, found %s.", wanted, found), "")
}

// enter bounds recursion; it reports false, with a finding, when the limit is reached.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail(p.peek().at, "Template nests too deep", fmt.Sprintf("More than %d levels of brackets or blocks.", maxDepth), "Take a part of it into a macro.")
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

// count bounds the size of one tag's expressions.
func (p *parser) count() {
	p.nodes++
	if p.nodes > maxNodes {
		p.fail(p.peek().at, "Expression too long", fmt.Sprintf("One tag holds more than %d operators and values.", maxNodes), "Use a loop or a list.")
	}
}

// bad stands for an expression that could not be read.
func (p *parser) bad() Expr { return &ConstExpr{At: p.peek().at, Value: starlark.None} }

// tuple reads one expression, or several with commas as a tuple.
func (p *parser) tuple() Expr {
	at := p.peek().at
	first := p.expr()
	if !p.isOp(",") {
		return first
	}
	items := []Expr{first}
	for p.takeOp(",") && p.startsExpr() {
		items = append(items, p.expr())
	}
	return &TupleExpr{At: at, Items: items}
}

func (p *parser) startsExpr() bool {
	t := p.peek()
	switch t.kind {
	case constToken:
		return true
	case nameToken:
		return t.text != "in" && t.text != "if" && t.text != "else" && t.text != "recursive"
	case opToken:
		return strings.Contains("([{+-", t.text)
	}
	return false
}

func (p *parser) expr() Expr {
	if !p.enter() {
		p.leave()
		return p.bad()
	}
	defer p.leave()
	x := p.or()
	for p.isName("if") {
		at := p.next().at
		c := &CondExpr{At: at, Yes: x, Cond: p.or()}
		if p.takeName("else") {
			c.No = p.expr()
		}
		p.count()
		x = c
	}
	return x
}

func (p *parser) or() Expr {
	x := p.and()
	for p.isName("or") {
		at := p.next().at
		x = &BoolExpr{At: at, Or: true, X: x, Y: p.and()}
		p.count()
	}
	return x
}

func (p *parser) and() Expr {
	x := p.not()
	for p.isName("and") {
		at := p.next().at
		x = &BoolExpr{At: at, X: x, Y: p.not()}
		p.count()
	}
	return x
}

func (p *parser) not() Expr {
	if !p.isName("not") {
		return p.compare()
	}
	if !p.enter() {
		p.leave()
		return p.bad()
	}
	defer p.leave()
	at := p.next().at
	return &NotExpr{At: at, X: p.not()}
}

var comparisons = map[string]syntax.Token{"==": syntax.EQL, "!=": syntax.NEQ, "<": syntax.LT, "<=": syntax.LE, ">": syntax.GT, ">=": syntax.GE}

func (p *parser) compare() Expr {
	x := p.sum()
	var rest []Comparison
	for {
		t := p.peek()
		c := Comparison{At: t.at, Text: t.text}
		switch {
		case t.kind == opToken && comparisons[t.text] != 0:
			c.Op = comparisons[t.text]
			p.i++
		case p.isName("in"):
			c.Op = syntax.IN
			p.i++
		case p.isName("not") && p.toks[p.i+1].kind == nameToken && p.toks[p.i+1].text == "in":
			c.Op, c.Text = syntax.NOT_IN, "not in"
			p.i += 2
		default:
			if rest == nil {
				return x
			}
			return &CompareExpr{At: x.Pos(), First: x, Rest: rest}
		}
		c.Y = p.sum()
		p.count()
		rest = append(rest, c)
	}
}

var (
	sums     = map[string]syntax.Token{"+": syntax.PLUS, "-": syntax.MINUS}
	products = map[string]syntax.Token{"*": syntax.STAR, "/": syntax.SLASH, "//": syntax.SLASHSLASH, "%": syntax.PERCENT}
	powers   = map[string]syntax.Token{"**": syntax.STARSTAR}
)

// binary reads operands joined by operators of one rank, from left to right.
func (p *parser) binary(ops map[string]syntax.Token, operand func() Expr) Expr {
	x := operand()
	for {
		t := p.peek()
		if t.kind != opToken || ops[t.text] == 0 {
			return x
		}
		p.i++
		x = &BinaryExpr{At: t.at, Op: ops[t.text], Text: t.text, X: x, Y: operand()}
		p.count()
	}
}

func (p *parser) sum() Expr     { return p.binary(sums, p.concat) }
func (p *parser) product() Expr { return p.binary(products, p.power) }
func (p *parser) power() Expr   { return p.binary(powers, func() Expr { return p.unary(true) }) }

func (p *parser) concat() Expr {
	x := p.product()
	if !p.isOp("~") {
		return x
	}
	c := &ConcatExpr{At: x.Pos(), Parts: []Expr{x}}
	for p.takeOp("~") {
		c.Parts = append(c.Parts, p.product())
		p.count()
	}
	return c
}

// unary reads a sign or a primary expression. As in Jinja a filter binds looser than a sign: -x|abs is (-x)|abs.
func (p *parser) unary(filters bool) Expr {
	var x Expr
	if t := p.peek(); t.kind == opToken && (t.text == "-" || t.text == "+") {
		if !p.enter() {
			p.leave()
			return p.bad()
		}
		p.i++
		x = &UnaryExpr{At: t.at, Op: sums[t.text], X: p.unary(false)}
		p.leave()
	} else {
		x = p.postfix(p.primary())
	}
	if filters {
		x = p.filters(x)
	}
	return x
}

func (p *parser) primary() Expr {
	p.count()
	t := p.peek()
	switch t.kind {
	case nameToken:
		return p.name()
	case constToken:
		p.i++
		v := t.val
		if s, ok := v.(starlark.String); ok {
			for p.peek().kind == constToken {
				more, ok := p.peek().val.(starlark.String)
				if !ok {
					break
				}
				s += more
				p.i++
			}
			v = s
		}
		return &ConstExpr{At: t.at, Value: v}
	case opToken:
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			p.i++
			return &ListExpr{At: t.at, Items: p.items("]")}
		case "{":
			return p.dict()
		}
	}
	p.unexpected("a value")
	return p.bad()
}

func (p *parser) name() Expr {
	t := p.next()
	switch t.text {
	case "true", "True":
		return &ConstExpr{At: t.at, Value: starlark.True}
	case "false", "False":
		return &ConstExpr{At: t.at, Value: starlark.False}
	case "none", "None":
		return &ConstExpr{At: t.at, Value: starlark.None}
	case "and", "or", "not", "in", "is", "if", "else":
		p.i--
		p.unexpected("a value")
		return p.bad()
	}
	return &NameExpr{At: t.at, Name: t.text}
}

// parenthesis reads (x), or a tuple: (), (x,), (x, y).
func (p *parser) parenthesis() Expr {
	at := p.next().at
	if p.takeOp(")") {
		return &TupleExpr{At: at}
	}
	x := p.expr()
	if p.isOp(",") {
		p.i++
		x = &TupleExpr{At: at, Items: append([]Expr{x}, p.items(")")...)}
		return x
	}
	p.wantOp(")", "after the expression")
	return x
}

// items reads expressions up to a closing bracket; a comma may follow the last.
func (p *parser) items(closing string) []Expr {
	var items []Expr
	for !p.takeOp(closing) {
		if p.peek().kind == endToken {
			p.unexpected(fmt.Sprintf("%q", closing))
			return items
		}
		items = append(items, p.expr())
		if !p.isOp(closing) {
			p.wantOp(",", "between the items")
		}
	}
	return items
}

func (p *parser) dict() Expr {
	d := &DictExpr{At: p.next().at}
	for !p.takeOp("}") {
		if p.peek().kind == endToken {
			p.unexpected(`"}"`)
			return d
		}
		d.Keys = append(d.Keys, p.expr())
		p.wantOp(":", "after the key")
		d.Values = append(d.Values, p.expr())
		if !p.isOp("}") {
			p.wantOp(",", "between the entries")
		}
	}
	return d
}

func (p *parser) postfix(x Expr) Expr {
	for {
		t := p.peek()
		if t.kind != opToken {
			return x
		}
		switch t.text {
		case ".":
			p.i++
			x = p.attribute(x)
		case "[":
			p.i++
			x = p.subscript(x, t.at)
		case "(":
			p.i++
			x = &CallExpr{At: x.Pos(), Fn: x, Args: p.arguments(), ArgsFrom: t.at}
		default:
			return x
		}
		p.count()
	}
}

func (p *parser) attribute(x Expr) Expr {
	t := p.peek()
	switch {
	case t.kind == nameToken:
		p.i++
		return &AttrExpr{At: t.at, X: x, Name: t.text}
	case t.kind == constToken:
		if _, ok := t.val.(starlark.Int); ok { // rows.0 is rows[0]
			p.i++
			return &IndexExpr{At: t.at, X: x, Index: &ConstExpr{At: t.at, Value: t.val}}
		}
	}
	p.unexpected("a name after the dot")
	return x
}

// subscript reads x[i] or x[lo:hi:step] after its opening bracket.
func (p *parser) subscript(x Expr, at int) Expr {
	part := func() Expr {
		if p.isOp(":") || p.isOp("]") {
			return nil
		}
		return p.tuple()
	}
	first := part()
	if !p.isOp(":") {
		p.wantOp("]", "after the index")
		if first == nil {
			p.fail(at, "Template not understood", "Expected an index between [ and ].", "")
			return x
		}
		return &IndexExpr{At: at, X: x, Index: first}
	}
	s := &SliceExpr{At: at, X: x, Lo: first}
	p.i++
	s.Hi = part()
	if p.takeOp(":") {
		s.Step = part()
	}
	p.wantOp("]", "after the slice")
	return s
}

// Arguments reads a call's arguments after the opening parenthesis.
func (p *parser) arguments() Arguments {
	var a Arguments
	for !p.takeOp(")") {
		t := p.peek()
		switch {
		case t.kind == endToken:
			p.unexpected(`")" after the arguments`)
			return a
		case p.takeOp("*"):
			a.Star = p.expr()
		case p.takeOp("**"):
			a.StarStar = p.expr()
		case t.kind == nameToken && p.toks[p.i+1].kind == opToken && p.toks[p.i+1].text == "=":
			p.i += 2
			a.Names = append(a.Names, t.text)
			a.Named = append(a.Named, p.expr())
		default:
			if len(a.Named) > 0 || a.StarStar != nil {
				p.fail(t.at, "Template not understood", "A positional argument stands after a keyword argument.", "Move it to the front or name it.")
				return a
			}
			a.List = append(a.List, p.expr())
		}
		if !p.isOp(")") {
			p.wantOp(",", "between the arguments")
		}
	}
	return a
}

// filters reads what may follow a value: | filters, is tests, and calls of their results.
func (p *parser) filters(x Expr) Expr {
	for {
		switch {
		case p.takeOp("|"):
			x = p.filter(x)
		case p.takeName("is"):
			x = p.test(x)
		case p.isOp("("):
			at := p.next().at
			x = &CallExpr{At: x.Pos(), Fn: x, Args: p.arguments(), ArgsFrom: at}
		default:
			return x
		}
		p.count()
	}
}

// dotted reads the name of a filter or test.
func (p *parser) dotted(what string) (name string, at int) {
	t := p.peek()
	if t.kind != nameToken {
		p.unexpected("the name of a " + what)
		return "", t.at
	}
	p.i++
	return t.text, t.at
}

func (p *parser) filter(x Expr) *FilterExpr {
	name, at := p.dotted("filter")
	f := &FilterExpr{At: at, X: x, Name: name}
	if p.takeOp("(") {
		f.Args = p.arguments()
	}
	return f
}

// test reads the test after "is"; its one argument may stand without parentheses: n is divisibleby 3.
func (p *parser) test(x Expr) Expr {
	not := p.takeName("not")
	t := p.peek()
	var name string
	if t.kind == nameToken && (t.text == "in" || t.text == "true" || t.text == "false" || t.text == "none" || t.text == "None" || t.text == "True" || t.text == "False") {
		name = strings.ToLower(t.text)
		p.i++
	} else {
		name, _ = p.dotted("test")
	}
	e := &TestExpr{At: t.at, X: x, Name: name, Not: not}
	arg := p.peek()
	switch {
	case p.takeOp("("):
		e.Args = p.arguments()
	case arg.kind == constToken, arg.kind == opToken && (arg.text == "[" || arg.text == "{"),
		arg.kind == nameToken && !testEnds[arg.text]:
		e.Args.List = []Expr{p.postfix(p.primary())}
	}
	return e
}

// testEnds are the words that follow a test rather than being its argument.
var testEnds = map[string]bool{"else": true, "or": true, "and": true, "is": true, "if": true, "in": true, "not": true, "recursive": true, "ignore": true, "with": true, "without": true}
