package template

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// arguments evaluates the arguments of a call, filter or test.
func (r *render) arguments(a *arguments, s *scope) (starlark.Tuple, []starlark.Tuple, error) {
	if a.empty() {
		return nil, nil, nil
	}
	args, err := r.values(a.list, s)
	if err != nil {
		return nil, nil, err
	}
	if a.star != nil {
		more, err := r.value(a.star, s)
		if err != nil {
			return nil, nil, err
		}
		items, err := r.items(a.star.pos(), more)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, items...)
	}
	var kwargs []starlark.Tuple
	for i, e := range a.named {
		v, err := r.value(e, s)
		if err != nil {
			return nil, nil, err
		}
		kwargs = append(kwargs, starlark.Tuple{starlark.String(a.names[i]), v})
	}
	if a.starStar != nil {
		more, err := r.value(a.starStar, s)
		if err != nil {
			return nil, nil, err
		}
		m, ok := more.(starlark.IterableMapping)
		if !ok {
			return nil, nil, r.fail(a.starStar.pos(), "Not a dict", fmt.Sprintf("** spreads a dict, not a %s.", more.Type()), "")
		}
		for _, kv := range m.Items() {
			if _, ok := kv[0].(starlark.String); !ok {
				return nil, nil, r.fail(a.starStar.pos(), "Not a name", fmt.Sprintf("The key %s cannot name an argument.", kv[0]), "")
			}
			kwargs = append(kwargs, kv)
		}
	}
	return args, kwargs, nil
}

// callee evaluates the function and the arguments of a call.
func (r *render) callee(e *callExpr, s *scope) (starlark.Value, starlark.Tuple, []starlark.Tuple, error) {
	fn, err := r.value(e.fn, s)
	if err != nil {
		return nil, nil, nil, err
	}
	args, kwargs, err := r.arguments(&e.args, s)
	return fn, args, kwargs, err
}

func (r *render) call(e *callExpr, s *scope) (starlark.Value, error) {
	fn, args, kwargs, err := r.callee(e, s)
	if err != nil {
		return nil, err
	}
	return r.apply(e, fn, args, kwargs)
}

// apply calls a function for its value.
func (r *render) apply(e *callExpr, fn starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, ok := fn.(starlark.Callable)
	if !ok {
		return nil, r.fail(e.argsFrom, "Not a function", fmt.Sprintf("%s is %s and cannot be called.", text(e.fn), kindOf(fn)), "")
	}
	if m, ok := c.(*macro); ok {
		out, err := r.capture(func() error { return r.invokeAt(e, m, args, kwargs) })
		if err != nil {
			return nil, err
		}
		return starlark.String(out), r.bounded(e.at, starlark.String(out))
	}
	if err := r.affordable(e, c, args); err != nil {
		return nil, err
	}
	v, err := starlark.Call(r.thread(), c, args, kwargs)
	if err != nil {
		return nil, r.callError(e, err)
	}
	if u, ok := v.(*undefined); ok {
		return u, nil
	}
	return v, r.bounded(e.at, v)
}

// callError tells what a function said, without Starlark's backtrace.
func (r *render) callError(e *callExpr, err error) error {
	var f diag.Finding
	var ev *starlark.EvalError
	if !errors.As(err, &f) && errors.As(err, &ev) {
		name := text(e.fn)
		return r.wrap(e.at, fmt.Sprintf("Call of %s", name), errors.New(strings.TrimPrefix(ev.Msg, name+": ")))
	}
	return r.wrap(e.at, fmt.Sprintf("Call of %s", text(e.fn)), err)
}

// affordable counts the work of a call by the size of what it is given, and refuses string methods whose result could be
// far too large.
func (r *render) affordable(e *callExpr, c starlark.Callable, args starlark.Tuple) error {
	work := int64(0)
	for _, a := range args {
		work += weight(a)
	}
	if b, ok := c.(*starlark.Builtin); ok && b.Receiver() != nil {
		own := weight(b.Receiver())
		switch b.Name() {
		case "replace", "join", "format":
			if own*(work+1) > maxWork {
				return r.tooLarge(e.at)
			}
		}
		work += own
	}
	return r.step(e.at, int(work/64))
}

// thread is the Starlark thread of this rendering, made when first needed.
func (r *render) thread() *starlark.Thread {
	if r.starlark == nil {
		r.starlark = &starlark.Thread{Name: r.src.File(), Print: func(*starlark.Thread, string) {}}
		r.starlark.SetMaxExecutionSteps(uint64(r.limits.Steps))
	}
	return r.starlark
}

func (r *render) filtered(e *filterExpr, s *scope) (starlark.Value, error) {
	if e.fn == nil {
		return nil, r.wrap(e.at, "Unknown filter", unknownFilter(e.name))
	}
	var x starlark.Value
	var err error
	if isDefault(e.name) {
		x, err = r.eval(e.x, s)
	} else {
		x, err = r.value(e.x, s)
	}
	if err != nil {
		return nil, err
	}
	return r.filter(e, x, s)
}

func isDefault(filter string) bool { return filter == "default" || filter == "d" }

// filter applies a filter to a value.
func (r *render) filter(e *filterExpr, x starlark.Value, s *scope) (starlark.Value, error) {
	if e.fn == nil {
		return nil, r.wrap(e.at, "Unknown filter", unknownFilter(e.name))
	}
	args, kwargs, err := r.arguments(&e.args, s)
	if err != nil {
		return nil, err
	}
	v, err := e.fn(&filterCall{r: r, at: e.at, name: e.name, args: args, kwargs: kwargs}, x)
	if err != nil {
		return nil, r.wrap(e.at, "Filter "+e.name, trimName(err, e.name))
	}
	return v, r.bounded(e.at, v)
}

