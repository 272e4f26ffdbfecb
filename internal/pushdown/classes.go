package pushdown

import (
	"fmt"
	"strings"

	"damson/internal/sqltext"
)

// Classes are those of the target, in their order: texts, or numbers. None of both: numbers are learned.
type Classes struct {
	Texts   []string
	Numbers []float64
}

func (c Classes) number() int { return max(len(c.Texts), len(c.Numbers)) }

// sql writes the class of a row, from 0.
func (c Classes) sql() string {
	if c.number() == 0 {
		return "0"
	}
	var b strings.Builder
	b.WriteString("case")
	for i, text := range c.Texts {
		fmt.Fprintf(&b, " when label = %s then %d", sqltext.QuoteLiteral(text), i)
	}
	for i, v := range c.Numbers {
		fmt.Fprintf(&b, " when label = %s then %d", sqltext.Double(v), i)
	}
	b.WriteString(" end")
	return b.String()
}
