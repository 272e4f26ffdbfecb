package builtin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/template/value"
)

// batchFilter cuts a list into rows of n items; the last may be filled up.
func batchFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	n, fill := 0, starlark.Value(starlark.None)
	if err := c.unpack("linecount", &n, "fill_with?", &fill); err != nil {
		return nil, err
	}
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > c.Env.MaxItems() {
		return nil, fmt.Errorf("rows of %d items are not possible", n)
	}
	var rows []starlark.Value
	for from := 0; from < len(items); from += n {
		row := append([]starlark.Value(nil), items[from:min(from+n, len(items))]...)
		for fill != starlark.None && len(row) < n {
			row = append(row, fill)
		}
		rows = append(rows, starlark.NewList(row))
	}
	return starlark.NewList(rows), nil
}

// sliceFilter deals a list into n columns of nearly the same length.
func sliceFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	n, fill := 0, starlark.Value(starlark.None)
	if err := c.unpack("slices", &n, "fill_with?", &fill); err != nil {
		return nil, err
	}
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > c.Env.MaxItems() {
		return nil, fmt.Errorf("%d slices are not possible", n)
	}
	each, longer := len(items)/n, len(items)%n
	var columns []starlark.Value
	for i, from := 0, 0; i < n; i++ {
		size := each
		if i < longer {
			size++
		}
		column := append([]starlark.Value(nil), items[from:from+size]...)
		from += size
		if fill != starlark.None && longer > 0 && i >= longer {
			column = append(column, fill)
		}
		columns = append(columns, starlark.NewList(column))
	}
	return starlark.NewList(columns), nil
}

func itemsFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	if err := c.unpack(); err != nil {
		return nil, err
	}
	m, ok := x.(starlark.IterableMapping)
	if !ok {
		return nil, fmt.Errorf("%s is not a dict", value.KindOf(x))
	}
	var pairs []starlark.Value
	for _, kv := range m.Items() {
		pairs = append(pairs, kv)
	}
	return starlark.NewList(pairs), nil
}

func dictsortFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	caseSensitive, by, reverse := false, "key", false
	if err := c.unpack("case_sensitive?", &caseSensitive, "by?", &by, "reverse?", &reverse); err != nil {
		return nil, err
	}
	m, ok := x.(starlark.IterableMapping)
	if !ok {
		return nil, fmt.Errorf("%s is not a dict", value.KindOf(x))
	}
	if by != "key" && by != "value" {
		return nil, fmt.Errorf("by is key or value, not %q", by)
	}
	var pairs, keys []starlark.Value
	for _, kv := range m.Items() {
		key := kv[0]
		if by == "value" {
			key = kv[1]
		}
		pairs, keys = append(pairs, kv), append(keys, folded(key, caseSensitive))
	}
	out, err := sorted(pairs, keys, reverse)
	return starlark.NewList(out), err
}

// group is one item of groupby: the pair (grouper, list), whose parts have these names as well.
type group struct {
	key  starlark.Value
	list *starlark.List
}

func (g *group) String() string        { return "(" + g.key.String() + ", " + g.list.String() + ")" }
func (g *group) Type() string          { return "group" }
func (g *group) Freeze()               {}
func (g *group) Truth() starlark.Bool  { return true }
func (g *group) Hash() (uint32, error) { return 0, fmt.Errorf("a group is no key") }
func (g *group) AttrNames() []string   { return []string{"grouper", "list"} }
func (g *group) Len() int              { return 2 }

func (g *group) Index(i int) starlark.Value {
	if i == 0 {
		return g.key
	}
	return g.list
}

func (g *group) Iterate() starlark.Iterator { return starlark.Tuple{g.key, g.list}.Iterate() }

func (g *group) Attr(name string) (starlark.Value, error) {
	switch name {
	case "grouper":
		return g.key, nil
	case "list":
		return g.list, nil
	}
	return nil, nil
}

