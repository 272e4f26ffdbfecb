package cli

import "github.com/spf13/cobra"

// addCommands puts the commands together, grouped as the help page shows them.
func (a *app) addCommands(root *cobra.Command) {
	addGroup(root, "start", "Start:", a.demoCommand(), a.initCommand())
	addGroup(root, "write", "Write:", a.validateCommand(), a.renderCommand(), a.queryCommand())
	addGroup(root, "run", "Run:", a.runCommand(), a.backfillCommand(), a.backfillsCommand(), a.clearCommand(), a.markCommand(),
		a.migrateCommand())
	addGroup(root, "serve", "Serve:", a.serveCommand(), a.workerCommand(), a.pauseCommand(), a.unpauseCommand())
	addGroup(root, "look", "Look:", a.runsCommand(), a.tasksCommand(), a.logsCommand(), a.whyCommand(), a.doctorCommand(), a.modelCommand())
	root.RunE = unknownCommand
	root.Args = cobra.ArbitraryArgs
}
