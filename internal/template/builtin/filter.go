// Package builtin holds what Jinja and Airflow give every template: the filters, the tests and the global functions, in the
// maps Filters, Tests and Globals, which nobody changes.
//
// A filter knows the rendering that it is part of only as an Env, which bounds its work and says where it stands. HTML's
// filters, and those whose result differs from one rendering to the next, are refused with a reason.
package builtin

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/template/value"
)

// Filter gives the value of {{ x | name(args) }}.
type Filter func(c *Call, x starlark.Value) (starlark.Value, error)

// Env is what a filter needs of the rendering that it is part of, at the place where it stands.
type Env interface {
	Pos() diag.Pos
	// Items gives what a loop goes through: the items of a list, the keys of a dict, the letters of a string.
	Items(x starlark.Value) ([]starlark.Value, error)
	// MaxItems is more than a rendering may go through.
	MaxItems() int
	// Bounded counts the work that made a value, and refuses one that is too large.
	Bounded(v starlark.Value) error
	// TooLarge is the error of a result that is not even begun.
	TooLarge() error
}

// Call is one use of a filter.
type Call struct {
	Env    Env
	Name   string
	Args   starlark.Tuple
	Kwargs []starlark.Tuple
}

// unpack binds the arguments, as starlark.UnpackArgs does.
func (c *Call) unpack(pairs ...any) error {
	if len(pairs) == 0 && len(c.Args)+len(c.Kwargs) > 0 {
		return fmt.Errorf("it takes no arguments")
	}
	if len(c.Args)+len(c.Kwargs) == 0 && allOptional(pairs) {
		return nil
	}
	return starlark.UnpackArgs(c.Name, c.Args, c.Kwargs, pairs...)
}

func allOptional(pairs []any) bool {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.HasSuffix(pairs[i].(string), "?") {
			return false
		}
	}
	return true
}

// missing is an undefined value that a filter gives, for example for the first item of an empty list.
func (c *Call) missing(detail string) (starlark.Value, error) {
	at := c.Env.Pos()
	return &value.Undefined{Why: func() diag.Finding {
		return diag.Finding{At: at, Summary: "No value", Detail: detail, Fix: "Give a default: | default(…)."}
	}}, nil
}

// Filters are Jinja's, as far as they make sense for SQL, Airflow's, and two for quoting.
var Filters map[string]Filter

// refusedFilters say what to do instead.
var refusedFilters = map[string]string{
	"random":      "A rendering must give the same text again; take macros.random(), which the run's id seeds.",
	"escape":      "HTML escapes have no place in SQL; the literal filter quotes a value.",
	"e":           "HTML escapes have no place in SQL; the literal filter quotes a value.",
	"forceescape": "HTML escapes have no place in SQL; the literal filter quotes a value.",
	"striptags":   "HTML has no place in SQL.",
	"urlize":      "HTML has no place in SQL.",
	"xmlattr":     "HTML has no place in SQL.",
}

// UnknownFilter is the error of a name that is no filter.
func UnknownFilter(name string) error {
	f := diag.Finding{Severity: diag.Error, Summary: "Unknown filter", Detail: fmt.Sprintf("There is no filter %q.", name), Fix: diag.DidYouMean(name, slices.Sorted(maps.Keys(Filters)))}
	if why := refusedFilters[name]; why != "" {
		f.Summary, f.Detail, f.Fix = "Filter not supported", fmt.Sprintf("%q: %s", name, why), ""
	}
	return f
}

