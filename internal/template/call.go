package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/template/builtin"
	"damson/internal/template/jinja"
	"damson/internal/template/value"
)

// arguments evaluates the arguments of a call, filter or test.
func (r *render) arguments(a *jinja.Arguments, s *scope) (starlark.Tuple, []starlark.Tuple, error) {
	if a.Empty() {
		return nil, nil, nil
	}
	args, err := r.values(a.List, s)
	if err != nil {
		return nil, nil, err
	}
	if a.Star != nil {
		more, err := r.value(a.Star, s)
		if err != nil {
			return nil, nil, err
		}
		items, err := r.items(a.Star.Pos(), more)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, items...)
	}
	var kwargs []starlark.Tuple
	for i, e := range a.Named {
		v, err := r.value(e, s)
		if err != nil {
			return nil, nil, err
		}
		kwargs = append(kwargs, starlark.Tuple{starlark.String(a.Names[i]), v})
	}
	if a.StarStar != nil {
		more, err := r.value(a.StarStar, s)
		if err != nil {
			return nil, nil, err
		}
		m, ok := more.(starlark.IterableMapping)
		if !ok {
			return nil, nil, r.fail(a.StarStar.Pos(), "Not a dict", fmt.Sprintf("** spreads a dict, not a %s.", more.Type()), "")
		}
		for _, kv := range m.Items() {
			if _, ok := kv[0].(starlark.String); !ok {
				return nil, nil, r.fail(a.StarStar.Pos(), "Not a name", fmt.Sprintf("The key %s cannot name an argument.", kv[0]), "")
			}
			kwargs = append(kwargs, kv)
		}
	}
	return args, kwargs, nil
}

// callee evaluates the function and the arguments of a call.
func (r *render) callee(e *jinja.CallExpr, s *scope) (starlark.Value, starlark.Tuple, []starlark.Tuple, error) {
	fn, err := r.value(e.Fn, s)
	if err != nil {
		return nil, nil, nil, err
	}
	args, kwargs, err := r.arguments(&e.Args, s)
	return fn, args, kwargs, err
}

func (r *render) call(e *jinja.CallExpr, s *scope) (starlark.Value, error) {
	fn, args, kwargs, err := r.callee(e, s)
	if err != nil {
		return nil, err
	}
	return r.apply(e, fn, args, kwargs)
}

// apply calls a function for its value.
func (r *render) apply(e *jinja.CallExpr, fn starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, ok := fn.(starlark.Callable)
	if !ok {
		return nil, r.fail(e.ArgsFrom, "Not a function", fmt.Sprintf("%s is %s and cannot be called.", text(e.Fn), value.KindOf(fn)), "")
	}
	if m, ok := c.(*macro); ok {
		out, err := r.capture(func() error { return r.invokeAt(e, m, args, kwargs) })
		if err != nil {
			return nil, err
		}
		return starlark.String(out), r.bounded(e.At, starlark.String(out))
	}
	if err := r.affordable(e, c, args); err != nil {
		return nil, err
	}
	v, err := starlark.Call(r.thread(), c, args, kwargs)
	if err != nil {
		return nil, r.callError(e, err)
	}
	if u, ok := v.(*value.Undefined); ok {
		return u, nil
	}
	return v, r.bounded(e.At, v)
}

// callError tells what a function said, without Starlark's backtrace.
func (r *render) callError(e *jinja.CallExpr, err error) error {
	var f diag.Finding
	var ev *starlark.EvalError
	if !errors.As(err, &f) && errors.As(err, &ev) {
		name := text(e.Fn)
		return r.wrap(e.At, fmt.Sprintf("Call of %s", name), errors.New(strings.TrimPrefix(ev.Msg, name+": ")))
	}
	return r.wrap(e.At, fmt.Sprintf("Call of %s", text(e.Fn)), err)
}

// affordable counts the work of a call by the size of what it is given, and refuses string methods whose result could be
// far too large.
func (r *render) affordable(e *jinja.CallExpr, c starlark.Callable, args starlark.Tuple) error {
	work := int64(0)
	for _, a := range args {
		work += value.Weight(a)
	}
	if b, ok := c.(*starlark.Builtin); ok && b.Receiver() != nil {
		own := value.Weight(b.Receiver())
		switch b.Name() {
		case "replace", "join", "format":
			if own*(work+1) > value.MaxWork {
				return r.tooLarge(e.At)
			}
		}
		work += own
	}
	return r.step(e.At, int(work/64))
}

