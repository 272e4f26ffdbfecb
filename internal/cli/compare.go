package cli

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/registry"
)

func (a *app) modelCompareCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "compare MODEL VERSION [VERSION]",
		Short:   "set two versions side by side (default: with the champion)",
		Example: "  damson model compare walk 3 2",
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			first, err := versionArgument(args)
			if err != nil {
				return err
			}
			second := 0
			if len(args) == 3 {
				if second, err = versionArgument(args[1:]); err != nil {
					return err
				}
			}
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				c, err := r.Compare(cmd.Context(), args[0], first, second)
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(c)
				}
				a.printComparison(c)
				return nil
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printComparison(c *registry.Comparison) {
	title := func(state string, number int) string { return fmt.Sprintf(">version %d (%s)", number, state) }
	g := newGrid("metric", title(string(c.A.State), c.A.Number), title(string(c.B.State), c.B.Number), ">difference")
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
		g.add(m.Metric, text(m.A), text(m.B), difference)
	}
	g.print(a)
	switch {
	case c.SameData:
		a.printf("Both were judged on the same held-out rows.\n")
	case c.SameSQL:
		a.printf("Each was judged on its own held-out rows: the same SQL, other data.\n")
	default:
		a.printf("Each was judged on its own held-out rows, of other SQL.\n")
	}
	if len(c.Spec) > 0 {
		a.printf("Declaration: %s\n", strings.Join(c.Spec, "; "))
	}
	if len(c.Features) > 0 {
		a.printf("Features: %s\n", strings.Join(c.Features, ", "))
	}
}

// decimals writes a number of rows without a fraction.
func decimals(v float64, format string) string {
	if math.Abs(v) > 1 && v == math.Trunc(v) {
		format = strings.Replace(format, ".4", ".0", 1)
	}
	return fmt.Sprintf(format, v)
}
