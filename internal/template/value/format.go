package value

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"damson/internal/template/datetime"
)

// spec is how one value is to be printed: Python's [fill]align sign # 0 width , .precision type.
type spec struct {
	fill      rune
	align     byte // '<', '>', '^', '=' or 0
	sign      byte // '+', ' ' or 0
	alternate bool
	comma     byte // ',' or '_' between thousands, or 0
	width     int
	precision int  // -1: none
	verb      byte // 0: as str() prints
}

// maxWidth bounds widths and precisions.
const maxWidth = 10_000

// PercentFormat gives Python's "format % values": values is a tuple, a dict for %(name)s, or one value.
func PercentFormat(format string, values starlark.Value) (string, error) {
	args, isTuple := values.(starlark.Tuple)
	if !isTuple {
		args = starlark.Tuple{values}
	}
	var b strings.Builder
	used := 0
	named := false
	next := func() (starlark.Value, error) {
		if used >= len(args) {
			return nil, fmt.Errorf("the format asks for more than the %d values it was given", len(args))
		}
		used++
		return args[used-1], nil
	}
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		if i < len(format) && format[i] == '%' {
			b.WriteByte('%')
			continue
		}
		v, n, err := namedValue(format[i:], values)
		if err != nil {
			return "", err
		}
		named = named || v != nil
		i += n
		s, n, err := percentSpec(format[i:], next)
		if err != nil {
			return "", err
		}
		i += n
		if i >= len(format) {
			return "", fmt.Errorf("the format ends inside a %% conversion")
		}
		s.verb = format[i]
		if v == nil {
			if v, err = next(); err != nil {
				return "", err
			}
		}
		text, err := s.percent(v)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	if _, isDict := values.(starlark.Mapping); used < len(args) && !named && !isDict {
		return "", fmt.Errorf("the format uses %d of the %d values it was given", used, len(args))
	}
	return b.String(), nil
}

// namedValue reads the "(name)" that may stand at the head of f, and gives that entry of the values and its length; nil
// when there is none.
func namedValue(f string, values starlark.Value) (v starlark.Value, n int, err error) {
	if !strings.HasPrefix(f, "(") {
		return nil, 0, nil
	}
	name, _, closed := strings.Cut(f[1:], ")")
	m, ok := values.(starlark.Mapping)
	if !closed || !ok {
		return nil, 0, fmt.Errorf("%%%s needs a dict of values", f)
	}
	v, found, err := m.Get(starlark.String(name))
	if err != nil || !found {
		return nil, 0, fmt.Errorf("there is no value %q", name)
	}
	return v, len(name) + 2, nil
}

// percentSpec reads the flags, width and precision of a % conversion; * takes them from the values.
func percentSpec(f string, next func() (starlark.Value, error)) (s spec, n int, err error) {
	s = spec{fill: ' ', precision: -1, align: '>'}
flags:
	for ; n < len(f); n++ {
		switch f[n] {
		case '-':
			s.align = '<'
		case '+':
			s.sign = '+'
		case ' ':
			if s.sign == 0 {
				s.sign = ' '
			}
		case '#':
			s.alternate = true
		case '0':
			if s.align == '>' {
				s.fill, s.align = '0', '='
			}
		default:
			break flags
		}
	}
	number := func() (int, error) {
		if n < len(f) && f[n] == '*' {
			n++
			v, err := next()
			if err != nil {
				return 0, err
			}
			return starlark.AsInt32(v)
		}
		var value int
		value, n = digits(f, n)
		return value, nil
	}
	if s.width, err = number(); err != nil {
		return s, n, err
	}
	if n < len(f) && f[n] == '.' {
		n++
		if s.precision, err = number(); err != nil {
			return s, n, err
		}
	}
	return s, n, s.check()
}

func digits(f string, n int) (value, next int) {
	for n < len(f) && '0' <= f[n] && f[n] <= '9' {
		value = min(value*10+int(f[n]-'0'), maxWidth+1)
		n++
	}
	return value, n
}

func (s spec) check() error {
	if s.width > maxWidth || s.precision > maxWidth || s.width < 0 || s.precision < -1 {
		return fmt.Errorf("a width or precision lies between 0 and %d", maxWidth)
	}
	return nil
}

