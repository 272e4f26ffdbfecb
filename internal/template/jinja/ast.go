package jinja

import (
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/sqltext"
)

// Stmt is a statement: it writes text or binds names. It knows its offset in the file it stands in, as an Expr does.
type Stmt interface{ stmt() }

// The statements.
type (
	TextStmt struct{ From, To int }

	OutputStmt struct {
		At int // of the {{
		X  Expr
	}

	IfStmt struct {
		Branches []IfBranch
		OrElse   []Stmt
	}
	IfBranch struct {
		Cond Expr
		Body []Stmt
	}

	ForStmt struct {
		At     int
		Target Target
		Iter   Expr
		Filter Expr // nil: none
		Body   []Stmt
		OrElse []Stmt
	}

	SetStmt struct {
		Target Target
		Value  Expr
	}
	SetBlockStmt struct {
		At      int
		Target  Target
		Filters []*FilterExpr
		Body    []Stmt
	}

	MacroStmt struct{ Def *MacroDef }

	CallStmt struct {
		At     int
		Caller *MacroDef
		Call   *CallExpr
	}

	FilterStmt struct {
		At      int
		Filters []*FilterExpr
		Body    []Stmt
	}

	IncludeStmt struct {
		At            int
		File          Expr
		IgnoreMissing bool
		Alone         bool // without context
	}

	ImportStmt struct {
		At   int
		File Expr
		As   string
	}
	FromStmt struct {
		At    int
		File  Expr
		Names []ImportName
	}
	ImportName struct {
		At       int
		Name, As string
	}

	WithStmt struct {
		Names  []Target
		Values []Expr
		Body   []Stmt
	}

	DoStmt struct{ X Expr }
)

func (*TextStmt) stmt()     {}
func (*OutputStmt) stmt()   {}
func (*IfStmt) stmt()       {}
func (*ForStmt) stmt()      {}
func (*SetStmt) stmt()      {}
func (*SetBlockStmt) stmt() {}
func (*MacroStmt) stmt()    {}
func (*CallStmt) stmt()     {}
func (*FilterStmt) stmt()   {}
func (*IncludeStmt) stmt()  {}
func (*ImportStmt) stmt()   {}
func (*FromStmt) stmt()     {}
func (*WithStmt) stmt()     {}
func (*DoStmt) stmt()       {}

// Target is what a value is bound to: a name, an attribute of a namespace, or (parts) several of them at once.
type Target struct {
	At    int
	Name  string
	Attr  string // "" unless name.attr is set
	Parts []Target
}

// MacroDef is a macro as written; a call block's body is one, too, called "caller".
type MacroDef struct {
	Name   string
	At     int
	Params []MacroParam
	Body   []Stmt
	Src    *sqltext.Source
	Home   *File // the file it stands in

	Varargs, Kwargs, Caller bool // the body reads these names, so the macro takes them; told by who walks it
}

// Signature gives the macro's name and parameters as declared.
func (d *MacroDef) Signature() string {
	names := make([]string, len(d.Params))
	for i, p := range d.Params {
		names[i] = p.Name
		if p.DefaultValue != nil {
			names[i] += "=…"
		}
	}
	return d.Name + "(" + strings.Join(names, ", ") + ")"
}

// MacroParam is a parameter as declared.
type MacroParam struct {
	Name         string
	At           int
	DefaultValue Expr // nil: none
}

// Expr is an expression: it has a value. Pos is its offset in the file it stands in.
type Expr interface{ Pos() int }

// The expressions.
type (
	ConstExpr struct {
		At    int
		Value starlark.Value
	}
	NameExpr struct {
		At   int
		Name string
	}
	AttrExpr struct {
		At   int // of the attribute's name
		X    Expr
		Name string
	}
	IndexExpr struct {
		At       int
		X, Index Expr
	}
	SliceExpr struct {
		At           int
		X            Expr
		Lo, Hi, Step Expr // nil: left out
	}
	CallExpr struct {
		At       int // of the function
		Fn       Expr
		Args     Arguments
		ArgsFrom int // of the (
	}
	FilterExpr struct {
		At   int
		X    Expr // nil in a filter block
		Name string
		Args Arguments
	}
	TestExpr struct {
		At   int
		X    Expr
		Name string
		Not  bool
		Args Arguments
	}
	UnaryExpr struct {
		At int
		Op syntax.Token
		X  Expr
	}
	NotExpr struct {
		At int
		X  Expr
	}
	BinaryExpr struct {
		At   int // of the operator
		Op   syntax.Token
		Text string
		X, Y Expr
	}
	ConcatExpr struct {
		At    int
		Parts []Expr
	}
	BoolExpr struct { // and, or
		At   int
		Or   bool
		X, Y Expr
	}
	CompareExpr struct { // a < b <= c
		At    int
		First Expr
		Rest  []Comparison
	}
	CondExpr struct { // yes if cond else no
		At            int
		Cond, Yes, No Expr // no may be nil
	}
	ListExpr struct {
		At    int
		Items []Expr
	}
	TupleExpr struct {
		At    int
		Items []Expr
	}
	DictExpr struct {
		At           int
		Keys, Values []Expr
	}
)

// Comparison is one link of a < b <= c.
type Comparison struct {
	At   int
	Op   syntax.Token
	Text string
	Y    Expr
}

// Arguments are those of a call, a filter or a test.
type Arguments struct {
	List     []Expr
	Names    []string // keyword arguments: Names[i] is Named[i]
	Named    []Expr
	Star     Expr // *args
	StarStar Expr // **kwargs
}

// Empty reports whether there is no argument.
func (a Arguments) Empty() bool {
	return len(a.List) == 0 && len(a.Named) == 0 && a.Star == nil && a.StarStar == nil
}

func (e *ConstExpr) Pos() int   { return e.At }
func (e *NameExpr) Pos() int    { return e.At }
func (e *AttrExpr) Pos() int    { return e.At }
func (e *IndexExpr) Pos() int   { return e.At }
func (e *SliceExpr) Pos() int   { return e.At }
func (e *CallExpr) Pos() int    { return e.At }
func (e *FilterExpr) Pos() int  { return e.At }
func (e *TestExpr) Pos() int    { return e.At }
func (e *UnaryExpr) Pos() int   { return e.At }
func (e *NotExpr) Pos() int     { return e.At }
func (e *BinaryExpr) Pos() int  { return e.At }
func (e *ConcatExpr) Pos() int  { return e.At }
func (e *BoolExpr) Pos() int    { return e.At }
func (e *CompareExpr) Pos() int { return e.At }
func (e *CondExpr) Pos() int    { return e.At }
func (e *ListExpr) Pos() int    { return e.At }
func (e *TupleExpr) Pos() int   { return e.At }
func (e *DictExpr) Pos() int    { return e.At }
