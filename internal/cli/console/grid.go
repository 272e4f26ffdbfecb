package console

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Grid is a table for people.
type Grid struct {
	head  []string
	Rows  [][]string
	right map[int]bool // columns of numbers, aligned to the right
	words bool         // the last column has sentences
}

const (
	gap = 2 // blanks between columns
	// leastWords is how wide a column of sentences must be; a narrower terminal has them under their row.
	leastWords = 28
	indent     = "    "
)

// NewGrid makes a grid; a head that starts with ">" marks a column of numbers, aligned to the right.
func NewGrid(head ...string) *Grid {
	g := &Grid{right: map[int]bool{}}
	for i, h := range head {
		name, number := strings.CutPrefix(h, ">")
		g.right[i] = number
		g.head = append(g.head, name)
	}
	return g
}

// Sentences says that the last column has sentences, which are never cut.
func (g *Grid) Sentences() *Grid {
	g.words = true
	return g
}

// Add appends a row.
func (g *Grid) Add(cells ...string) { g.Rows = append(g.Rows, cells) }

// Print writes the grid in the style of the rest of the output: no frames, two blanks between columns. On a terminal, sentences go on
// in further lines, and other lines are cut to its width, and end with "…".
func (g *Grid) Print(a *App) {
	if a.Terminal && g.words && g.width(len(g.head)) > a.Width {
		g.printWords(a)
		return
	}
	g.render(a, len(g.head))
}

// width is that of the first n columns.
func (g *Grid) width(n int) int {
	total := 0
	for c := range n {
		widest := text.StringWidthWithoutEscSequences(g.head[c])
		for _, row := range g.Rows {
			widest = max(widest, text.StringWidthWithoutEscSequences(row[c]))
		}
		total += widest + gap
	}
	return total - gap
}

// printWords writes the sentences beside the other columns where there is room, else under each row.
func (g *Grid) printWords(a *App) {
	last := len(g.head) - 1
	if room := a.Width - g.width(last) - gap; room >= leastWords {
		wrapped := &Grid{head: g.head, right: g.right}
		for _, row := range g.Rows {
			for i, line := range strings.Split(text.WrapSoft(row[last], room), "\n") {
				cells := make([]string, last+1)
				if i == 0 {
					copy(cells, row)
				}
				cells[last] = strings.TrimSpace(line)
				wrapped.Add(cells...)
			}
		}
		wrapped.render(a, last+1)
		return
	}
	keep := last
	for keep > 1 && g.width(keep) > a.Width {
		keep--
	}
	var above strings.Builder
	cut := *a
	cut.Out = &above
	g.render(&cut, keep)
	lines := strings.SplitAfter(above.String(), "\n")
	fmt.Fprint(a.Out, lines[0])
	for i, row := range g.Rows {
		fmt.Fprint(a.Out, lines[i+1])
		for line := range strings.Lines(text.WrapSoft(g.under(row, keep), a.Width-len(indent))) {
			if line = strings.TrimSpace(line); line != "" {
				fmt.Fprintln(a.Out, indent+line)
			}
		}
	}
}

// under is what stands under a row of which the first columns are kept: the others with their heads, and the sentence.
func (g *Grid) under(row []string, keep int) string {
	var parts []string
	for c := keep; c < len(row)-1; c++ {
		if row[c] != "" {
			parts = append(parts, g.head[c]+" "+row[c])
		}
	}
	if sentence := row[len(row)-1]; sentence != "" {
		parts = append(parts, sentence)
	}
	return strings.Join(parts, "; ")
}

// render writes the first n columns, cut to a terminal's width.
func (g *Grid) render(a *App, n int) {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Name:    "damson",
		Box:     table.BoxStyle{PaddingRight: strings.Repeat(" ", gap), UnfinishedRow: "…"},
		Format:  table.FormatOptions{Header: text.FormatDefault},
		Options: table.OptionsNoBordersAndSeparators,
	})
	head := make(table.Row, n)
	configs := make([]table.ColumnConfig, n)
	for i, h := range g.head[:n] {
		head[i] = a.Style(StyleQuiet, h)
		configs[i] = table.ColumnConfig{Number: i + 1, Align: text.AlignLeft}
		if g.right[i] {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(head)
	for _, cells := range g.Rows {
		row := make(table.Row, n)
		for i, c := range cells[:n] {
			row[i] = c
		}
		t.AppendRow(row)
	}
	if a.Terminal && g.width(n) > a.Width { // the table counts the blanks after its last column
		t.Style().Size.WidthMax = a.Width
	}
	for line := range strings.Lines(t.Render() + "\n") {
		fmt.Fprintln(a.Out, strings.TrimRight(line, " \n"))
	}
}
