// Package cli is the command line: it wires the concrete drivers into the rooms below and puts the commands together, which have packages
// of their own by what they do. What they share is in package console, whose App is one invocation. None decides anything that
// another front end would have to decide again.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/clock"
	"damson/internal/diag"
)

// Main runs one command line and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := untilSignal()
	defer stop()
	a := &console.App{In: in, Out: out, Err: errOut, Clock: clock.System{}, Drivers: drivers}
	a.Terminal, a.Width = console.IsTerminal(out)
	root := rootCommand(a)
	root.SetArgs(args)
	return a.Exit(root.ExecuteContext(ctx))
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
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

func rootCommand(a *console.App) *cobra.Command {
	root := &cobra.Command{
		Use:   "damson",
		Short: "SQL pipelines and in-database models, from notebook to production",
		Long: `Damson runs SQL pipelines, each task exactly once for each data interval, and trains, judges and scores models, all
inside the warehouse your data lives in. Start with: damson demo`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           console.Version(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.PersistentFlags().StringVar(&a.ProjectDir, "project", "", "the project's `directory` (default: the nearest damson.yaml upwards)")
	root.PersistentFlags().StringVar(&a.Env, "env", "", "the `environment` of damson.yaml to use")
	root.PersistentFlags().StringVar(&a.StoreFlag, "store", "", "the `URL` of a PostgreSQL database that holds Damson's own records (default: a file in the project)")
	_ = root.RegisterFlagCompletionFunc("env", a.CompleteEnvironments)
	root.SetFlagErrorFunc(flagError)
	addCommands(a, root)
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
	return console.Usage("Wrong usage of "+cmd.CommandPath(), err.Error(), fix)
}

// wrapArgs makes cobra's complaints about arguments wrong usage, with the command's form as the fix.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return console.Usage("Wrong usage of "+c.CommandPath(), err.Error(), fmt.Sprintf("Use: %s\n`%s --help` explains it.", c.UseLine(), c.CommandPath()))
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		wrapArgs(c)
	}
}