// thread is the Starlark thread of this rendering, made when first needed.
func (r *render) thread() *starlark.Thread {
	if r.starlark == nil {
		r.starlark = &starlark.Thread{Name: r.src.File(), Print: func(*starlark.Thread, string) {}}
		r.starlark.SetMaxExecutionSteps(uint64(r.limits.Steps))
	}
	return r.starlark
}

func (r *render) filtered(e *jinja.FilterExpr, s *scope) (starlark.Value, error) {
	if builtin.Filters[e.Name] == nil {
		return nil, r.wrap(e.At, "Unknown filter", builtin.UnknownFilter(e.Name))
	}
	var x starlark.Value
	var err error
	if isDefault(e.Name) {
		x, err = r.eval(e.X, s)
	} else {
		x, err = r.value(e.X, s)
	}
	if err != nil {
		return nil, err
	}
	return r.filter(e, x, s)
}

func isDefault(filter string) bool { return filter == "default" || filter == "d" }

// filter applies a filter to a value.
func (r *render) filter(e *jinja.FilterExpr, x starlark.Value, s *scope) (starlark.Value, error) {
	fn := builtin.Filters[e.Name]
	if fn == nil {
		return nil, r.wrap(e.At, "Unknown filter", builtin.UnknownFilter(e.Name))
	}
	args, kwargs, err := r.arguments(&e.Args, s)
	if err != nil {
		return nil, err
	}
	v, err := fn(&builtin.Call{Env: place{r, e.At}, Name: e.Name, Args: args, Kwargs: kwargs}, x)
	if err != nil {
		return nil, r.wrap(e.At, "Filter "+e.Name, trimName(err, e.Name))
	}
	return v, r.bounded(e.At, v)
}

// place is a rendering at one offset of its file, as filters know it.
type place struct {
	r  *render
	at int
}

func (p place) Pos() diag.Pos                                    { return p.r.src.Pos(p.at) }
func (p place) Items(x starlark.Value) ([]starlark.Value, error) { return p.r.items(p.at, x) }
func (p place) MaxItems() int                                    { return p.r.limits.Steps }
func (p place) Bounded(v starlark.Value) error                   { return p.r.bounded(p.at, v) }
func (p place) TooLarge() error                                  { return p.r.tooLarge(p.at) }

// trimName removes the function's name that Starlark puts before messages about arguments: the summary has it.
func trimName(err error, name string) error {
	var f diag.Finding
	if errors.As(err, &f) {
		return err
	}
	return errors.New(strings.TrimPrefix(err.Error(), name+": "))
}

func (r *render) tested(e *jinja.TestExpr, s *scope) (starlark.Value, error) {
	fn := builtin.Tests[e.Name]
	if fn == nil {
		return nil, r.wrap(e.At, "Unknown test", builtin.UnknownTest(e.Name))
	}
	var x starlark.Value
	var err error
	if e.Name == "defined" || e.Name == "undefined" {
		x, err = r.eval(e.X, s)
	} else {
		x, err = r.value(e.X, s)
	}
	if err != nil {
		return nil, err
	}
	args, kwargs, err := r.arguments(&e.Args, s)
	if err != nil {
		return nil, err
	}
	if len(kwargs) > 0 {
		return nil, r.fail(e.At, "Test "+e.Name, "A test takes no keyword arguments.", "")
	}
	ok, err := fn(x, args)
	if err != nil {
		return nil, r.wrap(e.At, "Test "+e.Name, err)
	}
	return starlark.Bool(ok != e.Not), nil
}

// capture runs write and gives what it wrote instead of writing it.
func (r *render) capture(write func() error) (string, error) {
	out := r.out
	r.out = new(sqltext.Builder)
	r.held += out.Len()
	err := write()
	text := r.out.String()
	r.out = out
	r.held -= out.Len()
	return text, err
}

// invokeAt calls a macro and tells, in an error, where from.
func (r *render) invokeAt(e *jinja.CallExpr, m *macro, args starlark.Tuple, kwargs []starlark.Tuple) error {
	err := r.invoke(m, args, kwargs)
	var f diag.Finding
	if err == nil || !errors.As(err, &f) {
		return err
	}
	if f.At.File == "" {
		f.At = r.src.Pos(e.At)
	} else if strings.Count(f.Detail, "\n") < 4 {
		f.Detail += fmt.Sprintf("\nIn %s, called at %s.", m.def.Name, r.src.Pos(e.At))
	}
	return f
}