// percent prints a value by a % conversion.
func (s spec) percent(v starlark.Value) (string, error) {
	switch s.verb {
	case 's', 'r', 'a':
		text := Text(v)
		if s.verb != 's' {
			var b strings.Builder
			represent(&b, v, 0)
			text = b.String()
		}
		if s.align == '=' {
			s.align, s.fill = '>', ' '
		}
		return s.padded(s.cut(text)), nil
	case 'c':
		if text, ok := starlark.AsString(v); ok && utf8.RuneCountInString(text) == 1 {
			return s.padded(text), nil
		}
		return "", fmt.Errorf("%%c prints one character, not %s", KindOf(v))
	case 'i', 'u':
		s.verb = 'd'
	}
	if f, ok := v.(starlark.Float); ok && strings.IndexByte("dxXo", s.verb) >= 0 {
		i, err := starlark.NumberToInt(f)
		if err != nil {
			return "", err
		}
		v = i
	}
	return s.number(v)
}

func (s spec) cut(text string) string {
	if s.precision >= 0 && utf8.RuneCountInString(text) > s.precision {
		return string([]rune(text)[:s.precision])
	}
	return text
}

// number prints a number by a d, x, o, b, e, f, g, n or % conversion.
func (s spec) number(v starlark.Value) (string, error) {
	var text string
	switch s.verb {
	case 'd', 'n', 'x', 'X', 'o', 'b':
		i, ok := v.(starlark.Int)
		if b, isBool := v.(starlark.Bool); isBool {
			i, ok = starlark.MakeInt(0), true
			if b {
				i = starlark.MakeInt(1)
			}
		}
		if !ok {
			return "", fmt.Errorf("%q prints an integer, not %s", string(s.verb), KindOf(v))
		}
		text = s.integer(i.BigInt())
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		f, ok := starlark.AsFloat(v)
		if !ok {
			return "", fmt.Errorf("%q prints a number, not %s", string(s.verb), KindOf(v))
		}
		text = s.float(f)
	default:
		return "", fmt.Errorf("%q is not a conversion", string(s.verb))
	}
	if !strings.HasPrefix(text, "-") && s.sign != 0 {
		text = string(s.sign) + text
	}
	if s.comma != 0 {
		text = grouped(text, s.comma)
	}
	return s.padded(text), nil
}