// trimName removes the function's name that Starlark puts before messages about arguments: the summary has it.
func trimName(err error, name string) error {
	var f diag.Finding
	if errors.As(err, &f) {
		return err
	}
	return errors.New(strings.TrimPrefix(err.Error(), name+": "))
}

func (r *render) tested(e *testExpr, s *scope) (starlark.Value, error) {
	if e.fn == nil {
		return nil, r.wrap(e.at, "Unknown test", unknownTest(e.name))
	}
	var x starlark.Value
	var err error
	if e.name == "defined" || e.name == "undefined" {
		x, err = r.eval(e.x, s)
	} else {
		x, err = r.value(e.x, s)
	}
	if err != nil {
		return nil, err
	}
	args, kwargs, err := r.arguments(&e.args, s)
	if err != nil {
		return nil, err
	}
	if len(kwargs) > 0 {
		return nil, r.fail(e.at, "Test "+e.name, "A test takes no keyword arguments.", "")
	}
	ok, err := e.fn(r, x, args)
	if err != nil {
		return nil, r.wrap(e.at, "Test "+e.name, err)
	}
	return starlark.Bool(ok != e.not), nil
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
func (r *render) invokeAt(e *callExpr, m *macro, args starlark.Tuple, kwargs []starlark.Tuple) error {
	err := r.invoke(m, args, kwargs)
	var f diag.Finding
	if err == nil || !errors.As(err, &f) {
		return err
	}
	if f.At.File == "" {
		f.At = r.src.Pos(e.at)
	} else if strings.Count(f.Detail, "\n") < 4 {
		f.Detail += fmt.Sprintf("\nIn %s, called at %s.", m.def.name, r.src.Pos(e.at))
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
	r.src = m.def.src
	defer func() { r.src = src; r.depth-- }()
	if err := r.deeper(m.def.at); err != nil {
		return err
	}
	s := &scope{parent: m.scope}
	if err := r.bindParams(m.def, s, args, kwargs); err != nil {
		var f diag.Finding
		if errors.As(err, &f) {
			return err
		}
		return diag.Finding{At: diag.Pos{}, Severity: diag.Error, Summary: "Call of " + m.def.name, Detail: sentence(err.Error()),
			Fix: fmt.Sprintf("It is declared as %s at %s.", m.def.signature(), m.def.src.Pos(m.def.at))}
	}
	return r.run(m.def.body, s)
}

// signature gives the macro's name and parameters as declared.
func (d *macroDef) signature() string {
	names := make([]string, len(d.params))
	for i, p := range d.params {
		names[i] = p.name
		if p.defaultValue != nil {
			names[i] += "=…"
		}
	}
	return d.name + "(" + strings.Join(names, ", ") + ")"
}

// bindParams binds a macro's parameters in s. A parameter without argument and default is undefined, as in Jinja.
func (r *render) bindParams(def *macroDef, s *scope, args starlark.Tuple, kwargs []starlark.Tuple) error {
	named := map[string]starlark.Value{}
	for _, kv := range kwargs {
		named[string(kv[0].(starlark.String))] = kv[1]
	}
	rest := starlark.Tuple{}
	if len(args) > len(def.params) {
		args, rest = args[:len(def.params)], args[len(def.params):]
		if !def.varargs {
			return fmt.Errorf("it takes %d arguments and was given %d", len(def.params), len(args)+len(rest))
		}
	}
	for i, p := range def.params {
		v, byName := named[p.name]
		delete(named, p.name)
		switch {
		case i < len(args) && byName:
			return fmt.Errorf("the argument %q is given twice", p.name)
		case i < len(args):
			v = args[i]
		case byName:
		case p.defaultValue != nil:
			var err error
			if v, err = r.value(p.defaultValue, s); err != nil {
				return err
			}
		default:
			v = &undefined{why: func() diag.Finding {
				return diag.Finding{Summary: "Argument not given", Detail: fmt.Sprintf("The macro %s reads its parameter %q, which the call leaves out.", def.name, p.name)}
			}}
		}
		s.set(p.name, v)
	}
	if def.varargs {
		s.set("varargs", rest)
	}
	return bindExtra(def, s, named)
}

// bindExtra binds caller, and the keyword arguments that are no parameters as kwargs.
func bindExtra(def *macroDef, s *scope, named map[string]starlark.Value) error {
	if caller, ok := named["caller"]; ok {
		if !def.caller {
			return fmt.Errorf("the macro %s does not use caller(), so a call block has no place in it", def.name)
		}
		s.set("caller", caller)
		delete(named, "caller")
	} else if def.caller && s.get("caller") == nil {
		s.set("caller", &undefined{why: func() diag.Finding {
			return diag.Finding{Summary: "No caller", Detail: fmt.Sprintf("The macro %s writes caller(), and was not called by a call block.", def.name),
				Fix: fmt.Sprintf("Write {%% call %s %%} … {%% endcall %%}.", def.signature())}
		}})
	}
	if !def.kwargs {
		if len(named) == 0 {
			return nil
		}
		params := make([]string, len(def.params))
		for i, p := range def.params {
			params[i] = p.name
		}
		unknown := sortedKeys(named)[0]
		return fmt.Errorf("it has no parameter %q. %s", unknown, diag.DidYouMean(unknown, params))
	}
	d := starlark.NewDict(len(named))
	for _, name := range sortedKeys(named) {
		if err := d.SetKey(starlark.String(name), named[name]); err != nil {
			return err
		}
	}
	s.set("kwargs", d)
	return nil
}
