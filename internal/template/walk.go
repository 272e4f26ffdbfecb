package template

import (
	"slices"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/template/builtin"
	"damson/internal/template/jinja"
)

// reference is a name that code reads and does not bind itself.
type reference struct {
	name, attr, path string
	src              *sqltext.Source
	at               int
	optional         bool
}

// walker goes through statements as a rendering would, with names instead of values: it knows what is bound where, and
// reports the names that must come from outside.
type walker struct {
	set     *Set
	home    *jinja.File // the file being walked
	shallow bool        // stay in this file: neither includes nor imports nor other macros

	visit  func(reference)
	follow func(*jinja.MacroDef) // a macro of another file is used
	report func(diag.Finding)    // a mistake; nil: not asked for

	bound   []string                   // names bound here, innermost last
	later   []string                   // names that the file's top level binds at some time: macros see them
	inMacro bool                       // later counts
	guarded []string                   // names that an enclosing condition asked about
	macros  map[string]*jinja.MacroDef // macros of this file and those imported by name
	modules map[string]*jinja.File     // files imported under a name
	trail   []*jinja.File              // files whose includes lead here
	budget  *int                       // includes still to be walked
}

// maxIncludes bounds the includes that one walk goes through, one inside the other or not.
const maxIncludes = 1000

func (w *walker) fail(at int, summary, detail, fix string) {
	if w.report != nil {
		w.report(diag.Finding{At: w.home.Src.Pos(at), Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix})
	}
}

// within walks statements in a scope of their own that binds these names.
func (w *walker) within(body []jinja.Stmt, names ...string) {
	n := len(w.bound)
	w.bound = append(w.bound, names...)
	w.statements(body)
	w.bound = w.bound[:n]
}

// guard walks something under a condition that makes sure that names are defined.
func (w *walker) guard(names []string, walk func()) {
	n := len(w.guarded)
	w.guarded = append(w.guarded, names...)
	walk()
	w.guarded = w.guarded[:n]
}

func (w *walker) statements(body []jinja.Stmt) {
	for _, st := range body {
		w.statement(st)
	}
}

func (w *walker) statement(st jinja.Stmt) {
	switch st := st.(type) {
	case *jinja.OutputStmt:
		w.expr(st.X, false)
	case *jinja.IfStmt:
		w.ifStatement(st)
	case *jinja.ForStmt:
		w.expr(st.Iter, false)
		n := len(w.bound)
		w.bind(st.Target)
		if st.Filter != nil {
			w.expr(st.Filter, false)
		}
		w.within(st.Body, "loop")
		w.bound = w.bound[:n]
		w.statements(st.OrElse)
	case *jinja.SetStmt:
		w.expr(st.Value, false)
		w.bind(st.Target)
	case *jinja.SetBlockStmt:
		w.within(st.Body)
		w.filters(st.Filters)
		w.bind(st.Target)
	case *jinja.FilterStmt:
		w.within(st.Body)
		w.filters(st.Filters)
	case *jinja.MacroStmt:
		w.addMacro(st.Def.Name, st.Def)
		w.macroBody(st.Def)
	case *jinja.CallStmt:
		w.expr(st.Call, false)
		w.macroBody(st.Caller)
	case *jinja.WithStmt:
		n := len(w.bound)
		for i, v := range st.Values {
			w.expr(v, false)
			w.bind(st.Names[i])
		}
		w.statements(st.Body)
		w.bound = w.bound[:n]
	case *jinja.DoStmt:
		w.expr(st.X, false)
	default:
		w.otherFile(st)
	}
}

func (w *walker) ifStatement(st *jinja.IfStmt) {
	n := len(w.guarded)
	for _, b := range st.Branches {
		w.expr(b.Cond, false)
		w.guard(definedWhen(b.Cond, true), func() { w.statements(b.Body) })
		w.guarded = append(w.guarded, definedWhen(b.Cond, false)...)
	}
	w.statements(st.OrElse)
	w.guarded = w.guarded[:n]
}

