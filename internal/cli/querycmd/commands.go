// Package querycmd has the command query. Its central type, Query, shows, writes or draws rows of any origin.
package querycmd

import (
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Command is query.
func Command(c *console.App) *cobra.Command { return (&app{c}).queryCommand() }
