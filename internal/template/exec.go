package template

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/template/jinja"
	"damson/internal/template/value"
)

// render is one rendering of one template. It belongs to one goroutine.
type render struct {
	set    *Set
	limits Limits
	vars   starlark.StringDict

	src      *sqltext.Source // of the code being run: the template, a macro file, an included template
	out      *sqltext.Builder
	held     int // bytes written to outputs that wait for a capture to end
	steps    int
	depth    int // of macro calls and includes
	starlark *starlark.Thread
	modules  map[*jinja.File]*scope // the top level of macro files, run when first used
}

// Render gives the template's text with these values of its names. An error is a diag.Finding.
func (t *Template) Render(vars starlark.StringDict) (sqltext.Text, error) {
	if t.file.Broken {
		return sqltext.Text{}, diag.Finding{At: diag.Pos{File: t.file.Src.File()}, Severity: diag.Error, Summary: "Template has mistakes", Detail: "It could not be read in full, so it cannot be rendered."}
	}
	r := &render{set: t.set, limits: t.set.Limits.withDefaults(), vars: vars, src: t.file.Src, out: new(sqltext.Builder)}
	r.out.Grow(len(t.file.Src.Text())+len(t.file.Src.Text())/4, len(t.file.Body)+8)
	if err := r.run(t.file.Body, &scope{}); err != nil {
		return sqltext.Text{}, err
	}
	return r.out.Text(), nil
}

