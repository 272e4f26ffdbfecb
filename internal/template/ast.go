package template

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/sqltext"
)

// Every node knows its offset in the file it stands in. Statements write text and bind names; expressions have a value.

type stmt interface{ stmt() }

type (
	textStmt struct{ from, to int }

	outputStmt struct {
		at int // of the {{
		x  expr
	}

	ifStmt struct {
		branches []ifBranch
		orElse   []stmt
	}
	ifBranch struct {
		cond expr
		body []stmt
	}

	forStmt struct {
		at     int
		target target
		iter   expr
		filter expr // nil: none
		body   []stmt
		orElse []stmt
	}

	setStmt struct {
		target target
		value  expr
	}
	setBlockStmt struct {
		at      int
		target  target
		filters []*filterExpr
		body    []stmt
	}

	macroStmt struct{ def *macroDef }

	callStmt struct {
		at     int
		caller *macroDef
		call   *callExpr
	}

	filterStmt struct {
		at      int
		filters []*filterExpr
		body    []stmt
	}

	includeStmt struct {
		at            int
		file          expr
		ignoreMissing bool
		alone         bool // without context
	}

	importStmt struct {
		at   int
		file expr
		as   string
	}
	fromStmt struct {
		at    int
		file  expr
		names []importName
	}
	importName struct {
		at       int
		name, as string
	}

	withStmt struct {
		names  []target
		values []expr
		body   []stmt
	}

	doStmt struct{ x expr }
)

func (*textStmt) stmt()     {}
func (*outputStmt) stmt()   {}
func (*ifStmt) stmt()       {}
func (*forStmt) stmt()      {}
func (*setStmt) stmt()      {}
func (*setBlockStmt) stmt() {}
func (*macroStmt) stmt()    {}
func (*callStmt) stmt()     {}
func (*filterStmt) stmt()   {}
func (*includeStmt) stmt()  {}
func (*importStmt) stmt()   {}
func (*fromStmt) stmt()     {}
func (*withStmt) stmt()     {}
func (*doStmt) stmt()       {}

// target is what a value is bound to: a name, an attribute of a namespace, or (parts) several of them at once.
type target struct {
	at    int
	name  string
	attr  string // "" unless name.attr is set
	parts []target
}

// macroDef is a macro as written; a call block's body is one, too, called "caller".
type macroDef struct {
	name   string
	at     int
	params []macroParam
	body   []stmt
	src    *sqltext.Source
	home   *Template // the file it stands in

	varargs, kwargs, caller bool // the body reads these names, so the macro takes them
}

type macroParam struct {
	name         string
	at           int
	defaultValue expr // nil: none
}

type expr interface{ pos() int }

type (
	constExpr struct {
		at    int
		value starlark.Value
	}
	nameExpr struct {
		at   int
		name string
	}
	attrExpr struct {
		at   int // of the attribute's name
		x    expr
		name string
	}
	indexExpr struct {
		at       int
		x, index expr
	}
	sliceExpr struct {
		at           int
		x            expr
		lo, hi, step expr // nil: left out
	}
	callExpr struct {
		at       int // of the function
		fn       expr
		args     arguments
		argsFrom int // of the (
	}
	filterExpr struct {
		at   int
		x    expr // nil in a filter block
		name string
		fn   filter // nil: unknown
		args arguments
	}
	testExpr struct {
		at   int
		x    expr
		name string
		fn   test // nil: unknown
		not  bool
		args arguments
	}
	unaryExpr struct {
		at int
		op syntax.Token
		x  expr
	}
	notExpr struct {
		at int
		x  expr
	}
	binaryExpr struct {
		at   int // of the operator
		op   syntax.Token
		text string
		x, y expr
	}
	concatExpr struct {
		at    int
		parts []expr
	}
	boolExpr struct { // and, or
		at   int
		or   bool
		x, y expr
	}
	compareExpr struct { // a < b <= c
		at    int
		first expr
		rest  []comparison
	}
	condExpr struct { // yes if cond else no
		at            int
		cond, yes, no expr // no may be nil
	}
	listExpr struct {
		at    int
		items []expr
	}
	tupleExpr struct {
		at    int
		items []expr
	}
	dictExpr struct {
		at           int
		keys, values []expr
	}
)

type comparison struct {
	at   int
	op   syntax.Token
	text string
	y    expr
}

// arguments are those of a call, a filter or a test.
type arguments struct {
	list     []expr
	names    []string // keyword arguments: names[i] is named[i]
	named    []expr
	star     expr // *args
	starStar expr // **kwargs
}

func (a arguments) empty() bool {
	return len(a.list) == 0 && len(a.named) == 0 && a.star == nil && a.starStar == nil
}

func (e *constExpr) pos() int   { return e.at }
func (e *nameExpr) pos() int    { return e.at }
func (e *attrExpr) pos() int    { return e.at }
func (e *indexExpr) pos() int   { return e.at }
func (e *sliceExpr) pos() int   { return e.at }
func (e *callExpr) pos() int    { return e.at }
func (e *filterExpr) pos() int  { return e.at }
func (e *testExpr) pos() int    { return e.at }
func (e *unaryExpr) pos() int   { return e.at }
func (e *notExpr) pos() int     { return e.at }
func (e *binaryExpr) pos() int  { return e.at }
func (e *concatExpr) pos() int  { return e.at }
func (e *boolExpr) pos() int    { return e.at }
func (e *compareExpr) pos() int { return e.at }
func (e *condExpr) pos() int    { return e.at }
func (e *listExpr) pos() int    { return e.at }
func (e *tupleExpr) pos() int   { return e.at }
func (e *dictExpr) pos() int    { return e.at }
