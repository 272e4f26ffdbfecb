package sqltext

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// QuoteIdent gives a name in double quotes, so that it means exactly itself whatever letters or keywords it holds.
func QuoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// QuoteLiteral gives a string constant with exactly the characters of s (standard-conforming strings: a backslash is a
// backslash).
func QuoteLiteral(s string) string {
	return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
}

// Double writes a double precision literal that reads back as exactly v, which must not be NaN. A bare decimal would be a
// numeric, slower and, once rounded, another number.
func Double(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	switch {
	case math.IsInf(v, 1):
		text = "Infinity"
	case math.IsInf(v, -1):
		text = "-Infinity"
	}
	return "float8 '" + text + "'"
}

// ParseName reads "schema.table" or "table" (schema is then ""). A part without double quotes is folded to lower case, as
// PostgreSQL folds it; one in quotes stays as written.
func ParseName(s string) (schema, table string, err error) {
	var parts []string
	for at, dot := 0, true; at < len(s); {
		tok := Next(s, at)
		at = tok.To
		text := s[tok.From:tok.To]
		switch {
		case dot && tok.Kind == Word:
			parts = append(parts, strings.ToLower(text))
		case dot && tok.Kind == QuotedName && len(text) > 2 && quotedLen(text, '"', false) == len(text) && text[len(text)-1] == '"':
			parts = append(parts, strings.ReplaceAll(text[1:len(text)-1], `""`, `"`))
		case !dot && text == ".":
		default:
			return "", "", nameError(s, fmt.Sprintf("%q does not belong there", text))
		}
		dot = !dot
		if at == len(s) && dot {
			return "", "", nameError(s, "it ends with a dot")
		}
	}
	switch len(parts) {
	case 0:
		return "", "", nameError(s, "it is empty")
	case 1:
		return "", parts[0], nil
	case 2:
		return parts[0], parts[1], nil
	}
	return "", "", nameError(s, fmt.Sprintf("it has %d parts", len(parts)))
}

func nameError(s, why string) error {
	return fmt.Errorf("%q is not the name of a table: %s; write schema.table, with double quotes around a part that is not letters, digits and _", s, why)
}
