// Package runcmd has the commands that make runs, change them and tell of them: run, backfill, clear, why and so on. What a run is
// and may become is decided in the rooms below (engine, scheduler); here it is asked for, through a server where one leads, and shown.
package runcmd

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Run are the commands that make runs and change them.
func Run(c *console.App) []*cobra.Command {
	a := &app{c}
	return []*cobra.Command{a.runCommand(), a.backfillCommand(), a.backfillsCommand(), a.clearCommand(), a.markCommand()}
}

// Pause are the commands on what runs by itself.
func Pause(c *console.App) []*cobra.Command {
	a := &app{c}
	return []*cobra.Command{a.pauseCommand(), a.unpauseCommand()}
}

// Look are the commands that tell of runs.
func Look(c *console.App) []*cobra.Command {
	a := &app{c}
	return []*cobra.Command{a.runsCommand(), a.tasksCommand(), a.logsCommand(), a.whyCommand()}
}

// Changes works out what changes of the runs and tasks that were chosen.
type Changes func(*store.Store, *pipeline.Pipeline, engine.Selection) ([]run.Change, error)

// Change shows the changes, asks, and makes them; what is a pipeline or run, verb is what people call it.
func Change(ctx context.Context, c *console.App, what string, o ChangeOptions, verb string, plan Changes) error {
	return (&app{c}).change(ctx, what, o, verb, plan)
}

// Watch drives a plan with a display of its progress, and gives what each task took, a batch counted once.
func Watch(ctx context.Context, c *console.App, w *console.Workspace, parallel int, plan engine.Plan) (took map[string]time.Duration, report engine.Report, err error) {
	watch, report, err := (&app{c}).watchPlan(ctx, w, parallel, plan)
	return watch.took, report, err
}

// PrintReport says how a plan ended, in words.
func PrintReport(c *console.App, plan engine.Plan, r engine.Report) { (&app{c}).printReport(plan, r) }
