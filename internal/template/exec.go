package template

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
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
	modules  map[*Template]*scope // the top level of macro files, run when first used
}

// Render gives the template's text with these values of its names. An error is a diag.Finding.
func (t *Template) Render(vars starlark.StringDict) (sqltext.Text, error) {
	if t.broken {
		return sqltext.Text{}, diag.Finding{At: diag.Pos{File: t.src.File()}, Severity: diag.Error, Summary: "Template has mistakes", Detail: "It could not be read in full, so it cannot be rendered."}
	}
	r := &render{set: t.set, limits: t.set.Limits.withDefaults(), vars: vars, src: t.src, out: new(sqltext.Builder)}
	r.out.Grow(len(t.src.Text())+len(t.src.Text())/4, len(t.body)+8)
	if err := r.run(t.body, &scope{}); err != nil {
		return sqltext.Text{}, err
	}
	return r.out.Text(), nil
}

func (r *render) run(body []stmt, s *scope) error {
	for _, st := range body {
		if err := r.statement(st, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *render) statement(st stmt, s *scope) error {
	switch st := st.(type) {
	case *textStmt:
		r.out.Copy(r.src, st.from, st.to)
		return r.sized(st.from)
	case *outputStmt:
		return r.output(st, s)
	case *ifStmt:
		for _, b := range st.branches {
			v, err := r.value(b.cond, s)
			if err != nil {
				return err
			}
			if v.Truth() {
				return r.run(b.body, s)
			}
		}
		return r.run(st.orElse, s)
	case *forStmt:
		return r.loop(st, s)
	case *setStmt:
		v, err := r.value(st.value, s)
		if err != nil {
			return err
		}
		return r.bind(st.target, v, s)
	case *macroStmt:
		s.set(st.def.name, &macro{def: st.def, r: r, scope: s})
		return nil
	case *doStmt:
		_, err := r.value(st.x, s)
		return err
	case *withStmt:
		inner := &scope{parent: s}
		for i, target := range st.names {
			v, err := r.value(st.values[i], s)
			if err != nil {
				return err
			}
			inner.set(target.name, v)
		}
		return r.run(st.body, inner)
	case *callStmt:
		return r.callBlock(st, s)
	}
	return r.rareStatement(st, s)
}

func (r *render) rareStatement(st stmt, s *scope) error {
	switch st := st.(type) {
	case *setBlockStmt:
		v, err := r.filteredBlock(st.body, st.filters, s)
		if err != nil {
			return err
		}
		return r.bind(st.target, v, s)
	case *filterStmt:
		v, err := r.filteredBlock(st.body, st.filters, s)
		if err != nil {
			return err
		}
		r.out.Generate(display(v), r.src, st.at)
		return r.sized(st.at)
	case *includeStmt:
		return r.include(st, s)
	case *importStmt:
		t, module, err := r.imported(st.at, st.file, s)
		if err != nil {
			return err
		}
		s.set(st.as, moduleValue(t, module))
		return nil
	case *fromStmt:
		t, module, err := r.imported(st.at, st.file, s)
		if err != nil {
			return err
		}
		for _, n := range st.names {
			v := module.get(n.name)
			if v == nil {
				return r.fail(n.at, "Unknown macro", fmt.Sprintf("%s has no macro %q.", t.File(), n.name), diag.DidYouMean(n.name, module.names))
			}
			s.set(n.as, v)
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
func (r *render) output(st *outputStmt, s *scope) error {
	if e, ok := st.x.(*callExpr); ok {
		fn, args, kwargs, err := r.callee(e, s)
		if err != nil {
			return err
		}
		if m, ok := fn.(*macro); ok {
			r.out.Enter(r.src, e.at)
			defer r.out.Leave()
			return r.invokeAt(e, m, args, kwargs)
		}
		v, err := r.apply(e, fn, args, kwargs)
		if err != nil {
			return err
		}
		return r.write(st, v)
	}
	v, err := r.eval(st.x, s)
	if err != nil {
		return err
	}
	return r.write(st, v)
}

func (r *render) write(st *outputStmt, v starlark.Value) error {
	if u, ok := v.(*undefined); ok {
		if u.blank {
			return nil
		}
		return r.defined(st.x, v)
	}
	r.out.Generate(display(v), r.src, st.at)
	return r.sized(st.at)
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
		return nil, fmt.Errorf("%s is not a list", kindOf(v))
	}
	return items, r.step(at, len(items))
}

func (r *render) loop(st *forStmt, s *scope) error {
	v, err := r.value(st.iter, s)
	if err != nil {
		return err
	}
	items, err := r.items(st.iter.pos(), v)
	if err != nil {
		return r.wrap(st.iter.pos(), "Nothing to loop over", err)
	}
	inner := &scope{parent: s}
	if st.filter != nil {
		var kept []starlark.Value
		for _, item := range items {
			inner.clear()
			if err := r.bind(st.target, item, inner); err != nil {
				return err
			}
			ok, err := r.value(st.filter, inner)
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
		return r.run(st.orElse, s)
	}
	l := &loop{r: r, items: items}
	for i, item := range items {
		l.index = i
		inner.clear()
		if err := r.bind(st.target, item, inner); err != nil {
			return err
		}
		inner.set("loop", l)
		if err := r.run(st.body, inner); err != nil {
			return err
		}
		if err := r.step(st.at, 1); err != nil {
			return err
		}
	}
	return nil
}

// bind gives a value to a name, to an attribute of a namespace, or its items to several names.
func (r *render) bind(t target, v starlark.Value, s *scope) error {
	switch {
	case t.parts != nil:
		items, err := r.items(t.at, v)
		if err != nil {
			return r.wrap(t.at, "Cannot be unpacked", err)
		}
		if len(items) != len(t.parts) {
			return r.fail(t.at, "Cannot be unpacked", fmt.Sprintf("%d names stand for a value of %d items.", len(t.parts), len(items)), "")
		}
		for i, part := range t.parts {
			if err := r.bind(part, items[i], s); err != nil {
				return err
			}
		}
	case t.attr != "":
		ns, ok := s.get(t.name).(*namespace)
		if !ok {
			return r.fail(t.at, "Not a namespace", fmt.Sprintf("Attributes can be set on a namespace only, and %s is none.", t.name), fmt.Sprintf("Write {%% set %s = namespace(%s=…) %%} first.", t.name, t.attr))
		}
		ns.fields[t.attr] = v
	default:
		s.set(t.name, v)
	}
	return nil
}

func (r *render) filteredBlock(body []stmt, filters []*filterExpr, s *scope) (starlark.Value, error) {
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

func (r *render) callBlock(st *callStmt, s *scope) error {
	fn, args, kwargs, err := r.callee(st.call, s)
	if err != nil {
		return err
	}
	m, ok := fn.(*macro)
	if !ok {
		return r.fail(st.call.at, "Not a macro", fmt.Sprintf("A call block calls a macro, and %s is %s.", text(st.call.fn), kindOf(fn)), "")
	}
	caller := &macro{def: st.caller, r: r, scope: s}
	kwargs = append(kwargs[:len(kwargs):len(kwargs)], starlark.Tuple{starlark.String("caller"), caller})
	r.out.Enter(r.src, st.call.at)
	defer r.out.Leave()
	return r.invokeAt(st.call, m, args, kwargs)
}

func (r *render) include(st *includeStmt, s *scope) error {
	names, err := r.fileNames(st.file, s)
	if err != nil {
		return err
	}
	t := r.set.find(r.src.File(), names)
	if t == nil {
		if st.ignoreMissing {
			return nil
		}
		return r.unknownFile(st.file.pos(), names)
	}
	if t.broken {
		return r.fail(st.at, "Included template has mistakes", fmt.Sprintf("%s could not be read in full.", t.File()), "")
	}
	src := r.src
	defer func() { r.src = src; r.depth-- }()
	if err := r.deeper(st.at); err != nil {
		return err
	}
	r.out.Enter(src, st.at)
	defer r.out.Leave()
	r.src = t.src
	if st.alone {
		s = nil
	}
	err = r.run(t.body, &scope{parent: s})
	var f diag.Finding
	if errors.As(err, &f) && strings.Count(f.Detail, "\n") < 4 {
		f.Detail += fmt.Sprintf("\nIn %s, included at %s.", t.File(), src.Pos(st.at))
		return f
	}
	return err
}

// fileNames evaluates the file of an include or import: a name, or a list of names of which the first known is taken.
func (r *render) fileNames(e expr, s *scope) ([]string, error) {
	v, err := r.value(e, s)
	if err != nil {
		return nil, err
	}
	if name, ok := starlark.AsString(v); ok {
		return []string{name}, nil
	}
	items, err := r.items(e.pos(), v)
	if err != nil {
		return nil, r.wrap(e.pos(), "Not a file name", err)
	}
	var names []string
	for _, item := range items {
		names = append(names, display(item))
	}
	return names, nil
}

func (r *render) unknownFile(at int, names []string) error {
	return r.wrap(at, "Unknown template file", r.set.unknownFile(names))
}

// imported gives the file of an import and the names of its top level.
func (r *render) imported(at int, file expr, s *scope) (*Template, *scope, error) {
	names, err := r.fileNames(file, s)
	if err != nil {
		return nil, nil, err
	}
	t := r.set.find(r.src.File(), names)
	if t == nil {
		return nil, nil, r.unknownFile(file.pos(), names)
	}
	defer func() { r.depth-- }()
	if err := r.deeper(at); err != nil {
		return nil, nil, err
	}
	module, err := r.module(t)
	return t, module, err
}

// module gives the names that the top level of a file binds. Its text is not written.
func (r *render) module(t *Template) (*scope, error) {
	if s := r.modules[t]; s != nil {
		return s, nil
	}
	if r.modules == nil {
		r.modules = map[*Template]*scope{}
	}
	s := &scope{}
	r.modules[t] = s
	src := r.src
	r.src = t.src
	defer func() { r.src = src }()
	for _, st := range t.body {
		switch st.(type) {
		case *setStmt, *setBlockStmt, *macroStmt, *importStmt, *fromStmt:
			if err := r.statement(st, s); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// setMacro gives a macro of the set's macro files.
func (r *render) setMacro(def *macroDef) (starlark.Value, error) {
	module, err := r.module(def.home)
	if err != nil {
		return nil, err
	}
	if v := module.get(def.name); v != nil {
		return v, nil
	}
	return &macro{def: def, r: r, scope: module}, nil
}

// moduleValue is an imported file as a value: its macros and settings are attributes.
func moduleValue(t *Template, s *scope) starlark.Value {
	return &record{
		kind:  "template",
		names: func() []string { return s.names },
		get:   func(name string) (starlark.Value, error) { return s.get(name), nil },
		missing: func(name string) (string, string) {
			return fmt.Sprintf("%s has no macro %q.", t.File(), name), diag.DidYouMean(name, s.names)
		},
	}
}
