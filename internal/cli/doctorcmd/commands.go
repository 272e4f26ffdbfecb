// Package doctorcmd has the command doctor. It opens for the doctor what a project works with, makes nothing, and shows what the doctor
// found.
package doctorcmd

import (
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Command is doctor.
func Command(c *console.App) *cobra.Command { return (&app{c}).doctorCommand() }
