package value_test

import (
	"testing"

	"go.starlark.net/starlark"

	"damson/internal/template/value"
)

// TestTextIsPythons compares with what Python's str() prints.
func TestTextIsPythons(t *testing.T) {
	t.Parallel()
	list := starlark.NewList([]starlark.Value{starlark.String("it's"), starlark.Float(1), starlark.None})
	dict := starlark.NewDict(1)
	if err := dict.SetKey(starlark.String("a"), starlark.Tuple{starlark.MakeInt(1)}); err != nil {
		t.Fatal(err)
	}
	for want, v := range map[string]starlark.Value{
		"it's":                starlark.String("it's"),
		`["it's", 1.0, None]`: list,
		"{'a': (1,)}":         dict,
		"1e-05":               starlark.Float(1e-5),
		"1e+16":               starlark.Float(1e16),
		"True":                starlark.True,
	} {
		if got := value.Text(v); got != want {
			t.Errorf("Text gives %s, Python %s", got, want)
		}
	}
}

// TestTextOfAListInItself ends.
func TestTextOfAListInItself(t *testing.T) {
	t.Parallel()
	list := starlark.NewList(nil)
	for range 3 {
		if err := list.Append(list); err != nil {
			t.Fatal(err)
		}
	}
	if got := value.Text(list); len(got) > 2*value.MaxText {
		t.Errorf("the text has %d bytes, more than twice the bound", len(got))
	}
}

// TestPercentFormat compares with what Python's % gives; want "" is an error.
func TestPercentFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format, want string
		values       starlark.Value
	}{
		{"%05d", "00042", starlark.MakeInt(42)},
		{"%-5s|", "ab   |", starlark.String("ab")},
		{"%+.2f", "+3.14", starlark.Float(3.14159)},
		{"%s and %r", "a and 'b'", starlark.Tuple{starlark.String("a"), starlark.String("b")}},
		{"100%%", "100%", starlark.Tuple{}},
		{"%#x", "0xff", starlark.MakeInt(255)},
		{"%d", "", starlark.String("a")},
		{"%s %s", "", starlark.Tuple{starlark.String("a")}},
		{"%s", "", starlark.Tuple{starlark.String("a"), starlark.String("b")}},
		{"%999999d", "", starlark.MakeInt(1)},
	} {
		got, err := value.PercentFormat(c.format, c.values)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q %% %s gives %q, %v; Python gives %q", c.format, c.values, got, err, c.want)
		}
	}
}

// TestReadNumber reads a constant at the head of a text.
func TestReadNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		value  string
		length int
	}{
		"42 ": {"42", 2}, "1_000": {"1000", 5}, "0xFF)": {"255", 4}, "1.5e3": {"1500.0", 5}, "7..": {"7", 1},
		"3km": {}, "1e999": {},
	} {
		v, n, problem := value.ReadNumber(text)
		if n != want.length || (problem == "") != (want.length > 0) || v != nil && value.Text(v) != want.value {
			t.Errorf("%q: %v, %d bytes, %q; want %v", text, v, n, problem, want)
		}
	}
}
