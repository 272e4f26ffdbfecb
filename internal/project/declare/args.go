package declare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/project/source"
)

// call reads the arguments of one call of a builtin. A wrong argument becomes a finding at that argument and gives its
// default, so that one evaluation shows all mistakes.
type call struct {
	e     *evaluation
	name  string // "pipeline", "p.sql"
	at    diag.Pos
	node  *syntax.CallExpr // nil when the place is not known
	given map[string]starlark.Value
	order []string
	known []string // the keywords asked for
}

// newCall begins reading. positional names the parameters that may be given without a keyword.
func (e *evaluation) newCall(t *starlark.Thread, name string, args starlark.Tuple, kwargs []starlark.Tuple, positional ...string) *call {
	c := &call{e: e, name: name, given: make(map[string]starlark.Value, len(kwargs)+len(args))}
	pos := t.CallFrame(1).Pos
	c.at = starPos(pos)
	if m := e.modules[pos.Filename()]; m != nil {
		if c.node = m.calls[[2]int32{pos.Line, pos.Col}]; c.node != nil {
			c.at = starPos(syntax.Start(c.node))
		}
	}
	for i, v := range args {
		if i >= len(positional) {
			c.report(c.at, "Too many arguments", "Give the others by keyword.", "%s takes %d without a keyword, not %d.", name, len(positional), len(args))
			break
		}
		c.given[positional[i]] = v
		c.order = append(c.order, positional[i])
	}
	for _, kv := range kwargs {
		key := string(kv[0].(starlark.String))
		if _, twice := c.given[key]; twice {
			c.report(c.place(key), "Argument given twice", "Keep one of the two.", "%s has %s by place and by keyword.", name, key)
		} else {
			c.order = append(c.order, key)
		}
		c.given[key] = kv[1]
	}
	return c
}

func (c *call) report(at diag.Pos, summary, fix, detail string, args ...any) {
	c.e.findings = append(c.e.findings, diag.Finding{At: at, Severity: diag.Error, Summary: summary, Detail: fmt.Sprintf(detail, args...), Fix: fix})
}

// place gives the position of a keyword argument, or of the call.
func (c *call) place(key string) diag.Pos {
	if c.node == nil {
		return c.at
	}
	for _, arg := range c.node.Args {
		if b, ok := arg.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			if id, ok := b.X.(*syntax.Ident); ok && id.Name == key {
				return starPos(id.NamePos)
			}
		}
	}
	return c.at
}

// value gives an argument, nil when it is not given or None.
func (c *call) value(key string) starlark.Value {
	c.known = append(c.known, key)
	if v := c.given[key]; v != starlark.None {
		return v
	}
	return nil
}

func (c *call) has(key string) bool {
	v, ok := c.given[key]
	return ok && v != starlark.None
}

func (c *call) wrong(key, want string, v starlark.Value, example string) {
	c.report(c.place(key), "Wrong type", "Write for example "+key+" = "+example+".", "%s of %s must be %s, not %s.", key, c.name, want, showValue(v))
}

// showValue names a value for people.
func showValue(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.String:
		text := string(v)
		if len(text) > 60 {
			text = strings.ToValidUTF8(text[:60], "") + "…"
		}
		return fmt.Sprintf("the text %q", text)
	case starlark.Int, starlark.Float:
		return "the number " + v.String()
	case starlark.Bool:
		return "the boolean " + v.String()
	case starlark.NoneType:
		return "None"
	case *taskValue:
		return fmt.Sprintf("the task %s", v.decl.Task.Name)
	case *pipelineValue:
		return fmt.Sprintf("the pipeline %s", v.decl.Pipeline.Name)
	case *groupValue:
		return fmt.Sprintf("the group %s", v.decl.Path)
	case *datasetValue:
		return fmt.Sprintf("the dataset %s", v.name)
	case *modelValue:
		return fmt.Sprintf("the model %s", v.model.Name)
	case *record:
		return v.what + "(…)"
	}
	return "a " + v.Type()
}

func (c *call) text(key, def, example string) string {
	v := c.value(key)
	if v == nil {
		return def
	}
	if s, ok := starlark.AsString(v); ok {
		return s
	}
	c.wrong(key, "a text", v, fmt.Sprintf("%q", example))
	return def
}

// required is text that must be there.
func (c *call) required(key, example string) string {
	s := c.text(key, "", example)
	if s == "" && !c.badlyGiven(key) {
		c.report(c.at, "Missing argument", fmt.Sprintf("Add %s = %q, for example.", key, example), "%s needs %s.", c.name, key)
	}
	return s
}

// badlyGiven reports whether the argument is there but of a wrong type, which is a finding already.
func (c *call) badlyGiven(key string) bool {
	_, isText := c.given[key].(starlark.String)
	return c.has(key) && !isText
}

