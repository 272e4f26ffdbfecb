package value

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// MaxBits bounds integers, which Starlark lets grow without end.
const MaxBits = 4096

// ReadNumber reads an integer (decimal, 0x, 0o, 0b, with _ between digits) or a float at the head of s,
// which begins with a digit, its length in bytes, or says what is wrong.
func ReadNumber(s string) (v starlark.Value, n int, problem string) {
	digit := func(i int) bool { return i < len(s) && '0' <= s[i] && s[i] <= '9' }
	run := func(i int) int {
		for digit(i) || i < len(s) && s[i] == '_' && digit(i+1) {
			i++
		}
		return i
	}
	float := false
	if s[0] == '0' && len(s) > 2 && strings.IndexByte("xXoObB", s[1]) >= 0 {
		for n = 2; n < len(s) && (isHex(s[n]) || s[n] == '_'); n++ {
		}
	} else {
		n = run(0)
		if n < len(s) && s[n] == '.' && digit(n+1) {
			n, float = run(n+1), true
		}
		if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
			m := n + 1
			if m < len(s) && (s[m] == '+' || s[m] == '-') {
				m++
			}
			if digit(m) {
				n, float = run(m), true
			}
		}
	}
	text := s[:n]
	if r, _ := utf8.DecodeRuneInString(s[n:]); r == '_' || unicode.IsLetter(r) {
		return nil, 0, fmt.Sprintf("%q runs into the name after it.", text)
	}
	if float {
		f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil {
			return nil, 0, fmt.Sprintf("The number %s is too large.", text)
		}
		return starlark.Float(f), n, ""
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return starlark.MakeInt64(i), n, ""
	}
	base := 10
	if n > 2 && text[0] == '0' && text[1] > '9' && text[1] != '_' {
		base = 0
	}
	i, ok := new(big.Int).SetString(strings.ReplaceAll(text, "_", ""), base)
	if !ok || i.BitLen() > MaxBits {
		return nil, 0, fmt.Sprintf("%.40s is not a number.", text)
	}
	return starlark.MakeBigInt(i), n, ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// NumberOf reads digits as a number, all else as None.
func NumberOf(s string) starlark.Value {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return starlark.None
	}
	if v, n, problem := ReadNumber(s); problem == "" && n == len(s) {
		return v
	}
	return starlark.None
}