func init() {
	Filters = map[string]Filter{
		"abs": absFilter, "attr": attrFilter, "batch": batchFilter, "capitalize": onString(capitalize), "center": centerFilter,
		"count": lengthFilter, "d": defaultFilter, "default": defaultFilter, "dictsort": dictsortFilter, "first": firstFilter,
		"float": floatFilter, "format": formatFilter, "groupby": groupbyFilter, "ident": onString(sqltext.QuoteIdent),
		"indent": indentFilter, "int": intFilter, "items": itemsFilter, "join": joinFilter, "last": lastFilter,
		"length": lengthFilter, "list": listFilter, "literal": literalFilter, "lower": onString(strings.ToLower), "map": mapFilter,
		"max": extremeFilter(syntax.GT), "min": extremeFilter(syntax.LT), "reject": selectFilter(false, false),
		"rejectattr": selectFilter(true, false), "replace": replaceFilter, "reverse": reverseFilter, "round": roundFilter,
		"safe": func(_ *Call, x starlark.Value) (starlark.Value, error) { return x, nil }, "select": selectFilter(false, true),
		"selectattr": selectFilter(true, true), "slice": sliceFilter, "sort": sortFilter, "string": onString(func(s string) string { return s }),
		"sum": sumFilter, "title": onString(title), "tojson": tojsonFilter, "trim": trimFilter, "truncate": truncateFilter,
		"unique": uniqueFilter, "upper": onString(strings.ToUpper), "wordcount": wordcountFilter,
		"ds": dateFilter("%Y-%m-%d"), "ds_nodash": dateFilter("%Y%m%d"), "ts": tsFilter,
		"ts_nodash": dateFilter("%Y%m%dT%H%M%S"), "ts_nodash_with_tz": dateFilter("%Y%m%dT%H%M%S%z"),
	}
}

func defaultFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var other starlark.Value = starlark.String("")
	falsy := false
	if err := c.unpack("default_value?", &other, "boolean?", &falsy); err != nil {
		return nil, err
	}
	if _, ok := x.(*value.Undefined); ok || falsy && !bool(x.Truth()) {
		return other, nil
	}
	return x, nil
}

func lengthFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	if err := c.unpack(); err != nil {
		return nil, err
	}
	if s, ok := x.(starlark.String); ok {
		return starlark.MakeInt(utf8.RuneCountInString(string(s))), nil
	}
	if n := starlark.Len(x); n >= 0 {
		return starlark.MakeInt(n), nil
	}
	items, err := c.Env.Items(x)
	return starlark.MakeInt(len(items)), err
}

func firstFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return c.missing("An empty list has no first item.")
	}
	return items[0], nil
}

func lastFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return c.missing("An empty list has no last item.")
	}
	return items[len(items)-1], nil
}

func listFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	items, err := c.Env.Items(x)
	return starlark.NewList(append([]starlark.Value(nil), items...)), err
}

func reverseFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	backwards := make([]starlark.Value, len(items))
	for i, item := range items {
		backwards[len(items)-1-i] = item
	}
	if _, ok := x.(starlark.String); ok {
		return joined(backwards, ""), nil
	}
	return starlark.NewList(backwards), nil
}

func joined(items []starlark.Value, sep string) starlark.String {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(value.Text(item))
	}
	return starlark.String(b.String())
}

func joinFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var sep, attribute starlark.Value = starlark.String(""), nil
	if err := c.unpack("d?", &sep, "attribute?", &attribute); err != nil {
		return nil, err
	}
	items, err := c.picked(x, attribute, nil)
	if err != nil {
		return nil, err
	}
	if value.Weight(starlark.Tuple(items))+int64(len(items))*value.Weight(sep) > value.MaxWork {
		return nil, c.Env.TooLarge()
	}
	return joined(items, value.Text(sep)), nil
}