// definedWhen lists the names that are certainly defined when a condition has this outcome.
func definedWhen(e jinja.Expr, outcome bool) []string {
	switch e := e.(type) {
	case *jinja.NotExpr:
		return definedWhen(e.X, !outcome)
	case *jinja.BoolExpr:
		if e.Or != outcome {
			return append(definedWhen(e.X, outcome), definedWhen(e.Y, outcome)...)
		}
	case *jinja.TestExpr:
		if e.Name == "defined" && outcome != e.Not || e.Name == "undefined" && outcome == e.Not {
			if name := root(e.X); name != "" {
				return []string{name}
			}
		}
	}
	return nil
}

// root gives the name that a chain of attributes and items starts with.
func root(e jinja.Expr) string {
	for {
		switch x := e.(type) {
		case *jinja.NameExpr:
			return x.Name
		case *jinja.AttrExpr:
			e = x.X
		case *jinja.IndexExpr:
			e = x.X
		default:
			return ""
		}
	}
}

func (w *walker) bind(t jinja.Target) {
	for _, part := range t.Parts {
		w.bind(part)
	}
	if t.Parts == nil && t.Attr == "" {
		w.bound = append(w.bound, t.Name)
	} else if t.Attr != "" {
		w.expr(&jinja.NameExpr{At: t.At, Name: t.Name}, false)
	}
}

func (w *walker) addMacro(name string, def *jinja.MacroDef) {
	if w.macros == nil {
		w.macros = map[string]*jinja.MacroDef{}
	}
	w.macros[name] = def
	w.bound = append(w.bound, name)
}

// macroBody walks a macro where it is defined.
func (w *walker) macroBody(def *jinja.MacroDef) {
	n, inMacro := len(w.bound), w.inMacro
	w.inMacro = true
	for _, p := range def.Params {
		if p.DefaultValue != nil {
			w.expr(p.DefaultValue, false)
		}
		w.bound = append(w.bound, p.Name)
	}
	if !w.shallow {
		w.bound = append(w.bound, "varargs", "kwargs", "caller")
	}
	w.statements(def.Body)
	w.bound, w.inMacro = w.bound[:n], inMacro
}

func (w *walker) otherFile(st jinja.Stmt) {
	switch st := st.(type) {
	case *jinja.IncludeStmt:
		w.expr(st.File, false)
		t, name := w.file(st.File, st.IgnoreMissing)
		switch {
		case t == nil:
		case t == w.home || slices.Contains(w.trail, t):
			w.fail(st.At, "Templates include one another", "The include of "+name+" leads back to itself.", "")
		default:
			w.included(t, st.Alone)
		}
	case *jinja.ImportStmt:
		w.expr(st.File, false)
		w.bound = append(w.bound, st.As)
		if t, _ := w.file(st.File, false); t != nil {
			if w.modules == nil {
				w.modules = map[string]*jinja.File{}
			}
			w.modules[st.As] = t
		}
	case *jinja.FromStmt:
		w.expr(st.File, false)
		t, _ := w.file(st.File, false)
		for _, n := range st.Names {
			w.bound = append(w.bound, n.As)
			if t == nil {
				continue
			}
			if def := t.Macro(n.Name); def != nil {
				w.addMacro(n.As, def)
				w.use(def)
			} else if !slices.Contains(t.TopNames(), n.Name) {
				w.fail(n.At, "Unknown macro", t.Name()+" has no macro \""+n.Name+"\".", diag.DidYouMean(n.Name, t.TopNames()))
			}
		}
	}
}

// file finds the file of an include or import when its name is a constant.
func (w *walker) file(e jinja.Expr, mayMiss bool) (t *jinja.File, name string) {
	c, ok := e.(*jinja.ConstExpr)
	if !ok || w.shallow {
		return nil, ""
	}
	name, _ = starlark.AsString(c.Value)
	t = w.set.find(w.home.Name(), []string{name})
	if t == nil && !mayMiss {
		f := w.set.unknownFile([]string{name})
		w.fail(e.Pos(), f.Summary, f.Detail, f.Fix)
	}
	return t, name
}