// maxCalls bounds macros that call one another and templates that include one another.
const maxCalls = 100

// deeper counts a level of calls; the caller takes it back with r.depth--.
func (r *render) deeper(at int) error {
	r.depth++
	if r.depth > maxCalls {
		return r.fail(at, "Calls nest too deep", fmt.Sprintf("Macros and included templates call one another more than %d levels deep.", maxCalls), "Look for one that calls itself without an end.")
	}
	return nil
}

// invoke runs a macro's body; it writes to r.out, with places in the macro's own file.
func (r *render) invoke(m *macro, args starlark.Tuple, kwargs []starlark.Tuple) error {
	src := r.src
	r.src = m.def.Src
	defer func() { r.src = src; r.depth-- }()
	if err := r.deeper(m.def.At); err != nil {
		return err
	}
	s := &scope{parent: m.scope}
	if err := r.bindParams(m.def, s, args, kwargs); err != nil {
		var f diag.Finding
		if errors.As(err, &f) {
			return err
		}
		return diag.Finding{At: diag.Pos{}, Severity: diag.Error, Summary: "Call of " + m.def.Name, Detail: sentence(err.Error()),
			Fix: fmt.Sprintf("It is declared as %s at %s.", m.def.Signature(), m.def.Src.Pos(m.def.At))}
	}
	return r.run(m.def.Body, s)
}

// bindParams binds a macro's parameters in s. A parameter without argument and default is undefined, as in Jinja.
func (r *render) bindParams(def *jinja.MacroDef, s *scope, args starlark.Tuple, kwargs []starlark.Tuple) error {
	named := map[string]starlark.Value{}
	for _, kv := range kwargs {
		named[string(kv[0].(starlark.String))] = kv[1]
	}
	rest := starlark.Tuple{}
	if len(args) > len(def.Params) {
		args, rest = args[:len(def.Params)], args[len(def.Params):]
		if !def.Varargs {
			return fmt.Errorf("it takes %d arguments and was given %d", len(def.Params), len(args)+len(rest))
		}
	}
	for i, p := range def.Params {
		v, byName := named[p.Name]
		delete(named, p.Name)
		switch {
		case i < len(args) && byName:
			return fmt.Errorf("the argument %q is given twice", p.Name)
		case i < len(args):
			v = args[i]
		case byName:
		case p.DefaultValue != nil:
			var err error
			if v, err = r.value(p.DefaultValue, s); err != nil {
				return err
			}
		default:
			v = &value.Undefined{Why: func() diag.Finding {
				return diag.Finding{Summary: "Argument not given", Detail: fmt.Sprintf("The macro %s reads its parameter %q, which the call leaves out.", def.Name, p.Name)}
			}}
		}
		s.set(p.Name, v)
	}
	if def.Varargs {
		s.set("varargs", rest)
	}
	return bindExtra(def, s, named)
}

// bindExtra binds caller, and the keyword arguments that are no parameters as kwargs.
func bindExtra(def *jinja.MacroDef, s *scope, named map[string]starlark.Value) error {
	if caller, ok := named["caller"]; ok {
		if !def.Caller {
			return fmt.Errorf("the macro %s does not use caller(), so a call block has no place in it", def.Name)
		}
		s.set("caller", caller)
		delete(named, "caller")
	} else if def.Caller && s.get("caller") == nil {
		s.set("caller", &value.Undefined{Why: func() diag.Finding {
			return diag.Finding{Summary: "No caller", Detail: fmt.Sprintf("The macro %s writes caller(), and was not called by a call block.", def.Name),
				Fix: fmt.Sprintf("Write {%% call %s %%} … {%% endcall %%}.", def.Signature())}
		}})
	}
	if !def.Kwargs {
		if len(named) == 0 {
			return nil
		}
		params := make([]string, len(def.Params))
		for i, p := range def.Params {
			params[i] = p.Name
		}
		unknown := slices.Sorted(maps.Keys(named))[0]
		return fmt.Errorf("it has no parameter %q. %s", unknown, diag.DidYouMean(unknown, params))
	}
	d := starlark.NewDict(len(named))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if err := d.SetKey(starlark.String(name), named[name]); err != nil {
			return err
		}
	}
	s.set("kwargs", d)
	return nil
}
