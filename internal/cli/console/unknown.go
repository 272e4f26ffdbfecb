package console

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/diag"
)

// UnknownCommand is the run function of a command that only has subcommands.
func UnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	fix := fmt.Sprintf("`%s --help` lists the commands.", cmd.CommandPath())
	if near := diag.DidYouMean(args[0], names); near != "" {
		fix = near + " " + fix
	} else if meant := intents[args[0]]; meant != nil && !cmd.HasParent() {
		fix = meant.text(cmd) + " " + fix
	}
	return Usage("Unknown command", fmt.Sprintf("There is no `%s %s`.", cmd.CommandPath(), args[0]), fix)
}

// intent is the commands that do what somebody wanted who typed another word.
type intent []string

// intents are words of other tools, and of the head, for what Damson's commands do.
var intents = map[string]intent{
	"show": {"tasks", "logs"}, "debug": {"why", "logs"}, "status": {"runs", "tasks"}, "list": {"runs"}, "ls": {"runs"},
	"ps": {"runs"}, "scheduler": {"serve"}, "server": {"serve"}, "webserver": {"serve"}, "daemon": {"serve"}, "up": {"serve"}, "history": {"runs"}, "trigger": {"run"}, "start": {"run", "serve"}, "exec": {"run"}, "train": {"run", "model"},
	"score": {"run", "model"}, "predict": {"run", "model"}, "retry": {"clear", "backfill"}, "rerun": {"backfill", "clear"},
	"reset": {"clear"}, "catchup": {"backfill"}, "check": {"validate", "doctor"}, "lint": {"validate"}, "parse": {"validate"},
	"migration": {"migrate"}, "migrations": {"migrate"}, "compile": {"render"}, "preview": {"render"}, "sql": {"query"}, "select": {"query"}, "new": {"init"}, "create": {"init"},
}

// text names the commands with what each does.
func (i intent) text(root *cobra.Command) string {
	var parts []string
	for _, name := range i {
		if c, _, err := root.Find([]string{name}); err == nil && c != root {
			parts = append(parts, fmt.Sprintf("`%s`: %s.", c.CommandPath(), c.Short))
		}
	}
	return strings.Join(parts, "\n") + "\n"
}
