package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/cli/democmd"
	"damson/internal/cli/doctorcmd"
	"damson/internal/cli/migratecmd"
	"damson/internal/cli/modelcmd"
	"damson/internal/cli/projectcmd"
	"damson/internal/cli/querycmd"
	"damson/internal/cli/runcmd"
	"damson/internal/cli/servecmd"
)

// addCommands puts the commands together, grouped as the help page shows them.
func addCommands(a *console.App, root *cobra.Command) {
	addGroup(root, "start", "Start:", democmd.Command(a), projectcmd.Init(a))
	addGroup(root, "write", "Write:", append(projectcmd.Commands(a), querycmd.Command(a))...)
	addGroup(root, "run", "Run:", append(runcmd.Run(a), migratecmd.Command(a))...)
	addGroup(root, "serve", "Serve:", slices.Concat(servecmd.Commands(a), runcmd.Pause(a))...)
	addGroup(root, "look", "Look:", append(runcmd.Look(a), doctorcmd.Command(a), modelcmd.Command(a))...)
	root.RunE = console.UnknownCommand
	root.Args = cobra.ArbitraryArgs
}
