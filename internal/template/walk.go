package template

import (
	"slices"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
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
	home    *Template // the file being walked
	shallow bool      // stay in this file: neither includes nor imports nor other macros

	visit  func(reference)
	follow func(*macroDef)    // a macro of another file is used
	report func(diag.Finding) // a mistake; nil: not asked for

	bound   []string             // names bound here, innermost last
	later   []string             // names that the file's top level binds at some time: macros see them
	inMacro bool                 // later counts
	guarded []string             // names that an enclosing condition asked about
	macros  map[string]*macroDef // macros of this file and those imported by name
	modules map[string]*Template // files imported under a name
	trail   []*Template          // files whose includes lead here
	budget  *int                 // includes still to be walked
}

// maxIncludes bounds the includes that one walk goes through, one inside the other or not.
const maxIncludes = 1000

func (w *walker) fail(at int, summary, detail, fix string) {
	if w.report != nil {
		w.report(diag.Finding{At: w.home.src.Pos(at), Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix})
	}
}

// within walks statements in a scope of their own that binds these names.
func (w *walker) within(body []stmt, names ...string) {
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

func (w *walker) statements(body []stmt) {
	for _, st := range body {
		w.statement(st)
	}
}

func (w *walker) statement(st stmt) {
	switch st := st.(type) {
	case *outputStmt:
		w.expr(st.x, false)
	case *ifStmt:
		w.ifStatement(st)
	case *forStmt:
		w.expr(st.iter, false)
		n := len(w.bound)
		w.bind(st.target)
		if st.filter != nil {
			w.expr(st.filter, false)
		}
		w.within(st.body, "loop")
		w.bound = w.bound[:n]
		w.statements(st.orElse)
	case *setStmt:
		w.expr(st.value, false)
		w.bind(st.target)
	case *setBlockStmt:
		w.within(st.body)
		w.filters(st.filters)
		w.bind(st.target)
	case *filterStmt:
		w.within(st.body)
		w.filters(st.filters)
	case *macroStmt:
		w.addMacro(st.def.name, st.def)
		w.macroBody(st.def)
	case *callStmt:
		w.expr(st.call, false)
		w.macroBody(st.caller)
	case *withStmt:
		n := len(w.bound)
		for i, v := range st.values {
			w.expr(v, false)
			w.bind(st.names[i])
		}
		w.statements(st.body)
		w.bound = w.bound[:n]
	case *doStmt:
		w.expr(st.x, false)
	default:
		w.otherFile(st)
	}
}

func (w *walker) ifStatement(st *ifStmt) {
	n := len(w.guarded)
	for _, b := range st.branches {
		w.expr(b.cond, false)
		w.guard(definedWhen(b.cond, true), func() { w.statements(b.body) })
		w.guarded = append(w.guarded, definedWhen(b.cond, false)...)
	}
	w.statements(st.orElse)
	w.guarded = w.guarded[:n]
}

// definedWhen lists the names that are certainly defined when a condition has this outcome.
func definedWhen(e expr, outcome bool) []string {
	switch e := e.(type) {
	case *notExpr:
		return definedWhen(e.x, !outcome)
	case *boolExpr:
		if e.or != outcome {
			return append(definedWhen(e.x, outcome), definedWhen(e.y, outcome)...)
		}
	case *testExpr:
		if e.name == "defined" && outcome != e.not || e.name == "undefined" && outcome == e.not {
			if name := root(e.x); name != "" {
				return []string{name}
			}
		}
	}
	return nil
}

// root gives the name that a chain of attributes and items starts with.
func root(e expr) string {
	for {
		switch x := e.(type) {
		case *nameExpr:
			return x.name
		case *attrExpr:
			e = x.x
		case *indexExpr:
			e = x.x
		default:
			return ""
		}
	}
}

func (w *walker) bind(t target) {
	for _, part := range t.parts {
		w.bind(part)
	}
	if t.parts == nil && t.attr == "" {
		w.bound = append(w.bound, t.name)
	} else if t.attr != "" {
		w.expr(&nameExpr{at: t.at, name: t.name}, false)
	}
}

func (w *walker) addMacro(name string, def *macroDef) {
	if w.macros == nil {
		w.macros = map[string]*macroDef{}
	}
	w.macros[name] = def
	w.bound = append(w.bound, name)
}

// macroBody walks a macro where it is defined.
func (w *walker) macroBody(def *macroDef) {
	n, inMacro := len(w.bound), w.inMacro
	w.inMacro = true
	for _, p := range def.params {
		if p.defaultValue != nil {
			w.expr(p.defaultValue, false)
		}
		w.bound = append(w.bound, p.name)
	}
	if !w.shallow {
		w.bound = append(w.bound, "varargs", "kwargs", "caller")
	}
	w.statements(def.body)
	w.bound, w.inMacro = w.bound[:n], inMacro
}

func (w *walker) otherFile(st stmt) {
	switch st := st.(type) {
	case *includeStmt:
		w.expr(st.file, false)
		t, name := w.file(st.file, st.ignoreMissing)
		switch {
		case t == nil:
		case t == w.home || slices.Contains(w.trail, t):
			w.fail(st.at, "Templates include one another", "The include of "+name+" leads back to itself.", "")
		default:
			w.included(t, st.alone)
		}
	case *importStmt:
		w.expr(st.file, false)
		w.bound = append(w.bound, st.as)
		if t, _ := w.file(st.file, false); t != nil {
			if w.modules == nil {
				w.modules = map[string]*Template{}
			}
			w.modules[st.as] = t
		}
	case *fromStmt:
		w.expr(st.file, false)
		t, _ := w.file(st.file, false)
		for _, n := range st.names {
			w.bound = append(w.bound, n.as)
			if t == nil {
				continue
			}
			if def := t.macro(n.name); def != nil {
				w.addMacro(n.as, def)
				w.use(def)
			} else if !slices.Contains(t.topNames(), n.name) {
				w.fail(n.at, "Unknown macro", t.File()+" has no macro \""+n.name+"\".", diag.DidYouMean(n.name, t.topNames()))
			}
		}
	}
}

// file finds the file of an include or import when its name is a constant.
func (w *walker) file(e expr, mayMiss bool) (t *Template, name string) {
	c, ok := e.(*constExpr)
	if !ok || w.shallow {
		return nil, ""
	}
	name, _ = starlark.AsString(c.value)
	t = w.set.find(w.home.File(), []string{name})
	if t == nil && !mayMiss {
		f := w.set.unknownFile([]string{name})
		w.fail(e.pos(), f.Summary, f.Detail, f.Fix)
	}
	return t, name
}

// included walks another template in the place where it is included.
func (w *walker) included(t *Template, alone bool) {
	if w.budget == nil {
		left := maxIncludes
		w.budget = &left
	}
	if *w.budget--; *w.budget < 0 {
		return
	}
	inner := &walker{set: w.set, home: t, visit: w.visit, follow: w.follow, report: w.report, later: t.topNames(), budget: w.budget}
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
	inner.statements(t.body)
}

func (w *walker) use(def *macroDef) {
	if w.follow != nil && !w.shallow {
		w.follow(def)
	}
}

func (w *walker) filters(chain []*filterExpr) {
	for _, f := range chain {
		w.filter(f)
	}
}

func (w *walker) exprs(list []expr) {
	for _, e := range list {
		w.expr(e, false)
	}
}

// expr walks an expression; lenient says that it may be undefined.
func (w *walker) expr(e expr, lenient bool) {
	switch e := e.(type) {
	case *nameExpr, *attrExpr, *indexExpr:
		w.chain(e, lenient)
	case *sliceExpr:
		w.expr(e.x, false)
		for _, b := range []expr{e.lo, e.hi, e.step} {
			if b != nil {
				w.expr(b, false)
			}
		}
	case *callExpr:
		w.call(e, lenient)
	case *filterExpr:
		w.expr(e.x, lenient || isDefault(e.name))
		w.filter(e)
	case *testExpr:
		w.expr(e.x, e.name == "defined" || e.name == "undefined")
		if e.fn == nil {
			w.mistake(e.at, unknownTest(e.name))
		}
		w.arguments(&e.args)
	case *unaryExpr:
		w.expr(e.x, false)
	case *notExpr:
		w.expr(e.x, false)
	case *binaryExpr:
		w.expr(e.x, false)
		w.expr(e.y, false)
	case *concatExpr:
		w.exprs(e.parts)
	case *boolExpr:
		w.expr(e.x, false)
		w.guard(definedWhen(e.x, !e.or), func() { w.expr(e.y, false) })
	case *compareExpr:
		w.expr(e.first, false)
		for _, c := range e.rest {
			w.expr(c.y, false)
		}
	case *condExpr:
		w.expr(e.cond, false)
		w.guard(definedWhen(e.cond, true), func() { w.expr(e.yes, lenient) })
		if e.no != nil {
			w.guard(definedWhen(e.cond, false), func() { w.expr(e.no, lenient) })
		}
	case *listExpr:
		w.exprs(e.items)
	case *tupleExpr:
		w.exprs(e.items)
	case *dictExpr:
		w.exprs(e.keys)
		w.exprs(e.values)
	}
}

func (w *walker) arguments(a *arguments) {
	w.exprs(a.list)
	w.exprs(a.named)
	if a.star != nil {
		w.expr(a.star, false)
	}
	if a.starStar != nil {
		w.expr(a.starStar, false)
	}
}

func (w *walker) mistake(at int, err error) {
	f := diag.AsFinding("", err)
	w.fail(at, f.Summary, f.Detail, f.Fix)
}

func (w *walker) filter(e *filterExpr) {
	if e.fn == nil {
		w.mistake(e.at, unknownFilter(e.name))
	}
	w.arguments(&e.args)
	constant := func(i int) (name string, at int) {
		if i < len(e.args.list) {
			if c, ok := e.args.list[i].(*constExpr); ok {
				name, _ = starlark.AsString(c.value)
				return name, c.at
			}
		}
		return "", 0
	}
	switch e.name {
	case "map":
		if name, at := constant(0); name != "" && filters[name] == nil {
			w.mistake(at, unknownFilter(name))
		}
	case "select", "reject":
		if name, at := constant(0); name != "" && tests[name] == nil {
			w.mistake(at, unknownTest(name))
		}
	case "selectattr", "rejectattr":
		if name, at := constant(1); name != "" && tests[name] == nil {
			w.mistake(at, unknownTest(name))
		}
	}
}

func (w *walker) call(e *callExpr, lenient bool) {
	w.expr(e.fn, lenient)
	w.arguments(&e.args)
	if n, ok := e.fn.(*nameExpr); ok {
		if def := w.resolve(n.name); def != nil && w.report != nil {
			w.checkCall(e, def)
		}
	}
}

// resolve gives the macro that a name means here, or nil.
func (w *walker) resolve(name string) *macroDef {
	if slices.Contains(w.bound, name) {
		return w.macros[name]
	}
	if w.set != nil {
		return w.set.macros[name]
	}
	return nil
}

// checkCall compares a call's arguments with the macro's parameters.
func (w *walker) checkCall(e *callExpr, def *macroDef) {
	declared := "It is declared as " + def.signature() + " at " + def.src.Pos(def.at).String() + "."
	if len(e.args.list) > len(def.params) && !def.varargs {
		w.fail(e.args.list[len(def.params)].pos(), "Too many arguments", "The macro "+def.name+" has no parameter for this value.", declared)
	}
	for i, name := range e.args.names {
		known := slices.ContainsFunc(def.params, func(p macroParam) bool { return p.name == name })
		if !known && !def.kwargs && !(name == "caller" && def.caller) {
			w.fail(e.args.named[i].pos(), "Unknown argument", "The macro "+def.name+" has no parameter \""+name+"\".", declared)
		}
	}
}

// chain walks a.b['c'], which reads the name a and, as far as it is constant, the path b.c of it.
func (w *walker) chain(e expr, lenient bool) {
	var path []string // outermost first
	for {
		switch x := e.(type) {
		case *nameExpr:
			slices.Reverse(path)
			w.read(x, path, lenient)
			return
		case *attrExpr:
			path = append(path, x.name)
			e = x.x
		case *indexExpr:
			part := ""
			if c, ok := x.index.(*constExpr); ok {
				part, _ = starlark.AsString(c.value)
			} else {
				w.expr(x.index, false)
			}
			if path = append(path, part); part == "" {
				path = append(path[:0], "")
			}
			e = x.x
		default:
			w.expr(e, lenient)
			return
		}
	}
}

// read reports a name that is not bound here.
func (w *walker) read(e *nameExpr, path []string, lenient bool) {
	if slices.Contains(w.bound, e.name) || w.inMacro && slices.Contains(w.later, e.name) {
		if t := w.modules[e.name]; t != nil && len(path) > 0 {
			if def := t.macro(path[0]); def != nil {
				w.use(def)
			} else if !slices.Contains(t.topNames(), path[0]) && path[0] != "" && !lenient {
				w.fail(e.at, "Unknown macro", t.File()+" has no macro \""+path[0]+"\".", diag.DidYouMean(path[0], t.topNames()))
			}
		}
		return
	}
	ref := reference{name: e.name, src: w.home.src, at: e.at, optional: lenient || slices.Contains(w.guarded, e.name)}
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
