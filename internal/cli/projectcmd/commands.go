// Package projectcmd has the commands on a project's files: init, validate, render. It runs nothing.
package projectcmd

import (
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Init is the command that makes a project.
func Init(c *console.App) *cobra.Command { return (&app{c}).initCommand() }

// Commands are those for writing one.
func Commands(c *console.App) []*cobra.Command {
	a := &app{c}
	return []*cobra.Command{a.validateCommand(), a.renderCommand()}
}
