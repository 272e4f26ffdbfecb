// Package modelcmd has the command model: versions of models listed, shown, compared, decided on, named and applied. The registry decides
// what may become of a version.
package modelcmd

import (
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/metric"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Command is model.
func Command(c *console.App) *cobra.Command { return (&app{c}).modelCommand() }

// PrintJudgement shows how a version was judged.
func PrintJudgement(c *console.App, r metric.Report) { (&app{c}).printJudgement(r) }