// groupbyFilter sorts items by an attribute and gathers those where it is equal.
func groupbyFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var attribute, other starlark.Value
	caseSensitive := false
	if err := c.unpack("attribute", &attribute, "default?", &other, "case_sensitive?", &caseSensitive); err != nil {
		return nil, err
	}
	items, err := c.Env.Items(x)
	if err != nil {
		return nil, err
	}
	keys := make([]starlark.Value, len(items))
	pairs := make([]starlark.Value, len(items))
	for i, item := range items {
		key, err := c.pick(item, attribute, other)
		if err != nil {
			return nil, err
		}
		keys[i], pairs[i] = folded(key, caseSensitive), starlark.Tuple{key, item}
	}
	ordered, err := sorted(pairs, keys, false)
	if err != nil {
		return nil, err
	}
	var groups []starlark.Value
	var last *group
	for _, pair := range ordered {
		key, item := pair.(starlark.Tuple)[0], pair.(starlark.Tuple)[1]
		same := false
		if last != nil {
			if same, err = starlark.Equal(folded(last.key, caseSensitive), folded(key, caseSensitive)); err != nil {
				return nil, err
			}
		}
		if !same {
			last = &group{key: key, list: starlark.NewList(nil)}
			groups = append(groups, last)
		}
		if err := last.list.Append(item); err != nil {
			return nil, err
		}
	}
	return starlark.NewList(groups), nil
}

// tojsonFilter writes JSON as Jinja does: keys sorted, and < > & ' as \u escapes, so that it may stand inside '…'.
func tojsonFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var indent starlark.Value = starlark.None
	if err := c.unpack("indent?", &indent); err != nil {
		return nil, err
	}
	width := -1
	if indent != starlark.None {
		n, err := starlark.AsInt32(indent)
		if err != nil || n < 0 || n > 100 {
			return nil, fmt.Errorf("an indent is a number of blanks up to 100")
		}
		width = n
	}
	var b strings.Builder
	if err := writeJSON(&b, x, width, 0); err != nil {
		return nil, err
	}
	return starlark.String(strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`).Replace(b.String())), nil
}

func writeJSON(b *strings.Builder, v starlark.Value, width, depth int) error {
	if depth > 50 || b.Len() > value.MaxText {
		return fmt.Errorf("the value nests too deep for JSON")
	}
	switch v := v.(type) {
	case starlark.NoneType:
		b.WriteString("null")
	case starlark.Bool:
		b.WriteString(strings.ToLower(v.String()))
	case starlark.Int, starlark.Float:
		b.WriteString(value.Text(v))
	case starlark.IterableMapping:
		return writeObject(b, v, width, depth)
	case starlark.Iterable:
		first := true
		b.WriteString("[")
		for item := range starlark.Elements(v) {
			separate(b, &first, width, depth+1)
			if err := writeJSON(b, item, width, depth+1); err != nil {
				return err
			}
		}
		closeJSON(b, "]", first, width, depth)
	default:
		text, err := json.Marshal(value.Text(v))
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}

func writeObject(b *strings.Builder, m starlark.IterableMapping, width, depth int) error {
	byName := map[string]starlark.Value{}
	for _, kv := range m.Items() {
		byName[value.Text(kv[0])] = kv[1]
	}
	b.WriteString("{")
	first := true
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		separate(b, &first, width, depth+1)
		text, err := json.Marshal(name)
		if err != nil {
			return err
		}
		b.Write(text)
		b.WriteString(": ")
		if err := writeJSON(b, byName[name], width, depth+1); err != nil {
			return err
		}
	}
	closeJSON(b, "}", first, width, depth)
	return nil
}

func separate(b *strings.Builder, first *bool, width, depth int) {
	switch {
	case width >= 0:
		if !*first {
			b.WriteString(",")
		}
		b.WriteString("\n" + strings.Repeat(" ", width*depth))
	case !*first:
		b.WriteString(", ")
	}
	*first = false
}

func closeJSON(b *strings.Builder, bracket string, empty bool, width, depth int) {
	if width >= 0 && !empty {
		b.WriteString("\n" + strings.Repeat(" ", width*depth))
	}
	b.WriteString(bracket)
}
