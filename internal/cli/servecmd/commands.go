// Package servecmd has the commands serve and worker: the process that keeps a project running. Its central type is server. It
// decides nothing about runs: the scheduler does.
package servecmd

import (
	"context"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
)

// app is one invocation, with the commands of this package.
type app struct{ *console.App }

// Commands are serve and worker.
func Commands(c *console.App) []*cobra.Command {
	a := &app{c}
	return []*cobra.Command{a.serveCommand(), a.workerCommand()}
}

// Serve is a plain `damson serve`, until ctx ends.
func Serve(ctx context.Context, c *console.App) error { return (&app{c}).serve(ctx, serveDefaults()) }
