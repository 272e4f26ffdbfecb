package builtin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/sqltext"
	"damson/internal/template/datetime"
	"damson/internal/template/value"
)

// onString makes a filter without arguments from a function of the value's text.
func onString(f func(string) string) Filter {
	return func(c *Call, x starlark.Value) (starlark.Value, error) {
		if err := c.unpack(); err != nil {
			return nil, err
		}
		return starlark.String(f(value.Text(x))), nil
	}
}

func capitalize(s string) string {
	for i, r := range s {
		rest := s[i+len(string(r)):]
		return string(unicode.ToUpper(r)) + strings.ToLower(rest)
	}
	return s
}

// title writes each word's first letter large and the others small.
func title(s string) string {
	var b strings.Builder
	inWord := false
	for _, r := range s {
		if inWord {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToUpper(r))
		}
		inWord = !unicode.IsSpace(r) && !strings.ContainsRune("-({[<", r)
	}
	return b.String()
}

// literalFilter gives a value as a SQL constant: text in quotes, a list as its constants with commas, None as NULL.
func literalFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	if err := c.unpack(); err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case starlark.NoneType:
		return starlark.String("NULL"), nil
	case starlark.Bool:
		return starlark.String(strings.ToUpper(x.String())), nil
	case starlark.Int, starlark.Float:
		return starlark.String(value.Text(x)), nil
	case *starlark.List, starlark.Tuple:
		items, err := c.Env.Items(x)
		if err != nil {
			return nil, err
		}
		texts := make([]string, len(items))
		for i, item := range items {
			switch item.(type) {
			case *starlark.List, starlark.Tuple:
				return nil, fmt.Errorf("a list inside a list is not a row of constants")
			}
			v, err := literalFilter(c, item)
			if err != nil {
				return nil, err
			}
			texts[i] = value.Text(v)
		}
		return starlark.String(strings.Join(texts, ", ")), nil
	}
	return starlark.String(sqltext.QuoteLiteral(value.Text(x))), nil
}

func centerFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	width := 80
	if err := c.unpack("width?", &width); err != nil {
		return nil, err
	}
	return value.Pad(value.Text(x), width, " ", 0)
}

func trimFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var chars starlark.Value = starlark.None
	if err := c.unpack("chars?", &chars); err != nil {
		return nil, err
	}
	if chars == starlark.None {
		return starlark.String(strings.TrimSpace(value.Text(x))), nil
	}
	return starlark.String(strings.Trim(value.Text(x), value.Text(chars))), nil
}

func replaceFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var before, after starlark.Value
	var count starlark.Value = starlark.None
	if err := c.unpack("old", &before, "new", &after, "count?", &count); err != nil {
		return nil, err
	}
	n := -1
	if count != starlark.None {
		var err error
		if n, err = starlark.AsInt32(count); err != nil {
			return nil, err
		}
	}
	s, old, with := value.Text(x), value.Text(before), value.Text(after)
	if int64(strings.Count(s, old))*int64(len(with)) > value.MaxWork {
		return nil, c.Env.TooLarge()
	}
	return starlark.String(strings.Replace(s, old, with, n)), nil
}

func wordcountFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	words := strings.FieldsFunc(value.Text(x), func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return starlark.MakeInt(len(words)), c.unpack()
}

// truncateFilter shortens a text longer than length+leeway, at a blank unless killwords.
func truncateFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	length, leeway, killwords, end := 255, 5, false, "..."
	if err := c.unpack("length?", &length, "killwords?", &killwords, "end?", &end, "leeway?", &leeway); err != nil {
		return nil, err
	}
	s := []rune(value.Text(x))
	if len(s) <= length+leeway {
		return starlark.String(string(s)), nil
	}
	if length < utf8.RuneCountInString(end) {
		return nil, fmt.Errorf("a length of %d leaves no room for %q", length, end)
	}
	cut := string(s[:length-utf8.RuneCountInString(end)])
	if i := strings.LastIndexByte(cut, ' '); i >= 0 && !killwords {
		cut = cut[:i]
	}
	return starlark.String(cut + end), nil
}

// indentFilter indents every line but the first, and empty ones, unless told to.
func indentFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var width starlark.Value = starlark.MakeInt(4)
	first, blank := false, false
	if err := c.unpack("width?", &width, "first?", &first, "blank?", &blank); err != nil {
		return nil, err
	}
	indent, isText := starlark.AsString(width)
	if !isText {
		n, err := starlark.AsInt32(width)
		if err != nil || n < 0 || n > 1000 {
			return nil, fmt.Errorf("a width is a number of blanks up to 1000, or the text to put in front")
		}
		indent = strings.Repeat(" ", n)
	}
	lines := strings.Split(value.Text(x), "\n")
	if int64(len(lines))*int64(len(indent)) > value.MaxWork {
		return nil, c.Env.TooLarge()
	}
	for i, line := range lines {
		if (i > 0 || first) && (blank || line != "") {
			lines[i] = indent + line
		}
	}
	return starlark.String(strings.Join(lines, "\n")), nil
}

func formatFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var values starlark.Value = c.Args
	size := value.Weight(c.Args)
	if len(c.Kwargs) > 0 {
		d := starlark.NewDict(len(c.Kwargs))
		for _, kv := range c.Kwargs {
			if err := d.SetKey(kv[0], kv[1]); err != nil {
				return nil, err
			}
			size += value.Weight(kv[1])
		}
		values = d
	}
	format := value.Text(x)
	if int64(len(format)+1)*size > value.MaxWork {
		return nil, c.Env.TooLarge()
	}
	s, err := value.PercentFormat(format, values)
	return starlark.String(s), err
}

func absFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	if err := c.unpack(); err != nil {
		return nil, err
	}
	zero := starlark.Value(starlark.MakeInt(0))
	if d, ok := x.(datetime.TimeDelta); ok {
		return d.Abs(), nil
	}
	negative, err := starlark.Compare(syntax.LT, x, zero)
	if err != nil {
		return nil, fmt.Errorf("%s has no absolute value", value.KindOf(x))
	}
	if negative {
		return starlark.Unary(syntax.MINUS, x)
	}
	return x, nil
}

func intFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var other starlark.Value = starlark.MakeInt(0)
	base := 10
	if err := c.unpack("default?", &other, "base?", &base); err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case starlark.Int:
		return x, nil
	case starlark.Bool:
		if x {
			return starlark.MakeInt(1), nil
		}
		return starlark.MakeInt(0), nil
	case starlark.Float:
		if i, err := starlark.NumberToInt(x); err == nil {
			return i, nil
		}
		return other, nil
	case starlark.String:
		s := strings.ReplaceAll(strings.TrimSpace(string(x)), "_", "")
		if base == 16 || base == 8 || base == 2 {
			s = strings.TrimPrefix(strings.ToLower(s), map[int]string{16: "0x", 8: "0o", 2: "0b"}[base])
		}
		if i, err := strconv.ParseInt(s, base, 64); err == nil {
			return starlark.MakeInt64(i), nil
		}
		if number := value.NumberOf(strings.TrimPrefix(s, "-")); number != starlark.None && base == 10 {
			i, err := starlark.NumberToInt(number)
			if err == nil && strings.HasPrefix(s, "-") {
				return starlark.MakeInt(0).Sub(i), nil
			}
			return i, err
		}
	}
	return other, nil
}

func floatFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	var other starlark.Value = starlark.Float(0)
	if err := c.unpack("default?", &other); err != nil {
		return nil, err
	}
	if f, ok := starlark.AsFloat(x); ok {
		return starlark.Float(f), nil
	}
	if s, ok := starlark.AsString(x); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
			return starlark.Float(f), nil
		}
	}
	return other, nil
}

// roundFilter rounds as Python does: halves go to the even neighbour of the exact value.
func roundFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	precision, method := 0, "common"
	if err := c.unpack("precision?", &precision, "method?", &method); err != nil {
		return nil, err
	}
	f, ok := starlark.AsFloat(x)
	if !ok {
		return nil, fmt.Errorf("%s cannot be rounded", value.KindOf(x))
	}
	if precision < -300 || precision > 300 {
		return nil, fmt.Errorf("a precision of %d digits is not possible", precision)
	}
	if _, isInt := x.(starlark.Int); isInt && precision >= 0 && method == "common" {
		return x, nil
	}
	scale := math.Pow10(precision)
	switch method {
	case "ceil":
		return starlark.Float(math.Ceil(f*scale) / scale), nil
	case "floor":
		return starlark.Float(math.Floor(f*scale) / scale), nil
	case "common":
		if precision < 0 {
			return starlark.Float(math.RoundToEven(f*scale) / scale), nil
		}
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
		return starlark.Float(rounded), err
	}
	return nil, fmt.Errorf("the method is common, ceil or floor, not %q", method)
}

// dateFilter prints a date or time in a fixed form, as Airflow's filters do.
func dateFilter(format string) Filter {
	return func(c *Call, x starlark.Value) (starlark.Value, error) {
		if err := c.unpack(); err != nil {
			return nil, err
		}
		s, err := datetime.Strftime(x, format)
		return starlark.String(s), err
	}
}

func tsFilter(c *Call, x starlark.Value) (starlark.Value, error) {
	if err := c.unpack(); err != nil {
		return nil, err
	}
	d, ok := x.(datetime.DateTime)
	if !ok {
		return nil, fmt.Errorf("%s is not a datetime", value.KindOf(x))
	}
	return starlark.String(d.ISOFormat("T")), nil
}