// picked gives the items, or that attribute of each.
func (c *Call) picked(x, attribute, other starlark.Value) ([]starlark.Value, error) {
	items, err := c.Env.Items(x)
	if err != nil || attribute == nil || attribute == starlark.None {
		return items, err
	}
	values := make([]starlark.Value, len(items))
	for i, item := range items {
		if values[i], err = c.pick(item, attribute, other); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// pick reads an attribute such as "a.b" or "0" of an item, or its item of that number; other stands in when it is not
// there.
func (c *Call) pick(item, attribute, other starlark.Value) (starlark.Value, error) {
	if i, ok := attribute.(starlark.Int); ok {
		attribute = starlark.String(i.String())
	}
	name, ok := starlark.AsString(attribute)
	if !ok {
		return nil, fmt.Errorf("an attribute is a name or a number, not %s", value.KindOf(attribute))
	}
	for _, part := range strings.Split(name, ".") {
		var key starlark.Value = starlark.String(part)
		if i, problem := starlark.NumberToInt(value.NumberOf(part)); problem == nil {
			key = i
		}
		v, found, err := c.pickOne(item, key)
		if err != nil || !found && other != nil {
			return other, err
		}
		if !found {
			return nil, fmt.Errorf("an item (%s) has no %s", value.KindOf(item), key)
		}
		item = v
	}
	return item, nil
}

func (c *Call) pickOne(item, key starlark.Value) (v starlark.Value, found bool, err error) {
	switch key := key.(type) {
	case starlark.String:
		v, err = value.Attr(item, string(key))
	case starlark.Int:
		if list, ok := item.(starlark.Indexable); ok {
			if i, err := starlark.AsInt32(key); err == nil && i >= 0 && i < list.Len() {
				v = list.Index(i)
			}
		}
	}
	return v, v != nil, err
}

func attrFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var name string
	if err := c.unpack("name", &name); err != nil {
		return nil, err
	}
	v, err := value.Attr(x, name)
	if err != nil || v != nil {
		return v, err
	}
	return c.missing(fmt.Sprintf("The value has no attribute %q.", name))
}

// folded gives strings in lower case, so that order and equality ignore case.
func folded(v starlark.Value, caseSensitive bool) starlark.Value {
	if s, ok := v.(starlark.String); ok && !caseSensitive {
		return starlark.String(strings.ToLower(string(s)))
	}
	return v
}

// sorted orders values by keys, stably.
func sorted(values, keys []starlark.Value, reverse bool) ([]starlark.Value, error) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	var failed error
	sort.SliceStable(order, func(i, j int) bool {
		x, y := keys[order[i]], keys[order[j]]
		if reverse {
			x, y = y, x
		}
		less, err := starlark.Compare(syntax.LT, x, y)
		if err != nil && failed == nil {
			failed = err
		}
		return less
	})
	out := make([]starlark.Value, len(values))
	for i, k := range order {
		out[i] = values[k]
	}
	return out, failed
}

// keyed gives the items and what each is compared by, as the arguments case_sensitive and attribute say; more are the
// arguments before these.
func (c *Call) keyed(x starlark.Value, more ...any) (items, keys []starlark.Value, err error) {
	caseSensitive := false
	var attribute starlark.Value
	if err := c.unpack(append(more, "case_sensitive?", &caseSensitive, "attribute?", &attribute)...); err != nil {
		return nil, nil, err
	}
	if items, err = c.Env.Items(x); err != nil {
		return nil, nil, err
	}
	keys = make([]starlark.Value, len(items))
	for i, item := range items {
		if keys[i], err = c.sortKey(item, attribute, caseSensitive); err != nil {
			return nil, nil, err
		}
	}
	return items, keys, nil
}

func sortFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	reverse := false
	items, keys, err := c.keyed(x, "reverse?", &reverse)
	if err != nil {
		return nil, err
	}
	out, err := sorted(items, keys, reverse)
	return starlark.NewList(out), err
}

// sortKey is the attribute, or several of them ("a,b"), that an item is ordered by.
func (c *Call) sortKey(item, attribute starlark.Value, caseSensitive bool) (starlark.Value, error) {
	if attribute == nil || attribute == starlark.None {
		return folded(item, caseSensitive), nil
	}
	names, ok := starlark.AsString(attribute)
	if !ok || !strings.Contains(names, ",") {
		v, err := c.pick(item, attribute, nil)
		return folded(v, caseSensitive), err
	}
	var key starlark.Tuple
	for _, name := range strings.Split(names, ",") {
		v, err := c.pick(item, starlark.String(strings.TrimSpace(name)), nil)
		if err != nil {
			return nil, err
		}
		key = append(key, folded(v, caseSensitive))
	}
	return key, nil
}

func uniqueFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	items, keys, err := c.keyed(x)
	if err != nil {
		return nil, err
	}
	seen := starlark.NewDict(len(items))
	var kept []starlark.Value
	for i, item := range items {
		if _, found, err := seen.Get(keys[i]); err != nil {
			return nil, err
		} else if !found {
			kept = append(kept, item)
			if err := seen.SetKey(keys[i], starlark.True); err != nil {
				return nil, err
			}
		}
	}
	return starlark.NewList(kept), nil
}

func extremeFilter(op syntax.Token) Filter {
	return func(c *Call, x starlark.Value) (starlark.Value, error) {
		items, keys, err := c.keyed(x)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return c.missing("An empty list has no " + c.Name + ".")
		}
		best := 0
		for i := 1; i < len(items); i++ {
			better, err := starlark.Compare(op, keys[i], keys[best])
			if err != nil {
				return nil, err
			}
			if better {
				best = i
			}
		}
		return items[best], nil
	}
}

func sumFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var attribute, total starlark.Value = nil, starlark.MakeInt(0)
	if err := c.unpack("attribute?", &attribute, "start?", &total); err != nil {
		return nil, err
	}
	items, err := c.picked(x, attribute, nil)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if total, err = starlark.Binary(syntax.PLUS, total, item); err != nil {
			return nil, err
		}
		if err := c.Env.Bounded(total); err != nil {
			return nil, err
		}
	}
	return total, nil
}

// mapFilter applies a filter to every item, or takes an attribute of each.
func mapFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	var attribute, other starlark.Value
	var rest []starlark.Tuple
	for _, kv := range c.Kwargs {
		switch kv[0] {
		case starlark.String("attribute"):
			attribute = kv[1]
		case starlark.String("default"):
			other = kv[1]
		default:
			rest = append(rest, kv)
		}
	}
	if attribute != nil {
		values, err := c.picked(starlark.Tuple(items), attribute, other)
		return starlark.NewList(values), err
	}
	if len(c.Args) == 0 {
		return nil, fmt.Errorf("it needs the name of a filter, or attribute=")
	}
	name, _ := starlark.AsString(c.Args[0])
	fn := Filters[name]
	if fn == nil {
		return nil, UnknownFilter(name)
	}
	inner := &Call{Env: c.Env, Name: name, Args: c.Args[1:], Kwargs: rest}
	values := make([]starlark.Value, len(items))
	for i, item := range items {
		v, err := fn(inner, item)
		if err != nil {
			return nil, err
		}
		if u, ok := v.(*value.Undefined); ok {
			return u, nil
		}
		if err := c.Env.Bounded(v); err != nil {
			return nil, err
		}
		values[i] = v
	}
	return starlark.NewList(values), nil
}

// selectFilter keeps the items that pass a test, or fail it; byAttr tests an attribute of each.
func selectFilter(byAttr, keep bool) Filter {
	return func(c *Call, x starlark.Value) (starlark.Value, error) {
		items, err := c.Env.Items(x)
		if err != nil {
			return nil, err
		}
		args := c.Args
		var attribute starlark.Value
		if byAttr {
			if len(args) == 0 {
				return nil, fmt.Errorf("it needs the name of an attribute")
			}
			attribute, args = args[0], args[1:]
		}
		passes := Test(func(x starlark.Value, _ starlark.Tuple) (bool, error) { return bool(x.Truth()), nil })
		testName := ""
		if len(args) > 0 {
			testName, _ = starlark.AsString(args[0])
			if passes = Tests[testName]; passes == nil {
				return nil, UnknownTest(testName)
			}
			args = args[1:]
		}
		var kept []starlark.Value
		for _, item := range items {
			v := item
			if byAttr {
				if v, err = c.pick(item, attribute, &value.Undefined{Why: func() diag.Finding { return diag.Finding{Summary: "Unknown attribute"} }}); err != nil {
					return nil, err
				}
			}
			if _, missing := v.(*value.Undefined); missing && testName != "defined" && testName != "undefined" {
				return nil, fmt.Errorf("an item (%s) has no %s", value.KindOf(item), attribute)
			}
			ok, err := passes(v, args)
			if err != nil {
				return nil, err
			}
			if ok == keep {
				kept = append(kept, item)
			}
		}
		return starlark.NewList(kept), nil
	}
}
