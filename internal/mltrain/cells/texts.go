package cells

import (
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Texts numbers different texts as they come.
type Texts struct {
	Names []string // by number
	known map[string]int32
}

// Code gives a text's number.
func (t *Texts) Code(text string) int32 {
	code, ok := t.known[text]
	if !ok {
		if t.known == nil {
			t.known = map[string]int32{}
		}
		text = strings.Clone(text) // it may lie in the batch's memory, which the database takes back
		code = int32(len(t.Names))
		t.known[text] = code
		t.Names = append(t.Names, text)
	}
	return code
}

// Append appends the numbers of the given rows' texts, NULL as NaN.
func (t *Texts) Append(out []float64, column arrow.Array, rows []int) []float64 {
	for _, i := range rows {
		if column.IsNull(i) {
			out = append(out, math.NaN())
		} else {
			out = append(out, float64(t.Code(TextOf(column, i))))
		}
	}
	return out
}

// Find looks for a column as SQL does: by its exact name, else without regard to case; -1 = there is none.
func Find(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
