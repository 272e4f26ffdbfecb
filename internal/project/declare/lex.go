package declare

import (
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/project/source"
)

// loadMethod stands for load after a dot while a file is parsed: load is a keyword of the language, and p.load(…) a task.
// It has as many characters, so that columns stay right.
const loadMethod = "lo\u00e4d"

// freeLoad writes loadMethod for every .load in the code of a file, outside of strings and comments.
func freeLoad(text string) string {
	if !strings.Contains(text, "load") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		end := i + 1
		switch c := text[i]; {
		case c == '#':
			if end = i + strings.IndexByte(text[i:], '\n'); end < i {
				end = len(text)
			}
		case c == '"' || c == '\'':
			end = stringEnd(text, i)
		case c == '.':
			word := i + 1 + len(text[i+1:]) - len(strings.TrimLeft(text[i+1:], " \t"))
			if strings.HasPrefix(text[word:], "load") && !source.WordAt(text, word+len("load")) {
				out.WriteString(text[i:word] + loadMethod)
				i = word + len("load")
				continue
			}
		}
		out.WriteString(text[i:end])
		i = end
	}
	return out.String()
}

// maxStarSize bounds a file of declarations: walking a chain of a million operators calls itself as often, and a process
// cannot recover from a stack that is too deep. Of brackets the parser itself refuses too many.
const maxStarSize = 1 << 20

// tooLarge says why a file is not given to the parser, or nil.
func tooLarge(file *source.File) *diag.Finding {
	if len(file.Text) <= maxStarSize {
		return nil
	}
	return &diag.Finding{At: diag.Pos{File: file.Path}, Severity: diag.Error, Summary: "File too large",
		Detail: fmt.Sprintf("%s has more than %d MiB.", file.Path, maxStarSize>>20), Fix: "Declare with functions and loops; data belongs into the warehouse."}
}

// stringEnd gives the place behind the string that begins at from. One without an end reaches to the line's end, or with
// three quotes to the file's.
func stringEnd(text string, from int) int {
	quote := text[from : from+1]
	triple := strings.HasPrefix(text[from:], quote+quote+quote)
	if triple {
		quote += quote[:1] + quote[:1]
	}
	for i := from + len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote)
		case text[i] == '\n' && !triple:
			return i
		}
	}
	return len(text)
}