func (s spec) integer(i *big.Int) string {
	base, prefix := 10, ""
	switch s.verb {
	case 'x', 'X':
		base, prefix = 16, "0x"
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	text := i.Text(base)
	if s.alternate && prefix != "" {
		if rest, negative := strings.CutPrefix(text, "-"); negative {
			text = "-" + prefix + rest
		} else {
			text = prefix + text
		}
	}
	if s.verb == 'X' {
		text = strings.ToUpper(text)
	}
	return text
}

func (s spec) float(f float64) string {
	precision, verb, suffix := s.precision, s.verb, ""
	if precision < 0 {
		precision = 6
	}
	switch verb {
	case '%':
		f, verb, suffix = f*100, 'f', "%"
	case 'F':
		verb = 'f'
	case 'g', 'G':
		precision = max(precision, 1)
		text := strconv.FormatFloat(f, verb, precision, 64)
		return text
	}
	return strconv.FormatFloat(f, verb, precision, 64) + suffix
}

// grouped puts a separator between the thousands of the digits before the point.
func grouped(text string, comma byte) string {
	from := strings.IndexAny(text, "0123456789")
	if from < 0 {
		return text
	}
	to := from
	for to < len(text) && '0' <= text[to] && text[to] <= '9' {
		to++
	}
	var b strings.Builder
	for i, c := range []byte(text[from:to]) {
		if i > 0 && (to-from-i)%3 == 0 {
			b.WriteByte(comma)
		}
		b.WriteByte(c)
	}
	return text[:from] + b.String() + text[to:]
}

// padded fills text up to the width.
func (s spec) padded(text string) string {
	n := s.width - utf8.RuneCountInString(text)
	if n <= 0 {
		return text
	}
	fill := strings.Repeat(string(s.fill), n)
	switch s.align {
	case '<':
		return text + fill
	case '^':
		half := string([]rune(fill)[:n/2])
		return half + text + string([]rune(fill)[n/2:])
	case '=':
		if text != "" && strings.IndexByte("+- ", text[0]) >= 0 {
			return text[:1] + fill + text[1:]
		}
	}
	return fill + text
}

// parseSpec reads the part after the colon in "{:>8.2f}".
func parseSpec(f string) (spec, error) {
	s := spec{fill: ' ', precision: -1}
	r := []rune(f)
	n := 0
	isAlign := func(c rune) bool { return c == '<' || c == '>' || c == '^' || c == '=' }
	switch {
	case len(r) > 1 && isAlign(r[1]):
		s.fill, s.align, n = r[0], byte(r[1]), 2
	case len(r) > 0 && isAlign(r[0]):
		s.align, n = byte(r[0]), 1
	}
	rest := string(r[n:])
	take := func(chars string) byte {
		if rest != "" && strings.IndexByte(chars, rest[0]) >= 0 {
			c := rest[0]
			rest = rest[1:]
			return c
		}
		return 0
	}
	if c := take("+- "); c != '-' {
		s.sign = c
	}
	s.alternate = take("#") != 0
	if take("0") != 0 && s.align == 0 {
		s.fill, s.align = '0', '='
	}
	var at int
	s.width, at = digits(rest, 0)
	rest = rest[at:]
	s.comma = take(",_")
	if take(".") != 0 {
		s.precision, at = digits(rest, 0)
		rest = rest[at:]
	}
	if rest != "" {
		s.verb, rest = rest[0], rest[1:]
	}
	if rest != "" {
		return s, fmt.Errorf("%q is not a format for a value", f)
	}
	return s, s.check()
}

// formatValue gives Python's format(v, f).
func formatValue(v starlark.Value, f string) (string, error) {
	if f == "" {
		return Text(v), nil
	}
	if datetime.IsDate(v) {
		return datetime.Strftime(v, f)
	}
	s, err := parseSpec(f)
	if err != nil {
		return "", err
	}
	_, isNumber := starlark.AsFloat(v)
	if s.align == 0 && isNumber {
		s.align = '>'
	}
	switch {
	case s.verb == 's' || s.verb == 0 && !isNumber:
		if isNumber {
			return "", fmt.Errorf("the format %q is for text, and the value is %s", f, KindOf(v))
		}
		if s.align == 0 {
			s.align = '<'
		}
		return s.padded(s.cut(Text(v))), nil
	case s.verb == 0:
		if _, isInt := v.(starlark.Int); isInt {
			s.verb = 'd'
		} else if s.precision >= 0 {
			s.verb = 'g'
		} else {
			return s.padded(Text(v)), nil
		}
	}
	return s.number(v)
}

// stringFormat is str.format with format specifications, which Starlark's has not.
func stringFormat(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var out strings.Builder
	format := Text(b.Receiver())
	auto := 0
	for i := 0; i < len(format); i++ {
		c := format[i]
		doubled := i+1 < len(format) && format[i+1] == c
		switch {
		case (c == '{' || c == '}') && doubled:
			out.WriteByte(c)
			i++
		case c == '}':
			return nil, fmt.Errorf("a single } stands in the format")
		case c == '{':
			end := strings.IndexByte(format[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("a { in the format is not closed")
			}
			text, err := formatField(format[i+1:i+end], &auto, args, kwargs)
			if err != nil {
				return nil, err
			}
			out.WriteString(text)
			i += end
		default:
			out.WriteByte(c)
		}
		if out.Len() > MaxText {
			return nil, fmt.Errorf("the result is too large")
		}
	}
	return starlark.String(out.String()), nil
}

// formatField prints one {name.attr[key]!r:spec}.
func formatField(field string, auto *int, args starlark.Tuple, kwargs []starlark.Tuple) (string, error) {
	name, f, _ := strings.Cut(field, ":")
	name, conversion, _ := strings.Cut(name, "!")
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, path := name[:end], name[end:]
	if first == "" {
		first = strconv.Itoa(*auto)
		*auto++
	}
	var v starlark.Value
	if i, err := strconv.Atoi(first); err == nil {
		if i < 0 || i >= len(args) {
			return "", fmt.Errorf("the format asks for value %d of %d", i, len(args))
		}
		v = args[i]
	} else {
		for _, kv := range kwargs {
			if kv[0] == starlark.String(first) {
				v = kv[1]
			}
		}
		if v == nil {
			return "", fmt.Errorf("there is no value %q", first)
		}
	}
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		next, err := Attr(v, part)
		if err != nil {
			return "", err
		}
		if list, ok := v.(starlark.Indexable); ok && next == nil {
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < list.Len() {
				next = list.Index(i)
			}
		}
		if next == nil {
			return "", fmt.Errorf("the value has no %q", part)
		}
		v = next
	}
	if conversion == "r" {
		var b strings.Builder
		represent(&b, v, 0)
		v = starlark.String(b.String())
	}
	return formatValue(v, f)
}
