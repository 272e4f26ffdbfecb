package modelcmd

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/registry"
)

func (a *app) modelCompareCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare MODEL VERSION [VERSION]",
		Short: "set two versions side by side (default: with the champion)",
		Example: `  damson model compare walk 3 2
  damson model compare walk@challenger`,
		Args: cobra.RangeArgs(1, 3), ValidArgsFunction: a.completeVersions(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, refs, err := versionsArgument(args)
			if err != nil {
				return err
			}
			if len(refs) == 0 || len(refs) > 2 {
				return console.Usage("One version or two", fmt.Sprintf("compare was given %s of %s.", console.Plural(len(refs), "version"), name), "Write damson model compare "+name+" 3 2; without the second it is the champion.")
			}
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				numbers := make([]int, 2) // 0 = the champion
				for i, ref := range refs {
					if numbers[i], err = r.Resolve(cmd.Context(), name, ref); err != nil {
						return err
					}
				}
				c, err := r.Compare(cmd.Context(), name, numbers[0], numbers[1])
				if err != nil {
					return err
				}
				if asJSON {
					return a.PrintJSON(c)
				}
				a.printComparison(c)
				return nil
			})
		},
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printComparison(c *registry.Comparison) {
	a.Printf("version %d is %s, version %d is %s\n\n", c.A.Number, c.A.State, c.B.Number, c.B.State)
	g := console.NewGrid("metric", fmt.Sprintf(">version %d", c.A.Number), fmt.Sprintf(">version %d", c.B.Number), ">difference")
	text := func(v *float64) string {
		if v == nil {
			return "–"
		}
		return decimals(*v, "%.4f")
	}
	for _, m := range c.Metrics {
		difference := "–"
		if m.A != nil && m.B != nil {
			difference = decimals(*m.A-*m.B, "%+.4f")
		}
		g.Add(m.Metric, text(m.A), text(m.B), difference)
	}
	g.Print(a.App)
	switch {
	case c.SameData:
		a.Printf("Both were judged on the same held-out rows.\n")
	case c.SameSQL:
		a.Printf("Each was judged on its own held-out rows: the same SQL, other data.\n")
	default:
		a.Printf("Each was judged on its own held-out rows, of other SQL.\n")
	}
	a.printPaired(c)
	if len(c.Spec) > 0 {
		a.Printf("Declaration of version %d → %d: %s\n", c.A.Number, c.B.Number, strings.Join(c.Spec, "; "))
	}
	if len(c.Features) > 0 {
		a.Printf("Features: %s\n", strings.Join(c.Features, ", "))
	}
}

// fewGroups are too few to draw from: what they happen to be decides.
const fewGroups = 10

// printPaired shows both versions on the rows that both held out.
func (a *app) printPaired(c *registry.Comparison) {
	p, one, two := c.Paired, c.A.Number, c.B.Number
	if p == nil {
		a.Printf("Not compared row by row: %s.\n", c.Unpaired)
		return
	}
	a.Printf("\nHeld out by both: %s", console.Plural(int(p.Rows), "row"))
	for _, other := range []struct {
		rows int64
		what string
	}{{p.OnlyA, fmt.Sprintf("by version %d only", one)}, {p.OnlyB, fmt.Sprintf("by version %d only", two)}, {p.Changed, "by both with another target, not compared"}} {
		if other.rows > 0 {
			a.Printf("; %s %s", console.Count(other.rows), other.what)
		}
	}
	a.Printf(".\n")
	if p.Sampled {
		a.Printf("Versions keep a sample of so many held-out rows; these are its rows.\n")
	}
	if len(p.Metrics) > 0 {
		g := console.NewGrid("on these rows", fmt.Sprintf(">version %d", one), fmt.Sprintf(">version %d", two), ">difference", fmt.Sprintf(">%.0f %% interval", 100*p.Level))
		for _, m := range p.Metrics {
			g.Add(m.Metric, fmt.Sprintf("%.4f", m.A), fmt.Sprintf("%.4f", m.B), fmt.Sprintf("%+.4f", m.Difference), fmt.Sprintf("%+.4f to %+.4f", m.Low, m.High))
		}
		g.Print(a.App)
		if p.Groups < fewGroups {
			a.Printf("Intervals are over %s groups, too few to rely on.\n", console.Count(p.Groups))
		} else {
			a.Printf("Intervals are over %s groups; one without 0 speaks for a difference that other rows would show, too.\n", console.Count(p.Groups))
		}
	} else if p.Rows > 0 {
		a.Printf("Their rows are of %s, too few for intervals.\n", console.Plural(int(p.Groups), "group"))
	}
	if g := p.Agreement; g != nil {
		a.Printf("Predicted right by both: %s; by version %d only: %s; by version %d only: %s; by neither: %s.\n",
			console.Count(g.Both), one, console.Count(g.OnlyA), two, console.Count(g.OnlyB), console.Count(g.Neither))
	}
}

// decimals writes a number of rows without a fraction.
func decimals(v float64, format string) string {
	if math.Abs(v) > 1 && v == math.Trunc(v) {
		format = strings.Replace(format, ".4", ".0", 1)
	}
	return fmt.Sprintf(format, v)
}
