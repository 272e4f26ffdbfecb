package feature

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// parameter is a named parameter of a calculator and what it may be.
type parameter struct {
	name      string
	kind      kind
	low, high float64  // of whole and number, both included
	words     []string // of word
	otherwise string   // its value when it is not given; "" = it must be
}

type kind uint8

const (
	whole  kind = iota // a whole number
	number             // a whole number or a float; which of the two stays in the name
	flag               // True or False
	word               // one of a few texts
)

// argument is a parameter's value.
type argument struct {
	number float64 // of flag 0 or 1
	word   string
	text   string // as it stands in the feature's name
}

// arguments are a feature's values in the order of its calculator's parameters.
type arguments []argument

func (p arguments) number(i int) float64 { return p[i].number }
func (p arguments) whole(i int) int      { return int(p[i].number) }
func (p arguments) flag(i int) bool      { return p[i].number == 1 }
func (p arguments) word(i int) string    { return p[i].word }

// far bounds whole numbers: no series is longer, and sums of a few do not overflow.
const far = 1 << 30

// read reads a value as it stands in a name.
func (p parameter) read(text string) (argument, bool) {
	switch p.kind {
	case flag:
		switch strings.ToLower(text) {
		case "true":
			return argument{number: 1, text: "True"}, true
		case "false":
			return argument{text: "False"}, true
		}
		return argument{}, false
	case word:
		bare := strings.Trim(text, `"`)
		i := slices.IndexFunc(p.words, func(w string) bool { return strings.EqualFold(w, bare) })
		if i < 0 {
			return argument{}, false
		}
		return argument{word: p.words[i], text: `"` + p.words[i] + `"`}, true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || v < p.low || v > p.high {
		return argument{}, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return argument{number: float64(n), text: strconv.FormatInt(n, 10)}, true
	}
	return argument{number: v, text: python(v)}, p.kind == number
}

// python writes a float as Python's repr does.
func python(v float64) string {
	e := strconv.FormatFloat(v, 'e', -1, 64)
	exponent, err := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if err != nil || exponent < -4 || exponent >= 16 {
		return e
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// what says in words what a parameter may be.
func (p parameter) what() string {
	switch p.kind {
	case flag:
		return "True or False"
	case word:
		return strings.Join(p.words, ", ")
	}
	kind := "number"
	if p.kind == whole {
		kind = "whole number"
	}
	switch {
	case p.high < far && p.low > -far:
		return fmt.Sprintf("%s from %.0f to %.0f", kind, p.low, p.high)
	case p.low > -far:
		return fmt.Sprintf("%s from %.0f", kind, p.low)
	}
	return kind
}

func (p parameter) example() string {
	switch p.kind {
	case flag:
		return "True"
	case word:
		return `"` + p.words[0] + `"`
	}
	return strconv.FormatFloat(max(p.low, 1), 'g', -1, 64)
}

// The parameters that calculators have.
func wholeFrom(name string, low float64) parameter {
	return parameter{name: name, kind: whole, low: low, high: far}
}
func anyNumber(name string) parameter {
	return parameter{name: name, kind: number, low: -math.MaxFloat64, high: math.MaxFloat64}
}
func numberFrom0(name string) parameter {
	return parameter{name: name, kind: number, high: math.MaxFloat64}
}
func share(name string) parameter { return parameter{name: name, kind: number, high: 1} }
func oneOf(name string, words ...string) parameter {
	return parameter{name: name, kind: word, words: words}
}

// each writes the values of one parameter for calculator.usual.
func each[T int | float64](name string, values ...T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = name + "_" + printed(v)
	}
	return list
}

func printed[T int | float64](v T) string {
	if f, isFloat := any(v).(float64); isFloat {
		return python(f)
	}
	return fmt.Sprint(v)
}

// upTo gives the whole numbers from low to high, both included.
func upTo(low, high int) []int {
	var list []int
	for i := low; i <= high; i++ {
		list = append(list, i)
	}
	return list
}

// words writes the values of a text parameter for calculator.usual.
func words(name string, values ...string) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = name + `_"` + v + `"`
	}
	return list
}

// crossed joins every text of one list with every one of the other.
func crossed(a, b []string) []string {
	var list []string
	for _, x := range a {
		for _, y := range b {
			list = append(list, x+"__"+y)
		}
	}
	return list
}