func (r *render) run(body []jinja.Stmt, s *scope) error {
	for _, st := range body {
		if err := r.statement(st, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *render) statement(st jinja.Stmt, s *scope) error {
	switch st := st.(type) {
	case *jinja.TextStmt:
		r.out.Copy(r.src, st.From, st.To)
		return r.sized(st.From)
	case *jinja.OutputStmt:
		return r.output(st, s)
	case *jinja.IfStmt:
		for _, b := range st.Branches {
			v, err := r.value(b.Cond, s)
			if err != nil {
				return err
			}
			if v.Truth() {
				return r.run(b.Body, s)
			}
		}
		return r.run(st.OrElse, s)
	case *jinja.ForStmt:
		return r.loop(st, s)
	case *jinja.SetStmt:
		v, err := r.value(st.Value, s)
		if err != nil {
			return err
		}
		return r.bind(st.Target, v, s)
	case *jinja.MacroStmt:
		s.set(st.Def.Name, &macro{def: st.Def, r: r, scope: s})
		return nil
	case *jinja.DoStmt:
		_, err := r.value(st.X, s)
		return err
	case *jinja.WithStmt:
		inner := &scope{parent: s}
		for i, target := range st.Names {
			v, err := r.value(st.Values[i], s)
			if err != nil {
				return err
			}
			inner.set(target.Name, v)
		}
		return r.run(st.Body, inner)
	case *jinja.CallStmt:
		return r.callBlock(st, s)
	}
	return r.rareStatement(st, s)
}

func (r *render) rareStatement(st jinja.Stmt, s *scope) error {
	switch st := st.(type) {
	case *jinja.SetBlockStmt:
		v, err := r.filteredBlock(st.Body, st.Filters, s)
		if err != nil {
			return err
		}
		return r.bind(st.Target, v, s)
	case *jinja.FilterStmt:
		v, err := r.filteredBlock(st.Body, st.Filters, s)
		if err != nil {
			return err
		}
		r.out.Generate(value.Text(v), r.src, st.At)
		return r.sized(st.At)
	case *jinja.IncludeStmt:
		return r.include(st, s)
	case *jinja.ImportStmt:
		t, module, err := r.imported(st.At, st.File, s)
		if err != nil {
			return err
		}
		s.set(st.As, moduleValue(t, module))
		return nil
	case *jinja.FromStmt:
		t, module, err := r.imported(st.At, st.File, s)
		if err != nil {
			return err
		}
		for _, n := range st.Names {
			v := module.get(n.Name)
			if v == nil {
				return r.fail(n.At, "Unknown macro", fmt.Sprintf("%s has no macro %q.", t.Name(), n.Name), diag.DidYouMean(n.Name, module.names))
			}
			s.set(n.As, v)
		}
		return nil
	}
	panic(fmt.Sprintf("statement of type %T", st))
}

// sized ends a rendering that writes too much, and counts the statement.
func (r *render) sized(at int) error {
	if r.out.Len()+r.held > r.limits.Output {
		return r.fail(at, "Rendered text too large", fmt.Sprintf("The template writes more than %d bytes.", r.limits.Output), "Look for a loop over too many items.")
	}
	return r.step(at, 1)
}

// output writes a value. A macro called directly writes for itself, so that its text leads back to the macro's file.
func (r *render) output(st *jinja.OutputStmt, s *scope) error {
	if e, ok := st.X.(*jinja.CallExpr); ok {
		fn, args, kwargs, err := r.callee(e, s)
		if err != nil {
			return err
		}
		if m, ok := fn.(*macro); ok {
			r.out.Enter(r.src, e.At)
			defer r.out.Leave()
			return r.invokeAt(e, m, args, kwargs)
		}
		v, err := r.apply(e, fn, args, kwargs)
		if err != nil {
			return err
		}
		return r.write(st, v)
	}
	v, err := r.eval(st.X, s)
	if err != nil {
		return err
	}
	return r.write(st, v)
}

func (r *render) write(st *jinja.OutputStmt, v starlark.Value) error {
	if u, ok := v.(*value.Undefined); ok {
		if u.Blank {
			return nil
		}
		return r.defined(st.X, v)
	}
	r.out.Generate(value.Text(v), r.src, st.At)
	return r.sized(st.At)
}

// items gives what a loop or a filter goes through: the items of a list, the keys of a dict, the letters of a string.
func (r *render) items(at int, v starlark.Value) ([]starlark.Value, error) {
	var items []starlark.Value
	switch v := v.(type) {
	case starlark.Tuple:
		items = v
	case starlark.String:
		for _, c := range string(v) {
			items = append(items, starlark.String(c))
		}
	case starlark.Iterable:
		if n := starlark.Len(v); n > 0 {
			if err := r.step(at, n); err != nil {
				return nil, err
			}
			items = make([]starlark.Value, 0, n)
		}
		for item := range starlark.Elements(v) {
			items = append(items, item)
			if len(items) > r.limits.Steps {
				return nil, r.step(at, len(items))
			}
		}
		return items, nil
	default:
		return nil, fmt.Errorf("%s is not a list", value.KindOf(v))
	}
	return items, r.step(at, len(items))
}

func (r *render) loop(st *jinja.ForStmt, s *scope) error {
	v, err := r.value(st.Iter, s)
	if err != nil {
		return err
	}
	items, err := r.items(st.Iter.Pos(), v)
	if err != nil {
		return r.wrap(st.Iter.Pos(), "Nothing to loop over", err)
	}
	inner := &scope{parent: s}
	if st.Filter != nil {
		var kept []starlark.Value
		for _, item := range items {
			inner.clear()
			if err := r.bind(st.Target, item, inner); err != nil {
				return err
			}
			ok, err := r.value(st.Filter, inner)
			if err != nil {
				return err
			}
			if ok.Truth() {
				kept = append(kept, item)
			}
		}
		items = kept
	}
	if len(items) == 0 {
		return r.run(st.OrElse, s)
	}
	l := &loop{r: r, items: items}
	for i, item := range items {
		l.index = i
		inner.clear()
		if err := r.bind(st.Target, item, inner); err != nil {
			return err
		}
		inner.set("loop", l)
		if err := r.run(st.Body, inner); err != nil {
			return err
		}
		if err := r.step(st.At, 1); err != nil {
			return err
		}
	}
	return nil
}

// bind gives a value to a name, to an attribute of a namespace, or its items to several names.
func (r *render) bind(t jinja.Target, v starlark.Value, s *scope) error {
	switch {
	case t.Parts != nil:
		items, err := r.items(t.At, v)
		if err != nil {
			return r.wrap(t.At, "Cannot be unpacked", err)
		}
		if len(items) != len(t.Parts) {
			return r.fail(t.At, "Cannot be unpacked", fmt.Sprintf("%d names stand for a value of %d items.", len(t.Parts), len(items)), "")
		}
		for i, part := range t.Parts {
			if err := r.bind(part, items[i], s); err != nil {
				return err
			}
		}
	case t.Attr != "":
		ns, ok := s.get(t.Name).(*value.Namespace)
		if !ok {
			return r.fail(t.At, "Not a namespace", fmt.Sprintf("Attributes can be set on a namespace only, and %s is none.", t.Name), fmt.Sprintf("Write {%% set %s = namespace(%s=…) %%} first.", t.Name, t.Attr))
		}
		ns.Fields[t.Attr] = v
	default:
		s.set(t.Name, v)
	}
	return nil
}

func (r *render) filteredBlock(body []jinja.Stmt, filters []*jinja.FilterExpr, s *scope) (starlark.Value, error) {
	out, err := r.capture(func() error { return r.run(body, &scope{parent: s}) })
	if err != nil {
		return nil, err
	}
	var v starlark.Value = starlark.String(out)
	for _, f := range filters {
		if v, err = r.filter(f, v, s); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (r *render) callBlock(st *jinja.CallStmt, s *scope) error {
	fn, args, kwargs, err := r.callee(st.Call, s)
	if err != nil {
		return err
	}
	m, ok := fn.(*macro)
	if !ok {
		return r.fail(st.Call.At, "Not a macro", fmt.Sprintf("A call block calls a macro, and %s is %s.", text(st.Call.Fn), value.KindOf(fn)), "")
	}
	caller := &macro{def: st.Caller, r: r, scope: s}
	kwargs = append(kwargs[:len(kwargs):len(kwargs)], starlark.Tuple{starlark.String("caller"), caller})
	r.out.Enter(r.src, st.Call.At)
	defer r.out.Leave()
	return r.invokeAt(st.Call, m, args, kwargs)
}

func (r *render) include(st *jinja.IncludeStmt, s *scope) error {
	names, err := r.fileNames(st.File, s)
	if err != nil {
		return err
	}
	t := r.set.find(r.src.File(), names)
	if t == nil {
		if st.IgnoreMissing {
			return nil
		}
		return r.unknownFile(st.File.Pos(), names)
	}
	if t.Broken {
		return r.fail(st.At, "Included template has mistakes", fmt.Sprintf("%s could not be read in full.", t.Name()), "")
	}
	src := r.src
	defer func() { r.src = src; r.depth-- }()
	if err := r.deeper(st.At); err != nil {
		return err
	}
	r.out.Enter(src, st.At)
	defer r.out.Leave()
	r.src = t.Src
	if st.Alone {
		s = nil
	}
	err = r.run(t.Body, &scope{parent: s})
	var f diag.Finding
	if errors.As(err, &f) && strings.Count(f.Detail, "\n") < 4 {
		f.Detail += fmt.Sprintf("\nIn %s, included at %s.", t.Name(), src.Pos(st.At))
		return f
	}
	return err
}

// fileNames evaluates the file of an include or import: a name, or a list of names of which the first known is taken.
func (r *render) fileNames(e jinja.Expr, s *scope) ([]string, error) {
	v, err := r.value(e, s)
	if err != nil {
		return nil, err
	}
	if name, ok := starlark.AsString(v); ok {
		return []string{name}, nil
	}
	items, err := r.items(e.Pos(), v)
	if err != nil {
		return nil, r.wrap(e.Pos(), "Not a file name", err)
	}
	var names []string
	for _, item := range items {
		names = append(names, value.Text(item))
	}
	return names, nil
}

func (r *render) unknownFile(at int, names []string) error {
	return r.wrap(at, "Unknown template file", r.set.unknownFile(names))
}

// imported gives the file of an import and the names of its top level.
func (r *render) imported(at int, file jinja.Expr, s *scope) (*jinja.File, *scope, error) {
	names, err := r.fileNames(file, s)
	if err != nil {
		return nil, nil, err
	}
	t := r.set.find(r.src.File(), names)
	if t == nil {
		return nil, nil, r.unknownFile(file.Pos(), names)
	}
	defer func() { r.depth-- }()
	if err := r.deeper(at); err != nil {
		return nil, nil, err
	}
	module, err := r.module(t)
	return t, module, err
}

// module gives the names that the top level of a file binds. Its text is not written.
func (r *render) module(t *jinja.File) (*scope, error) {
	if s := r.modules[t]; s != nil {
		return s, nil
	}
	if r.modules == nil {
		r.modules = map[*jinja.File]*scope{}
	}
	s := &scope{}
	r.modules[t] = s
	src := r.src
	r.src = t.Src
	defer func() { r.src = src }()
	for _, st := range t.Body {
		switch st.(type) {
		case *jinja.SetStmt, *jinja.SetBlockStmt, *jinja.MacroStmt, *jinja.ImportStmt, *jinja.FromStmt:
			if err := r.statement(st, s); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// setMacro gives a macro of the set's macro files.
func (r *render) setMacro(def *jinja.MacroDef) (starlark.Value, error) {
	module, err := r.module(def.Home)
	if err != nil {
		return nil, err
	}
	if v := module.get(def.Name); v != nil {
		return v, nil
	}
	return &macro{def: def, r: r, scope: module}, nil
}

// moduleValue is an imported file as a value: its macros and settings are attributes.
func moduleValue(t *jinja.File, s *scope) starlark.Value {
	return &value.Record{
		Kind:  "template",
		Names: func() []string { return s.names },
		Get:   func(name string) (starlark.Value, error) { return s.get(name), nil },
		Missing: func(name string) (string, string) {
			return fmt.Sprintf("%s has no macro %q.", t.Name(), name), diag.DidYouMean(name, s.names)
		},
	}
}
