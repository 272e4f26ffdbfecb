// Package migratecmd has the command migrate, which applies and checks the migrations of the warehouse's schema. What may be applied is
// decided by package migrate.
package migratecmd

import (
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Command is migrate.
func Command(c *console.App) *cobra.Command { return (&app{c}).migrateCommand() }
