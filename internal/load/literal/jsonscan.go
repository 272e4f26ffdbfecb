package literal

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Results of a scan that did not find a whole value.
const (
	CutShort = -1 // the data ends within it
	NotJSON  = -2
)

const maxDepth = 512 // of nested arrays and objects

// ScanSpace gives the first place from at on that is not white space.
func ScanSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\r' || b[at] == '\t') {
		at++
	}
	return at
}

// ScanValue gives the end of the JSON value (RFC 8259) that begins at b[at], or CutShort or NotJSON. A number that stands
// at the end of b is whole.
func ScanValue(b []byte, at, depth int) int {
	if at >= len(b) {
		return CutShort
	}
	switch c := b[at]; {
	case c == '"':
		return ScanString(b, at)
	case c == '{' || c == '[':
		if depth == maxDepth {
			return NotJSON
		}
		return scanNested(b, at, depth)
	case c == 't':
		return scanWord(b, at, "true")
	case c == 'f':
		return scanWord(b, at, "false")
	case c == 'n':
		return scanWord(b, at, "null")
	}
	return scanNumber(b, at)
}

func scanWord(b []byte, at int, word string) int {
	for i := range len(word) {
		if at+i == len(b) {
			return CutShort
		}
		if b[at+i] != word[i] {
			return NotJSON
		}
	}
	return at + len(word)
}

// scanNested gives the end of an object or array.
func scanNested(b []byte, at, depth int) int {
	object := b[at] == '{'
	shut := byte(']')
	if object {
		shut = '}'
	}
	at = ScanSpace(b, at+1)
	if at < len(b) && b[at] == shut {
		return at + 1
	}
	for {
		if object {
			if at = scanKey(b, at); at < 0 {
				return at
			}
		}
		if at = ScanValue(b, at, depth+1); at < 0 {
			return at
		}
		at = ScanSpace(b, at)
		switch {
		case at == len(b):
			return CutShort
		case b[at] == shut:
			return at + 1
		case b[at] != ',':
			return NotJSON
		}
		at = ScanSpace(b, at+1)
	}
}

// scanKey gives the place of the value behind a key and its colon.
func scanKey(b []byte, at int) int {
	if at == len(b) {
		return CutShort
	}
	if b[at] != '"' {
		return NotJSON
	}
	if at = ScanString(b, at); at < 0 {
		return at
	}
	at = ScanSpace(b, at)
	switch {
	case at == len(b):
		return CutShort
	case b[at] != ':':
		return NotJSON
	}
	return ScanSpace(b, at+1)
}

// ScanString gives the end of a string, quotes included.
func ScanString(b []byte, at int) int {
	for at++; at < len(b); at++ {
		switch c := b[at]; {
		case c == '"':
			return at + 1
		case c < ' ':
			return NotJSON
		case c == '\\':
			if at++; at == len(b) {
				return CutShort
			}
			switch b[at] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(b)-at < 5 {
					return CutShort
				}
				if hex4(b[at+1:]) < 0 {
					return NotJSON
				}
				at += 4
			default:
				return NotJSON
			}
		}
	}
	return CutShort
}

// scanNumber gives the end of a number.
func scanNumber(b []byte, at int) int {
	if at < len(b) && b[at] == '-' {
		at++
	}
	start := at
	at = scanDigits(b, at)
	switch {
	case at == start && at == len(b):
		return CutShort
	case at == start || b[start] == '0' && at > start+1:
		return NotJSON
	}
	if at < len(b) && b[at] == '.' {
		start = at + 1
		if at = scanDigits(b, start); at == start {
			return endOr(b, at)
		}
	}
	if at < len(b) && (b[at] == 'e' || b[at] == 'E') {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		start = at
		if at = scanDigits(b, start); at == start {
			return endOr(b, at)
		}
	}
	return at
}

// endOr tells data that ends too early from data that is wrong.
func endOr(b []byte, at int) int {
	if at == len(b) {
		return CutShort
	}
	return NotJSON
}

func scanDigits(b []byte, at int) int {
	for at < len(b) && b[at]-'0' <= 9 {
		at++
	}
	return at
}

// hex4 reads four hexadecimal digits, -1 when they are not.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// AppendUnescaped adds the text that the inside of a JSON string (as scanString accepted it) stands for. Half of a
// surrogate pair becomes U+FFFD.
func AppendUnescaped(to, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			to = append(to, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			r := hex4(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				pair := rune(-1)
				if len(s) > i+6 && s[i+1] == '\\' && s[i+2] == 'u' {
					pair = hex4(s[i+3:])
				}
				if r = utf16.DecodeRune(r, pair); r != utf8.RuneError {
					i += 6
				}
			}
			to = utf8.AppendRune(to, r)
		default:
			to = append(to, s[i])
		}
	}
	return to
}
