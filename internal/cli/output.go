package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// terminal tells whether w is a terminal that takes colours, and how wide it is. NO_COLOR and TERM=dumb are honoured.
func terminal(w io.Writer) (bool, int) {
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
	styleBad style = iota
	styleGood
	styleQuiet
	styleHead
)

var colours = map[style]text.Colors{
	styleBad:   {text.FgRed, text.Bold},
	styleGood:  {text.FgGreen},
	styleQuiet: {text.Faint},
	styleHead:  {text.Bold},
}

// style colours s on a terminal and leaves it alone elsewhere.
func (a *app) style(st style, s string) string {
	if !a.terminal {
		return s
	}
	text.EnableColors()
	return colours[st].Sprint(s)
}

// state colours a state's word by what it means.
func (a *app) state(word string) string {
	switch word {
	case "success", "champion":
		return a.style(styleGood, word)
	case "failed", "upstream_failed", "rejected":
		return a.style(styleBad, word)
	case "skipped", "removed", "retired":
		return a.style(styleQuiet, word)
	}
	return word
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

// printJSON writes v as indented JSON.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// grid is a table for people. Columns whose number is in right are aligned to the right.
type grid struct {
	head  []string
	rows  [][]string
	right map[int]bool
}

// newGrid makes a grid; a head that starts with ">" marks a column of numbers, aligned to the right.
func newGrid(head ...string) *grid {
	g := &grid{right: map[int]bool{}}
	for i, h := range head {
		name, number := strings.CutPrefix(h, ">")
		g.right[i] = number
		g.head = append(g.head, name)
	}
	return g
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes the grid in the style of the rest of the output: no frames, two blanks between columns. On a terminal
// lines are cut to its width, and end with "…".
func (g *grid) print(a *app) {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Name:    "damson",
		Box:     table.BoxStyle{PaddingRight: "  ", UnfinishedRow: "…"},
		Format:  table.FormatOptions{Header: text.FormatDefault},
		Options: table.OptionsNoBordersAndSeparators,
	})
	head := make(table.Row, len(g.head))
	configs := make([]table.ColumnConfig, len(g.head))
	for i, h := range g.head {
		head[i] = a.style(styleQuiet, h)
		configs[i] = table.ColumnConfig{Number: i + 1, Align: text.AlignLeft}
		if g.right[i] {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	for _, cells := range g.rows {
		row := make(table.Row, len(cells))
		for i, c := range cells {
			row[i] = c
		}
		t.AppendRow(row)
	}
	if a.terminal {
		t.Style().Size.WidthMax = a.width
	}
	for line := range strings.Lines(t.Render() + "\n") {
		fmt.Fprintln(a.out, strings.TrimRight(line, " \n"))
	}
}

// count writes a whole number with blanks between thousands, as 25 000 000.
func count(n int64) string {
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

// plural gives "1 run" or "2 runs".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(int64(n)) + " " + noun + "s"
}

// emptyNotNull makes an empty list print as [] instead of null.
func emptyNotNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func dateText(t time.Time) string {
	if h, m, s := t.Clock(); h == 0 && m == 0 && s == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02 15:04:05")
}

func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// inside shortens a path for people: relative to the working directory when it lies below it.
func inside(path string) string {
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
