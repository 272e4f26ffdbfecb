package console

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// IsTerminal tells whether w is a terminal that takes colours, and how wide it is. NO_COLOR and TERM=dumb are honoured.
func IsTerminal(w io.Writer) (bool, int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, 100
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", width
}

type style int

const (
	StyleBad style = iota
	StyleGood
	StyleQuiet
	StyleHead
)

var colours = map[style]text.Colors{
	StyleBad:   {text.FgRed, text.Bold},
	StyleGood:  {text.FgGreen},
	StyleQuiet: {text.Faint},
	StyleHead:  {text.Bold},
}

// Style colours s on a terminal and leaves it alone elsewhere.
func (a *App) Style(st style, s string) string {
	if !a.Terminal {
		return s
	}
	text.EnableColors()
	return colours[st].Sprint(s)
}

// State colours a state's word by what it means.
func (a *App) State(word string) string {
	switch word {
	case "success", "champion":
		return a.Style(StyleGood, word)
	case "failed", "upstream_failed", "rejected":
		return a.Style(StyleBad, word)
	case "skipped", "removed", "retired":
		return a.Style(StyleQuiet, word)
	}
	return word
}

// Printf writes to standard output.
func (a *App) Printf(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }

// PrintJSON writes v as indented JSON.
func (a *App) PrintJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Count writes a whole number with blanks between thousands, as 25 000 000.
func Count(n int64) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// Plural gives "1 run" or "2 runs".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(int64(n)) + " " + noun + "s"
}

// EmptyNotNull makes an empty list print as [] instead of null.
func EmptyNotNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// DateText writes a moment, as a date alone where it is a midnight.
func DateText(t time.Time) string {
	if h, m, s := t.Clock(); h == 0 && m == 0 && s == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02 15:04:05")
}

// Seconds writes a duration for people.
func Seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// FirstLine cuts a text after its first line.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Inside shortens a path for people: relative to the working directory when it lies below it.
func Inside(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
