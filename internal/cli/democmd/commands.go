// Package democmd has the command demo: the GeoLife example from files to predictions, and what is told of it at the end. Its central
// type is demo. It does what other commands do, one after the other, and reads its report from the warehouse.
package democmd

import (
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Command is demo.
func Command(c *console.App) *cobra.Command { return (&app{c}).demoCommand() }
