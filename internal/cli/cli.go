// Package cli is the command line: it parses arguments, wires the concrete drivers into the rooms below, and shows what
// they return. Its central type is app, one invocation. It decides nothing that another front end would have to decide
// again.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"damson/internal/clock"
	"damson/internal/diag"
)

// Exit codes, as documented in docs/cli.md.
const (
	exitOK     = 0
	exitFailed = 1 // the work failed: findings, failed tasks
	exitUsage  = 2 // wrong usage: nothing was tried
)

// app is one invocation of damson.
type app struct {
	in         io.Reader
	out, err   io.Writer
	terminal   bool // out is a terminal: colours and live progress
	width      int  // of the terminal, in characters
	clock      clock.Clock
	projectDir string              // --project
	env        string              // --env
	storeFlag  string              // --store
	redact     func(string) string // removes the project's secrets; nil before it is read
}

// usageError marks an error as wrong usage: exit code 2.
type usageError struct{ diag.Finding }

func (u usageError) Unwrap() error { return u.Finding }

// usage makes an error about how the command was called.
func usage(summary, detail, fix string) error {
	return usageError{diag.Finding{Summary: summary, Detail: detail, Fix: fix}}
}

// errSilent ends the command with exit code 1 after it has said everything itself.
var errSilent = errors.New("reported")

// Main runs one command line and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := untilSignal()
	defer stop()
	a := &app{in: in, out: out, err: errOut, clock: clock.System{}}
	a.terminal, a.width = terminal(out)
	root := a.root()
	root.SetArgs(args)
	return a.exit(root.ExecuteContext(ctx))
}

// untilSignal gives a context that ends with the first Ctrl-C or SIGTERM, which asks for an orderly end. A second one ends the
// process at once, however soon it follows.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		again := <-signals
		signal.Reset(again)
		if number, ok := again.(syscall.Signal); ok {
			_ = syscall.Kill(os.Getpid(), number)
		}
	}()
	return ctx, cancel
}

// exit reports err once and turns it into the exit code.
func (a *app) exit(err error) int {
	var misuse usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.As(err, &misuse):
		fmt.Fprintln(a.err, a.errorText(err))
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.err, "damson: interrupted")
		return exitFailed
	}
	fmt.Fprintln(a.err, a.errorText(err))
	return exitFailed
}

func (a *app) errorText(err error) string {
	text := err.Error()
	if a.redact != nil {
		text = a.redact(text)
	}
	return a.style(styleBad, "error: ") + text
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "damson",
		Short: "SQL pipelines and in-database models, from notebook to production",
		Long: `Damson runs SQL pipelines, each task exactly once for each data interval, and trains, judges and scores models, all
inside the warehouse your data lives in. Start with: damson demo`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           version(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().StringVar(&a.projectDir, "project", "", "the project's `directory` (default: the nearest damson.yaml upwards)")
	root.PersistentFlags().StringVar(&a.env, "env", "", "the `environment` of damson.yaml to use")
	root.PersistentFlags().StringVar(&a.storeFlag, "store", "", "the `URL` of a PostgreSQL database that holds Damson's own records (default: a file in the project)")
	_ = root.RegisterFlagCompletionFunc("env", a.completeEnvironments)
	root.SetFlagErrorFunc(flagError)
	a.addCommands(root)
	for _, c := range root.Commands() {
		wrapArgs(c)
	}
	return root
}

// addGroup adds commands under a heading of the help page.
func addGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// flagError explains an unknown or unreadable flag, with the nearest one there is.
func flagError(cmd *cobra.Command, err error) error {
	var flags []string
	for _, line := range strings.Fields(cmd.LocalFlags().FlagUsages() + cmd.InheritedFlags().FlagUsages()) {
		if strings.HasPrefix(line, "--") {
			flags = append(flags, line)
		}
	}
	fix := fmt.Sprintf("`%s --help` lists the flags.", cmd.CommandPath())
	if _, name, ok := strings.Cut(err.Error(), "unknown flag: "); ok {
		if near := diag.DidYouMean(name, flags); near != "" {
			fix = near + " " + fix
		}
	}
	return usage("Wrong usage of "+cmd.CommandPath(), err.Error(), fix)
}

// wrapArgs makes cobra's complaints about arguments wrong usage, with the command's form as the fix.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage("Wrong usage of "+c.CommandPath(), err.Error(), fmt.Sprintf("Use: %s\n`%s --help` explains it.", c.UseLine(), c.CommandPath()))
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		wrapArgs(c)
	}
}

// unknownCommand is the run function of a command that only has subcommands.
func unknownCommand(cmd *cobra.Command, args []string) error {
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
	return usage("Unknown command", fmt.Sprintf("There is no `%s %s`.", cmd.CommandPath(), args[0]), fix)
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

// version is the module's version and the commit it was built from, as the Go toolchain recorded them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(v, s.Value[:12]) {
			v += " " + s.Value[:12]
		}
	}
	return v
}