func (c *call) boolean(key string, def bool) bool {
	v := c.value(key)
	if v == nil {
		return def
	}
	if b, ok := v.(starlark.Bool); ok {
		return bool(b)
	}
	c.wrong(key, "True or False", v, "True")
	return def
}

func (c *call) whole(key string, def, lowest, highest int) int {
	v := c.value(key)
	if v == nil {
		return def
	}
	n, isInt := v.(starlark.Int)
	if !isInt {
		c.wrong(key, "a whole number", v, fmt.Sprint(max(def, lowest)))
		return def
	}
	i, fits := n.Int64()
	if !fits || i < int64(lowest) || i > int64(highest) {
		fix := fmt.Sprintf("Write a number from %d to %d.", lowest, highest)
		if highest == math.MaxInt32 {
			fix = fmt.Sprintf("Write %d or more.", lowest)
		}
		c.report(c.place(key), "Out of range", fix, "%s of %s is %s.", key, c.name, n)
		return def
	}
	return int(i)
}

func (c *call) seed(key string) int64 {
	v := c.value(key)
	if v == nil {
		return 0
	}
	if n, ok := v.(starlark.Int); ok {
		if i, fits := n.Int64(); fits {
			return i
		}
	}
	c.wrong(key, "a whole number of 64 bits", v, "7")
	return 0
}

// real reads a number for which ok holds; want says the rule in words.
func (c *call) real(key string, def float64, want string, ok func(float64) bool) float64 {
	v := c.value(key)
	if v == nil {
		return def
	}
	f, isNumber := starlark.AsFloat(v)
	if !isNumber {
		c.wrong(key, want, v, fmt.Sprint(def))
		return def
	}
	if !ok(f) || math.IsNaN(f) {
		c.report(c.place(key), "Out of range", "Write "+want+".", "%s of %s is %s.", key, c.name, v)
		return def
	}
	return f
}

func (c *call) duration(key string, def time.Duration) time.Duration {
	v := c.value(key)
	if v == nil {
		return def
	}
	s, isText := starlark.AsString(v)
	if d, err := source.ParseDuration(s); isText && err == nil {
		return d
	}
	c.report(c.place(key), "Not a duration", source.DurationFix, "%s of %s is %s.", key, c.name, showValue(v))
	return def
}

func (c *call) date(key string, loc *time.Location) time.Time {
	v := c.value(key)
	if v == nil {
		return time.Time{}
	}
	s, isText := starlark.AsString(v)
	if t, err := source.ParseDate(s, loc); isText && err == nil {
		return t
	}
	c.report(c.place(key), "Not a date", source.DateFix, "%s of %s is %s.", key, c.name, showValue(v))
	return time.Time{}
}

// texts reads a list of texts, or one text alone.
func (c *call) texts(key, example string) []string {
	v := c.value(key)
	if v == nil {
		return nil
	}
	if s, ok := starlark.AsString(v); ok {
		return []string{s}
	}
	items, ok := sequence(v)
	if !ok {
		c.wrong(key, "a list of texts", v, example)
		return nil
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := starlark.AsString(item)
		if !ok {
			c.wrong(key, "a list of texts", item, example)
			continue
		}
		list = append(list, s)
	}
	return list
}

// badList reports whether the argument is there but no list of texts, which is a finding already.
func (c *call) badList(key string) bool {
	items, isList := sequence(c.given[key])
	_, isText := c.given[key].(starlark.String)
	return c.has(key) && !isText && !(isList && len(items) == 0)
}

// sequence gives the elements of a list or tuple.
func sequence(v starlark.Value) ([]starlark.Value, bool) {
	switch v := v.(type) {
	case *starlark.List:
		items := make([]starlark.Value, v.Len())
		for i := range items {
			items[i] = v.Index(i)
		}
		return items, true
	case starlark.Tuple:
		return v, true
	}
	return nil, false
}

// choice reads one of a few words.
func (c *call) choice(key, def string, words []string) string {
	s := c.text(key, def, def)
	if slices.Contains(words, s) {
		return s
	}
	fix := diag.DidYouMean(s, words)
	if fix == "" {
		fix = "Take one of: " + strings.Join(words, ", ") + "."
	}
	c.report(c.place(key), "Unknown "+strings.ReplaceAll(key, "_", " "), fix, "%s of %s is %q.", key, c.name, s)
	return def
}

// finish reports the keywords that nobody asked for.
func (c *call) finish() {
	for _, key := range c.order {
		if slices.Contains(c.known, key) {
			continue
		}
		fix := diag.DidYouMean(key, c.known)
		if fix == "" {
			fix = "Remove it, or take one of: " + strings.Join(c.known, ", ") + "."
		}
		c.report(c.place(key), "Unknown argument", fix, "%s takes no %q.", c.name, key)
	}
}
