package diag

import (
	"fmt"
	"strconv"
)

// FirstOf lists some names, quoted, and says how many more there are.
func FirstOf(names []string) string {
	const most = 8
	text := ""
	for i, name := range names[:min(len(names), most)] {
		if i > 0 {
			text += ", "
		}
		text += strconv.Quote(name)
	}
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