// included walks another template in the place where it is included.
func (w *walker) included(t *jinja.File, alone bool) {
	if w.budget == nil {
		left := maxIncludes
		w.budget = &left
	}
	if *w.budget--; *w.budget < 0 {
		return
	}
	inner := &walker{set: w.set, home: t, visit: w.visit, follow: w.follow, report: w.report, later: t.TopNames(), budget: w.budget}
	inner.trail = append(slices.Clone(w.trail), w.home)
	if !alone {
		inner.bound = slices.Clone(w.bound)
		inner.guarded = slices.Clone(w.guarded)
		if w.inMacro {
			inner.bound = append(inner.bound, w.later...)
		}
		inner.macros = w.macros
		inner.modules = w.modules
	}
	inner.statements(t.Body)
}

func (w *walker) use(def *jinja.MacroDef) {
	if w.follow != nil && !w.shallow {
		w.follow(def)
	}
}

func (w *walker) filters(chain []*jinja.FilterExpr) {
	for _, f := range chain {
		w.filter(f)
	}
}

func (w *walker) exprs(list []jinja.Expr) {
	for _, e := range list {
		w.expr(e, false)
	}
}

// expr walks an expression; lenient says that it may be undefined.
func (w *walker) expr(e jinja.Expr, lenient bool) {
	switch e := e.(type) {
	case *jinja.NameExpr, *jinja.AttrExpr, *jinja.IndexExpr:
		w.chain(e, lenient)
	case *jinja.SliceExpr:
		w.expr(e.X, false)
		for _, b := range []jinja.Expr{e.Lo, e.Hi, e.Step} {
			if b != nil {
				w.expr(b, false)
			}
		}
	case *jinja.CallExpr:
		w.call(e, lenient)
	case *jinja.FilterExpr:
		w.expr(e.X, lenient || isDefault(e.Name))
		w.filter(e)
	case *jinja.TestExpr:
		w.expr(e.X, e.Name == "defined" || e.Name == "undefined")
		if builtin.Tests[e.Name] == nil {
			w.mistake(e.At, builtin.UnknownTest(e.Name))
		}
		w.arguments(&e.Args)
	case *jinja.UnaryExpr:
		w.expr(e.X, false)
	case *jinja.NotExpr:
		w.expr(e.X, false)
	case *jinja.BinaryExpr:
		w.expr(e.X, false)
		w.expr(e.Y, false)
	case *jinja.ConcatExpr:
		w.exprs(e.Parts)
	case *jinja.BoolExpr:
		w.expr(e.X, false)
		w.guard(definedWhen(e.X, !e.Or), func() { w.expr(e.Y, false) })
	case *jinja.CompareExpr:
		w.expr(e.First, false)
		for _, c := range e.Rest {
			w.expr(c.Y, false)
		}
	case *jinja.CondExpr:
		w.expr(e.Cond, false)
		w.guard(definedWhen(e.Cond, true), func() { w.expr(e.Yes, lenient) })
		if e.No != nil {
			w.guard(definedWhen(e.Cond, false), func() { w.expr(e.No, lenient) })
		}
	case *jinja.ListExpr:
		w.exprs(e.Items)
	case *jinja.TupleExpr:
		w.exprs(e.Items)
	case *jinja.DictExpr:
		w.exprs(e.Keys)
		w.exprs(e.Values)
	}
}

func (w *walker) arguments(a *jinja.Arguments) {
	w.exprs(a.List)
	w.exprs(a.Named)
	if a.Star != nil {
		w.expr(a.Star, false)
	}
	if a.StarStar != nil {
		w.expr(a.StarStar, false)
	}
}

func (w *walker) mistake(at int, err error) {
	f := diag.AsFinding("", err)
	w.fail(at, f.Summary, f.Detail, f.Fix)
}

