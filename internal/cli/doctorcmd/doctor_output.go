package doctorcmd

import (
	"fmt"
	"strings"

	"damson/internal/cli/console"
	"damson/internal/doctor"
)

// statuses are how a status is written for people.
var statuses = map[doctor.Status]string{doctor.OK: "ok", doctor.Warning: "warning", doctor.Problem: "PROBLEM", doctor.NotChecked: "not checked"}

// statusWidth is that of the longest of them.
const statusWidth = len("not checked")

// printDoctor writes a report for people: a line for each check, and below what is not ok why, and what to do.
func (a *app) printDoctor(r doctorReport) {
	a.Printf("%s, environment %s: %s\n", a.Style(console.StyleHead, r.Project), r.Environment, r.Warehouse)
	names := 0
	for _, c := range r.Checks {
		names = max(names, len(c.Name))
	}
	area := ""
	for i := 0; i < len(r.Checks); i++ {
		c := r.Checks[i]
		if c.Area != area {
			area = c.Area
			a.Printf("\n%s\n", a.Style(console.StyleHead, area))
		}
		if c.Status == doctor.NotChecked { // those after it that depend on the same
			same := []string{c.Name}
			for i+1 < len(r.Checks) && r.Checks[i+1].Status == doctor.NotChecked && r.Checks[i+1].Area == area && r.Checks[i+1].Why == c.Why {
				i++
				same = append(same, r.Checks[i].Name)
			}
			if len(same) > 1 {
				c.Name, c.What = "", strings.Join(same, ", ")
			} else {
				c.What, c.Why = c.Why, ""
			}
		}
		a.printCheck(c, names)
	}
	a.Printf("\n%s\n", a.doctorVerdict(r))
}

func (a *app) doctorVerdict(r doctorReport) string {
	switch {
	case r.Problems > 0:
		return a.Style(console.StyleBad, console.Plural(r.Problems, "problem")) + ", " + console.Plural(r.Warnings, "warning")
	case r.Warnings > 0:
		return a.Style(console.StyleGood, "no problems") + ", " + console.Plural(r.Warnings, "warning")
	}
	return a.Style(console.StyleGood, "all is well")
}

// printCheck writes one check. names is the width of the column of names.
func (a *app) printCheck(c doctor.Check, names int) {
	status := fmt.Sprintf("%-*s", statusWidth, statuses[c.Status])
	switch c.Status {
	case doctor.OK:
		status = a.Style(console.StyleGood, status)
	case doctor.Problem:
		status = a.Style(console.StyleBad, status)
	case doctor.NotChecked:
		status = a.Style(console.StyleQuiet, status)
	}
	head := fmt.Sprintf("%-*s  ", names, c.Name)
	if c.Name == "" {
		head = ""
	}
	what := c.What
	if at := c.At.String(); at != "" && c.Status != doctor.OK {
		what = at + ": " + what
	}
	indent := strings.Repeat(" ", 2+statusWidth+2)
	width := min(a.Width, 100) - len(indent)
	lines := wrap(head+what, width)
	a.Printf("  %s  %s\n", status, lines[0])
	for _, line := range lines[1:] {
		a.Printf("%s%s\n", indent, line)
	}
	if c.Why != "" {
		a.printWrapped(indent, "", c.Why, width)
	}
	if c.Fix != "" {
		a.printWrapped(indent, "Fix: ", c.Fix, width)
	}
}

// printWrapped writes a text below its heading word.
func (a *app) printWrapped(indent, head, text string, width int) {
	for paragraph := range strings.Lines(text) {
		for _, line := range wrap(strings.TrimRight(paragraph, "\n"), width-len(head)) {
			a.Printf("%s%s%s\n", indent, head, line)
			head = strings.Repeat(" ", len(head))
		}
	}
}

// wrap breaks a text at blanks into lines of at most width characters; a longer word stays whole.
func wrap(text string, width int) []string {
	var lines []string
	line, n := "", 0
	for i, word := range strings.Split(text, " ") {
		size := len([]rune(word))
		if i > 0 && n+1+size > width && strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimRight(line, " "))
			line, n = word, size
			continue
		}
		if i > 0 {
			line, n = line+" ", n+1
		}
		line, n = line+word, n+size
	}
	return append(lines, line)
}