func (w *walker) filter(e *jinja.FilterExpr) {
	if builtin.Filters[e.Name] == nil {
		w.mistake(e.At, builtin.UnknownFilter(e.Name))
	}
	w.arguments(&e.Args)
	constant := func(i int) (name string, at int) {
		if i < len(e.Args.List) {
			if c, ok := e.Args.List[i].(*jinja.ConstExpr); ok {
				name, _ = starlark.AsString(c.Value)
				return name, c.At
			}
		}
		return "", 0
	}
	switch e.Name {
	case "map":
		if name, at := constant(0); name != "" && builtin.Filters[name] == nil {
			w.mistake(at, builtin.UnknownFilter(name))
		}
	case "select", "reject":
		if name, at := constant(0); name != "" && builtin.Tests[name] == nil {
			w.mistake(at, builtin.UnknownTest(name))
		}
	case "selectattr", "rejectattr":
		if name, at := constant(1); name != "" && builtin.Tests[name] == nil {
			w.mistake(at, builtin.UnknownTest(name))
		}
	}
}

func (w *walker) call(e *jinja.CallExpr, lenient bool) {
	w.expr(e.Fn, lenient)
	w.arguments(&e.Args)
	if n, ok := e.Fn.(*jinja.NameExpr); ok {
		if def := w.resolve(n.Name); def != nil && w.report != nil {
			w.checkCall(e, def)
		}
	}
}

// resolve gives the macro that a name means here, or nil.
func (w *walker) resolve(name string) *jinja.MacroDef {
	if slices.Contains(w.bound, name) {
		return w.macros[name]
	}
	if w.set != nil {
		return w.set.macros[name]
	}
	return nil
}

// checkCall compares a call's arguments with the macro's parameters.
func (w *walker) checkCall(e *jinja.CallExpr, def *jinja.MacroDef) {
	declared := "It is declared as " + def.Signature() + " at " + def.Src.Pos(def.At).String() + "."
	if len(e.Args.List) > len(def.Params) && !def.Varargs {
		w.fail(e.Args.List[len(def.Params)].Pos(), "Too many arguments", "The macro "+def.Name+" has no parameter for this value.", declared)
	}
	for i, name := range e.Args.Names {
		known := slices.ContainsFunc(def.Params, func(p jinja.MacroParam) bool { return p.Name == name })
		if !known && !def.Kwargs && !(name == "caller" && def.Caller) {
			w.fail(e.Args.Named[i].Pos(), "Unknown argument", "The macro "+def.Name+" has no parameter \""+name+"\".", declared)
		}
	}
}

// chain walks a.b['c'], which reads the name a and, as far as it is constant, the path b.c of it.
func (w *walker) chain(e jinja.Expr, lenient bool) {
	var path []string // outermost first
	for {
		switch x := e.(type) {
		case *jinja.NameExpr:
			slices.Reverse(path)
			w.read(x, path, lenient)
			return
		case *jinja.AttrExpr:
			path = append(path, x.Name)
			e = x.X
		case *jinja.IndexExpr:
			part := ""
			if c, ok := x.Index.(*jinja.ConstExpr); ok {
				part, _ = starlark.AsString(c.Value)
			} else {
				w.expr(x.Index, false)
			}
			if path = append(path, part); part == "" {
				path = append(path[:0], "")
			}
			e = x.X
		default:
			w.expr(e, lenient)
			return
		}
	}
}

// read reports a name that is not bound here.
func (w *walker) read(e *jinja.NameExpr, path []string, lenient bool) {
	if slices.Contains(w.bound, e.Name) || w.inMacro && slices.Contains(w.later, e.Name) {
		if t := w.modules[e.Name]; t != nil && len(path) > 0 {
			if def := t.Macro(path[0]); def != nil {
				w.use(def)
			} else if !slices.Contains(t.TopNames(), path[0]) && path[0] != "" && !lenient {
				w.fail(e.At, "Unknown macro", t.Name()+" has no macro \""+path[0]+"\".", diag.DidYouMean(path[0], t.TopNames()))
			}
		}
		return
	}
	ref := reference{name: e.Name, src: w.home.Src, at: e.At, optional: lenient || slices.Contains(w.guarded, e.Name)}
	for i, part := range path {
		if part == "" {
			break
		}
		if i == 0 {
			ref.attr, ref.path = part, part
		} else {
			ref.path += "." + part
		}
	}
	w.visit(ref)
}
